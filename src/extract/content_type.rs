//! ContentType: the media type of a body, from its header or else its first bytes. Knows nothing of charsets but their
//! place in the header.

use std::borrow::Cow;

/// The media type of a body (RFC 9110 §8.3.1).
///
/// ```
/// use actix_crawler::extract::ContentType;
///
/// let told = ContentType::of(Some("Text/HTML; charset=utf-8"), b"");
/// assert_eq!((&*told.essence, told.charset.as_deref()), ("text/html", Some("utf-8")));
/// let guessed = ContentType::of(None, b"<!doctype html><p>text");
/// assert!(guessed.is_html());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType<'a> {
    /// The type without its parameters, in lower case: `text/html`.
    pub essence: Cow<'a, str>,
    /// The charset in the header, as written.
    pub charset: Option<Cow<'a, str>>,
}

/// The number of bytes that are examined: the "resource header" of MIME Sniffing §5.2.
const SNIFFED: usize = 1_445;

/// The beginnings of HTML (MIME Sniffing §7.1), each followed by a space or a `>`.
const HTML_BEGINNINGS: [&[u8]; 16] = [
    b"<!DOCTYPE HTML",
    b"<HTML",
    b"<HEAD",
    b"<SCRIPT",
    b"<IFRAME",
    b"<H1",
    b"<DIV",
    b"<FONT",
    b"<TABLE",
    b"<A",
    b"<STYLE",
    b"<TITLE",
    b"<B",
    b"<BODY",
    b"<BR",
    b"<P",
];

impl<'a> ContentType<'a> {
    /// Parses the header as leniently as browsers do. If it is missing, is no media type, or is one that servers use
    /// for unknown content, the first bytes of `body` decide.
    ///
    /// A body declared as `text/plain` or `application/octet-stream` is never treated as HTML, as in browsers, since
    /// user uploads are served as such.
    pub fn of(header: Option<&'a str>, body: &[u8]) -> Self {
        Self::of_all(header.into_iter(), body)
    }

    /// Like [`ContentType::of`], for all lines of the header. Of several media types, on one line or many, the last
    /// counts. It inherits the charset of the previous one if it is the same type without a charset ("extract a MIME
    /// type" of the Fetch standard).
    pub fn of_all(lines: impl Iterator<Item = &'a str>, body: &[u8]) -> Self {
        let mut found: Option<(&str, Option<Cow<'a, str>>)> = None;
        for value in lines.flat_map(list) {
            let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
            let essence = essence.trim_matches(is_http_space);
            if !is_media_type(essence) || essence == "*/*" {
                continue;
            }
            let before = found.filter(|(same, _)| same.eq_ignore_ascii_case(essence)).and_then(|(_, charset)| charset);
            found = Some((essence, charset_of(parameters).or(before)));
        }
        let is_unknown = |name: &str| {
            ["unknown/unknown", "application/unknown"].iter().any(|unknown| name.eq_ignore_ascii_case(unknown))
        };
        let (essence, charset) = match found {
            Some((essence, charset)) if is_unknown(essence) => (sniffed(body).into(), charset),
            Some((essence, charset)) if essence.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                (essence.to_ascii_lowercase().into(), charset)
            }
            Some((essence, charset)) => (essence.into(), charset),
            None => (sniffed(body).into(), None),
        };
        Self { essence, charset }
    }

    /// Borrows nothing any more.
    pub(crate) fn into_owned(self) -> ContentType<'static> {
        let Self { essence, charset } = self;
        ContentType { essence: essence.into_owned().into(), charset: charset.map(|name| name.into_owned().into()) }
    }

    /// Tells whether this is an HTML page, including XHTML.
    pub fn is_html(&self) -> bool {
        matches!(&*self.essence, "text/html" | "application/xhtml+xml")
    }

    /// Tells whether this is XML, including XHTML.
    pub fn is_xml(&self) -> bool {
        matches!(&*self.essence, "text/xml" | "application/xml") || self.essence.ends_with("+xml")
    }

    /// Tells whether this is JSON.
    pub fn is_json(&self) -> bool {
        matches!(&*self.essence, "application/json" | "text/json") || self.essence.ends_with("+json")
    }
}

/// Splits a list at its commas, except within quotes ("get, decode, and split" of the Fetch standard).
fn list(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let comma = text.bytes().position(|byte| {
            quoted ^= byte == b'"' && !escaped;
            escaped = quoted && byte == b'\\' && !escaped;
            byte == b',' && !quoted
        });
        let (value, after) = comma.and_then(|at| text.split_at_checked(at)).unwrap_or((text, ""));
        rest = comma.and(after.get(1..));
        Some(value)
    })
}

/// Returns the first charset among parameters, quoted or not (MIME Sniffing §4.4). A semicolon within quotes does not
/// separate, and a name with a space is none.
fn charset_of(mut parameters: &str) -> Option<Cow<'_, str>> {
    while !parameters.is_empty() {
        let (name, rest) = parameters.split_at(parameters.find([';', '=']).unwrap_or(parameters.len()));
        let Some(rest) = rest.strip_prefix('=') else {
            parameters = rest.get(1..).unwrap_or_default();
            continue;
        };
        let (value, later) = if let Some(text) = rest.trim_start_matches(is_http_space).strip_prefix('"') {
            quoted(text)
        } else {
            let (value, later) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
            (value.trim_matches(is_http_space).into(), later)
        };
        if name.trim_start_matches(is_http_space).eq_ignore_ascii_case("charset") && !value.is_empty() {
            return Some(value);
        }
        parameters = later.split_once(';').map_or("", |(_, next)| next);
    }
    None
}

/// Reads a quoted text up to its closing quote: a backslash stands before a character that is meant as it is ("collect
/// an HTTP quoted string" of the Fetch standard). Returns it and what follows.
fn quoted(text: &str) -> (Cow<'_, str>, &str) {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    let (inner, later) = text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, ""));
    if !inner.contains('\\') {
        return (inner.into(), later);
    }
    let mut characters = inner.chars();
    let unescape = std::iter::from_fn(|| match characters.next()? {
        '\\' => Some(characters.next().unwrap_or('\\')),
        other => Some(other),
    });
    (unescape.collect::<String>().into(), later)
}

/// Tells whether this is a type and a subtype, both tokens.
fn is_media_type(essence: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

fn is_http_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// Returns the type indicated by the first bytes. Beyond the standard, a comment counts as HTML whatever follows it,
/// also after a byte order mark.
fn sniffed(body: &[u8]) -> &'static str {
    let start = body.get(..SNIFFED).unwrap_or(body);
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let text = text.trim_ascii_start();
    let begins_with = |tag: &&[u8]| {
        text.get(..tag.len()).is_some_and(|there| there.eq_ignore_ascii_case(tag))
            && matches!(text.get(tag.len()), Some(b' ' | b'>'))
    };
    if text.starts_with(b"<!--") || HTML_BEGINNINGS.iter().any(begins_with) {
        return "text/html";
    }
    if text.starts_with(b"<?xml") {
        return "text/xml";
    }
    if start.starts_with(b"%PDF-") {
        return "application/pdf";
    }
    let is_text = [&b"\xfe\xff"[..], b"\xff\xfe"].iter().any(|mark| start.starts_with(mark));
    if is_text || !start.iter().copied().any(is_binary) { "text/plain" } else { "application/octet-stream" }
}

/// Tells whether a byte occurs in no text of any charset (MIME Sniffing §3).
fn is_binary(byte: u8) -> bool {
    matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> (String, Option<Cow<'_, str>>) {
        let content_type = ContentType::of(Some(header), b"");
        (content_type.essence.into_owned(), content_type.charset)
    }

    #[test]
    fn a_header_is_read_as_browsers_do() {
        for (header, essence, charset) in [
            ("text/html", "text/html", None),
            (" Text/HTML ;charset=UTF-8", "text/html", Some("UTF-8")),
            ("text/html; charset=\"windows-1251\"", "text/html", Some("windows-1251")),
            ("text/html;charset= koi8-r ", "text/html", Some("koi8-r")),
            // WPT mimesniff/mime-types: a name with a space is no name, and a backslash escapes within quotes.
            ("text/html;charset =gbk;charset=koi8-r", "text/html", Some("koi8-r")),
            ("text/html;charset=\"g\\bk\"", "text/html", Some("gbk")),
            ("text/html;x=\"\\\",\";charset=\"big5\\", "text/html", Some("big5\\")),
            ("text/html; boundary=\"a;charset=x\"; CHARSET=gbk", "text/html", Some("gbk")),
            ("text/html; charset=; charset=big5", "text/html", Some("big5")),
            ("text/html; charset=utf-8; charset=big5", "text/html", Some("utf-8")),
            ("text/html; charset", "text/html", None),
            ("text/html; charset=\"utf-8", "text/html", Some("utf-8")),
            ("text/html;;;charset=utf-8", "text/html", Some("utf-8")),
            ("application/ld+json", "application/ld+json", None),
            ("text/plain; charset=\u{e9}", "text/plain", Some("\u{e9}")),
            // Fetch standard, the examples of "extract a MIME type".
            ("text/plain;charset=gbk, text/html", "text/html", None),
            ("text/html;charset=gbk;a=b, text/html;x=y", "text/html", Some("gbk")),
            ("text/html;charset=utf-8, text/html", "text/html", Some("utf-8")),
            ("text/html;charset=gbk;a=b, text/html;x=y;charset=big5", "text/html", Some("big5")),
            ("text/html, cannot-parse", "text/html", None),
            ("text/html, */*", "text/html", None),
            ("text/html, ", "text/html", None),
            ("text/html;x=\",\";charset=gbk, TEXT/html", "text/html", Some("gbk")),
        ] {
            assert_eq!(read(header), (essence.to_owned(), charset.map(Cow::from)), "{header}");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines = ["text/html;charset=gbk", "text/html"];
        let content_type = ContentType::of_all(lines.into_iter(), b"");
        assert_eq!((&*content_type.essence, content_type.charset.as_deref()), ("text/html", Some("gbk")));
    }

    #[test]
    fn a_header_in_lower_case_is_borrowed() {
        let content_type = ContentType::of(Some("text/html; charset=utf-8"), b"");
        assert!(matches!(content_type.essence, Cow::Borrowed(_)));
    }

    #[test]
    fn without_a_header_the_first_bytes_tell() {
        for (body, expected) in [
            ("<!doctype html><p>", "text/html"),
            ("\n\t <HTML lang=en>", "text/html"),
            ("\u{feff}<head>", "text/html"),
            ("<!--[if IE]>", "text/html"),
            ("<p>", "text/html"),
            ("<a href=x>", "text/html"),
            ("<abbr>", "text/plain"),
            ("<!doctype htmlx>", "text/plain"),
            ("<html", "text/plain"),
            ("<?xml version='1.0'?><urlset>", "text/xml"),
            ("%PDF-1.7", "application/pdf"),
            ("User-agent: *", "text/plain"),
            ("{\"a\": 1}", "text/plain"),
            ("", "text/plain"),
            ("\u{0}\u{1}", "application/octet-stream"),
        ] {
            for header in [None, Some(""), Some("html"), Some("unknown/unknown"), Some("*/*; charset=x")] {
                assert_eq!(ContentType::of(header, body.as_bytes()).essence, expected, "{body:?}");
            }
        }
        assert_eq!(ContentType::of(None, b"\xff\xfe<\0").essence, "text/plain");
    }

    #[test]
    fn what_is_called_plain_or_binary_is_never_taken_for_html() {
        for header in ["text/plain", "application/octet-stream"] {
            assert!(!ContentType::of(Some(header), b"<!doctype html>").is_html());
        }
    }

    #[test]
    fn families_are_told_apart() {
        let of = |header| ContentType::of(Some(header), b"");
        assert!(of("application/xhtml+xml").is_html() && of("application/xhtml+xml").is_xml());
        assert!(of("application/rss+xml").is_xml() && !of("application/rss+xml").is_html());
        assert!(of("application/problem+json").is_json() && of("application/json").is_json());
        assert!(!of("text/html").is_json() && !of("text/html").is_xml());
    }
}
