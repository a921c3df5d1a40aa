//! Session: one named session as requests and spiders see it. Does not know which requests are sent in it.

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderValue};
use url::Url;

use super::{DEFAULT, SessionCookie, cookies::Cookies, name, shared::SharedSessions};
use crate::{
    domain::Domain,
    error::{Error, Result},
};

/// A session: its name, and the cookies that it has now.
///
/// A spider gets that of its page by [`Response::session`](crate::Response::session):
///
/// ```
/// use actix_crawler::prelude::*;
///
/// fn orders(page: &Response) -> Result<Parsed<String>> {
///     // What a script of the page would send as a header.
///     let token = page.session().and_then(|session| session.value("csrftoken"));
///     Ok(Parsed::of(token))
/// }
/// # drop(orders(&Response::html("https://example.org/", "")));
/// ```
///
/// It stands for the session that the request was made in: where another has taken its place since, it still has the
/// old one's cookies.
#[derive(Clone)]
pub struct Session {
    pub(super) shared: Arc<SharedSessions>,
    pub(super) name: Arc<str>,
    pub(super) cookies: Arc<Cookies>,
    pub(super) proxy: Option<Arc<str>>,
    /// The proxy that its page came by.
    pub(super) came_by: Option<u64>,
}

impl Session {
    /// Returns its name; the sessions of a pool are called `pool/1`, `pool/2`, ….
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its cookies that have not expired. Of the default session, which is another visitor through each proxy,
    /// these are what it was given and what servers have set by the proxy that the page came by; without a page,
    /// directly.
    pub fn cookies(&self) -> Vec<SessionCookie> {
        self.cookies.list(self.keyed_by(self.came_by))
    }

    /// Returns the value of the first cookie of this name, whatever its domain.
    pub fn value(&self, name: &str) -> Option<String> {
        self.cookies().into_iter().find(|cookie| cookie.name == name).map(|cookie| cookie.value)
    }

    /// Sets a cookie, for requests through all proxies.
    ///
    /// # Errors
    /// It cannot be a cookie: its name, value, domain or path has characters that none may have, it is longer than
    /// 4,096 bytes, it has expired, it is one for all of a public suffix, or the domain has 50 cookies already.
    pub fn set(&self, cookie: &SessionCookie) -> Result<()> {
        if self.cookies.add(cookie) || self.cookies.list(None).contains(cookie) {
            self.shared.have_changed();
            return Ok(());
        }
        let what = format!("the cookie `{}` of session `{}`", cookie.name.escape_debug(), self.name);
        Err(Error::setting(what, "it cannot be kept: look at its name, value, domain, path and expiry"))
    }

    /// Counts a request of its log-in.
    pub(crate) fn log_in_requested(&self, domain: &Domain) {
        self.shared.log_in_requested(domain);
    }

    /// Returns the session as a page sees it that came by this proxy.
    pub(crate) fn by(self, came_by: Option<u64>) -> Self {
        Self { came_by, ..self }
    }

    /// Returns the proxy of its requests.
    pub(crate) fn proxy(&self) -> Option<&Arc<str>> {
        self.proxy.as_ref()
    }

    /// Tells whether it belongs to the pool.
    pub(crate) fn is_pooled(&self) -> bool {
        name::is_pooled(&self.name)
    }

    /// Returns the `Cookie` header for a request to `url` through `proxy`.
    pub(crate) fn header(&self, url: &Url, proxy: Option<u64>) -> Option<HeaderValue> {
        self.cookies.header(url, self.keyed_by(proxy))
    }

    /// Takes in what an answer sets. Tells whether the cookies are other ones than before.
    pub(crate) fn take_in(&self, url: &Url, proxy: Option<u64>, headers: &HeaderMap) -> bool {
        let have_changed = self.cookies.take_in(url, self.keyed_by(proxy), headers);
        if have_changed {
            self.shared.have_changed();
        }
        have_changed
    }

    /// The default session is nobody's: through each proxy it is another visitor. One that is named, or has a proxy of
    /// its own, is the same everywhere.
    fn keyed_by(&self, proxy: Option<u64>) -> Option<u64> {
        proxy.filter(|_| &*self.name == DEFAULT && self.proxy.is_none())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("name", &self.name).finish_non_exhaustive()
    }
}
