//! Window: the part of one domain's queue that is in memory, and what is known of the rest. Knows no store and no
//! leases.

use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

use hashbrown::HashSet;

use super::entry::{Entry, QueuePosition};
use crate::{frontier::Waiting, request::Request};

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Delayed {
    until: Instant,
    entry: Entry,
}

/// One domain's queue, with its first entries in memory.
///
/// Every entry that is only in the store is at or after `floor`, or is an evicted one, whose delay has not ended. So an
/// entry in memory before `floor` is the next one.
#[derive(Debug, Default)]
pub struct QueueWindow {
    ready: BinaryHeap<Reverse<Entry>>,
    delayed: BinaryHeap<Reverse<Delayed>>,
    /// `None` if all waiting entries are in memory, or evicted.
    floor: Option<QueuePosition>,
    evicted: Option<Evicted>,
    reading: Option<Box<Reading>>,
    /// Entries in the store: waiting or leased.
    pub stored: u64,
    /// Leased entries.
    pub lent: u64,
    /// Whether the number of entries has changed since the last commit.
    pub touched: bool,
}

/// Delayed entries that were removed from memory, and are in the store only, wherever their places are.
#[derive(Clone, Copy, Debug)]
struct Evicted {
    /// The first of their places.
    from: QueuePosition,
    /// When the first of their delays ends.
    until: Instant,
}

/// Changes since a read from the store began, which its result may not include.
#[derive(Debug, Default)]
struct Reading {
    /// Entries removed since; the result may still contain them.
    removed: HashSet<u64>,
    /// The first entry left to the store since; the result may not contain it yet.
    floor: Option<QueuePosition>,
}

impl QueueWindow {
    /// Creates the window of a queue that is entirely in the store.
    pub fn stored(stored: u64) -> Self {
        Self { floor: Some(QueuePosition::FIRST), stored, ..Self::default() }
    }

    /// Tells whether a new entry can be kept in memory, with fewer than `max` others.
    pub fn takes(&self, place: QueuePosition, max: usize) -> bool {
        self.ready.len() < max && self.floor.is_none_or(|floor| place < floor)
    }

    /// Keeps an entry in memory.
    pub fn push(&mut self, entry: Entry, until: Option<Instant>) {
        match until {
            Some(until) => self.delayed.push(Reverse(Delayed { until, entry })),
            None => self.ready.push(Reverse(entry)),
        }
    }

    /// Records an entry that is only in the store.
    pub fn leave_in_store(&mut self, place: QueuePosition) {
        lower(&mut self.floor, Some(place));
        if let Some(reading) = &mut self.reading {
            lower(&mut reading.floor, Some(place));
        }
    }

    /// Removes delayed entries from memory but for the `keep` whose delays end first. Returns their numbers.
    pub fn evict_delayed(&mut self, keep: usize) -> Vec<u64> {
        // The last delay comes first.
        let mut delayed = std::mem::take(&mut self.delayed).into_sorted_vec();
        let kept = delayed.split_off(delayed.len().saturating_sub(keep));
        self.delayed = kept.into();
        for Reverse(Delayed { until, entry: Entry { place, .. } }) in &delayed {
            let evicted = self.evicted.get_or_insert(Evicted { from: *place, until: *until });
            *evicted = Evicted { from: evicted.from.min(*place), until: evicted.until.min(*until) };
            // A read in progress may return it as it was before.
            self.removed(place.age);
        }
        delayed.into_iter().map(|Reverse(delayed)| delayed.entry.place.age).collect()
    }

    /// Lets the evicted entries be read again.
    fn recall_evicted(&mut self) {
        if let Some(evicted) = self.evicted.take() {
            self.leave_in_store(evicted.from);
        }
    }

    /// Moves entries whose delay has passed to the others.
    pub fn wake(&mut self, now: Instant) {
        while self.delayed.peek().is_some_and(|Reverse(first)| first.until <= now) {
            if let Some(Reverse(delayed)) = self.delayed.pop() {
                self.ready.push(Reverse(delayed.entry));
            }
        }
        if self.evicted.is_some_and(|evicted| evicted.until <= now) {
            self.recall_evicted();
        }
    }

    /// Tells whether the first entry is in memory and may be leased now.
    pub fn can_pop(&self) -> bool {
        match (self.ready.peek(), self.floor) {
            (Some(Reverse(first)), Some(floor)) => first.place < floor,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// Removes and returns the first entry, if it is in memory and may be leased now.
    pub fn pop(&mut self) -> Option<Entry> {
        if self.can_pop() { self.ready.pop().map(|Reverse(first)| first) } else { None }
    }

    /// Removes at most `max` entries in memory, delayed or not. Evicted ones are read again first.
    pub fn take_any(&mut self, max: usize) -> Vec<Entry> {
        self.recall_evicted();
        let delayed = |queue: &mut Self| queue.delayed.pop().map(|Reverse(delayed)| delayed.entry);
        let next = || self.ready.pop().map(|Reverse(entry)| entry).or_else(|| delayed(self));
        std::iter::from_fn(next).take(max).collect()
    }

    /// Tells whether entries wait, in memory or in the store.
    pub fn has_waiting(&self) -> bool {
        self.waiting() > 0
    }

    /// Returns how many entries wait, in memory or in the store.
    pub fn waiting(&self) -> u64 {
        self.stored.saturating_sub(self.lent)
    }

    /// Tells whether there may be more in the store.
    pub fn has_more(&self) -> bool {
        self.floor.is_some()
    }

    /// Returns how many entries in memory may be leased now.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Returns how many entries are delayed.
    pub fn delayed(&self) -> usize {
        self.delayed.len()
    }

    /// Returns the numbers of the entries in memory.
    pub fn ages(&self) -> impl Iterator<Item = u64> + '_ {
        let delayed = self.delayed.iter().map(|Reverse(delayed)| delayed.entry.place.age);
        self.ready.iter().map(|Reverse(entry)| entry.place.age).chain(delayed)
    }

    /// Looks for an entry in memory: there are a few thousand at most.
    pub fn find(&self, is_it: &dyn Fn(&Request) -> bool) -> Option<Waiting> {
        let ready = self.ready.iter().map(|Reverse(entry)| (entry, None));
        let delayed = self.delayed.iter().map(|Reverse(delayed)| (&delayed.entry, Some(delayed.until)));
        let (entry, not_before) = ready.chain(delayed).find(|(entry, _)| is_it(&entry.request))?;
        let before = self.ready.iter().filter(|Reverse(other)| other < entry);
        let sooner =
            self.delayed.iter().filter(|Reverse(other)| Some(other.until) < not_before && other.entry < *entry);
        let ahead = (before.count() + sooner.count()) as u64;
        Some(Waiting { request: entry.request.clone(), ahead, attempts: entry.attempts, not_before })
    }

    /// Returns when the next delay ends.
    pub fn wakes_at(&self) -> Option<Instant> {
        let in_memory = self.delayed.peek().map(|Reverse(first)| first.until);
        in_memory.into_iter().chain(self.evicted.map(|evicted| evicted.until)).min()
    }

    /// Begins a read; returns its start, or `None` if there is nothing to read or a read is in progress.
    pub fn begin_reading(&mut self) -> Option<QueuePosition> {
        let from = self.floor.filter(|_| self.reading.is_none())?;
        self.reading = Some(Box::default());
        Some(from)
    }

    /// Tells whether a read is in progress.
    pub fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Ends a read that returned entries up to `next`, or `None` for the end of the queue. `choose` gets the entries
    /// removed since the read began, and returns those to keep in memory.
    pub fn end_reading(
        &mut self,
        next: Option<QueuePosition>,
        choose: impl FnOnce(&HashSet<u64>) -> Vec<(Entry, Option<Instant>)>,
    ) {
        let Some(reading) = self.reading.take() else { return };
        for (entry, until) in choose(&reading.removed) {
            self.push(entry, until);
        }
        self.floor = next;
        lower(&mut self.floor, reading.floor);
    }

    /// Records the removal of an entry.
    pub fn removed(&mut self, age: u64) {
        if let Some(reading) = &mut self.reading {
            reading.removed.insert(age);
        }
    }
}

/// Lowers a floor to a place; `None` is after every place.
fn lower(floor: &mut Option<QueuePosition>, to: Option<QueuePosition>) {
    *floor = match (*floor, to) {
        (Some(floor), Some(to)) => Some(floor.min(to)),
        (floor, to) => floor.or(to),
    };
}
