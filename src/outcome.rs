//! Outcome: how a request ended, in one word and its detail. Knows nothing of what happens next.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};
use thiserror::Error;
use url::Url;

/// How a request that was sent, or was to be sent, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The page was fetched and parsed, its items are acknowledged and its links stored.
    Ok,
    /// The server answered with a status that is neither success nor redirect.
    Status(u16),
    /// The server sent us elsewhere; the target is a request of its own.
    Redirect {
        /// The status of the answer.
        status: u16,
        /// Where to.
        to: Url,
    },
    /// A redirect that leads back, or the eleventh in a row.
    RedirectLoop(String),
    /// The domain refused us for now (429, 503, or another status with a wait that it asks for): the request waits, and
    /// its retry budget is untouched.
    Refused {
        /// The status of the answer.
        status: u16,
        /// The wait that the answer asked for.
        retry_after: Option<Duration>,
    },
    /// No whole response came.
    Fetch(FetchError),
    /// The spider returned an error.
    Parse(String),
    /// The spider panicked, or the fetcher did.
    Panic(String),
    /// A pipeline refused an item, panicked, or did not answer.
    Pipeline(String),
    /// A pipeline's output is gone: the page stays queued, and the crawl stops as failed.
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
    /// A middleware did not return in time, or changed what it may not change.
    Middleware(String),
    /// The request came back unsent: its domain cools, or the crawl is stopping.
    Unsent,
}

impl Outcome {
    /// Returns the word that logs and counters use.
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
            Self::Middleware(_) => "middleware",
            Self::Unsent => "unsent",
        }
    }

    /// Returns what there is to say beside the word; empty for none.
    pub fn detail(&self) -> String {
        match self {
            Self::Ok | Self::Unsent => String::new(),
            Self::Redirect { status, to } => format!("{status} {to}"),
            Self::Refused { status, retry_after: Some(wait) } => {
                format!("{status}, retry after {}", humantime::format_duration(*wait))
            }
            Self::Status(status) | Self::Refused { status, retry_after: None } => status.to_string(),
            Self::Fetch(error) => error.to_string(),
            Self::RedirectLoop(what)
            | Self::Parse(what)
            | Self::Panic(what)
            | Self::Pipeline(what)
            | Self::Middleware(what)
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
            _ => None,
        }
    }

    /// Tells whether trying again may end better.
    pub fn is_transient(&self) -> bool {
        match self {
            // 408 Request Timeout, 425 Too Early (RFC 8470), 500, 502 Bad Gateway, 504 Gateway Timeout; Cloudflare says
            // 520 to 524 of a server behind it that answers wrongly, not at all, or too late.
            Self::Status(status) => matches!(status, 408 | 425 | 500 | 502 | 504 | 520..=524),
            Self::Fetch(error) => error.is_transient(),
            _ => false,
        }
    }
}

/// Why no whole response came.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The name has no address, or none could be had.
    #[error("{0}")]
    Dns(String),
    /// No connection came about.
    #[error("{0}")]
    Connect(String),
    /// The proxy failed, not the site.
    #[error("{0}")]
    Proxy(String),
    /// TLS was not agreed on.
    #[error("{0}")]
    Tls(String),
    /// It took too long.
    #[error("no {phase} within {}", humantime::format_duration(*limit))]
    Timeout {
        /// What was waited for.
        phase: Phase,
        /// How long.
        limit: Duration,
    },
    /// The server does not speak HTTP as it should.
    #[error("{0}")]
    Protocol(String),
    /// The connection ended before the response did.
    #[error("{0}")]
    Truncated(String),
    /// The body is larger than the crawl allows.
    #[error("{0}")]
    TooLarge(String),
    /// The body's coding is broken or unknown.
    #[error("{0}")]
    Decode(String),
    /// The address is not one that may be connected to.
    #[error("{0}")]
    PrivateAddress(String),
    /// The request cannot be written as HTTP.
    #[error("{0}")]
    Request(String),
    /// The crawl is replayed, and nobody recorded this.
    #[error("{0}")]
    NotRecorded(String),
}

/// What a time-out waited for.
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
    /// Enough bytes in a stretch of time.
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
    /// Returns the word that logs and counters use.
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
            Self::NotRecorded(_) => "not_recorded",
        }
    }

    /// Tells whether trying again may end better.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Dns(_) | Self::Connect(_) | Self::Proxy(_) | Self::Timeout { .. } | Self::Truncated(_))
    }

    /// Tells whether the server was not even reached.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Dns(_) | Self::Connect(_) | Self::Timeout { phase: Phase::Dns | Phase::Connect, .. })
    }
}

/// Why a URL was discovered and not fetched.
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
    /// The crawl or the domain has had its number of pages.
    Budget,
    /// The crawl has made its number of requests.
    Requests,
    /// The frontier is full.
    QueueFull,
    /// The queue of its domain is full.
    DomainQueueFull,
    /// robots.txt disallows it.
    Robots,
    /// The crawl was stopped.
    Stopped,
    /// A middleware refused the request.
    Ignored,
    /// A middleware left the response out.
    Skipped,
}

impl DropReason {
    /// Returns the word that logs and counters use.
    pub fn key(self) -> &'static str {
        match self {
            Self::Scheme | Self::Host | Self::Path | Self::Rule | Self::Depth | Self::Length => "scope",
            Self::TrapRepetition | Self::TrapQueries => "trap",
            Self::Budget | Self::Requests | Self::QueueFull | Self::DomainQueueFull => "budget",
            Self::Robots => "robots",
            Self::Stopped => "stopped",
            Self::Ignored | Self::Skipped => "middleware",
        }
    }

    /// Returns the word's detail.
    pub fn detail(self) -> &'static str {
        match self {
            Self::Scheme => "scheme",
            Self::Host => "host",
            Self::Path => "path",
            Self::Rule => "rule",
            Self::Depth => "depth",
            Self::Length => "url_length",
            Self::TrapRepetition => "repeating_path",
            Self::TrapQueries => "too_many_queries",
            Self::Budget => "pages",
            Self::Requests => "requests",
            Self::QueueFull => "queue_full",
            Self::DomainQueueFull => "domain_queue_full",
            Self::Robots => "disallowed",
            Self::Stopped => "stopped",
            Self::Ignored => "refused",
            Self::Skipped => "skipped",
        }
    }
}

impl Serialize for DropReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}/{}", self.key(), self.detail()))
    }
}
