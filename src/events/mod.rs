//! Events: what happens in a crawl, for programs that watch it: typed, timed, and as JSON. Knows no engine.
//!
//! [`CrawlHandle::events`](crate::CrawlHandle::events) returns a stream of them. Any number of programs may watch one
//! crawl; nothing is copied while nobody does.

pub(crate) mod event;
mod copied;
pub(crate) mod streams;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::Serialize;

pub(crate) use self::streams::Streams;
pub use self::streams::{BUFFER, CrawlEvents};
use crate::{
    domain::Domain,
    outcome::{DropReason, local_fault::LocalFault},
    report::Ended,
    stats::{Ledger, Outage},
    text::serialized::{as_rfc3339, as_seconds},
};

/// One event of a crawl. As JSON it is one flat object: `{"time": …, "event": "request_ended", "url": …}`.
///
/// ```
/// use actix_crawler::{events::Happened, prelude::*};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
/// let crawl = Crawler::new(titles, "quotesbot/1.0 (+https://example.org/bot)").stay_open().start()?;
/// let mut events = crawl.events();
/// crawl.stop().await;
/// while let Some(event) = events.next().await {
///     if let Happened::CrawlEnded { ended, .. } = &event.what {
///         println!("{ended:?}: {}", serde_json::to_string(&event).unwrap());
///     }
/// }
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CrawlEvent {
    /// When it happened (as JSON: RFC 3339, UTC).
    #[serde(serialize_with = "as_rfc3339")]
    pub time: SystemTime,
    /// What happened.
    #[serde(flatten)]
    pub what: Happened,
}

/// What happened. More kinds may come.
///
/// ```
/// use actix_crawler::events::Happened;
///
/// /// The URLs that are over and brought no page.
/// fn lost(what: &Happened) -> Option<&str> {
///     match what {
///         Happened::RequestEnded(end) if end.is_final && end.outcome != "ok" => Some(&end.url),
///         Happened::Dropped { url, .. } | Happened::Failed { url, .. } => Some(url),
///         _ => None,
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Happened {
    /// Seeds were given; each is then queued or dropped, unless it was seen before.
    Seeded {
        /// How many.
        seeds: u64,
    },
    /// A URL waits in the queue of its domain.
    Queued {
        /// The URL.
        url: Arc<str>,
        /// Its domain.
        domain: Domain,
        /// Number of links from a seed.
        depth: u32,
        /// The page on which it was found; `None` for a seed.
        #[serde(skip_serializing_if = "Option::is_none")]
        found_on: Option<Arc<str>>,
    },
    /// A URL will not be fetched.
    Dropped {
        /// The URL.
        url: Arc<str>,
        /// Its domain.
        domain: Domain,
        /// Why.
        reason: DropReason,
        /// The page on which it was found; `None` for a seed.
        #[serde(skip_serializing_if = "Option::is_none")]
        found_on: Option<Arc<str>>,
    },
    /// A page has more links than are read.
    LinksDropped {
        /// The page.
        url: Arc<str>,
        /// Its domain.
        domain: Domain,
        /// The bound.
        reason: DropReason,
        /// How many links.
        links: u64,
    },
    /// A request was given to a fetcher, with a permit: it is on the wire within milliseconds.
    Requested {
        /// The URL.
        url: Arc<str>,
        /// Its domain.
        domain: Domain,
        /// What is requested.
        resource: Resource,
        /// The number of the attempt, counted from 1.
        attempt: u32,
    },
    /// A request has ended.
    RequestEnded(RequestEnd),
    /// A URL failed for good without another request, such as one of a domain that was given up.
    Failed {
        /// The URL.
        url: Arc<str>,
        /// Its domain.
        domain: Domain,
        /// The outcome in one word, as in the crawl log.
        outcome: &'static str,
        /// Details of the outcome.
        detail: String,
        /// The page on which it was found; `None` for a seed.
        #[serde(skip_serializing_if = "Option::is_none")]
        found_on: Option<Arc<str>>,
    },
    /// The spider has made something of a URL that ends without a page and without a request of its own; how it ends
    /// follows. See [`Spider::failed`](crate::Spider::failed).
    FailureHeard {
        /// The URL.
        url: Arc<str>,
        /// Its domain.
        domain: Domain,
        /// How many items.
        items: u64,
    },
    /// A fetcher panicked on a request, or died with it.
    FetcherLost {
        /// The URL.
        url: Arc<str>,
        /// Its domain.
        domain: Domain,
        /// Whether it was the last attempt.
        is_last: bool,
    },
    /// A domain refused a request or could not be reached, and is left alone for a while.
    Cooled {
        /// The domain.
        domain: Domain,
        /// Why, in words.
        why: String,
        /// For how long, from now on; as JSON in seconds.
        #[serde(serialize_with = "as_seconds", rename = "for_seconds")]
        wait: Duration,
        /// Whether it is given up: everything that waits for it fails.
        gives_up: bool,
    },
    /// A sitemap file was read, whole or in part.
    SitemapRead {
        /// The file.
        url: Arc<str>,
        /// Its domain.
        domain: Domain,
        /// How many pages it lists.
        pages: u64,
        /// How many further files it lists.
        files: u64,
    },
    /// A robots file is known, or known to be out of reach.
    RobotsFile {
        /// The file.
        url: Arc<str>,
        /// `fetched` (also one that is known to be missing), `unreachable`, `too_many_redirects` or `too_many_at_once`.
        result: &'static str,
    },
    /// A robots file asks for more time between requests than is granted.
    CrawlDelayAboveCap {
        /// The domain.
        domain: Domain,
        /// What it asks for; as JSON in seconds.
        #[serde(serialize_with = "as_seconds", rename = "asked_seconds")]
        asked: Duration,
        /// What it gets: [`Politeness::max_crawl_delay`](crate::Politeness::max_crawl_delay).
        #[serde(serialize_with = "as_seconds", rename = "cap_seconds")]
        cap: Duration,
    },
    /// A handle has paused the crawl ([`CrawlHandle::pause`](crate::CrawlHandle::pause)), or some domains
    /// ([`DomainHandle::pause`](crate::handle::DomainHandle::pause)).
    Paused {
        /// The name or pattern of the domains; `None` for the whole crawl.
        #[serde(skip_serializing_if = "Option::is_none")]
        domains: Option<String>,
    },
    /// A handle lets the crawl go on, or some domains.
    Resumed {
        /// The name or pattern of the domains; `None` for the whole crawl.
        #[serde(skip_serializing_if = "Option::is_none")]
        domains: Option<String>,
    },
    /// A handle has cancelled domains: what waits there is dropped
    /// ([`DomainHandle::cancel`](crate::handle::DomainHandle::cancel)).
    Cancelled {
        /// The name or pattern of the domains.
        domains: String,
    },
    /// A fault of this machine holds the crawl up. It costs no attempt.
    OutageBegan {
        /// What is wrong.
        fault: LocalFault,
        /// What the request said that met it first.
        detail: String,
    },
    /// The fault is over.
    OutageEnded {
        /// What was wrong, for how long, and what it held up.
        #[serde(flatten)]
        outage: Outage,
    },
    /// Fetchers died and were replaced.
    FetchersReplaced {
        /// How many.
        fetchers: u64,
    },
    /// This stream has left events out here, because it was not read fast enough.
    LeftOut {
        /// How many.
        events: u64,
    },
    /// The crawl has ended: the last event of each stream.
    CrawlEnded {
        /// How.
        ended: Ended,
        /// Why it failed or was stopped, if that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
        /// Successful pages.
        pages: u64,
        /// Where every URL is.
        ledger: Ledger,
    },
}

/// How a request ended: one line of the crawl log has the same.
///
/// ```
/// use actix_crawler::events::{RequestEnd, Resource};
///
/// /// Pages that took longer than a second, from the writing to the last byte.
/// fn is_slow(end: &RequestEnd) -> bool {
///     end.resource == Resource::Page && end.elapsed.as_secs() >= 1
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RequestEnd {
    /// The URL.
    pub url: Arc<str>,
    /// Its domain.
    pub domain: Domain,
    /// What was requested.
    pub resource: Resource,
    /// The outcome in one word: [`Outcome::key`](crate::Outcome::key).
    pub outcome: &'static str,
    /// Details of the outcome.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The status, if there was a response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The number of the attempt, counted from 1.
    pub attempt: u32,
    /// Whether the URL is done with; otherwise the request is tried again.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Items that the pipelines acknowledged.
    pub items: u64,
    /// Length of the body on the wire, in bytes.
    pub bytes: u64,
    /// From the grant of the permit to the writing of the request; as JSON in seconds.
    #[serde(serialize_with = "as_seconds", rename = "waited_seconds")]
    pub waited: Duration,
    /// From the writing to the last byte; as JSON in seconds.
    #[serde(serialize_with = "as_seconds", rename = "elapsed_seconds")]
    pub elapsed: Duration,
    /// Number of links from a seed.
    pub depth: u32,
    /// The page on which it was found; `None` for a seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_on: Option<Arc<str>>,
}

/// What a request is for.
///
/// ```
/// use actix_crawler::events::Resource;
///
/// assert_eq!(serde_json::to_string(&Resource::RobotsTxt)?, r#""robots_txt""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Resource {
    /// A page.
    Page,
    /// A robots file.
    RobotsTxt,
    /// A sitemap.
    Sitemap,
    /// A file of an item or a page.
    File,
}
