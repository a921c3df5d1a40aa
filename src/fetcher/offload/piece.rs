//! Piece: a piece of work, its progress, its result and who waits for that, in one allocation. Knows no threads.
//!
//! Whoever gives the work away frees the allocation, too, unless it has given up before: a thread that frees what
//! another has allocated waits for that one in the allocator, and the other for it.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::task::AtomicWaker;

use super::stage::Stage;
use crate::text::panic_message::message_of;

/// A piece of work of some type, and its result.
pub struct Piece<W, T> {
    stage: Stage,
    work: Mutex<Option<W>>,
    end: Mutex<End<T>>,
    waiting: AtomicWaker,
}

enum End<T> {
    Open,
    /// The result, or the message of the panic.
    Done(Result<T, String>),
    /// Nobody does the work any more.
    Dropped,
}

/// A piece of any type, for the thread that does its work.
pub trait Work: Send + Sync {
    /// Does the work, unless it was done. Does not panic.
    fn work(&self) -> Worked;

    /// Ends it, without a result if the work was not done. Returns whom to wake.
    fn end(&self) -> Option<Waker>;
}

/// How work went.
#[derive(Default)]
pub struct Worked {
    /// How long it took.
    pub took: Duration,
    /// Whether it was abandoned meanwhile.
    pub was_abandoned: bool,
}

/// The end of a piece at which the work is done. When it is dropped, whoever waits is woken.
pub struct Job(Option<Arc<dyn Work>>);

impl<W: FnOnce() -> T + Send + 'static, T: Send + 'static> Piece<W, T> {
    /// Creates the piece for some work.
    pub fn new(work: W) -> Arc<Self> {
        let (stage, work) = (Stage::default(), Mutex::new(Some(work)));
        Arc::new(Self { stage, work, end: Mutex::new(End::Open), waiting: AtomicWaker::new() })
    }

    /// Returns the end at which the work is done. There is one.
    pub fn job(self: &Arc<Self>) -> Job {
        Job(Some(self.clone()))
    }

    /// Returns how far it is.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Ready with the result, or the message of the panic; `None` if the work was dropped.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Result<T, String>>> {
        // Before it is looked at: it may end at any moment.
        self.waiting.register(cx.waker());
        match mem::replace(&mut *lock(&self.end), End::Open) {
            End::Open => Poll::Pending,
            End::Done(result) => Poll::Ready(Some(result)),
            End::Dropped => Poll::Ready(None),
        }
    }
}

impl<W: FnOnce() -> T + Send, T: Send> Work for Piece<W, T> {
    fn work(&self) -> Worked {
        let Some(work) = lock(&self.work).take() else { return Worked::default() };
        self.stage.begin();
        let result = catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
            let message = message_of(&*panic).to_owned();
            // What it panicked with may panic, too, when it is dropped.
            let _ = catch_unwind(AssertUnwindSafe(move || drop(panic)));
            message
        });
        let was_abandoned = !self.stage.end();
        *lock(&self.end) = End::Done(result);
        Worked { took: self.stage.worked_for().unwrap_or_default(), was_abandoned }
    }

    fn end(&self) -> Option<Waker> {
        let mut end = lock(&self.end);
        if matches!(*end, End::Open) {
            *end = End::Dropped;
        }
        drop(end);
        self.waiting.take()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Job {
    /// Does the work. Does not panic.
    pub fn work(&self) -> Worked {
        self.0.as_ref().map(|piece| piece.work()).unwrap_or_default()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let Some(piece) = self.0.take() else { return };
        let waker = piece.end();
        // Let go of first, so that the allocation ends with whoever waits. If nobody does, the work or its result is
        // dropped here, and its `Drop` may panic.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(piece)));
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Weak,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::*;

    /// Notes how many hold the piece when it is woken.
    struct Holders(Weak<Piece<fn() -> u8, u8>>, AtomicUsize);

    impl Wake for Holders {
        fn wake(self: Arc<Self>) {
            self.1.store(self.0.strong_count(), Ordering::SeqCst);
        }
    }

    #[test]
    fn whoever_waits_is_the_last_that_holds_it_when_it_is_woken() {
        for (is_done, result) in [(true, Some(Ok(7))), (false, None)] {
            let piece = Piece::new((|| 7) as fn() -> u8);
            let job = piece.job();
            let holders = Arc::new(Holders(Arc::downgrade(&piece), AtomicUsize::new(0)));
            let waker = Waker::from(holders.clone());
            let mut cx = Context::from_waker(&waker);
            assert!(piece.poll(&mut cx).is_pending());
            if is_done {
                job.work();
            }
            drop(job);
            assert_eq!(holders.1.load(Ordering::SeqCst), 1);
            assert_eq!(piece.poll(&mut cx), Poll::Ready(result));
        }
    }
}
