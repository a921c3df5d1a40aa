//! Window: the part of one domain's queue that is in memory, and what is known of the rest. Knows no store and no loans.

use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

use hashbrown::HashSet;

use super::entry::{Entry, Place};

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Delayed {
    until: Instant,
    entry: Entry,
}

/// One domain's queue, of which the first entries are in memory.
///
/// Every entry that is only in the store stands at or behind `floor`. So an entry in memory before `floor` is the next.
#[derive(Debug, Default)]
pub struct Window {
    ready: BinaryHeap<Reverse<Entry>>,
    delayed: BinaryHeap<Reverse<Delayed>>,
    /// `None` where all that waits is in memory.
    floor: Option<Place>,
    reading: Option<Box<Reading>>,
    /// Entries in the store: waiting, or lent.
    pub stored: u64,
    /// Entries that are lent.
    pub lent: u64,
    /// Whether the number of entries has changed since the last commit.
    pub touched: bool,
}

/// What has changed since the store was asked for more, and may be missing in its answer.
#[derive(Debug, Default)]
struct Reading {
    /// Entries that are gone: the answer may hold them still.
    removed: HashSet<u64>,
    /// The first entry that was left to the store: the answer may not hold it yet.
    floor: Option<Place>,
}

impl Window {
    /// Creates the window of a queue that is wholly in the store.
    pub fn stored(stored: u64) -> Self {
        Self { floor: Some(Place::FIRST), stored, ..Self::default() }
    }

    /// Tells whether a new entry can be kept in memory beside fewer than `max` others.
    pub fn takes(&self, place: Place, max: usize) -> bool {
        self.ready.len() < max && self.floor.is_none_or(|floor| place < floor)
    }

    /// Keeps an entry in memory.
    pub fn push(&mut self, entry: Entry, until: Option<Instant>) {
        match until {
            Some(until) => self.delayed.push(Reverse(Delayed { until, entry })),
            None => self.ready.push(Reverse(entry)),
        }
    }

    /// Leaves an entry to the store.
    pub fn leave_in_store(&mut self, place: Place) {
        lower(&mut self.floor, Some(place));
        if let Some(reading) = &mut self.reading {
            lower(&mut reading.floor, Some(place));
        }
    }

    /// Moves what has waited out its delay to the others.
    pub fn wake(&mut self, now: Instant) {
        while self.delayed.peek().is_some_and(|Reverse(first)| first.until <= now) {
            if let Some(Reverse(delayed)) = self.delayed.pop() {
                self.ready.push(Reverse(delayed.entry));
            }
        }
    }

    /// Tells whether the first entry is in memory and need not wait.
    pub fn can_pop(&self) -> bool {
        match (self.ready.peek(), self.floor) {
            (Some(Reverse(first)), Some(floor)) => first.place < floor,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// Takes the first entry out, if it is in memory and need not wait.
    pub fn pop(&mut self) -> Option<Entry> {
        if self.can_pop() { self.ready.pop().map(|Reverse(first)| first) } else { None }
    }

    /// Takes out at most so many of those in memory, whether they have to wait or not.
    pub fn take_any(&mut self, max: usize) -> Vec<Entry> {
        let delayed = |queue: &mut Self| queue.delayed.pop().map(|Reverse(delayed)| delayed.entry);
        let next = || self.ready.pop().map(|Reverse(entry)| entry).or_else(|| delayed(self));
        std::iter::from_fn(next).take(max).collect()
    }

    /// Tells whether something waits, here or in the store.
    pub fn has_waiting(&self) -> bool {
        self.waiting() > 0
    }

    /// Returns how many entries wait, here or in the store.
    pub fn waiting(&self) -> u64 {
        self.stored.saturating_sub(self.lent)
    }

    /// Tells whether there may be more in the store.
    pub fn has_more(&self) -> bool {
        self.floor.is_some()
    }

    /// Returns how many entries in memory need not wait.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Returns how many entries wait for a later time.
    pub fn delayed(&self) -> usize {
        self.delayed.len()
    }

    /// Returns when the next of those has waited long enough.
    pub fn wakes_at(&self) -> Option<Instant> {
        self.delayed.peek().map(|Reverse(first)| first.until)
    }

    /// Begins to read; returns where from, `None` where there is nothing to read or the store was asked already.
    pub fn begin_reading(&mut self) -> Option<Place> {
        let from = self.floor.filter(|_| self.reading.is_none())?;
        self.reading = Some(Box::default());
        Some(from)
    }

    /// Tells whether the store was asked and has not answered.
    pub fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Takes in what was read up to `next`, `None` for the end of the queue. `choose` gets the entries that are gone since
    /// the question, and returns those to keep in memory.
    pub fn end_reading(
        &mut self,
        next: Option<Place>,
        choose: impl FnOnce(&HashSet<u64>) -> Vec<(Entry, Option<Instant>)>,
    ) {
        let Some(reading) = self.reading.take() else { return };
        for (entry, until) in choose(&reading.removed) {
            self.push(entry, until);
        }
        self.floor = next;
        lower(&mut self.floor, reading.floor);
    }

    /// Notes that an entry is gone.
    pub fn removed(&mut self, age: u64) {
        if let Some(reading) = &mut self.reading {
            reading.removed.insert(age);
        }
    }
}

/// Lowers a floor to a place; `None` is behind every place.
fn lower(floor: &mut Option<Place>, to: Option<Place>) {
    *floor = match (*floor, to) {
        (Some(floor), Some(to)) => Some(floor.min(to)),
        (floor, to) => floor.or(to),
    };
}
