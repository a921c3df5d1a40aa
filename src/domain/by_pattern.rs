//! ByPattern: values for domains by name, or by a pattern such as `*.example.org`; of several that match, what was said
//! last. Knows no requests.

use hashbrown::HashMap;

use super::{Domain, covers};
use crate::error::{Error, Result};

/// What holds for which domains.
#[derive(Debug)]
pub struct ByPattern<T> {
    /// Domains by name, each said later than any pattern that matches it. `None` lifts what a pattern says.
    names: HashMap<Domain, Option<T>>,
    /// Patterns such as `*.example.org`, the latest last.
    patterns: Vec<(String, Option<T>)>,
}

/// The most domains that are held by name, about a megabyte.
const MAX_NAMES: usize = 10_000;

/// The most patterns: they are compared one by one for each request.
const MAX_PATTERNS: usize = 100;

impl<T> Default for ByPattern<T> {
    fn default() -> Self {
        Self { names: HashMap::new(), patterns: Vec::new() }
    }
}

impl<T: Copy + PartialEq> ByPattern<T> {
    /// Returns what holds for a domain.
    pub fn of(&self, domain: &Domain) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let by_pattern = || self.patterns.iter().rev().find(|(pattern, _)| domain.matches(pattern));
        self.names.get(domain).copied().unwrap_or_else(|| by_pattern().and_then(|(_, value)| *value))
    }

    /// Tells whether nothing holds for any.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.patterns.is_empty()
    }

    /// Sets what holds for the domains that a pattern matches, from now on.
    ///
    /// # Errors
    /// Too many others are held. Nothing was changed.
    pub fn set(&mut self, pattern: &str, value: Option<T>) -> Result<()> {
        if pattern.starts_with('*') {
            self.set_pattern(pattern, value)
        } else {
            self.set_name(Domain::new(pattern), value)
        }
    }

    fn set_name(&mut self, domain: Domain, value: Option<T>) -> Result<()> {
        self.names.remove(&domain);
        if self.of(&domain) == value {
            return Ok(());
        }
        if self.names.len() >= MAX_NAMES {
            let why = format!("over {MAX_NAMES} domains are held; resume some, or name many by *.example.org");
            return Err(Error::setting("domain", why));
        }
        self.names.insert(domain, value);
        Ok(())
    }

    fn set_pattern(&mut self, pattern: &str, value: Option<T>) -> Result<()> {
        let is_left = |(known, _): &&(String, Option<T>)| !covers(pattern, known);
        let mut patterns: Vec<_> = self.patterns.iter().filter(is_left).cloned().collect();
        // Two patterns that share a domain are nested. So each remaining pattern covers this one, or shares no domain
        // with it.
        let wider = patterns.iter().rev().find(|(known, _)| covers(known, pattern));
        if wider.and_then(|(_, value)| *value) != value {
            if patterns.len() >= MAX_PATTERNS {
                let why = format!("over {MAX_PATTERNS} patterns are held apart; say it of a wider one, such as *");
                return Err(Error::setting("domain", why));
            }
            patterns.push((pattern.to_owned(), value));
        }
        self.names.retain(|domain, _| !domain.matches(pattern));
        self.patterns = patterns;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSED: Option<u8> = Some(1);
    const CANCELLED: Option<u8> = Some(2);

    #[test]
    fn of_all_that_match_what_was_said_last_holds() {
        let mut held = ByPattern::default();
        let of =
            |held: &ByPattern<u8>| ["x.org", "a.x.org", "b.x.org", "y.org"].map(|name| held.of(&Domain::new(name)));
        held.set("A.x.org", CANCELLED).unwrap();
        assert_eq!(of(&held), [None, CANCELLED, None, None]);
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
        assert!(held.is_empty());
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut held = ByPattern::default();
        assert!((0..MAX_NAMES).all(|n| held.set(&format!("d{n}.org"), PAUSED).is_ok()));
        assert!(held.set("one.more", PAUSED).is_err() && held.set("d0.org", None).is_ok());
        assert!(held.set("one.more", PAUSED).is_ok() && held.set("*", PAUSED).is_ok() && held.names.is_empty());
    }

    /// Regression: each pattern that was resumed stayed, and in the end none could be paused; and the call that failed
    /// had resumed what the pattern matches, without telling anyone.
    #[test]
    fn patterns_that_are_resumed_take_no_place_and_what_fails_changes_nothing() {
        let mut held = ByPattern::default();
        held.set("*.kept.org", PAUSED).unwrap();
        for n in 0..2 * MAX_PATTERNS {
            held.set(&format!("*.p{n}.org"), PAUSED).unwrap();
            held.set(&format!("*.p{n}.org"), None).unwrap();
        }
        assert_eq!(held.patterns.len(), 1);
        assert!((1..MAX_PATTERNS).all(|n| held.set(&format!("*.p{n}.org"), PAUSED).is_ok()));
        let [name, below] = ["x.one.more", "a.p1.org"].map(Domain::new);
        held.set("x.one.more", CANCELLED).unwrap();
        assert!(held.set("*.one.more", PAUSED).is_err());
        assert_eq!([held.of(&name), held.of(&below)], [CANCELLED, PAUSED]);
        held.set("*", None).unwrap();
        assert!(held.patterns.is_empty() && held.of(&name).is_none());
    }
}
