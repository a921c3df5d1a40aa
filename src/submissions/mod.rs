//! Submissions: the pages that callers wait for, each until its request has ended for good. Knows no engine and no
//! network.

pub(crate) mod seeded;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hashbrown::{HashMap, HashSet};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::{
    domain::Domain,
    explain::End,
    outcome::{DropReason, Outcome},
    request::SubmissionId,
    text::panic_message::message_of,
};

/// What became of a page that was submitted to a running crawl.
///
/// ```
/// use actix_crawler::handle::Submitted;
///
/// fn first(submitted: &Submitted<f64>) -> Option<f64> {
///     match submitted {
///         Submitted::Page { items, .. } => items.first().map(|price| **price),
///         Submitted::AlreadySeen | Submitted::FailedBefore(_) | Submitted::Dropped(_) | Submitted::Failed(_) => None,
///     }
/// }
/// ```
pub enum Submitted<I> {
    /// It was read, and each pipeline has acknowledged its items.
    Page {
        /// Where it was found: the end of its redirects.
        url: Arc<str>,
        /// Its items, but for those that a validator or a pipeline left out.
        items: Vec<Arc<I>>,
    },
    /// Its URL, or one that it redirects to, was queued before and is not due again.
    /// [`Request::dont_filter`](crate::Request::dont_filter) fetches both all the same.
    AlreadySeen,
    /// Its URL, or one that it redirects to, has failed for good before, as this says: see
    /// [`Seeded::FailedBefore`](crate::handle::Seeded::FailedBefore).
    /// [`Request::dont_filter`](crate::Request::dont_filter) fetches it all the same.
    FailedBefore(End),
    /// It will not be fetched, for this reason: it is outside the scope, robots.txt disallows it, its domain was
    /// cancelled.
    Dropped(DropReason),
    /// It could not be had, with all its attempts, or a middleware left it out.
    Failed(Outcome),
}

impl<I: fmt::Debug> fmt::Debug for Submitted<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page { url, items } => f.debug_struct("Page").field("url", url).field("items", items).finish(),
            Self::AlreadySeen => f.write_str("AlreadySeen"),
            Self::FailedBefore(end) => f.debug_tuple("FailedBefore").field(end).finish(),
            Self::Dropped(reason) => f.debug_tuple("Dropped").field(reason).finish(),
            Self::Failed(outcome) => f.debug_tuple("Failed").field(outcome).finish(),
        }
    }
}

/// How a submitted request has ended, as the engine knows it. It does not know the type of items.
#[derive(Debug)]
pub(crate) enum SubmissionEnd {
    /// Its page was read, and its items were kept with [`Submissions::keep`].
    Read,
    /// See [`Submitted::AlreadySeen`].
    AlreadySeen,
    /// See [`Submitted::FailedBefore`].
    FailedBefore(End),
    /// See [`Submitted::Dropped`].
    Dropped(DropReason),
    /// See [`Submitted::Failed`].
    Failed(Outcome),
    /// Another process has it now, and nobody here will hear of it.
    Elsewhere,
}

/// Hears from the engine how submitted requests end.
pub(crate) trait SubmissionEnds: Send + Sync {
    /// A submitted request has ended for good. Must not block.
    fn ended(&self, id: SubmissionId, end: SubmissionEnd);

    /// A submitted request, or the target of its redirect, waits in the queue of a domain. Must not block.
    fn queued(&self, id: SubmissionId, domain: &Domain);

    /// Another process owns these domains now: nobody here will hear of what waits there. Must not block.
    fn lost(&self, domains: &[Domain]);

    /// The crawl stops: nothing more is requested. Must not block.
    fn stopping(&self) {}
}

/// The submitted pages of one crawl.
pub(crate) struct Submissions<I> {
    waiting: Mutex<HashMap<SubmissionId, WaitingCaller<I>>>,
    places: Arc<Semaphore>,
}

struct WaitingCaller<I> {
    answer: oneshot::Sender<Submitted<I>>,
    /// In whose queue it waits, or has waited.
    domain: Option<Domain>,
    /// The page, once it is read.
    page: Option<(Arc<str>, Vec<Arc<I>>)>,
}

/// The most pages that are waited for at once; a caller beyond that waits for a place. A page waits with its items, so
/// this bounds what answers hold.
const MAX_WAITING: usize = 10_000;

impl<I> Default for Submissions<I> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), places: Semaphore::new(MAX_WAITING).into() }
    }
}

impl<I> Submissions<I> {
    /// Begins to wait for a page, as soon as there is a place.
    pub fn wait(self: Arc<Self>) -> impl Future<Output = Waiter<I>> {
        let places = self.places.clone();
        async move {
            // The semaphore is never closed.
            let place = places.acquire_owned().await.ok();
            // Not counted from one: a state may bring requests back that an earlier process was asked for.
            let (id, (answer, answered)) = (SubmissionId(fastrand::u64(..)), oneshot::channel());
            self.waiting().insert(id, WaitingCaller { answer, domain: None, page: None });
            Waiter { id, answered, submissions: self, _place: place }
        }
    }

    /// Tells whether somebody still waits for a page.
    pub fn has(&self, id: SubmissionId) -> bool {
        self.waiting().contains_key(&id)
    }

    /// Keeps what was read until the engine has settled the request.
    pub fn keep(&self, id: SubmissionId, url: Arc<str>, items: Vec<Arc<I>>) {
        if let Some(waiting) = self.waiting().get_mut(&id) {
            waiting.page = Some((url, items));
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<SubmissionId, WaitingCaller<I>>> {
        // Nothing that is done under it panics.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I: Send + Sync> SubmissionEnds for Submissions<I> {
    fn ended(&self, id: SubmissionId, end: SubmissionEnd) {
        // Dropped and sent after the lock is released: items are of a user's own type.
        let Some(WaitingCaller { answer, page, .. }) = self.waiting().remove(&id) else { return };
        guarded(move || {
            let submitted = match end {
                SubmissionEnd::Read => page.map(|(url, items)| Submitted::Page { url, items }),
                SubmissionEnd::AlreadySeen => Some(Submitted::AlreadySeen),
                SubmissionEnd::FailedBefore(end) => Some(Submitted::FailedBefore(end)),
                SubmissionEnd::Dropped(reason) => Some(Submitted::Dropped(reason)),
                SubmissionEnd::Failed(outcome) => Some(Submitted::Failed(outcome)),
                SubmissionEnd::Elsewhere => None,
            };
            // A caller that no longer waits needs no answer.
            drop(submitted.map(|submitted| answer.send(submitted)));
        });
    }

    fn queued(&self, id: SubmissionId, domain: &Domain) {
        if let Some(waiting) = self.waiting().get_mut(&id) {
            waiting.domain = Some(domain.clone());
        }
    }

    fn lost(&self, domains: &[Domain]) {
        let domains: HashSet<_> = domains.iter().collect();
        let is_lost = |_: &SubmissionId, waiting: &mut WaitingCaller<I>| {
            waiting.domain.as_ref().is_some_and(|of| domains.contains(of))
        };
        // Dropped after the lock is released, as above.
        let lost: Vec<_> = self.waiting().extract_if(is_lost).collect();
        for lost in lost {
            guarded(move || drop(lost));
        }
    }
}

/// Does what may drop items, whose `Drop` is a user's own and may panic: that is no matter of the engine's thread.
fn guarded(drop_items: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(drop_items)) {
        tracing::error!(panic = message_of(&*panic), "an item panicked when it was dropped");
    }
}

/// Waits for one page. Nothing is left of it when it is dropped.
pub(crate) struct Waiter<I> {
    /// The ID that the request is to have.
    pub id: SubmissionId,
    /// What becomes of the page. The sender is dropped if nobody will hear of it.
    pub answered: oneshot::Receiver<Submitted<I>>,
    submissions: Arc<Submissions<I>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl<I> Drop for Waiter<I> {
    fn drop(&mut self) {
        let waiting = self.submissions.waiting().remove(&self.id);
        drop(waiting);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn submissions() -> Arc<Submissions<u32>> {
        Arc::default()
    }

    #[test]
    fn who_waits_no_longer_leaves_nothing_behind() {
        let submissions = submissions();
        let waiter = submissions.clone().wait().now_or_never().unwrap();
        submissions.keep(waiter.id, "http://a.test/".into(), vec![Arc::new(1)]);
        assert!(submissions.has(waiter.id));
        let id = waiter.id;
        drop(waiter);
        assert!(!submissions.has(id) && submissions.waiting().is_empty());
        submissions.ended(id, SubmissionEnd::Read);
        assert_eq!(submissions.places.available_permits(), MAX_WAITING);
    }

    #[test]
    fn each_is_answered_once_and_by_its_own_page() {
        let submissions = submissions();
        let [mut one, mut other] = [(); 2].map(|()| submissions.clone().wait().now_or_never().unwrap());
        submissions.keep(other.id, "http://b.test/".into(), vec![Arc::new(2)]);
        submissions.keep(one.id, "http://a.test/".into(), vec![Arc::new(1)]);
        submissions.ended(one.id, SubmissionEnd::Read);
        submissions.ended(one.id, SubmissionEnd::AlreadySeen);
        let Ok(Submitted::Page { url, items }) = one.answered.try_recv() else { panic!("no page") };
        assert_eq!((&*url, *items[0]), ("http://a.test/", 1));
        submissions.ended(other.id, SubmissionEnd::Elsewhere);
        assert_eq!(other.answered.try_recv().err(), Some(oneshot::error::TryRecvError::Closed));
    }

    /// Regression: they were waited for until the crawl ended.
    #[test]
    fn what_waits_in_a_domain_that_another_process_takes_over_is_waited_for_no_more() {
        let submissions = submissions();
        let [mut one, mut other, mut moved] = [(); 3].map(|()| submissions.clone().wait().now_or_never().unwrap());
        let [a, b] = ["a.test", "b.test"].map(Domain::new);
        submissions.queued(one.id, &a);
        submissions.queued(other.id, &b);
        submissions.queued(moved.id, &a);
        submissions.queued(moved.id, &b);
        submissions.lost(std::slice::from_ref(&a));
        assert_eq!(one.answered.try_recv().err(), Some(oneshot::error::TryRecvError::Closed));
        for waits in [&mut other, &mut moved] {
            assert_eq!(waits.answered.try_recv().err(), Some(oneshot::error::TryRecvError::Empty));
        }
    }

    struct Bad;

    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("on drop");
        }
    }

    /// Regression: the panic ended the crawl, on whose thread an item was dropped that nobody waited for any more.
    #[test]
    fn an_item_that_panics_when_it_is_dropped_harms_nobody() {
        let (submissions, domain) = (Arc::<Submissions<Bad>>::default(), Domain::new("a.test"));
        for end in [Some(SubmissionEnd::Read), Some(SubmissionEnd::AlreadySeen), None] {
            let mut waiter = submissions.clone().wait().now_or_never().unwrap();
            submissions.keep(waiter.id, "http://a.test/".into(), vec![Arc::new(Bad)]);
            submissions.queued(waiter.id, &domain);
            waiter.answered.close();
            match end {
                Some(end) => submissions.ended(waiter.id, end),
                None => submissions.lost(std::slice::from_ref(&domain)),
            }
            assert!(submissions.waiting().is_empty());
        }
    }

    #[test]
    fn beyond_the_bound_callers_wait_for_a_place() {
        let submissions = submissions();
        let mut held: Vec<_> = (0..MAX_WAITING).map(|_| submissions.clone().wait().now_or_never().unwrap()).collect();
        assert!(submissions.clone().wait().now_or_never().is_none());
        held.pop();
        assert!(submissions.clone().wait().now_or_never().is_some());
    }
}
