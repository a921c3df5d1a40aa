//! Draining: what waits for a domain that is given up, or that has had its pages, ends in small steps, so that no other
//! domain's permits wait for it. Knows no network.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use hashbrown::{HashMap, hash_map::Entry};

use super::{Crawl, Mode};
use crate::{cooling::Why, domain::Domain, engine::budget::Spending, frontier::Left, outcome::DropReason};

/// The domains whose queues are being emptied.
#[derive(Default)]
pub(super) struct Draining {
    /// How what waits for each of them ends.
    ends: HashMap<Domain, End>,
    /// Those that have something in memory, in turn; the others wait for the store.
    turns: VecDeque<Domain>,
    /// When the next step is due.
    next: Option<Instant>,
}

#[derive(Clone)]
enum End {
    Failed(&'static str, String),
    Dropped(DropReason),
}

/// The most requests that end in one step: well under a millisecond, and permits are granted 5 ms ahead.
const STEP: usize = 500;

/// Between two steps, so that other messages have most of the scheduler's time. A million requests end in 4 s.
const BETWEEN_STEPS: Duration = Duration::from_millis(2);

impl Draining {
    /// Begins with a domain, unless it is being drained already.
    fn begin(&mut self, domain: &Domain, end: End) {
        if let Entry::Vacant(place) = self.ends.entry(domain.clone()) {
            place.insert(end);
            self.turns.push_back(domain.clone());
        }
    }

    /// Tells whether a domain is being drained.
    pub fn has(&self, domain: &Domain) -> bool {
        self.ends.contains_key(domain)
    }

    /// More of a domain was read from the store.
    pub fn arrived(&mut self, domain: &Domain) {
        if self.has(domain) {
            self.turns.push_back(domain.clone());
        }
    }
}

impl Crawl {
    /// The domain does not want us, or is not there: what waits for it fails.
    pub(super) fn give_up(&mut self, domain: &Domain, why: Why) {
        let (outcome, detail) = match why {
            Why::Status(status) => ("refused", format!("the domain refuses us with {status}")),
            Why::Unreachable => ("connect", "the domain cannot be reached".to_owned()),
        };
        self.draining.begin(domain, End::Failed(outcome, detail));
    }

    /// The domain has had its pages: what waits for it is dropped.
    pub(super) fn drop_waiting(&mut self, domain: &Domain) {
        let is_of_requests = self.budget.of_requests() == Spending::Used;
        let reason = if is_of_requests { DropReason::Requests } else { DropReason::Budget };
        self.draining.begin(domain, End::Dropped(reason));
    }

    /// Takes a step, if one is due. Each request's end is in the ledger as soon as it waits no more.
    pub(super) fn drain(&mut self, now: Instant) {
        self.drop_beyond_budget();
        if self.next_drain(now) != Some(now) {
            return;
        }
        self.draining.next = Some(now + BETWEEN_STEPS);
        let mut room = STEP;
        while room > 0
            && let Some(domain) = self.draining.turns.pop_front()
        {
            let Some(end) = self.draining.ends.get(&domain).cloned() else { continue };
            let drained = self.frontier.drain(&domain, room);
            // A domain for which nothing was there costs its part too.
            room = room.saturating_sub(drained.requests.len().max(1));
            for request in drained.requests {
                match &end {
                    End::Failed(outcome, detail) => self.fail(&request, domain.clone(), outcome, detail.clone()),
                    End::Dropped(reason) => self.drop_request(&request, domain.clone(), *reason),
                }
            }
            match drained.left {
                Left::Here => self.draining.turns.push_back(domain),
                Left::Coming => {}
                Left::Nothing => {
                    self.draining.ends.remove(&domain);
                    self.domains.schedule(&domain, now);
                }
            }
        }
    }

    /// Tells when the next step is due; `None` where only news can bring one.
    pub(super) fn next_drain(&self, now: Instant) -> Option<Instant> {
        let is_wanted = !self.draining.turns.is_empty() && self.mode != Mode::Stopping && self.can_note_more();
        is_wanted.then(|| self.draining.next.map_or(now, |next| next.max(now)))
    }

    /// Drops what waits although the crawl has had all its pages, whenever it came. A durable frontier keeps it.
    fn drop_beyond_budget(&mut self) {
        if self.budget.of_all() == Spending::Used && self.robots.has_parked() {
            // The permits of their robots files are granted no more, so they would wait for ever.
            for leased in self.robots.unpark_all() {
                self.frontier.give_back(leased.id, None, false);
            }
        }
        let is_beyond = !self.is_durable && self.budget.of_all() == Spending::Used && self.frontier.queued() > 0;
        if is_beyond && self.draining.ends.is_empty() {
            // As many as one step takes: a million domains need not stand here at once.
            let waiting: Vec<_> = self.frontier.domains().take(STEP).cloned().collect();
            for domain in &waiting {
                self.drop_waiting(domain);
            }
        }
    }
}

#[cfg(test)]
mod tests;
