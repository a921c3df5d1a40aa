//! DueQueue: places of domains, the first due first. Does not know which of them still count.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

use crate::domain::domain_map::Slot;

/// A place: when a domain is due. Of two that are due at the same time, the one with the lower turn goes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    pub at: Instant,
    pub turn: u64,
    /// Where the domain stands among those of the crawl.
    pub slot: Slot,
}

/// The places in order. Most arrive in the order in which they are due: all seeds at once, and each domain a second
/// after its last request. These go to a FIFO queue, which pushes and pops in constant time. Places that arrive out of
/// order go to a heap. A heap of a million places costs a cache miss at each of its twenty levels.
#[derive(Default)]
pub struct DueQueue {
    line: VecDeque<Due>,
    heap: BinaryHeap<Reverse<Due>>,
    /// Up to when places were taken last.
    taken_until: Option<Instant>,
}

/// How far ahead a place in the FIFO queue may be due. With a place due tomorrow at its end, every later arrival would
/// go to the heap until then.
const LINE_AHEAD: Duration = Duration::from_secs(10);

impl DueQueue {
    /// Adds a place. Each has a higher turn than the one before.
    pub fn push(&mut self, due: Due) {
        let is_near = self.taken_until.is_none_or(|until| due.at <= until + LINE_AHEAD);
        if is_near && self.line.back().is_none_or(|last| *last <= due) {
            self.line.push_back(due);
        } else {
            self.heap.push(Reverse(due));
        }
    }

    /// Returns the first place.
    pub fn peek(&self) -> Option<&Due> {
        let in_heap = self.heap.peek().map(|Reverse(due)| due);
        self.line.front().into_iter().chain(in_heap).min()
    }

    /// Takes the first place.
    pub fn pop(&mut self) -> Option<Due> {
        match (self.line.front(), self.heap.peek()) {
            (Some(in_line), Some(Reverse(in_heap))) if in_heap < in_line => self.heap.pop().map(|Reverse(due)| due),
            (Some(_), _) => self.line.pop_front(),
            (None, _) => self.heap.pop().map(|Reverse(due)| due),
        }
    }

    /// Takes the first place, if it is due at or before `horizon`.
    pub fn pop_until(&mut self, horizon: Instant) -> Option<Due> {
        self.taken_until = Some(horizon);
        if self.peek()?.at > horizon { None } else { self.pop() }
    }

    /// Keeps only these places.
    pub fn retain(&mut self, mut keep: impl FnMut(&Due) -> bool) {
        self.line.retain(&mut keep);
        self.heap.retain(|Reverse(due)| keep(due));
    }

    /// Returns how many places there are.
    pub fn len(&self) -> usize {
        self.line.len() + self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_come_by_their_time_and_then_their_turn(steps in prop::collection::vec((0..40_u64, 0..4_u8), 0..200)) {
            let (mut queue, mut sorted) = (DueQueue::default(), Vec::new());
            let (start, mut now) = (Instant::now(), Instant::now());
            for (turn, (seconds, takes)) in (0..).zip(steps) {
                let at = start + Duration::from_secs(seconds);
                queue.push(Due { at, turn, slot: Slot::default() });
                sorted.push((at, turn));
                sorted.sort_unstable();
                for _ in 0..takes {
                    now += Duration::from_millis(300);
                    let due = sorted.first().copied().filter(|(at, _)| *at <= now);
                    prop_assert_eq!(queue.peek().map(|due| (due.at, due.turn)), sorted.first().copied());
                    prop_assert_eq!(queue.pop_until(now).map(|due| (due.at, due.turn)), due);
                    sorted.drain(..usize::from(due.is_some()));
                }
                prop_assert_eq!(queue.len(), sorted.len());
            }
        }
    }

    #[test]
    fn one_that_is_due_tomorrow_keeps_none_out_of_the_line() {
        let (mut queue, now) = (DueQueue::default(), Instant::now());
        assert!(queue.pop_until(now).is_none());
        for (turn, seconds) in [(1, 86_400), (2, 1), (3, 2), (4, 3)] {
            queue.push(Due { at: now + Duration::from_secs(seconds), turn, slot: Slot::default() });
        }
        assert_eq!((queue.line.len(), queue.heap.len()), (3, 1));
    }
}
