//! Page: parses an answer off the network's thread, hands its items to the pipelines and waits until each is
//! acknowledged, and returns its links. Knows no permits and no network.

use std::{sync::Arc, time::Duration};

use futures_util::future::try_join_all;

use super::{Answer, Content, Reading};
use crate::{
    count::Count,
    fetcher::{VisitContext, offload::NoResult},
    frontier::{candidate::Candidate, seen_cache::SeenCache},
    identity::Identity,
    outcome::{FetchError, Outcome},
    pipeline::{PipelineError, Scraped, Supervisor},
    request::Request,
    response::Response,
    spider::{Parsed, Spider},
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
pub(super) struct Page<I> {
    items: Vec<I>,
    found: Vec<Candidate>,
    counts: Vec<Count>,
    /// After which wait the page is to be asked for again, and why.
    pub(super) again: Option<(Duration, String)>,
    stop: Option<String>,
}

impl<I> Page<I> {
    /// Takes in what a spider has made of a request.
    pub(super) fn of(parsed: Parsed<I>, request: &Request, identity: &dyn Identity, seen_cache: &SeenCache) -> Self {
        let Parsed { items, requests, counts, again, stop } = parsed;
        let counts = counts.into_iter().map(Count::Spider).collect();
        Self { items, found: Candidate::found_on(request, requests, identity, seen_cache), counts, again, stop }
    }
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
        let is_asked_for = request.keeps_redirects && matches!(answer.response.status, 300..=399);
        if !is_asked_for && !spider.accepts(answer.response.status) {
            return Err(Outcome::Status(answer.response.status));
        }
        let page = answer.decode(request, limits).map_err(Outcome::Fetch)?;
        let parsed = spider.parse(&page).map_err(|error| Outcome::Parse(error.to_string()))?;
        Ok(Page::of(parsed, page.request(), &*identity, &seen_cache))
    };
    match context.offload.run(work).await {
        Ok(parsed) => parsed,
        Err(NoResult::Panicked(message)) => Err(Outcome::Panic(message)),
        Err(NoResult::TimedOut(limit)) => {
            Err(Outcome::Parse(format!("parse did not return within {}", humantime::format_duration(limit))))
        }
    }
}

/// Hands the items to every pipeline and waits until each is acknowledged, unless the page is to be asked for again.
pub(super) async fn deliver<S: Spider>(
    mut page: Page<S::Item>,
    request: &Request,
    context: &VisitContext<S>,
) -> Reading {
    let (mut counts, stop) = (std::mem::take(&mut page.counts), page.stop.take());
    let mut reading = match page.again.take() {
        Some((after, why)) => Outcome::Retry { by: "spider", why, after }.into(),
        None => deliver_items(page, request, context).await,
    };
    counts.append(&mut reading.counts);
    Reading { counts, stop, ..reading }
}

async fn deliver_items<S: Spider>(page: Page<S::Item>, request: &Request, context: &VisitContext<S>) -> Reading {
    let count = page.items.len() as u64;
    let mut counts = Vec::new();
    if count > 0 && !context.pipelines.is_empty() {
        let url: Arc<str> = request.url.as_str().into();
        let scraped = page.items.into_iter().map(|item| Scraped { item: Arc::new(item), url: url.clone() });
        let deliveries =
            scraped.flat_map(|scraped| context.pipelines.iter().map(move |pipeline| take(pipeline, scraped.clone())));
        match try_join_all(deliveries).await {
            Ok(taken) => {
                let dropped = taken.chunks(context.pipelines.len()).filter(|taken| taken.contains(&false)).count();
                counts.resize(dropped, Count::ItemDropped);
            }
            Err(broken) if broken.stops_the_crawl() => return Outcome::Broken(broken.to_string()).into(),
            Err(panicked @ PipelineError::Panicked) => return Outcome::Panic(panicked.to_string()).into(),
            Err(refused) => return Outcome::Pipeline(refused.to_string()).into(),
        }
    }
    let items = count - counts.len() as u64;
    Reading { content: Content::Page { found: page.found, items }, counts, ..Outcome::Ok.into() }
}

/// Hands an item to a pipeline. Answers whether it was taken; one that the pipeline leaves out is no error.
async fn take<I: Send + Sync + 'static>(pipeline: &Supervisor<I>, scraped: Scraped<I>) -> Result<bool, PipelineError> {
    match pipeline.deliver(scraped).await {
        Ok(()) => Ok(true),
        Err(PipelineError::Dropped(why)) => {
            tracing::debug!(%why, "an item was left out");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

impl Answer {
    fn decode(self, request: Arc<Request>, limits: BodyLimits) -> Result<Response, FetchError> {
        let (body, broken_off) = self.response.decoded(limits)?;
        let RawResponse { status, headers, fetched_at, .. } = self.response;
        Ok(Response::new(request, status, headers, body, fetched_at, self.elapsed).with_broken_off(broken_off))
    }
}
