//! TurnEnd: requests wait here until no other request of their arbiter is ready. So their messages to another thread go
//! together and wake it once. Does not know the messages.

use std::{
    cell::RefCell,
    future::poll_fn,
    mem,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use futures_util::Stream;

/// The end of this turn of an arbiter's loop.
#[derive(Default)]
pub struct TurnEnd {
    waiting: RefCell<Vec<Waker>>,
}

impl TurnEnd {
    /// Waits until each other request that is ready has been polled.
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

    /// Polls the requests; when none of them is ready any more, those go on that have waited for that.
    pub fn poll<S: Stream + Unpin>(&self, requests: &mut S, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let polled = Pin::new(&mut *requests).poll_next(cx);
        if polled.is_pending() && self.wake() {
            return Pin::new(requests).poll_next(cx);
        }
        polled
    }

    /// Tells whether something has waited.
    fn wake(&self) -> bool {
        let waiting = self.waiting.take();
        waiting.iter().for_each(Waker::wake_by_ref);
        !waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use futures_util::{FutureExt, StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};

    use super::*;

    #[test]
    fn who_waits_goes_on_when_the_others_have_got_as_far_as_they_can() {
        let (end, ready) = (Rc::new(TurnEnd::default()), Rc::new(Cell::new(0)));
        let first = |end: Rc<TurnEnd>, ready: Rc<Cell<u32>>| async move {
            end.come().await;
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
}
