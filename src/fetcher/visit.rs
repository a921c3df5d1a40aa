//! Visit: one page from start to finish. Read this file first.
//!
//! ```text
//! permit + lease → response (the permit ends with the last byte)
//!                → parse (off the loop, panics are errors of this page)
//!                → items to the pipelines, each acknowledged (this waiting is the back-pressure)
//!                → links to Admission, with the settled lease: now, and only now, the page is done
//! ```
//! An early return drops the lease, which puts the URL back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;

use super::{
    Desk,
    fetch::{FetchContext, FetchResult, NoPermits, NoResponse},
    http::is_idempotent,
    offload::Lost,
    receipt::Receipt,
    redirect,
};
use crate::{
    cooling::is_refusal,
    frontier::{Lease, Leased, candidate::Candidate},
    outcome::{FetchError, Outcome},
    permit::Permit,
    pipeline::{PipelineError, Scraped},
    request::Request,
    response::Response,
    spider::Spider,
    transport::{body::BodyLimits, raw_response::RawResponse},
};

/// A page that was visited: what became of it, and what it led to. The lease is settled with it.
#[derive(Debug)]
pub struct Visit {
    /// The settled lease.
    pub leased: Leased,
    /// How it ended.
    pub outcome: Outcome,
    /// The links that were found, or the target of a redirect.
    pub found: Vec<Candidate>,
    /// Items that the pipelines acknowledged.
    pub items: u64,
    /// The status, if an answer came.
    pub status: Option<u16>,
    /// Bytes of body that came over the wire.
    pub bytes: u64,
    /// When the request was written; `None` if it was not.
    pub started: Option<Instant>,
    /// From the grant of the permit to the writing of the request.
    pub waited: Duration,
    /// From the writing to the last byte.
    pub elapsed: Duration,
    /// What follows for the domain where it refused us, or was not there.
    pub heeded: Option<Heeded>,
}

/// How a page ended, with what it led to.
struct Ending {
    outcome: Outcome,
    found: Vec<Candidate>,
    items: u64,
}

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, found: Vec::new(), items: 0 }
    }
}

/// Visits one page.
pub async fn visit<S: Spider>(permit: Permit, lease: Lease, desk: &Desk<S>) -> Visit {
    let request = lease.request();
    let context = FetchContext::page(desk.body_limits, is_idempotent(&request.method), &NoPermits);
    let FetchResult { response, receipt, .. } = desk.fetch.fetch(permit, request, context).await;
    let Receipt { status, bytes, started, waited, elapsed } = receipt;
    let ending = match response {
        Ok(response) => read(response, elapsed, lease.request(), desk).await,
        Err(NoResponse::Unsent) => Outcome::Unsent.into(),
        Err(NoResponse::Failed(error)) => Outcome::Fetch(error).into(),
    };
    Visit {
        leased: lease.settle(),
        outcome: ending.outcome,
        found: ending.found,
        items: ending.items,
        status,
        bytes,
        started,
        waited,
        elapsed,
    }
}

/// Tells what a response means.
async fn read<S: Spider>(response: RawResponse, elapsed: Duration, request: &Arc<Request>, desk: &Desk<S>) -> Ending {
    let status = response.status;
    if let Some(to) = redirect::target(status, &response.headers, &request.url) {
        return match redirect::follow(request, status, &to, &*desk.identity) {
            Ok(next) => {
                Ending { found: vec![Candidate::new(next, &*desk.identity)], ..Outcome::Redirect { status, to }.into() }
            }
            Err(outcome) => outcome.into(),
        };
    }
    if is_refusal(status) {
        return Outcome::Refused { status, retry_after: response.retry_after() }.into();
    }
    match parse(response, elapsed, request.clone(), desk).await {
        Ok(page) => deliver(page, request, desk).await,
        Err(outcome) => outcome.into(),
    }
}

/// A parsed page, ready to leave the parsing thread.
struct Page<I> {
    items: Vec<I>,
    found: Vec<Candidate>,
}

/// Decodes and parses off the loop, as everything is that the spider brings.
async fn parse<S: Spider>(
    mut response: RawResponse,
    elapsed: Duration,
    request: Arc<Request>,
    desk: &Desk<S>,
) -> Result<Page<S::Item>, Outcome> {
    let (spider, limits, identity) = (desk.spider.clone(), desk.body_limits, desk.identity.clone());
    let seen_cache = desk.seen_cache.clone();
    // Held for as long as the parsing is waited for: the page is made of it, and one that never returns must not keep
    // it from all others.
    let _held = response.release_memory();
    let work = move || {
        if !spider.accepts(response.status) {
            return Err(Outcome::Status(response.status));
        }
        let page = decode(response, elapsed, request, limits).map_err(Outcome::Fetch)?;
        let parsed = spider.parse(&page).map_err(|error| Outcome::Parse(error.to_string()))?;
        let (items, requests) = parsed.into_parts();
        Ok(Page { items, found: Candidate::found_on(page.request(), requests, &*identity, &seen_cache) })
    };
    match desk.offload.run(work).await {
        Ok(parsed) => parsed,
        Err(Lost::Panicked(message)) => Err(Outcome::Panic(message)),
        Err(Lost::Silent(limit)) => {
            Err(Outcome::Parse(format!("parse did not return within {}", humantime::format_duration(limit))))
        }
    }
}

/// Hands the items to every pipeline and waits until each is acknowledged.
async fn deliver<S: Spider>(page: Page<S::Item>, request: &Request, desk: &Desk<S>) -> Ending {
    let count = page.items.len() as u64;
    if count > 0 && !desk.pipelines.is_empty() {
        let url: Arc<str> = request.url.as_str().into();
        let scraped = page.items.into_iter().map(|item| Scraped { item: Arc::new(item), url: url.clone() });
        let deliveries =
            scraped.flat_map(|scraped| desk.pipelines.iter().map(move |pipeline| pipeline.deliver(scraped.clone())));
        if let Err(error) = try_join_all(deliveries).await {
            return match error {
                broken if broken.stops_the_crawl() => Outcome::Broken(broken.to_string()).into(),
                PipelineError::Panicked => Outcome::Panic(error.to_string()).into(),
                refused => Outcome::Pipeline(refused.to_string()).into(),
            };
        }
    }
    Ending { outcome: Outcome::Ok, found: page.found, items: count }
}

fn decode(
    response: RawResponse,
    elapsed: Duration,
    request: Arc<Request>,
    limits: BodyLimits,
) -> Result<Response, FetchError> {
    let (body, broken_off) = response.decoded(limits)?;
    let RawResponse { status, headers, fetched_at, .. } = response;
    Ok(Response::new(request, status, headers, body, fetched_at, elapsed).with_broken_off(broken_off))
}
