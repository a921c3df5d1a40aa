//! Line: who waits for the permits of one domain, first come, first served. Knows no network and no responses.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::time::sleep_until;

use super::{
    Desk,
    job::{Job, JobQueue},
    pace::{Heard, Pace},
    workers::NoWorker,
};
use crate::{
    clock,
    domain::Domain,
    permit::{Gate, Permit, Released},
    politeness::Limits,
    throttle::{Refusal, Throttle},
    transport::raw_response::RawResponse,
};

/// The waiting line of one domain, at its gate.
pub struct Line {
    gate: Arc<Gate>,
    waiting: Mutex<Waiting>,
    pace: Mutex<Pace>,
    desk: Weak<Desk>,
}

struct Waiting {
    jobs: BTreeMap<u64, Job>,
    /// When this line is looked at again.
    alarm: Option<Instant>,
    /// Forgotten: whoever still holds this line goes to the new one.
    closed: bool,
}

/// How long ahead permits are granted: long enough to open a connection, or for a thread to come late, and short
/// enough that the places which a limit of concurrency has are not taken long before they are used.
const AHEAD: Duration = Duration::from_millis(100);

/// So many permits are ahead at high rates, since each waits at the gate with a connection of its own.
const MAX_AHEAD: u32 = 64;

/// But never less than this: a busy thread is late by several milliseconds.
const LEAST_AHEAD: Duration = Duration::from_millis(20);

/// A line that may be forgotten is looked at no sooner than this.
const COME_BACK: Duration = Duration::from_millis(100);

/// Rings at the line when a permit ends.
struct Bell(Weak<Line>);

impl Released for Bell {
    fn released(&self, _: &Domain) {
        if let Some(line) = self.0.upgrade() {
            line.call_next();
        }
    }
}

impl Line {
    /// Opens the line of a domain.
    pub fn new(domain: Domain, limits: Limits, pace: Pace, desk: Weak<Desk>) -> Arc<Self> {
        Arc::new_cyclic(|line| Self {
            gate: Gate::new(domain, Throttle::new(limits), Arc::new(Bell(line.clone()))),
            waiting: Mutex::new(Waiting { jobs: BTreeMap::new(), alarm: None, closed: false }),
            pace: Mutex::new(pace),
            desk,
        })
    }

    /// Returns the domain's gate.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Returns what the domain's answers have taught us. Held for moments only, until its orders are obeyed: it is taken
    /// before the throttle's lock and never while that is held.
    pub fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whom this line works for; `None` once nobody can be waiting any more.
    pub fn desk(&self) -> Option<Arc<Desk>> {
        self.desk.upgrade()
    }

    /// Takes a job in, at the place that its number gives it.
    ///
    /// # Errors
    /// The line was forgotten; the job goes to the domain's new one.
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

    /// Hands permits to those who wait, as far ahead as permits are granted.
    pub fn call_next(self: &Arc<Self>) {
        let Some(desk) = self.desk() else { return };
        let ahead = self.ahead();
        let mut called = Vec::new();
        let mut spare = None;
        let mut waiting = self.waiting();
        let look_again = loop {
            if waiting.jobs.is_empty() {
                break self.fresh_at();
            }
            let now = clock::now();
            match self.gate.grant(now, now + ahead) {
                Ok(permit) => match waiting.first() {
                    Some(job) => called.push((permit, job)),
                    None => spare = Some(permit),
                },
                Err(Refusal::NotBefore(due)) => break due.checked_sub(ahead / 2),
                // Whoever ends next comes here.
                Err(Refusal::Full) => break None,
            }
            if spare.is_some() {
                break None;
            }
        };
        let alarm = look_again.filter(|at| waiting.alarm.is_none_or(|alarm| *at < alarm));
        waiting.alarm = alarm.or(waiting.alarm);
        drop(waiting);
        for (permit, job) in called {
            self.dispatch(&desk, permit, job);
        }
        if let Some(at) = alarm {
            self.set_alarm(&desk, at);
        }
        drop::<Option<Permit>>(spare);
    }

    /// How far ahead permits are granted. At most half of the places are for requests that wait at the gate: measured at
    /// 5,000 starts a second with 100 places, all of which waited 20 ms, the places were the limit, and 3 % short of the
    /// rate.
    fn ahead(&self) -> Duration {
        let limits = *self.gate.throttle().limits();
        let Some(window) = limits.rate.window() else { return AHEAD };
        let ahead = (window.interval() * MAX_AHEAD).clamp(LEAST_AHEAD, AHEAD);
        ahead.min(window.interval().saturating_mul(limits.in_flight.get().div_ceil(2)))
    }

    /// Gives a permit and its job to a worker, or tells everybody in the line that no thread is to be had.
    fn dispatch(self: &Arc<Self>, desk: &Desk, permit: Permit, job: Job) {
        let Err(refused) = desk.workers.assign(self.clone(), permit, job) else { return };
        let NoWorker { error, permit, job } = *refused;
        let jobs = std::mem::take(&mut self.waiting().jobs);
        job.fail_to_start(&error);
        for job in jobs.into_values() {
            job.fail_to_start(&error);
        }
        // Only now, with the line empty: the end of a permit calls the next.
        drop(permit);
    }

    fn set_alarm(self: &Arc<Self>, desk: &Desk, at: Instant) {
        let line = Arc::downgrade(self);
        let ring = async move {
            sleep_until(at.into()).await;
            if let Some(line) = line.upgrade() {
                line.ring(at);
            }
        };
        if desk.workers.spawn(ring).is_err() {
            self.waiting().alarm = None;
        }
    }

    fn ring(self: &Arc<Self>, at: Instant) {
        let Some(desk) = self.desk() else { return };
        let mut waiting = self.waiting();
        if waiting.alarm == Some(at) {
            waiting.alarm = None;
        }
        let idle = waiting.jobs.is_empty();
        drop(waiting);
        if !(idle && desk.lines.forget(self)) {
            self.call_next();
        }
    }

    /// Closes the line if nobody can tell it from a new one.
    pub fn close_if_fresh(&self) -> bool {
        let now = clock::now();
        let mut waiting = self.waiting();
        let unlearned = self.pace().is_fresh(now);
        waiting.closed = waiting.jobs.is_empty() && unlearned && self.gate.throttle().is_fresh(now);
        waiting.closed
    }

    /// When the line can be forgotten, if nobody comes.
    fn fresh_at(&self) -> Option<Instant> {
        if self.pace().is_kept() {
            return None;
        }
        let throttle = self.gate.throttle();
        let soon = clock::now() + COME_BACK;
        (throttle.in_flight() == 0).then(|| throttle.fresh_at().map_or(soon, |at| at.max(soon)))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // A panic while it was held leaves at worst an alarm too few.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JobQueue for Line {
    fn learn(&self, response: &RawResponse, started: Instant) -> bool {
        let started_since = self.gate.throttle().started_since(started);
        let RawResponse { status, headers, .. } = response;
        let (now, wall) = (clock::now(), clock::wall());
        let heard = Heard { status: *status, headers, started, now, wall, started_since };
        // Held until the throttle has changed: what an earlier answer orders must not come after a later one's orders.
        let mut pace = self.pace();
        let orders = pace.listen(&heard, fastrand::f64());
        orders.obey(&mut self.gate.throttle());
        orders.patience_left
    }

    fn requeue(&self, job: Job) {
        if let Some(desk) = self.desk() {
            drop(desk.admit(job));
        }
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
    use crate::{adaptive::Adaptive, rate::Rate};

    /// It was looked at ten times a second for ever, and never forgotten.
    #[test]
    fn an_idle_line_whose_limit_was_found_rings_for_nobody() {
        let rate = Rate::per_second(1);
        let line = |pace| Line::new(Domain::new("e.org"), Limits::rate(rate), pace, Weak::new());
        assert!(line(Pace::default()).fresh_at().is_some());
        assert_eq!(line(Pace::new(Some(Adaptive::from(rate, clock::now())))).fresh_at(), None);
    }
}
