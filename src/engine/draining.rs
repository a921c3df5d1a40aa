//! Draining: what waits for a domain that is given up, or that has had its pages, ends in small steps, so that no other
//! domain's permits wait for it. Knows no network.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use hashbrown::{HashMap, hash_map::Entry};

use super::turn::Turn;
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
}

impl Turn<'_> {
    /// Takes a step of draining, if one is due. Each request's end is in the ledger as soon as it waits no more.
    pub fn drain(&mut self) {
        if self.draining.next_step(self.now) != Some(self.now) {
            return;
        }
        self.draining.next = Some(self.now + BETWEEN_STEPS);
        let mut room = MAX_STEP;
        while room > 0
            && let Some(domain) = self.draining.turns.pop_front()
        {
            let Some(end) = self.draining.ends.get(&domain).cloned() else { continue };
            let drained = self.frontier.drain(&domain, room);
            // A domain for which nothing was there costs its part too.
            room = room.saturating_sub(drained.requests.len().max(1));
            for request in drained.requests {
                match &end {
                    End::Failed(outcome, detail) => self.fail(&domain, &request, outcome, detail),
                    End::Dropped(reason) => self.drop_request(&domain, &request, *reason),
                }
            }
            match drained.left {
                Left::Here => self.draining.turns.push_back(domain),
                Left::Coming => {}
                Left::Nothing => {
                    self.draining.ends.remove(&domain);
                    self.domains.schedule(&domain, self.now);
                }
            }
        }
    }
}
