//! Count: what a crawl counts, and the keys that reports and stores use for it. Knows no numbers.

use std::{collections::BTreeMap, fmt};

use crate::outcome::{DropReason, Outcome, local_fault::LocalFault};

/// A count. Its text is the key in [`Stats::counts`](crate::stats::Stats::counts).
///
/// ```
/// use actix_crawler::{outcome::DropReason, stats::Count};
///
/// assert_eq!(Count::Outcome("ok").to_string(), "outcome/ok");
/// assert_eq!(Count::Dropped(DropReason::Depth).to_string(), "drop/scope/depth");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Count {
    /// Requests for pages by outcome; each attempt counts.
    Outcome(&'static str),
    /// Responses to requests for pages, by status.
    Status(u16),
    /// URLs that failed for good, by their last outcome.
    Failed(&'static str),
    /// URLs that failed for good with this status.
    FailedStatus(u16),
    /// URLs that were discovered and dropped.
    Dropped(DropReason),
    /// Retries of failed requests.
    Retry,
    /// Requests that came back for a fault of this machine, by that.
    Local(LocalFault),
    /// Redirects by a page with a short refresh ([`RedirectBy::Refresh`](crate::outcome::RedirectBy::Refresh)).
    RedirectByRefresh,
    /// Redirects to a URL that was fetched, queued or dropped before: the former content of their own URLs is lost.
    RedirectAlreadySeen,
    /// Robots files that were fetched, or are known to be missing.
    RobotsFetched,
    /// Unreachable robots files.
    RobotsUnreachable,
    /// Redirects of robots files.
    RobotsRedirect,
    /// Pages by how they have changed since their last visit: `first_visit`, `changed`, `unchanged`; and
    /// `not_remembered`, where visits of too many others are.
    Recrawl(&'static str),
    /// Sitemap files by how they ended: `read`, `missing` (where nobody had named one), `redirect`, `failed`; and
    /// `urls`, the pages that they list, and `unreadable`, their entries without a URL that can be read.
    Sitemaps(&'static str),
    /// Sitemap files that failed for good, by their last outcome.
    FailedSitemap(&'static str),
    /// Files by how they ended: `downloaded`; `not_modified`, as the server said of one that is there; `redirect`,
    /// `failed`; and `not_requested`, of those that are there and young enough, `other_type`, of downloaded ones that
    /// are not what the server said.
    Files(&'static str),
    /// Files that failed for good, by their last outcome.
    FailedFile(&'static str),
    /// Items that lack a file.
    ItemIncomplete,
    /// Responses to requests for robots files, by status.
    RobotsStatus(u16),
    /// Requests for robots files without a response, by outcome.
    RobotsOutcome(&'static str),
    /// Robots files with too many redirects.
    RobotsTooManyRedirects,
    /// Robots files not requested, because too many others were pending.
    RobotsTooManyAtOnce,
    /// Robots files whose Crawl-delay exceeds the politeness settings' cap.
    CrawlDelayAboveCap,
    /// Domains that were given up.
    DomainGivenUp,
    /// Requests lost because their fetcher panicked or died.
    FetcherLost,
    /// Fetchers that died and were replaced.
    FetcherReplaced,
    /// What a middleware decided, by its name: `refused`, `skipped`, `retried`, `cooled`, `refused_session`, `panicked`
    /// or `failed`.
    Middleware(&'static str, &'static str),
    /// Answers that refused their session.
    SessionRefused,
    /// What the spider counts, by its own names.
    Spider(&'static str),
    /// Items that a pipeline left out.
    ItemDropped,
    /// Those of them that were left out for this reason.
    ItemDroppedAs(&'static str),
    /// Items that a feed did not get, since it is of others ([`Feed::only`](crate::feed::Feed::only),
    /// [`Feed::types`](crate::feed::Feed::types)); each feed counts.
    ItemNotForFeed,
    /// Items that were found invalid and left out.
    ItemInvalid,
    /// Responses that are missing in the recording, since they could not be written.
    NotRecorded,
    /// Responses that could not be written to the cache.
    NotCached,
}

impl Count {
    /// The prefix of all [`Count::Outcome`] keys.
    pub const OUTCOMES: &'static str = "outcome/";

    /// Pages that were fetched and parsed.
    pub(crate) const PAGES: Self = Self::Outcome("ok");

    /// Files that were downloaded.
    pub(crate) const DOWNLOADED: Self = Self::Files("downloaded");

    /// Sitemaps that are missing at a usual place that nobody had named.
    pub(crate) const SITEMAP_MISSING: Self = Self::Sitemaps("missing");

    /// The spider's `failed` panicked or did not return.
    pub(crate) const NOT_HEARD: Self = Self::Spider("failed_did_not_return");
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome(word) => write!(f, "outcome/{word}"),
            Self::Status(status) => write!(f, "status/{status}"),
            Self::Failed(word) => write!(f, "failed/{word}"),
            Self::FailedStatus(status) => write!(f, "failed/status/{status}"),
            Self::Dropped(reason) => write!(f, "drop/{reason}"),
            Self::Retry => f.write_str("retry"),
            Self::RedirectByRefresh => f.write_str("redirects/refresh"),
            Self::RedirectAlreadySeen => f.write_str("redirects/already_seen"),
            Self::Local(fault) => write!(f, "local/{}", fault.key()),
            Self::RobotsFetched => f.write_str("robots/fetched"),
            Self::RobotsUnreachable => f.write_str("robots/unreachable"),
            Self::RobotsRedirect => f.write_str("robots/redirect"),
            Self::Recrawl(what) => write!(f, "recrawl/{what}"),
            Self::Sitemaps(what) => write!(f, "sitemaps/{what}"),
            Self::FailedSitemap(word) => write!(f, "failed/sitemap/{word}"),
            Self::Files(what) => write!(f, "files/{what}"),
            Self::FailedFile(word) => write!(f, "failed/file/{word}"),
            Self::ItemIncomplete => f.write_str("items/incomplete"),
            Self::RobotsStatus(status) => write!(f, "robots/status/{status}"),
            Self::RobotsOutcome(word) => write!(f, "robots/{word}"),
            Self::RobotsTooManyRedirects => f.write_str("robots/too_many_redirects"),
            Self::RobotsTooManyAtOnce => f.write_str("robots/too_many_at_once"),
            Self::CrawlDelayAboveCap => f.write_str("robots/crawl_delay_above_cap"),
            Self::DomainGivenUp => f.write_str("domain/given_up"),
            Self::FetcherLost => f.write_str("fetcher/lost"),
            Self::FetcherReplaced => f.write_str("fetcher/replaced"),
            Self::Middleware(name, what) => write!(f, "middleware/{name}/{what}"),
            Self::SessionRefused => f.write_str("sessions/refused"),
            Self::Spider(name) => write!(f, "spider/{name}"),
            Self::ItemDropped => f.write_str("items/dropped"),
            Self::ItemDroppedAs(reason) => write!(f, "items/dropped/{reason}"),
            Self::ItemNotForFeed => f.write_str("items/not_for_feed"),
            Self::ItemInvalid => f.write_str("items/invalid"),
            Self::NotRecorded => f.write_str("responses/not_recorded"),
            Self::NotCached => f.write_str("responses/not_cached"),
        }
    }
}

/// Returns how many requests for pages and sitemaps have ended that were made, by counts under their keys.
pub(crate) fn requests_in(counts: &BTreeMap<String, u64>) -> u64 {
    let is_of_a_request =
        |key: &str| key.strip_prefix(Count::OUTCOMES).is_some_and(|outcome| !Outcome::UNASKED.contains(&outcome));
    counts.iter().filter(|(key, _)| is_of_a_request(key)).map(|(_, count)| count).sum()
}
