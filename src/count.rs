//! Count: what a crawl counts, and the keys that reports and stores use for it. Knows no numbers.

use std::fmt;

use crate::{local_fault::LocalFault, outcome::DropReason};

/// A count. Its text is the key in [`Stats::counts`](crate::stats::Stats::counts).
///
/// ```
/// use actix_crawler::{DropReason, stats::Count};
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
    /// Redirects by a page that sends its readers on ([`RedirectBy::Refresh`](crate::RedirectBy::Refresh)).
    RedirectByRefresh,
    /// Redirects that led to a URL which was fetched, queued or dropped before: what their own URLs once showed, nobody
    /// will see.
    RedirectAlreadySeen,
    /// Robots files that were fetched, or are known to be missing.
    RobotsFetched,
    /// Unreachable robots files.
    RobotsUnreachable,
    /// Redirects of robots files.
    RobotsRedirect,
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
    /// What a middleware decided, by its name: `refused`, `skipped`, `retried`, `cooled`, `panicked` or `failed`.
    Middleware(&'static str, &'static str),
    /// What the spider counts, by its own names.
    Spider(&'static str),
    /// Items that a pipeline left out.
    ItemDropped,
}

impl Count {
    /// The prefix of all [`Count::Outcome`] keys.
    pub const OUTCOMES: &'static str = "outcome/";
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome(word) => write!(f, "outcome/{word}"),
            Self::Status(status) => write!(f, "status/{status}"),
            Self::Failed(word) => write!(f, "failed/{word}"),
            Self::FailedStatus(status) => write!(f, "failed/status/{status}"),
            Self::Dropped(reason) => write!(f, "drop/{}/{}", reason.key(), reason.detail()),
            Self::Retry => f.write_str("retry"),
            Self::RedirectByRefresh => f.write_str("redirects/refresh"),
            Self::RedirectAlreadySeen => f.write_str("redirects/already_seen"),
            Self::Local(fault) => write!(f, "local/{}", fault.key()),
            Self::RobotsFetched => f.write_str("robots/fetched"),
            Self::RobotsUnreachable => f.write_str("robots/unreachable"),
            Self::RobotsRedirect => f.write_str("robots/redirect"),
            Self::RobotsStatus(status) => write!(f, "robots/status/{status}"),
            Self::RobotsOutcome(word) => write!(f, "robots/{word}"),
            Self::RobotsTooManyRedirects => f.write_str("robots/too_many_redirects"),
            Self::RobotsTooManyAtOnce => f.write_str("robots/too_many_at_once"),
            Self::CrawlDelayAboveCap => f.write_str("robots/crawl_delay_above_cap"),
            Self::DomainGivenUp => f.write_str("domain/given_up"),
            Self::FetcherLost => f.write_str("fetcher/lost"),
            Self::FetcherReplaced => f.write_str("fetcher/replaced"),
            Self::Middleware(name, what) => write!(f, "middleware/{name}/{what}"),
            Self::Spider(name) => write!(f, "spider/{name}"),
            Self::ItemDropped => f.write_str("items/dropped"),
        }
    }
}
