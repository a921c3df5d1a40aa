//! Offload: runs a spider's code on threads of its own, where it may panic, block or never return. Knows no pages.

mod piece;
mod stage;
mod workers;

use std::{
    future::poll_fn,
    sync::{
        Arc,
        mpsc::{self, SyncSender},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    time::timeout,
};

use self::{piece::Piece, workers::Workers};
use crate::{clock, error::Error, outcome::Outcome};

/// Runs work off the network's threads. Cloning is cheap; clones share the threads.
#[derive(Clone)]
pub struct Offload {
    workers: Arc<Workers>,
    blocking: Handle,
    time_limit: Duration,
}

/// Owns the threads. Dropping it does not wait for them: a spider that never returns must not delay the end of the
/// crawl.
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
    /// Returns the outcome of its request. `what` says what did not happen in time: `parse did not return`.
    pub fn outcome(self, what: &str) -> Outcome {
        match self {
            Self::Panicked(message) => Outcome::Panic(message),
            // It is fetched again by the crawl that goes on.
            Self::Ended => Outcome::Unsent,
            Self::TimedOut(limit) => Outcome::Parse(format!("{what} within {}", humantime::format_duration(limit))),
        }
    }
}

/// The most threads for DNS look-ups and files, which block for a limited time: one for each concurrent look-up, and
/// some more.
const MAX_BLOCKING: usize = 160;

/// How long a caller waits before it first checks its work, and wakes another thread for what is still queued. Several
/// times as long as most pages take to parse; each later check waits twice as long.
const FIRST_LOOK: Duration = Duration::from_millis(2);

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
    /// The work panicked, did not return within the time limit, counted from its start, or was dropped at the crawl's
    /// end.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, NoResult> {
        if clock::is_virtual() {
            return self.run_in_no_time(work);
        }
        let piece = self.begin(work);
        let mut wait = FIRST_LOOK;
        loop {
            match timeout(wait.min(self.time_limit), poll_fn(|cx| piece.poll(cx))).await {
                Ok(Some(result)) => return result.map_err(NoResult::Panicked),
                Ok(None) => return Err(self.dropped()),
                Err(_) => {}
            }
            wait = (2 * wait).min(self.time_limit);
            self.workers.hurry();
            match piece.stage().worked_for() {
                None if self.workers.are_gone() => return Err(NoResult::TimedOut(self.time_limit)),
                Some(worked) if worked < self.time_limit => wait = wait.min(self.time_limit.saturating_sub(worked)),
                Some(_) if self.workers.replace(piece.stage()) => return Err(NoResult::TimedOut(self.time_limit)),
                // It still waits in the queue, or has just ended.
                None | Some(_) => {}
            }
        }
    }

    /// Runs `work` while this thread, and with it virtual time, stands still. The time limit is in real time.
    fn run_in_no_time<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, NoResult> {
        let (tell, told) = mpsc::sync_channel(1);
        let waker = Waker::from(Arc::new(Tell(tell)));
        let piece = self.begin(work);
        loop {
            match piece.poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(Some(result)) => return result.map_err(NoResult::Panicked),
                Poll::Ready(None) => return Err(self.dropped()),
                Poll::Pending => {}
            }
            let is_late = told.recv_timeout(self.time_limit).is_err();
            if is_late && (self.workers.are_gone() || self.workers.replace(piece.stage())) {
                return Err(NoResult::TimedOut(self.time_limit));
            }
        }
    }

    /// Queues some work.
    fn begin<T: Send + 'static, W: FnOnce() -> T + Send + 'static>(&self, work: W) -> Arc<Piece<W, T>> {
        let piece = Piece::new(work);
        self.workers.take_on(piece.job());
        piece
    }

    /// Returns why work was dropped.
    fn dropped(&self) -> NoResult {
        if self.workers.are_closed() { NoResult::Ended } else { NoResult::TimedOut(self.time_limit) }
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

/// Wakes a thread that waits on the channel.
struct Tell(SyncSender<()>);

impl Wake for Tell {
    fn wake(self: Arc<Self>) {
        // If there is one already, the thread wakes of that.
        let _ = self.0.try_send(());
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use futures_util::future::join;

    use super::{workers::MAX_STUCK, *};

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

    /// More threads are woken only for many pieces of work, or for one that has waited.
    #[test]
    fn work_does_not_wait_behind_work_that_takes_long_while_there_is_another_thread() {
        let (_threads, offload) = offload(2, 60_000);
        while offload.workers.queue().idle < 2 {
            thread::yield_now();
        }
        let (release, held) = std::sync::mpsc::channel::<()>();
        let slow = offload.run(move || held.recv().is_ok());
        let next = async {
            let done = offload.run(|| 7).await;
            release.send(()).unwrap();
            done
        };
        assert_eq!(wait_for(join(slow, next)), (Ok(true), Ok(7)));
    }

    /// The answers to short work go back together, but not with one that does not come.
    #[test]
    fn an_answer_does_not_wait_for_work_behind_it_that_takes_long() {
        let (_threads, offload) = offload(1, 60_000);
        let (begin, begun) = std::sync::mpsc::channel::<()>();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let first = offload.run(move || begun.recv().is_ok());
        let short = async {
            let done = offload.run(|| 7).await;
            release.send(()).unwrap();
            done
        };
        let slow = offload.run(move || held.recv().is_ok());
        let all_queued = async { begin.send(()).unwrap() };
        let (first, short, slow, ()) = wait_for(async { tokio::join!(first, short, slow, all_queued) });
        assert_eq!((first, short, slow), (Ok(true), Ok(7), Ok(true)));
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
