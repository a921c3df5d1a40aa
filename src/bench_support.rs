//! Bench support: what the benches and the examples that measure need of the engine room. No part of the public face.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::HeaderValue;

use crate::{
    conduct::Terms,
    conducts::{Conducts, PermitQueue, Tenant},
    domain::{Domain, DomainKey},
    engine::domains::Domains,
    fetcher::http::{Http, Sent},
    limits::Limits,
    outcome::FetchError,
    permit::{Permit, Released, Tenancy},
    politeness::Politeness,
    request::Request,
    throttle::{Refusal, Throttle},
    transport::Transport,
};

struct Nobody;

impl Released for Nobody {
    fn released(&self, _: &Domain) {}
}

/// The place of a tenant at one domain.
pub struct Grants(Arc<Tenancy>);

impl Grants {
    /// Joins a domain that nobody else asks.
    pub fn new(limits: Limits) -> Self {
        let tenant = Conducts::new().tenant(&DomainKey::Host);
        Self(tenant.join(&Domain::new("e.org"), Terms::of(limits), Arc::new(Nobody), crate::clock::now()))
    }

    /// Grants a permit that is due now.
    ///
    /// # Errors
    /// The law refuses.
    pub fn grant(&self, now: Instant) -> Result<Permit, Refusal> {
        self.0.grant(now, now)
    }
}

/// The rate law alone.
pub struct Law(Throttle);

impl Law {
    /// Creates the law of these limits.
    pub fn new(limits: Limits) -> Self {
        Self(Throttle::new(limits))
    }

    /// Makes one request at `now`: planned, passed at the gate, started, released. Returns whether the law allows it.
    pub fn ask(&mut self, now: Instant) -> bool {
        let is_due = self.0.look(now).is_ok_and(|due| due <= now);
        self.0.plan();
        let may_start = self.0.may_start(now).is_ok();
        self.0.begin_writing();
        let _gap: Option<Duration> = self.0.started(now, 0.5);
        self.0.release(now, true);
        is_due && may_start
    }
}

/// Returns the domains of a crawl that shares with nobody, and whose permits nobody waits for.
pub fn domains(politeness: Arc<Politeness>) -> Domains {
    let tenant = Conducts::new().tenant(&politeness.domain_key);
    Domains::new(politeness, tenant, Arc::new(Nobody), false)
}

/// Sends single requests, each under a permit of its domain.
pub struct Sender {
    http: Http,
    tenant: Tenant,
    politeness: Politeness,
    queue: Option<PermitQueue>,
}

impl Sender {
    /// Creates the sender of an arbiter.
    pub fn new(transport: Transport, user_agent: HeaderValue, politeness: Politeness) -> Self {
        let http = Http::new(transport, user_agent);
        Self { http, tenant: Conducts::shared().tenant(&politeness.domain_key), politeness, queue: None }
    }

    /// Sends a request when its domain may be asked.
    pub async fn send(&mut self, request: &Request, may_repeat: bool) -> Sent {
        let domain = self.politeness.domain_key.domain(&request.url);
        let known = self.queue.take().filter(|queue| *queue.domain() == domain);
        let queue = known.unwrap_or_else(|| {
            let terms = Terms::of(self.politeness.limits(&domain));
            PermitQueue::new(&self.tenant, &domain, terms, crate::clock::now())
        });
        let sent = match queue.permit().await {
            Ok(permit) => self.http.send(permit, request, may_repeat).await,
            Err(given_up) => Sent {
                answer: Err(Some(FetchError::Connect(format!("{domain} is left alone: {}", given_up.why)))),
                started: None,
                waited: Duration::ZERO,
                elapsed: Duration::ZERO,
                heeded: None,
            },
        };
        self.queue = Some(queue);
        sent
    }

    /// Sends a request under a permit that is there.
    pub async fn send_under(&self, permit: Permit, request: &Request) -> Sent {
        self.http.send(permit, request, true).await
    }
}
