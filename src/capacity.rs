//! Capacity: what several crawls and clients have in common: places for requests in flight, and memory for bodies.
//! Knows no domains and no network.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use crate::{
    clock,
    conduct::{TenantId, TenantQueue},
};

/// A bound that several crawls and clients keep together: on their requests in flight, and on the memory of the bodies
/// that they receive.
///
/// It comes on top of the limits that each has. Robots files, log-ins, redirects and retries count as any request does,
/// each until its last byte, and a robots file until it has been read. Those who have to wait take turns, so that one
/// with much to do does not keep out another.
///
/// ```
/// use actix_crawler::{Capacity, Rate, ThrottledClient, prelude::*};
///
/// let agent = "pricebot/1.0 (+https://example.org/bot)";
/// let capacity = Capacity::of_requests(200).max_in_flight_bytes(128 << 20);
///
/// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
/// let shop = Crawler::new(titles, agent).capacity(&capacity);
/// let news = Crawler::new(titles, agent).capacity(&capacity);
/// let client = ThrottledClient::builder(agent).rate(Rate::per_second(50)).capacity(&capacity).build()?;
/// assert_eq!(capacity.in_flight(), 0);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Capacity {
    places: Arc<CapacityPlaces>,
    memory: BodyMemory,
}

/// The memory for bodies: see `Bodies`, which counts what each takes.
#[derive(Clone, Debug)]
pub(crate) struct BodyMemory {
    /// Unreserved bytes.
    pub left: Arc<Semaphore>,
    /// Held by the one body that exceeds the bound.
    pub pass: Arc<Semaphore>,
}

struct CapacityPlaces {
    most: u32,
    inside: Mutex<CapacityState>,
}

#[derive(Default)]
struct CapacityState {
    taken: u32,
    /// The number of tenants so far; gives each its ID.
    joined: u64,
    queue: TenantQueue,
    listeners: Vec<(TenantId, Weak<dyn HasRoom>)>,
}

/// Is notified when it is a tenant's turn to take a place.
pub(crate) trait HasRoom: Send + Sync {
    /// There is a place. Called from the thread that has left it; must not block, and not take one before it returns.
    fn has_room(&self);
}

/// A crawl or a client, with its turn at the places.
pub(crate) struct CapacityTenant {
    places: Arc<CapacityPlaces>,
    id: TenantId,
}

/// A place for one request in flight. Dropping it *is* the release.
#[must_use = "a place that is dropped is free again"]
pub(crate) struct Place(Arc<CapacityPlaces>);

/// How long a refused tenant waits if it is not told. It is told within microseconds of its turn, unless the turn
/// before its own went to a tenant without work.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The memory for bodies, unless it is given: that of one crawl.
const MAX_IN_FLIGHT_BYTES: u64 = 64 << 20;

impl Capacity {
    /// Creates the capacity for so many requests in flight, with 64 MiB for bodies; 0 is read as 1.
    pub fn of_requests(in_flight: u32) -> Self {
        let places = CapacityPlaces { most: in_flight.max(1), inside: Mutex::default() };
        Self { places: places.into(), memory: BodyMemory::new(MAX_IN_FLIGHT_BYTES) }
    }

    /// Sets the memory for all bodies that are being received, beside 256 KiB for each: see
    /// [`BodyLimits::max_in_flight_bytes`](crate::transport::BodyLimits::max_in_flight_bytes), in whose place it
    /// stands.
    #[must_use]
    pub fn max_in_flight_bytes(self, bytes: u64) -> Self {
        Self { memory: BodyMemory::new(bytes), ..self }
    }

    /// Returns how many places are taken: by requests in flight, and by those that are due within milliseconds.
    pub fn in_flight(&self) -> u32 {
        self.places.lock().taken
    }

    /// Adds a tenant, which is told when it may take a place that it was refused.
    pub(crate) fn join(&self, listener: &Arc<dyn HasRoom>) -> CapacityTenant {
        let mut inside = self.places.lock();
        inside.joined += 1;
        let id = TenantId(inside.joined);
        inside.listeners.push((id, Arc::downgrade(listener)));
        CapacityTenant { places: self.places.clone(), id }
    }

    /// Returns the memory for bodies.
    pub(crate) fn memory(&self) -> &BodyMemory {
        &self.memory
    }
}

impl BodyMemory {
    /// Creates memory of so many bytes.
    pub fn new(max_bytes: u64) -> Self {
        let most = usize::try_from(max_bytes).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { left: Semaphore::new(most).into(), pass: Semaphore::new(1).into() }
    }
}

impl fmt::Debug for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CapacityPlaces { most, .. } = *self.places;
        f.debug_struct("Capacity")
            .field("requests", &most)
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

impl CapacityTenant {
    /// Takes a place.
    ///
    /// # Errors
    /// There is none, or it is another tenant's turn. This one is told when it may ask again; the instant is the
    /// latest.
    pub fn take(&self, now: Instant) -> Result<Place, Instant> {
        let mut inside = self.places.lock();
        let next = inside.queue.lapse(now).filter(|next| *next != self.id);
        if inside.queue.ask(self.id, now).is_err() {
            // Who is next now asks later than its turn lasts, unless it is told.
            let told = next.and_then(|next| inside.listener(next));
            drop(inside);
            notify(told);
            return Err(now + ASK_AGAIN);
        }
        if inside.taken >= self.places.most {
            inside.queue.wait(self.id, None);
            return Err(now + ASK_AGAIN);
        }
        inside.taken += 1;
        let next = inside.queue.took(self.id, now);
        let told = next.and_then(|next| inside.listener(next));
        drop(inside);
        notify(told);
        Ok(Place(self.places.clone()))
    }
}

impl CapacityTenant {
    /// Leaves its turn to the next: it has no work for now.
    pub fn pass(&self) {
        self.leave(self.places.lock());
    }

    fn leave(&self, mut inside: MutexGuard<'_, CapacityState>) {
        inside.queue.leave(self.id);
        // Where there is no place, the next is told when there is one.
        let has_room = inside.taken < self.places.most;
        let next = has_room.then(|| inside.queue.freed(clock::now())).flatten();
        let told = next.and_then(|next| inside.listener(next));
        drop(inside);
        notify(told);
    }
}

impl Drop for CapacityTenant {
    fn drop(&mut self) {
        let mut inside = self.places.lock();
        inside.listeners.retain(|(id, _)| *id != self.id);
        self.leave(inside);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.0.lock();
        inside.taken -= 1;
        let next = inside.queue.freed(clock::now());
        let told = next.and_then(|next| inside.listener(next));
        drop(inside);
        notify(told);
    }
}

impl CapacityPlaces {
    fn lock(&self) -> MutexGuard<'_, CapacityState> {
        // Nothing that is done under it panics.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CapacityState {
    fn listener(&self, tenant: TenantId) -> Option<Arc<dyn HasRoom>> {
        self.listeners.iter().find(|(id, _)| *id == tenant)?.1.upgrade()
    }
}

/// Called without the lock.
fn notify(listener: Option<Arc<dyn HasRoom>>) {
    if let Some(listener) = listener {
        listener.has_room();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicU32);

    impl HasRoom for Counter {
        fn has_room(&self) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    fn tenants(capacity: &Capacity) -> [(CapacityTenant, Arc<Counter>, Arc<dyn HasRoom>); 2] {
        [(); 2].map(|()| {
            let told = Arc::new(Counter::default());
            let listener: Arc<dyn HasRoom> = told.clone();
            (capacity.join(&listener), told, listener)
        })
    }

    #[test]
    fn who_is_refused_is_told_and_goes_before_who_asks_all_the_time() {
        let (capacity, now) = (Capacity::of_requests(2), clock::now());
        let [(greedy, ..), (other, told, _)] = tenants(&capacity);
        let held = [greedy.take(now), greedy.take(now)].map(|place| place.ok());
        assert!(held.iter().all(Option::is_some) && greedy.take(now).is_err() && other.take(now).is_err());
        let [first, second] = held;
        // It asked first, and is first; then the other.
        drop(first);
        let third = greedy.take(now).ok();
        assert!(third.is_some() && told.0.load(SeqCst) == 1 && greedy.take(now).is_err());
        assert!(other.take(now).is_err(), "both are taken");
        drop(second);
        assert!(told.0.load(SeqCst) == 2 && greedy.take(now).is_err(), "it is the other's turn");
        assert!(other.take(now).is_ok_and(|_| capacity.in_flight() == 2));
        drop(third);
        assert_eq!(capacity.in_flight(), 0);
    }

    /// Regression: the second of them never lapsed, and the third waited for as long as both stayed.
    #[test]
    fn two_tenants_that_stop_asking_hold_nobody_up_for_long() {
        let (capacity, now) = (Capacity::of_requests(1), clock::now());
        let [(first, ..), (second, told, _)] = tenants(&capacity);
        let [(third, ..), _] = tenants(&capacity);
        let held = third.take(now).ok();
        assert!(held.is_some() && first.take(now).is_err() && second.take(now).is_err() && third.take(now).is_err());
        drop(held);
        let at = |n: u32| clock::now() + n * ASK_AGAIN;
        assert!(third.take(at(1)).is_err());
        assert_eq!(told.0.load(SeqCst), 1, "it is told when the turn before its own has lapsed");
        assert!((2..4).any(|n| third.take(at(n)).is_ok()));
    }

    /// Regression: a crawl that was paused kept its turn, and the next waited 100 ms.
    #[test]
    fn who_passes_leaves_its_turn_to_the_next_at_once() {
        let (capacity, now) = (Capacity::of_requests(1), clock::now());
        let [(paused, ..), (other, told, _)] = tenants(&capacity);
        let held = paused.take(now).ok();
        assert!(paused.take(now).is_err() && other.take(now).is_err());
        paused.pass();
        assert_eq!(told.0.load(SeqCst), 0, "there is no place yet");
        drop(held);
        assert_eq!(told.0.load(SeqCst), 1);
        let held = other.take(now).ok();
        assert!(held.is_some() && paused.take(now).is_err() && other.take(now).is_err());
        drop(held);
        assert!(other.take(now).is_err(), "it is the turn of who is paused then");
        paused.pass();
        assert_eq!(told.0.load(SeqCst), 2);
        assert!(other.take(now).is_ok());
    }

    #[test]
    fn a_tenant_that_has_its_turn_and_no_work_holds_nobody_up_for_long() {
        let (capacity, now) = (Capacity::of_requests(1), clock::now());
        let [(idle, ..), (other, ..)] = tenants(&capacity);
        let held = other.take(now).ok();
        assert!(idle.take(now).is_err() && other.take(now).is_err());
        drop(held);
        let again = other.take(now).err().unwrap();
        assert!(other.take(again + 10 * ASK_AGAIN).is_ok());
        drop(idle);
        assert!(other.take(now).is_ok());
    }
}
