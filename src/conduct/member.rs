//! Member: one tenant of a domain: its terms, and its own throttle.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::AskedSpacing;
use crate::{
    conduct::{
        adaptive::AdaptiveRate,
        throttle::{Evidence, Refusal, Throttle},
    },
    politeness::limits::Limits,
    rate::Rate,
};

/// Identifies a tenant within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TenantId(pub(crate) u64);

/// The terms of a tenant at a domain. Domains with the same terms share them.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Its limits.
    pub limits: Arc<Limits>,
    /// The longest Crawl-delay that it obeys; `None` if it ignores robots files.
    pub max_crawl_delay: Option<Duration>,
    /// Whether the domain cools for it when unreachable. A crawl waits for its domains; a client reports the failure to
    /// its caller.
    pub cools_unreachable: bool,
    /// Whether its rate is the start of a search for the domain's limit.
    pub adaptive: bool,
    /// Whether its limits may change: stricter limits count starts that the present ones no longer count.
    pub may_change: bool,
}

impl Terms {
    /// Terms with limits only, as for a client.
    pub fn of(limits: impl Into<Arc<Limits>>) -> Self {
        Self {
            limits: limits.into(),
            max_crawl_delay: None,
            cools_unreachable: false,
            adaptive: false,
            may_change: false,
        }
    }

    /// Terms with a rate only, and any number of requests in flight.
    #[cfg(test)]
    pub fn rate(rate: Rate) -> Self {
        Self::of(Limits::rate(rate))
    }
}

/// One tenant.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub tenant: Option<TenantId>,
    pub terms: Arc<Terms>,
    pub throttle: Throttle,
    pub adaptive: Option<Box<AdaptiveRate>>,
    pub evidence: Evidence,
    /// Its permits that have not ended.
    pub out: u32,
    /// When one of them last started or ended.
    pub active: Option<Instant>,
}

impl Member {
    pub fn new(tenant: TenantId, terms: Arc<Terms>, throttle: Throttle, now: Instant) -> Self {
        let adaptive = terms.adaptive.then(|| Box::new(AdaptiveRate::from(terms.limits.rate, now)));
        Self { tenant: Some(tenant), terms, throttle, adaptive, evidence: Evidence::default(), out: 0, active: None }
    }

    /// Returns when a request of this tenant would be due by its own limits: see [`Throttle::look`].
    ///
    /// # Errors
    /// As many requests are in flight as may be. The tenant is marked as waiting for one of them to end.
    pub fn look(&mut self, now: Instant) -> Result<Instant, Refusal> {
        let looked = self.throttle.look(now);
        if looked == Err(Refusal::Full) {
            self.throttle.wait_for_place(now);
        }
        looked
    }

    /// Lets the search for the rate, if there is one, learn from a response. It is given the starts per second of late.
    pub fn search(
        &mut self,
        learn: impl FnOnce(&mut AdaptiveRate, f64) -> Option<Rate>,
        asked: Option<AskedSpacing>,
        now: Instant,
    ) {
        let Some(adaptive) = &mut self.adaptive else { return };
        if learn(adaptive, self.throttle.starts_per_second(now)).is_some() {
            self.apply(asked);
        }
    }

    /// Derives the throttle's limits from the terms, the rate that was found and the robots spacing.
    pub fn apply(&mut self, asked: Option<AskedSpacing>) {
        let rate = self.adaptive.as_ref().map_or(self.terms.limits.rate, |adaptive| adaptive.rate());
        let spacing =
            asked.zip(self.terms.max_crawl_delay).map_or(Duration::ZERO, |(asked, cap)| asked.spacing.min(cap));
        let limits = Limits { rate, ..*self.terms.limits }.slowed_to(spacing);
        if *self.throttle.limits() == limits {
            return;
        }
        if limits == *self.terms.limits {
            self.throttle.set_limits(self.terms.limits.clone());
        } else {
            self.throttle.set_limits(limits);
        }
    }
}
