//! Permit: leave to make one request to one domain, and the gate that it passes at the moment of writing.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::{
    clock,
    conduct::{Asked, Conduct, GivenUp, Heard, Heeded, Lessons, TenantId, Terms},
    cooling::Cooling,
    domain::Domain,
    limits::Limits,
    outcome::FetchError,
    request::Request,
    throttle::{Evidence, NotBefore, Refusal},
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

struct Inside {
    conduct: Conduct,
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
    gate: Arc<Gate>,
    tenant: TenantId,
    released: Arc<dyn Released>,
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
    fn lock(&self) -> MutexGuard<'_, Inside> {
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
    fn listener(&self, tenant: TenantId) -> Option<Arc<dyn Released>> {
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
        Ok(Permit { tenancy: self.clone(), due: planned.due, state: State::Granted })
    }

    /// Returns the domain.
    pub(crate) fn domain(&self) -> &Domain {
        &self.gate.domain
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

/// Leave to make *one* request to one domain, at or after [`Permit::due`].
///
/// It ends with the last byte of the response: dropping it *is* the release, also on panic. There is no way to make
/// one but a grant at the domain's gate, and none to copy it:
///
/// ```compile_fail
/// fn twice(permit: actix_crawler::Permit) -> (actix_crawler::Permit, actix_crawler::Permit) {
///     (permit.clone(), permit)
/// }
/// ```
/// ```compile_fail
/// let forged = actix_crawler::Permit { tenancy: todo!(), due: std::time::Instant::now(), state: todo!() };
/// ```
/// It is worth nothing without the crate's own sender, which nobody else can make:
///
/// ```compile_fail
/// # use actix_crawler::{Permit, fetcher::http::Http, request::Request};
/// async fn send(http: &Http, permit: Permit, request: &Request) {
///     let answer = http.send(permit, request, true).await;
/// }
/// ```
#[must_use = "a permit that is dropped gives its place back"]
pub struct Permit {
    tenancy: Arc<Tenancy>,
    due: Instant,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Granted,
    /// The gate was passed, the write is under way.
    Writing,
    Written,
}

impl Permit {
    /// Returns the domain that may be asked.
    pub fn domain(&self) -> &Domain {
        self.tenancy.domain()
    }

    /// Returns when the request is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Checks that this is a permit of the domain that the request burdens.
    ///
    /// # Errors
    /// It is another's: nothing may be sent.
    pub(crate) fn check(&self, request: &Request) -> Result<(), FetchError> {
        match &request.domain {
            Some(domain) if domain != self.domain() => {
                Err(FetchError::Request(format!("a permit of {} is none for {domain}", self.domain())))
            }
            _ => Ok(()),
        }
    }

    /// Asks, right before the first byte is written, whether it may be written now.
    ///
    /// # Errors
    /// The law allows it only later.
    pub(crate) fn try_start(&mut self, now: Instant) -> Result<(), NotBefore> {
        if self.state == State::Writing {
            // The gate was passed, and the socket had no room yet.
            return Ok(());
        }
        if now < self.due {
            return Err(NotBefore(self.due));
        }
        self.lock().conduct.try_start(now)?;
        self.state = State::Writing;
        Ok(())
    }

    /// Records, right after the write, that the request has started.
    pub(crate) fn wrote(&mut self, at: Instant) {
        let tenant = self.tenancy.tenant;
        self.lock().conduct.started(tenant, at, fastrand::f64());
        self.state = State::Written;
    }

    /// Tells whether starts are spread so evenly that a millisecond counts.
    pub(crate) fn is_even(&self) -> bool {
        self.lock().conduct.is_even()
    }

    /// Lets the domain's conduct learn from the answer, while this permit still holds the place: whoever is granted the
    /// next one is granted it by what was learned. Returns what follows where the answer is a refusal.
    pub(crate) fn hear(&self, heard: &Heard<'_>) -> Option<Heeded> {
        self.lock().conduct.hear(self.tenancy.tenant, heard, fastrand::f64())
    }

    /// As [`Permit::hear`], where nobody was there to answer.
    pub(crate) fn unreachable(&self, started: Instant, now: Instant) -> Option<Heeded> {
        self.lock().conduct.unreachable(self.tenancy.tenant, started, now, fastrand::f64())
    }

    /// Readies the permit for a second attempt at the same request, which passes the gate again: to the domain it is
    /// one more start.
    pub(crate) fn again(mut self) -> Self {
        if self.state == State::Written {
            self.lock().conduct.restart();
            self.state = State::Granted;
        }
        self
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.tenancy.gate.lock()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let now = clock::now();
        if self.state == State::Writing {
            // The write failed or was given up halfway: bytes may have left, so it counts as a start.
            self.wrote(now);
        }
        let Tenancy { gate, tenant, released } = &*self.tenancy;
        let mut inside = gate.lock();
        let next = inside.conduct.release(*tenant, now, self.state == State::Written);
        let next = next.and_then(|next| inside.listener(next));
        drop(inside);
        if let Some(next) = next {
            next.turn(&gate.domain);
        }
        released.released(&gate.domain);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("domain", self.domain()).field("due", &self.due).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };

    use super::*;
    use crate::{conducts::Conducts, domain::DomainKey, rate::Rate};

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Released for Count {
        fn released(&self, _: &Domain) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn tenancy(rate: Rate, released: Arc<Count>) -> Arc<Tenancy> {
        let tenant = Conducts::new().tenant(&DomainKey::default());
        tenant.join(&Domain::new("e.org"), Terms::rate(rate), released, Instant::now())
    }

    #[test]
    fn a_dropped_permit_is_released_also_on_panic() {
        let count = Arc::new(Count::default());
        let tenancy = tenancy(Rate::UNLIMITED, count.clone());
        let now = Instant::now();
        let permit = tenancy.grant(now, now).unwrap();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = permit;
            panic!("in the middle of a request");
        }));
        assert!(panicked.is_err());
        assert_eq!(tenancy.in_flight(), 0);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_permit_granted_ahead_cannot_be_used_before_it_is_due() {
        let tenancy = tenancy(Rate::per_second(10), Arc::new(Count::default()));
        let now = Instant::now();
        let ahead = now + Duration::from_millis(150);
        let mut first = tenancy.grant(now, ahead).unwrap();
        let mut second = tenancy.grant(now, ahead);
        assert!(first.try_start(now).is_ok());
        first.wrote(now);
        if let Ok(second) = second.as_mut() {
            assert!(second.try_start(now).is_err());
        }
        let mut third = tenancy.grant(now, ahead).unwrap_or_else(|_| second.unwrap());
        assert!(third.try_start(now + Duration::from_millis(50)).is_err());
        assert!(third.try_start(now + Duration::from_millis(101)).is_ok());
    }

    #[test]
    fn a_permit_of_another_domain_is_refused_before_anything_is_sent() {
        let now = Instant::now();
        let permit = tenancy(Rate::UNLIMITED, Arc::new(Count::default())).grant(now, now).unwrap();
        let mut request = Request::parse("http://www.e.org/").unwrap();
        request.domain = Some(Domain::new("e.org"));
        assert_eq!(permit.check(&request), Ok(()));
        request.domain = Some(Domain::new("other.org"));
        let why = permit.check(&request).unwrap_err().to_string();
        assert!(why.contains("e.org") && why.contains("other.org"), "{why}");
    }
}
