//! Directives: parses each line of a robots file (RFC 9309 §2.2). Knows no groups.

use std::time::Duration;

use url::{ParseError, Url};

use crate::extract::links::MAX_URL_LENGTH;

/// The meaning of one line.
#[derive(Debug, PartialEq)]
pub enum Directive<'a> {
    /// The agent that the following rules are for: a product token, or `*`.
    UserAgent(&'a [u8]),
    /// A path that may be fetched.
    Allow(&'a [u8]),
    /// A path that may not be fetched.
    Disallow(&'a [u8]),
    /// The least time between two requests, by `Crawl-delay` or `Request-rate`.
    Spacing(Duration),
    /// The URL of a sitemap, absolute or, as some sites write it, relative.
    Sitemap(&'a str),
}

/// The longest accepted spacing. Three years exceed any crawl, and can be added to an instant.
const MAX_SPACING: f64 = 1e8;

/// Iterates over the lines that have a meaning, each with its number, counted from 1, and its text.
pub fn directives(file: &[u8]) -> impl Iterator<Item = (u32, &[u8], Directive<'_>)> {
    let file = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file);
    (1..).zip(split(file)).filter_map(|(number, line)| {
        let text = line.split(|octet| *octet == b'#').next()?.trim_ascii();
        Some((number, text, read(text)?))
    })
}

/// Lines end in CR, LF or both.
fn split(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(file);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = memchr::memchr2(b'\r', b'\n', text) else { return rest.take() };
        let (line, behind) = text.split_at(end);
        rest = behind.strip_prefix(b"\r\n").or(behind.get(1..));
        Some(line)
    })
}

/// Parses one line. Accepts the misspelt keys that Google's parser accepts, and a missing colon on a line of two words.
fn read(text: &[u8]) -> Option<Directive<'_>> {
    let (key, value) = match memchr::memchr(b':', text) {
        Some(at) => (text.get(..at)?.trim_ascii(), text.get(at + 1..)?.trim_ascii()),
        None => two_words(text)?,
    };
    // Longer than any key, so that a long line is not copied.
    let key = key.get(..key.len().min(16))?.to_ascii_lowercase();
    match key.as_slice() {
        b"user-agent" | b"useragent" | b"user agent" => Some(Directive::UserAgent(agent(value))),
        b"allow" => Some(Directive::Allow(value)),
        b"disallow" | b"dissallow" | b"dissalow" | b"disalow" | b"diasllow" | b"disallaw" => {
            Some(Directive::Disallow(value))
        }
        b"crawl-delay" | b"crawldelay" => crawl_delay(value).map(Directive::Spacing),
        b"request-rate" => request_rate(value).map(Directive::Spacing),
        b"sitemap" | b"site-map" => sitemap(value).map(Directive::Sitemap),
        _ => None,
    }
}

fn two_words(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let words = (words.next()?, words.next()?, words.next());
    match words {
        (key, value, None) => Some((key, value)),
        _ => None,
    }
}

/// The product token of a value: up to a version, a space or any other character that a name cannot have.
fn agent(value: &[u8]) -> &[u8] {
    if value.strip_prefix(b"*").is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace)) {
        return b"*";
    }
    let is_part = |octet: &u8| octet.is_ascii_alphanumeric() || b"-_.".contains(octet);
    value.split(|octet| !is_part(octet)).next().unwrap_or_default()
}

/// Decimal seconds.
fn crawl_delay(value: &[u8]) -> Option<Duration> {
    spacing(number(value)?)
}

/// `pages/seconds`, with an optional unit after the seconds: `1/5`, `30/1m`. A time of day after it is ignored, so the
/// rate always holds.
fn request_rate(value: &[u8]) -> Option<Duration> {
    let rate = value.split(u8::is_ascii_whitespace).next()?;
    let slash = memchr::memchr(b'/', rate)?;
    let (pages, time) = (number(rate.get(..slash)?)?, rate.get(slash + 1..)?);
    let (time, unit) = match time.split_last()? {
        (b's' | b'S', time) => (time, 1.0),
        (b'm' | b'M', time) => (time, 60.0),
        (b'h' | b'H', time) => (time, 3_600.0),
        (b'd' | b'D', time) => (time, 86_400.0),
        _ => (time, 1.0),
    };
    spacing(number(time)? * unit / pages)
}

/// A decimal number without sign or exponent.
fn number(text: &[u8]) -> Option<f64> {
    let is_decimal = text.iter().all(|octet| octet.is_ascii_digit() || *octet == b'.');
    std::str::from_utf8(text).ok().filter(|_| is_decimal)?.parse().ok()
}

fn spacing(seconds: f64) -> Option<Duration> {
    // `0/0` is not a number, and `1/0` takes no time: neither asks for a spacing.
    let seconds = if seconds.is_nan() { return None } else { seconds.min(MAX_SPACING) };
    Some(Duration::from_secs_f64(seconds)).filter(|spacing| !spacing.is_zero())
}

/// A sitemap should be named by an absolute URL; some are not, and other crawlers read them too.
fn sitemap(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok().filter(|text| !text.is_empty() && text.len() <= MAX_URL_LENGTH)?;
    let may_be_one = match Url::parse(text) {
        Ok(url) => matches!(url.scheme(), "http" | "https"),
        Err(error) => error == ParseError::RelativeUrlWithoutBase,
    };
    may_be_one.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(file: &[u8]) -> Vec<(u32, Directive<'_>)> {
        directives(file).map(|(number, _, line)| (number, line)).collect()
    }

    fn seconds(line: &str) -> Option<f64> {
        match read(line.as_bytes()) {
            Some(Directive::Spacing(spacing)) => Some(spacing.as_secs_f64()),
            _ => None,
        }
    }

    #[test]
    fn lines_end_in_any_way_and_are_counted_alike() {
        for file in ["allow:/a\n\nallow:/b\n", "allow:/a\r\rallow:/b", "\u{feff}allow:/a\r\n\r\nallow:/b\r\n"] {
            assert_eq!(
                read_all(file.as_bytes()),
                [(1, Directive::Allow(b"/a")), (3, Directive::Allow(b"/b"))],
                "{file:?}"
            );
        }
    }

    #[test]
    fn keys_may_be_misspelt_spaced_and_without_colon() {
        for line in
            ["disallow:/x", "DISALLOW : /x", "\t Disallow\t:\t/x \t", "Dissallow: /x", "disalow:/x#y", "Disallow /x"]
        {
            assert_eq!(read_all(line.as_bytes()), [(1, Directive::Disallow(b"/x"))], "{line}");
        }
        for line in ["User-agent: a", "useragent:A/1.0", "user agent: a b", "user-agent a", "User-agent:a(b)"] {
            let expected: &[u8] = if line.contains('A') { b"A" } else { b"a" };
            assert_eq!(read_all(line.as_bytes()), [(1, Directive::UserAgent(expected))], "{line}");
        }
        for line in ["", "#disallow: /x", "disallow", "disallow /x y", "dis allow: /x", "noindex: /x", ": /x", ":"] {
            assert_eq!(read_all(line.as_bytes()), [], "{line}");
        }
    }

    #[test]
    fn a_value_is_what_stands_behind_the_first_colon() {
        assert_eq!(read(b"allow: /a:b"), Some(Directive::Allow(b"/a:b")));
        assert_eq!(read(b"allow: /a b "), Some(Directive::Allow(b"/a b")));
        assert_eq!(read(b"allow:"), Some(Directive::Allow(b"")));
        assert_eq!(read(b"user-agent: *"), Some(Directive::UserAgent(b"*")));
        assert_eq!(read(b"user-agent: * (all)"), Some(Directive::UserAgent(b"*")));
        assert_eq!(read(b"user-agent: *bot"), Some(Directive::UserAgent(b"")));
    }

    #[test]
    fn a_crawl_delay_is_decimal_seconds() {
        for (value, expected) in [
            ("10", Some(10.0)),
            ("0.5", Some(0.5)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("0", None),
            ("-1", None),
            ("1,5", None),
            ("1e3", None),
            ("inf", None),
            ("NaN", None),
            ("10s", None),
            ("", None),
            ("99999999999999999999999", Some(MAX_SPACING)),
        ] {
            assert_eq!(seconds(&format!("Crawl-delay: {value}")), expected, "{value}");
        }
    }

    #[test]
    fn a_request_rate_is_pages_in_a_time() {
        for (value, expected) in [
            ("1/5", Some(5.0)),
            ("1/5s", Some(5.0)),
            ("30/1m", Some(2.0)),
            ("1/1h", Some(3_600.0)),
            ("1/10 0600-0845", Some(10.0)),
            ("1/5m 09:00-17:00", Some(300.0)),
            ("1/0", None),
            ("0/0", None),
            ("0/5", Some(MAX_SPACING)),
            ("1", None),
            ("1/", None),
            ("/5", None),
            ("1/s", None),
            ("-1/5", None),
        ] {
            assert_eq!(seconds(&format!("Request-rate: {value}")), expected, "{value}");
        }
    }

    #[test]
    fn a_sitemap_has_a_url_of_the_web() {
        let url = "https://e.org/sitemap.xml";
        assert_eq!(read(b"Sitemap: https://e.org/sitemap.xml"), Some(Directive::Sitemap(url)));
        assert_eq!(read(b"site-map:https://e.org/sitemap.xml"), Some(Directive::Sitemap(url)));
        assert_eq!(read(b"Sitemap: /sitemap.xml"), Some(Directive::Sitemap("/sitemap.xml")));
        assert_eq!(read(b"Sitemap:"), None);
        assert_eq!(read(b"Sitemap: ftp://e.org/sitemap.xml"), None);
    }
}
