//! Draining: ends in small steps the requests of a domain that is given up or has reached its page limit, so that other
//! domains' permits do not wait. Knows no network.

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
}

impl Turn<'_> {
    /// Does a step, if one is due. Each request is entered in the ledger as it leaves the queue.
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
            // A domain without requests in memory also uses up a part of the step.
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
