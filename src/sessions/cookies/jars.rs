//! Jars: the cookies of one session, in a jar for each pair of registrable domain and proxy, so that they never cross between
//! them. The port does not matter (RFC 6265 §8.5).

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
    by_key: HashMap<Key, Jar>,
    pub cookies: usize,
    /// A counter of uses over all jars; gives the least recently used jar.
    uses: u64,
    /// How many cookies were removed for want of room.
    pub forgotten: u64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    domain: Domain,
    proxy: Option<u64>,
}

/// The most cookies of a session: 40 MiB if all have the maximum length; in practice about a hundredth of that.
pub(super) const MAX_COOKIES: usize = 10_000;

impl Jars {
    /// Takes in cookies that were set at `url`. Tells whether they are other ones than before.
    pub fn take_in(&mut self, url: &Url, proxy: Option<u64>, set: impl Iterator<Item = RawCookie<'static>>) -> bool {
        self.uses += 1;
        let jar = self.by_key.entry(Key::new(url, proxy)).or_default();
        jar.used = self.uses;
        let (before, forgotten) = (jar.count(), jar.forgotten);
        let mut has_changed = false;
        for cookie in set {
            has_changed |= jar.take_in(&cookie, url);
        }
        self.cookies = self.cookies - before + jar.count();
        self.forgotten += jar.forgotten - forgotten;
        if self.cookies > MAX_COOKIES {
            self.forget_a_quarter();
        }
        has_changed
    }

    /// Returns the `Cookie` header for a request to `url`.
    pub fn header(&mut self, url: &Url, proxy: Option<u64>) -> Option<HeaderValue> {
        let jar = self.by_key.get_mut(&Key::new(url, proxy))?;
        self.uses += 1;
        jar.used = self.uses;
        jar.header(url)
    }

    /// Returns the cookies that have not expired, but those that belong to a proxy, in the order they were created in.
    pub fn list(&self) -> Vec<SessionCookie> {
        let mut of_domains: Vec<_> = self.by_key.iter().filter(|(key, _)| key.proxy.is_none()).collect();
        of_domains.sort_by(|(one, _), (other, _)| one.domain.cmp(&other.domain));
        of_domains.into_iter().flat_map(|(_, jar)| jar.list()).collect()
    }

    /// Removes the least recently used quarter of the jars.
    pub fn forget_a_quarter(&mut self) {
        let mut used: Vec<u64> = self.by_key.values().map(|jar| jar.used).collect();
        used.sort_unstable();
        let Some(&newest_forgotten) = used.get(used.len() / 4) else { return };
        self.by_key.retain(|_, jar| jar.used > newest_forgotten);
        let before = self.cookies;
        self.cookies = self.by_key.values().map(Jar::count).sum();
        self.forgotten += (before - self.cookies) as u64;
    }
}

impl Key {
    fn new(url: &Url, proxy: Option<u64>) -> Self {
        Self { domain: registrable(url), proxy }
    }
}
