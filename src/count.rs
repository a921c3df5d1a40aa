//! Count: what a crawl counts, and the keys that reports and stores use for it. Knows no numbers.

use std::fmt;

use crate::outcome::DropReason;

/// Names a count. Its text is the key in [`Stats::counts`](crate::stats::Stats::counts).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Count {
    /// Requests for pages by how they ended; each attempt counts. The word is that of the outcome.
    Outcome(&'static str),
    /// Answers to requests for pages, by status.
    Status(u16),
    /// URLs that failed for good, by the word of their last outcome.
    Failed(&'static str),
    /// URLs that failed for good with this status.
    FailedStatus(u16),
    /// URLs that were discovered and not fetched.
    Dropped(DropReason),
    /// Further attempts at requests that failed.
    Retry,
    /// Robots files that were had, or are known not to be there.
    RobotsFetched,
    /// Robots files that could not be had.
    RobotsUnreachable,
    /// Robots files that were said to be elsewhere.
    RobotsRedirect,
    /// Answers to requests for robots files, by status.
    RobotsStatus(u16),
    /// Requests for robots files that were not answered, by the word of their outcome.
    RobotsOutcome(&'static str),
    /// Robots files at the end of too many redirects.
    RobotsTooManyRedirects,
    /// Robots files that were not asked for, since too many others were.
    RobotsTooManyAtOnce,
    /// Robots files that ask for more time between two starts than the politeness settings grant.
    CrawlDelayAboveCap,
    /// Domains that were given up.
    DomainGivenUp,
    /// Requests that were lost because their fetcher panicked or died.
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
    /// What the keys of all [`Count::Outcome`] begin with.
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
