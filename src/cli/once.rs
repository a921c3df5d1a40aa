//! Once: single requests outside a crawl, each under a permit of its domain as within one.

use actix_crawler::{
    bench_support::Sender,
    fetcher::http::{Sent, is_idempotent},
    politeness::Politeness,
    request::Request,
    transport::{SharedTransport, Transport, TransportSettings},
    user_agent,
};

use super::exit::Failure;

/// Asks one domain after the other for single things, at the default pace.
pub struct Once(Sender);

impl Once {
    /// Readies the network of this thread; to be called within an actix system.
    ///
    /// # Errors
    /// A setting is wrong.
    pub fn new(settings: TransportSettings, user_agent: &str) -> Result<Self, Failure> {
        let shared = SharedTransport::new(settings, &tokio::runtime::Handle::current())?;
        let user_agent = user_agent::header(user_agent)?;
        Ok(Self(Sender::new(Transport::new(shared), user_agent, Politeness::default())))
    }

    /// Sends a request when its domain may be asked.
    pub async fn send(&mut self, request: &Request) -> Sent {
        self.0.send(request, is_idempotent(&request.method)).await
    }
}
