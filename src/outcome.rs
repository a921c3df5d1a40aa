//! Outcome: how a request ended, as one word with details. Does not know what happens next.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};
use thiserror::Error;
use url::Url;

use crate::local_fault::LocalFault;

/// How a request that was sent, or was to be sent, ended.
///
/// ```
/// use actix_crawler::Outcome;
///
/// let outcome = Outcome::Status(502);
/// assert_eq!((outcome.key(), outcome.detail().as_str()), ("status", "502"));
/// assert_eq!(outcome.to_string(), "status: 502");
/// assert!(outcome.is_transient());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The page was fetched and parsed, its items acknowledged and its links stored.
    Ok,
    /// The status is neither success nor redirect.
    Status(u16),
    /// A redirect; the target becomes a request of its own.
    Redirect {
        /// The status of the answer.
        status: u16,
        /// The target.
        to: Url,
        /// By what the answer says so.
        by: RedirectBy,
    },
    /// A redirect that leads back, or the twenty-first in a row.
    RedirectLoop(String),
    /// The domain refused us for now (429, 503, or another status that asks for a wait): the request waits, and its
    /// retries are unaffected.
    Refused {
        /// The status of the answer.
        status: u16,
        /// The wait that the response asked for.
        retry_after: Option<Duration>,
    },
    /// No complete response came.
    Fetch(FetchError),
    /// The spider returned an error.
    Parse(String),
    /// The spider panicked, or the fetcher did.
    Panic(String),
    /// A pipeline refused an item, panicked, or did not answer.
    Pipeline(String),
    /// A pipeline's output is gone, or the archive: the page stays queued, and the crawl stops as failed.
    Broken(String),
    /// A middleware refused the request before it was sent: its URL is dropped.
    Ignored {
        /// The middleware's name.
        by: &'static str,
        /// Why.
        why: String,
    },
    /// A middleware left the response out: its URL is dropped.
    Skipped {
        /// The middleware's name.
        by: &'static str,
        /// Why.
        why: String,
    },
    /// A middleware, or the spider, asked for another attempt. It fails where the attempts are used up.
    Retry {
        /// The middleware's name, or `spider`.
        by: &'static str,
        /// Why.
        why: String,
        /// How long to wait.
        after: Duration,
    },
    /// A file is of a type that is not wanted.
    FileType(String),
    /// A middleware did not return in time, or changed what it may not change.
    Middleware(String),
    /// It was not made, since the robots file of its origin disallows it: its URL is dropped.
    Disallowed,
    /// It failed without a request, as others did: its domain is given up, or its robots file cannot be had.
    WithoutRequest {
        /// The word for how the others failed.
        key: &'static str,
        /// Details.
        detail: String,
    },
    /// The request was not sent: its domain cools, or the crawl is stopping.
    Unsent,
    /// This machine cannot send it, or lost its network before the answer came: the request waits, and its retry budget is
    /// untouched.
    Local(LocalFault, String),
}

impl fmt::Display for Outcome {
    /// Writes the word and the details, such as `status: 404`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail() {
            detail if detail.is_empty() => f.write_str(self.key()),
            detail => write!(f, "{}: {detail}", self.key()),
        }
    }
}

impl Outcome {
    /// Returns the word used in logs and counts.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Status(_) => "status",
            Self::Redirect { .. } => "redirect",
            Self::RedirectLoop(_) => "redirect_loop",
            Self::Refused { .. } => "refused",
            Self::Fetch(error) => error.key(),
            Self::Parse(_) => "parse",
            Self::Panic(_) => "panic",
            Self::Pipeline(_) => "pipeline",
            Self::Broken(_) => "broken",
            Self::Ignored { .. } => "ignored",
            Self::Skipped { .. } => "skipped",
            Self::Retry { .. } => "retry",
            Self::FileType(_) => "file_type",
            Self::Middleware(_) => "middleware",
            Self::Disallowed => DropReason::Robots.key(),
            Self::WithoutRequest { key, .. } => key,
            Self::Unsent => "unsent",
            Self::Local(..) => "local",
        }
    }

    /// Returns the details; empty if there are none.
    pub fn detail(&self) -> String {
        match self {
            Self::Ok | Self::Unsent => String::new(),
            Self::Disallowed => DropReason::Robots.detail().to_owned(),
            Self::Redirect { status, to, by: RedirectBy::Location } => format!("{status} {to}"),
            Self::Redirect { status, to, by: RedirectBy::Refresh } => format!("{status} refresh {to}"),
            Self::Refused { status, retry_after: Some(wait) } => {
                format!("{status}, retry after {}", humantime::format_duration(*wait))
            }
            Self::Status(status) | Self::Refused { status, retry_after: None } => status.to_string(),
            Self::Fetch(error) => error.to_string(),
            Self::Local(fault, detail) => format!("{fault}: {detail}"),
            Self::RedirectLoop(what)
            | Self::Parse(what)
            | Self::Panic(what)
            | Self::Pipeline(what)
            | Self::FileType(what)
            | Self::Middleware(what)
            | Self::WithoutRequest { detail: what, .. }
            | Self::Broken(what) => what.clone(),
            Self::Ignored { by, why } | Self::Skipped { by, why } | Self::Retry { by, why, .. } => {
                format!("{by}: {why}")
            }
        }
    }

    /// Returns why the URL counts as dropped, if it does.
    pub fn dropped(&self) -> Option<DropReason> {
        match self {
            Self::Ignored { .. } => Some(DropReason::Ignored),
            Self::Skipped { .. } => Some(DropReason::Skipped),
            Self::Disallowed => Some(DropReason::Robots),
            _ => None,
        }
    }

    /// Tells whether a request that ends so has brought no page, and not for a reason of this crawl's own.
    pub(crate) fn is_without_page(&self) -> bool {
        !matches!(self, Self::Ok | Self::Unsent | Self::Local(..) | Self::Broken(_))
    }

    /// Tells whether a retry may succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            // 408 Request Timeout, 425 Too Early (RFC 8470), 500, 502 Bad Gateway, 504 Gateway Timeout; 520 to 524 are
            // Cloudflare's, for an origin server that responds wrongly, late, or not at all.
            Self::Status(status) => matches!(status, 408 | 425 | 500 | 502 | 504 | 520..=524),
            Self::Fetch(error) => error.is_transient(),
            _ => false,
        }
    }
}

/// By what an answer redirects.
///
/// ```
/// use actix_crawler::{Outcome, RedirectBy};
///
/// let moved = Outcome::Redirect { status: 200, to: "https://example.org/new".parse().unwrap(), by: RedirectBy::Refresh };
/// assert_eq!(moved.detail(), "200 refresh https://example.org/new");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectBy {
    /// By its status and its `Location` header.
    Location,
    /// By a page that sends its readers on: the `Refresh` header, or `<meta http-equiv=refresh>`.
    Refresh,
}

/// Why there is no complete response.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::{FetchError, Phase};
///
/// let error = FetchError::Timeout { phase: Phase::Head, limit: Duration::from_secs(30) };
/// assert_eq!(error.to_string(), "no response head within 30s");
/// assert_eq!(error.key(), "timeout");
/// assert!(error.is_transient() && !error.is_unreachable());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The name has no address, or the look-up failed.
    #[error("{0}")]
    Dns(String),
    /// No connection was established.
    #[error("{0}")]
    Connect(String),
    /// The proxy failed, rather than the site.
    #[error("{0}")]
    Proxy(String),
    /// The TLS handshake failed.
    #[error("{0}")]
    Tls(String),
    /// A time-out.
    #[error("no {phase} within {}", humantime::format_duration(*limit))]
    Timeout {
        /// What was waited for.
        phase: Phase,
        /// The time-out that was exceeded.
        limit: Duration,
    },
    /// The server violated HTTP.
    #[error("{0}")]
    Protocol(String),
    /// The connection ended before the response did.
    #[error("{0}")]
    Truncated(String),
    /// The body exceeds the limit.
    #[error("{0}")]
    TooLarge(String),
    /// The body's content coding is invalid.
    #[error("{0}")]
    Decode(String),
    /// The address must not be connected to.
    #[error("{0}")]
    PrivateAddress(String),
    /// The request cannot be written as HTTP.
    #[error("{0}")]
    Request(String),
    /// This machine is at fault, not the server, which was not asked or cannot be heard: what is wrong, and the detail.
    #[error("{0}: {1}")]
    Local(LocalFault, String),
    /// The crawl is replayed, and this request was not recorded.
    #[error("{0}")]
    NotRecorded(String),
    /// There is no session to send it in: there are too many, or its log-in failed. See [`sessions`](crate::sessions).
    #[error("{0}")]
    Session(String),
}

/// What a time-out waited for.
///
/// ```
/// use actix_crawler::Phase;
///
/// assert_eq!(Phase::Tls.to_string(), "TLS handshake");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// An address.
    Dns,
    /// A connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The head of the response.
    Head,
    /// The next bytes of the body.
    Idle,
    /// Enough bytes within a window.
    MinimumRate,
    /// The whole response.
    Whole,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "address",
            Self::Connect => "connection",
            Self::Tls => "TLS handshake",
            Self::Head => "response head",
            Self::Idle => "further bytes",
            Self::MinimumRate => "sufficient bytes",
            Self::Whole => "whole response",
        })
    }
}

impl FetchError {
    /// Returns the word used in logs and counts.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns",
            Self::Connect(_) => "connect",
            Self::Proxy(_) => "proxy",
            Self::Tls(_) => "tls",
            Self::Timeout { .. } => "timeout",
            Self::Protocol(_) => "protocol",
            Self::Truncated(_) => "truncated",
            Self::TooLarge(_) => "too_large",
            Self::Decode(_) => "decode",
            Self::PrivateAddress(_) => "private_address",
            Self::Request(_) => "request",
            Self::Local(..) => "local",
            Self::NotRecorded(_) => "not_recorded",
            Self::Session(_) => "session",
        }
    }

    /// Tells whether a retry may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Dns(_)
                | Self::Connect(_)
                | Self::Proxy(_)
                | Self::Timeout { .. }
                | Self::Truncated(_)
                | Self::Local(..)
        )
    }

    /// Tells whether the server was unreachable.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Dns(_) | Self::Connect(_) | Self::Timeout { phase: Phase::Dns | Phase::Connect, .. })
    }
}

/// Why a URL was discovered but not fetched.
///
/// ```
/// use actix_crawler::DropReason;
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
    /// Its domain was cancelled: see [`DomainHandle::cancel`](crate::DomainHandle::cancel).
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
