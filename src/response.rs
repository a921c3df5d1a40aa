//! Response: a page as a spider sees it. Knows nothing of how it got here.

use std::{
    borrow::Cow,
    cell::OnceCell,
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
    },
    outcome::FetchError,
    request::Request,
};

/// A page: its status, headers and body, and what a spider asks of it. Text, links and document are made of the body
/// when they are first asked for, and once.
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
    content: OnceCell<Content>,
    scan: OnceCell<Scan>,
    document: OnceCell<Document>,
}

/// The text of a page.
struct Content {
    /// The body itself where that is UTF-8, or what was decoded from it.
    text: ByteString,
    encoding: &'static str,
}

impl Response {
    /// Creates a response. `elapsed` is the time from the writing of the request to the last byte of the answer.
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
            content: OnceCell::new(),
            scan: OnceCell::new(),
            document: OnceCell::new(),
        }
    }

    /// Notes why the body is not whole; `None` where it is.
    #[must_use]
    pub fn with_broken_off(mut self, why: Option<FetchError>) -> Self {
        self.broken_off = why;
        self
    }

    /// Creates an HTML page, for a spider's tests: `Quotes.parse(&Response::html(url, FIXTURE))`.
    ///
    /// # Panics
    /// `url` is no URL: it stands in a test.
    pub fn html(url: &str, body: impl Into<Bytes>) -> Self {
        Self::fixture(url, "text/html; charset=utf-8", body.into())
    }

    /// Creates a JSON answer, for a spider's tests.
    ///
    /// # Panics
    /// `url` is no URL: it stands in a test.
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

    /// Returns a header's value, if it is there and is text.
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

    /// Returns the body, without its content codings.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns why the body is not whole; `None` where it is. A page that broke off reaches the spider only with
    /// [`BodyLimits::keep_partial`](crate::transport::body::BodyLimits::keep_partial).
    pub fn broken_off(&self) -> Option<&FetchError> {
        self.broken_off.as_ref()
    }

    /// Returns how many links lead from a seed to this page; 0 for a seed.
    pub fn depth(&self) -> u32 {
        self.request.depth
    }

    /// Returns the URL of the page on which this one was found; `None` for a seed.
    pub fn parent(&self) -> Option<&str> {
        self.request.parent.as_deref()
    }

    /// Returns when the last byte came.
    pub fn fetched_at(&self) -> SystemTime {
        self.fetched_at
    }

    /// Returns the time from the writing of the request to the last byte of the answer.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Reads the typed state that the request carries; `None` where it carries none.
    ///
    /// # Errors
    /// The state is of another type.
    pub fn state<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.request.state()
    }

    /// Returns the content type: that of the header, or one guessed from the body's beginning.
    pub fn content_type(&self) -> ContentType<'_> {
        let lines = self.headers.get_all(CONTENT_TYPE).iter().filter_map(|value| value.to_str().ok());
        ContentType::of_all(lines, &self.body)
    }

    /// Tells whether this is an HTML page. XHTML is one, and so is other XML whose root element is in the namespace of
    /// XHTML.
    pub fn is_html(&self) -> bool {
        self.syntax().is_some()
    }

    /// Returns the rules by which the page is read; `None` where this is no page.
    fn syntax(&self) -> Option<Syntax> {
        let content_type = self.content_type();
        match &*content_type.essence {
            "text/html" => Some(Syntax::Html),
            "application/xhtml+xml" => Some(Syntax::Xml),
            _ if content_type.is_xml() && extract::is_xhtml(self.content()) => Some(Syntax::Xml),
            _ => None,
        }
    }

    /// Returns the body as text. The charset comes from a byte order mark, the header, `<meta>` or detection, in this
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

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// It is not the JSON that `T` expects.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.content()).map_err(Error::Json)
    }

    /// Selects elements with CSS.
    ///
    /// # Errors
    /// The selector is wrong.
    pub fn select(&self, css: &str) -> Result<Vec<Element<'_>>> {
        Ok(self.document().select(css)?)
    }

    /// Returns the document, to be selected from.
    pub fn document(&self) -> &Document {
        self.document.get_or_init(|| Document::parse_in(self.content(), self.syntax().unwrap_or_default()))
    }

    /// Returns the page's title.
    pub fn title(&self) -> Option<&str> {
        self.scan().title.as_deref()
    }

    /// Returns the links of the page, absolute, each once, in their order; `<base href>` is respected. At most 10,000, of
    /// at most 2,048 bytes each: [`Response::skipped`] tells what is left out.
    pub fn links(&self) -> impl Iterator<Item = &Url> {
        self.scan().links.iter().map(|link| &link.url)
    }

    /// Returns the links without those that `rel=nofollow` or the page's robots meta tag marks as not to be followed.
    pub fn followed_links(&self) -> impl Iterator<Item = &Url> {
        let scan = self.scan();
        scan.links.iter().filter(|link| !scan.robots.nofollow && !link.nofollow).map(|link| &link.url)
    }

    /// Returns how many references of the page are not among its links, by reason.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let page = Response::html("https://e.org/", "<a href=mailto:me@e.org>write</a><a href=/a>read</a>");
    /// assert_eq!((page.links().count(), page.skipped().other_scheme), (1, 1));
    /// assert_eq!(page.skipped().over_bounds(), 0);
    /// ```
    pub fn skipped(&self) -> Skipped {
        self.scan().skipped
    }

    /// Returns where the page sends its readers by its `Refresh` header or by `<meta http-equiv=refresh>`, of which the
    /// header counts first. `None` where it sends them nowhere or only reloads itself.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let page = Response::html("https://e.org/old", "<meta http-equiv=refresh content='0; url=/new'>");
    /// assert_eq!(page.refresh().unwrap().url.as_str(), "https://e.org/new");
    /// ```
    pub fn refresh(&self) -> Option<Refresh> {
        let by_header = self.headers.get("refresh").and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        let refresh = by_header.and_then(|value| extract::of_header(value, self.url()));
        let refresh = refresh.or_else(|| self.scan().refresh.clone())?;
        let mut page = self.url().clone();
        page.set_fragment(None);
        (refresh.url != page).then_some(refresh)
    }

    /// Returns what one streaming pass over the page finds: title, links, base, robots meta tags. Empty for what is not
    /// HTML.
    pub fn scan(&self) -> &Scan {
        self.scan.get_or_init(|| match self.syntax() {
            Some(syntax) => Scanner::default().syntax(syntax).charset(self.encoding()).scan(self.content(), self.url()),
            None => extract::scan("", self.url()),
        })
    }

    /// Returns the URL that the first element matching `css` links to (`href` or `src`), absolute; `None` where nothing
    /// matches: `.follow(page.link(".next a")?)`.
    ///
    /// # Errors
    /// The selector is wrong, or the reference is no URL.
    pub fn link(&self, css: &str) -> Result<Option<Url>> {
        let element = self.document().find(css)?;
        let reference = element.and_then(|element| element.attr("href").or_else(|| element.attr("src")));
        reference.map(|reference| self.join(reference)).transpose()
    }

    /// Resolves a reference that the page has against its base. Its query is encoded in the page's charset, as browsers
    /// do.
    ///
    /// # Errors
    /// It is no URL.
    pub fn join(&self, reference: &str) -> Result<Url> {
        let refuse = |error: url::ParseError| Error::Url { text: reference.to_owned(), why: error.to_string() };
        extract::resolve_from_charset(&self.scan().base, reference, self.encoding()).map_err(refuse)
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
