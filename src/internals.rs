//! Internals: what benches, fuzz targets, the examples that measure and the binary reach inside for. No part of the public
//! face: it may change with any version.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::runtime::Handle;

use crate::{
    conduct::Terms,
    conducts::Conducts,
    domain::{Domain, DomainKey},
    engine::domains::Domains,
    error::Result,
    fetcher::fetch::FetchStack,
    permit::{Permit, Released, Tenancy},
    politeness::Politeness,
    throttle::{Refusal, Throttle},
    transport::{SharedTransport, TransportSettings},
};
pub use crate::{
    duration_text::parse as parse_duration,
    engine::{
        budget::Budget,
        crawl::{Crawl, CrawlParts},
        robots_files::RobotsFiles,
    },
    event::{Event, Subscriber},
    fetcher::{
        Granted,
        fetch::{Fetch, FetchContext, FetchResult, NoPermits},
        pool::Pool,
    },
    frontier::{admission::Admission, candidate::Candidate, lease::Returned, seen_cache::SeenCache},
    limits::Limits,
    report::numbers::{Counted, Grouped},
    transport::{
        body::{BodyDecoder, codings},
        wire::{Head, ResponseDecoder, WireError, WireLimits},
    },
};

struct Nobody;

impl Released for Nobody {
    fn released(&self, _: &Domain) {}
}

/// Returns the stack that sends requests and has no layers, for one arbiter.
///
/// # Errors
/// A setting or the user agent is wrong.
pub fn http(settings: TransportSettings, threads: &Handle, user_agent: &str) -> Result<Box<dyn Fetch>> {
    let shared = SharedTransport::new(settings, threads)?;
    Ok(FetchStack::http(shared, crate::user_agent::header(user_agent)?).build())
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
