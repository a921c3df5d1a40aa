//! Readers: extract what the engine needs from a response, by the kind of its request. A new kind needs a variant of
//! [`Kind`], a file here, and a line in each of the two functions below.

pub mod failure;
pub mod page;
pub mod robots_txt;

use std::{sync::Arc, time::Duration};

use super::VisitContext;
use crate::{
    count::Count,
    extract::Skipped,
    frontier::candidate::Candidate,
    identity::Identity,
    outcome::Outcome,
    request::{Kind, Request},
    robots::RobotsFile,
    spider::Spider,
    transport::{body::BodyLimits, exchange::Extent, raw_response::RawResponse},
};

/// A response with its duration.
pub struct Answer {
    /// The response, its body still in its content codings.
    pub response: RawResponse,
    /// From the writing of the request to the last byte.
    pub elapsed: Duration,
    /// Whether it changed the cookies that are sent.
    pub cookies_changed: bool,
}

/// The result of reading a response.
#[derive(Debug)]
pub struct Reading {
    /// How the request ended.
    pub outcome: Outcome,
    /// What the response contained.
    pub content: Content,
    /// What is to be counted.
    pub counts: Vec<Count>,
    /// Why the spider stops the crawl, if it does.
    pub stop: Option<String>,
}

/// The content of a response, by kind.
#[derive(Debug, Default)]
pub enum Content {
    /// Nothing of use.
    #[default]
    Nothing,
    /// A page.
    Page {
        /// Its links, or the target of its redirect.
        found: Vec<Candidate>,
        /// The number of items that the pipelines acknowledged.
        items: u64,
        /// Which of its links were not read, where the spider asked for links.
        skipped: Skipped,
    },
    /// The rules of a robots file for this crawler.
    RobotsTxt(RobotsFile),
}

impl From<Outcome> for Reading {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, content: Content::Nothing, counts: Vec::new(), stop: None }
    }
}

impl Reading {
    /// The answer sent us elsewhere: `next` is what it led to.
    pub fn redirect(outcome: Outcome, next: Request, identity: &dyn Identity) -> Self {
        let found = vec![Candidate::new(next, identity)];
        Self { content: Content::Page { found, items: 0, skipped: Skipped::default() }, ..outcome.into() }
    }
}

/// Returns how much of a body to read for a kind of request.
pub fn extent(kind: Kind, limits: BodyLimits) -> Extent {
    match kind {
        Kind::Page => page::extent(limits),
        Kind::RobotsTxt => robots_txt::EXTENT,
    }
}

/// Reads a response that is neither a redirect nor a refusal.
pub async fn read<S: Spider>(answer: Answer, request: &Arc<Request>, context: &VisitContext<S>) -> Reading {
    match request.kind() {
        Kind::Page => page::read(answer, request, context).await,
        Kind::RobotsTxt => robots_txt::read(answer.response, context).await,
    }
}
