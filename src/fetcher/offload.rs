//! Offload: runs a spider's code on threads of its own, where it may panic, block or never return. Knows no pages.

use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
    time::timeout,
};

use crate::{clock, error::Error, outcome::Outcome, panic_message::message_of};

/// Runs work off the network's threads. Cloning is cheap; clones share the threads.
#[derive(Clone)]
pub struct Offload {
    workers: Arc<Workers>,
    blocking: Handle,
    time_limit: Duration,
}

/// Owns the threads. Dropping it does not wait for them: a spider that never returns must not delay the end of the crawl.
pub struct OffloadThreads {
    workers: Arc<Workers>,
    blocking: Option<Runtime>,
}

/// Why work has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoResult {
    /// It panicked, with this message.
    Panicked(String),
    /// It did not return within this time. Its thread keeps running, and another thread replaces it.
    TimedOut(Duration),
    /// It was dropped before it began: the crawl has ended.
    Ended,
}

impl NoResult {
    /// Returns how a request ends by it. `what` says what did not happen in time: `parse did not return`.
    pub fn outcome(self, what: &str) -> Outcome {
        match self {
            Self::Panicked(message) => Outcome::Panic(message),
            // It is fetched again by the crawl that goes on.
            Self::Ended => Outcome::Unsent,
            Self::TimedOut(limit) => Outcome::Parse(format!("{what} within {}", humantime::format_duration(limit))),
        }
    }
}

/// The most stuck threads, whose work has not returned in time. Beyond it stuck threads are not replaced; when all
/// threads are stuck, further work times out at once until one of them returns.
const MAX_STUCK: usize = 256;

/// The most threads for DNS look-ups and files, which block for a limited time: one for each concurrent look-up, and
/// some more.
const MAX_BLOCKING: usize = 160;

impl OffloadThreads {
    /// Creates `at_once` threads. Work that takes longer than `time_limit` has no result.
    ///
    /// # Errors
    /// The system cannot start the threads.
    pub fn new(at_once: usize, time_limit: Duration) -> Result<(Self, Offload), Error> {
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(MAX_BLOCKING)
            .thread_name("crawler-io")
            .build()
            .map_err(Error::Start)?;
        let workers = Arc::new(Workers::new(at_once.max(1)));
        // Virtual time stands still while tasks run on its own runtime's threads.
        let blocking = if clock::is_virtual() { Handle::current() } else { runtime.handle().clone() };
        let offload = Offload { workers: workers.clone(), blocking, time_limit };
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
    /// The work panicked, did not return within the time limit, counted from its start, or was dropped at the crawl's end.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, NoResult> {
        if clock::is_virtual() {
            return self.run_in_no_time(work);
        }
        let (answer_to, mut answer) = oneshot::channel();
        let stage = self.begin(work, |result| drop(answer_to.send(result)));
        let mut wait = self.time_limit;
        loop {
            match timeout(wait, &mut answer).await {
                Ok(Ok(result)) => return result.map_err(NoResult::Panicked),
                // The work was dropped.
                Ok(Err(_)) if self.workers.are_closed() => return Err(NoResult::Ended),
                Ok(Err(_)) => return Err(NoResult::TimedOut(self.time_limit)),
                Err(_) => {}
            }
            wait = match stage.worked_for() {
                None if self.workers.are_gone() => return Err(NoResult::TimedOut(self.time_limit)),
                Some(worked) if worked < self.time_limit => self.time_limit.saturating_sub(worked),
                Some(_) if self.workers.replace(&stage) => return Err(NoResult::TimedOut(self.time_limit)),
                // It still waits in the queue, or has just ended.
                _ => self.time_limit,
            };
        }
    }

    /// Runs `work` while this thread waits, and with it virtual time. The time limit is one of real time.
    fn run_in_no_time<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, NoResult> {
        let (answer_to, answer) = mpsc::sync_channel(1);
        let stage = self.begin(work, move |result| drop(answer_to.send(result)));
        loop {
            match answer.recv_timeout(self.time_limit) {
                Ok(result) => return result.map_err(NoResult::Panicked),
                Err(RecvTimeoutError::Timeout) if !self.workers.are_gone() && !self.workers.replace(&stage) => {}
                Err(RecvTimeoutError::Disconnected) if self.workers.are_closed() => return Err(NoResult::Ended),
                Err(_) => return Err(NoResult::TimedOut(self.time_limit)),
            }
        }
    }

    /// Queues `work`, whose result, or the message of its panic, goes to `answer_to`.
    fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
        answer_to: impl FnOnce(Result<T, String>) + Send + 'static,
    ) -> Arc<Stage> {
        let stage = Arc::new(Stage::default());
        let worked = stage.clone();
        self.workers.take_on(Box::new(move || {
            worked.begin();
            let result = catch_unwind(AssertUnwindSafe(work));
            // The caller may be gone; the result is then dropped here, and its `Drop` may panic too.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                answer_to(result.map_err(|panic| message_of(&*panic).to_owned()));
            }));
            worked.end()
        }));
        stage
    }

    /// Returns the longest that work may take.
    pub fn time_limit(&self) -> Duration {
        self.time_limit
    }

    /// Returns the runtime handle for blocking tasks that end, such as look-ups and files.
    pub fn threads(&self) -> &Handle {
        &self.blocking
    }
}

/// A piece of work. Returns whether it ended in time.
type Work = Box<dyn FnOnce() -> bool + Send>;

/// The threads and their queue, which has at most one piece for each page in flight. A busy thread takes the next piece
/// without being woken, which saves a context switch compared with the runtime's blocking threads.
struct Workers {
    wanted: usize,
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    /// Threads that take work; at most `wanted`.
    working: usize,
    /// Those of them that sleep and have not been notified.
    idle: usize,
    /// Threads stuck in work whose time is up.
    stuck: usize,
    closed: bool,
}

impl Workers {
    fn new(wanted: usize) -> Self {
        Self { wanted, queue: Mutex::default(), arrived: Condvar::new() }
    }

    /// Starts threads until `wanted` of them take work, unless too many are stuck.
    fn fill_up(self: &Arc<Self>) -> io::Result<()> {
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

    /// Abandons work whose time is up, and starts a thread to replace the stuck one. Returns false if the work has
    /// ended meanwhile.
    fn replace(self: &Arc<Self>, stage: &Stage) -> bool {
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
    fn are_gone(self: &Arc<Self>) -> bool {
        // The reason was logged when the last thread got stuck.
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

    fn are_closed(&self) -> bool {
        self.queue().closed
    }

    fn close(&self) {
        let mut queue = self.queue();
        queue.closed = true;
        // Dropping the work tells its callers that there will be no result.
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
    /// Records that a stuck thread has returned. Tells whether it takes work again, or ends because it was replaced.
    fn comes_back(&mut self, wanted: usize) -> bool {
        self.stuck -= 1;
        let stays = self.working < wanted;
        self.working += usize::from(stays);
        stays
    }
}

/// The progress of a piece of work, shared by its thread and its caller.
#[derive(Default)]
struct Stage {
    began: OnceLock<Instant>,
    /// Set by the thread when the work ends, or by the caller when it abandons it; the first one wins.
    settled: AtomicBool,
}

impl Stage {
    fn begin(&self) {
        // Set once, by the thread that runs the work.
        let _ = self.began.set(clock::now());
    }

    /// Ends the work. Returns false if it was abandoned before.
    fn end(&self) -> bool {
        !self.settled.swap(true, Ordering::AcqRel)
    }

    /// Abandons the work. Returns false if it has ended before.
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

    fn offload(at_once: usize, time_limit: u64) -> (OffloadThreads, Offload) {
        OffloadThreads::new(at_once, Duration::from_millis(time_limit)).unwrap()
    }

    fn wait_for<T>(future: impl Future<Output = T>) -> T {
        Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn work_that_never_returns_costs_its_thread_and_not_the_next_work() {
        let (_threads, offload) = offload(1, 50);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let lost = wait_for(offload.run(move || held.recv().is_ok()));
        assert_eq!(lost, Err(NoResult::TimedOut(Duration::from_millis(50))));
        assert_eq!(wait_for(offload.run(|| 7)), Ok(7), "another thread has taken its place");
        drop(release);
    }

    /// Regression: after 256 slow pages in total, nothing was parsed any more.
    #[test]
    fn threads_that_come_back_late_are_there_again() {
        let (_threads, offload) = offload(1, 2);
        for _ in 0..2 {
            let gate = Arc::new(std::sync::RwLock::new(()));
            let shut = gate.write().unwrap();
            for _ in 0..MAX_STUCK {
                let gate = gate.clone();
                assert!(wait_for(offload.run(move || drop(gate.read()))).is_err());
            }
            assert!(wait_for(offload.run(|| 7)).is_err(), "no more threads are lost than this");
            drop(shut);
            let again = (0..5_000).any(|_| wait_for(offload.run(|| 7)) == Ok(7));
            assert!(again, "they are back");
        }
        let queue = offload.workers.queue();
        assert!(queue.working <= 1 && queue.stuck < MAX_STUCK);
    }

    #[test]
    fn a_panic_is_an_answer() {
        let (_threads, offload) = offload(1, 5_000);
        let lost = wait_for(offload.run(|| panic!("no page")));
        assert_eq!(lost, Err::<(), _>(NoResult::Panicked("no page".to_owned())));
        assert_eq!(wait_for(offload.run(|| 7)), Ok(7));
    }

    #[test]
    fn the_time_limit_is_counted_from_when_work_begins() {
        let (_threads, offload) = offload(1, 100);
        let slow = |offload: Offload| async move { offload.run(|| thread::sleep(Duration::from_millis(60))).await };
        let all = futures_util::future::join_all((0..4).map(|_| slow(offload.clone())));
        assert_eq!(wait_for(all), [Ok(()), Ok(()), Ok(()), Ok(())], "the last waits for 240 ms");
    }

    #[test]
    fn who_waits_at_the_end_hears_that_no_answer_comes_and_nothing_of_a_time_limit() {
        let (threads, offload) = offload(1, 5_000);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (begins, begun) = std::sync::mpsc::channel();
        let (busy, queued) = (offload.clone(), offload.clone());
        let work = move || begins.send(()).is_ok() && held.recv().is_err();
        let busy = thread::spawn(move || wait_for(busy.run(work)));
        begun.recv().unwrap();
        let queued = thread::spawn(move || wait_for(queued.run(|| 7)));
        while offload.workers.queue().waiting.is_empty() {
            thread::yield_now();
        }
        drop(threads);
        assert_eq!(queued.join().unwrap(), Err(NoResult::Ended), "it had not begun");
        assert_eq!(wait_for(offload.run(|| 7)), Err(NoResult::Ended), "it came later");
        drop(release);
        assert_eq!(busy.join().unwrap(), Ok(true), "it had begun");
    }
}
