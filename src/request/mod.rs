//! Request: what to fetch. Does not know when or how.

#[cfg(feature = "disk")]
pub(crate) mod packed;
pub(crate) mod plain;
pub(crate) mod sitemap_file;
mod rare;
mod stored;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::Method;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use url::Url;

pub(crate) use self::rare::{Rare, Repeats, SubmissionId};
use self::sitemap_file::SitemapFile;
use crate::{
    domain::Domain,
    error::Error,
    identity::{Fingerprint, strip_user_info},
    text::masked::masked,
};

/// One request, from discovery to the response.
///
/// A request is plain data: it can be cloned, compared by its [`Fingerprint`], stored and read back.
///
/// ```
/// use actix_crawler::Request;
///
/// let detail = Request::parse("https://example.org/detail?id=7")?.priority(1).with_state(&7_u32)?;
/// assert_eq!(detail.state::<u32>()?, Some(7));
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone)]
pub struct Request {
    /// The URL to request.
    pub url: Url,
    /// The method; GET by default.
    pub method: Method,
    /// Headers in addition to the crawl's default ones; of several of one name the last is sent.
    pub headers: Vec<(String, String)>,
    /// The body; usually empty.
    pub body: Bytes,
    /// Requests with higher priority go first within their domain; 0 by default.
    pub priority: i32,
    /// The number of links from a seed; the target of a redirect has the depth of the redirecting page.
    pub depth: u32,
    /// The page that has the link, or that redirected here.
    pub parent: Option<Arc<str>>,
    /// How it was redirected here, what its page was like before, who waits for it, and its session; most requests have
    /// none of these.
    pub(crate) rare: Option<Box<Rare>>,
    /// Whether a redirect is a page for the spider; see [`Request::no_redirects`].
    pub(crate) keeps_redirects: bool,
    /// Whether it is fetched even if it was seen before.
    pub dont_filter: bool,
    /// The proxy for this request; see [`Request::via`].
    pub proxy: Option<Arc<str>>,
    /// Where it stands in the queue of its domain, if its priority does not say so; see [`Request::rank`].
    pub(crate) rank: Option<i32>,
    /// The domain of the request, set at admission: it is sent only under a permit of this domain. It is not stored.
    pub(crate) domain: Option<Domain>,
    /// What kind of resource is requested; see [`Request::kind`].
    kind: Kind,
    /// The typed state as JSON; see [`Request::state`]. A thin pointer, since few requests have one.
    state: Option<Arc<String>>,
}

/// The kind of a requested resource, which decides how the response is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// A page for the spider.
    #[default]
    Page,
    /// An origin's robots file, including its redirects.
    RobotsTxt,
    /// A sitemap file, including its redirects.
    Sitemap(SitemapFile),
    /// A file that an item or a page asks for, including its redirects. It is never stored: the page that waits for it
    /// is.
    File,
}

impl Kind {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    fn is_page(&self) -> bool {
        *self == Self::Page
    }
}

impl Request {
    /// Creates a GET request for `url`.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// Creates a POST request with a body; set its `content-type` with [`Request::header`].
    pub fn post(url: Url, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::new(Method::POST, url) }
    }

    /// Creates the request for a robots file.
    pub(crate) fn robots_txt(url: Url) -> Self {
        Self { kind: Kind::RobotsTxt, ..Self::get(url) }
    }

    /// Creates the request for a sitemap file.
    pub(crate) fn sitemap(url: Url, file: SitemapFile) -> Self {
        Self { kind: Kind::Sitemap(file), ..Self::get(url) }
    }

    /// Creates the request for a file, as it is and not coded for the way.
    pub(crate) fn file(url: Url) -> Self {
        Self { kind: Kind::File, dont_filter: true, ..Self::get(url) }
            .header("accept", "*/*")
            .header("accept-encoding", "identity")
    }

    /// Creates a request with any method.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            url,
            method,
            headers: Vec::new(),
            body: Bytes::new(),
            priority: 0,
            depth: 0,
            parent: None,
            rare: None,
            keeps_redirects: false,
            dont_filter: false,
            proxy: None,
            rank: None,
            domain: None,
            kind: Kind::Page,
            state: None,
        }
    }

    /// Creates a GET request from text.
    ///
    /// # Errors
    /// The text is not an absolute `http` or `https` URL.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse_url(text).map(Self::get)
    }

    /// Sets a header, in place of one of the same name, as the client's and the crawl's own do. Several values of one
    /// header are a list in one value: `"text/html, application/json"`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.set_header(name, value);
        self
    }

    /// Sets a header as [`Request::header`] does.
    pub fn set_header(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.headers.retain(|(given, _)| !given.eq_ignore_ascii_case(&name));
        self.headers.push((name, value.into()));
    }

    /// Sets a header unless there is one of this name.
    pub(crate) fn default_header(&mut self, name: &str, value: &str) {
        if !self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name)) {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Sets the priority: higher goes first within the domain.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Fetches the URL even if it was seen before.
    #[must_use]
    pub fn dont_filter(mut self) -> Self {
        self.dont_filter = true;
        self
    }

    /// Gives a redirect to the spider as a page, whatever [`Spider::accepts`](crate::spider::Spider::accepts) says, in
    /// place of following it; also a page that sends its readers on.
    #[must_use]
    pub fn no_redirects(mut self) -> Self {
        self.keeps_redirects = true;
        self
    }

    /// Uses this proxy, `http://…`, `socks5://…` or `socks5h://…`, or `direct` for none, whatever the crawl's settings
    /// say. It is stored with the request, including its password. Robots files are requested as the settings say.
    #[must_use]
    pub fn via(mut self, proxy: impl Into<Arc<str>>) -> Self {
        self.proxy = Some(proxy.into());
        self
    }

    /// Sends the request in this session: with its cookies and its proxy. See [`sessions`](crate::sessions).
    ///
    /// The name goes on to redirects, to the links that the spider finds on the page, unless they name another, and
    /// into the crawl's state. [`DEFAULT`](crate::sessions::DEFAULT) names the session of requests that name none, also
    /// where there is a pool. The same URL in two sessions is one URL, fetched once, unless it is asked for with
    /// [`Request::dont_filter`] or an [`Identity`](crate::identity::Identity) of your own tells them apart.
    ///
    /// ```
    /// use actix_crawler::Request;
    ///
    /// let orders = Request::parse("https://shop.example/orders")?.session("alice");
    /// assert_eq!(orders.session_name(), Some("alice"));
    /// # Ok::<(), actix_crawler::Error>(())
    /// ```
    #[must_use]
    pub fn session(mut self, name: impl Into<Arc<str>>) -> Self {
        self.set_session(name.into());
        self
    }

    pub(crate) fn set_session(&mut self, name: Arc<str>) {
        self.rare.get_or_insert_default().session = Some(name);
    }

    /// Forgets redirects and visits: it is another page's, found on one of this session, which it has unless it names
    /// another.
    pub(crate) fn begins_anew(&mut self, session: Option<&Arc<str>>) {
        let own = self.rare.take().and_then(|rare| rare.session);
        if let Some(name) = own.or_else(|| session.cloned()) {
            self.set_session(name);
        }
    }

    /// Returns the name of the session that it is to be sent in; `None` for any of the pool, or the default one.
    pub fn session_name(&self) -> Option<&str> {
        self.rare.as_ref()?.session.as_deref()
    }

    /// Attaches typed state, which the spider reads back with `page.state::<T>()`. It is stored as JSON and survives a
    /// restart.
    ///
    /// # Errors
    /// The state cannot be serialized as JSON.
    #[doc(alias("meta", "cb_kwargs", "user_data"))]
    pub fn with_state<T: Serialize>(mut self, state: &T) -> Result<Self, Error> {
        self.state = Some(serde_json::to_string(state).map_err(Error::State)?.into());
        Ok(self)
    }

    /// Reads the typed state; `None` if there is none.
    ///
    /// # Errors
    /// The attached state has another type.
    pub fn state<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        self.state.as_deref().map(|json| serde_json::from_str(json).map_err(Error::State)).transpose()
    }

    /// Returns where the request stands in the queue of its domain: the higher goes first, and of equals the older. It
    /// is the priority, unless the crawl has an [`Order`](crate::Order) or is best first.
    pub fn rank(&self) -> i32 {
        self.rank.unwrap_or(self.priority)
    }

    /// Returns the approximate memory of the request while it waits, in bytes.
    pub fn size(&self) -> u64 {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
        let texts = [&self.parent, &self.proxy].into_iter().flatten().map(|text| text.len()).sum::<usize>();
        let state = self.state.as_ref().map_or(0, |state| state.len());
        let rare = self.rare.as_ref().map_or(0, |rare| rare.size());
        (size_of::<Self>() + self.url.as_str().len() + headers + self.body.len() + texts + state + rare) as u64
    }

    /// Returns the fingerprints of the requests that redirected to this one, oldest first.
    pub fn redirected_from(&self) -> &[Fingerprint] {
        self.rare.as_ref().map_or(&[], |rare| &rare.from)
    }

    /// Marks a request whose page a caller waits for.
    pub(crate) fn submit_as(&mut self, id: SubmissionId) {
        self.rare.get_or_insert_default().submission = Some(id);
    }

    /// Returns who waits for its page, if somebody does; the same for all requests of a chain of redirects.
    pub(crate) fn submission(&self) -> Option<SubmissionId> {
        self.rare.as_ref()?.submission
    }

    /// Returns the kind of the requested resource.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the default fingerprint of this request, from method, URL and body; the kind does not matter, since the
    /// server's response does not depend on it. The URL is used as it is, without
    /// [`CanonicalUrl::apply`](crate::identity::CanonicalUrl::apply).
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.method, &self.url, &self.body)
    }
}

/// Formats what identifies a request without secrets: only the names of headers, and no passwords of URLs.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.clone();
        strip_user_info(&mut url);
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &url.as_str())
            .field("headers", &headers)
            .field("body", &self.body.len())
            .field("priority", &self.priority)
            .field("depth", &self.depth)
            .field("parent", &self.parent)
            .finish_non_exhaustive()
    }
}

/// Parses an absolute `http` or `https` URL.
///
/// # Errors
/// The text is invalid; the message shows how to write it.
pub fn parse_url(text: &str) -> Result<Url, Error> {
    let refuse = |why: String| Error::Url { text: masked(text), why };
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => refuse("it has no scheme; write it as https://…".into()),
        other => refuse(other.to_string()),
    })?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        // `example.com:8080/x` parses as the scheme `example.com`.
        scheme if scheme.contains('.') || scheme == "localhost" => {
            Err(refuse("it has no scheme; write it as https://…".into()))
        }
        scheme => Err(refuse(format!("the scheme `{scheme}` is not crawled, only http and https are"))),
    }
}

#[cfg(test)]
mod tests {
    use self::sitemap_file::FoundBy;
    use super::*;

    #[test]
    fn what_is_shown_of_a_request_has_no_secrets() {
        let request = Request::parse("http://me:hidden@e.org/").unwrap().header("authorization", "Basic hidden");
        let shown = format!("{:?}", request.via("http://me:hidden@p:1"));
        assert!(shown.contains("http://e.org/") && shown.contains("authorization"), "{shown}");
        assert!(!shown.contains("hidden"), "{shown}");
    }

    /// Two were kept, and the second was sent.
    #[test]
    fn a_header_that_is_set_again_replaces_the_one_before() {
        let request = Request::parse("https://e.org/").unwrap().header("X-Tag", "a").header("accept", "*/*");
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(request.header("x-tag", "b").headers, [header("accept", "*/*"), header("x-tag", "b")]);
    }

    #[test]
    fn method_and_body_are_part_of_the_identity_but_headers_are_not() {
        let url = Url::parse("https://e.com/search").unwrap();
        let get = Request::get(url.clone());
        assert_eq!(get.fingerprint(), get.clone().header("x", "y").fingerprint());
        assert_ne!(get.fingerprint(), Request::post(url.clone(), "").fingerprint());
        assert_ne!(Request::post(url.clone(), "a").fingerprint(), Request::post(url, "b").fingerprint());
    }

    #[test]
    fn a_request_survives_being_stored_with_its_typed_state() {
        #[derive(Serialize, Deserialize, PartialEq, Debug)]
        enum Step {
            Detail { id: u32 },
        }
        let request = Request::parse("https://e.com/7").unwrap().with_state(&Step::Detail { id: 7 }).unwrap();
        let stored = serde_json::to_string(&request.priority(3)).unwrap();
        let read: Request = serde_json::from_str(&stored).unwrap();
        assert_eq!(read.state::<Step>().unwrap(), Some(Step::Detail { id: 7 }));
        assert_eq!(read.priority, 3);
        assert!(read.state::<u32>().is_err(), "another type is an error, not a default");
    }

    #[test]
    fn a_page_is_stored_as_before_there_were_kinds_and_other_kinds_survive() {
        let page = Request::parse("https://e.com/7").unwrap();
        let stored = serde_json::to_string(&page).unwrap();
        assert_eq!(stored, r#"{"url":"https://e.com/7","priority":0,"depth":0,"dont_filter":false}"#);
        assert_eq!(serde_json::from_str::<Request>(&stored).unwrap().kind(), Kind::Page);
        let robots = serde_json::to_string(&Request::robots_txt(page.url.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&robots).unwrap().kind(), Kind::RobotsTxt);
        assert_eq!(Request::robots_txt(page.url.clone()).fingerprint(), page.fingerprint());
        let file = SitemapFile { by: FoundBy::Guess(1), nesting: 0 };
        let sitemap = serde_json::to_string(&Request::sitemap(page.url.clone(), file)).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&sitemap).unwrap().kind(), Kind::Sitemap(file));
    }

    #[test]
    fn a_session_survives_being_stored() {
        let request = Request::parse("https://e.com/7").unwrap().session("alice");
        let stored = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&stored).unwrap().session_name(), Some("alice"));
    }

    /// A crawl may have ten million waiting.
    #[test]
    fn a_request_is_small() {
        assert!(size_of::<Request>() <= 256, "{}", size_of::<Request>());
    }

    #[test]
    fn a_wrong_url_says_how_to_write_it() {
        assert!(parse_url("example.com/x").unwrap_err().to_string().contains("https://"));
        assert!(parse_url("example.com:8080/x").unwrap_err().to_string().contains("https://"));
        assert!(parse_url("ftp://example.com/").unwrap_err().to_string().contains("ftp"));
        assert!(parse_url("http://").is_err());
    }
}
