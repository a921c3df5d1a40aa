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
        self.forget_what_was_read()
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
    pub fn with_request(self, request: Request) -> Self {
        // Links are read relative to its URL.
        Self { request: Arc::new(request), ..self.forget_what_was_read() }
    }

    pub(super) fn fixture(url: &str, content_type: &'static str, body: Bytes) -> Self {
        let request = Request::get(Url::parse(url).expect("a fixture's URL is absolute"));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self::new(Arc::new(request), 200, headers, body, SystemTime::UNIX_EPOCH, Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::{LinkElement, Scanner};

    /// Reads all that a page keeps once it was read.
    fn read(page: Response) -> Response {
        let _ = (page.body_text(), page.links().count(), page.links().of([LinkElement::Image]).count());
        let _ = page.select("a").unwrap();
        page
    }

    fn urls(page: &Response) -> Vec<String> {
        let all = page.links().chain(page.links().of([LinkElement::Image]));
        all.map(|link| link.url().to_string()).collect()
    }

    #[test]
    fn a_fixture_that_is_changed_after_it_was_read_is_read_anew() {
        let body = b"<meta name=bot content=nofollow><a href=a>\xe4</a><a href=b>b</a><img src=c>";
        let page = || read(Response::bytes("https://e.org/1/", "text/html", &body[..]));
        assert_eq!(urls(&page()), ["https://e.org/1/a", "https://e.org/1/b", "https://e.org/1/c"]);

        let moved = page().with_request(Request::parse("https://e.org/2/").unwrap());
        assert_eq!(urls(&moved), ["https://e.org/2/a", "https://e.org/2/b", "https://e.org/2/c"]);
        let place = moved.select("a").unwrap()[0].url().map(|url| url.to_string());
        assert_eq!(place.as_deref(), Some("https://e.org/2/a"));

        let cut = page().with_scanner(Scanner::default().max_links(1).robot("bot"));
        assert_eq!((cut.links().count(), cut.links().of([LinkElement::Image]).count()), (1, 1));
        assert!(cut.robots().nofollow);

        let greek = page().with_header("content-type", "text/html; charset=iso-8859-7");
        assert_eq!((greek.text_of("a").unwrap(), greek.encoding()), ("δ".to_owned(), "ISO-8859-7"));
        let text = page().with_header("content-type", "text/plain");
        assert!(urls(&text).is_empty(), "{:?}", urls(&text));

        let converted = page().with_converted("<a href=d>d</a>".to_owned());
        assert_eq!(urls(&converted), ["https://e.org/1/d"]);
    }

    #[test]
    fn links_of_a_changed_page_are_missed_only_where_they_are_asked_for() {
        let many = Response::html("https://e.org/", "<a href=a>a</a><a href=b>b</a>");
        let few = read(many).with_scanner(Scanner::default().max_links(1));
        assert_eq!(few.skipped_of_asked().over_bounds(), 0);
        let _ = few.links();
        assert_eq!(few.skipped_of_asked().over_bounds(), 1);
    }
}
