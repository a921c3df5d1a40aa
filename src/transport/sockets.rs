//! Sockets: the registry of an arbiter's open connections. Closes idle ones and bounds their number; awc's pool does
//! neither.

use crate::clock;
use std::{
    cell::{Cell, RefCell},
    io,
    net::IpAddr,
    rc::{Rc, Weak},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::timeout_at,
};

use super::stream::{SharedStream, Stream};

/// Bounds the open sockets of all arbiters of one crawl. Waiting requests are served in order, on whichever arbiter
/// they are.
#[derive(Clone, Debug)]
pub struct SocketBudget {
    most: usize,
    free: Arc<Semaphore>,
    demand: Arc<Demand>,
}

/// The requests that wait for a place, so that every arbiter can make room.
#[derive(Debug, Default)]
struct Demand {
    waiting: AtomicUsize,
    called: Notify,
}

impl SocketBudget {
    /// Allows at most `most` open sockets.
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self { most, free: Arc::new(Semaphore::new(most)), demand: Arc::default() }
    }
}

/// The open connections of one arbiter.
pub struct Sockets {
    budget: SocketBudget,
    /// Scanned linearly, which takes microseconds for the usual 512: once for each new connection while the bound is
    /// reached, and at each sweep. Keeping it ordered by idle time would cost more, at every request.
    open: RefCell<Vec<Weak<SocketSlot>>>,
    keep_alive: Duration,
}

/// One open connection. The registry can take its stream while it idles in awc's pool, which then finds it closed.
pub struct SocketSlot {
    stream: SharedStream,
    idle_since: Cell<Option<Instant>>,
    place: RefCell<Option<OwnedSemaphorePermit>>,
    demand: Arc<Demand>,
    server: Option<IpAddr>,
}

/// How often idle connections are looked for; the keep-alive time is exact to this.
const SWEEP: Duration = Duration::from_millis(500);

impl Sockets {
    /// Creates the registry of an arbiter and starts its sweep, which ends when the registry is dropped.
    pub fn new(budget: SocketBudget, keep_alive: Duration) -> Rc<Self> {
        let demand = budget.demand.clone();
        let sockets = Rc::new(Self { budget, open: RefCell::default(), keep_alive });
        actix_rt::spawn(sweep(Rc::downgrade(&sockets), demand));
        sockets
    }

    /// Waits for a place for one more socket; idle sockets of all arbiters are closed to make room.
    pub async fn place(&self) -> OwnedSemaphorePermit {
        loop {
            if let Some(place) = self.spare_place() {
                return place;
            }
            let waiting = WaitingRequest::begin(self.budget.demand.clone());
            let place = self.budget.free.clone().acquire_owned().await;
            drop(waiting);
            // The semaphore is never closed, so `acquire` never fails.
            if let Ok(place) = place {
                return place;
            }
        }
    }

    /// Returns a place for one more socket if available, closing idle sockets of this arbiter if necessary, the longest
    /// idle first.
    pub fn spare_place(&self) -> Option<OwnedSemaphorePermit> {
        let free = || self.budget.free.clone().try_acquire_owned().ok();
        // A freed place goes to earlier waiters first, so closing one idle socket may not be enough.
        let after_closing = || std::iter::from_fn(|| self.close_longest_idle().then(free)).flatten().next();
        free().or_else(after_closing)
    }

    /// Tells whether anybody but the caller has a place.
    pub fn are_others_open(&self) -> bool {
        self.budget.free.available_permits() + 1 < self.budget.most
    }

    /// Closes an idle socket, of whichever arbiter, and as long as the result is held each one that becomes idle: the
    /// system has none to give.
    pub fn want_room(&self) -> impl Sized + use<> {
        WaitingRequest::begin(self.budget.demand.clone())
    }

    /// Registers an open stream to a server, whose address is known unless a proxy is between.
    pub fn register(
        &self,
        stream: Box<dyn Stream>,
        place: OwnedSemaphorePermit,
        server: Option<IpAddr>,
    ) -> Rc<SocketSlot> {
        let slot = Rc::new(SocketSlot {
            stream: RefCell::new(Some(stream)),
            idle_since: Cell::new(None),
            place: RefCell::new(Some(place)),
            demand: self.budget.demand.clone(),
            server,
        });
        self.open.borrow_mut().push(Rc::downgrade(&slot));
        slot
    }

    /// Closes one idle connection for each waiting request. Several arbiters may each close one for the same request;
    /// while requests wait, idle connections are worth little.
    fn make_room(&self) {
        for _ in 0..self.budget.demand.waiting.load(SeqCst) {
            if !self.close_longest_idle() {
                return;
            }
        }
    }

    fn close_longest_idle(&self) -> bool {
        let open = self.open.borrow();
        let idle = open.iter().filter_map(Weak::upgrade).filter_map(|slot| Some((slot.idle_since.get()?, slot)));
        let longest = idle.min_by_key(|(since, _)| *since);
        if let Some((_, slot)) = &longest {
            slot.close();
        }
        longest.is_some()
    }

    fn close_idle_for(&self, at_least: Duration, now: Instant) {
        self.open.borrow_mut().retain(|slot| {
            let Some(slot) = slot.upgrade() else { return false };
            let idles = slot.idle_since.get().is_some_and(|since| now.saturating_duration_since(since) >= at_least);
            if idles {
                slot.close();
            }
            slot.is_open()
        });
    }
}

/// A waiting request. Its drop corrects the count, also when the wait is abandoned.
struct WaitingRequest(Arc<Demand>);

impl WaitingRequest {
    /// Increments the count, then notifies. A connection that becomes idle afterwards reads the count, and the sweeps
    /// of already idle ones receive the notification; so no idle connection is missed.
    fn begin(demand: Arc<Demand>) -> Self {
        demand.waiting.fetch_add(1, SeqCst);
        demand.called.notify_waiters();
        Self(demand)
    }
}

impl Drop for WaitingRequest {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, SeqCst);
    }
}

async fn sweep(sockets: Weak<Sockets>, demand: Arc<Demand>) {
    let mut next = clock::now() + SWEEP;
    loop {
        // Register for notifications before looking, so that none is missed in between.
        let called = demand.called.notified();
        let Some(sockets) = sockets.upgrade() else { return };
        sockets.make_room();
        let now = clock::now();
        // Checked also while notifications keep coming; otherwise closed slots would never be removed.
        if now >= next {
            sockets.close_idle_for(sockets.keep_alive, now);
            next = now + SWEEP;
        }
        drop(sockets);
        // Look again, whether notified or timed out.
        let _ = timeout_at(next.into(), called).await;
    }
}

impl SocketSlot {
    /// Returns the stream; `None` once it is closed.
    pub fn stream(&self) -> &SharedStream {
        &self.stream
    }

    /// Marks the connection as busy.
    pub fn busy(&self) {
        self.idle_since.set(None);
    }

    /// Marks the connection as idle; closes it at once if a request waits for its place.
    pub fn idle(&self) {
        if self.demand.waiting.load(SeqCst) > 0 {
            self.close();
        } else if self.is_open() {
            self.idle_since.set(Some(clock::now()));
        }
    }

    /// See [`Stream::discard_when_closed`].
    ///
    /// # Errors
    /// The system refuses.
    pub fn discard_when_closed(&self, discards: bool) -> io::Result<()> {
        self.stream.borrow().as_ref().map_or(Ok(()), |stream| stream.discard_when_closed(discards))
    }

    /// Closes the connection and frees its place.
    pub fn close(&self) {
        self.idle_since.set(None);
        self.stream.take();
        self.place.take();
    }

    /// Returns the address of the server, if it is known.
    pub fn server(&self) -> Option<IpAddr> {
        self.server
    }

    fn is_open(&self) -> bool {
        self.place.borrow().is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use futures_util::FutureExt;
    use tokio::time::{sleep, timeout};

    use super::*;

    const KEEP_ALIVE: Duration = Duration::from_secs(15);

    /// Longer than waking a task takes, and shorter than a sweep.
    const SOON: Duration = Duration::from_millis(200);

    fn on_arbiter<T>(test: impl Future<Output = T>) -> T {
        actix_rt::System::new().block_on(test)
    }

    async fn open(sockets: &Sockets) -> Rc<SocketSlot> {
        let place = timeout(SOON, sockets.place()).await.expect("a place in time");
        sockets.register(Box::new(tokio::io::duplex(1).0), place, None)
    }

    #[test]
    fn the_longest_idle_makes_room() {
        on_arbiter(async {
            let sockets = Sockets::new(SocketBudget::new(3), KEEP_ALIVE);
            let (busy, older, newer) = (open(&sockets).await, open(&sockets).await, open(&sockets).await);
            older.idle();
            newer.idle();
            let fourth = open(&sockets).await;
            assert!(busy.is_open() && !older.is_open() && newer.is_open() && fourth.is_open());
            let spare = sockets.spare_place();
            assert!(spare.is_some() && !newer.is_open(), "also for one that is only to spare");
            assert!(sockets.spare_place().is_none(), "what is busy stays");
        });
    }

    #[test]
    fn idle_sockets_of_another_arbiter_make_room_before_the_next_sweep() {
        on_arbiter(async {
            let budget = SocketBudget::new(2);
            let (here, there) = (Sockets::new(budget.clone(), KEEP_ALIVE), Sockets::new(budget, KEEP_ALIVE));
            let (first, second) = (open(&there).await, open(&there).await);
            first.idle();
            let third = open(&here).await;
            assert!(!first.is_open() && second.is_open() && third.is_open());
        });
    }

    #[test]
    fn a_socket_that_becomes_idle_while_somebody_waits_is_closed_at_once() {
        on_arbiter(async {
            let budget = SocketBudget::new(1);
            let (here, there) = (Sockets::new(budget.clone(), KEEP_ALIVE), Sockets::new(budget, KEEP_ALIVE));
            let only = open(&there).await;
            let mut waiting = Box::pin(here.place());
            assert!(waiting.as_mut().now_or_never().is_none());
            only.idle();
            assert!(waiting.now_or_never().is_some(), "the place is handed over without a timer");
        });
    }

    #[test]
    fn a_wait_that_is_given_up_closes_nothing_later() {
        on_arbiter(async {
            let sockets = Sockets::new(SocketBudget::new(1), KEEP_ALIVE);
            let only = open(&sockets).await;
            assert!(timeout(Duration::from_millis(1), sockets.place()).await.is_err());
            only.idle();
            assert!(only.is_open());
            only.busy();
            drop(only);
            assert!(sockets.spare_place().is_some(), "a dropped connection gives its place back");
        });
    }

    #[test]
    fn a_socket_idles_no_longer_than_it_is_kept_alive() {
        on_arbiter(async {
            let sockets = Sockets::new(SocketBudget::new(9), KEEP_ALIVE);
            let (busy, idle) = (open(&sockets).await, open(&sockets).await);
            idle.idle();
            let since = idle.idle_since.get().unwrap();
            sockets.close_idle_for(KEEP_ALIVE, since + KEEP_ALIVE / 2);
            assert!(idle.is_open());
            sockets.close_idle_for(KEEP_ALIVE, since + KEEP_ALIVE);
            assert!(!idle.is_open() && busy.is_open());
            assert_eq!(sockets.open.borrow().len(), 1, "what is closed is forgotten");
            idle.idle();
            assert!(idle.idle_since.get().is_none(), "what is closed does not idle");
        });
    }

    /// Regression: with notifications more often than every half second, the registry never removed closed connections.
    #[test]
    fn what_is_closed_is_forgotten_also_while_calls_never_cease() {
        on_arbiter(async {
            let sockets = Sockets::new(SocketBudget::new(9), KEEP_ALIVE);
            drop(open(&sockets).await);
            for _ in 0..30 {
                sockets.budget.demand.called.notify_waiters();
                sleep(SWEEP / 10).await;
            }
            assert!(sockets.open.borrow().is_empty());
        });
    }
}
