//! Gate: the shared state of one domain, and a tenant's place there. Knows no requests.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Paused, Permit};
use crate::{
    clock,
    conduct::{
        AskedSpacing, Conduct, Cooled, GivenUp, Lessons, Sparing, TenantId, Terms,
        cooling::{Cooling, CoolingCause},
        throttle::{Evidence, LastAsked, Refusal},
    },
    domain::Domain,
    politeness::limits::Limits,
    term::{Lapsed, Term},
};

/// How soon it is looked again whether a term that has lapsed is renewed: a small part of what a renewal takes.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The shared state of a domain: one conduct for all threads and tenants.
///
/// Whoever grants plans with it ([`Tenancy::grant`]), and a request passes it at the moment of writing: so the law
/// holds at the wire, also when a permit comes late or a thread was held up. Nothing outside the crate can make one
/// (see `tests/face.rs`).
pub(crate) struct Gate {
    domain: Domain,
    /// Until when anybody may be asked; the same for all gates of a registry.
    term: Arc<Term>,
    /// Which domains are paused; the same for all gates of a registry.
    paused: Arc<Paused>,
    /// Removes the gate when its last tenant has left.
    registry: Arc<dyn GateRegistry>,
    inside: Mutex<GateState>,
}

pub(super) struct GateState {
    pub conduct: Conduct,
    /// Who to notify for each tenant; usually there is one.
    first: Option<(TenantId, Arc<dyn Released>)>,
    others: Vec<(TenantId, Arc<dyn Released>)>,
}

/// Is notified when a permit of a domain ends, so that the next can be granted at once.
pub(crate) trait Released: Send + Sync {
    /// A permit of this tenant has ended. Called from the thread that dropped the permit; must not block.
    fn released(&self, domain: &Domain);

    /// It is this tenant's turn, because another tenant had its own or left. The caller may hold locks of that tenant,
    /// so this must not ask for a permit before it returns.
    fn turn(&self, domain: &Domain) {
        self.released(domain);
    }
}

/// Nobody waits for a permit.
impl Released for () {
    fn released(&self, _: &Domain) {}
}

/// Keeps gates, and is notified when one may be removed.
pub(crate) trait GateRegistry: Send + Sync {
    /// The last tenant of this gate has left.
    fn vacant(&self, gate: &Arc<Gate>);
}

/// A tenant's place at the gate of one domain: the right to ask for permits. The tenant's limits apply until this and
/// all its permits are dropped.
pub(crate) struct Tenancy {
    pub(super) gate: Arc<Gate>,
    pub(super) tenant: TenantId,
    pub(super) released: Arc<dyn Released>,
}

impl Gate {
    /// Creates the gate of `domain` without a tenant; [`Tenancy::begin`] follows.
    pub(crate) fn new(
        domain: Domain,
        (term, paused): (Arc<Term>, Arc<Paused>),
        registry: Arc<dyn GateRegistry>,
        conduct: Conduct,
    ) -> Arc<Self> {
        let inside = Mutex::new(GateState { conduct, first: None, others: Vec::new() });
        Arc::new(Self { domain, term, paused, registry, inside })
    }

    /// Tells all tenants to ask again, since the domain is paused no more.
    pub(crate) fn resumed(&self) {
        let inside = self.lock();
        let told: Vec<_> = inside.first.iter().chain(&inside.others).map(|(_, released)| released.clone()).collect();
        drop(inside);
        self.tell(&told);
    }

    /// Returns the domain.
    pub(crate) fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Checks that anybody may be asked at all.
    ///
    /// # Errors
    /// The term has lapsed; the refusal says when to look again.
    #[inline]
    pub(super) fn check_term(&self, now: Instant) -> Result<(), Refusal> {
        self.term.check(now).map_err(|Lapsed| Refusal::Lapsed(now + LOOK_AGAIN))
    }

    /// Tells whether the term has bounds.
    pub(super) fn is_bound(&self) -> bool {
        self.term.is_bound()
    }

    /// Returns what to remember of the domain, if nothing else of the gate matters and no tenant is present.
    pub(crate) fn dormant(&self, now: Instant) -> Option<Lessons> {
        let inside = self.lock();
        (inside.conduct.is_vacant() && inside.conduct.is_fresh(now)).then(|| inside.conduct.lessons(now))
    }

    /// Returns what to remember of the domain.
    pub(crate) fn lessons(&self, now: Instant) -> Lessons {
        self.lock().conduct.lessons(now)
    }

    /// Restores what was remembered of the domain.
    pub(crate) fn recall(&self, lessons: &Lessons, now: Instant) {
        self.lock().conduct.recall(lessons, now);
    }

    /// Locked only briefly: every request of the domain passes here.
    pub(super) fn lock(&self) -> MutexGuard<'_, GateState> {
        // A panic under the lock cannot leave the conduct in a state that allows more than the law.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, told: &[Arc<dyn Released>]) {
        for released in told {
            released.turn(&self.domain);
        }
    }
}

impl GateState {
    pub fn listener(&self, tenant: TenantId) -> Option<Arc<dyn Released>> {
        let all = self.first.iter().chain(&self.others);
        all.filter(|(known, _)| *known == tenant).map(|(_, released)| released.clone()).next()
    }

    fn listeners(&self, tenants: Vec<TenantId>) -> Vec<Arc<dyn Released>> {
        tenants.into_iter().filter_map(|tenant| self.listener(tenant)).collect()
    }
}

impl Tenancy {
    /// Adds a tenant to a gate, with its terms unless the gate's conduct was created for it.
    pub(crate) fn begin(
        gate: &Arc<Gate>,
        tenant: TenantId,
        terms: Option<Arc<Terms>>,
        released: Arc<dyn Released>,
    ) -> Arc<Self> {
        let mut inside = gate.lock();
        if let Some(terms) = terms {
            inside.conduct.join(tenant, terms, clock::now());
        }
        match inside.first {
            None => inside.first = Some((tenant, released.clone())),
            Some(_) => inside.others.push((tenant, released.clone())),
        }
        drop(inside);
        Arc::new(Self { gate: gate.clone(), tenant, released })
    }

    /// Grants a permit that is due at or before `horizon`.
    ///
    /// # Errors
    /// The term has lapsed, the domain is paused, the law refuses, or another tenant goes first; the refusal says when
    /// to ask again.
    pub(crate) fn grant(self: &Arc<Self>, now: Instant, horizon: Instant) -> Result<Permit, Refusal> {
        self.gate.check_term(now)?;
        if self.is_paused() {
            return Err(Refusal::Full);
        }
        let mut inside = self.gate.lock();
        let planned = inside.conduct.grant(self.tenant, now, horizon)?;
        let next = planned.next.and_then(|next| inside.listener(next));
        drop(inside);
        if let Some(next) = next {
            next.turn(&self.gate.domain);
        }
        Ok(Permit::granted(self.clone(), planned.due, planned.is_last))
    }

    /// Returns the domain.
    pub(crate) fn domain(&self) -> &Domain {
        &self.gate.domain
    }

    /// Tells whether the domain is paused for all who share it.
    pub(crate) fn is_paused(&self) -> bool {
        self.gate.paused.has(&self.gate.domain)
    }

    /// Returns when a start after `ahead` others is due: see [`Conduct::forecast`].
    pub(crate) fn forecast(&self, ahead: u64, now: Instant) -> Instant {
        self.gate.lock().conduct.forecast(ahead, now)
    }

    /// Leaves the domain alone for `rest`, for all tenants: a middleware found that the answer to a request of
    /// `started` refuses it. It is called when the permit has ended, so a request that was granted meanwhile waits at
    /// the gate.
    pub(crate) fn rest(&self, started: Instant, now: Instant, why: CoolingCause, rest: Duration) -> Cooled {
        self.gate.lock().conduct.rest(started, now, why, rest, fastrand::f64())
    }

    /// Returns the limits in force for this tenant.
    pub(crate) fn limits(&self) -> Limits {
        self.gate.lock().conduct.limits(self.tenant)
    }

    /// Changes this tenant's terms.
    pub(crate) fn set_terms(&self, terms: impl Into<Arc<Terms>>, now: Instant) {
        let mut inside = self.gate.lock();
        let waiting = inside.conduct.set_terms(self.tenant, terms, now);
        let told = inside.listeners(waiting);
        drop(inside);
        self.gate.tell(&told);
    }

    /// Returns the evidence of this tenant's requests.
    pub(crate) fn evidence(&self) -> Evidence {
        self.gate.lock().conduct.evidence(self.tenant)
    }

    /// Returns the domain's refusals.
    pub(crate) fn cooling(&self) -> Cooling {
        self.gate.lock().conduct.cooling()
    }

    /// Returns why the domain is given up and until when, if it is.
    pub(crate) fn given_up(&self, now: Instant) -> Option<GivenUp> {
        self.gate.lock().conduct.given_up(now)
    }

    /// Returns the spacing of the domain's robots files.
    pub(crate) fn asked(&self, now: Instant) -> Option<AskedSpacing> {
        self.gate.lock().conduct.asked(now)
    }

    /// See [`Conduct::ask_for`].
    pub(crate) fn ask_for(&self, asked: AskedSpacing, now: Instant) {
        self.gate.lock().conduct.ask_for(asked, now);
    }

    /// See [`Conduct::assume_asked`].
    pub(crate) fn assume_asked(&self, at: Instant) {
        self.gate.lock().conduct.assume_asked(at);
    }

    /// See [`Conduct::last_asked`].
    pub(crate) fn last_asked(&self) -> Option<LastAsked> {
        self.gate.lock().conduct.last_asked()
    }

    /// See [`Conduct::assume`].
    pub(crate) fn assume(&self, asked: &LastAsked) {
        self.gate.lock().conduct.assume(asked);
    }

    /// Tells whether only what it has taught distinguishes the domain from an unused one.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        self.gate.lock().conduct.is_fresh(now)
    }

    /// Returns how the domain is spared.
    pub(crate) fn sparing(&self, now: Instant) -> Sparing {
        self.gate.lock().conduct.sparing(now)
    }

    /// See [`Conduct::spare`].
    pub(crate) fn spare(&self, sparing: Sparing) {
        self.gate.lock().conduct.spare(sparing);
    }

    /// See [`Conduct::may_leave`].
    pub(crate) fn may_leave(&self, now: Instant) -> Result<(), Option<Instant>> {
        self.gate.lock().conduct.may_leave(self.tenant, now)
    }

    /// For tests: locks the gate.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> impl Sized + '_ {
        self.gate.lock()
    }

    /// Returns how many permits are out, started or not.
    pub(crate) fn in_flight(&self) -> u32 {
        self.gate.lock().conduct.in_flight()
    }
}

impl Drop for Tenancy {
    fn drop(&mut self) {
        let now = clock::now();
        let mut inside = self.gate.lock();
        let waiting = inside.conduct.leave(self.tenant, now);
        if inside.first.as_ref().is_some_and(|(tenant, _)| *tenant == self.tenant) {
            inside.first = inside.others.pop();
        } else {
            inside.others.retain(|(tenant, _)| *tenant != self.tenant);
        }
        let (told, is_vacant) = (inside.listeners(waiting), inside.conduct.is_vacant());
        drop(inside);
        self.gate.tell(&told);
        if is_vacant {
            self.gate.registry.vacant(&self.gate);
        }
    }
}
