//! Fitness: whether this machine should have domains of a crawl that others share. One whose network has failed, or
//! whose disk does not keep up, gives them to the others. Knows no domain.

use std::time::{Duration, Instant};

use crate::stats::Outage;

/// Whether this machine should have domains.
#[derive(Debug, Default)]
pub struct Fitness {
    term: Duration,
    state: FitnessState,
    /// How often it has tried in vain since the fault began.
    tries: u32,
    /// Since when as many pages wait here as may, and none has ended.
    full_since: Option<Instant>,
    /// When to look again.
    next: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum FitnessState {
    #[default]
    Fit,
    /// Others should have its domains.
    Unfit { until: Instant },
    /// It has domains again, to look whether the fault is over: requests that had met it when this began.
    Trying { requests: u64 },
}

/// How the machine is now.
#[derive(Clone, Copy, Debug)]
pub struct Condition {
    /// What holds all requests back.
    pub outage: Option<Outage>,
    /// Whether as many pages as may be are in flight, or the log does not keep up.
    pub is_full: bool,
    /// Whether there is any request, with which it could look whether the fault is over.
    pub has_requests: bool,
}

/// After how many terms without one page that has ended the machine counts as too slow: its disk, or what its pipelines
/// write to.
const SLOW_AFTER: u32 = 3;

/// How many terms a machine without domains waits before it tries again; twice as long after each try.
const FIRST_WAIT: u32 = 3;

/// The most of these: ten minutes, with the usual term.
const MAX_WAIT: u32 = 60;

impl Fitness {
    /// Sets how long a sign of life of this machine holds: after half as long an outage is a fault.
    pub fn set_term(&mut self, term: Duration) {
        self.term = term;
    }

    /// Takes note that a page has ended.
    pub fn note_page_end(&mut self, now: Instant) {
        self.full_since = self.full_since.map(|_| now);
    }

    /// Looks how the machine is. Tells whether others should have its domains. `waits_for_servers` is asked where no
    /// page has ended for long: then it says nothing of this machine.
    pub fn look(&mut self, condition: Condition, now: Instant, waits_for_servers: impl FnOnce() -> bool) -> bool {
        let Condition { outage, is_full, has_requests } = condition;
        let slow_at = |since: Instant| since + SLOW_AFTER * self.term;
        self.full_since = if is_full { self.full_since.or(Some(now)) } else { None };
        if self.full_since.is_some_and(|since| slow_at(since) <= now) && waits_for_servers() {
            self.full_since = Some(now);
        }
        let slow_at = self.full_since.map(slow_at);
        self.state = match (self.state, outage) {
            // It is over as soon as a page ends.
            (_, _) if slow_at.is_some_and(|at| at <= now) => FitnessState::Unfit { until: now },
            (_, None) => {
                self.tries = 0;
                FitnessState::Fit
            }
            (FitnessState::Fit, Some(outage)) if outage.lasted >= self.term / 2 => self.unfit(now),
            (FitnessState::Trying { requests }, Some(outage)) if outage.requests > requests => self.unfit(now),
            // As long as it has any request, that looks whether the fault is over.
            (FitnessState::Unfit { until }, Some(outage)) if until <= now && !has_requests => {
                self.tries += 1;
                FitnessState::Trying { requests: outage.requests }
            }
            (state, Some(_)) => state,
        };
        self.next = match (self.state, outage) {
            (FitnessState::Fit, Some(outage)) => Some(now + (self.term / 2).saturating_sub(outage.lasted)),
            (FitnessState::Unfit { until }, Some(_)) => Some(until.max(now + self.term / 10)),
            _ => None,
        };
        let slow_at = slow_at.map(|at| at.max(now + self.term / 10));
        self.next = self.next.into_iter().chain(slow_at).min();
        matches!(self.state, FitnessState::Unfit { .. })
    }

    /// Returns when to look again, though nothing else happens.
    pub fn next_look(&self) -> Option<Instant> {
        self.next
    }

    fn unfit(&self, now: Instant) -> FitnessState {
        let terms = MAX_WAIT.min(FIRST_WAIT.saturating_mul(2_u32.saturating_pow(self.tries)));
        FitnessState::Unfit { until: now + terms * self.term }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::local_fault::LocalFault;

    const S: Duration = Duration::from_secs(1);

    fn fitness() -> Fitness {
        let mut fitness = Fitness::default();
        fitness.set_term(10 * S);
        fitness
    }

    #[test]
    fn a_machine_with_a_fault_gives_its_domains_away_and_tries_again_ever_less_often() {
        let (mut fitness, start) = (fitness(), Instant::now());
        let mut requests = 1;
        let look = |fitness: &mut Fitness, at: Duration, requests: u64, has_requests: bool| {
            let outage = Some(Outage { fault: LocalFault::Network, lasted: at, requests });
            fitness.look(Condition { outage, is_full: false, has_requests }, start + at, || false)
        };
        assert!(!look(&mut fitness, 4 * S, requests, true));
        assert_eq!(fitness.next_look(), Some(start + 5 * S));
        let (mut at, mut waits) = (5 * S, Vec::new());
        assert!(look(&mut fitness, at, requests, true));
        assert!(look(&mut fitness, 3_600 * S, requests, true), "what it still has looks whether it is over");
        let mut fitness = self::fitness();
        look(&mut fitness, at, requests, false);
        for _ in 0..8 {
            let since = at;
            while look(&mut fitness, at, requests, false) {
                assert!(fitness.next_look() > Some(start + at), "it looks again, and not at once");
                at += S;
            }
            waits.push((at - since).as_secs());
            assert!(!look(&mut fitness, at + 9 * S, requests, true), "its request is under way");
            requests += 1;
            assert!(look(&mut fitness, at, requests, true), "it has met the fault");
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 600, 600, 600]);
        let over = Condition { outage: None, is_full: false, has_requests: false };
        assert!(!fitness.look(over, start + at, || false) && fitness.next_look().is_none());
        look(&mut fitness, at + 5 * S, 1, false);
        assert_eq!(fitness.state, FitnessState::Unfit { until: start + at + 35 * S }, "another fault begins anew");
    }

    #[test]
    fn a_machine_where_no_page_ends_gives_its_domains_away_until_one_does() {
        let (mut fitness, start) = (fitness(), Instant::now());
        let look = |fitness: &mut Fitness, seconds: u32, is_full: bool| {
            let condition = Condition { outage: None, is_full, has_requests: true };
            fitness.look(condition, start + seconds * S, || seconds == 700)
        };
        assert!(!look(&mut fitness, 0, true) && !look(&mut fitness, 29, true));
        fitness.note_page_end(start + 29 * S);
        assert!(!look(&mut fitness, 58, true), "pages end");
        assert_eq!(fitness.next_look(), Some(start + 59 * S));
        assert!(look(&mut fitness, 59, true) && look(&mut fitness, 600, true));
        assert!(!look(&mut fitness, 700, true), "servers are slow, and not this machine");
        assert!(!look(&mut fitness, 729, true) && look(&mut fitness, 730, true));
        fitness.note_page_end(start + 801 * S);
        assert!(!look(&mut fitness, 801, true));
        assert!(!look(&mut fitness, 802, false) && !look(&mut fitness, 803, true) && !look(&mut fitness, 832, true));
    }
}
