//! Jar: the cookies of one registrable domain, and which of them go with a request.

use std::{cmp::Reverse, collections::HashMap};

use cookie_store::{Cookie, CookieDomain, CookieExpiration, CookieStore, RawCookie, StoreAction};
use http::HeaderValue;
use url::Url;

use super::set_cookie::{is_secure, marked_secure};
use crate::sessions::SessionCookie;

#[derive(Default)]
pub(super) struct Jar {
    store: CookieStore,
    /// The order of creation: each cookie of the store is here. Cookies with equally long paths are sent in this order.
    created: HashMap<Place, u64>,
    /// The last number used in `created`.
    last: u64,
    /// When it was last used, by the count of its session.
    pub used: u64,
}

/// What identifies a cookie in a jar: domain, path and name.
type Place = (String, String, String);

/// RFC 6265 §6.1: the number that a user agent should support for each domain. Further ones are rejected.
pub(super) const MAX_IN_A_JAR: usize = 50;

/// The longest `Cookie` header: what servers accept.
pub(super) const MAX_HEADER_LENGTH: usize = 8 * 1_024;

impl Jar {
    /// Tells whether the cookie is kept and was not there with this value, or is deleted.
    pub fn take_in(&mut self, cookie: &RawCookie<'_>, url: &Url) -> bool {
        let name = cookie.name();
        // RFC 6265bis §5.7 step 16: plain HTTP, which anyone on the path can modify, must not replace a cookie set over
        // TLS.
        if !is_secure(url) && self.store.iter_unexpired().any(|kept| kept.name() == name && marked_secure(kept)) {
            return false;
        }
        // A cookie for another domain than the server's is rejected.
        let Ok(cookie) = Cookie::try_from_raw_cookie(cookie, url) else { return false };
        let place = place(&cookie);
        if self.count() >= MAX_IN_A_JAR && !self.created.contains_key(&place) {
            self.forget_expired();
            if self.count() >= MAX_IN_A_JAR {
                return false;
            }
        }
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

    /// Returns how many there are.
    pub fn count(&self) -> usize {
        self.created.len()
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

    /// Returns those that have not expired, in the order they were created in.
    pub fn list(&self) -> impl Iterator<Item = SessionCookie> {
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

    /// Returns the `Cookie` header for a request to `url`.
    pub fn header(&self, url: &Url) -> Option<HeaderValue> {
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
