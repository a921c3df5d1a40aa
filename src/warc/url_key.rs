//! UrlKey: under which key web archives sort and look up a URL (SURT): without its scheme, its host reversed, and all
//! that servers commonly ignore made alike. As the Python package `surt` makes it.

use std::{borrow::Cow, fmt::Write, sync::LazyLock};

use percent_encoding::percent_decode;
use regex::{Captures, Regex};
use url::Url;

/// Characters that are not escaped, beside letters and digits.
const PLAIN: &[u8] = b"!\"$&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// Sessions in paths, which are left out.
static PATH_SESSIONS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    compiled(&[
        r"(?i)^(.*/)(?:\((?:[a-z]\([0-9a-z]{24}\))+\)/)([^?]+\.aspx.*)$",
        r"(?i)^(.*/)(?:\([0-9a-z]{24}\)/)([^?]+\.aspx.*)$",
    ])
});

/// Sessions in queries, which are left out.
static QUERY_SESSIONS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    compiled(&[
        r"(?i)^(.*)(?:jsessionid=[0-9a-z]{32})(?:&(.*))?$",
        r"(?i)^(.*)(?:phpsessid=[0-9a-z]{32})(?:&(.*))?$",
        r"(?i)^(.*)(?:sid=[0-9a-z]{32})(?:&(.*))?$",
        r"(?i)^(.*)(?:aspsessionid[a-z]{8}=[a-z]{24})(?:&(.*))?$",
        r"(?i)^(.*)(?:cfid=[^&]+&cftoken=[^&]+)(?:&(.*))?$",
    ])
});

/// The patterns are constants that a test compiles.
fn compiled(patterns: &[&str]) -> Vec<Regex> {
    patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
}

/// Returns a URL as the crawler writes it; what is none stays.
pub(super) fn canonical(url: &str) -> Cow<'_, str> {
    let Ok(mut parsed) = Url::parse(url) else { return Cow::Borrowed(url) };
    parsed.set_fragment(None);
    if parsed.as_str() == url { Cow::Borrowed(url) } else { Cow::Owned(parsed.into()) }
}

/// Returns the key of a URL; one that is not of HTTP is its own.
pub(super) fn url_key(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let rest = rest.split('#').next().unwrap_or_default();
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let slash = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(slash).unwrap_or((rest, ""));
    let host_and_port = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match host_and_port.strip_prefix('[').and_then(|address| address.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None => host_and_port.split_once(':').map_or((host_and_port, None), |(host, port)| (host, Some(port))),
    };
    let default = match scheme {
        "http" => "80",
        "https" => "443",
        _ => "",
    };
    let mut key = reversed(host);
    if let Some(port) = port.filter(|port| !port.is_empty() && *port != default) {
        key.extend([":", port]);
    }
    key.push(')');
    key.push_str(&path_key(path));
    if let Some(query) = query.map(query_key).filter(|query| !query.is_empty()) {
        key.extend(["?", &query]);
    }
    key
}

fn reversed(host: &str) -> String {
    let host = host.to_ascii_lowercase().replace("..", ".");
    let host = host.trim_matches('.');
    let without_www =
        host.strip_prefix("www").map(|rest| rest.trim_start_matches(|digit: char| digit.is_ascii_digit()));
    let host = without_www.and_then(|rest| rest.strip_prefix('.')).unwrap_or(host);
    host.rsplit('.').collect::<Vec<_>>().join(",")
}

fn path_key(path: &str) -> String {
    let path = unescaped(path);
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/').skip(1) {
        match part {
            b"." => {}
            b".." if !parts.is_empty() => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    let last = parts.pop().unwrap_or_default();
    let mut normal = vec![b'/'];
    for part in parts.iter().filter(|part| !part.is_empty()) {
        normal.extend_from_slice(part);
        normal.push(b'/');
    }
    normal.extend_from_slice(last);
    let path = without_sessions(&escaped(&normal).to_ascii_lowercase(), &PATH_SESSIONS);
    match path.strip_suffix('/') {
        Some(path) if !path.is_empty() => path.to_owned(),
        _ => path,
    }
}

fn query_key(query: &str) -> String {
    let query = without_sessions(&escaped(&unescaped(query)), &QUERY_SESSIONS).to_ascii_lowercase();
    if query.len() < 2 {
        return query;
    }
    let mut arguments: Vec<_> = query.split('&').collect();
    arguments.sort_by_key(|argument| match argument.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (*argument, None),
    });
    arguments.join("&")
}

fn without_sessions(text: &str, patterns: &[Regex]) -> String {
    let around = |found: &Captures<'_>| {
        let part = |group| found.get(group).map_or("", |part| part.as_str());
        [part(1), part(2)].concat()
    };
    patterns.iter().fold(text.to_owned(), |text, pattern| match pattern.captures(&text) {
        Some(found) => around(&found),
        None => text,
    })
}

/// Takes escapes off until there is none, or so often: a hostile URL may have as many layers as characters.
fn unescaped(text: &str) -> Vec<u8> {
    const MAX_LAYERS: usize = 32;
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..MAX_LAYERS {
        let once: Vec<u8> = percent_decode(&bytes).collect();
        if once.len() == bytes.len() {
            break;
        }
        bytes = once;
    }
    bytes
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || PLAIN.contains(byte) {
            out.push(char::from(*byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_other_tools() {
        assert_eq!((PATH_SESSIONS.len(), QUERY_SESSIONS.len()), (2, 5), "every pattern compiles");
        // As `surt.surt(url)` answers, version 0.3.1.
        for (url, key) in [
            ("http://www.Archive.org/Goo/", "org,archive)/goo"),
            ("https://example.org", "org,example)/"),
            ("http://example.org:80/a?b=1&a=2&A", "org,example)/a?a&a=2&b=1"),
            ("https://example.org:8443//a///b/../c/?", "org,example:8443)/a/c"),
            ("http://127.0.0.3:8080/x%20y/%C3%BC", "3,0,0,127:8080)/x%20y/%c3%bc"),
            ("http://www2.example.org/?x=%2541&&y", "org,example)/?&x=a&y"),
            ("http://e.org/a;b/(S(abcdefghijklmnopqrstuvwx))/d.aspx", "org,e)/a;b/d.aspx"),
            ("http://e.org/?a=1&PHPSESSID=0123456789abcdef0123456789abcdef&b", "org,e)/?a=1&b"),
            ("http://[::1]:81/a", "::1:81)/a"),
            ("http://me:pw@e.org/#f", "org,e)/"),
            ("urn:x:y", "urn:x:y"),
        ] {
            assert_eq!(url_key(url), key, "{url}");
        }
    }
}
