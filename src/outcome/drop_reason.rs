//! DropReason: why a URL was discovered but not fetched, as the two words that counts and logs have for it.

use std::fmt;

use serde::{Serialize, Serializer};

/// Why a URL was discovered but not fetched.
///
/// ```
/// use actix_crawler::outcome::DropReason;
///
/// let reason = DropReason::Robots;
/// assert_eq!((reason.key(), reason.detail()), ("robots", "disallowed"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DropReason {
    /// The scheme is not crawled.
    Scheme,
    /// The host is outside the scope.
    Host,
    /// The path is outside the scope.
    Path,
    /// A rule denies it, or no rule allows it.
    Rule,
    /// Too many links away from the seeds.
    Depth,
    /// The URL is too long.
    Length,
    /// The path repeats itself.
    TrapRepetition,
    /// Too many different queries of one path.
    TrapQueries,
    /// The page limit of the crawl or of the domain is reached.
    Budget,
    /// The request limit of the crawl is reached.
    Requests,
    /// The frontier is full.
    QueueFull,
    /// The queue of its domain is full.
    DomainQueueFull,
    /// Its page has more links than are read.
    LinksPerPage,
    /// robots.txt disallows it.
    Robots,
    /// Its domain was cancelled: see [`DomainHandle::cancel`](crate::handle::DomainHandle::cancel).
    Cancelled,
    /// A middleware refused the request.
    Ignored,
    /// A middleware left the response out.
    Skipped,
    /// Its sitemap says that it was last modified before [`Sitemaps::since`](crate::settings::Sitemaps::since).
    SitemapOlder,
    /// Its sitemap gives it a lower priority than [`Sitemaps::min_priority`](crate::settings::Sitemaps::min_priority).
    SitemapPriority,
    /// A rule for entries of sitemaps leaves it out.
    SitemapRule,
    /// A sitemap that too many indexes lead to.
    SitemapNesting,
    /// Its domain has more sitemaps than are read.
    SitemapFiles,
    /// Its sitemap lists more URLs than are read.
    SitemapUrls,
    /// Its sitemap says that it has not changed since it was last fetched.
    Unchanged,
}

impl DropReason {
    /// Returns the word used in logs and counts.
    pub fn key(self) -> &'static str {
        match self {
            Self::Scheme | Self::Host | Self::Path | Self::Rule | Self::Depth | Self::Length => "scope",
            Self::TrapRepetition | Self::TrapQueries => "trap",
            Self::Budget
            | Self::Requests
            | Self::QueueFull
            | Self::DomainQueueFull
            | Self::LinksPerPage
            | Self::SitemapFiles
            | Self::SitemapUrls => "budget",
            Self::Robots => "robots",
            Self::Cancelled => "cancelled",
            Self::Ignored | Self::Skipped => "middleware",
            Self::SitemapOlder | Self::SitemapPriority | Self::SitemapRule | Self::SitemapNesting | Self::Unchanged => {
                "sitemap"
            }
        }
    }

    /// Tells whether the settings of the scope are the reason.
    pub(crate) fn is_by_scope(self) -> bool {
        self.key() == Self::Host.key() || self.key() == Self::TrapQueries.key()
    }

    /// Returns the details of the word.
    pub fn detail(self) -> &'static str {
        match self {
            Self::Scheme => "scheme",
            Self::Host => "host",
            Self::Path => "path",
            Self::Rule | Self::SitemapRule => "rule",
            Self::Depth => "depth",
            Self::Length => "url_length",
            Self::TrapRepetition => "repeating_path",
            Self::TrapQueries => "too_many_queries",
            Self::Budget => "pages",
            Self::Requests => "requests",
            Self::QueueFull => "queue_full",
            Self::DomainQueueFull => "domain_queue_full",
            Self::LinksPerPage => "links_per_page",
            Self::Robots => "disallowed",
            Self::Cancelled => "domain",
            Self::Ignored => "refused",
            Self::Skipped => "skipped",
            Self::SitemapOlder => "older",
            Self::SitemapPriority => "priority",
            Self::SitemapNesting => "nesting",
            Self::SitemapFiles => "sitemap_files",
            Self::SitemapUrls => "urls_per_sitemap",
            Self::Unchanged => "unchanged",
        }
    }
}

/// As in counts: `scope/host`.
impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.key(), self.detail())
    }
}

impl Serialize for DropReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
