//! Jars: the cookies of one session, in a jar for each pair of registrable domain and proxy, so that they never cross
//! between them. The port does not matter (RFC 6265 §8.5).

use std::collections::HashMap;

use cookie_store::RawCookie;
use http::HeaderValue;
use url::Url;

use super::jar::Jar;
use crate::{
    domain::{Domain, registrable},
    sessions::SessionCookie,
};

#[derive(Default)]
pub(super) struct Jars {
    by_key: HashMap<JarKey, Jar>,
    pub cookies: usize,
    /// A counter of uses over all jars; gives the least recently used jar.
    uses: u64,
    /// How many cookies were removed for want of room.
    pub forgotten: u64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct JarKey {
    domain: Domain,
    proxy: Option<u64>,
}

/// The most cookies of a session: 40 MiB if all have the maximum length; in practice about a hundredth of that.
pub(super) const MAX_COOKIES: usize = 10_000;

impl Jars {
    /// Takes in cookies that were set at `url`. Tells whether they are other ones than before.
    pub fn take_in(&mut self, url: &Url, proxy: Option<u64>, set: impl Iterator<Item = RawCookie<'static>>) -> bool {
        self.with_jar(url, proxy, |jar, _| set.fold(false, |changed, cookie| jar.take_in(&cookie, url, 0) | changed))
    }

    /// Takes in a cookie that is given. The jars of proxies take it over when they are used next.
    pub fn give(&mut self, url: &Url, cookie: &RawCookie<'static>) -> bool {
        self.with_jar(url, None, |jar, now| jar.take_in(cookie, url, now))
    }

    /// Takes in a cookie that an earlier run has had. A new value of one that is given is given too, or it would hide
    /// that one from the proxies.
    pub fn restore(&mut self, url: &Url, cookie: &RawCookie<'static>) {
        self.with_jar(url, None, |jar, now| {
            let given = if jar.was_given(cookie, url) { now } else { 0 };
            jar.take_in(cookie, url, given);
        });
    }

    /// Returns the `Cookie` header for a request to `url`.
    pub fn header(&mut self, url: &Url, proxy: Option<u64>) -> Option<HeaderValue> {
        self.with_jar(url, proxy, |jar, _| jar.header(url))
    }

    /// Uses a jar, at this time by the count of uses, and with that of a proxy the one whose cookies it takes over.
    /// There is none for a domain without cookies.
    fn with_jar<T>(&mut self, url: &Url, proxy: Option<u64>, use_it: impl FnOnce(&mut Jar, u64) -> T) -> T {
        self.uses += 1;
        let key = JarKey::new(url, proxy);
        let mut jar = self.by_key.remove(&key).unwrap_or_default();
        let (before, forgotten) = (jar.count(), jar.forgotten);
        jar.used = self.uses;
        if proxy.is_some()
            && let Some(direct) = self.by_key.get_mut(&key.with_proxy(None))
        {
            direct.used = self.uses;
            jar.take_over(direct);
        }
        let result = use_it(&mut jar, self.uses);
        self.cookies = self.cookies - before + jar.count();
        self.forgotten += jar.forgotten - forgotten;
        // That of a proxy remembers that a server has deleted what was given.
        if jar.count() > 0 || proxy.is_some() && jar.was_given_any() {
            self.by_key.insert(key, jar);
        }
        if self.cookies > MAX_COOKIES {
            self.forget_a_quarter();
        }
        result
    }

    /// Returns how many jars there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Returns the cookies that have not expired of requests through `proxy`, in the order they were created in.
    pub fn list(&self, proxy: Option<u64>) -> Vec<SessionCookie> {
        let mut of_domains: Vec<_> = self.by_key.iter().filter(|(key, _)| key.proxy == proxy).collect();
        // Those that were given, where nothing was sent through the proxy.
        let mut given: Vec<_> = self.by_key.iter().filter(|(key, _)| proxy.is_some() && key.proxy.is_none()).collect();
        given.retain(|(key, _)| !self.by_key.contains_key(&key.with_proxy(proxy)));
        of_domains.sort_by(|(one, _), (other, _)| one.domain.cmp(&other.domain));
        given.sort_by(|(one, _), (other, _)| one.domain.cmp(&other.domain));
        let given = given.into_iter().flat_map(|(_, jar)| jar.given_since(0));
        of_domains.into_iter().flat_map(|(_, jar)| jar.list()).chain(given).collect()
    }

    /// Removes a quarter of the jars: the least recently used ones, and last those with what was given, which no server
    /// sets again, and the one in use.
    pub fn forget_a_quarter(&mut self) {
        let uses = self.uses;
        let worth = |key: &JarKey, jar: &Jar| {
            let is_given = key.proxy.is_none() && jar.was_given_any();
            (is_given || jar.used == uses, jar.used)
        };
        let mut worths: Vec<_> = self.by_key.iter().map(|(key, jar)| worth(key, jar)).collect();
        worths.sort_unstable();
        let Some(&most_forgotten) = worths.get(worths.len() / 4) else { return };
        self.by_key.retain(|key, jar| worth(key, jar) > most_forgotten);
        let before = self.cookies;
        self.cookies = self.by_key.values().map(Jar::count).sum();
        self.forgotten += (before - self.cookies) as u64;
    }
}

impl JarKey {
    fn new(url: &Url, proxy: Option<u64>) -> Self {
        Self { domain: registrable(url), proxy }
    }

    fn with_proxy(&self, proxy: Option<u64>) -> Self {
        Self { domain: self.domain.clone(), proxy }
    }
}
