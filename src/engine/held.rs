//! Held: the domains that are paused or cancelled while the crawl runs. Knows no requests.

use hashbrown::{HashMap, HashSet};

use crate::{
    domain::{Domain, covers},
    error::{Error, Result},
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
pub struct Held {
    /// Domains by name, each said later than any pattern that matches it. `None` lifts what a pattern says.
    names: HashMap<Domain, Option<Hold>>,
    /// Patterns such as `*.example.org`, the latest last.
    patterns: Vec<(String, Option<Hold>)>,
    /// Paused domains that came due meanwhile: as many as have work at the most.
    waiting: HashSet<Domain>,
}

/// The most domains that are held by name, about a megabyte.
const MAX_NAMES: usize = 10_000;

/// The most patterns: they are compared one by one for each request.
const MAX_PATTERNS: usize = 100;

impl Held {
    /// Returns what holds for a domain.
    pub fn of(&self, domain: &Domain) -> Option<Hold> {
        if self.names.is_empty() && self.patterns.is_empty() {
            return None;
        }
        let by_pattern = || self.patterns.iter().rev().find(|(pattern, _)| domain.matches(pattern));
        self.names.get(domain).copied().unwrap_or_else(|| by_pattern().and_then(|(_, hold)| *hold))
    }

    /// Sets what holds for the domains that a pattern matches, from now on.
    ///
    /// # Errors
    /// Too many others are held. Nothing was changed.
    pub fn set(&mut self, pattern: &str, hold: Option<Hold>) -> Result<()> {
        if pattern.starts_with('*') {
            self.set_pattern(pattern, hold)
        } else {
            self.set_name(Domain::new(pattern), hold)
        }
    }

    fn set_name(&mut self, domain: Domain, hold: Option<Hold>) -> Result<()> {
        self.names.remove(&domain);
        if self.of(&domain) == hold {
            return Ok(());
        }
        if self.names.len() >= MAX_NAMES {
            let why = format!("over {MAX_NAMES} domains are held; resume some, or name many by *.example.org");
            return Err(Error::setting("domain", why));
        }
        self.names.insert(domain, hold);
        Ok(())
    }

    fn set_pattern(&mut self, pattern: &str, hold: Option<Hold>) -> Result<()> {
        let is_left = |(known, _): &&(String, Option<Hold>)| !covers(pattern, known);
        let mut patterns: Vec<_> = self.patterns.iter().filter(is_left).cloned().collect();
        // Two patterns that share a domain are nested. So each remaining pattern covers this one, or shares no domain
        // with it.
        let wider = patterns.iter().rev().find(|(known, _)| covers(known, pattern));
        if wider.and_then(|(_, hold)| *hold) != hold {
            if patterns.len() >= MAX_PATTERNS {
                let why = format!("over {MAX_PATTERNS} patterns are held apart; say it of a wider one, such as *");
                return Err(Error::setting("domain", why));
            }
            patterns.push((pattern.to_owned(), hold));
        }
        self.names.retain(|domain, _| !domain.matches(pattern));
        self.patterns = patterns;
        Ok(())
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

    const PAUSED: Option<Hold> = Some(Hold::Paused);

    #[test]
    fn of_all_that_match_what_was_said_last_holds() {
        let mut held = Held::default();
        let of = |held: &Held| ["x.org", "a.x.org", "b.x.org", "y.org"].map(|name| held.of(&Domain::new(name)));
        held.set("A.x.org", Some(Hold::Cancelled)).unwrap();
        assert_eq!(of(&held), [None, Some(Hold::Cancelled), None, None]);
        held.set("*.x.org", PAUSED).unwrap();
        assert_eq!(of(&held), [PAUSED, PAUSED, PAUSED, None]);
        held.set("a.x.org", None).unwrap();
        assert_eq!(of(&held), [PAUSED, None, PAUSED, None]);
        held.set("*", PAUSED).unwrap();
        assert_eq!(of(&held), [PAUSED; 4]);
        held.set("*.x.org", None).unwrap();
        assert_eq!(of(&held), [None, None, None, PAUSED]);
        held.set("*", None).unwrap();
        assert_eq!(of(&held), [None; 4]);
        assert!(held.names.is_empty() && held.patterns.is_empty());
    }

    #[test]
    fn what_came_due_while_it_was_paused_comes_once_when_it_is_resumed() {
        let mut held = Held::default();
        let [a, b] = ["a.org", "b.org"].map(Domain::new);
        held.set("*", PAUSED).unwrap();
        for domain in [&a, &b, &a] {
            held.wait(domain.clone());
        }
        assert!(held.take_resumed().is_empty());
        held.set("a.org", None).unwrap();
        assert_eq!((held.take_resumed(), held.take_resumed()), (vec![a], vec![]));
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut held = Held::default();
        assert!((0..MAX_NAMES).all(|n| held.set(&format!("d{n}.org"), PAUSED).is_ok()));
        assert!(held.set("one.more", PAUSED).is_err() && held.set("d0.org", None).is_ok());
        assert!(held.set("one.more", PAUSED).is_ok() && held.set("*", PAUSED).is_ok() && held.names.is_empty());
    }

    /// Regression: each pattern that was resumed stayed, and in the end none could be paused; and the call that failed had
    /// resumed what the pattern matches, without telling anyone.
    #[test]
    fn patterns_that_are_resumed_take_no_place_and_what_fails_changes_nothing() {
        let mut held = Held::default();
        held.set("*.kept.org", PAUSED).unwrap();
        for n in 0..2 * MAX_PATTERNS {
            held.set(&format!("*.p{n}.org"), PAUSED).unwrap();
            held.set(&format!("*.p{n}.org"), None).unwrap();
        }
        assert_eq!(held.patterns.len(), 1);
        assert!((1..MAX_PATTERNS).all(|n| held.set(&format!("*.p{n}.org"), PAUSED).is_ok()));
        let [name, below] = ["x.one.more", "a.p1.org"].map(Domain::new);
        held.set("x.one.more", Some(Hold::Cancelled)).unwrap();
        assert!(held.set("*.one.more", PAUSED).is_err());
        assert_eq!([held.of(&name), held.of(&below)], [Some(Hold::Cancelled), PAUSED]);
        held.set("*", None).unwrap();
        assert!(held.patterns.is_empty() && held.of(&name).is_none());
    }
}
