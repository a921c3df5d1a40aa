//! DomainQueue: the requests that wait for permits of one domain, first come, first served. Knows no network, no workers
//! and no responses.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::time::sleep_until;

use super::job::Job;
use crate::{
    clock,
    conduct::{GivenUp, Terms},
    conducts::Tenant,
    domain::Domain,
    error::Error,
    permit::{Permit, Released, Tenancy},
    throttle::Refusal,
};

/// The queue of one domain, at its gate.
pub struct DomainQueue {
    tenancy: Arc<Tenancy>,
    waiting: Mutex<Waiting>,
    dispatcher: Weak<dyn Dispatcher>,
}

/// What a queue needs of its client.
pub trait Dispatcher: Send + Sync {
    /// Has a job sent under a permit.
    ///
    /// # Errors
    /// The system refuses a thread; permit and job come back.
    fn dispatch(self: Arc<Self>, permit: Permit, job: Job) -> Result<(), Box<Undispatched>>;

    /// Runs a task beside the requests.
    ///
    /// # Errors
    /// The system refuses a thread.
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) -> io::Result<()>;

    /// Forgets a queue that nobody can tell from a new one; tells whether it could.
    fn forget(&self, queue: &Arc<DomainQueue>) -> bool;
}

/// What comes back when there is no thread to send from.
pub struct Undispatched {
    /// What the system said.
    pub error: io::Error,
    /// The permit, unused.
    pub permit: Permit,
    /// The job.
    pub job: Job,
}

struct Waiting {
    jobs: BTreeMap<u64, Job>,
    /// When this queue is looked at again.
    alarm: Option<Instant>,
    /// Forgotten: whoever still holds this queue goes to the new one.
    closed: bool,
}

/// How long ahead permits are granted: long enough to open a connection, or for a thread to come late, and short
/// enough that the places which a limit of concurrency has are not taken long before they are used.
const AHEAD: Duration = Duration::from_millis(100);

/// So many permits are ahead at high rates, since each waits at the gate with a connection of its own.
const MAX_AHEAD: u32 = 64;

/// But never less than this: a busy thread is late by several milliseconds.
const LEAST_AHEAD: Duration = Duration::from_millis(20);

/// A queue that may be forgotten is looked at no sooner than this.
const COME_BACK: Duration = Duration::from_millis(100);

/// Tells the queue that a permit has ended, or that its turn has come.
struct News(Weak<DomainQueue>);

impl Released for News {
    fn released(&self, _: &Domain) {
        if let Some(queue) = self.0.upgrade() {
            queue.call_next();
        }
    }

    /// Another tenant grants at this moment, and may hold the lock of its queue: the look happens in a task.
    fn turn(&self, _: &Domain) {
        let Some(queue) = self.0.upgrade() else { return };
        let Some(dispatcher) = queue.dispatcher.upgrade() else { return };
        // Without a thread nothing can be sent anyway, which the next job's caller is told.
        let _spawned = dispatcher.spawn(Box::pin(async move { queue.call_next() }));
    }
}

impl DomainQueue {
    /// Opens the queue of a domain.
    pub fn new(tenant: &Tenant, domain: &Domain, terms: Terms, dispatcher: Weak<dyn Dispatcher>) -> Arc<Self> {
        Arc::new_cyclic(|queue| Self {
            tenancy: tenant.join(domain, terms, Arc::new(News(queue.clone())), clock::now()),
            waiting: Mutex::new(Waiting { jobs: BTreeMap::new(), alarm: None, closed: false }),
            dispatcher,
        })
    }

    /// Returns this client's place at the domain's gate.
    pub fn tenancy(&self) -> &Tenancy {
        &self.tenancy
    }

    /// Takes a job in, at the place that its number gives it.
    ///
    /// # Errors
    /// The queue was forgotten; the job goes to the domain's new one.
    pub fn join(self: &Arc<Self>, job: Job) -> Result<(), Box<Job>> {
        let mut waiting = self.waiting();
        if waiting.closed {
            return Err(Box::new(job));
        }
        waiting.jobs.insert(job.number, job);
        drop(waiting);
        self.call_next();
        Ok(())
    }

    /// Takes a job out that nobody waits for any more.
    pub fn leave(&self, number: u64) {
        // Dropped only after the lock: a job may hold the last of what comes back here.
        let job = self.waiting().jobs.remove(&number);
        drop(job);
    }

    /// Hands permits to those who wait, as far ahead as permits are granted. Where the domain was given up, they fail.
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
            let again = match self.tenancy.grant(now, now + ahead) {
                Ok(permit) => {
                    match waiting.first() {
                        Some(job) => called.push((permit, job)),
                        None => spare = Some(permit),
                    }
                    None
                }
                // Whoever ends next comes here.
                Err(Refusal::Full) => break None,
                Err(Refusal::NotBefore(due)) => Some(due.checked_sub(ahead / 2).unwrap_or(due)),
                Err(Refusal::Turn(at)) => Some(at),
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

    /// What a caller is told whose domain was given up: waiting would take minutes at the least, and the caller knows best
    /// whether to wait or to do something else.
    fn left_alone(&self, GivenUp { why, until }: GivenUp, now: Instant) -> Error {
        Error::GivenUp {
            domain: self.tenancy.domain().to_string(),
            why: why.to_string(),
            until: clock::wall() + until.saturating_duration_since(now),
        }
    }

    /// How far ahead permits are granted. At most half of the places are for requests that wait at the gate: measured at
    /// 5,000 starts a second with 100 places, all of which waited 20 ms, the places were the limit, and 3 % short of the
    /// rate.
    fn ahead(&self) -> Duration {
        let limits = self.tenancy.limits();
        let Some(window) = limits.rate.window() else { return AHEAD };
        let ahead = (window.interval() * MAX_AHEAD).clamp(LEAST_AHEAD, AHEAD);
        ahead.min(window.interval().saturating_mul(limits.in_flight.get().div_ceil(2)))
    }

    /// Has a job sent, or tells everybody in the queue that no thread is to be had.
    fn dispatch(&self, dispatcher: &Arc<dyn Dispatcher>, permit: Permit, job: Job) {
        let Err(undispatched) = dispatcher.clone().dispatch(permit, job) else { return };
        let Undispatched { error, permit, job } = *undispatched;
        let jobs = std::mem::take(&mut self.waiting().jobs);
        job.fail_to_start(&error);
        for job in jobs.into_values() {
            job.fail_to_start(&error);
        }
        // Only now, with the queue empty: the end of a permit calls the next.
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

    /// When the queue can be forgotten, if nobody comes; `None` where only news can bring that.
    fn may_leave_at(&self, now: Instant) -> Option<Instant> {
        let soon = now + COME_BACK;
        match self.tenancy.may_leave(now) {
            Ok(()) => Some(soon),
            Err(at) => at.map(|at| at.max(soon)),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // A panic while it was held leaves at worst an alarm too few.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Takes the first job out whose caller still waits.
    fn first(&mut self) -> Option<Job> {
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
        fn dispatch(self: Arc<Self>, permit: Permit, job: Job) -> Result<(), Box<Undispatched>> {
            Err(Box::new(Undispatched { error: io::ErrorKind::NotFound.into(), permit, job }))
        }

        fn spawn(&self, _: Pin<Box<dyn Future<Output = ()> + Send>>) -> io::Result<()> {
            Ok(())
        }

        fn forget(&self, _: &Arc<DomainQueue>) -> bool {
            false
        }
    }

    /// It was looked at ten times a second for ever, and never forgotten.
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
