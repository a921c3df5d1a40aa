//! Jar: the cookies of one registrable domain, and which of them go with a request.

use std::{cmp::Reverse, collections::HashMap};

use cookie_store::{Cookie, CookieDomain, CookieExpiration, CookieStore, RawCookie, StoreAction};
use http::HeaderValue;
use url::Url;

use super::set_cookie::{is_secure, marked_secure, of_given};
use crate::sessions::SessionCookie;

#[derive(Default)]
pub(super) struct Jar {
    store: CookieStore,
    /// Each cookie of the store is here.
    records: HashMap<CookieId, CookieRecord>,
    /// The last number used in `records`.
    last: u64,
    /// How many were removed for want of room.
    pub forgotten: u64,
    /// When it was last used, by the count of its session.
    pub used: u64,
    /// The last time, by the same count, that it was given a cookie.
    given: u64,
}

/// What identifies a cookie in a jar: domain, path and name.
type CookieId = (String, String, String);

/// What the store does not know of a cookie.
#[derive(Clone, Copy)]
struct CookieRecord {
    /// Its place in the order of creation, in which cookies with equally long paths are sent.
    created: u64,
    /// When it was last set or sent, by the same count.
    used: u64,
    is_secure: bool,
    /// When it was given, by the count of the session; 0 if a server set it.
    given: u64,
}

/// RFC 6265 §6.1: the number that a user agent should support for each domain. For a further one, another is removed.
pub(super) const MAX_IN_A_JAR: usize = 50;

/// The longest `Cookie` header: what servers accept.
pub(super) const MAX_HEADER_LENGTH: usize = 8 * 1_024;

impl Jar {
    /// Takes in a cookie that was `given` at this time by the count of its session, or that a server sets (0). Tells
    /// whether it is kept and was not there with this value, or is deleted.
    pub fn take_in(&mut self, cookie: &RawCookie<'_>, url: &Url, given: u64) -> bool {
        let name = cookie.name();
        // A cookie for another domain than the server's is rejected.
        let Ok(cookie) = Cookie::try_from_raw_cookie(cookie, url) else { return false };
        let id = id_of(&cookie);
        // RFC 6265bis §5.7: plain HTTP, which anyone on the path can modify, must not set a cookie that is sent in
        // place of one set over TLS.
        let is_covered = |kept: &Cookie<'_>| kept.name() == name && marked_secure(kept) && covers(kept, &id);
        if !is_secure(url) && self.store.iter_unexpired().any(is_covered) {
            return false;
        }
        if self.count() >= MAX_IN_A_JAR && !self.records.contains_key(&id) && !cookie.is_expired() {
            self.make_room();
        }
        let (domain, path, name) = &id;
        let kept = self.store.get_any(domain, path, name);
        let has_value = kept.is_some_and(|kept| kept.value() == cookie.value());
        if kept.is_some_and(Cookie::is_expired) {
            self.forget(&id);
        }
        self.last += 1;
        self.given = self.given.max(given);
        let set = CookieRecord { created: self.last, used: self.last, is_secure: marked_secure(&cookie), given };
        match self.store.insert(cookie.into_owned(), url) {
            Ok(StoreAction::Inserted) => {
                self.records.insert(id, set);
                true
            }
            Ok(StoreAction::UpdatedExisting) => {
                // A replaced cookie keeps its creation time (RFC 6265 §5.3 step 11.3).
                let created = self.records.get(&id).map_or(set.created, |before| before.created);
                self.records.insert(id, CookieRecord { created, ..set });
                !has_value
            }
            Ok(StoreAction::ExpiredExisting) => {
                self.forget(&id);
                true
            }
            Err(_) => false,
        }
    }

    /// Takes over what another jar was given since this was done last.
    pub fn take_over(&mut self, other: &Self) {
        if self.given >= other.given {
            return;
        }
        for (url, cookie) in other.given_since(self.given).filter_map(|given| of_given(&given)) {
            self.take_in(&cookie, &url, other.given);
        }
        self.given = other.given;
    }

    /// Returns how many there are.
    pub fn count(&self) -> usize {
        self.records.len()
    }

    /// Tells whether it was ever given a cookie.
    pub fn was_given_any(&self) -> bool {
        self.given > 0
    }

    /// Tells whether what is in the place of this cookie was given.
    pub fn was_given(&self, cookie: &RawCookie<'_>, url: &Url) -> bool {
        Cookie::try_from_raw_cookie(cookie, url)
            .is_ok_and(|cookie| self.records.get(&id_of(&cookie)).is_some_and(|record| record.given > 0))
    }

    fn forget(&mut self, id: &CookieId) {
        let (domain, path, name) = id;
        self.store.remove(domain, path, name);
        self.records.remove(id);
    }

    /// Removes those that have expired, or else the one that was used least recently, rather one that is not secure
    /// (RFC 6265 §5.3 and RFC 6265bis §5.7): a new session's cookie is worth more than an old one.
    fn make_room(&mut self) {
        let expired: Vec<_> = self.store.iter_any().filter(|kept| kept.is_expired()).map(id_of).collect();
        for id in &expired {
            self.forget(id);
        }
        if self.count() < MAX_IN_A_JAR {
            return;
        }
        let least = self.records.iter().min_by_key(|(_, record)| (record.is_secure, record.used));
        if let Some(id) = least.map(|(id, _)| id.clone()) {
            self.forget(&id);
            self.forgotten += 1;
        }
    }

    /// Returns those that have not expired, in the order they were created in.
    pub fn list(&self) -> impl Iterator<Item = SessionCookie> {
        self.list_where(|_| true)
    }

    /// Returns those of [`Jar::list`] that were given after this time by the count of the session.
    pub fn given_since(&self, since: u64) -> impl Iterator<Item = SessionCookie> {
        self.list_where(move |record| record.given > since)
    }

    fn list_where(&self, is_wanted: impl Fn(&CookieRecord) -> bool) -> impl Iterator<Item = SessionCookie> {
        let mut kept: Vec<_> = self.store.iter_unexpired().collect();
        kept.retain(|cookie| self.records.get(&id_of(cookie)).is_some_and(&is_wanted));
        kept.sort_by_key(|cookie| self.records.get(&id_of(cookie)).map(|record| record.created));
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
    pub fn header(&mut self, url: &Url) -> Option<HeaderValue> {
        let mut cookies = self.store.matches(url);
        cookies.retain(|cookie| is_secure(url) || !marked_secure(cookie));
        // RFC 6265 §5.4 step 2: longer paths first; with equal length, the earlier created first.
        let created = |cookie: &Cookie<'_>| self.records.get(&id_of(cookie)).map(|record| record.created);
        cookies.sort_by_cached_key(|cookie| (Reverse(cookie.path.len()), created(cookie)));
        self.last += 1;
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
            if let Some(record) = self.records.get_mut(&id_of(cookie)) {
                record.used = self.last;
            }
        }
        if header.is_empty() { None } else { HeaderValue::from_bytes(header.as_bytes()).ok() }
    }
}

fn id_of(cookie: &Cookie<'_>) -> CookieId {
    (String::from(&cookie.domain), String::from(&cookie.path), cookie.name().to_owned())
}

/// Tells whether a cookie at this place would be sent where `kept` is.
fn covers(kept: &Cookie<'_>, (domain, path, _): &CookieId) -> bool {
    let (kept_domain, kept_path) = (String::from(&kept.domain), String::from(&kept.path));
    let is_below = |domain: &str, other: &str| {
        domain.strip_suffix(other).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let is_path_below = path
        .strip_prefix(&kept_path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || kept_path.ends_with('/'));
    (is_below(domain, &kept_domain) || is_below(&kept_domain, domain)) && is_path_below
}
