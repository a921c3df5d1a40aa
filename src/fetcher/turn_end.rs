//! TurnEnd: requests wait here until no other request of their arbiter is ready, and under load a moment longer. So
//! their messages to another thread go together and wake it once. Does not know the messages.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use futures_util::{Stream, stream::FuturesUnordered};
use tokio::time::{Sleep, sleep_until};

use crate::clock;

/// The end of this turn of an arbiter's loop.
#[derive(Default)]
pub struct TurnEnd {
    /// For pages that are to be parsed.
    pub parse: Gathering,
    /// For items that are to go to the pipelines.
    pub deliver: Gathering,
}

/// Those that wait to send messages of one kind.
#[derive(Default)]
pub struct Gathering {
    waiting: RefCell<Vec<Waker>>,
    /// When those that waited last went on.
    went_on: Cell<Option<Instant>>,
    /// Ends the wait of those that went on with no other.
    timer: RefCell<Option<Pin<Box<Sleep>>>>,
}

/// How long after the last ones those that wait go on at the latest. To wake a thread costs as much as to parse a small
/// page, so where thousands of pages come in a second each message waits for some others. Where fewer come, none waits.
/// The runtime's timer may add a millisecond.
const APART: Duration = Duration::from_micros(500);

/// As many need not wait for more: they are several times the work of waking a thread.
const MANY: usize = 16;

/// Nor does this part of the requests in progress (one in so many): what else is in progress may be waiting for them.
const PART: usize = 4;

impl TurnEnd {
    /// Polls the requests; when none of them is ready any more, those go on that have waited for that.
    pub fn poll<F: Future>(&self, requests: &mut FuturesUnordered<F>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        loop {
            let polled = Pin::new(&mut *requests).poll_next(cx);
            if polled.is_ready() {
                return polled;
            }
            let in_progress = requests.len();
            let gone_on = [&self.parse, &self.deliver].map(|gathering| gathering.go_on(in_progress, cx));
            // Those that go on may come to wait again, and nothing else might ever be polled.
            if !gone_on.contains(&true) {
                return polled;
            }
        }
    }
}

impl Gathering {
    /// Waits until each other request that is ready has been polled, and under load until more wait.
    pub async fn come(&self) {
        let mut has_waited = false;
        poll_fn(|cx| {
            if mem::replace(&mut has_waited, true) {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Lets those go on that wait, if they are due. Returns whether it has; otherwise a timer wakes the caller.
    fn go_on(&self, in_progress: usize, cx: &mut Context<'_>) -> bool {
        let are_due = self.are_due(in_progress, cx);
        if are_due {
            self.waiting.take().iter().for_each(Waker::wake_by_ref);
        }
        are_due
    }

    fn are_due(&self, in_progress: usize, cx: &mut Context<'_>) -> bool {
        let waiting = self.waiting.borrow().len();
        if waiting == 0 {
            return false;
        }
        let now = clock::now();
        // Virtual time stands still while anything is to do.
        let are_enough = waiting >= MANY.min(in_progress.div_ceil(PART)) || clock::is_virtual();
        let due = self.went_on.get().map(|went_on| went_on + APART).filter(|due| !are_enough && now < *due);
        if due.is_some_and(|due| self.poll_timer(due, cx).is_pending()) {
            return false;
        }
        self.went_on.set(Some(now));
        true
    }

    fn poll_timer(&self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let (due, mut timer) = (tokio::time::Instant::from_std(due), self.timer.borrow_mut());
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use futures_util::{FutureExt, StreamExt, future::LocalBoxFuture};

    use super::*;

    #[test]
    fn who_waits_goes_on_when_the_others_have_got_as_far_as_they_can() {
        let (end, ready) = (Rc::new(TurnEnd::default()), Rc::new(Cell::new(0)));
        let first = |end: Rc<TurnEnd>, ready: Rc<Cell<u32>>| async move {
            end.parse.come().await;
            ready.get()
        };
        let other = |ready: Rc<Cell<u32>>| async move {
            ready.set(ready.get() + 1);
            std::future::pending().await
        };
        let mut requests = FuturesUnordered::<LocalBoxFuture<'_, u32>>::new();
        requests.push(first(end.clone(), ready.clone()).boxed_local());
        requests.push(other(ready.clone()).boxed_local());
        requests.push(first(end.clone(), ready.clone()).boxed_local());
        requests.push(other(ready.clone()).boxed_local());
        let mut seen = poll_fn(|cx| end.poll(&mut requests, cx)).now_or_never();
        assert_eq!(seen, Some(Some(2)), "both others were polled before");
        seen = requests.next().now_or_never();
        assert_eq!(seen, Some(Some(2)), "all that wait go on together");
    }

    /// Regression: it was polled once more and came to wait again, and nothing else ever woke the others.
    #[test]
    fn who_goes_on_and_comes_to_wait_for_something_else_goes_on_too() {
        let end = Rc::new(TurnEnd::default());
        let mut requests = FuturesUnordered::<LocalBoxFuture<'_, ()>>::new();
        requests.extend((0..2).map(|_| std::future::pending().boxed_local()));
        let both = |end: Rc<TurnEnd>| async move {
            end.parse.come().await;
            end.deliver.come().await;
        };
        requests.push(both(end.clone()).boxed_local());
        assert_eq!(poll_fn(|cx| end.poll(&mut requests, cx)).now_or_never(), Some(Some(())));
    }

    #[tokio::test]
    async fn soon_after_the_last_ones_a_few_wait_for_more_and_not_for_long() {
        let end = Rc::new(TurnEnd::default());
        let ready = |end: Rc<TurnEnd>| async move { end.deliver.come().await }.boxed_local();
        let mut requests = FuturesUnordered::<LocalBoxFuture<'_, ()>>::new();
        requests.extend((0..PART * MANY).map(|_| std::future::pending().boxed_local()));
        let poll = |requests: &mut FuturesUnordered<_>| poll_fn(|cx| end.poll(requests, cx)).now_or_never();
        requests.push(ready(end.clone()));
        assert_eq!(poll(&mut requests), Some(Some(())), "none went on before");

        let in_an_hour = clock::now() + Duration::from_secs(3_600);
        end.deliver.went_on.set(Some(in_an_hour));
        requests.extend((1..MANY).map(|_| ready(end.clone())));
        assert_eq!(poll(&mut requests), None, "more may come");
        requests.push(ready(end.clone()));
        let went_on = (0..2 * MANY).filter(|_| poll(&mut requests).is_some()).count();
        assert_eq!(went_on, MANY, "they are enough");

        end.deliver.went_on.set(Some(clock::now()));
        requests.push(ready(end.clone()));
        assert_eq!(poll_fn(|cx| end.poll(&mut requests, cx)).await, Some(()), "no more came");
    }
}
