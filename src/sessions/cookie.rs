//! SessionCookie: one cookie as it is given, read and saved. Knows no rules of when it is sent.

use std::{
    fmt,
    time::{Duration, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// One cookie of a session. Its `Debug` hides the value.
///
/// ```
/// use actix_crawler::sessions::SessionCookie;
///
/// let mut sid = SessionCookie::new("sid", "s3cret", "shop.example");
/// assert!(sid.host_only && sid.path == "/" && sid.expires.is_none());
/// sid.secure = true;
/// assert!(!format!("{sid:?}").contains("s3cret"));
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionCookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The host that it is sent to; an IPv6 address without brackets.
    pub domain: String,
    /// Whether it is sent to this host only, and not to those below it; true by default.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub host_only: bool,
    /// The path that it is sent to, and all below it; `/` by default.
    #[serde(default = "root", skip_serializing_if = "is_root")]
    pub path: String,
    /// Whether it is sent over TLS only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secure: bool,
    /// Whether scripts must not see it; that makes no difference here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub http_only: bool,
    /// When it expires, in seconds since 1970; never while the session lasts, by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

impl SessionCookie {
    /// Creates a cookie for one host and all of its paths.
    pub fn new(name: impl Into<String>, value: impl Into<String>, domain: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            domain: domain.into(),
            host_only: true,
            path: root(),
            secure: false,
            http_only: false,
            expires: None,
        }
    }

    /// Returns the URL of a server that sets it, and the header by which it does; `None` if none can.
    pub(super) fn as_set_cookie(&self) -> Option<(Url, String)> {
        let Self { name, value, domain, host_only, path, secure, http_only, expires } = self;
        let is_text = |text: &str| !text.contains(|c: char| c == ';' || c.is_control());
        if name.is_empty() || name.contains('=') || ![name, value, path].into_iter().all(|text| is_text(text)) {
            return None;
        }
        let host = domain.trim_start_matches('.');
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let host = Host::parse(&host).ok()?;
        let for_all = if *host_only { String::new() } else { format!("; Domain={host}") };
        let until = expires.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_DATE)));
        let until = until.map_or_else(String::new, |at| format!("; Expires={}", httpdate::fmt_http_date(at)));
        let secure = if *secure { "; Secure" } else { "" };
        let http_only = if *http_only { "; HttpOnly" } else { "" };
        let line = format!("{name}={value}; Path={path}{for_all}{until}{secure}{http_only}");
        Some((Url::parse(&format!("https://{host}/")).ok()?, line))
    }
}

/// The end of the year 9999, which no date in a header goes beyond. Browsers write such for "never".
const LAST_DATE: u64 = 253_402_300_799;

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_true(is: &bool) -> bool {
    *is
}

fn root() -> String {
    "/".to_owned()
}

fn is_root(path: &str) -> bool {
    path == "/"
}

impl fmt::Debug for SessionCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, domain, path, .. } = self;
        f.debug_struct("SessionCookie")
            .field("name", name)
            .field("domain", domain)
            .field("path", path)
            .finish_non_exhaustive()
    }
}
