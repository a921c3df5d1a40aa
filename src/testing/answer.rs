//! Answer: what a site answers to a request. Knows no connection.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, SET_COOKIE, TRANSFER_ENCODING},
};

use crate::response::Response;

/// What a [`Site`](super::Site) answers. Text is an HTML page; so is whatever a [`Response`] says.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::{prelude::*, testing::{Answer, Site}};
///
/// let site = Site::new("https://example.org")
///     .page("/", "<a href=/moved>moved</a>")
///     .page("/moved", Answer::redirect("/slow"))
///     .page("/slow", Answer::html("<title>Slow</title>").after(Duration::from_secs(5)))
///     .page("/busy", Answer::status(503).with_header("retry-after", "120"))
///     .page("/api", Answer::json(r#"{"price": 3}"#))
///     .page("/hangs", Answer::silence());
/// # drop(site);
/// ```
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) after: Duration,
    pub(super) delivery: Delivery,
}

/// How much of an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    /// Half of the body; then the connection is closed.
    Half,
    /// Nothing; the connection is closed.
    HangUp,
    /// Nothing, and the connection stays open.
    Silence,
}

#[allow(clippy::expect_used, reason = "an answer is written down, not read")]
impl Answer {
    /// Creates a page of HTML, with the status 200.
    pub fn html(body: impl Into<Bytes>) -> Self {
        Self::bytes("text/html; charset=utf-8", body)
    }

    /// Creates an answer of JSON.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::bytes("application/json", body)
    }

    /// Creates an answer of plain text, such as a robots file.
    pub fn text(body: impl Into<Bytes>) -> Self {
        Self::bytes("text/plain; charset=utf-8", body)
    }

    /// Creates an answer of any media type.
    ///
    /// # Panics
    /// The type cannot be a header; it is a literal in a test.
    pub fn bytes(content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::status(200) }.with_header(CONTENT_TYPE.as_str(), content_type)
    }

    /// Creates an answer without a body.
    pub fn status(status: u16) -> Self {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Self { status, headers, body, after: Duration::ZERO, delivery: Delivery::Whole }
    }

    /// Creates a redirect (302) to a URL, which may be relative.
    ///
    /// # Panics
    /// The URL cannot be a header; it is a literal in a test.
    pub fn redirect(to: &str) -> Self {
        Self::status(302).with_header(LOCATION.as_str(), to)
    }

    /// Creates an answer that never comes, so that the request's time-out passes.
    pub fn silence() -> Self {
        Self { delivery: Delivery::Silence, ..Self::status(0) }
    }

    /// Creates an answer that never comes, since the connection is closed.
    pub fn hang_up() -> Self {
        Self { delivery: Delivery::HangUp, ..Self::status(0) }
    }

    /// Sets the status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Adds a header, in place of one of the same name; several `Set-Cookie` stand beside each other.
    ///
    /// # Panics
    /// It cannot be a header; it is a literal in a test.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("the name of an answer's header is valid");
        let value = HeaderValue::from_str(value).expect("the value of an answer's header is valid");
        if name == SET_COOKIE {
            self.headers.append(name, value);
        } else {
            self.headers.insert(name, value);
        }
        self
    }

    /// Sets how long the answer takes, from the request to its first byte, in addition to
    /// [`Site::latency`](super::Site::latency).
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    /// Closes the connection in the middle of the body.
    #[must_use]
    pub fn cut_short(mut self) -> Self {
        self.delivery = Delivery::Half;
        self
    }

    /// Returns the status that reaches the crawler, if one does.
    pub(super) fn told(&self) -> Option<u16> {
        matches!(self.delivery, Delivery::Whole | Delivery::Half).then_some(self.status)
    }
}

impl From<&str> for Answer {
    fn from(html: &str) -> Self {
        Self::html(html.to_owned())
    }
}

impl From<String> for Answer {
    fn from(html: String) -> Self {
        Self::html(html)
    }
}

impl From<Response> for Answer {
    /// Answers as a response did, for instance a saved one.
    fn from(response: Response) -> Self {
        let mut headers = response.headers().clone();
        // The body is decoded, and the site says how long it is.
        for name in [CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        Self { headers, body: response.body().clone(), ..Self::status(response.status()) }
    }
}
