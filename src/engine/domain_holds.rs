//! DomainHolds: the domains that are paused or cancelled while the crawl runs. Knows no requests.

use hashbrown::HashSet;

use crate::{
    domain::{Domain, by_pattern::ByPattern},
    error::Result,
};

/// Why a domain gets no requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It is paused: what waits stays queued.
    Paused,
    /// It is cancelled: what waits is dropped, and what is found later.
    Cancelled,
}

/// What holds for which domains; of several that match, what was said last.
#[derive(Debug, Default)]
pub struct DomainHolds {
    holds: ByPattern<Hold>,
    /// Paused domains that came due meanwhile: as many as have work at the most.
    waiting: HashSet<Domain>,
}

impl DomainHolds {
    /// Returns what holds for a domain.
    pub fn of(&self, domain: &Domain) -> Option<Hold> {
        self.holds.of(domain)
    }

    /// Sets what holds for the domains that a pattern matches, from now on.
    ///
    /// # Errors
    /// Too many others are held. Nothing was changed.
    pub fn set(&mut self, pattern: &str, hold: Option<Hold>) -> Result<()> {
        self.holds.set(pattern, hold)
    }

    /// Keeps a paused domain that has come due, to be scheduled when it is resumed.
    pub fn wait(&mut self, domain: Domain) {
        self.waiting.insert(domain);
    }

    /// Takes the domains that have come due and are paused no more.
    pub fn take_resumed(&mut self) -> Vec<Domain> {
        let (held, resumed): (HashSet<_>, HashSet<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|domain| self.of(domain) == Some(Hold::Paused));
        self.waiting = held;
        resumed.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_due_while_it_was_paused_comes_once_when_it_is_resumed() {
        let mut held = DomainHolds::default();
        let [a, b] = ["a.org", "b.org"].map(Domain::new);
        held.set("*", Some(Hold::Paused)).unwrap();
        for domain in [&a, &b, &a] {
            held.wait(domain.clone());
        }
        assert!(held.take_resumed().is_empty());
        held.set("a.org", None).unwrap();
        assert_eq!((held.take_resumed(), held.take_resumed()), (vec![a], vec![]));
    }
}
