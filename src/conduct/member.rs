//! Member: what one tenant brings to a domain, and its own throttle there.

use std::time::{Duration, Instant};

use super::{Asked, TenantId};
use crate::{
    adaptive::Adaptive,
    limits::Limits,
    throttle::{Evidence, Throttle},
};

/// What a tenant brings to a domain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// Its limits there.
    pub limits: Limits,
    /// The longest spacing of a robots file that it obeys; `None` where it obeys none.
    pub max_crawl_delay: Option<Duration>,
    /// Whether the domain is left alone for it when it cannot be reached. A crawl waits for its domains; the caller of a
    /// client wants to hear that nobody is there.
    pub cools_unreachable: bool,
    /// Whether its rate is where a search for the domain's limit begins.
    pub adaptive: bool,
}

impl Terms {
    /// Limits alone, as a client has them.
    pub fn of(limits: Limits) -> Self {
        Self { limits, max_crawl_delay: None, cools_unreachable: false, adaptive: false }
    }

    /// A rate alone, with any number in flight.
    #[cfg(test)]
    pub fn rate(rate: crate::rate::Rate) -> Self {
        Self::of(Limits::rate(rate))
    }
}

/// One tenant's part.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub tenant: Option<TenantId>,
    pub terms: Terms,
    pub throttle: Throttle,
    pub adaptive: Option<Adaptive>,
    pub evidence: Evidence,
    /// Its permits that have not ended.
    pub out: u32,
    /// When one of them last started or ended.
    pub active: Option<Instant>,
}

impl Member {
    pub fn new(tenant: TenantId, terms: Terms, throttle: Throttle, now: Instant) -> Self {
        let adaptive = terms.adaptive.then(|| Adaptive::from(terms.limits.rate, now));
        Self { tenant: Some(tenant), terms, throttle, adaptive, evidence: Evidence::default(), out: 0, active: None }
    }

    /// Brings the throttle's limits in line with the terms, the rate that was found and what robots files ask for.
    pub fn apply(&mut self, asked: Option<Asked>) {
        let rate = self.adaptive.as_ref().map_or(self.terms.limits.rate, Adaptive::rate);
        let spacing =
            asked.zip(self.terms.max_crawl_delay).map_or(Duration::ZERO, |(asked, cap)| asked.spacing.min(cap));
        let limits = Limits { rate, ..self.terms.limits }.slowed_to(spacing);
        if *self.throttle.limits() != limits {
            self.throttle.set_limits(limits);
        }
    }
}
