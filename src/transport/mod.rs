//! Transport: connections, TLS, DNS, proxies and HTTP/1.1 on the wire. The only module that knows awc's insides.

pub(crate) mod suspicion;
pub(crate) mod address;
pub(crate) mod alarm;
pub(crate) mod archived_body;
mod basic;
pub(crate) mod body;
#[cfg(feature = "object-store")]
pub(crate) mod bucket;
pub(crate) mod body_sink;
mod connection;
mod connector;
pub(crate) mod credentials;
mod deadlines;
mod dial;
#[cfg(all(test, feature = "cluster", target_os = "linux"))]
pub(crate) mod failpoint;
pub(crate) mod dns;
pub(crate) mod exchange;
#[cfg(feature = "cache")]
pub(crate) mod freshness;
#[cfg(not(feature = "cache"))]
#[path = "no_freshness.rs"]
pub(crate) mod freshness;
pub(crate) mod host_pattern;
mod local_faults;
#[cfg(feature = "testing")]
pub(crate) mod network;
#[cfg(not(feature = "testing"))]
#[path = "no_network.rs"]
mod network;
pub(crate) mod open_files;
pub(crate) mod proxy;
mod read_timeout;
mod request_head;
pub(crate) mod raw_response;
pub(crate) mod response_store;
mod settings;
mod sockets;
pub(crate) mod stored_response;
pub(crate) mod stream;
pub(crate) mod tls;
mod tls_error;
mod tls_verifier;
pub(crate) mod wire;

use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use awc::Client;
use http::{
    HeaderName, HeaderValue, Uri,
    header::{AUTHORIZATION, COOKIE},
};
use tokio::runtime::Handle;
use url::{Position, Url};

use self::suspicion::AtFault;
pub use self::{
    address::{AddressGuard, IpNet, RefusedAddress, RefusedName},
    basic::Basic,
    body::BodyLimits,
    credentials::{Credentials, OriginCredentials},
    deadlines::Deadlines,
    host_pattern::HostPattern,
    proxy::{ProxyOverride, ProxySettings, ProxyUrl},
    response_store::{Purpose, ResponseStoreSettings},
    settings::TransportSettings,
    tls::{ClientCertificate, TlsSettings},
};
use self::{
    alarm::Alarm,
    body::Bodies,
    connector::Connector,
    credentials::CredentialStore,
    dns::Resolver,
    exchange::{Exchange, Route},
    proxy::{Proxies, Proxy},
    response_store::ResponseStore,
    sockets::{SocketBudget, Sockets},
    tls::Tls,
};
use crate::{
    capacity::Capacity,
    error::Result,
    outcome::{FetchError, Phase, local_fault::LocalFault},
    request::Request,
    sessions::Session,
    warc::{Archive, Collection},
};

/// The part of the transport that all arbiters of a crawl share.
#[derive(Clone)]
pub(crate) struct SharedTransport {
    settings: Arc<TransportSettings>,
    deadlines: Deadlines,
    resolver: Resolver,
    tls: Arc<Tls>,
    proxies: Arc<Proxies>,
    credentials: Arc<CredentialStore>,
    sockets: SocketBudget,
    bodies: Bodies,
    response_store: Option<ResponseStore>,
    /// What is replayed, if that is an archive.
    archived: Option<Collection>,
    archive: Option<Archive>,
    alarm: Alarm,
}

impl SharedTransport {
    /// Checks the settings and creates the shared parts. Blocking look-ups run on `threads`.
    ///
    /// # Errors
    /// Names the setting that is invalid.
    pub fn new(settings: TransportSettings, threads: &Handle) -> Result<Self> {
        let resolver = Resolver::new(&settings.resolve, threads.clone())?;
        let tls = Arc::new(Tls::new(&settings.tls)?);
        let proxies = Arc::new(Proxies::new(&settings.proxies)?);
        let credentials = Arc::new(CredentialStore::new(&settings.credentials)?);
        settings.check_secret_headers()?;
        let sockets = SocketBudget::new(settings.max_connections);
        for warning in settings.tls.warnings() {
            tracing::warn!("{warning}");
        }
        let bodies = Bodies::new(settings.body.max_in_flight_bytes);
        let stored = settings.response_store.as_ref();
        if stored.is_some_and(|stored| stored.purpose == Purpose::Cache) {
            freshness::check()?;
        }
        let replayed = stored.filter(|stored| stored.purpose == Purpose::Replay);
        let archived = replayed.map(|stored| Collection::open(&stored.dir, threads)).transpose()?.flatten();
        let stored = stored.filter(|_| archived.is_none());
        let response_store = stored.map(|stored| ResponseStore::open(stored, threads)).transpose()?;
        let archive = settings.archive.as_ref().map(|archive| Archive::open(archive, threads)).transpose()?;
        let deadlines = settings.deadlines.within_a_year();
        let (settings, alarm) = (settings.into(), Alarm::default());
        Ok(Self {
            settings,
            deadlines,
            resolver,
            tls,
            proxies,
            credentials,
            sockets,
            bodies,
            response_store,
            archived,
            archive,
            alarm,
        })
    }

    /// Shares the memory for bodies with others.
    pub fn sharing(self, capacity: Option<&Capacity>) -> Self {
        let bodies = capacity.map_or(self.bodies, |capacity| Bodies::sharing(capacity.memory()));
        Self { bodies, ..self }
    }

    /// Returns the warnings for the report.
    pub fn warnings(&self) -> Vec<String> {
        self.settings.tls.warnings().collect()
    }

    /// Returns the headers that identify us to the server: the credentials for its origin, and the session's cookies.
    pub(crate) fn identity(
        &self,
        request: &Request,
        session: Option<&Session>,
        proxy: Option<&Proxy>,
    ) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
        let credentials = self.credentials.header(&request.url).map(|value| (AUTHORIZATION, value.clone()));
        let cookies = session.and_then(|session| session.header(&request.url, proxy.map(Proxy::id)));
        credentials.into_iter().chain(cookies.map(|value| (COOKIE, value)))
    }

    /// Returns the headers that identify us through whichever proxy the request takes; `None` if they differ, since the
    /// session is another visitor through each.
    pub(crate) fn one_identity(
        &self,
        request: &Request,
        session: Option<&Session>,
    ) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let candidates = self.proxies.candidates(&request.url, request.proxy.as_deref());
        let mut through = candidates.iter().map(|proxy| self.identity(request, session, proxy.as_deref()).collect());
        let one: Vec<_> = through.next()?;
        through.all(|other| other == one).then_some(one)
    }

    /// Returns the deadline of a whole request.
    pub(crate) fn whole_deadline(&self) -> Duration {
        self.deadlines.whole
    }

    /// Returns the store of responses, if one is configured.
    pub(crate) fn response_store(&self) -> Option<&ResponseStore> {
        self.response_store.as_ref()
    }

    /// Returns the archive to replay, if one is configured.
    pub(crate) fn archived(&self) -> Option<&Collection> {
        self.archived.as_ref()
    }

    /// Returns the archive to write, if one is configured.
    pub(crate) fn archive(&self) -> Option<&Archive> {
        self.archive.as_ref()
    }

    /// Returns the names of headers that are secrets, beside those whose name looks like one.
    pub(crate) fn secret_headers(&self) -> &[String] {
        &self.settings.secret_headers
    }

    /// Returns the memory that all bodies share.
    pub(crate) fn bodies(&self) -> &Bodies {
        &self.bodies
    }
}

/// The transport of one arbiter.
pub(crate) struct Transport {
    shared: SharedTransport,
    sockets: Rc<Sockets>,
    clients: RefCell<Clients>,
}

/// The client is replaced after this many connections: awc's pool never removes a host, and keeps about 1 KB for each
/// closed connection until the host is used again. The old client's idle connections close with it; those in use finish
/// normally.
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

    /// Returns the awc client.
    pub fn client(&self) -> Client {
        let mut clients = self.clients.borrow_mut();
        if clients.connector.connections() >= CONNECTIONS_PER_CLIENT {
            *clients = Clients::new(&self.shared, &self.sockets);
        }
        clients.client.clone()
    }

    /// Returns the target of a request, including the proxy that it would use now.
    ///
    /// # Errors
    /// The URL has no host or no port, or the request's proxy is invalid.
    pub fn target(&self, request: &Request, now: Instant) -> std::result::Result<Route, FetchError> {
        let url = &request.url;
        let host = url.host_str().ok_or_else(|| FetchError::Request("the URL has no host".into()))?;
        let port = url.port_or_known_default().ok_or_else(|| FetchError::Request("the URL has no port".into()))?;
        let proxy = self.shared.proxies.choose(url, request.proxy.as_deref(), now)?;
        Ok(Route { tls: url.scheme() == "https", host: host.to_owned(), port, proxy })
    }

    /// Returns how many alternative proxies a request has.
    pub fn other_proxies(&self, request: &Request) -> usize {
        if request.proxy.is_some() { 0 } else { self.shared.proxies.alternatives(&request.url) }
    }

    /// Records whether a proxy served a request that began at `began`.
    pub fn served_by(&self, proxy: &Proxy, well: bool, began: Instant, now: Instant) {
        self.shared.proxies.served(proxy, well, began, now);
    }

    /// Judges a failure: the error to tell instead where this machine is at fault.
    pub async fn judge(&self, error: &FetchError, exchange: &Exchange, now: Instant) -> Option<FetchError> {
        let (resolver, suspect, host) = (&self.shared.resolver, exchange.suspected(), &exchange.target.host);
        if let (FetchError::Timeout { phase: Phase::Whole, .. }, Some(LocalFault::NameServers)) = (error, suspect)
            && resolver.judge(host, now, now).await == AtFault::Machine
        {
            return Some(FetchError::Local(LocalFault::NameServers, error.to_string()));
        }
        resolver.faults().judge(error, suspect)
    }

    /// Returns the URI for awc. Its scheme is always `http`, since TLS is ours. Its user name separates, in awc's pool,
    /// connections with TLS or through a proxy from the others.
    ///
    /// # Errors
    /// The URL cannot be written as a URI.
    pub fn uri(url: &Url, target: &Route) -> std::result::Result<Uri, FetchError> {
        let path = &url[Position::BeforePath..Position::AfterQuery];
        let partition = match (&target.proxy, target.tls) {
            (None, false) => String::new(),
            (None, true) => "tls@".to_owned(),
            (Some(proxy), false) => format!("{:016x}@", proxy.id()),
            (Some(proxy), true) => format!("{:016x}-tls@", proxy.id()),
        };
        let write = |path: &str| Uri::try_from(format!("http://{partition}{}:{}{path}", target.host, target.port));
        // The URL standard leaves a few characters unencoded that URIs do not allow.
        write(path).or_else(|_| write(&encode_strictly(path))).map_err(|error| FetchError::Request(error.to_string()))
    }

    /// Returns the shared part.
    pub fn shared(&self) -> &SharedTransport {
        &self.shared
    }
}

impl Clients {
    fn new(shared: &SharedTransport, sockets: &Rc<Sockets>) -> Self {
        let connector = Connector::new(shared.clone(), sockets.clone());
        let pool = awc::Connector::new()
            .connector(connector.clone())
            // Permits limit the connections. A shared queue would let two slow hosts block all others.
            .limit(0)
            // Deadlines are ours: each step has its own, and its own error.
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

/// Ten years: awc adds it to the current time, so it must not overflow.
const NEVER: Duration = Duration::from_secs(315_360_000);

fn encode_strictly(path: &str) -> String {
    use std::fmt::Write;
    path.bytes().fold(String::with_capacity(path.len()), |mut out, byte| {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
