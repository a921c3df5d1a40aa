//! Cookies: stores the cookies that servers set in one session and sends them back, by RFC 6265 and RFC 6265bis. Knows no
//! connections and no other session.
//!
//! Each pair of registrable domain and proxy has its own jar, so cookies never cross between them. The port does not
//! matter (RFC 6265 §8.5).

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use cookie_store::{Cookie, CookieDomain, CookieExpiration, CookieStore, RawCookie, StoreAction};
use http::{HeaderMap, HeaderValue, header::SET_COOKIE};
use url::Url;

use super::{SessionCookie, cookie_date};
use crate::{
    domain::{Domain, registrable},
    error::Result,
};

/// The cookies of one session, shared by all arbiters.
pub struct Cookies {
    jars: Mutex<Jars>,
    /// When it was last used, by the count of all.
    used: AtomicU64,
    in_all: Arc<AllCookies>,
}

/// What the sessions of a pool have together.
#[derive(Default)]
pub struct AllCookies {
    /// How many cookies they have.
    count: AtomicUsize,
    /// How often any of them was used.
    uses: AtomicU64,
    /// Those that are in use, and some that are no more.
    sessions: Mutex<Vec<Weak<Cookies>>>,
}

#[derive(Default)]
struct Jars {
    by_key: HashMap<Key, Jar>,
    cookies: usize,
    /// A counter of uses over all jars; gives the least recently used jar.
    uses: u64,
    /// How many cookies were removed for want of room.
    forgotten: u64,
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

/// The most cookies of a session: 40 MiB if all have the maximum length; in practice about a hundredth of that.
const MAX_COOKIES: usize = 10_000;

/// The most cookies of all sessions together: as many as a thousand sessions have that each know one domain.
const MAX_IN_ALL: usize = 50_000;

/// RFC 6265bis §5.6: the largest name and value, which also leaves room for attributes.
const MAX_LENGTH: usize = 4_096;

/// The longest `Cookie` header: what servers accept.
const MAX_HEADER_LENGTH: usize = 8 * 1_024;

/// Tells whether this build keeps cookies.
///
/// # Errors
/// Never in this build; a build without the feature `cookies` fails here.
#[allow(clippy::unnecessary_wraps, reason = "without the feature it fails")]
pub fn check_support() -> Result<()> {
    Ok(())
}

impl Cookies {
    /// Creates empty jars, whose cookies count in `in_all`.
    pub fn new(in_all: &Arc<AllCookies>) -> Arc<Self> {
        let cookies = Arc::new(Self { jars: Mutex::default(), used: AtomicU64::new(0), in_all: in_all.clone() });
        in_all.begin(&cookies);
        cookies
    }

    /// Takes in what an answer from `url` sets. Tells whether the cookies are other ones than before.
    pub fn take_in(&self, url: &Url, proxy: Option<u64>, headers: &HeaderMap) -> bool {
        let mut set = headers.get_all(SET_COOKIE).iter().filter_map(|value| parse(value, url)).peekable();
        set.peek().is_some() && self.change(|jars| jars.take_in(url, proxy, set))
    }

    /// Adds a cookie that is given. Tells whether it is kept.
    pub fn add(&self, given: &SessionCookie) -> bool {
        let Some((url, line)) = given.as_set_cookie() else { return false };
        let Some(cookie) = HeaderValue::from_str(&line).ok().and_then(|line| parse(&line, &url)) else { return false };
        self.change(|jars| jars.take_in(&url, None, std::iter::once(cookie)))
    }

    /// Returns the `Cookie` header for a request to `url`.
    pub fn header(&self, url: &Url, proxy: Option<u64>) -> Option<HeaderValue> {
        self.mark_used();
        self.jars().header(url, proxy)
    }

    /// Returns the cookies that have not expired, but those that belong to a proxy, in the order they were created in.
    pub fn list(&self) -> Vec<SessionCookie> {
        let jars = self.jars();
        let mut of_domains: Vec<_> = jars.by_key.iter().filter(|(key, _)| key.proxy.is_none()).collect();
        of_domains.sort_by(|(one, _), (other, _)| one.domain.cmp(&other.domain));
        of_domains.into_iter().flat_map(|(_, jar)| jar.list()).collect()
    }

    /// Returns how many there are.
    pub fn count(&self) -> usize {
        self.jars().cookies
    }

    /// Returns how many were removed for want of room.
    pub fn forgotten(&self) -> u64 {
        self.jars().forgotten
    }

    /// Changes the jars. Where all sessions have too many cookies then, those that were used least recently lose some.
    fn change<T>(&self, change: impl FnOnce(&mut Jars) -> T) -> T {
        self.mark_used();
        let result = self.counted(change);
        self.in_all.forget_some();
        result
    }

    /// Changes the jars, and counts what that makes of them.
    fn counted<T>(&self, change: impl FnOnce(&mut Jars) -> T) -> T {
        let mut jars = self.jars();
        let before = jars.cookies;
        let result = change(&mut jars);
        // Added first: the sum never falls below what the other sessions have.
        self.in_all.count.fetch_add(jars.cookies, Ordering::Relaxed);
        self.in_all.count.fetch_sub(before, Ordering::Relaxed);
        result
    }

    fn mark_used(&self) {
        self.used.store(self.in_all.uses.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn jars(&self) -> MutexGuard<'_, Jars> {
        self.jars.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cookies {
    fn drop(&mut self) {
        let count = self.count();
        self.in_all.count.fetch_sub(count, Ordering::Relaxed);
    }
}

impl AllCookies {
    fn begin(&self, cookies: &Arc<Cookies>) {
        let mut sessions = self.sessions();
        if sessions.len() == sessions.capacity() {
            sessions.retain(|known| known.strong_count() > 0);
        }
        sessions.push(Arc::downgrade(cookies));
    }

    /// Removes cookies of the sessions that were used least recently, while there are too many: so a new session always has
    /// room for its first ones.
    fn forget_some(&self) {
        while self.count.load(Ordering::Relaxed) > MAX_IN_ALL {
            let live: Vec<_> = self.sessions().iter().filter_map(Weak::upgrade).collect();
            let with_any = live.into_iter().filter(|cookies| cookies.count() > 0);
            let Some(oldest) = with_any.min_by_key(|cookies| cookies.used.load(Ordering::Relaxed)) else { return };
            oldest.counted(Jars::forget_a_quarter);
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<Weak<Cookies>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
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
        let before = self.cookies;
        self.cookies = self.by_key.values().map(|jar| jar.store.iter_any().count()).sum();
        self.forgotten += (before - self.cookies) as u64;
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

    fn list(&self) -> impl Iterator<Item = SessionCookie> {
        let mut kept: Vec<_> = self.store.iter_unexpired().collect();
        kept.sort_by_key(|cookie| self.created.get(&place(cookie)));
        kept.into_iter().map(|cookie| SessionCookie {
            name: cookie.name().to_owned(),
            value: cookie.value().to_owned(),
            domain: String::from(&cookie.domain),
            host_only: matches!(cookie.domain, CookieDomain::HostOnly(_)),
            path: String::from(&cookie.path),
            secure: marked_secure(cookie),
            http_only: cookie.http_only() == Some(true),
            expires: match &cookie.expires {
                CookieExpiration::AtUtc(at) => u64::try_from(at.unix_timestamp()).ok(),
                CookieExpiration::SessionEnd => None,
            },
        })
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

    fn none() -> Arc<Cookies> {
        Cookies::new(&Arc::default())
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
        let cookies = none();
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
        let cookies = none();
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
            let cookies = none();
            set(&cookies, "https://e.org/", &["session=1; Path=/"]);
            set(&cookies, "https://e.org/", &[&format!("session=; Path=/; Expires={date}")]);
            assert_eq!(sent(&cookies, "https://e.org/"), "", "{date}");
        }
        let cookies = none();
        set(&cookies, "https://e.org/", &["a=1; expires=Fri Dec 31 2100 1:2:3", "b=1; Expires=never; Path=/"]);
        assert_eq!(sent(&cookies, "https://e.org/"), "a=1; b=1", "a date to come, and none at all");
    }

    /// A redirect that changes nothing and leads back is a loop.
    #[test]
    fn it_is_told_whether_anything_has_changed() {
        let cookies = none();
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
        let cookies = none();
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
        let cookies = none();
        set(&cookies, "http://127.0.0.1:8001/", &["a=1"]);
        assert_eq!(sent(&cookies, "http://127.0.0.1:8001/"), "a=1");
        assert_eq!(sent(&cookies, "http://127.0.0.1:8002/"), "a=1", "RFC 6265 §8.5");
        assert_eq!(cookies.header(&url("http://127.0.0.1:8001/"), Some(7)), None);
    }

    #[test]
    fn what_is_secure_is_neither_set_nor_replaced_nor_seen_over_plain_http() {
        let cookies = none();
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
        let cookies = none();
        for n in 0..200 {
            set(&cookies, "http://e.org/", &[&format!("c{n}={}", "x".repeat(300))]);
        }
        set(&cookies, "http://e.org/", &[&format!("long={}", "x".repeat(5_000))]);
        assert!(sent(&cookies, "http://e.org/").len() <= MAX_HEADER_LENGTH);
        assert_eq!(cookies.count(), MAX_IN_A_JAR);
        for n in 0..MAX_COOKIES + 100 {
            set(&cookies, &format!("http://e{n}.org/"), &["a=1"]);
            assert!(cookies.count() <= MAX_COOKIES);
        }
        assert_eq!(sent(&cookies, &format!("http://e{}.org/", MAX_COOKIES + 99)), "a=1", "what was used last is kept");
        assert_eq!(sent(&cookies, "http://e.org/"), "", "what was not used for long is forgotten");
    }

    #[test]
    fn what_is_listed_can_be_given_again_in_the_same_order() {
        let cookies = none();
        let long = "Expires=Fri, 31 Dec 2100 01:02:03 GMT";
        set(
            &cookies,
            "https://e.org/a/b",
            &["z=1; Path=/; Secure", &format!("a=\"2\"; HttpOnly; {long}"), "gone=; Max-Age=0"],
        );
        set(&cookies, "https://www.other.org/", &["all=3; Domain=other.org"]);
        let again = none();
        for cookie in cookies.list() {
            assert!(again.add(&cookie), "{cookie:?}");
        }
        assert_eq!(again.list(), cookies.list());
        for to in ["https://e.org/a/x", "http://e.org/a/x", "https://www.e.org/a/x", "https://x.other.org/"] {
            assert_eq!(sent(&again, to), sent(&cookies, to), "{to}");
        }
        assert_eq!(sent(&again, "https://e.org/a/x"), "a=\"2\"; z=1");
    }

    #[test]
    fn what_cannot_be_a_cookie_is_not_taken() {
        let cookies = none();
        let good = SessionCookie::new("a", "1", "e.org");
        for wrong in [
            SessionCookie { name: "a;b".to_owned(), ..good.clone() },
            SessionCookie { name: "a=b".to_owned(), ..good.clone() },
            SessionCookie { value: "1\r\nx: y".to_owned(), ..good.clone() },
            SessionCookie { value: "1; Domain=org".to_owned(), ..good.clone() },
            SessionCookie { path: "/;".to_owned(), ..good.clone() },
            SessionCookie { domain: "e.org/path".to_owned(), ..good.clone() },
            SessionCookie { domain: "me@e.org".to_owned(), ..good.clone() },
            SessionCookie { domain: String::new(), ..good.clone() },
            SessionCookie { domain: "co.uk".to_owned(), host_only: false, name: "__Host-x".to_owned(), ..good.clone() },
            SessionCookie { expires: Some(0), ..good.clone() },
        ] {
            assert!(!cookies.add(&wrong), "{wrong:?}");
        }
        assert!(cookies.add(&good));
        assert_eq!(sent(&cookies, "http://e.org/"), "a=1");
    }

    #[test]
    fn all_sessions_together_have_a_bound_and_one_that_ends_gives_its_room_back() {
        let in_all = Arc::<AllCookies>::default();
        let of_all = || in_all.count.load(Ordering::Relaxed);
        let sessions: Vec<_> = (0..7).map(|_| Cookies::new(&in_all)).collect();
        for (index, session) in sessions.iter().enumerate() {
            for n in 0..9_000 {
                set(session, &format!("http://e{index}x{n}.org/"), &["a=1"]);
            }
            assert_eq!(of_all(), sessions.iter().map(|session| session.count()).sum::<usize>());
            assert!(of_all() <= MAX_IN_ALL, "session {index}");
            assert_eq!(session.count(), 9_000, "who comes last has room");
        }
        let forgotten: Vec<_> = sessions.iter().map(|session| session.forgotten()).collect();
        assert!(forgotten[0] > 0 && forgotten[6] == 0, "{forgotten:?}, the one that was used least recently first");
        drop(sessions);
        assert_eq!(of_all(), 0);
    }

    /// Regression: where other sessions had all that there may be, a new one got none, and was logged in again and again.
    #[test]
    fn a_new_session_has_room_for_its_first_cookies_whatever_others_have() {
        let in_all = Arc::<AllCookies>::default();
        let mut others: Vec<_> = (0..MAX_IN_ALL / MAX_COOKIES).map(|_| Cookies::new(&in_all)).collect();
        for (index, session) in others.iter().enumerate() {
            for n in 0..MAX_COOKIES {
                set(session, &format!("http://e{index}x{n}.org/"), &["a=1"]);
            }
        }
        assert_eq!(in_all.count.load(Ordering::Relaxed), MAX_IN_ALL);
        // Those that are in use keep theirs.
        let unused = others.remove(2);
        assert!(others.iter().all(|session| session.header(&url("http://x.org/"), None).is_none()));
        let new = Cookies::new(&in_all);
        assert!(set(&new, "http://new.org/", &["a=1"]));
        assert_eq!(sent(&new, "http://new.org/"), "a=1");
        assert!(unused.forgotten() > 0 && others.iter().all(|session| session.forgotten() == 0));
        assert!(in_all.count.load(Ordering::Relaxed) <= MAX_IN_ALL);
    }
}
