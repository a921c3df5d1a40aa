//! Visit: one request from its permit to its settled lease. Read this file first.
//!
//! ```text
//! permit + lease → response (the permit ends with the last byte)
//!                → a redirect: its target is a request of its own
//!                → a refusal: the domain cools
//!                → else the reader of the request's kind (readers/); for a page:
//!                      parse (off the loop; a panic is an error of this page)
//!                      items to the pipelines, each acknowledged (this waiting is the back-pressure)
//!                → what it brought goes to the engine, with the settled lease: now, and only now, the page is done
//! ```
//! An early return drops the lease, which puts the URL back.

use std::sync::Arc;

use super::{
    VisitContext,
    http::{Answer, is_idempotent},
    readers::{self, Content, Reading, robots_txt},
    receipt::Receipt,
    redirect,
};
use crate::{
    cooling::is_refusal,
    frontier::{Lease, Leased, admission::Candidate},
    outcome::{FetchError, Outcome},
    permit::Permit,
    request::{Kind, Request},
    spider::Spider,
};

/// A request that has ended: what became of it, and what it brought. The lease is settled with it.
#[derive(Debug)]
pub struct Visit {
    /// The settled lease.
    pub leased: Leased,
    /// How it ended.
    pub outcome: Outcome,
    /// What it brought.
    pub content: Content,
    /// What it cost.
    pub receipt: Receipt,
}

/// Makes one request and reads its answer.
pub async fn visit<S: Spider>(permit: Permit, lease: Lease, context: &VisitContext<S>) -> Visit {
    let request = lease.request();
    let extent = readers::extent(request.kind(), context.body_limits);
    let sent = context.http.fetch(permit, request, extent, is_idempotent(&request.method)).await;
    let receipt = sent.receipt();
    let reading = match sent.answer {
        Ok(answer) => read(answer, request, context).await,
        Err(None) => Outcome::Unsent.into(),
        Err(Some(error)) => without_answer(request.kind(), error).into(),
    };
    Visit { leased: lease.settle(), outcome: reading.outcome, content: reading.content, receipt }
}

/// Tells what an answer means. Redirects and refusals mean the same to requests of every kind.
async fn read<S: Spider>(answer: Answer, request: &Arc<Request>, context: &VisitContext<S>) -> Reading {
    let status = answer.status;
    if let Some(to) = redirect::target(status, &answer.headers, &request.url) {
        return match request.kind() {
            Kind::Page => match redirect::follow(request, status, &to, &context.canonical) {
                Ok(next) => {
                    let found = vec![Candidate::new(next, &context.canonical)];
                    Reading { outcome: Outcome::Redirect { status, to }, content: Content::Page { found, items: 0 } }
                }
                Err(outcome) => outcome.into(),
            },
            // The engine follows it: other origins may wait for the same file.
            Kind::RobotsTxt => Outcome::Redirect { status, to }.into(),
        };
    }
    if is_refusal(status) {
        return Outcome::Refused { status, retry_after: answer.retry_after() }.into();
    }
    readers::read(answer, request, context).await
}

fn without_answer(kind: Kind, error: FetchError) -> Outcome {
    match kind {
        Kind::Page => Outcome::Fetch(error),
        Kind::RobotsTxt => robots_txt::without_answer(error),
    }
}

impl Visit {
    /// Returns the links that were found, or the target of a redirect.
    pub fn found(&self) -> &[Candidate] {
        match &self.content {
            Content::Page { found, .. } => found,
            Content::Nothing | Content::RobotsTxt(_) => &[],
        }
    }
}
