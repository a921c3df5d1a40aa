//! Permit: leave to make one request to one domain, and the gate that it passes at the moment of writing.

mod gate;
mod paused;

use std::{
    fmt,
    sync::{Arc, MutexGuard},
    time::Instant,
};

use self::gate::GateState;
pub(crate) use self::{
    gate::{Gate, GateRegistry, Released, Tenancy},
    paused::Paused,
};
use crate::{
    capacity::Place,
    clock,
    conduct::{Cooled, ResponseFacts, throttle::Refusal},
    domain::Domain,
    outcome::FetchError,
    request::Request,
};

/// Leave to send *one* request to one domain, at or after [`Permit::due`].
///
/// It ends with the last byte of the response, that of a robots file when its `Crawl-delay` is in force: dropping it
/// *is* the release, also on panic.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use actix_crawler::Permit;
///
/// fn wait(permit: &Permit) -> Duration {
///     permit.due().saturating_duration_since(Instant::now())
/// }
/// ```
///
/// Only a grant at the domain's gate makes one, and nothing copies it:
///
/// ```compile_fail,E0599
/// fn twice(permit: actix_crawler::Permit) -> (actix_crawler::Permit, actix_crawler::Permit) {
///     (permit.clone(), permit)
/// }
/// ```
/// ```compile_fail,E0451
/// let forged = actix_crawler::Permit { tenancy: todo!(), due: todo!(), state: todo!(), is_last: todo!(), place: todo!() };
/// ```
/// ```compile_fail,E0603
/// use actix_crawler::permit::Gate;
/// ```
/// ```compile_fail,E0603
/// use actix_crawler::conduct::throttle::Throttle;
/// ```
///
/// It is worth nothing without the crate's own sender, which nobody else can name:
///
/// ```compile_fail,E0603
/// use actix_crawler::fetcher::http::Http;
/// ```
/// ```compile_fail,E0603
/// use actix_crawler::transport::connector::Connector;
/// ```
///
/// `tests/face.rs` holds that each of these programs, and more of the kind, fails for the reason named.
#[must_use = "a permit that is dropped gives its place back"]
pub struct Permit {
    tenancy: Arc<Tenancy>,
    due: Instant,
    state: PermitState,
    is_last: bool,
    /// The place in flight that it takes of a shared capacity; free when the permit has ended.
    place: Option<Place>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PermitState {
    Granted,
    /// The gate was passed, and the write is in progress.
    Writing,
    Written,
}

impl Permit {
    /// Creates the permit of a planned request.
    fn granted(tenancy: Arc<Tenancy>, due: Instant, is_last: bool) -> Self {
        Self { tenancy, due, state: PermitState::Granted, is_last, place: None }
    }

    /// Keeps a place in flight until the permit has ended.
    pub(crate) fn with_place(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    /// Tells whether it was granted as the last that the domain has now: the next one needs the end of a permit.
    pub(crate) fn is_last(&self) -> bool {
        self.is_last
    }

    /// Returns the domain that the permit is for.
    pub fn domain(&self) -> &Domain {
        self.tenancy.domain()
    }

    /// Returns the place at the gate that outlives this permit, for what is learned only later.
    pub(crate) fn tenancy(&self) -> Arc<Tenancy> {
        self.tenancy.clone()
    }

    /// Returns when the request is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Checks that the permit is for the domain of the request.
    ///
    /// # Errors
    /// It is for another domain: nothing may be sent.
    pub(crate) fn check(&self, request: &Request) -> Result<(), FetchError> {
        match &request.domain {
            Some(domain) if domain == self.domain() => Ok(()),
            Some(domain) => Err(FetchError::Request(format!("a permit of {} is none for {domain}", self.domain()))),
            None => Err(FetchError::Request("the request was not admitted: it has no domain".to_owned())),
        }
    }

    /// Passes the gate, immediately before the first byte is written.
    ///
    /// # Errors
    /// The law allows it only later, or the term has lapsed.
    pub(crate) fn try_start(&mut self, now: Instant) -> Result<(), Refusal> {
        // Also while the write waits for room in its socket, which may last.
        self.tenancy.gate.check_term(now)?;
        if self.state == PermitState::Writing {
            // The gate was passed before; the socket was not writable then.
            return Ok(());
        }
        if now < self.due {
            return Err(Refusal::NotBefore(self.due));
        }
        self.lock().conduct.try_start(now)?;
        self.state = PermitState::Writing;
        Ok(())
    }

    /// Checks that what follows the first bytes of a request may still be written.
    ///
    /// # Errors
    /// The term has lapsed.
    pub(crate) fn check_term(&self, now: Instant) -> Result<(), Refusal> {
        self.tenancy.gate.check_term(now)
    }

    /// Tells whether the term has bounds, so that another machine may take the domain over.
    pub(crate) fn is_bound(&self) -> bool {
        self.tenancy.gate.is_bound()
    }

    /// Records, immediately after the write, that the request has started.
    pub(crate) fn wrote(&mut self, at: Instant) {
        let tenant = self.tenancy.tenant;
        self.lock().conduct.started(tenant, at, fastrand::f64());
        self.state = PermitState::Written;
    }

    /// Tells whether starts are evenly spaced, so that a millisecond counts.
    pub(crate) fn is_even(&self) -> bool {
        self.lock().conduct.is_even()
    }

    /// Passes the response to the domain's conduct while this permit is still held, so that the next permit is granted
    /// with this knowledge. Returns what follows if the response is a refusal.
    pub(crate) fn note_response(&self, facts: &ResponseFacts<'_>) -> Option<Cooled> {
        self.lock().conduct.note_response(self.tenancy.tenant, facts, fastrand::f64())
    }

    /// Like [`Permit::note_response`], if the domain was unreachable.
    pub(crate) fn unreachable(&self, started: Instant, now: Instant) -> Option<Cooled> {
        self.lock().conduct.unreachable(self.tenancy.tenant, started, now, fastrand::f64())
    }

    /// Prepares the permit for a second attempt at the same request, which passes the gate again: for the domain it is
    /// one more start.
    pub(crate) fn again(mut self) -> Self {
        if self.state == PermitState::Written {
            self.lock().conduct.restart();
            self.state = PermitState::Granted;
        }
        self
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.tenancy.gate.lock()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let now = clock::now();
        if self.state == PermitState::Writing {
            // The write failed or was abandoned midway: bytes may have been sent, so it counts as a start.
            self.wrote(now);
        }
        let Tenancy { gate, tenant, released } = &*self.tenancy;
        let mut inside = gate.lock();
        let next = inside.conduct.release(*tenant, now, self.state == PermitState::Written);
        let next = next.and_then(|next| inside.listener(next));
        drop(inside);
        if let Some(next) = next {
            next.turn(gate.domain());
        }
        released.released(gate.domain());
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
    use crate::{conduct::Terms, conducts::Conducts, domain::DomainKey, rate::Rate, term::TermLength};

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
    fn nothing_is_granted_or_written_after_the_term_not_even_what_waits_for_room_in_its_socket() {
        const S: Duration = Duration::from_secs(1);
        let (conducts, now) = (Conducts::new(), Instant::now());
        let (term, tenant) = (conducts.term(), conducts.tenant(&DomainKey::default()));
        let released = Arc::new(Count::default());
        let tenancy = tenant.join(&Domain::new("e.org"), Terms::rate(Rate::UNLIMITED), released, now);
        term.bind().unwrap();
        assert!(matches!(tenancy.grant(now, now), Err(Refusal::Lapsed(at)) if at > now));
        term.renew(now, TermLength::new(10 * S));
        let (mut waiting, mut writing) = (tenancy.grant(now, now).unwrap(), tenancy.grant(now, now).unwrap());
        let end = now + 9 * S;
        assert_eq!(writing.try_start(now + S), Ok(()));
        assert_eq!(writing.try_start(end - S), Ok(()), "its socket had no room yet");
        assert!(matches!(writing.try_start(end), Err(Refusal::Lapsed(_))));
        assert!(matches!(writing.check_term(end), Err(Refusal::Lapsed(_))));
        assert!(matches!(waiting.try_start(end), Err(Refusal::Lapsed(_))));
        assert!(matches!(tenancy.grant(end, end), Err(Refusal::Lapsed(_))));
        drop(writing);
        term.renew(end, TermLength::new(10 * S));
        assert_eq!(waiting.try_start(end), Ok(()), "a renewal that comes late opens the gates again");
    }

    #[test]
    fn a_permit_of_another_domain_is_refused_before_anything_is_sent() {
        let now = Instant::now();
        let permit = tenancy(Rate::UNLIMITED, Arc::new(Count::default())).grant(now, now).unwrap();
        let mut request = Request::parse("http://www.e.org/").unwrap();
        assert!(permit.check(&request).is_err(), "whose permit it needs is not known");
        request.domain = Some(Domain::new("e.org"));
        assert_eq!(permit.check(&request), Ok(()));
        request.domain = Some(Domain::new("other.org"));
        let why = permit.check(&request).unwrap_err().to_string();
        assert!(why.contains("e.org") && why.contains("other.org"), "{why}");
    }
}
