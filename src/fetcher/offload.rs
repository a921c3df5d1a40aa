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

use crate::clock;
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

/// The most threads that work which does not return may hold at a time. At the limit no other takes the place of the
/// next one, and once nobody works any more all further work counts as silent, until some of it returns.
const MAX_LOST: usize = 256;

/// The most threads for look-ups and files, which block and end: as many as look-ups may be under way, and some.
const MAX_BLOCKING: usize = 160;

impl OffloadThreads {
    /// Creates threads of which `at_once` work at a time; work that takes longer than `patience` is left behind.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new(at_once: usize, patience: Duration) -> Result<(Self, Offload), Error> {
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(MAX_BLOCKING)
            .thread_name("crawler-io")
            .build()
            .map_err(Error::Start)?;
        let workers = Arc::new(Workers::new(at_once.max(1)));
        let offload = Offload { workers: workers.clone(), blocking: runtime.handle().clone(), patience };
        let threads = Self { workers, blocking: Some(runtime) };
        threads.workers.fill_up().map_err(Error::Start)?;
        Ok((threads, offload))
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
            let result = catch_unwind(AssertUnwindSafe(work));
            // Nobody may be waiting any more, and what was made for them may panic as it goes, as may the panic.
            let _ = catch_unwind(AssertUnwindSafe(|| answer_to.send(result.map_err(|panic| message_of(&*panic)))));
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
                None if self.workers.are_gone() => return Err(Lost::Silent(self.patience)),
                Some(worked) if worked < self.patience => self.patience.saturating_sub(worked),
                Some(_) if self.workers.replace(&stage) => return Err(Lost::Silent(self.patience)),
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

/// A piece of work; it answers whether it ended before it was given up.
type Work = Box<dyn FnOnce() -> bool + Send>;

/// The threads and what waits for them: no more than there are pages in flight. A thread that is busy takes the next
/// piece without being woken, which is what this does better than the runtime's own blocking threads.
struct Workers {
    wanted: usize,
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    /// Threads that take work: no more than are wanted.
    working: usize,
    /// Those of them that wait for some and were not called.
    idle: usize,
    /// Threads that were left to their work and have not come back from it.
    lost: usize,
    closed: bool,
}

impl Workers {
    fn new(wanted: usize) -> Self {
        Self { wanted, queue: Mutex::default(), arrived: Condvar::new() }
    }

    /// Hires until as many work as are wanted, as long as the lost hold no more threads than they may.
    fn fill_up(self: &Arc<Self>) -> io::Result<()> {
        let mut queue = self.queue();
        while !queue.closed && queue.working < self.wanted && queue.lost < MAX_LOST {
            let workers = self.clone();
            thread::Builder::new().name("crawler-parse".to_owned()).spawn(move || workers.work())?;
            queue.working += 1;
        }
        Ok(())
    }

    fn work(&self) {
        let mut queue = self.queue();
        while !queue.closed {
            let Some(work) = queue.waiting.pop_front() else {
                queue.idle = queue.working.min(queue.idle + 1);
                queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(queue);
            let in_time = work();
            queue = self.queue();
            if !in_time && !queue.comes_back(self.wanted) {
                return;
            }
        }
    }

    fn take_on(&self, work: Work) {
        let mut queue = self.queue();
        if !queue.closed {
            queue.waiting.push_back(work);
        }
        let is_called = queue.idle > 0;
        queue.idle = queue.idle.saturating_sub(1);
        drop(queue);
        if is_called {
            self.arrived.notify_one();
        }
    }

    /// Leaves a thread to its work; another takes its place, as long as the system gives one. Places that stayed empty
    /// before are tried again. False where the work has ended before.
    fn replace(self: &Arc<Self>, stage: &Stage) -> bool {
        let mut queue = self.queue();
        // Under the lock, so that the thread cannot be back before it is counted as lost.
        if !stage.abandon() {
            return false;
        }
        queue.lost += 1;
        queue.working -= 1;
        drop(queue);
        if let Err(error) = self.fill_up() {
            tracing::error!(%error, "no thread in place of one that parses for ever");
        }
        true
    }

    /// Tells whether nobody works and nobody can be hired. All that waits is then given up.
    fn are_gone(self: &Arc<Self>) -> bool {
        // Why not, was told when the last one was lost.
        let _ = self.fill_up();
        let mut queue = self.queue();
        if queue.working > 0 {
            return false;
        }
        let given_up = std::mem::take(&mut queue.waiting);
        drop(queue);
        drop(given_up);
        true
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

impl Queue {
    /// A lost thread is back; it takes a place again if one is free, else it is to go.
    fn comes_back(&mut self, wanted: usize) -> bool {
        self.lost -= 1;
        let stays = self.working < wanted;
        self.working += usize::from(stays);
        stays
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
        let _ = self.began.set(clock::now());
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
        self.began.get().map(|began| clock::now().saturating_duration_since(*began))
    }
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

    /// A crawl whose slow pages came to 256 in all used to parse nothing more.
    #[test]
    fn threads_that_come_back_late_are_there_again() {
        let (_threads, offload) = offload(1, 2);
        for _ in 0..2 {
            let gate = Arc::new(std::sync::RwLock::new(()));
            let shut = gate.write().unwrap();
            for _ in 0..MAX_LOST {
                let gate = gate.clone();
                assert!(wait_for(offload.run(move || drop(gate.read()))).is_err());
            }
            assert!(wait_for(offload.run(|| 7)).is_err(), "no more threads are lost than this");
            drop(shut);
            let again = (0..5_000).any(|_| wait_for(offload.run(|| 7)) == Ok(7));
            assert!(again, "they are back");
        }
        let queue = offload.workers.queue();
        assert!(queue.working <= 1 && queue.lost < MAX_LOST);
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
