//! Error: what the caller of the crawler can do something about. A page that fails is an outcome, not an error.

use std::{
    io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use thiserror::Error as ThisError;
use url::Url;

use crate::outcome::FetchError;

/// Why a crawl cannot run, a request of the client failed, or a spider cannot read a page. The message says what to change.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let error = Request::parse("example.org").unwrap_err();
/// assert!(matches!(&error, Error::Url { text, .. } if text == "example.org"));
/// println!("{error}");
/// ```
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// A URL cannot be crawled; the message says how to write it.
    #[error("`{text}` is not a URL that can be crawled: {why}")]
    Url {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A setting is wrong; the message says what to write instead.
    #[error("{what}: {why}")]
    Setting {
        /// The setting, by the name it is written with.
        what: String,
        /// What is wrong, and what to write instead.
        why: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The crawl's state cannot be used; the message says what to do.
    #[error("the crawl's state in {}: {why}", dir.display())]
    Store {
        /// The directory.
        dir: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The state of a request has another type than the spider expects.
    #[error("the request's state cannot be read or written: {0}")]
    State(#[source] serde_json::Error),
    /// A CSS selector is wrong.
    #[error(transparent)]
    Selector(#[from] crate::extract::SelectorError),
    /// The page is not the JSON that the spider expects.
    #[error("the page is not the expected JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// No whole response came; [`FetchError::is_transient`] tells whether trying again later may help.
    #[error("{url}: {source}")]
    Fetch {
        /// What was asked for.
        url: Box<Url>,
        /// What went wrong.
        source: FetchError,
        /// How many attempts were made.
        attempts: u32,
        /// When the last attempt was written, or begun if it was never written.
        started_at: SystemTime,
        /// How long it took from there.
        elapsed: Duration,
    },
    /// The server answered with a status that the caller takes for an error.
    #[error("{url} answered {status}")]
    Status {
        /// What was asked for.
        url: Url,
        /// The status.
        status: u16,
    },
    /// The domain has refused too often in a row and is left alone: ask again at `until`, or ask another.
    #[error("{domain} is left alone until {}: {why}", humantime::format_rfc3339_seconds(*until))]
    GivenUp {
        /// The domain.
        domain: String,
        /// What it did.
        why: String,
        /// When it may be asked again.
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
    /// The crawl has ended: start another.
    #[error("the crawl has ended")]
    Ended,
    /// The system refused what the crawl needs to run, such as a thread.
    #[error("the crawl could not start: {0}")]
    Start(#[source] io::Error),
    /// The caller's own error, from the function that reads a response.
    #[error("{0}")]
    Reader(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The spider's own error.
    #[error("{0}")]
    Spider(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Creates the error of a wrong setting.
    pub fn setting(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Setting { what: what.into(), why: why.into() }
    }

    /// Creates the error of a file that cannot be read or written.
    pub fn file(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { path: path.into(), source }
    }

    /// Creates the error of a crawl's state that cannot be used.
    pub fn store(dir: impl Into<PathBuf>, why: impl Into<String>) -> Self {
        Self::Store { dir: dir.into(), why: why.into() }
    }

    /// Wraps an error of the caller's own, in the function that reads a response.
    pub fn reader(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Reader(error.into())
    }

    /// Wraps an error of the spider's own.
    pub fn spider(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Spider(error.into())
    }
}

/// The errors of numbers, texts and URLs that a spider reads, so that `?` takes them; others go through [`Error::spider`].
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
    url::ParseError
);

/// A result whose error is an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
