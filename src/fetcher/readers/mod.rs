//! Readers: what the engine needs of an answer, by the kind of its request. A new kind is a variant of [`Kind`], a file
//! here, and a line in each of the two functions below.

pub mod failure;
pub mod page;
pub mod robots_txt;

use std::{sync::Arc, time::Duration};

use super::VisitContext;
use crate::{
    count::Count,
    frontier::candidate::Candidate,
    outcome::Outcome,
    request::{Kind, Request},
    robots::RobotsFile,
    spider::Spider,
    transport::{body::BodyLimits, exchange::Extent, raw_response::RawResponse},
};

/// A response, and the time from the writing of its request to its last byte.
pub struct Answer {
    /// The response, its body still in its content codings.
    pub response: RawResponse,
    /// The time.
    pub elapsed: Duration,
}

/// What a reader made of an answer.
#[derive(Debug)]
pub struct Reading {
    /// How the request ended.
    pub outcome: Outcome,
    /// What it brought.
    pub content: Content,
    /// What is to be counted.
    pub counts: Vec<Count>,
    /// Why the spider stops the crawl, if it does.
    pub stop: Option<String>,
}

/// What a request brought, beside its outcome.
#[derive(Debug, Default)]
pub enum Content {
    /// Nothing.
    #[default]
    Nothing,
    /// What a page led to.
    Page {
        /// Its links, or the target of its redirect.
        found: Vec<Candidate>,
        /// How many of its items the pipelines acknowledged.
        items: u64,
    },
    /// What a robots file says to this crawler.
    RobotsTxt(RobotsFile),
}

impl From<Outcome> for Reading {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, content: Content::Nothing, counts: Vec::new(), stop: None }
    }
}

/// Returns how much of a body is read.
pub fn extent(kind: Kind, limits: BodyLimits) -> Extent {
    match kind {
        Kind::Page => page::extent(limits),
        Kind::RobotsTxt => robots_txt::EXTENT,
    }
}

/// Reads an answer that is neither a redirect nor a refusal.
pub async fn read<S: Spider>(answer: Answer, request: &Arc<Request>, context: &VisitContext<S>) -> Reading {
    match request.kind() {
        Kind::Page => page::read(answer, request, context).await,
        Kind::RobotsTxt => robots_txt::read(answer.response, context).await,
    }
}
