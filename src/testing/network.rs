//! SiteNetwork: connects the crawler with a site in memory. Knows no HTTP.

use std::rc::Rc;

use futures_util::{FutureExt, future::LocalBoxFuture};
use tokio::io::duplex;

use super::{served::Served, server};
use crate::{
    outcome::FetchError,
    transport::{address::AddressGuard, network::Network, stream::Stream},
};

/// What a connection holds of the bytes on their way: as much as a socket's usual buffer.
const BUFFER: usize = 64 * 1024;

/// The site behind the connections of a thread.
pub struct SiteNetwork(pub Rc<Served>);

impl Network for SiteNetwork {
    fn connect<'a>(
        &'a self,
        guard: &'a AddressGuard,
        host: &'a str,
        port: u16,
        tls: bool,
    ) -> LocalBoxFuture<'a, Result<Box<dyn Stream>, FetchError>> {
        let connected = self.0.reach(guard, host, port).map(|()| {
            let (ours, theirs) = duplex(BUFFER);
            let scheme = if tls { "https" } else { "http" };
            drop(actix_rt::spawn(server::serve(theirs, scheme, self.0.clone())));
            Box::new(ours) as Box<dyn Stream>
        });
        std::future::ready(connected).boxed_local()
    }
}
