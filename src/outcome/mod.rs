//! Outcome: how a request ended, as one word with details. Does not know what happens next.

pub(crate) mod local_fault;
mod drop_reason;
mod fetch_error;

use std::{fmt, time::Duration};

use url::Url;

pub use self::{
    drop_reason::DropReason,
    fetch_error::{FetchError, Phase},
    local_fault::LocalFault,
};

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
    /// This machine cannot send it, or lost its network before the answer came: the request waits, and its retry budget
    /// is untouched.
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

    /// The words for requests that nobody was asked.
    pub(crate) const UNASKED: [&str; 6] = ["unsent", "local", "ignored", "request", "not_recorded", "session"];

    /// Tells whether a request that ends so was made, or tried: only then does it count as one.
    pub(crate) fn is_of_a_request(&self) -> bool {
        !Self::UNASKED.contains(&self.key())
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
/// use actix_crawler::{Outcome, outcome::RedirectBy};
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
