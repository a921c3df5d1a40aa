//! Cookies: stores the cookies that servers set and sends them back, by RFC 6265 and RFC 6265bis. Knows no connections.
//!
//! Each pair of registrable domain and proxy has its own jar, so cookies never cross between them. The port does not
//! matter (RFC 6265 §8.5).

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use cookie_store::{Cookie, CookieStore, RawCookie, StoreAction};
use http::{HeaderMap, HeaderValue, header::SET_COOKIE};
use url::Url;

use super::cookie_date;
use crate::{
    domain::{Domain, registrable},
    error::Result,
};

/// The cookies of a crawl, shared by all arbiters.
pub struct Cookies(Mutex<Jars>);

#[derive(Default)]
struct Jars {
    by_key: HashMap<Key, Jar>,
    cookies: usize,
    /// A counter of uses over all jars; gives the least recently used jar.
    uses: u64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    domain: Domain,
    proxy: Option<u64>,
}

#[derive(Default)]
struct Jar {
    store: CookieStore,
    /// The order of creation. Cookies with equally long paths are sent in this order.
    created: HashMap<Place, u64>,
    /// The last number used in `created`.
    last: u64,
    used: u64,
}

/// What identifies a cookie in a jar: domain, path and name.
type Place = (String, String, String);

/// RFC 6265 §6.1: the number that a user agent should support for each domain. Further ones are rejected.
const MAX_IN_A_JAR: usize = 50;

/// The most cookies in all jars: 40 MiB if all have the maximum length; in practice about a hundredth of that.
const MAX_COOKIES: usize = 10_000;

/// RFC 6265bis §5.6: the largest name and value, which also leaves room for attributes.
const MAX_LENGTH: usize = 4_096;

/// The longest `Cookie` header: what servers accept.
const MAX_HEADER_LENGTH: usize = 8 * 1_024;

impl Cookies {
    /// Creates empty jars.
    ///
    /// # Errors
    /// Never in this build; a build without the feature `cookies` fails here.
    #[allow(clippy::unnecessary_wraps, reason = "without the feature it fails")]
    pub fn new() -> Result<Self> {
        Ok(Self(Mutex::default()))
    }

    /// Takes in what an answer from `url` sets. Tells whether the cookies are other ones than before.
    pub fn take_in(&self, url: &Url, proxy: Option<u64>, headers: &HeaderMap) -> bool {
        let mut set = headers.get_all(SET_COOKIE).iter().filter_map(|value| parse(value, url)).peekable();
        set.peek().is_some() && self.0.lock().unwrap_or_else(PoisonError::into_inner).take_in(url, proxy, set)
    }

    /// Returns the `Cookie` header for a request to `url`.
    pub fn header(&self, url: &Url, proxy: Option<u64>) -> Option<HeaderValue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).header(url, proxy)
    }
}

impl Jars {
    fn take_in(&mut self, url: &Url, proxy: Option<u64>, set: impl Iterator<Item = RawCookie<'static>>) -> bool {
        self.uses += 1;
        let jar = self.by_key.entry(Key::new(url, proxy)).or_default();
        jar.used = self.uses;
        let before = jar.store.iter_any().count();
        let mut has_changed = false;
        for cookie in set {
            has_changed |= jar.take_in(&cookie, url);
        }
        self.cookies = self.cookies - before + jar.store.iter_any().count();
        if self.cookies > MAX_COOKIES {
            self.forget_a_quarter();
        }
        has_changed
    }

    fn header(&mut self, url: &Url, proxy: Option<u64>) -> Option<HeaderValue> {
        let jar = self.by_key.get_mut(&Key::new(url, proxy))?;
        self.uses += 1;
        jar.used = self.uses;
        jar.header(url)
    }

    /// Removes the least recently used quarter of the jars.
    fn forget_a_quarter(&mut self) {
        let mut used: Vec<u64> = self.by_key.values().map(|jar| jar.used).collect();
        used.sort_unstable();
        let Some(&newest_forgotten) = used.get(used.len() / 4) else { return };
        self.by_key.retain(|_, jar| jar.used > newest_forgotten);
        self.cookies = self.by_key.values().map(|jar| jar.store.iter_any().count()).sum();
    }
}

impl Key {
    fn new(url: &Url, proxy: Option<u64>) -> Self {
        Self { domain: registrable(url), proxy }
    }
}

impl Jar {
    /// Tells whether the cookie is kept and was not there with this value, or is deleted.
    fn take_in(&mut self, cookie: &RawCookie<'_>, url: &Url) -> bool {
        let name = cookie.name();
        // RFC 6265bis §5.7 step 16: plain HTTP, which anyone on the path can modify, must not replace a cookie set over
        // TLS.
        if !is_secure(url) && self.store.iter_unexpired().any(|kept| kept.name() == name && marked_secure(kept)) {
            return false;
        }
        if self.store.iter_any().count() >= MAX_IN_A_JAR {
            self.forget_expired();
            if self.store.iter_any().count() >= MAX_IN_A_JAR && !self.store.iter_any().any(|kept| kept.name() == name) {
                return false;
            }
        }
        // A cookie for another domain than the server's is rejected.
        let Ok(cookie) = Cookie::try_from_raw_cookie(cookie, url) else { return false };
        let place = place(&cookie);
        let (domain, path, name) = &place;
        let kept = self.store.get_any(domain, path, name);
        let has_value = kept.is_some_and(|kept| kept.value() == cookie.value());
        if kept.is_some_and(Cookie::is_expired) {
            self.forget(&place);
        }
        match self.store.insert(cookie.into_owned(), url) {
            Ok(StoreAction::Inserted) => {
                self.last += 1;
                self.created.insert(place, self.last);
                true
            }
            // A replaced cookie keeps its creation time (RFC 6265 §5.3 step 11.3).
            Ok(StoreAction::UpdatedExisting) => !has_value,
            Ok(StoreAction::ExpiredExisting) => {
                self.forget(&place);
                true
            }
            Err(_) => false,
        }
    }

    fn forget(&mut self, place: &Place) {
        let (domain, path, name) = place;
        self.store.remove(domain, path, name);
        self.created.remove(place);
    }

    fn forget_expired(&mut self) {
        let expired: Vec<_> = self.store.iter_any().filter(|kept| kept.is_expired()).map(place).collect();
        for place in &expired {
            self.forget(place);
        }
    }

    fn header(&self, url: &Url) -> Option<HeaderValue> {
        let mut cookies = self.store.matches(url);
        cookies.retain(|cookie| is_secure(url) || !marked_secure(cookie));
        // RFC 6265 §5.4 step 2: longer paths first; with equal length, the earlier created first.
        cookies.sort_by_key(|cookie| (Reverse(cookie.path.len()), self.created.get(&place(cookie))));
        let mut header = String::new();
        for cookie in cookies {
            let (name, value) = cookie.name_value();
            if header.len() + name.len() + value.len() + 3 > MAX_HEADER_LENGTH {
                break;
            }
            if !header.is_empty() {
                header += "; ";
            }
            header += name;
            header += "=";
            header += value;
        }
        if header.is_empty() { None } else { HeaderValue::from_bytes(header.as_bytes()).ok() }
    }
}

fn place(cookie: &Cookie<'_>) -> Place {
    (String::from(&cookie.domain), String::from(&cookie.path), cookie.name().to_owned())
}

fn is_secure(url: &Url) -> bool {
    url.scheme() == "https"
}

fn marked_secure(cookie: &RawCookie<'_>) -> bool {
    cookie.secure() == Some(true)
}

/// Parses a `Set-Cookie`; `None` if a server at `url` may not set it (RFC 6265bis §5.6 and §5.7).
fn parse(value: &HeaderValue, url: &Url) -> Option<RawCookie<'static>> {
    let text = std::str::from_utf8(value.as_bytes()).ok().filter(|text| text.len() <= MAX_LENGTH)?;
    let mut cookie = RawCookie::parse(with_plain_expiry(text)).ok()?;
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

/// Rewrites `Expires` in the one form that the `cookie` crate parses, and removes it where it is not a date (RFC 6265
/// §5.2.1).
fn with_plain_expiry(text: &str) -> String {
    let mut parts = text.split(';');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for attribute in parts {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let attribute = if name.trim().eq_ignore_ascii_case("expires") {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn set(cookies: &Cookies, from: &str, values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(SET_COOKIE, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        cookies.take_in(&url(from), None, &headers)
    }

    fn sent(cookies: &Cookies, to: &str) -> String {
        cookies.header(&url(to), None).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_cookie_goes_back_to_its_host_and_path_and_with_a_domain_to_all_below() {
        let cookies = Cookies::new().unwrap();
        set(&cookies, "https://a.e.org/x/y", &["host=1", "deep=2; Path=/x/y/z", "all=3; Domain=e.org; Path=/"]);
        assert_eq!(sent(&cookies, "https://a.e.org/x/q"), "host=1; all=3");
        assert_eq!(sent(&cookies, "https://a.e.org/x/y/z"), "deep=2; host=1; all=3");
        assert_eq!(sent(&cookies, "https://b.e.org/x/q"), "all=3");
        assert_eq!(sent(&cookies, "https://a.e.org/"), "all=3");
        set(&cookies, "https://a.e.org/x/y", &["host=; Max-Age=0"]);
        assert_eq!(sent(&cookies, "https://a.e.org/x/q"), "all=3");
    }

    /// RFC 6265 §5.4 step 2 and §5.3 step 11.3.
    #[test]
    fn cookies_of_one_path_go_in_the_order_they_were_created() {
        let cookies = Cookies::new().unwrap();
        set(&cookies, "https://e.org/", &["z=1", "a=1", "m=1; Path=/x", "b=1"]);
        assert_eq!(sent(&cookies, "https://e.org/x"), "m=1; z=1; a=1; b=1");
        set(&cookies, "https://e.org/", &["z=2"]);
        assert_eq!(sent(&cookies, "https://e.org/"), "z=2; a=1; b=1", "one that is replaced keeps its place");
        set(&cookies, "https://e.org/", &["z=; Max-Age=0"]);
        set(&cookies, "https://e.org/", &["z=3"]);
        assert_eq!(sent(&cookies, "https://e.org/"), "a=1; b=1; z=3", "one that was deleted is a new one");
    }

    /// Regression: these eleven valid forms of RFC 6265 §5.1.1 were ignored, so an expired session cookie was still
    /// sent.
    #[test]
    fn a_date_in_the_past_deletes_in_whatever_form_it_is_written() {
        for date in [
            "Thu, 1 Jan 1970 00:00:00 GMT",
            "Thu, 01 Jan 1970 00:00:00 UTC",
            "Thu, 01 Jan 1970 00:00:00 +0000",
            "Thu, 01 Jan 1970 00:00:00",
            "Thu, 01-Jan-1970 00:00:00 GMT",
            "THU, 01 JAN 1970 00:00:00 GMT",
            "Thu, 01 Jan 1970 0:00:00 GMT",
            "Thu, 01 January 1970 00:00:00 GMT",
            "Thu Jan 01 1970 00:00:00 GMT+0000 (Coordinated Universal Time)",
            "\"Thu, 01 Jan 1970 00:00:00 GMT\"",
            "Thu,01 Jan 1970 00:00:00 GMT",
        ] {
            let cookies = Cookies::new().unwrap();
            set(&cookies, "https://e.org/", &["session=1; Path=/"]);
            set(&cookies, "https://e.org/", &[&format!("session=; Path=/; Expires={date}")]);
            assert_eq!(sent(&cookies, "https://e.org/"), "", "{date}");
        }
        let cookies = Cookies::new().unwrap();
        set(&cookies, "https://e.org/", &["a=1; expires=Fri Dec 31 2100 1:2:3", "b=1; Expires=never; Path=/"]);
        assert_eq!(sent(&cookies, "https://e.org/"), "a=1; b=1", "a date to come, and none at all");
    }

    /// A redirect that changes nothing and leads back is a loop.
    #[test]
    fn it_is_told_whether_anything_has_changed() {
        let cookies = Cookies::new().unwrap();
        for (value, has_changed) in [
            ("a=1", true),
            ("a=1", false),
            ("a=1; Max-Age=60", false),
            ("a=2", true),
            ("b=1; Path=/x", true),
            ("b=1; Max-Age=0", false),
            ("a=; Max-Age=0", true),
            ("a=; Max-Age=0", false),
            ("c=1; Domain=other.org", false),
            ("a=1", true),
        ] {
            assert_eq!(set(&cookies, "https://e.org/", &[value]), has_changed, "{value}");
        }
        assert!(!set(&cookies, "https://e.org/", &[]));
    }

    #[test]
    fn nobody_sets_cookies_for_others() {
        let cookies = Cookies::new().unwrap();
        let values = ["a=1; Domain=other.org", "b=1; Domain=co.uk", "c=1; Domain=github.io", "d=1; Domain=org"];
        set(&cookies, "https://me.co.uk/", &values);
        set(&cookies, "https://me.github.io/", &values);
        for host in ["other.org", "me.co.uk", "you.co.uk", "me.github.io", "you.github.io"] {
            assert_eq!(sent(&cookies, &format!("https://{host}/")), "", "{host}");
        }
        set(&cookies, "https://github.io/", &["own=1; Domain=github.io"]);
        assert_eq!(sent(&cookies, "https://github.io/"), "own=1");
        assert_eq!(sent(&cookies, "https://me.github.io/"), "");
    }

    #[test]
    fn ports_share_a_jar_and_proxies_have_jars_of_their_own() {
        let cookies = Cookies::new().unwrap();
        set(&cookies, "http://127.0.0.1:8001/", &["a=1"]);
        assert_eq!(sent(&cookies, "http://127.0.0.1:8001/"), "a=1");
        assert_eq!(sent(&cookies, "http://127.0.0.1:8002/"), "a=1", "RFC 6265 §8.5");
        assert_eq!(cookies.header(&url("http://127.0.0.1:8001/"), Some(7)), None);
    }

    #[test]
    fn what_is_secure_is_neither_set_nor_replaced_nor_seen_over_plain_http() {
        let cookies = Cookies::new().unwrap();
        set(&cookies, "http://e.org/", &["plain=1; Secure", "__Host-x=1; Secure; Path=/", "__Secure-y=1"]);
        assert_eq!(sent(&cookies, "https://e.org/"), "");
        set(&cookies, "https://e.org/", &["s=1; Secure", "__Host-x=1; Secure; Path=/", "__Host-y=1; Secure; Path=/a"]);
        set(&cookies, "http://e.org/", &["s=2"]);
        assert_eq!(sent(&cookies, "https://e.org/"), "s=1; __Host-x=1");
        assert_eq!(sent(&cookies, "http://e.org/"), "");
        // Loopback is no exception here, although the crate treats it as one.
        set(&cookies, "https://127.0.0.1/", &["s=1; Secure"]);
        assert_eq!(sent(&cookies, "http://127.0.0.1/"), "");
    }

    #[test]
    fn there_are_never_more_than_the_bounds() {
        let cookies = Cookies::new().unwrap();
        for n in 0..200 {
            set(&cookies, "http://e.org/", &[&format!("c{n}={}", "x".repeat(300))]);
        }
        set(&cookies, "http://e.org/", &[&format!("long={}", "x".repeat(5_000))]);
        assert!(sent(&cookies, "http://e.org/").len() <= MAX_HEADER_LENGTH);
        assert_eq!(cookies.0.lock().unwrap().cookies, MAX_IN_A_JAR);
        for n in 0..MAX_COOKIES + 100 {
            set(&cookies, &format!("http://e{n}.org/"), &["a=1"]);
            assert!(cookies.0.lock().unwrap().cookies <= MAX_COOKIES);
        }
        assert_eq!(sent(&cookies, &format!("http://e{}.org/", MAX_COOKIES + 99)), "a=1", "what was used last is kept");
        assert_eq!(sent(&cookies, "http://e.org/"), "", "what was not used for long is forgotten");
    }
}
