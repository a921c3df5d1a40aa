//! Event: what happens in a crawl. The ledger, the counts, the crawl log and the progress are all made from events, and
//! so is whatever else watches a crawl. Plain data: knows not who watches.

use std::time::{Duration, Instant, SystemTime};

use url::Url;

use crate::{
    cooling::Why,
    count::Count,
    domain::Domain,
    fetcher::receipt::Receipt,
    outcome::{DropReason, Outcome},
    request::Request,
};

/// One thing that happened. It borrows what it tells of: a watcher that keeps it makes its own copy.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Seeds were given; each is then queued or dropped, unless it was seen before.
    Seeded {
        /// How many.
        seeds: usize,
    },
    /// A URL was taken into the queue of its domain.
    Queued {
        /// Its domain.
        domain: &'a Domain,
        /// What it was dropped for before, which is undone.
        undone: Option<DropReason>,
    },
    /// A URL will not be fetched.
    Dropped {
        /// What was to be fetched, with its domain; `None` where no crawl log is kept and nobody watches.
        what: Option<(&'a Domain, &'a Request)>,
        /// Why it is not.
        reason: DropReason,
        /// Whether it waited in the queue before; else it was dropped as it came.
        was_queued: bool,
    },
    /// A request was given to a fetcher, with a permit.
    Granted {
        /// Whom it asks.
        domain: &'a Domain,
        /// The request.
        request: &'a Request,
        /// Which attempt this is, counted from 1.
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
        /// Why, in the word of an outcome.
        reason: &'static str,
        /// What there is to say beside the word.
        detail: &'a str,
    },
    /// A fetcher panicked over a request, or died with it.
    FetcherLost {
        /// Whom it asked.
        domain: &'a Domain,
        /// The request.
        request: &'a Request,
        /// Whether it was the last attempt.
        is_last: bool,
    },
    /// A domain refused a request, or could not be reached, and is left alone for a time.
    Cooled {
        /// The domain.
        domain: &'a Domain,
        /// What it did.
        why: Why,
        /// Until when it is left alone.
        until: Instant,
        /// Whether it is given up with this.
        gives_up: bool,
    },
    /// A robots file is known now, or known not to be had. It holds for each origin that waited for it.
    RobotsFile {
        /// Where it was asked for.
        url: &'a Url,
        /// How that ended.
        end: RobotsEnd,
    },
    /// A robots file asks for more time between two starts than the politeness settings grant.
    CrawlDelayAboveCap {
        /// The domain of its origin.
        domain: &'a Domain,
        /// What it asks for.
        asked: Duration,
        /// What it gets.
        cap: Duration,
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
    /// Whom it asked.
    pub domain: &'a Domain,
    /// The request, a page or a robots file by its kind.
    pub request: &'a Request,
    /// Which attempt it was, counted from 1.
    pub attempt: u32,
    /// How it ended.
    pub outcome: &'a Outcome,
    /// What it cost.
    pub receipt: &'a Receipt,
    /// How many items of it the pipelines acknowledged.
    pub items: u64,
    /// What middleware and spider count.
    pub counts: &'a [Count],
    /// What becomes of the request.
    pub fate: Fate,
    /// When the engine heard of it.
    pub time: SystemTime,
}

/// What becomes of a request that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done with, well or badly.
    Final,
    /// It waits for another attempt.
    Again {
        /// Whether this one counts as an attempt: a refusal does not.
        attempted: bool,
    },
    /// Nobody waited for it any more.
    Stale,
}

/// How the search for a robots file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RobotsEnd {
    /// It was had, or is known not to be there.
    Fetched,
    /// It could not be had.
    Unreachable,
    /// Too many redirects led away from it.
    TooManyRedirects,
    /// Too many others were being asked for.
    TooManyAtOnce,
}

/// Watches a crawl. It is called on the scheduler's thread, with each event: it must return within microseconds, and
/// whoever hands events on bounds what waits.
pub trait Subscriber {
    /// Takes note of an event.
    fn note(&mut self, event: &Event<'_>);
}
