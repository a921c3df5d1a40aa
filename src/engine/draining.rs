//! Draining: ends in small steps the requests of a domain that is given up or has reached its page limit, so that other
//! domains' permits do not wait. Knows no network.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use hashbrown::{HashMap, hash_map::Entry};

use crate::{
    domain::Domain,
    frontier::Left,
    outcome::{DropReason, Outcome},
};

/// The domains whose queues are being emptied.
#[derive(Default)]
pub struct Draining {
    /// How the requests of each domain end.
    ends: HashMap<Domain, DrainAs>,
    /// Domains with requests in memory, in turn; the others wait for the store.
    turns: VecDeque<Domain>,
    /// Domains whose failing requests wait until the spider has been notified of earlier ones.
    held_up: Vec<Domain>,
    /// How many more requests may end in this step.
    room: usize,
    /// When the next step is due.
    next: Option<Instant>,
}

/// How the waiting requests of a domain end.
#[derive(Clone, Debug)]
pub enum DrainAs {
    /// They fail with this outcome, each once the spider is notified.
    Failed(Outcome),
    /// They are dropped.
    Dropped(DropReason),
}

/// The most requests that end in one step: well under a millisecond, while permits are granted 5 ms ahead.
pub const MAX_STEP: usize = 500;

/// The pause between two steps, which leaves most of the scheduler's time to other messages. A million requests are
/// dropped in 4 s; those that fail take longer, since the spider is notified of each.
const BETWEEN_STEPS: Duration = Duration::from_millis(2);

impl Draining {
    /// Starts draining a domain, unless that has started already.
    pub fn begin(&mut self, domain: &Domain, end: DrainAs) {
        if let Entry::Vacant(place) = self.ends.entry(domain.clone()) {
            place.insert(end);
            self.turns.push_back(domain.clone());
        }
    }

    /// Stops draining the domains that are no longer cancelled, and returns them.
    pub fn stop_cancelled(&mut self, is_cancelled: impl Fn(&Domain) -> bool) -> Vec<Domain> {
        let is_over = |domain: &Domain, end: &mut DrainAs| {
            matches!(end, DrainAs::Dropped(DropReason::Cancelled)) && !is_cancelled(domain)
        };
        self.ends.extract_if(is_over).map(|(domain, _)| domain).collect()
    }

    /// Stops draining a domain that belongs to another process now.
    pub fn lose(&mut self, domain: &Domain) {
        self.ends.remove(domain);
    }

    /// Tells whether a domain is being drained.
    pub fn has(&self, domain: &Domain) -> bool {
        self.ends.contains_key(domain)
    }

    /// Tells whether more domains are being drained than a step may end requests.
    pub fn fills_a_step(&self) -> bool {
        self.ends.len() > MAX_STEP
    }

    /// Records that more requests of a domain were read from the store.
    pub fn arrived(&mut self, domain: &Domain) {
        if self.has(domain) {
            self.turns.push_back(domain.clone());
        }
    }

    /// Returns when the next step is due; `None` if only an event can bring one. `can_hear` tells whether the spider
    /// can be notified of more failures.
    pub fn next_step(&self, now: Instant, can_hear: bool) -> Option<Instant> {
        let next = self.next.filter(|_| self.room == 0);
        let has_turn = !self.turns.is_empty() || can_hear && !self.held_up.is_empty();
        has_turn.then(|| next.map_or(now, |next| next.max(now)))
    }

    /// Starts a step, if one is due.
    pub fn begin_step(&mut self, now: Instant) {
        if self.next.is_none_or(|next| next <= now) {
            self.next = Some(now + BETWEEN_STEPS);
            self.room = MAX_STEP;
        }
    }

    /// Returns how many more requests may end in this step.
    pub fn room(&self) -> usize {
        self.room
    }

    /// Keeps a domain until [`Draining::go_on`].
    pub fn hold_up(&mut self, domain: Domain) {
        self.held_up.push(domain);
    }

    /// Continues with the domains that were held up: the spider can be notified of more.
    pub fn go_on(&mut self) {
        self.turns.extend(self.held_up.drain(..));
    }

    /// Puts domains off to the next step.
    pub fn put_off(&mut self, domains: Vec<Domain>) {
        if !domains.is_empty() {
            self.room = 0;
            self.turns.extend(domains);
        }
    }

    /// Takes the next domain, with how its requests end.
    pub fn pop(&mut self) -> Option<(Domain, DrainAs)> {
        loop {
            let domain = self.turns.pop_front()?;
            if let Some(end) = self.ends.get(&domain) {
                return Some((domain, end.clone()));
            }
        }
    }

    /// Records how many requests of a domain have left its queue, and what is left. Tells whether it is empty.
    pub fn drained(&mut self, domain: &Domain, ended: usize, left: Left) -> bool {
        // A domain without requests in memory also uses up a part of the step.
        self.room = self.room.saturating_sub(ended.max(1));
        match left {
            Left::Here => self.turns.push_back(domain.clone()),
            Left::Coming => {}
            Left::Nothing => drop(self.ends.remove(domain)),
        }
        left == Left::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cancelled_no_more_is_drained_no_further_and_what_fails_is() {
        let [a, b, c] = ["a.org", "b.org", "c.org"].map(Domain::new);
        let mut draining = Draining::default();
        draining.begin(&a, DrainAs::Dropped(DropReason::Cancelled));
        draining.begin(&b, DrainAs::Dropped(DropReason::Cancelled));
        draining.begin(&c, DrainAs::Failed(Outcome::Status(503)));
        assert_eq!(draining.stop_cancelled(|domain| *domain == b), [a]);
        let left: Vec<_> = std::iter::from_fn(|| draining.pop()).map(|(domain, _)| domain).collect();
        assert_eq!(left, [b, c]);
    }
}
