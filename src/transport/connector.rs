//! Connector: from a target to a connection: look the name up, check the address, connect to exactly that one, agree
//! on TLS.

use std::{
    cell::Cell,
    future::Future,
    io,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection as Connected};
use futures_util::future::LocalBoxFuture;
use http::Uri;
use tokio::{net::TcpStream, time::timeout};

use super::{
    SharedTransport,
    connection::{Connection, Stream},
    exchange::Exchange,
    sockets::Sockets,
    wire::WireLimits,
};
use crate::outcome::{FetchError, Phase};

/// The service that awc's pool asks for a new connection.
#[derive(Clone)]
pub struct Connector {
    shared: SharedTransport,
    sockets: Rc<Sockets>,
    connections: Rc<Cell<usize>>,
}

impl Connector {
    /// Creates a connector that registers its sockets.
    pub fn new(shared: SharedTransport, sockets: Rc<Sockets>) -> Self {
        Self { shared, sockets, connections: Rc::default() }
    }

    /// Returns how many connections were made.
    pub fn connections(&self) -> usize {
        self.connections.get()
    }

    async fn connect(&self, exchange: &Exchange) -> Result<Connection, FetchError> {
        let deadlines = self.shared.settings.deadlines;
        let place = within(deadlines.connect, Phase::Connect, async { Ok(self.sockets.place().await) }).await?;
        self.connections.set(self.connections.get() + 1);
        let stream = self.open(exchange).await?;
        Ok(Connection::new(self.sockets.register(stream, place), WireLimits::default()))
    }

    async fn open(&self, exchange: &Exchange) -> Result<Box<dyn Stream>, FetchError> {
        let (deadlines, target) = (self.shared.settings.deadlines, &exchange.target);
        exchange.connecting(Phase::Dns);
        let addresses = within(deadlines.dns, Phase::Dns, async {
            self.shared.resolver.resolve(&target.host, target.port).await.map_err(FetchError::Dns)
        })
        .await?;
        exchange.connecting(Phase::Connect);
        let stream = within(deadlines.connect, Phase::Connect, async {
            for a in addresses.iter() {
                self.shared.settings.guard.check(a.ip()).map_err(FetchError::PrivateAddress)?;
            }
            let s = TcpStream::connect(&addresses[..]).await.map_err(|e| FetchError::Connect(e.to_string()))?;
            let _ = s.set_nodelay(true);
            Ok(s)
        })
        .await?;
        if !target.tls {
            return Ok(Box::new(stream));
        }
        exchange.connecting(Phase::Tls);
        let handshake = self.shared.tls.connect(Box::new(stream), &target.host, false);
        Ok(Box::new(within(deadlines.tls, Phase::Tls, handshake).await?))
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
        let connector = self.clone();
        Box::pin(async move {
            let exchange = Exchange::current()
                .ok_or_else(|| ConnectError::Io(io::Error::other("a connection without a permit")))?;
            match connector.connect(&exchange).await {
                Ok(connection) => Ok(Connected::new(info.request().clone(), connection)),
                Err(error) => Err(ConnectError::Io(exchange.fail(error))),
            }
        })
    }
}
