//! Draining: ends in small steps the requests of a domain that is given up or has reached its page limit, so that other
//! domains' permits do not wait. Knows no network.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use hashbrown::{HashMap, hash_map::Entry};

use crate::{domain::Domain, frontier::Left, outcome::DropReason};

/// The domains whose queues are being emptied.
#[derive(Default)]
pub struct Draining {
    /// How the requests of each domain end.
    ends: HashMap<Domain, End>,
    /// Domains with requests in memory, in turn; the others wait for the store.
    turns: VecDeque<Domain>,
    /// When the next step is due.
    next: Option<Instant>,
}

/// How the waiting requests of a domain end.
#[derive(Clone, Debug)]
pub enum End {
    /// They fail, with this outcome and detail.
    Failed(&'static str, String),
    /// They are dropped.
    Dropped(DropReason),
}

/// The most requests that end in one step: well under a millisecond, while permits are granted 5 ms ahead.
pub const MAX_STEP: usize = 500;

/// The pause between two steps, which leaves most of the scheduler's time to other messages. A million requests end in
/// 4 s.
const BETWEEN_STEPS: Duration = Duration::from_millis(2);

impl Draining {
    /// Starts draining a domain, unless that has started already.
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

    /// Tells whether no domain is being drained.
    pub fn is_idle(&self) -> bool {
        self.ends.is_empty()
    }

    /// Records that more requests of a domain were read from the store.
    pub fn arrived(&mut self, domain: &Domain) {
        if self.has(domain) {
            self.turns.push_back(domain.clone());
        }
    }

    /// Returns when the next step is due; `None` if only news can bring one.
    pub fn next_step(&self, now: Instant) -> Option<Instant> {
        (!self.turns.is_empty()).then(|| self.next.map_or(now, |next| next.max(now)))
    }

    /// Starts a step, if one is due; tells whether it is.
    pub fn begin_step(&mut self, now: Instant) -> bool {
        let is_due = self.next_step(now) == Some(now);
        if is_due {
            self.next = Some(now + BETWEEN_STEPS);
        }
        is_due
    }

    /// Takes the next domain, with how its requests end.
    pub fn pop(&mut self) -> Option<(Domain, End)> {
        loop {
            let domain = self.turns.pop_front()?;
            if let Some(end) = self.ends.get(&domain) {
                return Some((domain, end.clone()));
            }
        }
    }

    /// Records what is left of a domain's queue. Tells whether it is empty.
    pub fn drained(&mut self, domain: &Domain, left: Left) -> bool {
        match left {
            Left::Here => self.turns.push_back(domain.clone()),
            Left::Coming => {}
            Left::Nothing => drop(self.ends.remove(domain)),
        }
        left == Left::Nothing
    }
}
