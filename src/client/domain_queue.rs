//! DomainQueue: the jobs that wait for permits of one domain, first come, first served. Knows no network, workers or
//! responses.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::time::sleep_until;

use super::job::ClientJob;
use crate::{
    capacity::Place,
    clock,
    conduct::{GivenUp, Terms, throttle::Refusal},
    conducts::Tenant,
    domain::Domain,
    error::Error,
    permit::{Permit, Released, Tenancy},
};

/// The queue of one domain, at its gate.
pub struct DomainQueue {
    tenancy: Arc<Tenancy>,
    waiting: Mutex<WaitingJobs>,
    dispatcher: Weak<dyn Dispatcher>,
}

/// What a queue needs from its client.
pub trait Dispatcher: Send + Sync {
    /// Sends a job under a permit.
    ///
    /// # Errors
    /// The system cannot start a thread; permit and job are returned.
    fn dispatch(self: Arc<Self>, permit: Permit, job: ClientJob) -> Result<(), Box<Undispatched>>;

    /// Takes a place in flight of a shared capacity; `None` without one.
    ///
    /// # Errors
    /// None is free. The queue is served again when one is, and at this instant at the latest.
    fn place(&self, queue: &Arc<DomainQueue>, now: Instant) -> Result<Option<Place>, Instant>;

    /// Runs a task on a network thread.
    ///
    /// # Errors
    /// The system cannot start a thread.
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) -> io::Result<()>;

    /// Removes a queue that is indistinguishable from a new one; tells whether it did.
    fn forget(&self, queue: &Arc<DomainQueue>) -> bool;
}

/// Returned if there is no thread to send from.
pub struct Undispatched {
    /// The system's error.
    pub error: io::Error,
    /// The permit, unused.
    pub permit: Permit,
    /// The job.
    pub job: ClientJob,
}

struct WaitingJobs {
    /// By their places and numbers. The place is the number, unless a job went behind those that waited.
    jobs: BTreeMap<(u64, u64), ClientJob>,
    /// When this queue is checked again.
    alarm: Option<Instant>,
    /// Whether the queue was removed; those that still hold it use the new one.
    closed: bool,
}

/// How far ahead permits are granted: long enough to open a connection or to absorb a late thread, and short enough
/// that concurrency slots are not occupied long before use.
const AHEAD: Duration = Duration::from_millis(100);

/// The most permits granted ahead at high rates; each holds a connection while it waits at the gate.
const MAX_AHEAD: u32 = 64;

/// The least time ahead, whatever the rate: a busy thread is late by several milliseconds.
const MIN_AHEAD: Duration = Duration::from_millis(20);

/// The least time until a removable queue is checked again.
const COME_BACK: Duration = Duration::from_millis(100);

/// Notifies the queue that a permit has ended, or that its turn has come.
struct QueueListener(Weak<DomainQueue>);

impl Released for QueueListener {
    fn released(&self, _: &Domain) {
        if let Some(queue) = self.0.upgrade() {
            queue.call_next();
        }
    }

    /// Another tenant is granting and may hold the lock of its queue, so this queue is served in a task.
    fn turn(&self, _: &Domain) {
        let Some(queue) = self.0.upgrade() else { return };
        let Some(dispatcher) = queue.dispatcher.upgrade() else { return };
        // Without a thread nothing can be sent anyway; the next job's caller gets the error.
        let _spawned = dispatcher.spawn(Box::pin(async move { queue.call_next() }));
    }
}

impl DomainQueue {
    /// Opens the queue of a domain.
    pub fn new(tenant: &Tenant, domain: &Domain, terms: Terms, dispatcher: Weak<dyn Dispatcher>) -> Arc<Self> {
        Arc::new_cyclic(|queue| Self {
            tenancy: tenant.join(domain, terms, Arc::new(QueueListener(queue.clone())), clock::now()),
            waiting: Mutex::new(WaitingJobs { jobs: BTreeMap::new(), alarm: None, closed: false }),
            dispatcher,
        })
    }

    /// Returns this client's place at the domain's gate.
    pub fn tenancy(&self) -> &Tenancy {
        &self.tenancy
    }

    /// Adds a job, in the order of its number.
    ///
    /// # Errors
    /// The queue was removed; the job belongs in the domain's new one.
    pub fn join(self: &Arc<Self>, mut job: ClientJob) -> Result<(), Box<ClientJob>> {
        let mut waiting = self.waiting();
        if waiting.closed {
            return Err(Box::new(job));
        }
        let goes_behind = std::mem::take(&mut job.goes_behind);
        let last = waiting.jobs.last_key_value().filter(|_| goes_behind);
        let place = last.map_or(job.number, |((last, _), _)| last.saturating_add(1));
        waiting.jobs.insert((place, job.number), job);
        drop(waiting);
        self.call_next();
        Ok(())
    }

    /// Removes a job whose caller no longer waits. One that went behind others is passed over when its turn comes.
    pub fn leave(&self, number: u64) {
        // Dropped after the lock is released: dropping a job may call back into this queue.
        let mut waiting = self.waiting();
        let job = waiting.jobs.remove(&(number, number));
        drop(waiting);
        drop(job);
    }

    /// Grants permits to waiting jobs, as far ahead as allowed. If the domain was given up, the jobs fail.
    pub fn call_next(self: &Arc<Self>) {
        let Some(dispatcher) = self.dispatcher.upgrade() else { return };
        let ahead = self.ahead();
        let mut called = Vec::new();
        let mut spare = None;
        let mut failed = None;
        let mut waiting = self.waiting();
        let look_again = loop {
            let now = clock::now();
            if waiting.jobs.is_empty() {
                break self.may_leave_at(now);
            }
            // Taken before the permit: while there is no place, another tenant can get the permit. An unused place is
            // freed at once.
            let place = match dispatcher.place(self, now) {
                Ok(place) => place,
                Err(at) => break Some(at),
            };
            let ahead = if place.is_some() { ahead.min(MIN_AHEAD) } else { ahead };
            let again = match self.tenancy.grant(now, now + ahead) {
                Ok(permit) => {
                    match waiting.first() {
                        Some(job) => called.push((permit.with_place(place), job)),
                        None => spare = Some(permit),
                    }
                    None
                }
                // The next permit that ends calls this again.
                Err(Refusal::Full) => break None,
                Err(Refusal::NotBefore(due)) => Some(due.checked_sub(ahead / 2).unwrap_or(due)),
                Err(Refusal::OtherTenant(at) | Refusal::Lapsed(at)) => Some(at),
            };
            match (again, again.and_then(|_| self.tenancy.given_up(now))) {
                (Some(_), Some(given_up)) => failed = Some((given_up, now, std::mem::take(&mut waiting.jobs))),
                (Some(at), None) => break Some(at),
                (None, _) => {}
            }
            if spare.is_some() {
                break None;
            }
        };
        let alarm = look_again.filter(|at| waiting.alarm.is_none_or(|alarm| *at < alarm));
        waiting.alarm = alarm.or(waiting.alarm);
        drop(waiting);
        for (permit, job) in called {
            self.dispatch(&dispatcher, permit, job);
        }
        if let Some(at) = alarm {
            self.set_alarm(&*dispatcher, at);
        }
        if let Some((given_up, now, jobs)) = failed {
            for job in jobs.into_values() {
                job.fail(self.left_alone(given_up, now));
            }
        }
        drop::<Option<Permit>>(spare);
    }

    /// The error for callers of a given-up domain: waiting would take minutes at least, and the caller should decide
    /// about that.
    fn left_alone(&self, GivenUp { why, until }: GivenUp, now: Instant) -> Error {
        Error::GivenUp {
            domain: self.tenancy.domain().to_string(),
            why: why.to_string(),
            until: clock::wall() + until.saturating_duration_since(now),
        }
    }

    /// Returns how far ahead permits are granted. At most half of the concurrency slots may wait at the gate: measured
    /// at 5,000 starts a second with 100 slots, all of which waited 20 ms, the slots limited the rate to 3 % below the
    /// permitted one.
    fn ahead(&self) -> Duration {
        let limits = self.tenancy.limits();
        let Some(window) = limits.rate.window() else { return AHEAD };
        let ahead = (window.interval() * MAX_AHEAD).clamp(MIN_AHEAD, AHEAD);
        ahead.min(window.interval().saturating_mul(limits.in_flight.get().div_ceil(2)))
    }

    /// Sends a job; if no thread can be started, fails all jobs in the queue.
    fn dispatch(&self, dispatcher: &Arc<dyn Dispatcher>, permit: Permit, job: ClientJob) {
        let Err(undispatched) = dispatcher.clone().dispatch(permit, job) else { return };
        let Undispatched { error, permit, job } = *undispatched;
        let jobs = std::mem::take(&mut self.waiting().jobs);
        job.fail_to_start(&error);
        for job in jobs.into_values() {
            job.fail_to_start(&error);
        }
        // Dropped only now, with the queue empty, since the end of a permit serves the next job.
        drop(permit);
    }

    fn set_alarm(self: &Arc<Self>, dispatcher: &dyn Dispatcher, at: Instant) {
        let queue = Arc::downgrade(self);
        let ring = async move {
            sleep_until(at.into()).await;
            if let Some(queue) = queue.upgrade() {
                queue.ring(at);
            }
        };
        if dispatcher.spawn(Box::pin(ring)).is_err() {
            self.waiting().alarm = None;
        }
    }

    fn ring(self: &Arc<Self>, at: Instant) {
        let Some(dispatcher) = self.dispatcher.upgrade() else { return };
        let mut waiting = self.waiting();
        if waiting.alarm == Some(at) {
            waiting.alarm = None;
        }
        let idle = waiting.jobs.is_empty();
        drop(waiting);
        if !(idle && dispatcher.forget(self)) {
            self.call_next();
        }
    }

    /// Closes the queue if its domain's conduct is kept without it.
    pub fn close_if_idle(&self) -> bool {
        let now = clock::now();
        let mut waiting = self.waiting();
        waiting.closed = waiting.jobs.is_empty() && self.tenancy.may_leave(now).is_ok();
        waiting.closed
    }

    /// When the queue can be removed if no job comes; `None` if only an event can decide that.
    fn may_leave_at(&self, now: Instant) -> Option<Instant> {
        let soon = now + COME_BACK;
        match self.tenancy.may_leave(now) {
            Ok(()) => Some(soon),
            Err(at) => at.map(|at| at.max(soon)),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, WaitingJobs> {
        // A panic under the lock at worst leaves out one check.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingJobs {
    /// Removes and returns the first job whose caller still waits.
    fn first(&mut self) -> Option<ClientJob> {
        loop {
            let (_, job) = self.jobs.pop_first()?;
            if !job.is_abandoned() {
                return Some(job);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{conducts::Conducts, domain::DomainKey, rate::Rate};

    struct Nobody;

    impl Dispatcher for Nobody {
        fn dispatch(self: Arc<Self>, permit: Permit, job: ClientJob) -> Result<(), Box<Undispatched>> {
            Err(Box::new(Undispatched { error: io::ErrorKind::NotFound.into(), permit, job }))
        }

        fn place(&self, _: &Arc<DomainQueue>, _: Instant) -> Result<Option<Place>, Instant> {
            Ok(None)
        }

        fn spawn(&self, _: Pin<Box<dyn Future<Output = ()> + Send>>) -> io::Result<()> {
            Ok(())
        }

        fn forget(&self, _: &Arc<DomainQueue>) -> bool {
            false
        }
    }

    /// Regression: it was checked ten times a second for ever, and never removed.
    #[test]
    fn an_idle_queue_whose_limit_was_found_rings_for_nobody() {
        let tenant = Conducts::new().tenant(&DomainKey::Host);
        let queue = |adaptive| {
            let terms = Terms { adaptive, ..Terms::rate(Rate::per_second(1)) };
            DomainQueue::new(&tenant, &Domain::new("e.org"), terms, Weak::<Nobody>::new())
        };
        let now = clock::now();
        assert!(queue(false).may_leave_at(now).is_some());
        assert_eq!(queue(true).may_leave_at(now), None);
    }
}
