//! CookieJar: the cookies of one session, for fuzzing. Knows no connections.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use url::Url;

use crate::sessions::{AllCookies, Cookies, SessionCookie};

/// The cookies of one session.
pub struct CookieJar(Arc<Cookies>);

impl Default for CookieJar {
    fn default() -> Self {
        Self(Cookies::new(&Arc::new(AllCookies::default())))
    }
}

impl CookieJar {
    /// Takes in what an answer from `url` sets. Tells whether the cookies are other ones than before.
    pub fn take_in(&self, url: &Url, headers: &HeaderMap) -> bool {
        self.0.take_in(url, None, headers)
    }

    /// Adds a cookie that is given. Tells whether it is kept.
    pub fn add(&self, given: &SessionCookie) -> bool {
        self.0.add(given)
    }

    /// Returns the `Cookie` header for a request to `url`.
    pub fn header(&self, url: &Url) -> Option<HeaderValue> {
        self.0.header(url, None)
    }

    /// Returns the cookies that have not expired.
    pub fn list(&self) -> Vec<SessionCookie> {
        self.0.list(None)
    }

    /// Returns how many there are.
    pub fn count(&self) -> usize {
        self.0.count()
    }
}
