//! Cookies: stores the cookies that servers set in one session and sends them back, by RFC 6265 and RFC 6265bis. Knows
//! no connections and no other session.

mod jar;
mod jars;
mod set_cookie;
#[cfg(test)]
mod tests;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use http::{HeaderMap, HeaderValue, header::SET_COOKIE};
use url::Url;

use self::{
    jars::Jars,
    set_cookie::{of_given, parse},
};
use super::{SessionCookie, cookie_date};
use crate::error::Result;

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

/// The most cookies of all sessions together: as many as a thousand sessions have that each know one domain.
const MAX_IN_ALL: usize = 50_000;

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

    /// Adds a cookie that is given, for requests through all proxies. Tells whether it is kept.
    pub fn add(&self, given: &SessionCookie) -> bool {
        of_given(given).is_some_and(|(url, cookie)| self.change(|jars| jars.give(&url, &cookie)))
    }

    /// Adds a cookie that was saved: for requests without a proxy, and through all proxies if it is in the place of one
    /// that is given. One that has expired meanwhile is not kept.
    pub fn restore(&self, saved: &SessionCookie) {
        if let Some((url, cookie)) = of_given(saved) {
            self.change(|jars| jars.restore(&url, &cookie));
        }
    }

    /// Returns the `Cookie` header for a request to `url`.
    pub fn header(&self, url: &Url, proxy: Option<u64>) -> Option<HeaderValue> {
        self.change(|jars| jars.header(url, proxy))
    }

    /// Returns the cookies that have not expired of requests through `proxy`, in the order they were created in.
    pub fn list(&self, proxy: Option<u64>) -> Vec<SessionCookie> {
        self.jars().list(proxy)
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

    /// Removes cookies of the sessions that were used least recently, while there are too many: so a new session always
    /// has room for its first ones.
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
