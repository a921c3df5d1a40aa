//! Failure: lets the spider hear of a request that brought no page, and takes in what it makes of that. Knows no permits
//! and no network.

use std::sync::Arc;

use super::{
    Content, Reading,
    page::{Page, deliver},
};
use crate::{count::Count, fetcher::VisitContext, outcome::Outcome, request::Request, spider::Spider};

/// Calls [`Spider::failed`] off the network's thread. The request keeps its outcome, with the items and links of the
/// spider; only a pipeline whose output is gone changes it.
pub async fn tell<S: Spider>(mut reading: Reading, request: &Arc<Request>, context: &VisitContext<S>) -> Reading {
    let (spider, identity) = (context.spider.clone(), context.identity.clone());
    let seen_cache = context.seen_cache.clone();
    let (outcome, of_request) = (reading.outcome.clone(), request.clone());
    let work = move || Page::of(spider.failed(&of_request, &outcome), &of_request, &*identity, &seen_cache);
    let told = match context.offload.run(work).await {
        Ok(mut page) => {
            // Its attempts are used up.
            page.again = None;
            deliver(page, request, context).await
        }
        Err(lost) => {
            tracing::error!(url = %request.url, ?lost, "the spider's `failed` did not return");
            reading.counts.push(Count::Spider("failed_did_not_return"));
            return reading;
        }
    };
    reading.counts.extend(told.counts);
    reading.stop = told.stop;
    match told.outcome {
        Outcome::Ok => reading.content = reading.content.with(told.content),
        broken @ Outcome::Broken(_) => reading.outcome = broken,
        refused => {
            tracing::warn!(url = %request.url, why = refused.detail(), "an item of the spider's `failed` was not taken");
            reading.counts.push(Count::Spider("failed_item_not_taken"));
        }
    }
    reading
}

impl Content {
    /// Adds what another brought: the links of a failed request come after the target of its redirect.
    fn with(self, more: Self) -> Self {
        match (self, more) {
            (Self::Page { mut found, items, skipped }, Self::Page { found: other, items: others, .. }) => {
                found.extend(other);
                Self::Page { found, items: items + others, skipped }
            }
            (_, more) => more,
        }
    }
}
