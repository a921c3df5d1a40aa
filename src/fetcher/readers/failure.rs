//! Failure: notifies the spider of a request that brought no page, and takes the items and links that it returns. Knows
//! no permits and no network.

use std::sync::Arc;

use super::{
    Extracted, Reading,
    page::{ParsedPage, deliver},
};
use crate::{
    fetcher::{VisitContext, offload::NoResult},
    outcome::Outcome,
    request::Request,
    spider::Spider,
    stats::count::Count,
};

/// Calls [`Spider::failed`] off the network's thread. The request keeps its outcome, with the items and links of the
/// spider; only a pipeline whose output is gone changes it.
pub async fn notify<S: Spider>(mut reading: Reading, request: &Arc<Request>, context: &VisitContext<S>) -> Reading {
    let rules = context.rules.clone();
    let (outcome, of_request) = (reading.outcome.clone(), request.clone());
    let work = move || {
        let mut parsed = rules.spider.failed(&of_request, &outcome);
        if of_request.dont_filter && is_without_request(&outcome) {
            // A spider could follow one dead host to another and back without end: no request would slow that loop
            // down.
            parsed.requests.iter_mut().for_each(|request| request.dont_filter = false);
        }
        let mut page = ParsedPage::of(parsed, &of_request, &rules);
        page.found_in_items.without_page();
        page
    };
    let told = match context.offload.run(work).await {
        Ok(mut page) => {
            // Its attempts are used up.
            page.again = None;
            deliver(&mut page, request, context).await
        }
        Err(NoResult::Ended) => return reading,
        Err(lost) => {
            tracing::error!(url = %request.url, ?lost, "the spider's `failed` did not return");
            reading.counts.push(Count::NOT_HEARD);
            return reading;
        }
    };
    reading.counts.extend(told.counts);
    reading.stop = told.stop;
    reading.content = reading.content.with(told.content);
    match told.outcome {
        Outcome::Ok => {}
        broken @ Outcome::Broken(_) => reading.outcome = broken,
        refused => {
            tracing::warn!(url = %request.url, why = refused.detail(), "an item of the spider's `failed` was not taken");
            reading.counts.push(Count::Spider("failed_item_not_taken"));
        }
    }
    reading
}

/// Tells whether a request ended at once, and would again.
fn is_without_request(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::WithoutRequest { .. } | Outcome::Disallowed)
}

impl Extracted {
    /// Adds what another brought: the links of a failed request come after the target of its redirect.
    fn with(self, more: Self) -> Self {
        match (self, more) {
            (Self::Page { mut found, items, skipped, version }, Self::Page { found: other, items: others, .. }) => {
                found.extend(other);
                Self::Page { found, items: items + others, skipped, version }
            }
            (_, more) => more,
        }
    }
}
