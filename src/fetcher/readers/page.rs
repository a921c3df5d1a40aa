//! Page: parses an answer off the network's thread, hands its items to the pipelines and waits until each is
//! acknowledged, and returns its links. Knows no permits and no network.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::{Answer, Content, Reading};
use crate::{
    fetcher::{VisitContext, offload::NoResult},
    frontier::candidate::Candidate,
    outcome::{FetchError, Outcome},
    pipeline::{PipelineError, Scraped},
    request::Request,
    response::Response,
    spider::Spider,
    transport::{body::BodyLimits, exchange::Extent, raw_response::RawResponse},
};

/// The whole body: a page that is larger than the limit fails.
pub fn extent(limits: BodyLimits) -> Extent {
    Extent { max_bytes: limits.max_bytes, accepts_part: false, keeps_wire_bytes: false }
}

/// Parses a page and delivers its items.
pub async fn read<S: Spider>(answer: Answer, request: &Arc<Request>, context: &VisitContext<S>) -> Reading {
    match parse(answer, request.clone(), context).await {
        Ok(page) => deliver(page, request, context).await,
        Err(outcome) => outcome.into(),
    }
}

/// A parsed page, ready to leave the parsing thread.
struct Page<I> {
    items: Vec<I>,
    found: Vec<Candidate>,
}

/// Decodes and parses on a thread of its own, where whatever the spider does harms no other page.
async fn parse<S: Spider>(
    mut answer: Answer,
    request: Arc<Request>,
    context: &VisitContext<S>,
) -> Result<Page<S::Item>, Outcome> {
    let (spider, limits, identity) = (context.spider.clone(), context.body_limits, context.identity.clone());
    let seen_cache = context.seen_cache.clone();
    // The body's share of the memory for all bodies is held while its parsing is waited for. A parse that never returns
    // keeps the body, but gives the share back when the wait ends.
    let _reservation = answer.response.release_memory();
    let work = move || {
        if !spider.accepts(answer.response.status) {
            return Err(Outcome::Status(answer.response.status));
        }
        let page = answer.decode(request, limits).map_err(Outcome::Fetch)?;
        let parsed = spider.parse(&page).map_err(|error| Outcome::Parse(error.to_string()))?;
        let (items, requests) = parsed.into_parts();
        Ok(Page { items, found: Candidate::found_on(page.request(), requests, &*identity, &seen_cache) })
    };
    match context.offload.run(work).await {
        Ok(parsed) => parsed,
        Err(NoResult::Panicked(message)) => Err(Outcome::Panic(message)),
        Err(NoResult::TimedOut(limit)) => {
            Err(Outcome::Parse(format!("parse did not return within {}", humantime::format_duration(limit))))
        }
    }
}

/// Hands the items to every pipeline and waits until each is acknowledged.
async fn deliver<S: Spider>(page: Page<S::Item>, request: &Request, context: &VisitContext<S>) -> Reading {
    let count = page.items.len() as u64;
    if count > 0 && !context.pipelines.is_empty() {
        let url: Arc<str> = request.url.as_str().into();
        let scraped = page.items.into_iter().map(|item| Scraped { item: Arc::new(item), url: url.clone() });
        let deliveries =
            scraped.flat_map(|scraped| context.pipelines.iter().map(move |pipeline| pipeline.deliver(scraped.clone())));
        if let Err(error) = try_join_all(deliveries).await {
            return match error {
                broken if broken.stops_the_crawl() => Outcome::Broken(broken.to_string()).into(),
                PipelineError::Panicked => Outcome::Panic(error.to_string()).into(),
                refused => Outcome::Pipeline(refused.to_string()).into(),
            };
        }
    }
    Reading { content: Content::Page { found: page.found, items: count }, ..Outcome::Ok.into() }
}

impl Answer {
    fn decode(self, request: Arc<Request>, limits: BodyLimits) -> Result<Response, FetchError> {
        let (body, broken_off) = self.response.decoded(limits)?;
        let RawResponse { status, headers, fetched_at, .. } = self.response;
        Ok(Response::new(request, status, headers, body, fetched_at, self.elapsed).with_broken_off(broken_off))
    }
}
