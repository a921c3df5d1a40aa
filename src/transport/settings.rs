//! TransportSettings: the settings of the network. Opens nothing.

use std::time::Duration;

use http::HeaderName;
use serde::{Deserialize, Serialize};

use super::{
    AddressGuard, BodyLimits, Deadlines, OriginCredentials, ProxySettings, ResponseStoreSettings, TlsSettings,
    credentials::CredentialStore, dns::overrides::Overrides, proxy::Proxies,
};
use crate::{
    error::{Error, Result},
    text::durations,
    warc::Warc,
};

/// The settings of the network: time-outs, bounds, proxies, TLS, credentials.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::{Settings, transport::{Deadlines, TransportSettings}};
///
/// let deadlines = Deadlines::default().within(Duration::from_secs(20));
/// let transport = TransportSettings { deadlines, max_connections: 100, ..TransportSettings::default() };
/// let settings = Settings { transport, ..Settings::default() };
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransportSettings {
    /// How long each step may take.
    pub deadlines: Deadlines,
    /// How large a body may be.
    pub body: BodyLimits,
    /// Which addresses may be connected to.
    pub guard: AddressGuard,
    /// Which certificates are trusted, and which are presented.
    pub tls: TlsSettings,
    /// Which requests go through which proxies.
    pub proxies: ProxySettings,
    /// Whether cookies are stored and sent back. Needs the feature `cookies`.
    pub cookies: bool,
    /// Names of headers that never follow a redirect to another origin, whatever their case; in addition to those that
    /// HTTP itself keeps to their origin (`Authorization`, `Cookie`), and to names that look like a secret
    /// (`X-Api-Key`, `X-Auth-Token`).
    pub secret_headers: Vec<String>,
    /// Passwords and tokens, each for one origin.
    pub credentials: Vec<OriginCredentials>,
    /// Where responses are stored, and for which purpose: as a cache, or to record and replay a crawl. Settings files
    /// may use `shelf`, the name in earlier versions.
    #[serde(alias = "shelf")]
    pub response_store: Option<ResponseStoreSettings>,
    /// Where requests and responses are archived as they were on the wire. Needs the feature `warc`.
    pub archive: Option<Warc>,
    /// Hosts whose addresses are given, one rule each; the most exact holds, and of two equal ones the later:
    ///
    /// | rule | meaning |
    /// |---|---|
    /// | `HOST:ADDRESS` | `HOST` is at `ADDRESS`, on the port of the URL |
    /// | `HOST:ADDRESS:PORT` | `HOST` is at `ADDRESS`, on `PORT` whatever the URL says |
    /// | `HOST:PORT:ADDRESS` | as curl writes it: only URLs on `PORT` are led to `ADDRESS` |
    ///
    /// An IPv6 address stands in brackets; several addresses are divided by commas. `*.test` stands for every name
    /// below `test`, and `*` for every name.
    pub resolve: Vec<String>,
    /// Whether a response with both `Transfer-Encoding` and `Content-Length` is accepted: the former frames the body
    /// and the connection is closed afterwards, as in curl. An error by default: an intermediary may use the latter and
    /// see a different message (request smuggling, RFC 9112 §6.3).
    pub chunked_over_length: bool,
    /// The most open sockets; fewer where the process may not open as many files. Its limit of those is raised to the
    /// hard limit when a crawl or a client is made.
    pub max_connections: usize,
    /// How long an idle connection is kept.
    #[serde(with = "durations")]
    pub keep_alive: Duration,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            deadlines: Deadlines::default(),
            body: BodyLimits::default(),
            guard: AddressGuard::default(),
            tls: TlsSettings::default(),
            proxies: ProxySettings::default(),
            cookies: false,
            secret_headers: Vec::new(),
            credentials: Vec::new(),
            response_store: None,
            archive: None,
            resolve: Vec::new(),
            chunked_over_length: false,
            // Half of the 1,024 files that most systems allow a process by default.
            max_connections: 512,
            // Servers keep connections for similar times (nginx 75 s, Apache 5 s); a longer time would find many
            // closed.
            keep_alive: Duration::from_secs(15),
        }
    }
}

impl TransportSettings {
    /// Checks what the types cannot enforce, but for TLS, which needs files.
    pub(crate) fn check_rules(&self) -> Result<()> {
        Overrides::parse(&self.resolve)?;
        Proxies::new(&self.proxies)?;
        CredentialStore::new(&self.credentials)?;
        self.check_secret_headers()
    }

    pub(super) fn check_secret_headers(&self) -> Result<()> {
        match self.secret_headers.iter().find(|name| HeaderName::try_from(name.as_str()).is_err()) {
            Some(name) => Err(Error::setting("secret_headers", format!("`{name}` is not the name of a header"))),
            None => Ok(()),
        }
    }
}
