//! Permit: leave to make one request to one domain, and the gate that it passes at the moment of writing.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::{
    clock,
    domain::Domain,
    throttle::{NotBefore, Refusal, Throttle},
};

/// The one cell of a domain that every arbiter shares: its throttle, and who is told when a place comes free.
///
/// The scheduler plans with it ([`Gate::grant`]), and a request passes it at the moment of writing: so the law holds
/// at the wire, also when a permit comes late or a thread was held up.
pub struct Gate {
    domain: Domain,
    throttle: Mutex<Throttle>,
    released: Arc<dyn Released>,
}

/// Is told that a permit of a domain has ended, so that the next can be granted at once.
pub trait Released: Send + Sync {
    /// Takes the news. Called from the thread that dropped the permit; it must not block.
    fn released(&self, domain: &Domain);
}

impl Gate {
    /// Creates the gate of `domain`.
    pub fn new(domain: Domain, throttle: Throttle, released: Arc<dyn Released>) -> Arc<Self> {
        Arc::new(Self { domain, throttle: Mutex::new(throttle), released })
    }

    /// Grants a permit that is due at or before `horizon`.
    ///
    /// # Errors
    /// When the law refuses; the refusal says when to ask again.
    pub fn grant(self: &Arc<Self>, now: Instant, horizon: Instant) -> Result<Permit, Refusal> {
        let due = self.throttle().grant(now, horizon)?;
        Ok(Permit { gate: self.clone(), due, state: State::Granted })
    }

    /// Returns the domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Looks at the throttle, or changes it. Held for moments only: every request of the domain passes here.
    pub fn throttle(&self) -> MutexGuard<'_, Throttle> {
        // A panic while it was held cannot leave a throttle half-changed in a way that lets more through.
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to make *one* request to one domain, at or after [`Permit::due`].
///
/// It ends with the last byte of the response: dropping it *is* the release, also on panic. There is no way to make
/// one but [`Gate::grant`], and none to copy it:
///
/// ```compile_fail
/// fn twice(permit: actix_crawler::Permit) -> (actix_crawler::Permit, actix_crawler::Permit) {
///     (permit.clone(), permit)
/// }
/// ```
/// ```compile_fail
/// let forged = actix_crawler::Permit { gate: todo!(), due: std::time::Instant::now(), state: todo!() };
/// ```
#[must_use = "a permit that is dropped gives its place back"]
pub struct Permit {
    gate: Arc<Gate>,
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
        &self.gate.domain
    }

    /// Returns when the request is due.
    pub fn due(&self) -> Instant {
        self.due
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
        self.gate.throttle().try_start(now)?;
        self.state = State::Writing;
        Ok(())
    }

    /// Records, right after the write, that the request has started.
    pub(crate) fn wrote(&mut self, at: Instant) {
        self.gate.throttle().started(at, fastrand::f64());
        self.state = State::Written;
    }

    /// Tells whether starts are spread so evenly that a millisecond counts.
    pub(crate) fn is_even(&self) -> bool {
        self.gate.throttle().is_even()
    }

    /// Lets nothing more start at the domain before `until`.
    pub(crate) fn cool(&self, until: Instant) {
        self.gate.throttle().cool(until);
    }

    /// Readies the permit for a second attempt at the same request, which passes the gate again: to the domain it is
    /// one more start.
    pub(crate) fn again(mut self) -> Self {
        if self.state == State::Written {
            self.gate.throttle().restart();
            self.state = State::Granted;
        }
        self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let now = clock::now();
        if self.state == State::Writing {
            // The write failed or was given up halfway: bytes may have left, so it counts as a start.
            self.wrote(now);
        }
        self.gate.throttle().release(now, self.state == State::Written);
        self.gate.released.released(&self.gate.domain);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("domain", &self.gate.domain).field("due", &self.due).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };

    use super::*;
    use crate::{politeness::Limits, rate::Rate};

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Released for Count {
        fn released(&self, _: &Domain) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_dropped_permit_is_released_also_on_panic() {
        let count = Arc::new(Count::default());
        let throttle = Throttle::new(Limits::rate(Rate::UNLIMITED));
        let gate = Gate::new(Domain::new("e.org"), throttle, count.clone());
        let now = Instant::now();
        let permit = gate.grant(now, now).unwrap();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = permit;
            panic!("in the middle of a request");
        }));
        assert!(panicked.is_err());
        assert_eq!(gate.throttle().in_flight(), 0);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_permit_granted_ahead_cannot_be_used_before_it_is_due() {
        let throttle = Throttle::new(Limits::rate(Rate::per_second(10)));
        let gate = Gate::new(Domain::new("e.org"), throttle, Arc::new(Count::default()));
        let now = Instant::now();
        let ahead = now + Duration::from_millis(150);
        let mut first = gate.grant(now, ahead).unwrap();
        let mut second = gate.grant(now, ahead);
        assert!(first.try_start(now).is_ok());
        first.wrote(now);
        if let Ok(second) = second.as_mut() {
            assert!(second.try_start(now).is_err());
        }
        let mut third = gate.grant(now, ahead).unwrap_or_else(|_| second.unwrap());
        assert!(third.try_start(now + Duration::from_millis(50)).is_err());
        assert!(third.try_start(now + Duration::from_millis(101)).is_ok());
    }
}
