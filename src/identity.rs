//! Identity: which requests are the same: the canonical form of a URL, and the fingerprint of a request. Knows no
//! request type and no store.

use std::fmt;

use http::Method;
use memchr::memchr;
use serde::{Deserialize, Serialize};
use url::Url;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// A 128-bit identity of a request (XXH3 of method, canonical URL and body).
///
/// ```
/// use actix_crawler::{Request, identity::Fingerprint};
///
/// let page = Request::parse("https://example.org/a")?;
/// let form = Request::post(page.url.clone(), "name=value");
/// assert_ne!(page.fingerprint(), form.fingerprint());
/// assert_eq!(Fingerprint::from_bytes(page.fingerprint().to_bytes()), page.fingerprint());
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint([u8; 16]);

/// Longer than most URLs, and copied within a few instructions.
const SHORT: usize = 256;

impl Fingerprint {
    /// Computes the fingerprint from a method, a URL as given, and a body.
    pub fn of(method: &Method, url: &Url, body: &[u8]) -> Self {
        let (method, url) = (method.as_str().as_bytes(), url.as_str().as_bytes());
        let end: [&[u8]; 2] = if body.is_empty() { [b"", b""] } else { [b"\n", body] };
        let pieces = [method, b" ", url, end[0], end[1]];
        // The hash of pieces needs three times the instructions, and each link of each page gets one.
        let mut short = [0; SHORT];
        let hash = match joined(pieces, &mut short) {
            Some(whole) => xxh3_128(whole),
            None => hash_of_pieces(pieces),
        };
        Self(hash.to_le_bytes())
    }

    /// Creates the fingerprint from stored bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes for a store.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Returns the fingerprint of the same request when its response is read as something else than a page.
    pub(crate) fn of_another_kind(self) -> Self {
        Self(self.0.map(|byte| !byte))
    }

    /// Returns two numbers, each a good 64-bit hash.
    pub(crate) fn halves(self) -> (u64, u64) {
        let all = u128::from_le_bytes(self.0);
        #[allow(clippy::cast_possible_truncation, reason = "the other half is the other number")]
        (all as u64, (all >> 64) as u64)
    }
}

/// Returns the pieces as one, if there is room.
fn joined<'r>(pieces: [&[u8]; 5], room: &'r mut [u8]) -> Option<&'r [u8]> {
    let mut length = 0;
    for piece in pieces {
        let end = length + piece.len();
        room.get_mut(length..end)?.copy_from_slice(piece);
        length = end;
    }
    room.get(..length)
}

fn hash_of_pieces(pieces: [&[u8]; 5]) -> u128 {
    let mut hash = Xxh3::new();
    for piece in pieces {
        hash.update(piece);
    }
    hash.digest128()
}

/// Decides which requests are the same, so that each is fetched once.
///
/// The default is [`CanonicalUrl`]: method, canonical URL and body. Give another to
/// [`Crawler::identity`](crate::Crawler::identity):
///
/// ```
/// use actix_crawler::identity::{CanonicalUrl, Identity};
/// use url::Url;
///
/// /// `/item/7/any-title` and `/item/7` are one page.
/// #[derive(Debug)]
/// struct ByItem;
///
/// impl Identity for ByItem {
///     fn name(&self) -> &str {
///         "by-item/1"
///     }
///
///     fn canonicalize(&self, url: &mut Url) {
///         CanonicalUrl::default().canonicalize(url);
///         let path: Vec<_> = url.path().split('/').take(3).collect();
///         let path = path.join("/");
///         url.set_path(&path);
///     }
/// }
///
/// let mut url = Url::parse("https://example.org/item/7/a-title#part")?;
/// ByItem.canonicalize(&mut url);
/// assert_eq!(url.as_str(), "https://example.org/item/7");
/// # Ok::<(), url::ParseError>(())
/// ```
pub trait Identity: fmt::Debug + Send + Sync {
    /// Returns the name of this rule, which a state stores. Change the name whenever the same request gets another
    /// fingerprint: an existing state is then refused, since everything would be fetched again.
    fn name(&self) -> &str;

    /// Canonicalizes a URL, which is then requested in this form. Must be idempotent. Called for every link of every
    /// page, on the parsing thread.
    fn canonicalize(&self, url: &mut Url);

    /// Returns the fingerprint of a request with a canonical URL.
    fn fingerprint(&self, method: &Method, url: &Url, body: &[u8]) -> Fingerprint {
        Fingerprint::of(method, url, body)
    }
}

/// The name of [`CanonicalUrl`] as an [`Identity`].
pub(crate) const CANONICAL_URL: &str = "canonical-url";

impl Identity for CanonicalUrl {
    fn name(&self) -> &str {
        CANONICAL_URL
    }

    fn canonicalize(&self, url: &mut Url) {
        self.apply(url);
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_le_bytes(self.0))
    }
}

/// How URLs are canonicalized, so that one page has one URL.
///
/// Always: the normalizations of the WHATWG URL standard (case of scheme and host, default port, dot segments), no user
/// information (a link's password is not ours to use), no trailing dot of the host, no fragment, upper-case
/// percent-encodings, and unreserved characters unencoded (RFC 3986 §6.2.2). Anything that may change the meaning of a
/// URL is optional.
///
/// An empty query stays: `/a?` and `/a` are two URLs (URL standard, §4.6; RFC 3986 §6.2.3: a normalization should not
/// remove an empty query), and each is requested as the page links it, as browsers do. Scrapy and Heritrix drop it.
///
/// ```
/// use actix_crawler::identity::CanonicalUrl;
/// use url::Url;
///
/// let mut url = Url::parse("HTTPS://Example.org/a/../b?utm_source=mail&id=7#top")?;
/// CanonicalUrl { strip_tracking: true, ..CanonicalUrl::default() }.apply(&mut url);
/// assert_eq!(url.as_str(), "https://example.org/b?id=7");
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CanonicalUrl {
    /// Removes query parameters that only track visitors (`utm_*`, `gclid`, `fbclid`, …).
    pub strip_tracking: bool,
    /// Sorts the query's parameters by name.
    pub sort_query: bool,
}

impl CanonicalUrl {
    /// Canonicalizes `url`. Idempotent.
    pub fn apply(&self, url: &mut Url) {
        strip_user_info(url);
        strip_trailing_dot(url);
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
    }

    fn rewrite_query(&self, url: &mut Url) {
        let Some(query) = url.query() else { return };
        let mut parameters: Vec<&str> =
            query.split('&').filter(|parameter| !(self.strip_tracking && is_tracking(name_of(parameter)))).collect();
        if self.sort_query {
            // Stable, and by name only: the order of equal names may matter.
            parameters.sort_by_key(|parameter| name_of(parameter));
        }
        let rewritten = parameters.join("&");
        if rewritten != query {
            // What only tracked visitors goes with its `?`.
            url.set_query(Some(&rewritten).filter(|rewritten| !rewritten.is_empty()).map(String::as_str));
        }
    }
}

fn name_of(parameter: &str) -> &str {
    parameter.split_once('=').map_or(parameter, |(name, _)| name)
}

/// Parameters that advertising and mail services add to links without changing the page.
fn is_tracking(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "gclid", "dclid", "gbraid", "wbraid", "fbclid", "msclkid", "twclid", "yclid", "mc_cid", "mc_eid", "igshid",
        "_ga",
    ];
    name.starts_with("utm_") || NAMES.contains(&name)
}

/// Converts percent-encodings to upper case and decodes unreserved characters (RFC 3986 §6.2.2.1 and §6.2.2.2).
fn normalise_percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut normal = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        match (first, tail) {
            (b'%', &[high, low, ref after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let value = (hex(high) << 4) | hex(low);
                let is_unreserved = value.is_ascii_alphanumeric() || matches!(value, b'-' | b'_' | b'~');
                if is_unreserved && !follows_stray_percent(&normal) {
                    normal.push(value);
                } else {
                    // An encoded `.` stays encoded: `%2E%2E` would become a dot segment.
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
    // Only ASCII was replaced, by ASCII.
    String::from_utf8(normal).unwrap_or_else(|_| text.to_owned())
}

/// Tells whether a `%` that encodes nothing is so near that a decoded digit would make it an encoding: `%%341` is not
/// `%41`. Every encoding ends with three characters of its own, so only a stray `%` is one of the last two.
fn follows_stray_percent(normal: &[u8]) -> bool {
    match normal {
        [.., b'%'] => true,
        [.., b'%', last] => last.is_ascii_hexdigit(),
        _ => false,
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

/// Changes `example.org.` to `example.org`: the dot only marks the name as absolute (RFC 3986 §3.2.2), as every name in
/// a URL is.
pub(crate) fn strip_trailing_dot(url: &mut Url) {
    let Some(domain) = url.domain().filter(|name| name.ends_with('.')) else { return };
    let name = domain.trim_end_matches('.').to_owned();
    if name.is_empty() {
        return;
    }
    // Fails only if the host is not a name; it then stays unchanged.
    let _stripped = url.set_host(Some(&name));
}

/// Removes user name and password from a URL, so that they are neither logged nor sent.
pub(crate) fn strip_user_info(url: &mut Url) {
    if !url.username().is_empty() || url.password().is_some() {
        // Fails only for URLs that cannot have any.
        let _stripped = url.set_username("").and_then(|()| url.set_password(None));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
            ("https://example.com./a", "https://example.com/a"),
            ("https://example.com.:8443/", "https://example.com:8443/"),
            // RFC 3986 §6.2.3 and the URL standard; w3lib and Heritrix drop it.
            ("https://example.com/?", "https://example.com/?"),
            ("https://example.com/a?#", "https://example.com/a?"),
            ("https://example.com/a?#top", "https://example.com/a?"),
            ("https://example.com/%e4%7euser", "https://example.com/%E4~user"),
            ("https://example.com/a%2fb?q=%c3%a9", "https://example.com/a%2Fb?q=%C3%A9"),
            ("https://example.com/a%2", "https://example.com/a%2"),
            // What is decoded never makes an encoding together with a `%` that stands before it.
            ("https://example.com/%%341", "https://example.com/%%341"),
            ("https://example.com/a%2%30b", "https://example.com/a%2%30b"),
            ("https://example.com/%2%46etc", "https://example.com/%2%46etc"),
            ("https://example.com/x/%%32e%%32e/y", "https://example.com/x/%%32e%%32e/y"),
            ("https://example.com/%25%341", "https://example.com/%2541"),
            ("https://example.com../a", "https://example.com/a"),
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
        let mut empty = Url::parse("https://e.com/?").unwrap();
        CanonicalUrl { strip_tracking: true, sort_query: true }.apply(&mut empty);
        assert_eq!(empty.as_str(), "https://e.com/?");
    }

    /// States keep fingerprints, so they must not change.
    #[test]
    fn the_hash_is_the_same_in_one_piece_and_in_several() {
        let url = Url::parse("https://example.org/a?b=c").unwrap();
        for length in (0..300).chain([1_000, 10_000]) {
            let body = vec![b'x'; length];
            let whole = [b"POST https://example.org/a?b=c\n", &body[..]].concat();
            let whole = if length == 0 { &whole[..whole.len() - 1] } else { &whole };
            let fingerprint = Fingerprint::of(&Method::POST, &url, &body);
            assert_eq!(u128::from_le_bytes(fingerprint.to_bytes()), xxh3_128(whole), "{length}");
        }
    }

    proptest! {
        #[test]
        fn canonical_is_a_fixed_point(
            text in "https?://[a-z]{1,8}\\.com\\.{0,2}/([ -~]{0,40}|(%|%%|%2|%3|[0-9A-Fa-f.]|/){0,12})",
        ) {
            if let Ok(mut url) = Url::parse(&text) {
                CanonicalUrl::default().apply(&mut url);
                let once = url.clone();
                CanonicalUrl::default().apply(&mut url);
                prop_assert_eq!(once, url);
            }
        }
    }
}
