//! Error: failures that the caller can act on. A page that fails is an outcome, not an error.

use std::{
    fmt, io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use thiserror::Error as ThisError;
use url::Url;

use crate::outcome::FetchError;

/// Why a crawl cannot run, a request of the client failed, or a spider cannot read a page. The message says what to
/// change.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let error = Request::parse("example.org").unwrap_err();
/// assert!(matches!(&error, Error::Url { text, .. } if text == "example.org"));
/// println!("{error}");
/// ```
#[derive(ThisError)]
#[non_exhaustive]
pub enum Error {
    /// A URL cannot be crawled; the message says how to write it.
    #[error("`{text}` is not a URL that can be crawled: {why}")]
    Url {
        /// The given text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A setting is invalid; the message says what to write instead.
    #[error("{what}: {why}")]
    Setting {
        /// The name of the setting.
        what: String,
        /// What is wrong, and what to write instead.
        why: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The crawl's state cannot be used; the message says what to do.
    #[error("the crawl's state in {}: {why}", dir.display())]
    Store {
        /// The directory.
        dir: PathBuf,
        /// What is wrong, and what to do.
        why: String,
        /// The system's error, where it refuses something.
        source: Option<io::Error>,
    },
    /// A crawl that machines share cannot go on here; the message says why.
    #[error("the crawl `{name}` in the database: {why}")]
    Cluster {
        /// The crawl's name.
        name: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A tenant has no such job: see [`jobs`](crate::jobs).
    #[error("there is no such job: {id}")]
    NoSuchJob {
        /// The id.
        id: u64,
    },
    /// A job has no crawl now: it waits, begins, or is over.
    #[error("job {id} does not run; its status tells whether it waits or is over")]
    JobNotRunning {
        /// The id.
        id: u64,
    },
    /// No further job is taken until some are removed.
    #[error("{bound}: there are {most} jobs already; remove some that are over")]
    TooManyJobs {
        /// The setting that bounds them, of [`JobsBuilder`](crate::jobs::JobsBuilder).
        bound: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// The jobs of this service were stopped, so none is taken or resumed any more.
    #[error("the jobs are stopped; they go on when they are opened again")]
    JobsStopped,
    /// A request's state has another type than the spider expects.
    #[error("the request's state cannot be read or written: {0}")]
    State(#[source] serde_json::Error),
    /// A CSS selector is invalid, or matches nothing that is required.
    #[error(transparent)]
    Selector(#[from] crate::extract::SelectorError),
    /// The page is not the JSON that the spider expects.
    #[error("the page is not the expected JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// No complete response came; [`FetchError::is_transient`] tells whether a later retry may succeed.
    #[error("{url}: {source}")]
    Fetch {
        /// The requested URL.
        url: Box<Url>,
        /// The cause.
        source: FetchError,
        /// How many attempts were made.
        attempts: u32,
        /// When the last attempt was written, or started if it was never written.
        started_at: SystemTime,
        /// How long the last attempt took.
        elapsed: Duration,
    },
    /// The response has a status that the caller treats as an error.
    #[error("{url} answered {status}")]
    Status {
        /// The requested URL.
        url: Url,
        /// The status.
        status: u16,
    },
    /// The domain has refused too often in a row: try again at `until`, or use another domain.
    #[error("{domain} is left alone until {}: {why}", humantime::format_rfc3339_seconds(*until))]
    GivenUp {
        /// The domain.
        domain: String,
        /// The cause.
        why: String,
        /// When it may be requested again.
        until: SystemTime,
    },
    /// A middleware of the client ended the request.
    #[error("{url}: middleware {why}")]
    Middleware {
        /// What was asked for.
        url: Url,
        /// The middleware's name, and what it said.
        why: String,
    },
    /// The crawl failed on its way, for the reason in its report ([`Report::check`](crate::Report::check)).
    #[error("the crawl failed: {0}")]
    Crawl(String),
    /// The crawl has ended; start another.
    #[error("the crawl has ended")]
    Ended,
    /// The system refused a resource that the crawl needs, such as a thread.
    #[error("the crawl could not start: {0}")]
    Start(#[source] io::Error),
    /// An archive is damaged, or is none.
    #[error("{}, offset {offset}: {why}", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// Where the record begins that cannot be read.
        offset: u64,
        /// What is wrong with it.
        why: String,
    },
    /// What a client is to write, as its archive, cannot be written.
    #[error("{0}")]
    Output(String),
    /// The caller's own error, from the function that reads a response.
    #[error("{0}")]
    Reader(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The spider's own error.
    #[error("{0}")]
    Spider(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Writes the message, which is what `fn main() -> Result<()>` shows.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A spider's own error in words: `Err("there is no price".into())`.
impl From<&str> for Error {
    fn from(why: &str) -> Self {
        Self::spider(why)
    }
}

/// A spider's own error in words: `Err(format!("{price} is no price").into())`.
impl From<String> for Error {
    fn from(why: String) -> Self {
        Self::spider(why)
    }
}

impl Error {
    /// Creates the error of an invalid setting.
    pub fn setting(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Setting { what: what.into(), why: why.into() }
    }

    /// Returns what is wrong without what it is about, for a place where that is told already.
    pub(crate) fn into_why(self) -> String {
        match self {
            Self::Setting { why, .. } => why,
            other => other.to_string(),
        }
    }

    /// Creates the error of a file that cannot be read or written.
    pub fn file(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { path: path.into(), source }
    }

    /// Creates the error of an unusable crawl state.
    pub fn store(dir: impl Into<PathBuf>, why: impl Into<String>) -> Self {
        Self::Store { dir: dir.into(), why: why.into(), source: None }
    }

    /// Wraps the caller's own error, in the function that reads a response.
    pub fn reader(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Reader(error.into())
    }

    /// Wraps a spider's own error.
    pub fn spider(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Spider(error.into())
    }
}

/// The errors of numbers, texts and URLs that a spider reads, so that `?` takes them; others go through
/// [`Error::spider`].
macro_rules! from_spider_errors {
    ($($error:ty),+) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::spider(error)
            }
        })+
    };
}

from_spider_errors!(
    Box<dyn std::error::Error + Send + Sync>,
    std::num::ParseIntError,
    std::num::ParseFloatError,
    std::str::Utf8Error,
    url::ParseError,
    crate::extract::sitemap::NoDate
);

/// A result whose error is an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
