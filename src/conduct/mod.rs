//! Conduct: all that a domain teaches, and when it may be asked for that: rate law, refusals, quotas, the rate that was
//! found, and the spacing that its robots files ask for. Knows no clock and no network.
//!
//! Several tenants, a crawl or a client each, may ask one domain. Each brings its own limits, and the law that holds is
//! the conjunction: each tenant has a throttle of its own, every throttle counts every start, and a start needs leave
//! of all. A tenant's limits leave with it; the starts it made still count.

mod heard;
mod lessons;
mod member;
mod turns;

use std::time::{Duration, Instant};

pub use self::{
    heard::{Heard, Heeded, Refused, refusal},
    lessons::{Asked, Lessons},
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

/// Names a tenant within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TenantId(pub(crate) u64);

/// The state of one domain.
#[derive(Debug)]
pub struct Conduct {
    cooling: Cooling,
    asked: Option<Asked>,
    /// When the request was written whose answer told the quota last.
    quota_as_of: Option<Instant>,
    /// The only tenant, as a rule. When the last has left, its throttle is kept for the starts that it counts.
    first: Member,
    others: Vec<Member>,
    turns: Turns,
}

/// A domain that is left alone because it refused too often in a row.
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

impl Conduct {
    /// Begins with one tenant, and what is remembered of the domain.
    pub(crate) fn new(tenant: TenantId, terms: Terms, lessons: &Lessons, now: Instant) -> Self {
        let first = Member::new(tenant, terms, Throttle::new(terms.limits), now);
        let mut conduct = Self {
            cooling: Cooling::default(),
            asked: None,
            quota_as_of: None,
            first,
            others: Vec::new(),
            turns: Turns::default(),
        };
        conduct.first.apply(None);
        if !lessons.is_empty(now) {
            conduct.recall(lessons, now);
        }
        conduct
    }

    /// Lets a tenant in.
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

    /// Lets a tenant go, whose permits have all ended. Returns who waits: the law may allow more now.
    pub(crate) fn leave(&mut self, tenant: TenantId, now: Instant) -> Vec<TenantId> {
        self.turns.leave(tenant);
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

    /// Tells whether no tenant is left.
    pub(crate) fn is_vacant(&self) -> bool {
        self.first.tenant.is_none()
    }

    /// Changes what a tenant brings. With `adaptive`, a rate that was found stays, unless the one that is given changes.
    /// Returns who waits: the law may allow more now.
    pub(crate) fn set_terms(&mut self, tenant: TenantId, terms: Terms, now: Instant) -> Vec<TenantId> {
        let asked = self.asked;
        if let Some(member) = self.member(tenant) {
            if terms.adaptive != member.terms.adaptive || terms.limits.rate != member.terms.limits.rate {
                member.adaptive = terms.adaptive.then(|| Adaptive::from(terms.limits.rate, now));
            }
            member.terms = terms;
            member.apply(asked);
        }
        self.turns.changed(now)
    }

    /// Tells whether several tenants ask this domain.
    pub(crate) fn is_shared(&self) -> bool {
        !self.others.is_empty()
    }

    /// Takes a place for one request of a tenant, due at or after `now`. It is given back by [`Conduct::release`].
    ///
    /// # Errors
    /// [`Refusal::Full`], or [`Refusal::NotBefore`] where the place would be due only after `horizon`, or where another
    /// tenant's turn comes first.
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

    /// Whoever was refused waits for its turn, and nobody goes before the one that waits longest: a tenant that plans
    /// far ahead would otherwise take every place before one that plans just in time.
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

    /// Allows one granted request to be written now. It must be followed by [`Conduct::started`] once it is written, or
    /// by [`Conduct::release`].
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

    /// Gives a tenant's place back at `now`; `started` tells whether its request was written. Returns which other tenant
    /// waited for a place.
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

    /// Turns a started request into a granted one, for a second attempt under the same permit.
    pub(crate) fn restart(&mut self) {
        self.members().for_each(|member| member.throttle.restart());
    }

    /// Learns from an answer to a tenant's request. `random` in 0.0..1.0 spreads a wake-up. Returns what follows where it
    /// is a refusal.
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
        self.cooling.answered();
        let asked = self.asked;
        if let Some(member) = self.member(tenant)
            && member.adaptive.as_mut().and_then(|adaptive| adaptive.answered(started, now)).is_some()
        {
            member.apply(asked);
        }
        // Answers overtake each other: only the news of the latest request counts.
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

    /// Takes note that the domain could not be reached for a tenant, by a request that was begun at `started`.
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

    /// Leaves at least `spacing` between two starts, which a robots file asks for that is valid until `until`. Of several
    /// files the longest spacing that is still valid holds.
    pub(crate) fn ask_for(&mut self, asked: Asked, now: Instant) {
        self.forget_asked(now);
        if self.asked.is_some_and(|known| (known.spacing, known.until) >= (asked.spacing, asked.until)) {
            return;
        }
        self.asked = Some(asked);
        self.members().for_each(|member| member.apply(Some(asked)));
    }

    /// Forgets what a robots file asks for that is not valid any more.
    fn forget_asked(&mut self, now: Instant) {
        if self.asked.is_some_and(|asked| asked.until <= now) {
            self.asked = None;
            self.members().for_each(|member| member.apply(None));
        }
    }

    /// Takes for granted that the domain was asked as much as was lawful up to `at`, by somebody who is gone.
    pub(crate) fn assume_asked(&mut self, at: Instant) {
        self.members().for_each(|member| member.throttle.assume_asked(at));
    }

    /// Takes up what was remembered of the domain; the stricter of that and what is known holds.
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

    /// Returns what is to be remembered of the domain once its throttle is fresh.
    pub(crate) fn lessons(&self, now: Instant) -> Lessons {
        Lessons::new(self.cooling.refusals(now), self.asked(now))
    }

    /// Returns what its robots files ask for.
    pub(crate) fn asked(&self, now: Instant) -> Option<Asked> {
        self.asked.filter(|asked| asked.until > now)
    }

    /// Returns the refusals.
    pub(crate) fn cooling(&self) -> &Cooling {
        &self.cooling
    }

    /// Tells why the domain was given up and until when it is left alone for that.
    pub(crate) fn given_up(&self, now: Instant) -> Option<GivenUp> {
        let (until, _) = self.cooling.state(now)?;
        Some(GivenUp { why: self.cooling.given_up(now)?, until })
    }

    /// Tells whether nothing but [`Conduct::lessons`] distinguishes this domain from one that was never asked.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        std::iter::once(&self.first).chain(&self.others).all(|member| member.throttle.is_fresh(now))
    }

    /// Tells whether a tenant that has nothing to ask may leave, and what it was asked for would be kept without it. A
    /// rate that was found is kept with its tenant.
    ///
    /// # Errors
    /// When to ask again; `None` where the end of a permit, or nothing, changes the answer.
    pub(crate) fn may_leave(&self, tenant: TenantId, now: Instant) -> Result<(), Option<Instant>> {
        let mut members = std::iter::once(&self.first).chain(&self.others);
        let Some(member) = members.find(|member| member.tenant == Some(tenant)) else { return Ok(()) };
        if member.adaptive.is_some() || member.out > 0 {
            return Err(None);
        }
        let fresh_at = if self.is_shared() {
            // The others may keep the domain busy for ever. Its own starts have left its own law by then.
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

    /// Returns what a tenant asked. The gaps are to the starts before, whoever made them.
    pub(crate) fn evidence(&self, tenant: TenantId) -> Evidence {
        self.of(tenant).evidence
    }

    /// Tells whether starts are spread so evenly that a millisecond counts.
    pub(crate) fn is_even(&self) -> bool {
        std::iter::once(&self.first).chain(&self.others).any(|member| member.throttle.is_even())
    }

    /// Returns how many permits are out, started or not.
    #[cfg(test)]
    pub(crate) fn in_flight(&self) -> u32 {
        self.first.throttle.in_flight()
    }

    /// Returns until when nothing starts.
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
