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
use tokio::time::timeout;

use super::{
    SharedTransport,
    connection::{Connection, Stream},
    dial::dial,
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
        let (deadlines, target) = (self.shared.settings.deadlines, &exchange.target);
        exchange.connecting(Phase::Dns);
        let resolving = self.shared.resolver.resolve(&target.host, target.port);
        let addresses = within(deadlines.dns, Phase::Dns, resolving).await?;
        exchange.connecting(Phase::Connect);
        // No deadline of its own: what is waited for is our own bound, and no fault of the server.
        let place = self.sockets.place().await;
        self.connections.set(self.connections.get() + 1);
        let dialling = dial(&addresses, &self.shared.settings.guard, || self.sockets.spare_place());
        let stream: Box<dyn Stream> = Box::new(within(deadlines.connect, Phase::Connect, dialling).await?);
        let stream = if target.tls {
            exchange.connecting(Phase::Tls);
            let handshake = self.shared.tls.connect(stream, &target.host, false);
            Box::new(within(deadlines.tls, Phase::Tls, handshake).await?)
        } else {
            stream
        };
        Ok(Connection::new(self.sockets.register(stream, place), WireLimits::default()))
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
