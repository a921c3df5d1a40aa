//! Transport: how bytes get here. The only room that knows awc's insides.

pub mod address;
pub mod body;
mod connection;
mod connector;
mod deadlines;
mod dial;
pub mod dns;
pub(crate) mod exchange;
mod host_pattern;
pub mod proxy;
mod sockets;
pub mod tls;
mod tls_error;
mod tls_verifier;
pub mod wire;

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use awc::Client;
use http::Uri;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use url::{Position, Url};

use self::{
    address::AddressGuard,
    body::BodyLimits,
    connector::Connector,
    dns::Resolver,
    exchange::Target,
    sockets::{SocketBudget, Sockets},
    tls::{Tls, TlsSettings},
};
pub use self::{deadlines::Deadlines, host_pattern::HostPattern};
use crate::{error::Result, outcome::FetchError, politeness::duration_text};

/// How bytes get here.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransportSettings {
    /// How long each step may take.
    pub deadlines: Deadlines,
    /// How large a body may be.
    pub body: BodyLimits,
    /// Which addresses may be connected to.
    pub guard: AddressGuard,
    /// Whom to trust.
    pub tls: TlsSettings,
    /// Hosts whose addresses are given: `HOST:ADDRESS` or `HOST:ADDRESS:PORT`.
    pub resolve: Vec<String>,
    /// The most open sockets.
    pub max_connections: usize,
    /// How long an idle connection is kept.
    #[serde(with = "duration_text")]
    pub keep_alive: Duration,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            deadlines: Deadlines::default(),
            body: BodyLimits::default(),
            guard: AddressGuard::default(),
            tls: TlsSettings::default(),
            resolve: Vec::new(),
            // Half of the 1,024 files that most systems allow a process by default.
            max_connections: 512,
            // What most servers keep too (nginx 75 s, Apache 5 s): longer finds them closed.
            keep_alive: Duration::from_secs(15),
        }
    }
}

/// What all arbiters of one crawl share.
#[derive(Clone)]
pub struct SharedTransport {
    settings: Arc<TransportSettings>,
    resolver: Resolver,
    tls: Arc<Tls>,
    sockets: SocketBudget,
}

impl SharedTransport {
    /// Checks the settings. Look-ups block on `threads`.
    ///
    /// # Errors
    /// Names the setting that is wrong.
    pub fn new(settings: TransportSettings, threads: &Handle) -> Result<Self> {
        let resolver = Resolver::new(&settings.resolve, threads.clone())?;
        let tls = Arc::new(Tls::new(&settings.tls)?);
        let sockets = SocketBudget::new(settings.max_connections);
        Ok(Self { settings: settings.into(), resolver, tls, sockets })
    }

    /// Returns the settings.
    pub fn settings(&self) -> &TransportSettings {
        &self.settings
    }

    /// Returns what whoever reads the report has to know.
    pub fn warnings(&self) -> Vec<String> {
        self.settings.tls.warnings().collect()
    }
}

/// The network, as one arbiter uses it.
pub struct Transport {
    shared: SharedTransport,
    sockets: Rc<Sockets>,
    clients: RefCell<Clients>,
}

/// awc's pool never forgets a host, so a client is replaced after this many connections; its idle connections close
/// with it, and those in use end as they would.
const CONNECTIONS_PER_CLIENT: usize = 4_096;

struct Clients {
    client: Client,
    connector: Connector,
}

impl Transport {
    /// Creates the transport of this arbiter.
    pub fn new(shared: SharedTransport) -> Self {
        let sockets = Sockets::new(shared.sockets.clone(), shared.settings.keep_alive);
        let clients = RefCell::new(Clients::new(&shared, &sockets));
        Self { shared, sockets, clients }
    }

    /// Returns the client to send with.
    pub fn client(&self) -> Client {
        let mut clients = self.clients.borrow_mut();
        if clients.connector.connections() >= CONNECTIONS_PER_CLIENT {
            *clients = Clients::new(&self.shared, &self.sockets);
        }
        clients.client.clone()
    }

    /// Returns where a URL leads.
    ///
    /// # Errors
    /// It has no host or no port.
    pub fn target(&self, url: &Url) -> std::result::Result<Target, FetchError> {
        let host = url.host_str().ok_or_else(|| FetchError::Request("the URL has no host".into()))?;
        let port = url.port_or_known_default().ok_or_else(|| FetchError::Request("the URL has no port".into()))?;
        Ok(Target { tls: url.scheme() == "https", host: host.to_owned(), port, proxy: None })
    }

    /// Returns the URI for awc. Its scheme is always `http`, since TLS is ours; its user name keeps the pool's
    /// connections with TLS, or through a proxy, apart from the others.
    ///
    /// # Errors
    /// The URL cannot be written as a URI.
    pub fn uri(&self, url: &Url, target: &Target) -> std::result::Result<Uri, FetchError> {
        let path = &url[Position::BeforePath..Position::AfterQuery];
        let partition = if target.tls { "tls@" } else { "" };
        let write = |path: &str| format!("http://{partition}{}:{}{path}", target.host, target.port).parse::<Uri>();
        // The URL standard leaves a few characters plain that URIs do not allow.
        write(path).or_else(|_| write(&encode_strictly(path))).map_err(|error| FetchError::Request(error.to_string()))
    }

    /// Returns how long each step may take.
    pub fn deadlines(&self) -> Deadlines {
        self.shared.settings.deadlines
    }

    /// Returns how large a body may be.
    pub fn body_limits(&self) -> BodyLimits {
        self.shared.settings.body
    }
}

impl Clients {
    fn new(shared: &SharedTransport, sockets: &Rc<Sockets>) -> Self {
        let connector = Connector::new(shared.clone(), sockets.clone());
        let pool = awc::Connector::new()
            .connector(connector.clone())
            // Permits are the limit; a queue for all hosts would let two hung ones starve the others.
            .limit(0)
            // Deadlines are ours: each has its own, and says which it was.
            .timeout(NEVER)
            .handshake_timeout(NEVER)
            .conn_keep_alive(NEVER)
            .conn_lifetime(NEVER)
            .disconnect_timeout(Duration::ZERO);
        let client =
            Client::builder().connector(pool).disable_timeout().disable_redirects().no_default_headers().finish();
        Self { client, connector }
    }
}

/// Ten years, since awc adds it to now.
const NEVER: Duration = Duration::from_secs(315_360_000);

fn encode_strictly(path: &str) -> String {
    use std::fmt::Write;
    path.bytes().fold(String::with_capacity(path.len()), |mut out, byte| {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
