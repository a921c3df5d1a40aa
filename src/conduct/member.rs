//! Member: one tenant of a domain: its terms, and its own throttle.

use std::time::{Duration, Instant};

use super::{Asked, TenantId};
use crate::{
    adaptive::Adaptive,
    limits::Limits,
    throttle::{Evidence, Throttle},
};

/// The terms of a tenant at a domain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// Its limits.
    pub limits: Limits,
    /// The longest Crawl-delay that it obeys; `None` if it ignores robots files.
    pub max_crawl_delay: Option<Duration>,
    /// Whether the domain cools for it when unreachable. A crawl waits for its domains; a client reports the failure to
    /// its caller.
    pub cools_unreachable: bool,
    /// Whether its rate is the start of a search for the domain's limit.
    pub adaptive: bool,
}

impl Terms {
    /// Terms with limits only, as for a client.
    pub fn of(limits: Limits) -> Self {
        Self { limits, max_crawl_delay: None, cools_unreachable: false, adaptive: false }
    }

    /// Terms with a rate only, and any number of requests in flight.
    #[cfg(test)]
    pub fn rate(rate: crate::rate::Rate) -> Self {
        Self::of(Limits::rate(rate))
    }
}

/// One tenant.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub tenant: Option<TenantId>,
    pub terms: Terms,
    pub throttle: Throttle,
    pub adaptive: Option<Box<Adaptive>>,
    pub evidence: Evidence,
    /// Its permits that have not ended.
    pub out: u32,
    /// When one of them last started or ended.
    pub active: Option<Instant>,
}

impl Member {
    pub fn new(tenant: TenantId, terms: Terms, throttle: Throttle, now: Instant) -> Self {
        let adaptive = terms.adaptive.then(|| Box::new(Adaptive::from(terms.limits.rate, now)));
        Self { tenant: Some(tenant), terms, throttle, adaptive, evidence: Evidence::default(), out: 0, active: None }
    }

    /// Derives the throttle's limits from the terms, the rate that was found and the robots spacing.
    pub fn apply(&mut self, asked: Option<Asked>) {
        let rate = self.adaptive.as_ref().map_or(self.terms.limits.rate, |adaptive| adaptive.rate());
        let spacing =
            asked.zip(self.terms.max_crawl_delay).map_or(Duration::ZERO, |(asked, cap)| asked.spacing.min(cap));
        let limits = Limits { rate, ..self.terms.limits }.slowed_to(spacing);
        if *self.throttle.limits() != limits {
            self.throttle.set_limits(limits);
        }
    }
}
