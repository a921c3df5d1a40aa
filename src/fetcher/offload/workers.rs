//! Workers: the threads that run a spider's code, and their queue. Knows no runtime and no results.

use std::{
    collections::VecDeque,
    io, mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::{
    piece::{Job, Worked},
    stage::Stage,
};

/// The threads and their queue, which has at most one piece for each page in flight. Waking a thread costs as much as
/// parsing a small page. So a thread is woken only if there is enough work for it, and the answers to short work go
/// back several at a time. A caller that has waited long calls [`Workers::hurry`].
pub struct Workers {
    wanted: usize,
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Default)]
pub struct Queue {
    pub waiting: VecDeque<Job>,
    /// Work that is done and waits to be answered, while more of it is to be done.
    answers: Vec<Job>,
    /// Threads that take work; at most `wanted`.
    pub working: usize,
    /// Those of them that sleep and have not been notified.
    pub idle: usize,
    /// Threads stuck in work whose time is up.
    pub stuck: usize,
    closed: bool,
}

/// The most stuck threads, whose work has not returned in time. Beyond it stuck threads are not replaced; when all
/// threads are stuck, further work times out at once until one of them returns.
pub const MAX_STUCK: usize = 256;

/// How many pieces may wait for each thread that is awake before another is woken.
const BACKLOG: usize = 8;

/// Work that takes less than this is short: its answer may wait for the work behind it in the queue.
const SHORT: Duration = Duration::from_micros(200);

/// The most answers that wait, which is as long as several times `SHORT`.
const MAX_ANSWERS: usize = 8;

impl Workers {
    pub fn new(wanted: usize) -> Self {
        Self { wanted, queue: Mutex::default(), arrived: Condvar::new() }
    }

    /// Starts threads until `wanted` of them take work, unless too many are stuck.
    ///
    /// # Errors
    /// The system cannot start one.
    pub fn fill_up(self: &Arc<Self>) -> io::Result<()> {
        let mut queue = self.queue();
        while !queue.closed && queue.working < self.wanted && queue.stuck < MAX_STUCK {
            let workers = self.clone();
            thread::Builder::new().name("crawler-parse".to_owned()).spawn(move || workers.work())?;
            queue.working += 1;
        }
        Ok(())
    }

    fn work(&self) {
        let mut queue = self.queue();
        while !queue.closed {
            if let Some(answers) = queue.due_answers() {
                drop(queue);
                // Wakes whoever waits, mostly one fetcher, which reads them all when it has woken.
                drop(answers);
                queue = self.queue();
                continue;
            }
            let Some(job) = queue.waiting.pop_front() else {
                queue.idle = queue.working.min(queue.idle + 1);
                queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(queue);
            let Worked { took, was_abandoned } = job.work();
            if took < SHORT {
                queue = self.queue();
                queue.answers.push(job);
            } else {
                drop(job);
                queue = self.queue();
            }
            if was_abandoned && !queue.comes_back(self.wanted) {
                break;
            }
        }
        let answers = mem::take(&mut queue.answers);
        drop(queue);
        drop(answers);
    }

    /// Queues a piece of work; drops it when the threads have been closed.
    pub fn take_on(&self, job: Job) {
        let mut queue = self.queue();
        if !queue.closed {
            queue.waiting.push_back(job);
        }
        let is_called = queue.waiting.len() > BACKLOG * queue.working.saturating_sub(queue.idle) && queue.call();
        drop(queue);
        if is_called {
            self.arrived.notify_one();
        }
    }

    /// Hands over the answers that wait. If work is queued, also wakes another thread, if there is one: the work in
    /// progress may take long.
    pub fn hurry(&self) {
        let mut queue = self.queue();
        let answers = mem::take(&mut queue.answers);
        let is_called = !queue.waiting.is_empty() && queue.call();
        drop(queue);
        if is_called {
            self.arrived.notify_one();
        }
        drop(answers);
    }

    /// Abandons work whose time is up, and starts a thread to replace the stuck one. Returns false if the work has
    /// ended meanwhile.
    pub fn replace(self: &Arc<Self>, stage: &Stage) -> bool {
        let mut queue = self.queue();
        // The queue stays locked until the thread is counted as stuck, since the thread may return at any moment.
        if !stage.abandon() {
            return false;
        }
        queue.stuck += 1;
        queue.working -= 1;
        drop(queue);
        if let Err(error) = self.fill_up() {
            tracing::error!(%error, "no thread in place of one that parses for ever");
        }
        true
    }

    /// Tells whether every thread is stuck and none can be started. All queued work is then abandoned.
    pub fn are_gone(self: &Arc<Self>) -> bool {
        // The reason was logged when the last thread got stuck.
        let _ = self.fill_up();
        let mut queue = self.queue();
        if queue.working > 0 {
            return false;
        }
        let given_up = mem::take(&mut queue.waiting);
        drop(queue);
        drop(given_up);
        true
    }

    pub fn are_closed(&self) -> bool {
        self.queue().closed
    }

    pub fn close(&self) {
        let mut queue = self.queue();
        queue.closed = true;
        // Dropping the work tells its callers that there will be no result.
        let dropped = mem::take(&mut queue.waiting);
        let answers = mem::take(&mut queue.answers);
        drop(queue);
        drop(dropped);
        drop(answers);
        self.arrived.notify_all();
    }

    pub fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Takes the answers that wait, once nothing waits behind them or they are many.
    fn due_answers(&mut self) -> Option<Vec<Job>> {
        let are_due = !self.answers.is_empty() && (self.waiting.is_empty() || self.answers.len() >= MAX_ANSWERS);
        are_due.then(|| mem::take(&mut self.answers))
    }

    /// Counts a sleeping thread as woken, if there is one.
    fn call(&mut self) -> bool {
        let is_called = self.idle > 0;
        self.idle = self.idle.saturating_sub(1);
        is_called
    }

    /// Records that a stuck thread has returned. Tells whether it takes work again, or ends because it was replaced.
    fn comes_back(&mut self, wanted: usize) -> bool {
        self.stuck -= 1;
        let stays = self.working < wanted;
        self.working += usize::from(stays);
        stays
    }
}
