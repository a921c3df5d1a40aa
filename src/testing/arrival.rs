//! Arrival: a request as it came to a site. Does not know what was answered but its status.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method};
use url::Url;

/// A request as it arrived at a [`Site`](super::Site), and when.
///
/// ```
/// use actix_crawler::testing::{Answer, Arrival};
///
/// /// A list that has three pages.
/// fn list(arrival: &Arrival) -> Answer {
///     match arrival.query("page").as_deref() {
///         None | Some("1") => "<a href='?page=2'>next</a>".into(),
///         Some("2") => "<a href='?page=3'>next</a>".into(),
///         Some("3") => "the end".into(),
///         Some(_) => Answer::status(404),
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Arrival {
    pub(super) at: Duration,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) answered: Option<u16>,
}

impl Arrival {
    /// Returns the virtual time since the run began.
    pub fn at(&self) -> Duration {
        self.at
    }

    /// Returns the method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the URL's path.
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// Returns the first value of this name in the URL's query, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        self.url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    /// Returns all headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns a header's value; `None` if it is missing or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the status that was answered; `None` if none was.
    pub fn answered(&self) -> Option<u16> {
        self.answered
    }
}

/// One line: `12.000 s  GET https://example.org/ → 200`.
impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, method, url, answered, .. } = self;
        write!(f, "{:>9.3} s  {method} {url} → ", at.as_secs_f64())?;
        match answered {
            Some(status) => write!(f, "{status}"),
            None => f.write_str("no answer"),
        }
    }
}
