//! Internals: what benches, fuzz targets, the examples that measure and the binary reach inside for. No part of the
//! public face: it may change with any version.

#[cfg(feature = "cookies")]
mod cookie_jar;
mod engine;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderValue;
use url::Host;

#[cfg(feature = "cookies")]
pub use self::cookie_jar::CookieJar;
pub use self::engine::Engine;
pub use crate::{
    conduct::refusal,
    crawl_log::lookup::explain as explain_by_log,
    disk::{
        file_identity::FileIdentity,
        input_file::{read_line, read_text, read_whole},
        linked_file::LinkedFile,
    },
    engine::signals::Signals,
    frontier::{candidate::Candidate, seen_cache::SeenCache},
    headers::origin_header::belongs_to_origin,
    order::Ranking,
    politeness::limits::Limits,
    report::{
        escaped::escape_json,
        numbers::{Counted, Grouped},
    },
    settings::wrong_value::MAX_THREADS,
    text::durations::parse as parse_duration,
    transport::{
        archived_body::{NotCopied, copy_all, copy_body},
        body::{BodyDecoder, codings},
        open_files::check as check_open_files,
        wire::{Head, ResponseDecoder, WireError, WireLimits},
    },
};
use crate::{
    conduct::{
        Lessons, Terms,
        cooling::{CoolingCause, Refusals},
        throttle::{Refusal, Throttle},
    },
    conducts::{Conducts, Tenant},
    domain::{Domain, DomainKey},
    engine::domains::Domains,
    error::{Error, Result},
    fetcher::{
        fetch::{Fetch, FetchContext, NoPermits},
        stack::FetchStack,
    },
    permit::{Permit, Tenancy},
    politeness::Politeness,
    rate::Rate,
    request::Request,
    transport::{SharedTransport, TransportSettings, address::AddressGuard, body::BodyLimits},
};

#[cfg(feature = "cluster")]
pub use crate::cluster::{
    ClusterControl, ClusterSettings, ClusterStatus, add_seeds, control as cluster_control, drop_crawl,
    export as cluster_export, status as cluster_status,
};
#[cfg(feature = "toml")]
pub use crate::settings::file::source::Source;

/// The place of a tenant at one domain.
pub struct Grants(Arc<Tenancy>);

impl Grants {
    /// Joins a domain that no one else uses.
    pub fn new(limits: Limits) -> Self {
        let tenant = Conducts::new().tenant(&DomainKey::Host);
        Self(tenant.join(&Domain::new("e.org"), Terms::of(limits), Arc::new(()), crate::clock::now()))
    }

    /// Grants a permit that is due now. All that can be done with it here is to drop it.
    ///
    /// # Errors
    /// The law refuses.
    pub fn grant(&self, now: Instant) -> Result<impl Sized + use<>, Refusal> {
        self.permit(now)
    }

    /// As [`Grants::grant`], for tests of this crate.
    pub(crate) fn permit(&self, now: Instant) -> Result<Permit, Refusal> {
        self.0.grant(now, now)
    }
}

/// What is remembered of domains that are not in use.
pub struct QuietDomains(Tenant);

impl QuietDomains {
    /// Creates one of no domains.
    #[allow(clippy::new_without_default, reason = "it is made to be measured")]
    pub fn new() -> Self {
        Self(Conducts::new().tenant(&DomainKey::Host))
    }

    /// Remembers that a domain has refused once.
    pub fn refused(&self, name: &str, now: Instant) {
        let refusals = Refusals { in_a_row: 1, limit: 8, until: now, why: CoolingCause::Status(503) };
        self.0.recall(&Domain::new(name), Lessons::new(Some(refusals), None), now);
    }
}

/// Our transport with nothing above it, under permits of an unlimited gate. It asks without any politeness, and
/// therefore only this machine.
pub struct LocalFetch {
    fetch: Box<dyn Fetch>,
    grants: Grants,
    limits: BodyLimits,
}

impl LocalFetch {
    /// Creates one for this thread, within a runtime.
    ///
    /// # Errors
    /// The transport cannot be set up.
    pub fn new(user_agent: &'static str) -> Result<Self> {
        let guard = AddressGuard { allow_private: true, ..AddressGuard::default() };
        let settings = TransportSettings { guard, ..TransportSettings::default() };
        let limits = settings.body;
        let shared = SharedTransport::new(settings, &tokio::runtime::Handle::current())?;
        let fetch = FetchStack::http(shared, HeaderValue::from_static(user_agent)).build();
        Ok(Self { fetch, grants: Grants::new(Limits::rate(Rate::UNLIMITED)), limits })
    }

    /// Fetches a page from a loopback address.
    ///
    /// # Errors
    /// The URL is another machine's, or has a name for its host; no whole answer came.
    pub async fn get(&self, url: &str) -> Result<Bytes> {
        let mut request = Request::parse(url)?;
        if !matches!(request.url.host(), Some(Host::Ipv4(address)) if address.is_loopback()) {
            return Err(Error::spider(format!("{url} is not on a loopback address")));
        }
        request.domain = Some(self.grants.0.domain().clone());
        let now = crate::clock::now();
        let permit = self.grants.permit(now).map_err(|refusal| Error::spider(format!("{refusal:?}")))?;
        let context = FetchContext::page(self.limits, true, &NoPermits);
        let response = self.fetch.fetch(permit, &request, context).await.response;
        let response = response.map_err(|why| Error::spider(format!("{why:?}")))?;
        Ok(response.decoded(self.limits).map_err(Error::spider)?.0)
    }
}

/// The rate law alone.
pub struct Law(Throttle);

impl Law {
    /// Creates a throttle with these limits.
    pub fn new(limits: Limits) -> Self {
        Self(Throttle::new(limits))
    }

    /// Makes one request at `now`: planned, passed at the gate, started, released. Tells whether the law allows it.
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

/// Returns the domains of a crawl that shares with no one, and ignores the end of permits.
pub fn domains(politeness: Arc<Politeness>) -> Domains {
    let tenant = Conducts::new().tenant(&politeness.domain_key);
    Domains::new(politeness, tenant, Arc::new(()), false)
}
