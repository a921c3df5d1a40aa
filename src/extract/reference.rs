//! Reference: turns a reference from a page or a header into an absolute URL, by the URL standard. Knows no markup.

use std::borrow::Cow;

use encoding_rs::{EncoderResult, Encoding, UTF_8};
use url::{ParseError, Url};

/// Resolves `reference` against `base`, as a browser resolves a `Location` or an `href`.
///
/// More than two leading slashes count as two, so `///example.org/path` names a host ("special authority ignore slashes
/// state" of the URL standard, which the `url` crate leaves out for relative references).
///
/// ```
/// use actix_crawler::extract::resolve;
///
/// let page = "https://e.org/a/b".parse().unwrap();
/// assert_eq!(resolve(&page, "../c?d#e").unwrap().as_str(), "https://e.org/c?d#e");
/// assert_eq!(resolve(&page, "///example.org/path").unwrap().as_str(), "https://example.org/path");
/// ```
/// # Errors
/// The reference is not a valid URL, such as `http://[`.
pub fn resolve(base: &Url, reference: &str) -> Result<Url, ParseError> {
    resolve_from(base, reference, UTF_8)
}

/// Like [`resolve`], for a reference from a page in `charset`: its query is encoded in that charset, its path in UTF-8
/// ("query state" of the URL standard).
pub(super) fn resolve_from(base: &Url, reference: &str, charset: &'static Encoding) -> Result<Url, ParseError> {
    let reference = if may_have_extra_slashes(reference) {
        without_extra_slashes(base, reference)
    } else {
        Cow::Borrowed(reference)
    };
    if charset == UTF_8 || reference.is_ascii() {
        return base.join(&reference);
    }
    Url::options()
        .base_url(Some(base))
        .encoding_override(Some(&|query: &str| encoded(query, charset).into()))
        .parse(&reference)
}

/// Resolves the many references of one page.
pub(super) struct References<'a> {
    base: &'a Url,
    charset: &'static Encoding,
    /// The base with a long path, if it is a page of the web: a copy of it has room for most others, so that it needs
    /// no second allocation.
    root: Option<Url>,
}

/// 64 bytes, which is as long as most paths.
const ROOM: &str = "/room-for-the-path-that-takes-its-place-room-for-the-path-that-t";

impl<'a> References<'a> {
    /// Resolves references from a page in `charset` whose base is this.
    pub fn from(base: &'a Url, charset: &'static Encoding) -> Self {
        let root = matches!(base.scheme(), "http" | "https").then(|| {
            let mut root = base.clone();
            root.set_query(None);
            root.set_fragment(None);
            root.set_path(ROOM);
            root
        });
        Self { base, charset, root }
    }

    /// Like [`resolve`]. What most links of most pages are, a path, takes a third of the time: only the path is parsed.
    ///
    /// # Errors
    /// The reference is not a valid URL.
    pub fn resolve(&self, reference: &str) -> Result<Url, ParseError> {
        match &self.root {
            Some(root) if is_plain_path(reference) => {
                let mut url = root.clone();
                url.set_path(reference);
                Ok(url)
            }
            _ => resolve_from(self.base, reference, self.charset),
        }
    }
}

/// Tells whether a reference is a path from the root and nothing else: no host, query or fragment, and no character
/// that the parser drops or that means something else than in a path.
fn is_plain_path(reference: &str) -> bool {
    // From `$` to `;` are the digits, the slash and most of the punctuation that a path may have.
    let is_plain = |byte: &u8| matches!(byte, b'!' | b'$'..=b';' | b'=' | b'@'..=b'Z' | b'_' | b'a'..=b'z' | b'~');
    match reference.as_bytes() {
        [b'/', b'/', ..] => false,
        [b'/', path @ ..] => path.iter().all(is_plain),
        _ => false,
    }
}

/// Like [`resolve`], for a reference from a page in the charset of this name.
pub(crate) fn resolve_from_charset(base: &Url, reference: &str, charset: &str) -> Result<Url, ParseError> {
    resolve_from(base, reference, query_charset(charset))
}

/// Returns the charset for the queries of links on a page in `charset`. It is never UTF-16 ("get an output encoding" of
/// the Encoding standard).
pub(super) fn query_charset(charset: &str) -> &'static Encoding {
    Encoding::for_label(charset.as_bytes()).unwrap_or(UTF_8).output_encoding()
}

/// Encodes a query. A character that the charset lacks becomes a percent-encoded character reference ("percent-encode
/// after encoding" of the URL standard): `日` in windows-1251 is `%26%2326085%3B`.
fn encoded(query: &str, charset: &'static Encoding) -> Vec<u8> {
    let mut encoder = charset.new_encoder();
    let mut bytes = Vec::with_capacity(query.len() * 2);
    let mut rest = query;
    loop {
        // Each step writes what fits, and needs room for at least one character with its escape sequence.
        bytes.reserve(rest.len() + 16);
        let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut bytes, true);
        rest = rest.get(read..).unwrap_or_default();
        match result {
            EncoderResult::InputEmpty => return bytes,
            EncoderResult::OutputFull => {}
            EncoderResult::Unmappable(character) => {
                bytes.extend_from_slice(format!("%26%23{}%3B", u32::from(character)).as_bytes());
            }
        }
    }
}

/// A quick check that rules out most references, which do not begin with two slashes.
fn may_have_extra_slashes(reference: &str) -> bool {
    matches!(reference.as_bytes(), [b'/' | b'\\', b'/' | b'\\' | b'\t' | b'\r' | b'\n', ..] | [0..=b' ', ..])
}

/// Reduces three or more slashes at the start of a reference to two.
fn without_extra_slashes<'a>(base: &Url, reference: &'a str) -> Cow<'a, str> {
    let is_slash = |c: char| matches!(c, '/' | '\\');
    let trimmed = reference.trim_start_matches(|c: char| c <= ' ');
    if !trimmed.starts_with(is_slash) || !matches!(base.scheme(), "http" | "https") {
        return Cow::Borrowed(reference);
    }
    // The parser removes tabs and line ends everywhere.
    let is_dropped = |c: char| matches!(c, '\t' | '\n' | '\r');
    let slashes = trimmed.chars().take_while(|&c| is_slash(c) || is_dropped(c)).filter(|&c| is_slash(c)).count();
    if slashes < 3 {
        return Cow::Borrowed(reference);
    }
    Cow::Owned(format!("//{}", trimmed.trim_start_matches(|c: char| is_slash(c) || is_dropped(c))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_path_is_resolved_as_any_other_reference(reference in "/?[a-d/.%2eE:@;?# é\\\\\t]{0,12}") {
            for base in ["https://me@e.org:8443/a/b?c#d", "http://127.0.0.1/", "http://[::1]:81/x;y", "mailto:a@e.org"] {
                let base = Url::parse(base).unwrap();
                let references = References::from(&base, UTF_8);
                prop_assert_eq!(references.resolve(&reference), resolve(&base, &reference));
            }
        }
    }

    fn base() -> Url {
        Url::parse("https://e.org/a/b").unwrap()
    }

    /// URL standard, "special authority ignore slashes state".
    #[test]
    fn extra_slashes_before_a_host_are_ignored() {
        for (reference, expected) in [
            ("///example.org/path", "https://example.org/path"),
            ("////example.org", "https://example.org/"),
            ("\\\\\\example.org/path", "https://example.org/path"),
            ("/\t/\n/example.org/path", "https://example.org/path"),
            (" ///example.org/", "https://example.org/"),
            ("//example.org/path", "https://example.org/path"),
            ("/path", "https://e.org/path"),
            ("http:///example.org/path", "http://example.org/path"),
            ("x///y", "https://e.org/a/x///y"),
        ] {
            assert_eq!(resolve(&base(), reference).unwrap().as_str(), expected, "{reference:?}");
        }
        assert!(resolve(&base(), "///").is_err());
    }

    /// URL standard, "query state" and "percent-encode after encoding"; the last two are what Chrome and Firefox send.
    #[test]
    fn a_query_is_encoded_in_the_charset_of_its_page_and_a_path_in_utf_8() {
        for (charset, reference, expected) in [
            ("gb2312", "?q=洪1700718", "https://e.org/a/b?q=%BA%E91700718"),
            ("windows-1251", "/д?д=ж", "https://e.org/%D0%B4?%E4=%E6"),
            ("windows-1251", "?q=日", "https://e.org/a/b?q=%26%2326085%3B"),
            ("shift_jis", "?q=日本", "https://e.org/a/b?q=%93%FA%96{"),
            ("iso-2022-jp", "?q=日a", "https://e.org/a/b?q=%1B$BF|%1B(Ba"),
            ("utf-16le", "?q=é", "https://e.org/a/b?q=%C3%A9"),
            ("windows-1252", "?q=é#é", "https://e.org/a/b?q=%E9#%C3%A9"),
            ("windows-1252", "?q=%C3%A9", "https://e.org/a/b?q=%C3%A9"),
            ("windows-1252", "mailto:a?subject=é", "mailto:a?subject=%C3%A9"),
            ("windows-1252", "///o.org/?é", "https://o.org/?%E9"),
        ] {
            let url = resolve_from(&base(), reference, query_charset(charset)).unwrap();
            assert_eq!(url.as_str(), expected, "{charset} {reference}");
        }
        let long = format!("?q={}", "日é".repeat(2_000));
        let url = resolve_from(&base(), &long, query_charset("windows-1252")).unwrap();
        assert_eq!(url.query().unwrap().matches("%26%2326085%3B%E9").count(), 2_000);
    }
}
