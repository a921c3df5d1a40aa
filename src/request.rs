//! Request: what is to be fetched, its canonical URL and its fingerprint. Knows nothing of when or how.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::Method;
use memchr::memchr;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use url::Url;
use xxhash_rust::xxh3::Xxh3;

use crate::error::Error;

/// One request, on its way from discovery to a page.
///
/// A request is plain data: it can be cloned, compared by its [`Fingerprint`], stored and read back.
#[derive(Clone, Serialize, Deserialize)]
pub struct Request {
    /// The URL, as it will be asked for.
    pub url: Url,
    /// The method; GET unless told otherwise.
    #[serde(with = "method_as_text", default, skip_serializing_if = "is_get")]
    pub method: Method,
    /// Headers beside those that every request of the crawl carries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The body, empty for most.
    #[serde(default, skip_serializing_if = "Bytes::is_empty")]
    pub body: Bytes,
    /// Higher goes first within its domain; 0 by default.
    #[serde(default)]
    pub priority: i32,
    /// Links followed from a seed to here; a redirect's target keeps the depth of what redirected.
    #[serde(default)]
    pub depth: u32,
    /// The page that this was found on, or that redirected here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Arc<str>>,
    /// The fingerprints of the requests that redirected to this one, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirected_from: Vec<Fingerprint>,
    /// Fetched even if it was seen before.
    #[serde(default)]
    pub dont_filter: bool,
    /// The proxy that this request goes through; see [`Request::via`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Arc<str>>,
    /// The typed state as JSON; see [`Request::state`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<Arc<str>>,
}

impl Request {
    /// Creates a GET request for `url`.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// Creates a POST request with a body; say its `content-type` with [`Request::header`].
    pub fn post(url: Url, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::new(Method::POST, url) }
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
            redirected_from: Vec::new(),
            dont_filter: false,
            proxy: None,
            state: None,
        }
    }

    /// Creates a GET request from text.
    ///
    /// # Errors
    /// The text is no absolute `http` or `https` URL.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse_url(text).map(Self::get)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the priority: higher goes first within its domain.
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

    /// Goes through this proxy, `http://…`, `socks5://…` or `socks5h://…`, or `direct`ly, whatever the crawl's settings
    /// say. It is stored with the request, its password too. The robots file is asked for as the settings say.
    #[must_use]
    pub fn via(mut self, proxy: impl Into<Arc<str>>) -> Self {
        self.proxy = Some(proxy.into());
        self
    }

    /// Attaches typed state, which the spider reads back with `page.state::<T>()`. It is kept as JSON, so that
    /// it survives a restart.
    ///
    /// # Errors
    /// The state cannot be written as JSON.
    pub fn with_state<T: Serialize>(mut self, state: &T) -> Result<Self, Error> {
        self.state = Some(serde_json::to_string(state).map_err(Error::State)?.into());
        Ok(self)
    }

    /// Reads the typed state; `None` where none was attached.
    ///
    /// # Errors
    /// The state that was attached is of another type.
    pub fn state<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        self.state.as_deref().map(|json| serde_json::from_str(json).map_err(Error::State)).transpose()
    }

    /// Returns the identity of this request: method, URL and body. The URL is taken as it is:
    /// see [`CanonicalUrl::apply`].
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = Xxh3::new();
        hash.update(self.method.as_str().as_bytes());
        hash.update(b" ");
        hash.update(self.url.as_str().as_bytes());
        if !self.body.is_empty() {
            hash.update(b"\n");
            hash.update(&self.body);
        }
        Fingerprint(hash.digest128().to_le_bytes())
    }
}

/// Shows what tells requests apart, and nothing that is secret: of headers only the names, of URLs no passwords.
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

/// Reads an absolute `http` or `https` URL.
///
/// # Errors
/// Says what is wrong with the text and how to write it.
pub fn parse_url(text: &str) -> Result<Url, Error> {
    let refuse = |why: String| Error::Url { text: text.to_owned(), why };
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => refuse("it has no scheme; write it as https://…".into()),
        other => refuse(other.to_string()),
    })?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        // `example.com:8080/x` reads as the scheme `example.com`.
        scheme if scheme.contains('.') || scheme == "localhost" => {
            Err(refuse("it has no scheme; write it as https://…".into()))
        }
        scheme => Err(refuse(format!("the scheme `{scheme}` is not crawled, only http and https are"))),
    }
}

/// Takes the name and the password out of a URL, so that they are neither logged nor sent.
pub fn strip_user_info(url: &mut Url) {
    if !url.username().is_empty() || url.password().is_some() {
        // Refused only for URLs that cannot have any.
        let _stripped = url.set_username("").and_then(|()| url.set_password(None));
    }
}

/// A 128-bit identity of a request (XXH3 of method, canonical URL and body).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// Takes the bytes that a store kept.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for a store.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Returns it as two numbers, each as good a hash as any of 64 bits.
    pub(crate) fn halves(self) -> (u64, u64) {
        let all = u128::from_le_bytes(self.0);
        #[allow(clippy::cast_possible_truncation, reason = "the other half is the other number")]
        (all as u64, (all >> 64) as u64)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_le_bytes(self.0))
    }
}

/// How URLs are made canonical, so that one page has one URL.
///
/// Always: what the WHATWG URL standard normalises (case of scheme and host, default port, dot segments),
/// no user information (what a link says of passwords is not ours to use), no fragment, no empty query, upper-case percent-encodings, and unreserved characters written plainly
/// (RFC 3986 §6.2.2). Only where asked for: what may change the meaning of a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CanonicalUrl {
    /// Removes the query parameters that only follow people around (`utm_*`, `gclid`, `fbclid`, …).
    pub strip_tracking: bool,
    /// Sorts the query's parameters by name.
    pub sort_query: bool,
}

impl CanonicalUrl {
    /// Makes `url` canonical. Applying it twice changes nothing more.
    pub fn apply(&self, url: &mut Url) {
        strip_user_info(url);
        if url.fragment().is_some() {
            url.set_fragment(None);
        }
        if memchr(b'%', url.as_str().as_bytes()).is_some() {
            let path = normalise_percent(url.path());
            if path != url.path() {
                url.set_path(&path);
            }
            if let Some(query) = url.query() {
                let normal = normalise_percent(query);
                if normal != query {
                    url.set_query(Some(&normal));
                }
            }
        }
        if self.strip_tracking || self.sort_query {
            self.rewrite_query(url);
        }
        if url.query() == Some("") {
            url.set_query(None);
        }
    }

    fn rewrite_query(&self, url: &mut Url) {
        let Some(query) = url.query() else { return };
        let mut parameters: Vec<&str> =
            query.split('&').filter(|parameter| !(self.strip_tracking && is_tracking(name_of(parameter)))).collect();
        if self.sort_query {
            // Stable and by name only: the order of equal names may carry meaning.
            parameters.sort_by_key(|parameter| name_of(parameter));
        }
        let rewritten = parameters.join("&");
        if rewritten != query {
            url.set_query(Some(&rewritten));
        }
    }
}

fn name_of(parameter: &str) -> &str {
    parameter.split_once('=').map_or(parameter, |(name, _)| name)
}

/// The parameters that advertising and mail services add to links without changing the page.
fn is_tracking(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "gclid", "dclid", "gbraid", "wbraid", "fbclid", "msclkid", "twclid", "yclid", "mc_cid", "mc_eid", "igshid",
        "_ga",
    ];
    name.starts_with("utm_") || NAMES.contains(&name)
}

/// Upper-cases percent-encodings and writes unreserved characters plainly (RFC 3986 §6.2.2.1 and §6.2.2.2).
fn normalise_percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut normal = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        match (first, tail) {
            (b'%', &[high, low, ref after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let value = (hex(high) << 4) | hex(low);
                if value.is_ascii_alphanumeric() || matches!(value, b'-' | b'_' | b'~') {
                    normal.push(value);
                } else {
                    // `.` stays encoded as it was: `%2E%2E` would turn into a dot segment.
                    normal.extend([b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]);
                }
                rest = after;
            }
            _ => {
                normal.push(first);
                rest = tail;
            }
        }
    }
    // Only ASCII was put in the place of ASCII.
    String::from_utf8(normal).unwrap_or_else(|_| text.to_owned())
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_get(method: &Method) -> bool {
    *method == Method::GET
}

/// `Method` has no serde of its own.
mod method_as_text {
    use http::Method;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(method.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Method, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_shown_of_a_request_has_no_secrets() {
        let request = Request::parse("http://me:hidden@e.org/").unwrap().header("authorization", "Basic hidden");
        let shown = format!("{:?}", request.via("http://me:hidden@p:1"));
        assert!(shown.contains("http://e.org/") && shown.contains("authorization"), "{shown}");
        assert!(!shown.contains("hidden"), "{shown}");
    }

    fn canonical(text: &str) -> String {
        let mut url = Url::parse(text).unwrap();
        CanonicalUrl::default().apply(&mut url);
        url.into()
    }

    #[test]
    fn one_page_has_one_url() {
        for (written, expected) in [
            ("HTTP://Example.COM:80/a/../b/./c#top", "http://example.com/b/c"),
            ("https://example.com:443", "https://example.com/"),
            ("https://me:secret@example.com/", "https://example.com/"),
            ("https://example.com/?", "https://example.com/"),
            ("https://example.com/?#", "https://example.com/"),
            ("https://example.com/%e4%7euser", "https://example.com/%E4~user"),
            ("https://example.com/a%2fb?q=%c3%a9", "https://example.com/a%2Fb?q=%C3%A9"),
            ("https://example.com/a%2", "https://example.com/a%2"),
            ("https://example.com/?b=1&a=2", "https://example.com/?b=1&a=2"),
            ("https://example.com/?utm_source=x", "https://example.com/?utm_source=x"),
        ] {
            assert_eq!(canonical(written), expected, "{written}");
        }
    }

    #[test]
    fn tracking_and_order_of_the_query_are_touched_only_where_asked() {
        let mut url = Url::parse("https://e.com/?b=2&utm_source=m&a=1&b=1&gclid=9").unwrap();
        CanonicalUrl { strip_tracking: true, sort_query: true }.apply(&mut url);
        assert_eq!(url.as_str(), "https://e.com/?a=1&b=2&b=1");
        let mut only_tracking = Url::parse("https://e.com/?utm_medium=m").unwrap();
        CanonicalUrl { strip_tracking: true, sort_query: false }.apply(&mut only_tracking);
        assert_eq!(only_tracking.as_str(), "https://e.com/");
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
    fn a_wrong_url_says_how_to_write_it() {
        assert!(parse_url("example.com/x").unwrap_err().to_string().contains("https://"));
        assert!(parse_url("example.com:8080/x").unwrap_err().to_string().contains("https://"));
        assert!(parse_url("ftp://example.com/").unwrap_err().to_string().contains("ftp"));
        assert!(parse_url("http://").is_err());
    }

    proptest! {
        #[test]
        fn canonical_is_a_fixed_point(text in "https?://[a-z]{1,8}\\.com/[ -~]{0,40}") {
            if let Ok(mut url) = Url::parse(&text) {
                CanonicalUrl::default().apply(&mut url);
                let once = url.clone();
                CanonicalUrl::default().apply(&mut url);
                prop_assert_eq!(once, url);
            }
        }
    }
}
