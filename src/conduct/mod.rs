//! Conduct: all rules of one domain: rate law, refusals, quotas, the rate that was found, and the spacing of its robots
//! files. Knows no clock and no network.
//!
//! Several tenants (crawls and clients) may send requests to one domain. Each has its own limits, and all of them hold
//! together: each tenant has a throttle, every throttle counts every start, and a start needs leave of all. A tenant's
//! limits end when it leaves; the starts it made still count.

mod heard;
mod lessons;
mod member;
mod turns;

use std::time::{Duration, Instant};

pub use self::{
    heard::{Heard, Heeded, Refused, refusal},
    lessons::{Asked, Lessons, Sparing},
    member::Terms,
};
use self::{member::Member, turns::Turns};
use crate::{
    adaptive::Adaptive,
    cooling::{Cooling, Verdict, Why},
    limits::Limits,
    quota::{self, Spread},
    throttle::{Evidence, NotBefore, Refusal, Throttle},
};

/// Identifies a tenant within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TenantId(pub(crate) u64);

/// The state of one domain.
#[derive(Debug)]
pub struct Conduct {
    cooling: Cooling,
    asked: Option<Asked>,
    /// When the request was written whose response last reported the quota.
    quota_as_of: Option<Instant>,
    /// Usually the only tenant. When the last tenant has left, its throttle is kept, since it counts past starts.
    first: Member,
    others: Vec<Member>,
    /// Until when starts count by the limits of tenants that have left: they may come again.
    counted_until: Option<Instant>,
    turns: Turns,
}

/// The state of a domain that refused too often in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Why.
    pub why: Why,
    /// Until when.
    pub until: Instant,
}

/// A permit that was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When its request is due.
    pub due: Instant,
    /// The tenant whose turn is next, if one waits.
    pub next: Option<TenantId>,
}

/// The longest wait that a redirect gets: a day, as a refusal.
const LONGEST_WAIT_BEFORE_HOP: Duration = Duration::from_secs(86_400);

impl Conduct {
    /// Creates the conduct with one tenant and what is remembered of the domain.
    pub(crate) fn new(tenant: TenantId, terms: Terms, lessons: &Lessons, now: Instant) -> Self {
        let first = Member::new(tenant, terms, Throttle::new(terms.limits), now);
        let mut conduct = Self {
            cooling: Cooling::default(),
            asked: None,
            quota_as_of: None,
            first,
            others: Vec::new(),
            counted_until: None,
            turns: Turns::default(),
        };
        conduct.first.apply(None);
        if !lessons.is_empty(now) {
            conduct.recall(lessons, now);
        }
        conduct
    }

    /// Adds a tenant.
    pub(crate) fn join(&mut self, tenant: TenantId, terms: Terms, now: Instant) {
        let mut throttle = self.first.throttle.clone();
        throttle.set_limits(terms.limits);
        let mut member = Member::new(tenant, terms, throttle, now);
        member.apply(self.asked);
        if self.first.tenant.is_none() {
            self.first = member;
        } else {
            self.others.push(member);
        }
    }

    /// Removes a tenant whose permits have all ended. Returns the waiting tenants, since the law may allow more now.
    pub(crate) fn leave(&mut self, tenant: TenantId, now: Instant) -> Vec<TenantId> {
        self.turns.leave(tenant);
        let counted_until = self.member(tenant).and_then(|member| member.throttle.fresh_at());
        self.counted_until = self.counted_until.max(counted_until);
        if self.first.tenant == Some(tenant) {
            match self.others.pop() {
                Some(other) => self.first = other,
                None => self.first.tenant = None,
            }
        } else {
            self.others.retain(|member| member.tenant != Some(tenant));
        }
        self.turns.changed(now)
    }

    /// Tells whether there are no tenants.
    pub(crate) fn is_vacant(&self) -> bool {
        self.first.tenant.is_none()
    }

    /// Changes a tenant's terms. With `adaptive`, the found rate is kept unless the given rate changes. Returns the
    /// waiting tenants, since the law may allow more now.
    pub(crate) fn set_terms(&mut self, tenant: TenantId, terms: Terms, now: Instant) -> Vec<TenantId> {
        let asked = self.asked;
        if let Some(member) = self.member(tenant) {
            if terms.adaptive != member.terms.adaptive || terms.limits.rate != member.terms.limits.rate {
                member.adaptive = terms.adaptive.then(|| Box::new(Adaptive::from(terms.limits.rate, now)));
            }
            member.terms = terms;
            member.apply(asked);
        }
        self.turns.changed(now)
    }

    /// Tells whether the domain has several tenants.
    pub(crate) fn is_shared(&self) -> bool {
        !self.others.is_empty()
    }

    /// Plans one request of a tenant, due at or after `now`; [`Conduct::release`] ends it.
    ///
    /// # Errors
    /// [`Refusal::Full`], or [`Refusal::NotBefore`] if the request would be due after `horizon`, or another tenant's
    /// turn comes first.
    pub(crate) fn grant(&mut self, tenant: TenantId, now: Instant, horizon: Instant) -> Result<Planned, Refusal> {
        self.forget_asked(now);
        let granted = if self.others.is_empty() {
            let due = self.first.throttle.look(now)?;
            if due > horizon {
                return Err(Refusal::NotBefore(due));
            }
            Planned { due, next: None }
        } else {
            self.grant_in_turn(tenant, now, horizon)?
        };
        self.members().for_each(|member| member.throttle.plan());
        if let Some(member) = self.member(tenant) {
            member.out += 1;
        }
        Ok(granted)
    }

    /// A refused tenant waits for its turn, and the longest wait goes first. Otherwise a tenant that plans far ahead
    /// would take every slot before one that plans just in time.
    fn grant_in_turn(&mut self, tenant: TenantId, now: Instant, horizon: Instant) -> Result<Planned, Refusal> {
        self.turns.ask(tenant, now)?;
        let mut latest = now;
        let mut full = false;
        for member in self.members() {
            match member.throttle.look(now) {
                Ok(due) => latest = latest.max(due),
                Err(_) => full = true,
            }
        }
        if full {
            self.turns.wait(tenant, None);
            return Err(Refusal::Full);
        }
        if latest > horizon {
            self.turns.wait(tenant, Some(latest));
            return Err(Refusal::NotBefore(latest));
        }
        Ok(Planned { due: latest, next: self.turns.took(tenant, now) })
    }

    /// Allows a granted request to be written now. [`Conduct::started`] must follow once it is written, or else
    /// [`Conduct::release`].
    ///
    /// # Errors
    /// The law allows it only later.
    pub(crate) fn try_start(&mut self, now: Instant) -> Result<(), NotBefore> {
        let latest = self.members().filter_map(|member| member.throttle.may_start(now).err()).max();
        if let Some(not_before) = latest {
            return Err(not_before);
        }
        self.members().for_each(|member| member.throttle.begin_writing());
        Ok(())
    }

    /// Records that a tenant's request was written at `at`. `random` in 0.0..1.0 draws the jitter of the next gap.
    pub(crate) fn started(&mut self, tenant: TenantId, at: Instant, random: f64) {
        for member in self.members() {
            let gap = member.throttle.started(at, random);
            if member.tenant == Some(tenant) {
                member.evidence.note_start(gap, member.throttle.running());
                member.active = Some(at);
            }
        }
    }

    /// Ends a tenant's request at `now`; `started` tells whether it was written. Returns the tenant that waited for the
    /// slot, if any.
    pub(crate) fn release(&mut self, tenant: TenantId, now: Instant, started: bool) -> Option<TenantId> {
        for member in self.members() {
            member.throttle.release(now, started);
            if member.tenant == Some(tenant) {
                member.out = member.out.saturating_sub(1);
                member.active = if started { Some(now) } else { member.active };
            }
        }
        self.turns.freed(now).filter(|next| *next != tenant)
    }

    /// Turns a started request back into a granted one, for a second attempt under the same permit.
    pub(crate) fn restart(&mut self) {
        self.members().for_each(|member| member.throttle.restart());
    }

    /// Learns from the response to a tenant's request. `random` in 0.0..1.0 spreads the end of a wait. Returns what
    /// follows if it is a refusal.
    pub(crate) fn hear(&mut self, tenant: TenantId, heard: &Heard<'_>, random: f64) -> Option<Heeded> {
        let Heard { status, headers, started, now, wall } = *heard;
        if let Some(Refused { wait }) = refusal(status, headers, wall) {
            let asked = self.asked;
            for member in self.members() {
                if member.adaptive.as_mut().and_then(|adaptive| adaptive.refused(started, now)).is_some() {
                    member.apply(asked);
                }
            }
            return Some(self.refuse(started, now, Why::Status(status), wait, random));
        }
        self.cooling.answered(started);
        if let Some(wait) = heard::wait_before_hop(status, headers, wall) {
            self.members().for_each(|member| member.throttle.cool(now + wait.min(LONGEST_WAIT_BEFORE_HOP)));
        }
        let asked = self.asked;
        if let Some(member) = self.member(tenant)
            && member.adaptive.as_mut().and_then(|adaptive| adaptive.answered(started, now)).is_some()
        {
            member.apply(asked);
        }
        // Responses may arrive out of order: only the quota from the latest request counts.
        if self.quota_as_of.is_none_or(|as_of| started >= as_of)
            && let Some(quota) = quota::read(headers, wall)
        {
            self.quota_as_of = Some(started);
            let unseen = self.members().map(|member| member.throttle.started_since(started)).max().unwrap_or(0);
            match quota.spread(unseen) {
                Spread::Wait(reset) => self.members().for_each(|member| member.throttle.cool(now + reset)),
                Spread::Slow { spacing, reset } => {
                    self.members().for_each(|member| member.throttle.slow(spacing, now + reset));
                }
                Spread::Free => self.members().for_each(|member| member.throttle.hurry()),
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
    ) -> Option<Heeded> {
        self.member(tenant).filter(|member| member.terms.cools_unreachable)?;
        Some(self.refuse(started, now, Why::Unreachable, None, random))
    }

    /// Leaves the domain alone for `rest`, because a middleware found that an answer refuses it. Counts as a refusal.
    pub(crate) fn rest(&mut self, started: Instant, now: Instant, why: Why, rest: Duration, random: f64) -> Heeded {
        self.refuse(started, now, why, Some(rest), random)
    }

    fn refuse(&mut self, started: Instant, now: Instant, why: Why, asked: Option<Duration>, random: f64) -> Heeded {
        let had_given_up = self.cooling.has_given_up(now);
        let verdict = self.cooling.refused(started, now, why, asked, random);
        self.members().for_each(|member| member.throttle.cool(verdict.until()));
        let gave_up = matches!(verdict, Verdict::GiveUp(_)) && !had_given_up;
        Heeded { why, verdict, asked, gave_up }
    }

    /// Applies the spacing of a robots file, which is valid until `until`. Of several files, the longest valid spacing
    /// applies.
    pub(crate) fn ask_for(&mut self, asked: Asked, now: Instant) {
        self.forget_asked(now);
        if self.asked.is_some_and(|known| (known.spacing, known.until) >= (asked.spacing, asked.until)) {
            return;
        }
        self.asked = Some(asked);
        self.members().for_each(|member| member.apply(Some(asked)));
    }

    /// Drops expired robots spacings.
    fn forget_asked(&mut self, now: Instant) {
        if self.asked.is_some_and(|asked| asked.until <= now) {
            self.asked = None;
            self.members().for_each(|member| member.apply(None));
        }
    }

    /// Assumes that an earlier process made as many requests as were lawful up to `at`.
    pub(crate) fn assume_asked(&mut self, at: Instant) {
        self.members().for_each(|member| member.throttle.assume_asked(at));
    }

    /// Restores lessons; the stricter of those and the current state holds.
    pub(crate) fn recall(&mut self, lessons: &Lessons, now: Instant) {
        if let Some(asked) = lessons.asked(now) {
            self.ask_for(asked, now);
        }
        if let Some((in_a_row, until, why)) = lessons.refusals(now)
            && self.cooling.refusals(now).is_none_or(|(known, ..)| known < in_a_row)
        {
            self.cooling = Cooling::recalled(until, why, in_a_row);
            if until > now {
                self.members().for_each(|member| member.throttle.cool(until));
            }
        }
    }

    /// Returns how the domain is spared at `now`.
    pub(crate) fn sparing(&self, now: Instant) -> Sparing {
        let throttle = &self.first.throttle;
        let slowed = throttle.slowed().map(|(spacing, until)| Asked { spacing, until });
        Sparing {
            rests_until: throttle.cooling_until().filter(|until| *until > now),
            slowed: slowed.filter(|slowed| slowed.until > now),
        }
    }

    /// Spares the domain as an earlier process did.
    pub(crate) fn spare(&mut self, sparing: Sparing) {
        for member in self.members() {
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
        Lessons::new(self.cooling.refusals(now), self.asked(now))
    }

    /// Returns the spacing that its robots files ask for.
    pub(crate) fn asked(&self, now: Instant) -> Option<Asked> {
        self.asked.filter(|asked| asked.until > now)
    }

    /// Returns the refusals.
    pub(crate) fn cooling(&self) -> &Cooling {
        &self.cooling
    }

    /// Returns why the domain is given up and until when, if it is.
    pub(crate) fn given_up(&self, now: Instant) -> Option<GivenUp> {
        let (until, _) = self.cooling.state(now)?;
        Some(GivenUp { why: self.cooling.given_up(now)?, until })
    }

    /// Tells whether only [`Conduct::lessons`] distinguishes this domain from an unused one.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        self.counted_until.is_none_or(|until| until <= now)
            && std::iter::once(&self.first).chain(&self.others).all(|member| member.throttle.is_fresh(now))
    }

    /// Tells whether a tenant without work may leave, since its past starts no longer matter to its own limits or are
    /// kept by others. A found rate is kept with its tenant.
    ///
    /// # Errors
    /// When to try again; `None` if only the end of a permit can change the answer, or nothing can.
    pub(crate) fn may_leave(&self, tenant: TenantId, now: Instant) -> Result<(), Option<Instant>> {
        let mut members = std::iter::once(&self.first).chain(&self.others);
        let Some(member) = members.find(|member| member.tenant == Some(tenant)) else { return Ok(()) };
        if member.adaptive.is_some() || member.out > 0 {
            return Err(None);
        }
        let fresh_at = if self.is_shared() {
            // Other tenants may use the domain for ever; by this time the tenant's own starts have left its window.
            member.active.map(|active| active + member.terms.limits.span())
        } else {
            member.throttle.fresh_at()
        };
        fresh_at.filter(|at| *at > now).map_or(Ok(()), |at| Err(Some(at)))
    }

    /// Returns the limits in force for a tenant.
    pub(crate) fn limits(&self, tenant: TenantId) -> Limits {
        *self.of(tenant).throttle.limits()
    }

    /// Returns the evidence of a tenant's requests. Gaps are measured from the previous start by any tenant.
    pub(crate) fn evidence(&self, tenant: TenantId) -> Evidence {
        self.of(tenant).evidence
    }

    /// Tells whether starts are evenly spaced, so that a millisecond counts.
    pub(crate) fn is_even(&self) -> bool {
        std::iter::once(&self.first).chain(&self.others).any(|member| member.throttle.is_even())
    }

    /// Returns how many permits are out, started or not.
    #[cfg(test)]
    pub(crate) fn in_flight(&self) -> u32 {
        self.first.throttle.in_flight()
    }

    /// Returns until when nothing may start.
    #[cfg(test)]
    pub(crate) fn cooling_until(&self) -> Option<Instant> {
        self.first.throttle.cooling_until()
    }

    fn members(&mut self) -> impl Iterator<Item = &mut Member> {
        std::iter::once(&mut self.first).chain(&mut self.others)
    }

    fn member(&mut self, tenant: TenantId) -> Option<&mut Member> {
        self.members().find(|member| member.tenant == Some(tenant))
    }

    fn of(&self, tenant: TenantId) -> &Member {
        self.others.iter().find(|member| member.tenant == Some(tenant)).unwrap_or(&self.first)
    }
}

#[cfg(test)]
mod tests;
