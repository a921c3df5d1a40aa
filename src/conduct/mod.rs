//! Conduct: all rules of one domain: rate law, refusals, quotas, the rate that was found, and the spacing of its robots
//! files. Knows no clock and no network.
//!
//! Several tenants (crawls and clients) may send requests to one domain. Each has its own limits, and all of them hold
//! together: each tenant has a throttle, every throttle counts every start, and a start needs leave of all. A tenant's
//! limits end when it leaves; the starts it made still count.

pub(crate) mod throttle;
pub(crate) mod cooling;
pub(crate) mod quota;
pub(crate) mod adaptive;
mod refusal;
mod lessons;
mod member;
mod members;
mod tenant_queue;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use self::{
    adaptive::AdaptiveRate,
    cooling::{BackOff, Cooling, CoolingCause},
    quota::Spread,
    throttle::{Evidence, LastAsked, NotBefore, Refusal, Throttle},
};
pub use self::{
    lessons::{AskedSpacing, Lessons, Sparing},
    member::{TenantId, Terms},
    members::Planned,
    refusal::{Cooled, Refused, ResponseFacts, refusal},
    tenant_queue::TenantQueue,
};
use self::{member::Member, members::Members};
use crate::politeness::limits::Limits;

/// The state of one domain.
#[derive(Debug)]
pub struct Conduct {
    members: Members,
    /// `None` while the domain has taught nothing, as most never do.
    taught: Option<Box<Taught>>,
    /// Whether starts are kept beyond the window, because a stricter limit set later would count them.
    keeps_starts: bool,
}

/// What a domain's responses have taught.
#[derive(Debug, Default)]
struct Taught {
    cooling: Cooling,
    asked: Option<AskedSpacing>,
    /// When the request was written whose response last reported the quota.
    quota_as_of: Option<Instant>,
}

/// Why and until when a domain is given up that refused too often in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// What made it be given up.
    pub why: CoolingCause,
    /// Until when.
    pub until: Instant,
}

/// The longest wait that a redirect gets: a day, as a refusal.
const MAX_WAIT_BEFORE_HOP: Duration = Duration::from_secs(86_400);

impl Conduct {
    /// Creates the conduct with one tenant and what is remembered of the domain.
    pub(crate) fn new(tenant: TenantId, terms: impl Into<Arc<Terms>>, lessons: &Lessons, now: Instant) -> Self {
        let terms = terms.into();
        let keeps_starts = terms.may_change;
        let throttle = Throttle::new(terms.limits.clone());
        let mut first = Member::new(tenant, terms, throttle, now);
        if first.adaptive.is_some() {
            first.apply(None);
        }
        let mut conduct = Self { members: Members::new(first), taught: None, keeps_starts };
        if !lessons.is_empty(now) {
            conduct.recall(lessons, now);
        }
        conduct
    }

    /// Adds a tenant.
    pub(crate) fn join(&mut self, tenant: TenantId, terms: impl Into<Arc<Terms>>, now: Instant) {
        let terms = terms.into();
        self.keeps_starts |= terms.may_change;
        let mut throttle = self.members.throttle().clone();
        throttle.set_limits(terms.limits.clone());
        let mut member = Member::new(tenant, terms, throttle, now);
        member.apply(self.known_asked());
        self.members.join(member);
    }

    /// Removes a tenant whose permits have all ended. Returns the waiting tenants, since the law may allow more now.
    pub(crate) fn leave(&mut self, tenant: TenantId, now: Instant) -> Vec<TenantId> {
        self.members.leave(tenant, now)
    }

    /// Tells whether there are no tenants.
    pub(crate) fn is_vacant(&self) -> bool {
        self.members.is_vacant()
    }

    /// Changes a tenant's terms. With `adaptive`, the found rate is kept unless the given rate changes. Returns the
    /// waiting tenants, since the law may allow more now.
    pub(crate) fn set_terms(&mut self, tenant: TenantId, terms: impl Into<Arc<Terms>>, now: Instant) -> Vec<TenantId> {
        let (asked, terms) = (self.known_asked(), terms.into());
        if let Some(member) = self.members.get_mut(tenant) {
            if terms.adaptive != member.terms.adaptive || terms.limits.rate != member.terms.limits.rate {
                member.adaptive = terms.adaptive.then(|| Box::new(AdaptiveRate::from(terms.limits.rate, now)));
            }
            member.terms = terms;
            member.apply(asked);
        }
        self.members.changed(now)
    }

    /// Plans one request of a tenant, due at or after `now`; [`Conduct::release`] ends it.
    ///
    /// # Errors
    /// [`Refusal::Full`], or [`Refusal::NotBefore`] if the request would be due after `horizon`, or another tenant's
    /// turn comes first.
    pub(crate) fn grant(&mut self, tenant: TenantId, now: Instant, horizon: Instant) -> Result<Planned, Refusal> {
        self.forget_asked(now);
        self.members.grant(tenant, now, horizon)
    }

    /// Returns when a start after `ahead` others is due: see [`Throttle::forecast`].
    pub(crate) fn forecast(&self, ahead: u64, now: Instant) -> Instant {
        self.members.forecast(ahead, now)
    }

    /// Allows a granted request to be written now. [`Conduct::started`] must follow once it is written, or else
    /// [`Conduct::release`].
    ///
    /// # Errors
    /// The law allows it only later.
    pub(crate) fn try_start(&mut self, now: Instant) -> Result<(), NotBefore> {
        self.members.try_start(now)
    }

    /// Records that a tenant's request was written at `at`. `random` in 0.0..1.0 draws the jitter of the next gap.
    pub(crate) fn started(&mut self, tenant: TenantId, at: Instant, random: f64) {
        self.members.started(tenant, at, random);
    }

    /// Ends a tenant's request at `now`; `started` tells whether it was written. Returns the tenant that waited for the
    /// slot, if any.
    pub(crate) fn release(&mut self, tenant: TenantId, now: Instant, started: bool) -> Option<TenantId> {
        self.members.release(tenant, now, started)
    }

    /// Turns a started request back into a granted one, for a second attempt under the same permit.
    pub(crate) fn restart(&mut self) {
        self.members.iter_mut().for_each(|member| member.throttle.restart());
    }

    /// Learns from the response to a tenant's request. `random` in 0.0..1.0 spreads the end of a wait. Returns what
    /// follows if it is a refusal.
    pub(crate) fn note_response(&mut self, tenant: TenantId, facts: &ResponseFacts<'_>, random: f64) -> Option<Cooled> {
        let ResponseFacts { status, headers, started, now, wall } = *facts;
        if let Some(Refused { wait }) = refusal(status, headers, wall) {
            let asked = self.known_asked();
            for member in self.members.iter_mut() {
                member.search(|adaptive, used| adaptive.refused(started, now, used), asked, now);
            }
            return Some(self.refuse(started, now, CoolingCause::Status(status), wait, random));
        }
        if let Some(taught) = &mut self.taught {
            taught.cooling.answered(started);
        }
        if let Some(wait) = refusal::wait_before_hop(status, headers, wall) {
            self.members.iter_mut().for_each(|member| member.throttle.cool(now + wait.min(MAX_WAIT_BEFORE_HOP)));
        }
        let asked = self.known_asked();
        if let Some(member) = self.members.get_mut(tenant) {
            member.search(|adaptive, used| adaptive.answered(started, now, used), asked, now);
        }
        // Responses may arrive out of order: only the quota from the latest request counts.
        let quota_as_of = self.taught.as_ref().and_then(|taught| taught.quota_as_of);
        if quota_as_of.is_none_or(|as_of| started >= as_of)
            && let Some(quota) = quota::read(headers, wall)
        {
            self.taught.get_or_insert_default().quota_as_of = Some(started);
            let unseen =
                self.members.iter_mut().map(|member| member.throttle.started_since(started)).max().unwrap_or(0);
            match quota.spread(unseen) {
                Spread::Wait(reset) => self.members.iter_mut().for_each(|member| member.throttle.cool(now + reset)),
                Spread::Slow { spacing, reset } => {
                    self.members.iter_mut().for_each(|member| member.throttle.slow(spacing, now + reset));
                }
                Spread::Free => self.members.iter_mut().for_each(|member| member.throttle.hurry()),
            }
        }
        None
    }

    /// Records that the domain was unreachable for a tenant's request begun at `started`.
    pub(crate) fn unreachable(
        &mut self,
        tenant: TenantId,
        started: Instant,
        now: Instant,
        random: f64,
    ) -> Option<Cooled> {
        self.members.get_mut(tenant).filter(|member| member.terms.cools_unreachable)?;
        Some(self.refuse(started, now, CoolingCause::Unreachable, None, random))
    }

    /// Sends nothing to the domain for `rest`, because a middleware judged a response to be a refusal. Counts as one.
    pub(crate) fn rest(
        &mut self,
        started: Instant,
        now: Instant,
        why: CoolingCause,
        rest: Duration,
        random: f64,
    ) -> Cooled {
        self.refuse(started, now, why, Some(rest), random)
    }

    fn refuse(
        &mut self,
        started: Instant,
        now: Instant,
        why: CoolingCause,
        asked: Option<Duration>,
        random: f64,
    ) -> Cooled {
        let cooling = &mut self.taught.get_or_insert_default().cooling;
        // One that is refused again after its wait is given up once more.
        let (was_given_up, is_of_burst) = (cooling.given_up(now).is_some(), cooling.is_of_burst(started));
        let back_off = cooling.refused(started, now, why, asked, random);
        self.members.iter_mut().for_each(|member| member.throttle.cool(back_off.until()));
        let gave_up = matches!(back_off, BackOff::GiveUp(_)) && !was_given_up;
        let in_a_row = cooling.refusals(now).map_or(0, |refusals| refusals.in_a_row);
        Cooled { why, back_off, asked, gave_up, in_a_row: if is_of_burst { 0 } else { in_a_row } }
    }

    /// Applies the spacing of a robots file, which is valid until `until`. Of several files, the longest valid spacing
    /// applies.
    pub(crate) fn ask_for(&mut self, asked: AskedSpacing, now: Instant) {
        self.forget_asked(now);
        if self.known_asked().is_some_and(|known| (known.spacing, known.until) >= (asked.spacing, asked.until)) {
            return;
        }
        self.taught.get_or_insert_default().asked = Some(asked);
        self.members.iter_mut().for_each(|member| member.apply(Some(asked)));
    }

    /// Drops expired robots spacings.
    fn forget_asked(&mut self, now: Instant) {
        let taught = self.taught.as_mut();
        if taught.is_some_and(|taught| taught.asked.take_if(|asked| asked.until <= now).is_some()) {
            self.members.iter_mut().for_each(|member| member.apply(None));
        }
    }

    /// Assumes that an earlier process made as many requests as were lawful up to `at`.
    pub(crate) fn assume_asked(&mut self, at: Instant) {
        self.members.iter_mut().for_each(|member| member.throttle.assume_asked(at));
    }

    /// Returns when requests were last made to the domain, by any tenant; `None` for never.
    pub(crate) fn last_asked(&self) -> Option<LastAsked> {
        self.members.throttle().last_asked()
    }

    /// Assumes that another process has made these requests.
    pub(crate) fn assume(&mut self, asked: &LastAsked) {
        self.members.iter_mut().for_each(|member| member.throttle.assume(asked));
    }

    /// Restores lessons; the stricter of those and the current state holds.
    pub(crate) fn recall(&mut self, lessons: &Lessons, now: Instant) {
        if let Some(asked) = lessons.asked(now) {
            self.ask_for(asked, now);
        }
        if let Some(refusals) = lessons.refusals(now)
            && self.cooling().refusals(now).is_none_or(|known| known.in_a_row < refusals.in_a_row)
        {
            self.taught.get_or_insert_default().cooling = Cooling::recalled(refusals);
            if refusals.until > now {
                self.members.iter_mut().for_each(|member| member.throttle.cool(refusals.until));
            }
        }
        if let Some(starts) = lessons.starts(now) {
            self.members.iter_mut().for_each(|member| member.throttle.recall(starts, now));
        }
    }

    /// Returns how the domain is spared at `now`.
    pub(crate) fn sparing(&self, now: Instant) -> Sparing {
        let throttle = self.members.throttle();
        let slowed = throttle.slowed().map(|(spacing, until)| AskedSpacing { spacing, until });
        Sparing {
            rests_until: throttle.cooling_until().filter(|until| *until > now),
            slowed: slowed.filter(|slowed| slowed.until > now),
        }
    }

    /// Spares the domain as an earlier process did.
    pub(crate) fn spare(&mut self, sparing: Sparing) {
        for member in self.members.iter_mut() {
            if let Some(until) = sparing.rests_until {
                member.throttle.cool(until);
            }
            if let (Some(slowed), None) = (sparing.slowed, member.throttle.slowed()) {
                member.throttle.slow(slowed.spacing, slowed.until);
            }
        }
    }

    /// Returns what to remember of the domain once its throttle is fresh.
    pub(crate) fn lessons(&self, now: Instant) -> Lessons {
        let starts = self.members.throttle().starts().filter(|_| self.keeps_starts);
        Lessons::new(self.cooling().refusals(now), self.asked(now)).with_starts(starts)
    }

    /// Returns the spacing that its robots files ask for.
    pub(crate) fn asked(&self, now: Instant) -> Option<AskedSpacing> {
        self.known_asked().filter(|asked| asked.until > now)
    }

    fn known_asked(&self) -> Option<AskedSpacing> {
        self.taught.as_ref()?.asked
    }

    /// Returns the refusals.
    pub(crate) fn cooling(&self) -> Cooling {
        self.taught.as_ref().map_or_else(Cooling::default, |taught| taught.cooling)
    }

    /// Returns why the domain is given up and until when, if it is.
    pub(crate) fn given_up(&self, now: Instant) -> Option<GivenUp> {
        let cooling = &self.taught.as_ref()?.cooling;
        let (until, _) = cooling.state(now)?;
        Some(GivenUp { why: cooling.given_up(now)?, until })
    }

    /// Tells whether only [`Conduct::lessons`] distinguishes this domain from an unused one.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        self.members.is_fresh(now)
    }

    /// Tells whether a tenant without work may leave, since its past starts no longer matter to its own limits or are
    /// kept by others. A found rate is kept with its tenant.
    ///
    /// # Errors
    /// When to try again; `None` if only the end of a permit can change the answer, or nothing can.
    pub(crate) fn may_leave(&self, tenant: TenantId, now: Instant) -> Result<(), Option<Instant>> {
        self.members.may_leave(tenant, now)
    }

    /// Returns the limits in force for a tenant.
    pub(crate) fn limits(&self, tenant: TenantId) -> Limits {
        *self.members.get(tenant).throttle.limits()
    }

    /// Returns the evidence of a tenant's requests. Gaps are measured from the previous start by any tenant.
    pub(crate) fn evidence(&self, tenant: TenantId) -> Evidence {
        self.members.get(tenant).evidence
    }

    /// Tells whether starts are evenly spaced, so that a millisecond counts.
    pub(crate) fn is_even(&self) -> bool {
        self.members.iter().any(|member| member.throttle.is_even())
    }

    /// Returns how many permits are out, started or not.
    pub(crate) fn in_flight(&self) -> u32 {
        self.members.throttle().in_flight()
    }

    /// Returns until when nothing may start.
    #[cfg(test)]
    pub(crate) fn cooling_until(&self) -> Option<Instant> {
        self.members.throttle().cooling_until()
    }
}

#[cfg(test)]
mod tests;
