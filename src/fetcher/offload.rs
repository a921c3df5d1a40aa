//! Offload: foreign code on threads of its own, so that it may panic, block or never return. Knows nothing of pages.

use std::{
    any::Any,
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
    time::timeout,
};

use crate::error::Error;

/// Runs work off the network's threads. Cloning is cheap; clones share the threads.
#[derive(Clone)]
pub struct Offload {
    workers: Arc<Workers>,
    blocking: Handle,
    patience: Duration,
}

/// Owns the threads. Dropping it waits for none of them: a spider that never returns must not hold up the end.
pub struct OffloadThreads {
    workers: Arc<Workers>,
    blocking: Option<Runtime>,
}

/// Why work gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It panicked, with this message.
    Panicked(String),
    /// It did not return in time; its thread is left to it.
    Silent(Duration),
}

/// The most threads that work which never returns may hold; beyond, all further work counts as silent.
const MOST_LOST: usize = 256;

/// The most threads for look-ups and files, which block and end: as many as look-ups may be under way, and some.
const MOST_BLOCKING: usize = 160;

impl OffloadThreads {
    /// Creates threads of which `at_once` work at a time; work that takes longer than `patience` is left behind.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new(at_once: usize, patience: Duration) -> Result<(Self, Offload), Error> {
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(MOST_BLOCKING)
            .thread_name("crawler-io")
            .build()
            .map_err(Error::Start)?;
        let workers = Arc::new(Workers::default());
        for _ in 0..at_once.max(1) {
            workers.hire().map_err(Error::Start)?;
        }
        let offload = Offload { workers: workers.clone(), blocking: runtime.handle().clone(), patience };
        Ok((Self { workers, blocking: Some(runtime) }, offload))
    }
}

impl Drop for OffloadThreads {
    fn drop(&mut self) {
        self.workers.close();
        if let Some(runtime) = self.blocking.take() {
            runtime.shutdown_background();
        }
    }
}

impl Offload {
    /// Runs `work` and returns its result.
    ///
    /// # Errors
    /// The work panicked or did not return in time, counted from when it began.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Lost> {
        let (answer_to, mut answer) = oneshot::channel();
        let stage = Arc::new(Stage::default());
        let worked = stage.clone();
        self.workers.take_on(Box::new(move || {
            worked.begin();
            let result = catch_unwind(AssertUnwindSafe(work)).map_err(|panic| message_of(&*panic));
            // Nobody may be waiting any more, and what was made for them may panic as it goes.
            let _ = catch_unwind(AssertUnwindSafe(|| answer_to.send(result)));
            worked.end()
        }));
        let mut wait = self.patience;
        loop {
            match timeout(wait, &mut answer).await {
                Ok(Ok(result)) => return result.map_err(Lost::Panicked),
                // The crawl is over and its threads are gone.
                Ok(Err(_)) => return Err(Lost::Silent(self.patience)),
                Err(_) => {}
            }
            wait = match stage.worked_for() {
                None if self.workers.is_exhausted() => return Err(Lost::Silent(self.patience)),
                Some(worked) if worked < self.patience => self.patience.saturating_sub(worked),
                Some(_) if stage.abandon() => {
                    self.workers.replace();
                    return Err(Lost::Silent(self.patience));
                }
                // Others have had its time, or it ended this very moment.
                _ => self.patience,
            };
        }
    }

    /// Returns threads for what blocks and ends, such as look-ups and files.
    pub fn threads(&self) -> &Handle {
        &self.blocking
    }
}

/// Returns what a panic said.
pub fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}

/// A piece of work; it answers whether its thread is to go on.
type Work = Box<dyn FnOnce() -> bool + Send>;

/// The threads and what waits for them: no more than there are pages in flight. A thread that is busy takes the next
/// piece without being woken, which is what this does better than the runtime's own blocking threads.
#[derive(Default)]
struct Workers {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    idle: usize,
    lost: usize,
    closed: bool,
}

impl Workers {
    fn hire(self: &Arc<Self>) -> io::Result<()> {
        let workers = self.clone();
        thread::Builder::new().name("crawler-parse".to_owned()).spawn(move || workers.work()).map(drop)
    }

    fn work(&self) {
        let mut queue = self.queue();
        while !queue.closed {
            let Some(work) = queue.waiting.pop_front() else {
                queue.idle += 1;
                queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
                continue;
            };
            drop(queue);
            if !work() {
                return;
            }
            queue = self.queue();
        }
    }

    fn take_on(&self, work: Work) {
        let mut queue = self.queue();
        if !queue.closed {
            queue.waiting.push_back(work);
        }
        if queue.idle > 0 {
            self.arrived.notify_one();
        }
    }

    /// A thread was left to its work: another takes its place, as long as the system gives one.
    fn replace(self: &Arc<Self>) {
        let mut queue = self.queue();
        queue.lost += 1;
        let exhausted = queue.lost >= MOST_LOST;
        drop(queue);
        if !exhausted && let Err(error) = self.hire() {
            tracing::error!(%error, "no thread in place of one that parses for ever");
        }
    }

    fn is_exhausted(&self) -> bool {
        self.queue().lost >= MOST_LOST
    }

    fn close(&self) {
        let mut queue = self.queue();
        queue.closed = true;
        // Whoever waits for it hears that its answer will not come.
        let dropped = std::mem::take(&mut queue.waiting);
        drop(queue);
        drop(dropped);
        self.arrived.notify_all();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a piece of work is, seen from its thread and from who waits for it.
#[derive(Default)]
struct Stage {
    began: OnceLock<Instant>,
    /// Whether its thread has ended it or who waits for it has given it up, whichever came first.
    settled: AtomicBool,
}

impl Stage {
    fn begin(&self) {
        // Nobody else begins it.
        let _ = self.began.set(now());
    }

    /// Ends the work; false where it was given up before.
    fn end(&self) -> bool {
        !self.settled.swap(true, Ordering::AcqRel)
    }

    /// Gives the work up; false where it has ended before.
    fn abandon(&self) -> bool {
        !self.settled.swap(true, Ordering::AcqRel)
    }

    fn worked_for(&self) -> Option<Duration> {
        self.began.get().map(|began| now().saturating_duration_since(*began))
    }
}

#[allow(clippy::disallowed_methods, reason = "the patience with foreign code is real time")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offload(at_once: usize, patience: u64) -> (OffloadThreads, Offload) {
        OffloadThreads::new(at_once, Duration::from_millis(patience)).unwrap()
    }

    fn wait_for<T>(future: impl Future<Output = T>) -> T {
        Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn work_that_never_returns_costs_its_thread_and_not_the_next_work() {
        let (_threads, offload) = offload(1, 50);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let lost = wait_for(offload.run(move || held.recv().is_ok()));
        assert_eq!(lost, Err(Lost::Silent(Duration::from_millis(50))));
        assert_eq!(wait_for(offload.run(|| 7)), Ok(7), "another thread has taken its place");
        drop(release);
    }

    #[test]
    fn a_panic_is_an_answer() {
        let (_threads, offload) = offload(1, 5_000);
        let lost = wait_for(offload.run(|| panic!("no page")));
        assert_eq!(lost, Err::<(), _>(Lost::Panicked("no page".to_owned())));
        assert_eq!(wait_for(offload.run(|| 7)), Ok(7));
    }

    #[test]
    fn patience_is_counted_from_when_work_begins() {
        let (_threads, offload) = offload(1, 100);
        let slow = |offload: Offload| async move { offload.run(|| thread::sleep(Duration::from_millis(60))).await };
        let all = futures_util::future::join_all((0..4).map(|_| slow(offload.clone())));
        assert_eq!(wait_for(all), [Ok(()), Ok(()), Ok(()), Ok(())], "the last waits for 240 ms");
    }

    #[test]
    fn who_waits_at_the_end_hears_that_no_answer_comes() {
        let (threads, offload) = offload(1, 5_000);
        drop(threads);
        assert!(matches!(wait_for(offload.run(|| 7)), Err(Lost::Silent(_))));
    }
}
