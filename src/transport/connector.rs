//! Connector: makes a connection to a target: resolves the name, checks the address, connects to that very address or
//! to a proxy, and negotiates TLS.

use std::{
    cell::Cell,
    fmt::Display,
    future::Future,
    io,
    net::IpAddr,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection as Connected};
use futures_util::future::LocalBoxFuture;
use http::Uri;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{
    SharedTransport,
    address::AddressGuard,
    connection::Connection,
    dial::dial,
    exchange::Exchange,
    host_pattern::bare,
    proxy::{Destination, Protocol, Proxy, Socks5Error, connect, negotiate},
    sockets::Sockets,
    stream::Stream,
    wire::WireLimits,
};
use crate::outcome::{FetchError, Phase};

/// The service from which awc's pool requests new connections. It is cloned for every request.
#[derive(Clone)]
pub struct Connector(Rc<Maker>);

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
        let (stream, place) = match &target.proxy {
            None => self.reach(&target.host, target.port, &self.shared.settings.guard).await?,
            Some(proxy) => self.reach_through(exchange, proxy).await?,
        };
        let stream =
            if target.tls { self.encrypt(stream, &target.host, target.proxy.is_some()).await? } else { stream };
        let chunked_over_length = self.shared.settings.chunked_over_length;
        let limits = WireLimits { chunked_over_length, ..WireLimits::default() };
        Ok(Connection::new(self.sockets.register(stream, place), limits))
    }

    /// Connects to the target directly or through its proxy.
    async fn reach(
        &self,
        host: &str,
        port: u16,
        guard: &AddressGuard,
    ) -> Result<(Box<dyn Stream>, OwnedSemaphorePermit), FetchError> {
        let deadlines = self.shared.settings.deadlines;
        let addresses = within(deadlines.dns, Phase::Dns, self.shared.resolver.resolve(host, port)).await?;
        // No deadline: this waits for our own bound, not for the server.
        let place = self.sockets.place().await;
        self.connections.set(self.connections.get() + 1);
        let dialling = dial(&addresses, guard, || self.sockets.spare_place());
        let stream = within(deadlines.connect, Phase::Connect, dialling).await?;
        Ok((Box::new(stream), place))
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
        let reached = self.reach(&proxy.host, proxy.port, &any).await;
        let (mut stream, place) = reached.map_err(|error| at_fault(&error))?;
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
        let resolving = self.shared.resolver.resolve(&target.host, target.port);
        let addresses = within(self.shared.settings.deadlines.dns, Phase::Dns, resolving).await?;
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
