//! Gate: the cell of one domain that all who ask it share, and the place of a tenant there. Knows no requests.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::Permit;
use crate::{
    clock,
    conduct::{Asked, Conduct, GivenUp, Heeded, Lessons, TenantId, Terms},
    cooling::{Cooling, Why},
    domain::Domain,
    limits::Limits,
    throttle::{Evidence, Refusal},
};

/// The one cell of a domain that every thread and every tenant shares: its conduct.
///
/// Whoever grants plans with it ([`Tenancy::grant`]), and a request passes it at the moment of writing: so the law holds
/// at the wire, also when a permit comes late or a thread was held up. Nothing outside the crate can make one:
///
/// ```compile_fail
/// let gate = actix_crawler::permit::Gate::new(todo!(), todo!());
/// ```
/// ```compile_fail
/// let throttle = actix_crawler::throttle::Throttle::new(actix_crawler::limits::Limits::rate("1/s".parse().unwrap()));
/// ```
pub(crate) struct Gate {
    domain: Domain,
    /// Who forgets the gate when its last tenant has left.
    keeper: Arc<dyn Keeper>,
    inside: Mutex<Inside>,
}

pub(super) struct Inside {
    pub conduct: Conduct,
    /// Who is told, for each tenant; the first is alone as a rule.
    first: Option<(TenantId, Arc<dyn Released>)>,
    others: Vec<(TenantId, Arc<dyn Released>)>,
}

/// Is told that a permit of a domain has ended, so that the next can be granted at once.
pub(crate) trait Released: Send + Sync {
    /// A permit of this tenant has ended. Called from the thread that dropped the permit; it must not block.
    fn released(&self, domain: &Domain);

    /// It is this tenant's turn, since another has had its own or left. Called while that one may hold locks of its own,
    /// so it must not ask for a permit before it returns.
    fn turn(&self, domain: &Domain) {
        self.released(domain);
    }
}

/// Keeps gates, and is told which may be forgotten.
pub(crate) trait Keeper: Send + Sync {
    /// The last tenant of this gate has left.
    fn vacant(&self, gate: &Arc<Gate>);
}

/// A tenant's place at the gate of one domain: the right to ask for permits. The tenant's limits hold there until this
/// and all its permits are gone.
pub(crate) struct Tenancy {
    pub(super) gate: Arc<Gate>,
    pub(super) tenant: TenantId,
    pub(super) released: Arc<dyn Released>,
}

impl Gate {
    /// Creates the gate of `domain` without a tenant; [`Tenancy::begin`] follows.
    pub(crate) fn new(domain: Domain, keeper: Arc<dyn Keeper>, conduct: Conduct) -> Arc<Self> {
        Arc::new(Self { domain, keeper, inside: Mutex::new(Inside { conduct, first: None, others: Vec::new() }) })
    }

    /// Returns the domain.
    pub(crate) fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Tells what is to be remembered of the domain, where nothing else is and nobody is here.
    pub(crate) fn dormant(&self, now: Instant) -> Option<Lessons> {
        let inside = self.lock();
        (inside.conduct.is_vacant() && inside.conduct.is_fresh(now)).then(|| inside.conduct.lessons(now))
    }

    /// Returns what is to be remembered of the domain.
    pub(crate) fn lessons(&self, now: Instant) -> Lessons {
        self.lock().conduct.lessons(now)
    }

    /// Takes up what was remembered of the domain.
    pub(crate) fn recall(&self, lessons: &Lessons, now: Instant) {
        self.lock().conduct.recall(lessons, now);
    }

    /// Held for moments only: every request of the domain passes here.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inside> {
        // A panic while it was held cannot leave a conduct half-changed in a way that lets more through.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, told: &[Arc<dyn Released>]) {
        for released in told {
            released.turn(&self.domain);
        }
    }
}

impl Inside {
    pub fn listener(&self, tenant: TenantId) -> Option<Arc<dyn Released>> {
        let all = self.first.iter().chain(&self.others);
        all.filter(|(known, _)| *known == tenant).map(|(_, released)| released.clone()).next()
    }

    fn listeners(&self, tenants: Vec<TenantId>) -> Vec<Arc<dyn Released>> {
        tenants.into_iter().filter_map(|tenant| self.listener(tenant)).collect()
    }
}

impl Tenancy {
    /// Brings a tenant to a gate. `is_new` where the gate's conduct was made for it.
    pub(crate) fn begin(
        gate: &Arc<Gate>,
        tenant: TenantId,
        terms: Terms,
        released: Arc<dyn Released>,
        is_new: bool,
    ) -> Arc<Self> {
        let mut inside = gate.lock();
        if !is_new {
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
    /// When the law refuses, or another tenant goes first; the refusal says when to ask again.
    pub(crate) fn grant(self: &Arc<Self>, now: Instant, horizon: Instant) -> Result<Permit, Refusal> {
        let mut inside = self.gate.lock();
        let planned = inside.conduct.grant(self.tenant, now, horizon)?;
        let next = planned.next.and_then(|next| inside.listener(next));
        drop(inside);
        if let Some(next) = next {
            next.turn(&self.gate.domain);
        }
        Ok(Permit::granted(self.clone(), planned.due))
    }

    /// Returns the domain.
    pub(crate) fn domain(&self) -> &Domain {
        &self.gate.domain
    }

    /// Leaves the domain alone for `rest`, for all tenants: a middleware found that the answer to a request of `started`
    /// refuses it. It is called when the permit has ended, so a request that was granted meanwhile waits at the gate.
    pub(crate) fn rest(&self, started: Instant, now: Instant, why: Why, rest: Duration) -> Heeded {
        self.gate.lock().conduct.rest(started, now, why, rest, fastrand::f64())
    }

    /// Returns the limits in force for this tenant.
    pub(crate) fn limits(&self) -> Limits {
        self.gate.lock().conduct.limits(self.tenant)
    }

    /// Changes what this tenant brings, from now on.
    pub(crate) fn set_terms(&self, terms: Terms, now: Instant) {
        let mut inside = self.gate.lock();
        let waiting = inside.conduct.set_terms(self.tenant, terms, now);
        let told = inside.listeners(waiting);
        drop(inside);
        self.gate.tell(&told);
    }

    /// Returns what this tenant asked.
    pub(crate) fn evidence(&self) -> Evidence {
        self.gate.lock().conduct.evidence(self.tenant)
    }

    /// Returns the domain's refusals.
    pub(crate) fn cooling(&self) -> Cooling {
        *self.gate.lock().conduct.cooling()
    }

    /// Tells whether the domain was given up, and until when it is left alone for that.
    pub(crate) fn given_up(&self, now: Instant) -> Option<GivenUp> {
        self.gate.lock().conduct.given_up(now)
    }

    /// Returns what the domain's robots files ask for.
    pub(crate) fn asked(&self, now: Instant) -> Option<Asked> {
        self.gate.lock().conduct.asked(now)
    }

    /// See [`Conduct::ask_for`].
    pub(crate) fn ask_for(&self, asked: Asked, now: Instant) {
        self.gate.lock().conduct.ask_for(asked, now);
    }

    /// See [`Conduct::assume_asked`].
    pub(crate) fn assume_asked(&self, at: Instant) {
        self.gate.lock().conduct.assume_asked(at);
    }

    /// See [`Conduct::may_leave`].
    pub(crate) fn may_leave(&self, now: Instant) -> Result<(), Option<Instant>> {
        self.gate.lock().conduct.may_leave(self.tenant, now)
    }

    /// For tests: keeps the gate's lock.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> impl Sized + '_ {
        self.gate.lock()
    }

    /// For tests: how many permits are out.
    #[cfg(test)]
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
            self.gate.keeper.vacant(&self.gate);
        }
    }
}
