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
    http::{Answer, is_idempotent},
    offload::Lost,
    redirect,
};
use crate::{
    conduct::Heeded,
    frontier::{Lease, Leased, admission::Candidate},
    outcome::{FetchError, Outcome},
    permit::Permit,
    pipeline::{PipelineError, Scraped},
    request::Request,
    response::Response,
    spider::Spider,
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
    let sent = desk.http.send(permit, request, is_idempotent(&request.method)).await;
    let (status, bytes) = sent.answer.as_ref().map_or((None, 0), |answer| (Some(answer.status), answer.received));
    let ending = match sent.answer {
        Ok(answer) => read(answer, sent.heeded, lease.request(), desk).await,
        Err(None) => Outcome::Unsent.into(),
        Err(Some(error)) => Outcome::Fetch(error).into(),
    };
    Visit {
        leased: lease.settle(),
        outcome: ending.outcome,
        found: ending.found,
        items: ending.items,
        status,
        bytes,
        started: sent.started,
        waited: sent.waited,
        elapsed: sent.elapsed,
        heeded: sent.heeded,
    }
}

/// Tells what an answer means.
async fn read<S: Spider>(answer: Answer, heeded: Option<Heeded>, request: &Arc<Request>, desk: &Desk<S>) -> Ending {
    let status = answer.status;
    if let Some(to) = redirect::target(status, &answer.headers, &request.url) {
        return match redirect::follow(request, status, &to, &desk.canonical) {
            Ok(next) => {
                Ending { found: vec![Candidate::new(next, &desk.canonical)], ..Outcome::Redirect { status, to }.into() }
            }
            Err(outcome) => outcome.into(),
        };
    }
    if let Some(Heeded { asked, .. }) = heeded {
        return Outcome::Refused { status, retry_after: asked }.into();
    }
    match parse(answer, request.clone(), desk).await {
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
async fn parse<S: Spider>(answer: Answer, request: Arc<Request>, desk: &Desk<S>) -> Result<Page<S::Item>, Outcome> {
    let (spider, limits, canonical) = (desk.spider.clone(), desk.body_limits, desk.canonical.clone());
    let known = desk.known.clone();
    let mut answer = answer;
    // Held for as long as the parsing is waited for: the page is made of it, and one that never returns must not keep
    // it from all others.
    let _held = answer.release_memory();
    let work = move || {
        if !spider.accepts(answer.status) {
            return Err(Outcome::Status(answer.status));
        }
        let page = answer.decode(&request, limits).map_err(Outcome::Fetch)?;
        let parsed = spider.parse(&page).map_err(|error| Outcome::Parse(error.to_string()))?;
        let (items, requests) = parsed.into_parts();
        Ok(Page { items, found: Candidate::found_on(page.request(), requests, &canonical, &known) })
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
    if count > 0 && !desk.outlets.is_empty() {
        let url: Arc<str> = request.url.as_str().into();
        let scraped = page.items.into_iter().map(|item| Scraped { item: Arc::new(item), url: url.clone() });
        let deliveries =
            scraped.flat_map(|scraped| desk.outlets.iter().map(move |outlet| outlet.deliver(scraped.clone())));
        if let Err(error) = try_join_all(deliveries).await {
            return match error {
                PipelineError::Panicked => Outcome::Panic(error.to_string()).into(),
                refused => Outcome::Pipeline(refused.to_string()).into(),
            };
        }
    }
    Ending { outcome: Outcome::Ok, found: page.found, items: count }
}

impl Answer {
    fn decode(
        self,
        request: &Arc<Request>,
        limits: crate::transport::body::BodyLimits,
    ) -> Result<Response, FetchError> {
        let (body, broken_off) = self.decoded(limits)?;
        let page = Response::new(request.clone(), self.status, self.headers, body, self.fetched_at, self.elapsed);
        Ok(page.with_broken_off(broken_off))
    }
}
