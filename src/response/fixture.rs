//! Fixture: pages for testing a spider, written down or saved. Knows no crawl.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use serde::Serialize;
use url::Url;

use super::Response;
use crate::request::Request;

#[allow(clippy::expect_used, reason = "a fixture is written down, not read")]
impl Response {
    /// Creates an HTML page for testing a spider: `Quotes.parse(&Response::html(url, FIXTURE))`.
    ///
    /// # Panics
    /// `url` is not a URL; it is a literal in a test.
    pub fn html(url: &str, body: impl Into<Bytes>) -> Self {
        Self::fixture(url, "text/html; charset=utf-8", body.into())
    }

    /// Creates a JSON response for testing a spider.
    ///
    /// # Panics
    /// `url` is not a URL; it is a literal in a test.
    pub fn json_text(url: &str, body: impl Into<Bytes>) -> Self {
        Self::fixture(url, "application/json", body.into())
    }

    /// Creates a response of plain text for testing a spider.
    ///
    /// # Panics
    /// `url` is not a URL; it is a literal in a test.
    pub fn plain_text(url: &str, body: impl Into<Bytes>) -> Self {
        Self::fixture(url, "text/plain; charset=utf-8", body.into())
    }

    /// Creates a response of any media type for testing a spider.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let image = Response::bytes("https://example.org/a.png", "image/png", &b"\x89PNG"[..]);
    /// assert_eq!((image.header("content-type"), image.body().len()), (Some("image/png"), 4));
    /// ```
    ///
    /// # Panics
    /// `url` is not a URL, or the type cannot be a header; they are literals in a test.
    pub fn bytes(url: &str, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::fixture(url, "", body.into()).with_header(CONTENT_TYPE.as_str(), content_type)
    }

    /// Sets the status; 200 by default.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Adds a header, in place of one of the same name.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let page = Response::html("https://example.org/2", "<title>Two</title>")
    ///     .with_status(404)
    ///     .with_header("x-cache", "miss")
    ///     .with_state(&2_u32);
    /// assert_eq!((page.status(), page.header("x-cache")), (404, Some("miss")));
    /// assert_eq!(page.state::<u32>()?, Some(2));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Panics
    /// It cannot be a header; it is a literal in a test.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("the name of a fixture's header is valid");
        self.headers.insert(name, HeaderValue::from_str(value).expect("the value of a fixture's header is valid"));
        // The header may say how the page is read.
        let (media, body_text, scan, document) = Default::default();
        Self { media, body_text, scan, document, ..self }
    }

    /// Sets the typed state that the page's request carries.
    ///
    /// # Panics
    /// The state cannot be written as JSON; a crawl would refuse it too.
    #[must_use]
    pub fn with_state<T: Serialize>(mut self, state: &T) -> Self {
        let request = Request::clone(&self.request).with_state(state).expect("the state of a fixture is JSON");
        self.request = Arc::new(request);
        self
    }

    /// Makes it the response to this request, with its URL, state, depth and parent.
    #[must_use]
    pub fn with_request(mut self, request: Request) -> Self {
        self.request = Arc::new(request);
        self
    }

    pub(super) fn fixture(url: &str, content_type: &'static str, body: Bytes) -> Self {
        let request = Request::get(Url::parse(url).expect("a fixture's URL is absolute"));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self::new(Arc::new(request), 200, headers, body, SystemTime::UNIX_EPOCH, Duration::ZERO)
    }
}
