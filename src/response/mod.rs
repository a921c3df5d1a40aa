//! Response: a page as a spider sees it. Does not know how it was fetched.

pub(crate) mod conversion;
mod body;
mod elements;
#[cfg(feature = "feeds")]
mod feed;
mod fixture;
mod inline_json;
#[cfg(feature = "jmespath")]
mod jmes;
mod links;
#[cfg(feature = "readability")]
mod main_content;
#[cfg(feature = "derive")]
mod origin;
mod page_links;
mod visits;
#[cfg(feature = "xpath")]
mod xpath;

use std::{
    cell::{Cell, OnceCell},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use bytestring::ByteString;
use http::HeaderMap;
use serde::de::DeserializeOwned;
use url::Url;

use self::{
    body::{BodyText, Media},
    links::FurtherScan,
};
pub use self::{
    conversion::Converted,
    page_links::{Links, PageLink},
};
use crate::{
    error::Result,
    extract::{Document, Scan, Scanner},
    outcome::FetchError,
    request::Request,
    sessions::Session,
};

/// A page: its status, headers and body, and methods to read it. Text, links and document are computed from the body on
/// first use, once.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let html = "<title>Shop</title><p class=price>3 €</p><a class=next href=2>next</a>";
/// let page = Response::html("https://example.org/shop/1", html);
/// assert_eq!((page.status(), page.title()), (200, Some("Shop")));
/// assert_eq!(page.text_of(".price")?, "3 €");
/// assert_eq!(page.parse_of::<f64>(".price")?, 3.0);
/// assert_eq!(page.link(".next")?.unwrap().as_str(), "https://example.org/shop/2");
/// # Ok::<(), Error>(())
/// ```
pub struct Response {
    request: Arc<Request>,
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    fetched_at: SystemTime,
    elapsed: Duration,
    broken_off: Option<FetchError>,
    /// The HTML that a document was converted to.
    converted: Option<ByteString>,
    session: Option<Session>,
    scanner: Scanner,
    /// Whether the links were asked for: what was left out of them is missed only then.
    links_asked: Cell<bool>,
    media: OnceCell<Media>,
    body_text: OnceCell<BodyText>,
    scan: OnceCell<Scan>,
    further_scans: OnceCell<Box<FurtherScan>>,
    document: OnceCell<Document>,
}

impl Response {
    /// Creates a response. `elapsed` is the time from the writing of the request to the last byte of the response.
    pub fn new(
        request: Arc<Request>,
        status: u16,
        headers: HeaderMap,
        body: Bytes,
        fetched_at: SystemTime,
        elapsed: Duration,
    ) -> Self {
        Self {
            request,
            status,
            headers,
            body,
            fetched_at,
            elapsed,
            broken_off: None,
            converted: None,
            session: None,
            scanner: Scanner::default(),
            links_asked: Cell::new(false),
            media: OnceCell::new(),
            body_text: OnceCell::new(),
            scan: OnceCell::new(),
            further_scans: OnceCell::new(),
            document: OnceCell::new(),
        }
    }

    /// Sets why the body is incomplete; `None` if it is complete.
    #[must_use]
    pub(crate) fn with_broken_off(mut self, why: Option<FetchError>) -> Self {
        self.broken_off = why;
        self
    }

    /// Replaces what is read of the body by the HTML that the document was converted to.
    #[must_use]
    pub(crate) fn with_converted(self, html: String) -> Self {
        Self { converted: Some(html.into()), ..self.forget_what_was_read() }
    }

    /// Sets the session that it was asked for in.
    #[must_use]
    pub(crate) fn with_session(mut self, session: Option<Session>) -> Self {
        self.session = session;
        self
    }

    /// Sets how links are read, but for the charset and the syntax, which the page has itself. By default as
    /// [`Scanner::default`] does.
    #[must_use]
    pub fn with_scanner(self, scanner: Scanner) -> Self {
        Self { scanner, ..self.forget_what_was_read() }
    }

    /// Empties what was read of the page before a change of what it is read by.
    fn forget_what_was_read(self) -> Self {
        let (links_asked, media, body_text, scan, further_scans, document) = Default::default();
        Self { links_asked, media, body_text, scan, further_scans, document, ..self }
    }

    /// Returns the request, as it was queued.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Returns the URL.
    pub fn url(&self) -> &Url {
        &self.request.url
    }

    /// Returns the status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the headers alone.
    pub(crate) fn into_headers(self) -> HeaderMap {
        self.headers
    }

    /// Returns a header's value; `None` if it is missing or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the URLs that redirected here, oldest first; none where the page was asked for by its own URL.
    ///
    /// ```
    /// # use actix_crawler::prelude::*;
    /// fn check(page: &Response) -> Result<Parsed<String>> {
    ///     // An expired session leads every page to the log-in.
    ///     let asked = page.redirected_from().next();
    ///     Ok(Parsed::of(asked.filter(|_| page.url().path() == "/login").map(str::to_owned)))
    /// }
    /// # drop(check(&Response::html("https://example.org/", "")));
    /// ```
    pub fn redirected_from(&self) -> impl Iterator<Item = &str> {
        self.request.rare.iter().flat_map(|rare| &rare.urls).map(AsRef::as_ref)
    }

    /// Returns the decoded body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns why the body is incomplete; `None` if it is complete. An incomplete page reaches the spider only with
    /// [`BodyLimits::keep_partial`](crate::transport::BodyLimits::keep_partial).
    pub fn broken_off(&self) -> Option<&FetchError> {
        self.broken_off.as_ref()
    }

    /// Returns the session that the page was asked for in; `None` where no cookies are kept, and for a page of a test.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Returns the number of links from a seed to this page; 0 for a seed.
    pub fn depth(&self) -> u32 {
        self.request.depth
    }

    /// Returns the URL of the page that linked to this one; `None` for a seed.
    pub fn parent(&self) -> Option<&str> {
        self.request.parent.as_deref()
    }

    /// Returns when the last byte was received.
    pub fn fetched_at(&self) -> SystemTime {
        self.fetched_at
    }

    /// Returns the time from the writing of the request to the last byte of the response.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Reads the typed state of the request; `None` if there is none.
    ///
    /// # Errors
    /// The state has another type.
    pub fn state<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.request.state()
    }
}
