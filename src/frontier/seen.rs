//! Seen: the fingerprints of admitted requests, with times if pages are revisited. Knows no clock and no store.

use hashbrown::{HashMap, HashSet, hash_map::Entry};

use crate::{identity::Fingerprint, recrawl::Recrawl};

/// A set of fingerprints. Times are seconds, rounded down.
#[derive(Debug)]
pub enum SeenSet {
    /// Without times, if nothing is ever revisited: 16 bytes each.
    Ever(HashSet<Fingerprint>),
    /// With the second of the last admission: 20 bytes each. The second field is the size at which expired entries are
    /// next removed.
    Since(HashMap<Fingerprint, u32>, usize),
}

/// The least size at which expired entries are removed: fewer are not worth the scan.
const MIN_REMOVAL_SIZE: usize = 1_024;

impl SeenSet {
    /// Creates an empty set that keeps what `recrawl` needs.
    pub fn new(recrawl: &Recrawl) -> Self {
        if recrawl.keeps_times() { Self::Since(HashMap::new(), MIN_REMOVAL_SIZE) } else { Self::Ever(HashSet::new()) }
    }

    /// Adds a fingerprint; tells whether it counts as new. Expired entries are removed each time the set has doubled,
    /// so it is at most twice as large as necessary.
    pub fn take(&mut self, fingerprint: Fingerprint, now: u32, recrawl: &Recrawl) -> bool {
        let (times, next_look) = match self {
            Self::Ever(seen) => return seen.insert(fingerprint),
            Self::Since(times, next_look) => (times, next_look),
        };
        if recrawl.forgets() && times.len() >= *next_look {
            times.retain(|_, seen_at| !recrawl.is_due(*seen_at, now));
            *next_look = MIN_REMOVAL_SIZE.max(2 * times.len());
        }
        match times.entry(fingerprint) {
            Entry::Occupied(seen) if !recrawl.is_due(*seen.get(), now) => false,
            entry => {
                entry.insert(now);
                true
            }
        }
    }

    /// Records when a fingerprint was last admitted.
    pub fn insert(&mut self, fingerprint: Fingerprint, at: u32) {
        match self {
            Self::Ever(seen) => drop(seen.insert(fingerprint)),
            Self::Since(times, _) => drop(times.insert(fingerprint, at)),
        }
    }

    /// Returns when a fingerprint was last admitted; 0 if no times are kept.
    pub fn seen_at(&self, fingerprint: &Fingerprint) -> Option<u32> {
        match self {
            Self::Ever(seen) => seen.contains(fingerprint).then_some(0),
            Self::Since(times, _) => times.get(fingerprint).copied(),
        }
    }
}

#[cfg_attr(not(feature = "disk"), allow(dead_code, reason = "only the windowed frontier goes by generations"))]
impl SeenSet {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Ever(seen) => seen.len(),
            Self::Since(times, _) => times.len(),
        }
    }

    /// Takes all entries.
    pub fn take_all(&mut self) -> Self {
        match self {
            Self::Ever(seen) => Self::Ever(std::mem::take(seen)),
            Self::Since(times, next_look) => Self::Since(std::mem::take(times), *next_look),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::request::Request;

    #[test]
    fn what_is_due_is_forgotten_and_the_set_stays_small() {
        let recrawl = Recrawl { revisit_after: Some(Duration::from_secs(9)), ..Recrawl::default() };
        let mut seen = SeenSet::new(&recrawl);
        for number in 0..10_000_u32 {
            let fingerprint = Request::parse(&format!("http://e.org/{number}")).unwrap().fingerprint();
            // A hundred each second: eleven hundred have not expired yet.
            assert!(seen.take(fingerprint, number / 100, &recrawl) && !seen.take(fingerprint, number / 100, &recrawl));
            assert!(seen.len() <= 2_400, "{}", seen.len());
        }
    }
}
