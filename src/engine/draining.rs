//! Draining: what waits for a domain that is given up, or that has had its pages, ends in small steps, so that no other
//! domain's permits wait for it. Knows no network.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use hashbrown::{HashMap, hash_map::Entry};

use crate::{domain::Domain, frontier::Left, outcome::DropReason};

/// The domains whose queues are being emptied.
#[derive(Default)]
pub struct Draining {
    /// How what waits for each of them ends.
    ends: HashMap<Domain, End>,
    /// Those that have something in memory, in turn; the others wait for the store.
    turns: VecDeque<Domain>,
    /// When the next step is due.
    next: Option<Instant>,
}

/// How what waits for a domain ends.
#[derive(Clone, Debug)]
pub enum End {
    /// It fails, with this outcome and detail.
    Failed(&'static str, String),
    /// It is dropped.
    Dropped(DropReason),
}

/// The most requests that end in one step: well under a millisecond, and permits are granted 5 ms ahead.
pub const MAX_STEP: usize = 500;

/// Between two steps, so that other messages have most of the scheduler's time. A million requests end in 4 s.
const BETWEEN_STEPS: Duration = Duration::from_millis(2);

impl Draining {
    /// Begins with a domain, unless it is being drained already.
    pub fn begin(&mut self, domain: &Domain, end: End) {
        if let Entry::Vacant(place) = self.ends.entry(domain.clone()) {
            place.insert(end);
            self.turns.push_back(domain.clone());
        }
    }

    /// Tells whether a domain is being drained.
    pub fn has(&self, domain: &Domain) -> bool {
        self.ends.contains_key(domain)
    }

    /// Tells whether any domain is being drained.
    pub fn is_idle(&self) -> bool {
        self.ends.is_empty()
    }

    /// Takes note that more of a domain was read from the store.
    pub fn arrived(&mut self, domain: &Domain) {
        if self.has(domain) {
            self.turns.push_back(domain.clone());
        }
    }

    /// Tells when the next step is due; `None` where only news can bring one.
    pub fn next_step(&self, now: Instant) -> Option<Instant> {
        (!self.turns.is_empty()).then(|| self.next.map_or(now, |next| next.max(now)))
    }

    /// Begins a step, if one is due.
    pub fn begin_step(&mut self, now: Instant) -> bool {
        let is_due = self.next_step(now) == Some(now);
        if is_due {
            self.next = Some(now + BETWEEN_STEPS);
        }
        is_due
    }

    /// Takes out the domain whose turn it is, with how what waits for it ends.
    pub fn pop(&mut self) -> Option<(Domain, End)> {
        loop {
            let domain = self.turns.pop_front()?;
            if let Some(end) = self.ends.get(&domain) {
                return Some((domain, end.clone()));
            }
        }
    }

    /// Takes note of what is left of a domain's queue. Answers whether it is empty.
    pub fn drained(&mut self, domain: &Domain, left: Left) -> bool {
        match left {
            Left::Here => self.turns.push_back(domain.clone()),
            Left::Coming => {}
            Left::Nothing => drop(self.ends.remove(domain)),
        }
        left == Left::Nothing
    }
}
