//! Streams: brings each event to those who watch a crawl, as far as they keep up. Knows neither what happened nor why.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures_util::Stream;

use super::CrawlEvent;
use crate::events::event::Event;

/// The most events that wait in one stream, some 3 MB: what a fast crawl does while its reader is busy for a moment.
/// When so many wait, further ones are left out until half of them are read, and
/// [`Happened::LeftOut`](super::Happened::LeftOut) stands in their place: so there is a gap a hundred times, and not a
/// thousand.
pub const BUFFER: usize = 8_192;

/// The streams of one crawl: written by its scheduler, which never waits for a reader.
#[derive(Default)]
pub struct Streams {
    /// How many there are, so that a crawl that nobody watches looks at one number.
    open: AtomicUsize,
    inboxes: Mutex<Vec<Arc<Inbox>>>,
}

/// The events that wait for one reader.
#[derive(Default)]
struct Inbox(Mutex<WaitingEvents>);

#[derive(Default)]
struct WaitingEvents {
    events: VecDeque<CrawlEvent>,
    /// Whether the reader is behind: nothing more is taken until half of the events are read.
    is_behind: bool,
    /// Left out after the last of the waiting events.
    gap: u64,
    /// Left out so far.
    left_out: u64,
    waker: Option<Waker>,
}

type LastEvent = Pin<Box<dyn Future<Output = Option<CrawlEvent>> + Send>>;

/// The events of a crawl, from the moment on when it was made: a [`Stream`](https://docs.rs/futures-core). Ends with
/// [`Happened::CrawlEnded`](super::Happened::CrawlEnded).
///
/// It costs the crawl nothing to be read slowly, or never: [`BUFFER`] events wait at most, and what comes while they do
/// is counted and left out.
///
/// ```
/// use actix_crawler::{events::CrawlEvents, prelude::*};
///
/// /// Prints each event as a line of JSON.
/// async fn print(crawl: &CrawlHandle) {
///     let mut events = crawl.events();
///     while let Some(event) = events.next().await {
///         println!("{}", serde_json::to_string(&event).unwrap());
///     }
///     println!("{} were left out", events.left_out());
/// }
/// ```
pub struct CrawlEvents {
    inbox: Arc<Inbox>,
    streams: Arc<Streams>,
    /// Made when the crawl has ended; `None` after it.
    last: Option<LastEvent>,
}

impl Streams {
    /// Opens a stream, which ends with the `last` event when that comes.
    pub fn open(self: &Arc<Self>, last: impl Future<Output = Option<CrawlEvent>> + Send + 'static) -> CrawlEvents {
        let inbox = Arc::<Inbox>::default();
        let mut inboxes = self.inboxes();
        inboxes.push(inbox.clone());
        self.open.store(inboxes.len(), Ordering::Relaxed);
        drop(inboxes);
        CrawlEvents { inbox, streams: self.clone(), last: Some(Box::pin(last)) }
    }

    /// Tells whether anybody watches.
    pub fn is_watched(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }

    /// Brings an event to all streams. It is copied once, and only if one of them has room.
    pub fn note(&self, event: &Event<'_>) {
        if !self.is_watched() {
            return;
        }
        let mut copied = None;
        let mut copy = || copied.get_or_insert_with(|| CrawlEvent::of(event)).clone();
        let inboxes = self.inboxes();
        let wakers: Vec<_> = inboxes.iter().filter_map(|inbox| inbox.waiting().offer(&mut copy)).collect();
        drop(inboxes);
        for waker in wakers {
            // Code of the reader's runtime: a panic there is not the crawl's.
            if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
                tracing::warn!("the reader of a crawl's events panicked when it was woken");
            }
        }
    }

    fn close(&self, inbox: &Arc<Inbox>) {
        let mut inboxes = self.inboxes();
        inboxes.retain(|open| !Arc::ptr_eq(open, inbox));
        self.open.store(inboxes.len(), Ordering::Relaxed);
    }

    /// Locked only while events are moved.
    fn inboxes(&self) -> MutexGuard<'_, Vec<Arc<Inbox>>> {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    fn waiting(&self) -> MutexGuard<'_, WaitingEvents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingEvents {
    /// Takes an event if there is room, and counts it otherwise. Returns who is to be woken.
    fn offer(&mut self, copy: &mut impl FnMut() -> Option<CrawlEvent>) -> Option<Waker> {
        self.is_behind = self.events.len() >= if self.is_behind { BUFFER / 2 } else { BUFFER };
        if self.is_behind {
            self.gap += 1;
            self.left_out += 1;
            return None;
        }
        let event = copy()?;
        let gap = self.take_gap();
        self.events.extend(gap);
        self.events.push_back(event);
        self.waker.take()
    }

    /// Takes what stands in place of the events that were left out last.
    fn take_gap(&mut self) -> Option<CrawlEvent> {
        let gap = std::mem::take(&mut self.gap);
        (gap > 0).then(|| CrawlEvent::left_out(gap))
    }
}

impl CrawlEvents {
    /// Returns the next event; `None` after the end of the crawl.
    pub async fn next(&mut self) -> Option<CrawlEvent> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Returns how many events this stream has left out so far.
    pub fn left_out(&self) -> u64 {
        self.inbox.waiting().left_out
    }

    fn take(&self, waker: &Waker) -> Option<CrawlEvent> {
        let mut waiting = self.inbox.waiting();
        let event = waiting.events.pop_front().or_else(|| waiting.take_gap());
        if event.is_none() {
            waiting.waker = Some(waker.clone());
        }
        event
    }
}

impl Stream for CrawlEvents {
    type Item = CrawlEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<CrawlEvent>> {
        if let Some(event) = self.take(context.waker()) {
            return Poll::Ready(Some(event));
        }
        let Some(last) = &mut self.last else { return Poll::Ready(None) };
        let Poll::Ready(event) = last.as_mut().poll(context) else { return Poll::Pending };
        // Others may have come between the two looks.
        if let Some(before) = self.take(context.waker()) {
            self.last = Some(Box::pin(std::future::ready(event)));
            return Poll::Ready(Some(before));
        }
        self.last = None;
        Poll::Ready(event)
    }
}

impl Drop for CrawlEvents {
    fn drop(&mut self) {
        self.streams.close(&self.inbox);
    }
}

impl fmt::Debug for CrawlEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.inbox.waiting();
        f.debug_struct("CrawlEvents")
            .field("waiting", &waiting.events.len())
            .field("left_out", &waiting.left_out)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::{
        events::Happened,
        report::{Ended, Report},
        stats::Stats,
    };

    fn note(streams: &Streams, numbers: std::ops::Range<usize>) {
        numbers.for_each(|seeds| streams.note(&Event::Seeded { seeds }));
    }

    fn never() -> impl Future<Output = Option<CrawlEvent>> {
        std::future::pending()
    }

    /// What can be read now: numbers of events, and how many are left out between them.
    fn read(events: &mut CrawlEvents, max: usize) -> (Vec<u64>, Vec<u64>) {
        let (mut numbers, mut gaps) = (Vec::new(), Vec::new());
        for event in std::iter::from_fn(|| events.next().now_or_never().flatten()).take(max) {
            match event.what {
                Happened::Seeded { seeds } => numbers.push(seeds),
                Happened::LeftOut { events } => gaps.push(events),
                other => panic!("{other:?}"),
            }
        }
        (numbers, gaps)
    }

    #[test]
    fn a_stream_that_is_not_read_holds_what_came_first_and_counts_the_rest() {
        let streams = Arc::<Streams>::default();
        let mut events = streams.open(never());
        note(&streams, 0..3 * BUFFER);
        assert_eq!(events.inbox.waiting().events.len(), BUFFER);
        let (numbers, gaps) = read(&mut events, usize::MAX);
        assert!(numbers.iter().copied().eq(0..BUFFER as u64));
        assert_eq!((gaps, events.left_out()), (vec![2 * BUFFER as u64], 2 * BUFFER as u64));
    }

    #[test]
    fn events_that_were_left_out_are_counted_where_they_are_missing() {
        let streams = Arc::<Streams>::default();
        let mut events = streams.open(never());
        note(&streams, 0..BUFFER + 10);
        read(&mut events, BUFFER / 2);
        note(&streams, BUFFER + 10..BUFFER + 11);
        assert_eq!(events.left_out(), 11, "half of them are to be read first");
        read(&mut events, 1);
        note(&streams, BUFFER + 11..BUFFER + 12);
        let (numbers, gaps) = read(&mut events, usize::MAX);
        assert_eq!((numbers.last(), gaps), (Some(&(BUFFER as u64 + 11)), vec![11]));
        assert_eq!(numbers.len(), BUFFER / 2);
    }

    #[test]
    fn a_stream_begins_when_it_is_opened_and_nothing_is_copied_after_the_last_is_dropped() {
        let streams = Arc::<Streams>::default();
        note(&streams, 0..1);
        assert!(!streams.is_watched());
        let mut one = streams.open(never());
        note(&streams, 1..2);
        let mut other = streams.open(never());
        note(&streams, 2..3);
        assert_eq!((read(&mut one, 9).0, read(&mut other, 9).0), (vec![1, 2], vec![2]));
        drop(one);
        assert!(streams.is_watched());
        drop(other);
        assert!(!streams.is_watched() && streams.inboxes().is_empty());
    }

    #[test]
    fn the_last_event_says_how_the_crawl_ended_and_comes_after_all_others() {
        let streams = Arc::<Streams>::default();
        let report = Report::new(Stats::default(), Ended::Stopped, Vec::new());
        let last = CrawlEvent::end(&report, crate::clock::wall());
        let mut events = streams.open(std::future::ready(Some(last)));
        note(&streams, 0..1);
        let mut next = || events.next().now_or_never().unwrap().map(|event| event.what);
        assert_eq!(next(), Some(Happened::Seeded { seeds: 0 }));
        assert!(matches!(next(), Some(Happened::CrawlEnded { ended: Ended::Stopped, pages: 0, .. })));
        assert_eq!(next(), None);
        assert_eq!(next(), None);
    }
}
