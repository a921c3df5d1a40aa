//! Explain: where a URL stands in a crawl and why, as a typed value and in words. Knows no engine and no store.
//!
//! [`CrawlHandle::explain`](crate::CrawlHandle::explain) asks a running crawl,
//! [`State::explain`](crate::frontier::windowed::state::State::explain) what a crawl has stored. What is not known, or
//! not any more, is said so: nothing is guessed.

mod words;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::Serialize;

use crate::{
    domain::Domain,
    outcome::{DropReason, local_fault::LocalFault},
    rate::Rate,
    text::serialized::{as_optional_rfc3339, as_optional_seconds, as_seconds},
};

/// Where a URL stands, and why. As text it is a sentence for people, as JSON one object.
///
/// ```
/// use actix_crawler::{explain::Whereabouts, prelude::*};
///
/// /// Asks why a page has not come yet.
/// async fn ask(crawl: &CrawlHandle) -> Result<()> {
///     let explained = crawl.explain("https://example.org/news").await?;
///     println!("{explained}"); // waits 3.240 s: 1/s at example.org; 3 before it
///     if let Whereabouts::Waits(wait) = &explained.stands {
///         println!("{:?} from now at the earliest", wait.forecast);
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The URL in its canonical form, in which it is requested.
    pub url: String,
    /// Its domain.
    pub domain: Domain,
    /// Where it stands.
    #[serde(flatten)]
    pub stands: Whereabouts,
}

/// Where a URL stands.
///
/// ```
/// use actix_crawler::explain::Whereabouts;
///
/// fn is_over(stands: &Whereabouts) -> bool {
///     matches!(stands, Whereabouts::Done(_) | Whereabouts::Failed(_) | Whereabouts::Dropped(_))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "stands", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Whereabouts {
    /// It waits to be requested.
    Waits(Wait),
    /// A fetcher has it, or its result is being stored.
    InFlight {
        /// The number of the attempt, counted from 1.
        attempt: u32,
        /// The page on which it was found; `None` for a seed.
        #[serde(skip_serializing_if = "Option::is_none")]
        found_on: Option<Arc<str>>,
    },
    /// It was fetched, or redirected to another URL.
    Done(End),
    /// It failed for good.
    Failed(End),
    /// It is not fetched.
    Dropped(End),
    /// It was taken in, and is not among the requests that were looked at: it is over, and how is not known any more,
    /// or it waits further behind.
    TakenIn {
        /// Requests of its domain that wait and were not looked at; with 0 it is over.
        not_looked_at: u64,
        /// When it was taken in last, if that is known.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_optional_rfc3339")]
        at: Option<SystemTime>,
    },
    /// The crawl log, which alone was asked, has no line of it: it waits, or was neither found nor seeded.
    NotLogged,
    /// Nothing is known of it: it was neither found nor seeded.
    NeverHeardOf {
        /// Why it would be dropped if it were found now, as far as its URL alone decides.
        #[serde(skip_serializing_if = "Option::is_none")]
        would_be_dropped: Option<DropReason>,
        /// Whether it may have been dropped all the same: a state stores no URL that was dropped where it was found,
        /// and a crawl remembers a million of them.
        may_have_been_dropped: bool,
    },
}

/// How long a URL waits, and for what.
///
/// ```
/// use actix_crawler::explain::{Wait, WaitsFor};
///
/// fn has_to_wait(wait: &Wait) -> bool {
///     wait.reasons.iter().any(|reason| matches!(reason, WaitsFor::CrawlDelay { .. }))
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Wait {
    /// The time until it is requested at the earliest, as things stand: if each request before it starts as soon as the
    /// law allows and is answered at once, and nothing with a higher priority is found. `None` while nothing is
    /// requested at all, or if its place is not known.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_optional_seconds",
        rename = "forecast_seconds"
    )]
    pub forecast: Option<Duration>,
    /// Requests of its domain that go before it; `None` if there are too many to count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead: Option<u64>,
    /// Requests of its domain that wait, this one included.
    pub queued: u64,
    /// Attempts so far.
    pub attempts: u32,
    /// What it waits for, beside those before it.
    pub reasons: Vec<WaitsFor>,
    /// The page on which it was found; `None` for a seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_on: Option<Arc<str>>,
}

/// What a URL waits for, or what will become of it when its turn has come. More may be added.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::explain::WaitsFor;
///
/// let delay = WaitsFor::CrawlDelay { asked: Duration::from_secs(10) };
/// assert_eq!(delay.to_string(), "Crawl-delay 10.0 s");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitsFor {
    /// The limits of its domain.
    Limits {
        /// The domain.
        domain: Domain,
        /// The most starts in a window; `None` without such a limit.
        #[serde(skip_serializing_if = "Option::is_none")]
        rate: Option<Rate>,
        /// The least time between two starts, robots files included.
        #[serde(serialize_with = "as_seconds", rename = "spacing_seconds")]
        spacing: Duration,
    },
    /// The spacing that a robots file of its domain asks for.
    CrawlDelay {
        /// What it asks for; the settings may hold it to less.
        #[serde(serialize_with = "as_seconds", rename = "asked_seconds")]
        asked: Duration,
    },
    /// Its domain has as many requests in flight as it may.
    Full {
        /// How many.
        in_flight: u32,
    },
    /// The crawl has as many requests in flight as it may.
    Concurrency {
        /// How many.
        in_flight: u64,
    },
    /// Its domain refused a request or could not be reached.
    Cools {
        /// Why, in words.
        cause: String,
        /// For how much longer.
        #[serde(serialize_with = "as_seconds", rename = "for_seconds")]
        left: Duration,
    },
    /// Its domain is given up: when its turn comes it fails.
    GivenUp {
        /// Why, in words.
        cause: String,
    },
    /// It may not be requested before: an attempt has failed, or its robots file could not be had.
    NotBefore {
        /// The time until then.
        #[serde(serialize_with = "as_seconds", rename = "in_seconds")]
        left: Duration,
    },
    /// Another attempt: the last one has failed.
    AnotherAttempt {
        /// The outcome of the last one in one word.
        outcome: String,
        /// Details of the outcome.
        #[serde(skip_serializing_if = "String::is_empty")]
        detail: String,
    },
    /// Its robots file, which is being requested.
    RobotsFile,
    /// Its robots file disallows it: when its turn comes it is dropped.
    Disallowed {
        /// The line of the file.
        rule: String,
    },
    /// The limit on pages or requests, of the crawl or of its domain: what is left of it goes to those before it.
    Budget {
        /// How many pages are left.
        left: u64,
    },
    /// The crawl is paused by whoever controls it.
    Paused,
    /// Its domain is paused by whoever controls the crawl.
    DomainPaused,
    /// All places of the [`Capacity`](crate::Capacity) that the crawl shares with others are taken.
    Capacity,
    /// The crawl is stopping: nothing more is requested.
    Stopping,
    /// A fault of this machine holds everything up.
    Outage {
        /// What is wrong.
        fault: LocalFault,
    },
    /// No crawl runs with the state.
    NoCrawl,
}

/// How a URL ended. Its text has no number of attempts:
/// `status, 404, at 2026-02-03T04:05:06Z; found on https://example.org/`.
///
/// ```
/// use actix_crawler::explain::End;
///
/// fn is_by_robots(end: &End) -> bool {
///     end.outcome == "robots/disallowed"
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct End {
    /// The outcome in one word, as in the crawl log; for what was dropped its reason, as in the counts: `scope/host`.
    pub outcome: String,
    /// Details of the outcome.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The number of attempts; 0 if nothing was sent, or if that is not known.
    pub attempts: u32,
    /// When; `None` if that is not known.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_optional_rfc3339")]
    pub at: Option<SystemTime>,
    /// The page on which it was found; `None` for a seed, or if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_on: Option<Arc<str>>,
}
