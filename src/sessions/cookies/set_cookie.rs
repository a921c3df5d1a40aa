//! SetCookie: reads what a server sets, and refuses what it may not.

use cookie_store::RawCookie;
use http::HeaderValue;
use url::Url;

use super::cookie_date;
use crate::sessions::SessionCookie;

/// RFC 6265bis §5.6: the most that name and value have together, in bytes.
const MAX_LENGTH: usize = 4_096;

/// RFC 6265bis §5.6: the longest value of an attribute, in bytes. A longer one is as if the attribute were not there.
const MAX_ATTRIBUTE: usize = 1_024;

/// Parses a `Set-Cookie`; `None` if a server at `url` may not set it (RFC 6265bis §5.6 and §5.7).
pub(super) fn parse(value: &HeaderValue, url: &Url) -> Option<RawCookie<'static>> {
    let text = std::str::from_utf8(value.as_bytes()).ok()?;
    let mut cookie = RawCookie::parse(with_plain_attributes(text)).ok()?;
    if cookie.name().len() + cookie.value().len() > MAX_LENGTH {
        return None;
    }
    let name = cookie.name().to_ascii_lowercase();
    let (is_for_host, is_for_tls) = (name.starts_with("__host-"), name.starts_with("__secure-"));
    if (is_for_host || is_for_tls || marked_secure(&cookie)) && !(marked_secure(&cookie) && is_secure(url)) {
        return None;
    }
    if is_for_host && (cookie.domain().is_some() || cookie.path() != Some("/")) {
        return None;
    }
    let domain = cookie.domain().map(|domain| domain.trim_start_matches('.').to_ascii_lowercase());
    if domain.is_some_and(|domain| psl::domain_str(&domain).is_none()) {
        // A cookie for a public suffix is allowed only if the suffix itself is the host.
        if cookie.domain() != url.host_str() {
            return None;
        }
        cookie.unset_domain();
    }
    Some(cookie)
}

/// Makes of a cookie that a session is given what a server would set, and where; `None` if none may.
pub(super) fn of_given(given: &SessionCookie) -> Option<(Url, RawCookie<'static>)> {
    let (url, line) = given.as_set_cookie()?;
    let cookie = parse(&HeaderValue::from_str(&line).ok()?, &url)?;
    Some((url, cookie))
}

/// Rewrites `Expires` in the one form that the `cookie` crate parses, and removes it where it is not a date (RFC 6265
/// §5.2.1); removes a `Max-Age` that is no number (RFC 6265bis §5.6.2), and attributes that are too long.
fn with_plain_attributes(text: &str) -> String {
    let mut parts = text.split(';');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for attribute in parts {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let (name, value) = (name.trim(), value.trim());
        if value.len() > MAX_ATTRIBUTE || name.eq_ignore_ascii_case("max-age") && !is_number(value) {
            continue;
        }
        let attribute = if name.eq_ignore_ascii_case("expires") {
            match cookie_date::parse(value.as_bytes()) {
                Some(date) => format!(" Expires={}", httpdate::fmt_http_date(date)),
                None => continue,
            }
        } else {
            attribute.to_owned()
        };
        plain.push(';');
        plain += &attribute;
    }
    plain
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn is_secure(url: &Url) -> bool {
    url.scheme() == "https"
}

pub(super) fn marked_secure(cookie: &RawCookie<'_>) -> bool {
    cookie.secure() == Some(true)
}
