//! Response: a page as a spider sees it. Does not know how it was fetched.

use std::{
    borrow::Cow,
    cell::{Cell, OnceCell},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use bytestring::ByteString;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;
use url::Url;

use crate::{
    error::{Error, Result},
    extract::{
        self, Document, Element, Refresh, Scan, Scanner, Skipped, Syntax,
        charset::{self, Clues},
        content_type::ContentType,
        markdown::Markdown,
        metadata::Metadata,
    },
    outcome::FetchError,
    request::Request,
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
/// assert_eq!(page.select(".price")?[0].text(), "3 €");
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
    scanner: Scanner,
    /// Whether the links were asked for: what was left out of them is missed only then.
    links_asked: Cell<bool>,
    content: OnceCell<Content>,
    scan: OnceCell<Scan>,
    document: OnceCell<Document>,
}

/// The decoded text of a page.
struct Content {
    /// The body itself if that is UTF-8, or else the decoded text.
    text: ByteString,
    encoding: &'static str,
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
            scanner: Scanner::default(),
            links_asked: Cell::new(false),
            content: OnceCell::new(),
            scan: OnceCell::new(),
            document: OnceCell::new(),
        }
    }

    /// Sets why the body is incomplete; `None` if it is complete.
    #[must_use]
    pub(crate) fn with_broken_off(mut self, why: Option<FetchError>) -> Self {
        self.broken_off = why;
        self
    }

    /// Sets how links are read, but for the charset and the syntax, which the page has itself. By default as
    /// [`Scanner::default`] does.
    #[must_use]
    pub fn with_scanner(mut self, scanner: Scanner) -> Self {
        self.scanner = scanner;
        self
    }

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

    #[allow(clippy::expect_used, reason = "a fixture's URL is written down, not read")]
    fn fixture(url: &str, content_type: &'static str, body: Bytes) -> Self {
        let request = Request::get(Url::parse(url).expect("a fixture's URL is absolute"));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self::new(Arc::new(request), 200, headers, body, SystemTime::UNIX_EPOCH, Duration::ZERO)
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
        self.request.redirect_chain.iter().map(AsRef::as_ref)
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

    /// Returns the content type, from the header or else guessed from the body.
    pub fn content_type(&self) -> ContentType<'_> {
        let lines = self.headers.get_all(CONTENT_TYPE).iter().filter_map(|value| value.to_str().ok());
        ContentType::of_all(lines, &self.body)
    }

    /// Tells whether this is an HTML page, including XHTML and other XML whose root element is in the XHTML namespace.
    pub fn is_html(&self) -> bool {
        self.syntax().is_some()
    }

    /// Returns the syntax of the page; `None` if this is not a page.
    fn syntax(&self) -> Option<Syntax> {
        let content_type = self.content_type();
        match &*content_type.essence {
            "text/html" => Some(Syntax::Html),
            "application/xhtml+xml" => Some(Syntax::Xml),
            _ if content_type.is_xml() && extract::is_xhtml(self.content()) => Some(Syntax::Xml),
            _ => None,
        }
    }

    /// Returns the body as text. The charset is given by a byte order mark, the header, `<meta>` or detection, in this
    /// order. A UTF-8 body is not copied.
    pub fn content(&self) -> &str {
        &self.decoded().text
    }

    /// Returns the name of the body's encoding, such as `UTF-8` or `windows-1251`.
    pub fn encoding(&self) -> &'static str {
        self.decoded().encoding
    }

    fn decoded(&self) -> &Content {
        self.content.get_or_init(|| {
            let content_type = self.content_type();
            let tld = self.url().domain().and_then(|host| host.rsplit('.').next());
            let clues = Clues { header: content_type.charset, is_html: content_type.is_html(), tld };
            let (text, encoding) = charset::decode(&self.body, clues);
            let text = match text {
                Cow::Borrowed(text) => ByteString::try_from(self.body.slice_ref(text.as_bytes())).unwrap_or_default(),
                Cow::Owned(text) => text.into(),
            };
            Content { text, encoding }
        })
    }

    /// Returns the visible text of the page.
    pub fn text(&self) -> String {
        extract::visible_text_in(self.content(), self.syntax().unwrap_or_default())
    }

    /// Parses the body as JSON.
    ///
    /// # Errors
    /// The body is not the JSON that `T` expects.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.content()).map_err(Error::Json)
    }

    /// Selects elements with CSS.
    ///
    /// # Errors
    /// The selector is invalid.
    pub fn select(&self, css: &str) -> Result<Vec<Element<'_>>> {
        Ok(self.document().select(css)?)
    }

    /// Returns the document, for several selections.
    pub fn document(&self) -> &Document {
        self.document.get_or_init(|| Document::parse_in(self.content(), self.syntax().unwrap_or_default()))
    }

    /// Returns what the page says of itself for machines: meta tags, OpenGraph, Twitter cards, JSON-LD, microdata, RDFa,
    /// feeds, icons. Read anew at each call.
    pub fn metadata(&self) -> Metadata {
        Metadata::read(self.document(), &self.scan().base)
    }

    /// Returns the page as Markdown, with absolute links: `page.markdown().to_string()`.
    pub fn markdown(&self) -> Markdown<'_> {
        Markdown::of(self.document(), &self.scan().base)
    }

    /// Returns the page's title.
    pub fn title(&self) -> Option<&str> {
        self.scanned().title.as_deref()
    }

    /// Returns the links of the page, absolute, each once, in their order; `<base href>` is respected. The last is where
    /// the page sends its readers, if it does ([`Response::refresh`]).
    ///
    /// There are at most 10,000, of at most 2,048 bytes each, or as many and as long as the crawl's settings say
    /// ([`Settings::max_links_per_page`](crate::crawler::Settings::max_links_per_page),
    /// [`Scope::max_url_length`](crate::scope::Scope::max_url_length)). [`Response::skipped`] tells what is left out; the
    /// crawl counts it as dropped.
    pub fn links(&self) -> impl Iterator<Item = &Url> {
        self.scan().links.iter().map(|link| &link.url)
    }

    /// Returns the links except those marked not to be followed by `rel=nofollow` or the page's robots meta tag.
    pub fn followed_links(&self) -> impl Iterator<Item = &Url> {
        let scan = self.scan();
        scan.links.iter().filter(|link| !scan.robots.nofollow && !link.nofollow).map(|link| &link.url)
    }

    /// Returns the number of references that are not among the page's links, by reason.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let page = Response::html("https://e.org/", "<a href=mailto:me@e.org>write</a><a href=/a>read</a>");
    /// assert_eq!((page.links().count(), page.skipped().other_scheme), (1, 1));
    /// assert_eq!(page.skipped().over_bounds(), 0);
    /// ```
    pub fn skipped(&self) -> Skipped {
        self.scanned().skipped
    }

    /// Returns the target and delay of the page's `Refresh` header or else its `<meta http-equiv=refresh>`. `None` if
    /// there is neither, or the page only reloads itself.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let page = Response::html("https://e.org/old", "<meta http-equiv=refresh content='0; url=/new'>");
    /// assert_eq!(page.refresh().unwrap().url.as_str(), "https://e.org/new");
    /// ```
    pub fn refresh(&self) -> Option<Refresh> {
        self.sends_on().filter(|refresh| !self.is_at(&refresh.url))
    }

    /// Returns where the page sends its readers, even if that is the page itself.
    pub(crate) fn sends_on(&self) -> Option<Refresh> {
        self.refresh_header().or_else(|| {
            let may_have_one = self.scan.get().is_some() || (self.is_html() && extract::has_pragma(self.content()));
            may_have_one.then(|| self.scanned().refresh.clone())?
        })
    }

    fn refresh_header(&self) -> Option<Refresh> {
        let value = std::str::from_utf8(self.headers.get("refresh")?.as_bytes()).ok()?;
        extract::of_header(value, self.url())
    }

    fn is_at(&self, url: &Url) -> bool {
        let mut page = self.url().clone();
        page.set_fragment(None);
        page == *url
    }

    /// Returns what one streaming pass over the page finds: title, links, base, robots meta tags. Empty for what is not
    /// HTML, but for the target of a `Refresh` header.
    pub fn scan(&self) -> &Scan {
        self.links_asked.set(true);
        self.scanned()
    }

    fn scanned(&self) -> &Scan {
        self.scan.get_or_init(|| {
            let mut scan = match self.syntax() {
                Some(syntax) => {
                    let scanner = self.scanner.clone().syntax(syntax).charset(self.encoding());
                    scanner.scan(self.content(), self.url())
                }
                None => extract::scan("", self.url()),
            };
            if let Some(Refresh { url, .. }) = self.refresh_header().or_else(|| scan.refresh.clone())
                && !self.is_at(&url)
            {
                self.scanner.add_refresh(&mut scan, url);
            }
            scan
        })
    }

    /// Returns how many references are not among the links, if anybody asked for the links.
    pub(crate) fn skipped_of_asked(&self) -> Skipped {
        if self.links_asked.get() { self.skipped() } else { Skipped::default() }
    }

    /// Returns the absolute URL in `href` or `src` of the first element matching `css`; `None` if nothing matches:
    /// `.follow(page.link(".next a")?)`.
    ///
    /// # Errors
    /// The selector or the reference is invalid.
    pub fn link(&self, css: &str) -> Result<Option<Url>> {
        let element = self.document().find(css)?;
        let reference = element.and_then(|element| element.attr("href").or_else(|| element.attr("src")));
        reference.map(|reference| self.join(reference)).transpose()
    }

    /// Resolves a reference against the page's base. Its query is encoded in the page's charset, as in browsers.
    ///
    /// # Errors
    /// The reference is invalid.
    pub fn join(&self, reference: &str) -> Result<Url> {
        let refuse = |error: url::ParseError| Error::Url { text: reference.to_owned(), why: error.to_string() };
        extract::resolve_from_charset(&self.scanned().base, reference, self.encoding()).map_err(refuse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://e.org/";

    #[test]
    fn the_text_of_a_utf_8_page_is_its_body() {
        for (body, skipped) in [("<p>plain", 0), ("<p>schön", 0), ("\u{feff}<p>schön", 3), ("", 0)] {
            let page = Response::html(URL, body);
            assert_eq!(page.content(), body.trim_start_matches('\u{feff}'));
            assert_eq!(page.content().as_ptr(), page.body()[skipped..].as_ptr(), "a copy of {body:?}");
            assert_eq!(page.encoding(), "UTF-8");
        }
    }

    #[test]
    fn the_text_of_other_pages_is_decoded_by_the_header_or_the_page() {
        let bytes = &b"<meta charset=gbk>\xcf\xf0\xe8\xe2\xe5\xf2"[..];
        let page = Response::fixture(URL, "text/html; charset=windows-1251", bytes.into());
        assert_eq!((page.content(), page.encoding()), ("<meta charset=gbk>Привет", "windows-1251"));
        let page = Response::fixture(URL, "text/html", bytes.into());
        assert_eq!(page.encoding(), "GBK");
        let page = Response::fixture("https://e.ru/", "text/plain", b"\xcf\xf0\xe8\xe2\xe5\xf2".as_slice().into());
        assert_eq!(page.content(), "Привет", "its host says what it looks like");
    }

    #[test]
    fn json_may_begin_with_a_mark() {
        let page = Response::json_text(URL, "\u{feff}[1, 2]");
        assert_eq!(page.json::<Vec<u32>>().unwrap(), [1, 2]);
    }
}
