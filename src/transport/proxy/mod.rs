//! Proxy: a server that forwards requests to others. Knows its notation and protocol, not when it is used.
//!
//! The proxy resolves names, except with `socks5://`, where we do. The address guard cannot see what a proxy resolves:
//! it checks literal addresses, names known to be private, and addresses that we resolve ourselves. A proxy for
//! untrusted URLs should have rules of its own.

mod connect;
mod environment;
mod proxies;
mod refusal;
mod rest;
mod socks5;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use url::{Position, Url};
use xxhash_rust::xxh3::xxh3_64;

pub use self::proxies::{ProxyOverride, ProxySettings};
pub(super) use self::{
    connect::connect,
    proxies::Proxies,
    refusal::refusal,
    socks5::{Destination, Socks5Error, negotiate},
};
use super::basic::Basic;

/// The text of a proxy: `http://name:password@host:port`, `https://…`, `socks5://…` (we resolve names), `socks5h://…`
/// (the proxy resolves them), or `direct` for none. Its `Debug` and `Display` hide the password.
///
/// ```
/// use actix_crawler::transport::ProxyUrl;
///
/// let proxy = ProxyUrl::new("socks5h://me:secret@proxy.example:1080");
/// assert!(!proxy.to_string().contains("secret"));
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProxyUrl(String);

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its host; an IPv6 address has its brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The credentials for the proxy.
    pub credentials: Option<Basic>,
    id: u64,
}

/// The protocol of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP: `CONNECT` for https, requests in absolute form for http (RFC 9110 §9.3.6, RFC 9112 §3.2.2).
    Http,
    /// The same over TLS to the proxy.
    Https,
    /// SOCKS 5 (RFC 1928).
    Socks5 {
        /// Whether the proxy resolves names.
        remote_names: bool,
    },
}

impl Proxy {
    /// Returns a hash that identifies the proxy, including its credentials.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Tells whether it takes plain HTTP requests in absolute form.
    pub fn forwards_http(&self) -> bool {
        matches!(self.protocol, Protocol::Http | Protocol::Https)
    }
}

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text may contain a password: the message never repeats it.
        let form = "write it as http://host:port, socks5://host:port or socks5h://name:password@host:port";
        let url = Url::parse(text).map_err(|error| format!("it is no URL ({error}); {form}"))?;
        let (protocol, port) = match url.scheme() {
            "http" => (Protocol::Http, 80),
            "https" => (Protocol::Https, 443),
            "socks5" => (Protocol::Socks5 { remote_names: false }, 1080),
            "socks5h" => (Protocol::Socks5 { remote_names: true }, 1080),
            _ => return Err(format!("proxies of this kind are not known; {form}")),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| format!("it has no host; {form}"))?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(format!("it has a path; {form}"));
        }
        Ok(Self {
            protocol,
            host: host.to_ascii_lowercase(),
            port: url.port().unwrap_or(port),
            credentials: Basic::of(&url),
            id: xxh3_64(url[..Position::BeforePath].as_bytes()),
        })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.protocol {
            Protocol::Http => "http",
            Protocol::Https => "https",
            Protocol::Socks5 { remote_names: false } => "socks5",
            Protocol::Socks5 { remote_names: true } => "socks5h",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl ProxyUrl {
    /// Creates a proxy from its text, unchecked.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Parses the text; `None` for `direct`.
    ///
    /// # Errors
    /// Says what is invalid, without the password.
    pub(crate) fn parse(&self) -> Result<Option<Proxy>, String> {
        if self.0 == "direct" { Ok(None) } else { self.0.parse().map(Some) }
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.rsplit_once('@') {
            Some((_, host)) => write!(f, "***@{host}"),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_from_a_url() {
        let proxy: Proxy = "socks5h://me:s%3Acret@Proxy.test".parse().unwrap();
        assert_eq!(proxy.protocol, Protocol::Socks5 { remote_names: true });
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.test", 1080));
        assert_eq!(proxy.credentials.as_ref().unwrap().password, "s:cret");
        let proxy: Proxy = "http://[::1]:3128/".parse().unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port, proxy.credentials), ("[::1]", 3128, None));
        for wrong in ["proxy.test:3128", "ftp://proxy.test", "http://proxy.test/path", "", "socks5://", "http://"] {
            assert!(wrong.parse::<Proxy>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_shown_nowhere() {
        let text = "http://me:hunter2@proxy.test:3128";
        let proxy: Proxy = text.parse().unwrap();
        let url = ProxyUrl::new(text);
        assert!(!format!("{proxy} {proxy:?} {url} {url:?}").contains("hunter2"));
        assert!(!"gopher://me:hunter2@x".parse::<Proxy>().unwrap_err().contains("hunter2"));
    }

    #[test]
    fn proxies_that_differ_in_anything_have_different_identities() {
        let texts =
            ["http://a.test:1", "https://a.test:1", "http://a.test:2", "http://u:p@a.test:1", "http://u:q@a.test:1"];
        let mut ids: Vec<u64> = texts.iter().map(|text| text.parse::<Proxy>().unwrap().id()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), texts.len());
    }
}
