//! Connector: makes a connection to a target: resolves the name, checks the address, connects to that very address or
//! to a proxy, and negotiates TLS.

use std::{
    cell::Cell,
    fmt::Display,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection as Connected};
use futures_util::future::LocalBoxFuture;
use http::Uri;
use tokio::{
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{sleep, timeout},
};

use super::{
    SharedTransport,
    address::AddressGuard,
    connection::Connection,
    dial::dial,
    exchange::Exchange,
    host_pattern::bare,
    network,
    proxy::{Destination, Protocol, Proxy, Socks5Error, connect, negotiate},
    sockets::Sockets,
    stream::Stream,
    wire::WireLimits,
};
use crate::{
    clock,
    outcome::{FetchError, Phase, local_fault::LocalFault},
    transport::suspicion::AtFault,
};

/// The service from which awc's pool requests new connections. It is cloned for every request.
#[derive(Clone)]
pub struct Connector(Rc<Maker>);

/// How soon a step is tried again that failed for what may be, or is, a fault of this machine.
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// How long a connection waits for another of ours to close where this machine is short of files, ports or memory.
const MAX_SHORTAGE: Duration = Duration::from_secs(5);

/// How soon name servers that do not answer are asked again, while it is open whose fault that is.
const ASK_AGAIN: Duration = Duration::from_millis(500);

struct Maker {
    shared: SharedTransport,
    sockets: Rc<Sockets>,
    connections: Cell<usize>,
}

impl Connector {
    /// Creates a connector that registers its sockets.
    pub fn new(shared: SharedTransport, sockets: Rc<Sockets>) -> Self {
        Self(Rc::new(Maker { shared, sockets, connections: Cell::new(0) }))
    }

    /// Returns how many connections were made.
    pub fn connections(&self) -> usize {
        self.0.connections.get()
    }
}

impl Maker {
    async fn connect(&self, exchange: &Exchange) -> Result<Connection, FetchError> {
        exchange.connecting();
        let target = &exchange.target;
        if let Some(network) = network::in_memory() {
            let place = self.sockets.place().await;
            let stream = network.connect(&self.shared.settings.guard, &target.host, target.port, target.tls).await?;
            return Ok(self.connection(stream, place, None));
        }
        let (stream, place, server) = match &target.proxy {
            None => self.reach(exchange, &target.host, target.port, &self.shared.settings.guard).await?,
            Some(proxy) => {
                let (stream, place) = self.reach_through(exchange, proxy).await?;
                (stream, place, None)
            }
        };
        let stream =
            if target.tls { self.encrypt(stream, &target.host, target.proxy.is_some()).await? } else { stream };
        Ok(self.connection(stream, place, server))
    }

    fn connection(&self, stream: Box<dyn Stream>, place: OwnedSemaphorePermit, server: Option<IpAddr>) -> Connection {
        let chunked_over_length = self.shared.settings.chunked_over_length;
        let limits = WireLimits { chunked_over_length, ..WireLimits::default() };
        Connection::new(self.sockets.register(stream, place, server), limits)
    }

    /// Connects to the target directly or through its proxy.
    async fn reach(
        &self,
        exchange: &Exchange,
        host: &str,
        port: u16,
        guard: &AddressGuard,
    ) -> Result<(Box<dyn Stream>, OwnedSemaphorePermit, Option<IpAddr>), FetchError> {
        let addresses = self.look_up(exchange, host, port).await?;
        // No deadline: this waits for our own bound, not for the server.
        let place = self.sockets.place().await;
        self.connections.set(self.connections.get() + 1);
        let stream = self.dial(exchange, host, &addresses, guard).await?;
        let server = stream.peer_addr().ok().map(|address| address.ip());
        Ok((Box::new(stream), place, server))
    }

    /// Looks a host up. Where no name server answers, it asks again until it is clear whose fault that is.
    async fn look_up(&self, exchange: &Exchange, host: &str, port: u16) -> Result<Vec<SocketAddr>, FetchError> {
        let (resolver, limit) = (&self.shared.resolver, self.shared.settings.deadlines.dns);
        let mut failed_since = None;
        exchange.suspect(Some(LocalFault::NameServers));
        loop {
            let begun = clock::now();
            let error = match within(limit, Phase::Dns, resolver.resolve(host, port)).await {
                Ok(addresses) => {
                    exchange.suspect(None);
                    return Ok(addresses);
                }
                Err(error) => error,
            };
            let own = match error {
                FetchError::Local(LocalFault::NameServers, why) => FetchError::Dns(why),
                FetchError::Timeout { phase: Phase::Dns, .. } => error,
                other => return Err(other),
            };
            let since = *failed_since.get_or_insert_with(clock::now);
            match resolver.judge(host, since, begun).await {
                AtFault::Machine => return Err(FetchError::Local(LocalFault::NameServers, own.to_string())),
                AtFault::Domain => return Err(own),
                AtFault::Open => sleep(ASK_AGAIN).await,
            }
        }
    }

    /// Dials. Where this machine is short of something that our other connections have, waits for one of them to close;
    /// where it is open whose fault a failure is, dials again until that is clear.
    async fn dial(
        &self,
        exchange: &Exchange,
        host: &str,
        addresses: &[SocketAddr],
        guard: &AddressGuard,
    ) -> Result<TcpStream, FetchError> {
        let (faults, limit) = (self.shared.resolver.faults(), self.shared.settings.deadlines.connect);
        let mut failed_since = None;
        let mut wanted = None;
        loop {
            let begun = clock::now();
            let dialling = dial(addresses, guard, || self.sockets.spare_place());
            let (fault, why) = match within(limit, Phase::Connect, dialling).await {
                Ok(stream) => {
                    exchange.suspect(None);
                    faults.connected(host, stream.peer_addr().ok(), clock::now());
                    return Ok(stream);
                }
                Err(FetchError::Local(fault, why)) => (fault, why),
                Err(other) => return Err(other),
            };
            exchange.suspect(Some(fault));
            let now = clock::now();
            let since = *failed_since.get_or_insert(now);
            if fault.is_shortage() {
                if !self.sockets.are_others_open() || now.saturating_duration_since(since) >= MAX_SHORTAGE {
                    return Err(FetchError::Local(fault, why));
                }
                wanted.get_or_insert_with(|| self.sockets.want_room());
                sleep(TRY_AGAIN).await;
                continue;
            }
            match faults.judge_host(fault, host, since, begun, now) {
                AtFault::Machine => return Err(FetchError::Local(fault, why)),
                AtFault::Domain => return Err(FetchError::Connect(why)),
                AtFault::Open => sleep(ASK_AGAIN).await,
            }
        }
    }

    /// Connects to a proxy and, unless the proxy forwards requests, opens a tunnel through it. Failures count as the
    /// proxy's, except where the target is invalid, or the proxy reports that it cannot reach the target.
    async fn reach_through(
        &self,
        exchange: &Exchange,
        proxy: &Proxy,
    ) -> Result<(Box<dyn Stream>, OwnedSemaphorePermit), FetchError> {
        let target = &exchange.target;
        let at_fault = |why: &dyn Display| FetchError::Proxy(format!("{proxy}: {why}"));
        let destination = self.destination(exchange, proxy).await?;
        // The user chose the proxy, so its address needs no check.
        let any = AddressGuard { allow_private: true, ..AddressGuard::default() };
        let reached = self.reach(exchange, &proxy.host, proxy.port, &any).await;
        let (mut stream, place, _) = reached.map_err(|error| match error {
            FetchError::Local(..) => error,
            error => at_fault(&error),
        })?;
        if proxy.protocol == Protocol::Https {
            stream = self.encrypt(stream, &proxy.host, false).await.map_err(|error| at_fault(&error))?;
        }
        if target.forwarder().is_none() {
            let limit = self.shared.settings.deadlines.connect;
            let tunnelling = async {
                if proxy.forwards_http() {
                    let opened = connect(stream.as_mut(), proxy, &target.host, target.port).await;
                    return opened.map_err(|why| at_fault(&why));
                }
                negotiate(stream.as_mut(), proxy, &destination).await.map_err(|error| match error {
                    Socks5Error::Proxy(why) => at_fault(&why),
                    Socks5Error::Site(why) => FetchError::Connect(format!("{why}, by way of {proxy}")),
                })
            };
            let silent = |_| Err(at_fault(&FetchError::Timeout { phase: Phase::Connect, limit }));
            timeout(limit, tunnelling).await.unwrap_or_else(silent)?;
        }
        Ok((stream, place))
    }

    /// Returns and checks the destination that the proxy is asked for. An HTTP proxy and `socks5h` resolve names
    /// themselves, so only the name can be checked.
    async fn destination(&self, exchange: &Exchange, proxy: &Proxy) -> Result<Destination, FetchError> {
        let target = &exchange.target;
        let name = target.host.strip_suffix('.').unwrap_or(&target.host).to_ascii_lowercase();
        let is_ours = name == "localhost" || name.ends_with(".localhost") || bare(&name).parse::<IpAddr>().is_ok();
        if proxy.protocol != (Protocol::Socks5 { remote_names: false }) && !is_ours {
            let refused = self.shared.settings.guard.check_name(&name);
            refused.map_err(|refused| FetchError::PrivateAddress(refused.to_string()))?;
            return Ok(Destination::Name(target.host.clone(), target.port));
        }
        let addresses = self.look_up(exchange, &target.host, target.port).await?;
        let mut refused = None;
        for address in addresses {
            match self.shared.settings.guard.check(address.ip()) {
                Ok(()) => return Ok(Destination::Address(address)),
                Err(error) => refused = Some(FetchError::PrivateAddress(error.to_string())),
            }
        }
        Err(refused.unwrap_or_else(|| FetchError::Dns(format!("`{name}` has no address"))))
    }

    async fn encrypt(&self, stream: Box<dyn Stream>, host: &str, proxied: bool) -> Result<Box<dyn Stream>, FetchError> {
        let handshake = self.shared.tls.connect(stream, host, proxied);
        Ok(Box::new(within(self.shared.settings.deadlines.tls, Phase::Tls, handshake).await?))
    }
}

async fn within<T>(
    limit: Duration,
    phase: Phase,
    step: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    timeout(limit, step).await.unwrap_or(Err(FetchError::Timeout { phase, limit }))
}

impl Service<ConnectInfo<Uri>> for Connector {
    type Response = Connected<Uri, Connection>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        let maker = self.0.clone();
        Box::pin(async move {
            let exchange = Exchange::current()
                .ok_or_else(|| ConnectError::Io(io::Error::other("a connection without a permit")))?;
            match maker.connect(&exchange).await {
                Ok(connection) => Ok(Connected::new(info.request().clone(), connection)),
                Err(error) => Err(ConnectError::Io(exchange.fail(error))),
            }
        })
    }
}
