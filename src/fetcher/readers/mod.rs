//! Readers: extract what the engine needs from a response, by the kind of its request. A new kind needs a variant of
//! [`Kind`], a file here, and a line in each of the two functions below.

pub mod failure;
pub mod file;
pub mod page;
pub mod robots_txt;
pub mod sitemap;

use std::{sync::Arc, time::Duration};

use url::Url;

use self::file::Receiving;
use super::{VisitContext, redirect};
use crate::{
    extract::Skipped,
    frontier::candidate::Candidate,
    identity::Identity,
    outcome::{DropReason, Outcome},
    recrawl::page_visit::PageVersion,
    request::{Kind, Request},
    robots::RobotsFile,
    sessions::Session,
    spider::Spider,
    stats::count::Count,
    transport::{exchange::Extent, raw_response::RawResponse},
};

/// A response with its duration.
pub struct TimedResponse {
    /// The response, its body still in its content codings.
    pub response: RawResponse,
    /// From the writing of the request to the last byte.
    pub elapsed: Duration,
    /// Whether it changed the cookies that are sent.
    pub cookies_changed: bool,
    /// The session that it was asked for in.
    pub session: Option<Session>,
    /// The URL that it was asked for by, if a middleware has changed that of the request.
    pub sent_to: Option<Url>,
}

impl TimedResponse {
    /// Returns where it redirects to, if it does. A relative target is one of the URL that was sent (RFC 9110 §10.2.2).
    pub fn redirect_target(&self, request: &Request) -> Option<Url> {
        let sent_to = self.sent_to.as_ref().unwrap_or(&request.url);
        redirect::target(self.response.status, &self.response.headers, sent_to)
    }

    /// Returns the session of the pool that it was asked for in, if it was.
    pub fn pooled(&self) -> Option<&str> {
        self.session.as_ref().filter(|session| session.is_pooled()).map(Session::name)
    }
}

/// The result of reading a response.
#[derive(Debug)]
pub struct Reading {
    /// How the request ended.
    pub outcome: Outcome,
    /// What the response contained.
    pub content: Extracted,
    /// What is to be counted.
    pub counts: Vec<Count>,
    /// Why the spider stops the crawl, if it does.
    pub stop: Option<String>,
}

/// The content of a response, by kind.
#[derive(Debug, Default)]
pub enum Extracted {
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
        /// What it is like, if that is to be compared with earlier or later versions.
        version: Option<PageVersion>,
    },
    /// The rules of a robots file for this crawler.
    RobotsTxt(RobotsFile),
    /// A sitemap, whole or in part. What it lists is in the frontier already.
    Sitemap {
        /// How many pages it lists.
        pages: u64,
        /// How many sitemaps it lists.
        files: u64,
        /// How many of its entries have no URL that can be read.
        unreadable: u64,
        /// How many of them were left out, by reason.
        left_out: Vec<(DropReason, u64)>,
    },
}

impl From<Outcome> for Reading {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, content: Extracted::Nothing, counts: Vec::new(), stop: None }
    }
}

impl Reading {
    /// The response is a redirect, and `next` the request that follows it.
    pub fn redirect(outcome: Outcome, next: Request, identity: &dyn Identity) -> Self {
        let found = vec![Candidate::new(next, identity)];
        Self {
            content: Extracted::Page { found, items: 0, skipped: Skipped::default(), version: None },
            ..outcome.into()
        }
    }
}

/// Returns how much of a body to read for a kind of request.
pub fn extent<S: Spider>(kind: Kind, context: &VisitContext<S>) -> Extent {
    match kind {
        Kind::Page => page::extent(context.rules.body_limits),
        Kind::RobotsTxt => robots_txt::EXTENT,
        Kind::Sitemap(_) => sitemap::extent(&context.sitemaps.settings),
        Kind::File => file::extent(context.files.store.as_ref().map_or(0, |store| store.settings().max_size)),
    }
}

/// Reads a response that is neither a redirect nor a refusal.
pub async fn read<S: Spider>(
    answer: Box<TimedResponse>,
    file: Option<Receiving>,
    request: &Arc<Request>,
    context: &VisitContext<S>,
) -> Reading {
    // All kinds but the usual one are boxed, so that they take no room in each page in flight.
    match request.kind() {
        Kind::Page => page::read(answer, request, context).await,
        Kind::RobotsTxt => Box::pin(robots_txt::read(answer.response, context)).await,
        Kind::Sitemap(file) => Box::pin(sitemap::read(*answer, request, file, context)).await,
        Kind::File => match file {
            Some(file) => Box::pin(file.finish(answer.response, context)).await,
            None => Outcome::Unsent.into(),
        },
    }
}
