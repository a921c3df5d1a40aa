//! Event: what happens in a crawl. The ledger, the counts, the crawl log and the progress are all derived from events,
//! and those who watch see the same ones, as [`events`](crate::events). Plain data: does not know its readers.

use std::time::{Duration, Instant, SystemTime};

use url::Url;

use crate::{
    conduct::cooling::CoolingCause,
    domain::Domain,
    fetcher::receipt::Receipt,
    outcome::{DropReason, Outcome, local_fault::LocalFault},
    request::Request,
    stats::{Outage, count::Count},
};

/// One event. It borrows its data; who keeps it makes a copy.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Seeds were given; each is then queued or dropped, unless it was seen before.
    Seeded {
        /// How many.
        seeds: usize,
    },
    /// A URL was added to the queue of its domain.
    Queued {
        /// Its domain.
        domain: &'a Domain,
        /// The request; `None` if there is no crawl log and nobody watches.
        request: Option<&'a Request>,
        /// The reason for which it was dropped before, which this reverses.
        undone: Option<DropReason>,
    },
    /// A URL will not be fetched.
    Dropped {
        /// The request with its domain; `None` if there is no crawl log and nobody watches.
        what: Option<(&'a Domain, &'a Request)>,
        /// The reason.
        reason: DropReason,
        /// Whether it had been queued; otherwise it was dropped on arrival.
        was_queued: bool,
    },
    /// Links of a page will not be fetched, because a bound cut them off before they were told apart.
    LinksDropped {
        /// The domain of the page.
        domain: &'a Domain,
        /// The page.
        page: &'a Request,
        /// Which bound.
        reason: DropReason,
        /// How many different references.
        links: u64,
    },
    /// A request was given to a fetcher, with a permit.
    Granted {
        /// The domain of the request.
        domain: &'a Domain,
        /// The request.
        request: &'a Request,
        /// The number of this attempt, counted from 1.
        attempt: u32,
    },
    /// A request has ended.
    RequestEnded(RequestEnded<'a>),
    /// A URL failed for good without another request.
    Failed {
        /// Its domain.
        domain: &'a Domain,
        /// What was to be fetched.
        request: &'a Request,
        /// The outcome that it counts as.
        reason: &'static str,
        /// Details.
        detail: &'a str,
    },
    /// The spider has made something of a URL that ends without a page and without a request that tells of it. How it
    /// ends follows.
    Heard {
        /// Its domain.
        domain: &'a Domain,
        /// What was to be fetched.
        request: &'a Request,
        /// The number of the items that the pipelines acknowledged.
        items: u64,
        /// What the spider counts.
        counts: &'a [Count],
    },
    /// A fetcher panicked on a request, or died with it.
    FetcherLost {
        /// The domain of the request.
        domain: &'a Domain,
        /// The request.
        request: &'a Request,
        /// Whether it was the last attempt.
        is_last: bool,
    },
    /// A domain refused a request or could not be reached, and cools.
    Cooled {
        /// The domain.
        domain: &'a Domain,
        /// The cause.
        why: CoolingCause,
        /// The end of the cooling.
        until: Instant,
        /// Whether the domain is given up.
        gives_up: bool,
    },
    /// A sitemap file was read, whole or in part. Its pages are then queued or dropped, unless they were seen before.
    SitemapRead {
        /// The domain of the file.
        domain: &'a Domain,
        /// The file.
        file: &'a Request,
        /// How many pages it lists.
        pages: u64,
        /// How many further files it lists.
        files: u64,
        /// How many of its entries have no URL that can be read.
        unreadable: u64,
    },
    /// A robots file is now known, or known to be unreachable. This applies to each origin that waited for it.
    RobotsFile {
        /// The requested URL.
        url: &'a Url,
        /// The result.
        end: RobotsEnd,
    },
    /// A robots file's Crawl-delay exceeds the politeness settings' cap.
    CrawlDelayAboveCap {
        /// The domain of its origin.
        domain: &'a Domain,
        /// The delay that it asks for.
        asked: Duration,
        /// The cap, which applies.
        cap: Duration,
    },
    /// A handle has paused the crawl, or the domains that a pattern matches.
    Paused {
        /// The pattern.
        domains: Option<&'a str>,
    },
    /// A handle lets the crawl go on, or these domains.
    Resumed {
        /// The pattern.
        domains: Option<&'a str>,
    },
    /// A handle has cancelled the domains that a pattern matches.
    Cancelled {
        /// The pattern.
        domains: &'a str,
    },
    /// The crawl is held up: this machine is at fault. What comes back for that waits, and no attempt is counted.
    OutageBegan {
        /// What is wrong.
        fault: LocalFault,
        /// What the request said that met it first.
        detail: &'a str,
    },
    /// The crawl goes on: a request went out again.
    OutageEnded {
        /// What was wrong, for how long, and what it held up.
        outage: Outage,
    },
    /// Fetchers died and were replaced.
    FetchersReplaced {
        /// How many.
        fetchers: u64,
    },
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct RequestEnded<'a> {
    /// The domain of the request.
    pub domain: &'a Domain,
    /// The request, a page, a robots file or a sitemap by its kind.
    pub request: &'a Request,
    /// The number of the attempt, counted from 1.
    pub attempt: u32,
    /// How it ended.
    pub outcome: &'a Outcome,
    /// What it cost: status, bytes and times.
    pub receipt: &'a Receipt,
    /// The number of its items that the pipelines acknowledged.
    pub items: u64,
    /// What middleware and spider count.
    pub counts: &'a [Count],
    /// Whether it is a redirect to a URL that was fetched, queued or dropped before.
    pub is_redirect_to_seen: bool,
    /// What happens to the request next.
    pub fate: Fate,
    /// When the engine handled it.
    pub time: SystemTime,
}

/// What happens next to a request that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is finished, successfully or not.
    Final,
    /// It will be retried.
    Again {
        /// Whether this counted as an attempt: a refusal does not.
        attempted: bool,
    },
    /// Its result was no longer needed.
    Stale,
}

/// The result of looking for a robots file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RobotsEnd {
    /// It was fetched, or is known to be missing.
    Fetched,
    /// It is unreachable.
    Unreachable,
    /// There were too many redirects.
    TooManyRedirects,
    /// Too many other requests for robots files were pending.
    TooManyAtOnce,
}
