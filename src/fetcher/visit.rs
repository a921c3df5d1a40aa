//! Visit: one request, from its permit to its settled lease. Read this file first.
//!
//! ```text
//! permit + lease → response (the permit ends with the last byte)
//!                → a redirect: its target is a request of its own (a page that sends its readers on is one, too)
//!                → a refusal: the domain cools
//!                → else the reader of the request's kind (readers/); for a page:
//!                      parse (off the loop; a panic is an error of this page)
//!                      items to the pipelines, each acknowledged (this waiting is the back-pressure)
//!                → its content goes to the engine, with the settled lease: now, and only now, the page is done
//! ```
//! An early return drops the lease, which returns the URL to the frontier.

use std::sync::Arc;

use super::{
    VisitContext,
    fetch::{FetchContext, FetchResult, NoResponse},
    http::is_idempotent,
    readers::{self, Answer, Content, Reading, robots_txt},
    receipt::Receipt,
    redirect::{self, Hop},
};
use crate::{
    clock,
    conduct::Heeded,
    count::Count,
    frontier::{Lease, Leased, candidate::Candidate},
    outcome::{FetchError, Outcome, RedirectBy},
    permit::Permit,
    request::{Kind, Request},
    spider::Spider,
};

/// An ended request with its settled lease.
#[derive(Debug)]
pub struct Visit {
    /// The settled lease.
    pub leased: Leased,
    /// How it ended.
    pub outcome: Outcome,
    /// What the response contained.
    pub content: Content,
    /// The status, bytes and times.
    pub receipt: Receipt,
    /// The cooling that follows if the domain refused or could not be reached; in force already.
    pub heeded: Option<Heeded>,
    /// What middleware and spider count.
    pub counts: Vec<Count>,
    /// Why the spider stops the crawl, if it does.
    pub stop: Option<String>,
}

/// Sends one request and reads its response.
pub async fn visit<S: Spider>(permit: Permit, lease: Lease, context: &VisitContext<S>) -> Visit {
    let request = lease.request();
    let extent = readers::extent(request.kind(), context.body_limits);
    let (may_repeat, attempt) = (is_idempotent(&request.method), lease.attempt());
    let how = FetchContext { extent, may_repeat, attempt, permits: &context.permits };
    let tenancy = permit.tenancy();
    let FetchResult { response, receipt, heeded, cookies_changed, mut counts, .. } =
        context.fetch.fetch(permit, request, how).await;
    let reading = match response {
        Ok(response) => {
            read(Answer { response, elapsed: receipt.elapsed, cookies_changed }, heeded, request, context).await
        }
        Err(NoResponse::Unsent) => Outcome::Unsent.into(),
        Err(NoResponse::Failed(FetchError::Local(fault, detail))) => Outcome::Local(fault, detail).into(),
        Err(NoResponse::Failed(error)) => without_answer(request.kind(), error).into(),
        Err(NoResponse::Ended(outcome)) => ended(request.kind(), *outcome).into(),
    };
    let is_told = request.kind() == Kind::Page && {
        let is_given_up = || tenancy.given_up(clock::now()).is_some();
        let may_repeat = may_repeat || receipt.started.is_none();
        is_for_the_spider(&reading.outcome, || {
            is_given_up() || !may_repeat_again(context, &reading, attempt, may_repeat)
        })
    };
    let reading = if is_told { readers::failure::tell(reading, request, context).await } else { reading };
    let Reading { outcome, content, counts: read, stop } = reading;
    counts.extend(read);
    Visit { leased: lease.settle(), outcome, content, receipt, heeded, counts, stop }
}

/// Interprets a response. Redirects and refusals mean the same for requests of every kind.
async fn read<S: Spider>(
    answer: Answer,
    heeded: Option<Heeded>,
    request: &Arc<Request>,
    context: &VisitContext<S>,
) -> Reading {
    let status = answer.response.status;
    if let Some(to) = redirect::target(status, &answer.response.headers, &request.url)
        && !request.keeps_redirects
    {
        let hop = Hop { status, to: &to, cookies_changed: answer.cookies_changed };
        let identity = &*context.identity;
        let next = match request.kind() {
            Kind::Page => redirect::follow(request, hop, identity, &context.redirects.secret_headers).map(Some),
            // The engine follows it, since other origins may wait for the same file.
            Kind::RobotsTxt => Ok(None),
        };
        let outcome = Outcome::Redirect { status, to, by: RedirectBy::Location };
        return match next {
            Ok(Some(next)) => Reading::redirect(outcome, next, identity),
            Ok(None) => outcome.into(),
            Err(why) => Outcome::from(why).into(),
        };
    }
    if let Some(Heeded { asked, .. }) = heeded {
        return Outcome::Refused { status, retry_after: asked }.into();
    }
    readers::read(answer, request, context).await
}

fn without_answer(kind: Kind, error: FetchError) -> Outcome {
    match kind {
        Kind::Page => Outcome::Fetch(error),
        Kind::RobotsTxt => robots_txt::without_answer(error),
    }
}

/// Tells whether the spider hears of how a request ended: when it is over, and no page came.
fn is_for_the_spider(outcome: &Outcome, is_last: impl FnOnce() -> bool) -> bool {
    match outcome {
        Outcome::Ok | Outcome::Unsent | Outcome::Local(..) | Outcome::Broken(_) => false,
        Outcome::Redirect { .. } => true,
        _ => is_last(),
    }
}

/// Tells whether the engine will make the request again, as far as that can be known here: its domain may be given up
/// meanwhile.
fn may_repeat_again<S: Spider>(
    context: &VisitContext<S>,
    Reading { outcome, .. }: &Reading,
    attempt: u32,
    may_repeat: bool,
) -> bool {
    matches!(outcome, Outcome::Refused { .. }) || context.retry.wait(outcome, attempt, may_repeat, 0.0).is_some()
}

/// A robots file that a middleware refuses could not be had; to its pages it makes no difference why.
fn ended(kind: Kind, outcome: Outcome) -> Outcome {
    match kind {
        Kind::Page => outcome,
        Kind::RobotsTxt => Outcome::Fetch(FetchError::Request(outcome.detail())),
    }
}

impl Visit {
    /// Returns the links found, or the target of a redirect.
    pub fn found(&self) -> &[Candidate] {
        match &self.content {
            Content::Page { found, .. } => found,
            Content::Nothing | Content::RobotsTxt(_) => &[],
        }
    }
}
