//! Stats: the numbers of a crawl, and the ledger that accounts for every URL.

pub(crate) mod count;

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

pub use self::count::Count;
pub use crate::conduct::throttle::Evidence;
use crate::{
    domain::Domain,
    outcome::local_fault::LocalFault,
    text::serialized::{as_optional_seconds, as_rfc3339, as_seconds, from_rfc3339, from_seconds},
};

/// Where every discovered URL is. `discovered` is counted at admission, and the other numbers where the URL goes, so a
/// lost URL makes the equation fail.
///
/// ```
/// use actix_crawler::stats::Ledger;
///
/// let ledger = Ledger { discovered: 10, done: 6, failed: 1, dropped: 1, queued: 2, leased: 0 };
/// assert!(ledger.adds_up());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Distinct URLs that came to admission.
    pub discovered: u64,
    /// Finished successfully: pages, and redirects that were replaced by their targets.
    pub done: u64,
    /// Finished without success, each with its outcome.
    pub failed: u64,
    /// Not fetched, each with its reason.
    pub dropped: u64,
    /// Waiting.
    pub queued: u64,
    /// In a fetcher.
    pub leased: u64,
}

impl Ledger {
    /// Tells whether every URL is accounted for.
    pub fn adds_up(&self) -> bool {
        self.discovered == self.done + self.failed + self.dropped + self.queued + self.leased
    }
}

/// The numbers of a crawl so far.
///
/// ```
/// use actix_crawler::{Report, outcome::DropReason, stats::Count};
///
/// fn print(report: &Report) {
///     let stats = &report.stats;
///     println!("{} pages, {:.1} a second", stats.pages(), stats.pages_per_second());
///     println!("{} disallowed by robots files", stats.count(Count::Dropped(DropReason::Robots)));
///     for (reason, urls) in stats.counts_below("failed") {
///         println!("{urls} failed: {reason}");
///     }
/// }
/// ```
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stats {
    /// The accounts of URLs.
    pub ledger: Ledger,
    /// The counts by their stable keys: `outcome/ok`, `drop/scope/host`, `robots/fetched`, `retry`, …. See [`Count`].
    pub counts: BTreeMap<String, u64>,
    /// The first URL that failed for each reason, as an example to look at.
    pub first_failures: BTreeMap<String, FirstFailure>,
    /// Where most of the redirects led that are counted as `redirects/already_seen`, in this process: up to ten
    /// targets, the most frequent first.
    pub redirects_to_seen: Vec<RedirectTarget>,
    /// Bytes of bodies received on the wire.
    pub bytes: u64,
    /// Items acknowledged by pipelines.
    pub items: u64,
    /// Time since the start.
    #[serde(serialize_with = "as_seconds", rename = "elapsed_seconds")]
    pub elapsed: Duration,
    /// Domains with requests queued or in flight.
    pub domains_active: usize,
    /// Domains that cool because they refused us.
    pub domains_cooling: usize,
    /// What is wrong with this machine, while that holds all requests up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outage: Option<Outage>,
    /// Politeness evidence for each requested domain, up to a bound; see [`Stats::domains_beyond`]. Requests of
    /// [log-ins](crate::sessions#logging-in) in this process are counted too, although they are no part of the crawl's
    /// budget.
    pub domains: BTreeMap<Domain, DomainStats>,
    /// Requested domains beyond the bound.
    pub domains_beyond: u64,
}

/// The progress of a crawl. Its cost does not depend on the number of domains.
///
/// [`CrawlHandle::progress`](crate::CrawlHandle::progress) returns it.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::stats::Progress;
///
/// let progress = Progress { pages: 90, elapsed: Duration::from_secs(30), ..Progress::default() };
/// assert_eq!(progress.pages_per_second(), 3.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The accounts of URLs.
    pub ledger: Ledger,
    /// Successful pages.
    pub pages: u64,
    /// Files downloaded.
    pub files: u64,
    /// Bytes of bodies received on the wire.
    pub bytes: u64,
    /// Items acknowledged by pipelines.
    pub items: u64,
    /// Time since the start.
    #[serde(serialize_with = "as_seconds", deserialize_with = "from_seconds", rename = "elapsed_seconds")]
    pub elapsed: Duration,
    /// Domains with requests queued or in flight.
    pub domains_active: usize,
    /// Domains that cool because they refused us.
    pub domains_cooling: usize,
    /// What is wrong with this machine, while that holds all requests up.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub outage: Option<Outage>,
}

/// A fault of this machine that holds all requests up. It costs them no attempt.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::{outcome::LocalFault, stats::Outage};
///
/// let outage = Outage { fault: LocalFault::Network, lasted: Duration::from_secs(4), requests: 12 };
/// assert_eq!(outage.fault.key(), "network");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Outage {
    /// What is wrong.
    pub fault: LocalFault,
    /// Since when.
    #[serde(serialize_with = "as_seconds", rename = "lasted_seconds")]
    pub lasted: Duration,
    /// Requests that came back for it, and wait again.
    pub requests: u64,
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lasted = humantime::format_duration(Duration::from_secs(self.lasted.as_secs()));
        write!(f, "paused for {lasted}: {}, {} requests returned", self.fault, self.requests)
    }
}

/// A failed URL with details.
///
/// ```
/// use actix_crawler::Report;
///
/// fn print(report: &Report) {
///     for (reason, first) in &report.stats.first_failures {
///         println!("{reason}: first {} ({})", first.url, first.detail);
///     }
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstFailure {
    /// The URL.
    pub url: String,
    /// Details; empty if the reason says everything.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// A URL that failed for good: [`CrawlHandle::failures`](crate::CrawlHandle::failures) tells of the latest.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// async fn print_failures(crawl: &CrawlHandle) -> Result<()> {
///     for failure in crawl.failures(20).await? {
///         println!("{} {} {}", failure.reason, failure.url, failure.detail);
///     }
///     Ok(())
/// }
/// # drop(print_failures);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// When it failed (as JSON: RFC 3339, UTC).
    #[serde(serialize_with = "as_rfc3339", deserialize_with = "from_rfc3339")]
    pub time: SystemTime,
    /// The URL.
    pub url: String,
    /// The reason, as it is counted below `failed`: `status/404`, `parse`, `file/timeout`.
    pub reason: String,
    /// Details, cut after 300 bytes; empty if the reason says everything.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// The most failures that a crawl remembers, the latest: at most about 2 MB, since URLs are at most 2,048 bytes long by
/// default.
pub const MAX_FAILURES_LISTED: usize = 1_000;

/// A URL that redirects led to although it had been fetched, queued or dropped before: a site whose session has expired
/// sends every page to its login.
///
/// ```
/// use actix_crawler::Report;
///
/// fn print_logins(report: &Report) {
///     for target in &report.stats.redirects_to_seen {
///         println!("{} redirects to {}", target.times, target.url);
///     }
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RedirectTarget {
    /// The URL.
    pub url: String,
    /// How many redirects led there, at least.
    pub times: u64,
}

/// The most domains listed individually, about 20 MB.
pub const MAX_DOMAINS_LISTED: usize = 100_000;

/// How one domain was treated, and how it responded.
///
/// ```
/// use actix_crawler::{Domain, Report};
///
/// fn refusals(report: &Report, domain: &str) -> u64 {
///     report.stats.domains.get(&Domain::new(domain)).map_or(0, |domain| domain.refusals)
/// }
/// ```
#[derive(Clone, Debug, Default, Serialize)]
pub struct DomainStats {
    /// Requests of every kind, including robots.txt, redirects and log-ins.
    pub requests: u64,
    /// The least time between two starts, measured as each was written.
    #[serde(serialize_with = "as_optional_seconds", rename = "smallest_gap_seconds")]
    pub smallest_gap: Option<Duration>,
    /// The most requests in flight at once.
    pub most_in_flight: u32,
    /// Further requests that the rate allowed in this process while one waited, because all places in flight
    /// ([`per_domain`](crate::Politeness::per_domain)) were taken; 0 without a rate.
    pub missed: u32,
    /// Successful pages.
    pub pages: u64,
    /// Refusals: 429, 503, and other statuses that asked for a wait.
    pub refusals: u64,
    /// The result of the latest robots file: `rules`; `none`, if there is no file or it has no rule for us;
    /// `could not be had`; with the longest spacing that one of the domain's files asks for, and the cap if that is
    /// less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub robots: Option<String>,
}

impl DomainStats {
    /// Adds the measurements of a throttle.
    pub(crate) fn merge(&mut self, evidence: &Evidence) {
        let Self { requests, smallest_gap, most_in_flight, missed, .. } = *self;
        let mut sum = Evidence { requests, smallest_gap, most_in_flight, missed };
        sum.merge(evidence);
        let Evidence { requests, smallest_gap, most_in_flight, missed } = sum;
        (self.requests, self.smallest_gap, self.most_in_flight, self.missed) =
            (requests, smallest_gap, most_in_flight, missed);
    }
}

impl Stats {
    /// Returns the counts below a key, such as `failed`, largest first.
    pub fn counts_below<'a>(&'a self, key: &'a str) -> Vec<(&'a str, u64)> {
        let below = |(name, count): (&'a String, &u64)| {
            Some((name.strip_prefix(key)?.strip_prefix('/')?, *count)).filter(|(_, count)| *count > 0)
        };
        let mut counts: Vec<_> = self.counts.iter().filter_map(below).collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }

    /// Returns a count by its key, such as `outcome/ok`; 0 if nothing was counted.
    pub fn get(&self, key: &str) -> u64 {
        self.counts.get(key).copied().unwrap_or(0)
    }

    /// Returns a count; 0 if nothing was counted.
    pub fn count(&self, count: Count) -> u64 {
        self.get(&count.to_string())
    }

    /// Returns the evidence of a domain for changing it; `None` beyond the bound.
    pub fn domain(&mut self, domain: &Domain) -> Option<&mut DomainStats> {
        if !self.domains.contains_key(domain) {
            if self.domains.len() >= MAX_DOMAINS_LISTED {
                return None;
            }
            self.domains.insert(domain.clone(), DomainStats::default());
        }
        self.domains.get_mut(domain)
    }

    /// Returns the number of successful pages.
    pub fn pages(&self) -> u64 {
        self.count(Count::PAGES)
    }

    /// Returns the pages per second since the start.
    pub fn pages_per_second(&self) -> f64 {
        per_second(self.pages(), self.elapsed)
    }
}

impl From<&Stats> for Progress {
    fn from(stats: &Stats) -> Self {
        Self {
            ledger: stats.ledger,
            pages: stats.pages(),
            files: stats.count(Count::DOWNLOADED),
            bytes: stats.bytes,
            items: stats.items,
            elapsed: stats.elapsed,
            domains_active: stats.domains_active,
            domains_cooling: stats.domains_cooling,
            outage: stats.outage,
        }
    }
}

impl Progress {
    /// Returns the pages per second since the start.
    pub fn pages_per_second(&self) -> f64 {
        per_second(self.pages, self.elapsed)
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people to read")]
fn per_second(pages: u64, elapsed: Duration) -> f64 {
    pages as f64 / elapsed.as_secs_f64().max(0.001)
}
