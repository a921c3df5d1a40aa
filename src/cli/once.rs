//! Once: single requests outside a crawl, each under a permit of its domain as within one.

use std::{sync::Arc, time::Duration};

use actix_crawler::{
    domain::{Domain, registrable},
    fetcher::http::{Http, Sent, is_idempotent},
    permit::{Gate, Permit, Released},
    politeness::Politeness,
    request::Request,
    throttle::{Refusal, Throttle},
    transport::{SharedTransport, Transport, TransportSettings},
    user_agent,
};
use url::Url;

use super::{exit::Failure, now};

/// Asks one domain after the other for single things, at the default pace.
pub struct Once {
    http: Http,
    politeness: Politeness,
    gate: Option<Arc<Gate>>,
}

/// Nobody schedules here: the next permit is asked for when the one before has ended.
struct Nobody;

impl Released for Nobody {
    fn released(&self, _: &Domain) {}
}

impl Once {
    /// Readies the network of this thread; to be called within an actix system.
    ///
    /// # Errors
    /// A setting is wrong.
    pub fn new(settings: TransportSettings, user_agent: &str) -> Result<Self, Failure> {
        let shared = SharedTransport::new(settings, &tokio::runtime::Handle::current())?;
        let http = Http::new(Transport::new(shared), user_agent::header(user_agent)?, false);
        Ok(Self { http, politeness: Politeness::default(), gate: None })
    }

    /// Sends a request when its domain may be asked.
    pub async fn send(&mut self, request: &Request) -> Sent {
        let permit = self.permit(&request.url).await;
        self.http.send(permit, request, is_idempotent(&request.method)).await
    }

    async fn permit(&mut self, url: &Url) -> Permit {
        let domain = registrable(url);
        let gate = match self.gate.take().filter(|gate| *gate.domain() == domain) {
            Some(gate) => gate,
            None => Gate::new(domain.clone(), Throttle::new(self.politeness.limits(&domain)), Arc::new(Nobody)),
        };
        self.gate = Some(gate.clone());
        loop {
            let now = now();
            match gate.grant(now, now) {
                Ok(permit) => return permit,
                Err(Refusal::NotBefore(at)) => tokio::time::sleep_until(at.into()).await,
                // The permit before is on its way back.
                Err(Refusal::Full) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }
}
