//! Sockets: the open connections of one arbiter, so that idle ones are closed and their number stays bounded. awc's
//! pool does neither by itself.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::{BoxedStream, Stream};

/// The sockets that all arbiters of one crawl may have open together.
#[derive(Clone, Debug)]
pub struct SocketBudget {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl SocketBudget {
    /// Allows at most `most` sockets.
    pub fn new(most: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS))), waiting: Arc::default() }
    }
}

/// The open connections of one arbiter.
pub struct Sockets {
    budget: SocketBudget,
    open: RefCell<Vec<Weak<Slot>>>,
    keep_alive: Duration,
}

/// One open connection. Its stream can be taken away while it idles in awc's pool, which then finds it closed.
pub struct Slot {
    stream: BoxedStream,
    idle_since: Cell<Option<Instant>>,
    place: RefCell<Option<OwnedSemaphorePermit>>,
}

/// How often idle connections are looked for; the time that one idles is exact to this.
const SWEEP: Duration = Duration::from_millis(500);

/// How often when somebody waits for a place.
const SWEEP_WHEN_FULL: Duration = Duration::from_millis(10);

impl Sockets {
    /// Creates the registry of an arbiter and starts to sweep it; the sweeping ends with the registry.
    pub fn new(budget: SocketBudget, keep_alive: Duration) -> Rc<Self> {
        let sockets = Rc::new(Self { budget, open: RefCell::default(), keep_alive });
        actix_rt::spawn(sweep(Rc::downgrade(&sockets)));
        sockets
    }

    /// Waits for a place for one more socket; idle ones make room.
    pub async fn place(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(place) = self.budget.free.clone().try_acquire_owned() {
                return place;
            }
            if self.close_longest_idle() {
                continue;
            }
            self.budget.waiting.fetch_add(1, Ordering::Relaxed);
            let waiting = Waiting(&self.budget.waiting);
            let place = self.budget.free.clone().acquire_owned().await;
            drop(waiting);
            if let Ok(place) = place {
                return place;
            }
        }
    }

    /// Returns a place for one more socket if there is one to spare.
    pub fn spare_place(&self) -> Option<OwnedSemaphorePermit> {
        self.budget.free.clone().try_acquire_owned().ok()
    }

    /// Registers an open stream.
    pub fn register(&self, stream: Box<dyn Stream>, place: OwnedSemaphorePermit) -> Rc<Slot> {
        let slot = Rc::new(Slot {
            stream: RefCell::new(Some(stream)),
            idle_since: Cell::new(None),
            place: RefCell::new(Some(place)),
        });
        self.open.borrow_mut().push(Rc::downgrade(&slot));
        slot
    }

    fn close_longest_idle(&self) -> bool {
        let open = self.open.borrow();
        let idle = open.iter().filter_map(Weak::upgrade).filter_map(|slot| Some((slot.idle_since.get()?, slot)));
        match idle.min_by_key(|(since, _)| *since) {
            Some((_, slot)) => {
                slot.close();
                true
            }
            None => false,
        }
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

/// Takes its count back also when the wait is given up.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn sweep(sockets: Weak<Sockets>) {
    let mut full = false;
    loop {
        tokio::time::sleep(if full { SWEEP_WHEN_FULL } else { SWEEP }).await;
        let Some(sockets) = sockets.upgrade() else { return };
        full = sockets.budget.waiting.load(Ordering::Relaxed) > 0;
        let at_least = if full { Duration::ZERO } else { sockets.keep_alive };
        #[allow(clippy::disallowed_methods, reason = "the age of sockets is real time")]
        sockets.close_idle_for(at_least, Instant::now());
    }
}

impl Slot {
    /// Returns the stream; `None` once it is closed.
    pub fn stream(&self) -> &BoxedStream {
        &self.stream
    }

    /// Notes that a request is served.
    pub fn busy(&self) {
        self.idle_since.set(None);
    }

    /// Notes that the connection has nothing to do.
    pub fn idle(&self) {
        #[allow(clippy::disallowed_methods, reason = "the age of sockets is real time")]
        self.idle_since.set(Some(Instant::now()));
    }

    /// Closes the connection and frees its place.
    pub fn close(&self) {
        self.idle_since.set(None);
        self.stream.take();
        self.place.take();
    }

    fn is_open(&self) -> bool {
        self.place.borrow().is_some()
    }
}
