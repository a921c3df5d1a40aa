//! Alarm: wakes a task at an instant, exact to a tenth of a millisecond. Does not know what the task waits for.
//!
//! The runtime's timers count in milliseconds and fire up to two late. The rate law never lets a domain catch up on
//! such delays: 50 starts a second became 48.7 (measured). A thread that waits on a condition variable uses the
//! kernel's finer timer.

use crate::clock;
use std::{
    collections::BinaryHeap,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::Waker,
    thread,
    time::Instant,
};

/// The timer of a crawl or a client. Its thread starts with the first call and ends when the last clone is dropped.
#[derive(Clone, Default)]
pub struct Alarm(Arc<Owner>);

#[derive(Default)]
struct Owner(Arc<SharedAlarm>);

#[derive(Default)]
struct SharedAlarm {
    calls: Mutex<Calls>,
    changed: Condvar,
}

#[derive(Default)]
struct Calls {
    heap: BinaryHeap<Call>,
    running: bool,
    closed: bool,
}

struct Call {
    at: Instant,
    waker: Waker,
}

impl Alarm {
    /// Wakes `waker` at `at`. A call cannot be cancelled; waking a task that no longer waits is harmless.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn call(&self, at: Instant, waker: Waker) -> io::Result<()> {
        let shared = &self.0.0;
        let mut calls = shared.calls();
        if !calls.running {
            let shared = shared.clone();
            thread::Builder::new().name("alarm".to_owned()).spawn(move || shared.run())?;
            calls.running = true;
        }
        let is_next = calls.heap.peek().is_none_or(|next| at < next.at);
        calls.heap.push(Call { at, waker });
        drop(calls);
        if is_next {
            shared.changed.notify_one();
        }
        Ok(())
    }
}

impl SharedAlarm {
    fn run(&self) {
        let mut due = Vec::new();
        let mut calls = self.calls();
        while !calls.closed {
            let now = clock::now();
            while calls.heap.peek().is_some_and(|call| call.at <= now) {
                due.extend(calls.heap.pop().map(|call| call.waker));
            }
            if !due.is_empty() {
                drop(calls);
                due.drain(..).for_each(Waker::wake);
                calls = self.calls();
                continue;
            }
            calls = match calls.heap.peek().map(|call| call.at.saturating_duration_since(now)) {
                None => self.changed.wait(calls).unwrap_or_else(PoisonError::into_inner),
                Some(wait) => self.changed.wait_timeout(calls, wait).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        // No code under the lock can panic.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.calls().closed = true;
        self.0.changed.notify_one();
    }
}

/// Reversed order: `BinaryHeap` pops the greatest entry first, and the earliest is needed.
impl Ord for Call {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Call {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Call {}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, task::Wake, time::Duration};

    use super::*;

    struct Rings(u32, mpsc::Sender<(u32, Instant)>);

    impl Wake for Rings {
        fn wake(self: Arc<Self>) {
            let _ = self.1.send((self.0, clock::now()));
        }
    }

    #[test]
    fn calls_ring_in_the_order_of_their_instants_and_none_too_early() {
        let (alarm, (rang, heard)) = (Alarm::default(), mpsc::channel());
        let start = clock::now();
        for ms in [30, 10, 20, 0] {
            let waker = Arc::new(Rings(ms, rang.clone())).into();
            alarm.call(start + Duration::from_millis(ms.into()), waker).unwrap();
        }
        for expected in [0, 10, 20, 30] {
            let (ms, at) = heard.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!(ms, expected);
            assert!(at >= start + Duration::from_millis(ms.into()));
        }
    }

    #[test]
    fn the_thread_ends_with_the_last_clone() {
        let (alarm, (rang, heard)) = (Alarm::default(), mpsc::channel());
        alarm.call(clock::now() + Duration::from_secs(1_000), Arc::new(Rings(0, rang)).into()).unwrap();
        drop(alarm.clone());
        assert_eq!(heard.try_recv(), Err(mpsc::TryRecvError::Empty));
        drop(alarm);
        assert_eq!(heard.recv_timeout(Duration::from_secs(10)), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}
