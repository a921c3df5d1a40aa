//! Settings: which sessions there are, and what becomes of one that is refused. Knows no cookies and no network.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{MAX_SESSIONS, SessionCookie, name};
use crate::{
    error::{Error, Result},
    text::durations,
};

/// Which sessions there are, and what becomes of one that is refused. See [the module](super) for the whole picture.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::sessions::{SessionSettings, Sessions};
///
/// // Two accounts, each with a proxy of its own.
/// let accounts = Sessions::new()
///     .named("alice", SessionSettings::new().cookies_file("alice.txt").proxy("http://one.example:3128"))
///     .named("bob", SessionSettings::new().cookies_file("bob.txt").proxy("http://two.example:3128"))
///     .blocked_by([401, 403]);
///
/// // Five sessions in turn, each of which is replaced after a hundred requests.
/// let turns = Sessions::pool(5).max_uses(100).rest(Duration::from_secs(600));
/// assert_eq!(turns.blocked_by, [401, 403, 429]);
/// # accounts.check()?;
/// # turns.check()?;
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// How many sessions take turns at the requests that name none; without them these have the session
    /// [`DEFAULT`](super::DEFAULT). At most 1,000.
    pub pool: usize,
    /// The proxies of the pool's sessions: the first for the first, and so on, and then the first again.
    pub pool_proxies: Vec<String>,
    /// The statuses that mean that a session is refused. None by default; [`Sessions::pool`] sets 401, 403 and 429, as
    /// Crawlee does.
    pub blocked_by: Vec<u16>,
    /// Paths that mean that a session is refused where an answer redirects to one that begins so: `/login`.
    pub blocked_at: Vec<String>,
    /// How long a session rests that is refused; 5 minutes by default.
    #[serde(with = "durations")]
    pub rest: Duration,
    /// After how many requests a session of the pool is replaced by a new one; never by default.
    pub max_uses: Option<u64>,
    /// The file that the cookies of all sessions are read from at the start, if it is there, and saved in when they
    /// have changed. With a state, `sessions.json` in its folder by default.
    pub file: Option<PathBuf>,
    /// The sessions by name.
    pub named: BTreeMap<String, SessionSettings>,
}

/// One session: what it is given at the start.
///
/// ```
/// use actix_crawler::sessions::{SessionCookie, SessionSettings};
///
/// let alice = SessionSettings::new()
///     .cookie(SessionCookie::new("sid", "s3cret", "shop.example"))
///     .proxy("socks5h://alice:hidden@proxy.example:1080");
/// assert!(!format!("{alice:?}").contains("hidden"));
/// ```
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionSettings {
    /// Its cookies.
    pub cookies: Vec<SessionCookie>,
    /// A file with further cookies: as curl, wget and browsers write them ("Netscape HTTP Cookie File"), or as
    /// [`SessionPool::save`](super::SessionPool::save) does, of which the session of this name is taken.
    pub cookies_file: Option<PathBuf>,
    /// The proxy of all its requests, but of those that name one themselves; see
    /// [`Request::via`](crate::Request::via).
    pub proxy: Option<String>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            pool: 0,
            pool_proxies: Vec::new(),
            blocked_by: Vec::new(),
            blocked_at: Vec::new(),
            // Sites that refuse an account or an address for asking too much do so for minutes.
            rest: Duration::from_secs(300),
            max_uses: None,
            file: None,
            named: BTreeMap::new(),
        }
    }
}

impl Sessions {
    /// Creates the settings without any session but the default one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the settings of so many sessions that take turns. 401, 403 and 429 mean that one is refused.
    pub fn pool(sessions: usize) -> Self {
        Self { pool: sessions, blocked_by: vec![401, 403, 429], ..Self::default() }
    }

    /// Adds a session, in place of one of this name. One that requests name need not be given: it begins without
    /// cookies.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>, session: SessionSettings) -> Self {
        self.named.insert(name.into(), session);
        self
    }

    /// Sets the statuses that mean that a session is refused, in place of those before.
    #[must_use]
    pub fn blocked_by(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.blocked_by = statuses.into_iter().collect();
        self
    }

    /// Takes a redirect to a path that begins with `path` to mean that the session is refused, or has expired:
    /// `/login`.
    #[must_use]
    pub fn blocked_at(mut self, path: impl Into<String>) -> Self {
        self.blocked_at.push(path.into());
        self
    }

    /// Sets how long a session rests that is refused.
    #[must_use]
    pub fn rest(mut self, rest: Duration) -> Self {
        self.rest = rest;
        self
    }

    /// Sets after how many requests a session of the pool is replaced by a new one.
    #[must_use]
    pub fn max_uses(mut self, requests: u64) -> Self {
        self.max_uses = Some(requests);
        self
    }

    /// Adds proxies for the sessions of the pool: the first for the first, and so on, and then the first again.
    #[must_use]
    pub fn pool_proxies<T: Into<String>>(mut self, proxies: impl IntoIterator<Item = T>) -> Self {
        self.pool_proxies.extend(proxies.into_iter().map(Into::into));
        self
    }

    /// Keeps the cookies of all sessions in a file from one run to the next. On Unix only its owner may read it.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Tells whether nothing is set.
    pub(crate) fn are_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// There are too many sessions, or one has a name that cannot be one. The files are read, and proxies checked, when
    /// a crawl or a client is made.
    pub fn check(&self) -> Result<()> {
        self.named.keys().try_for_each(|given| name::check(given))?;
        if let Some(pooled) = self.named.keys().find(|given| name::is_pooled(given)) {
            let why = "the sessions of a pool are called so; give it another name";
            return Err(Error::setting(format!("session `{pooled}`"), why));
        }
        if self.pool.saturating_add(self.named.len()) > MAX_SESSIONS {
            return Err(Error::setting("sessions", format!("there may be {MAX_SESSIONS} at the most")));
        }
        if let Some(path) = self.blocked_at.iter().find(|path| !path.starts_with('/')) {
            return Err(Error::setting("sessions.blocked_at", format!("`{path}` is no path; write it as /login")));
        }
        if self.max_uses == Some(0) {
            return Err(Error::setting("sessions.max_uses", "a session needs at least one request"));
        }
        Ok(())
    }
}

impl SessionSettings {
    /// Creates a session without cookies.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a cookie.
    #[must_use]
    pub fn cookie(mut self, cookie: SessionCookie) -> Self {
        self.cookies.push(cookie);
        self
    }

    /// Takes cookies from a file; see [`SessionSettings::cookies_file`](#structfield.cookies_file).
    #[must_use]
    pub fn cookies_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.cookies_file = Some(path.into());
        self
    }

    /// Uses a proxy for all its requests.
    #[must_use]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }
}

/// Hides the passwords of proxies.
impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, pool_proxies, blocked_by, blocked_at, rest, max_uses, file, named } = self;
        f.debug_struct("Sessions")
            .field("pool", pool)
            .field("pool_proxies", &pool_proxies.len())
            .field("blocked_by", blocked_by)
            .field("blocked_at", blocked_at)
            .field("rest", rest)
            .field("max_uses", max_uses)
            .field("file", file)
            .field("named", named)
            .finish()
    }
}

/// Hides the password of the proxy.
impl fmt::Debug for SessionSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cookies, cookies_file, proxy } = self;
        f.debug_struct("SessionSettings")
            .field("cookies", cookies)
            .field("cookies_file", cookies_file)
            .field("proxy", &proxy.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_tables_of_their_names_beside_what_holds_for_all() {
        let alice = serde_json::json!({"alice": {"proxy": "http://p:1"}});
        let told = serde_json::json!({"pool": 2, "rest": "10m", "blocked_at": ["/login"], "named": alice});
        let read: Sessions = serde_json::from_value(told).unwrap();
        let said = Sessions { pool: 2, ..Sessions::new() }
            .rest(Duration::from_secs(600))
            .blocked_at("/login")
            .named("alice", SessionSettings::new().proxy("http://p:1"));
        assert_eq!(read, said);
        for wrong in [r#"{"pol": 2}"#, r#"{"named": {"alice": {"cookie": []}}}"#] {
            assert!(serde_json::from_str::<Sessions>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        let named = |name: &str| Sessions::new().named(name, SessionSettings::new());
        for (wrong, says) in [
            (named(""), "no name"),
            (named("pool/1"), "another name"),
            (Sessions::pool(1_001), "1000"),
            (Sessions::new().blocked_at("login"), "/login"),
            (Sessions::new().max_uses(0), "at least one"),
        ] {
            let why = wrong.check().unwrap_err().to_string();
            assert!(why.contains(says), "{why}");
        }
    }
}
