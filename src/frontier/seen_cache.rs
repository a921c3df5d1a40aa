//! SeenCache: fingerprints whose admission is decided for good, so that their links can be skipped where they are
//! found. Does not say why; may forget; never reports a false match.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{identity::Fingerprint, recrawl::Recrawl};

/// A table of fingerprints with one writer and many readers, without locks. A later fingerprint replaces an earlier one
/// in the same slot.
#[derive(Debug)]
pub struct SeenCache(Box<[Slot]>);

/// One fingerprint, its first half XORed with its second. A reader may see halves of two different fingerprints while
/// the slot is written. Such a pair matches a third fingerprint only if all 128 bits collide (R. Hyatt and T. Mann, "A
/// lockless transposition-table implementation for parallel search", ICGA Journal 25, 2002).
#[derive(Debug, Default)]
struct Slot {
    mixed: AtomicU64,
    second: AtomicU64,
}

/// 1 MiB: room for the links on every page of a few hundred sites, and often the size of a core's cache.
const SLOTS: usize = 1 << 16;

impl SeenCache {
    /// Creates an empty table. It stays empty if seen URLs may count as new again.
    pub fn new(recrawl: &Recrawl) -> Self {
        let slots = if recrawl.keeps_times() { 0 } else { SLOTS };
        Self((0..slots).map(|_| Slot::default()).collect())
    }

    /// Records that a request with this fingerprint will never be admitted again, unless it asks not to be filtered.
    pub fn note(&self, fingerprint: Fingerprint) {
        let (first, second) = fingerprint.halves();
        if let Some(slot) = self.slot(first) {
            slot.mixed.store(first ^ second, Relaxed);
            slot.second.store(second, Relaxed);
        }
    }

    /// Forgets all fingerprints.
    pub fn clear(&self) {
        for slot in &self.0 {
            slot.mixed.store(0, Relaxed);
            slot.second.store(0, Relaxed);
        }
    }

    /// Tells whether a fingerprint is recorded.
    pub fn holds(&self, fingerprint: Fingerprint) -> bool {
        let (first, second) = fingerprint.halves();
        self.slot(first)
            .is_some_and(|slot| slot.second.load(Relaxed) == second && slot.mixed.load(Relaxed) == first ^ second)
    }

    fn slot(&self, first: u64) -> Option<&Slot> {
        // Slots are chosen by the remainder, so the truncation of a shorter word loses nothing.
        #[allow(clippy::cast_possible_truncation, reason = "the low bits are asked for")]
        self.0.get(first as usize % SLOTS)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::request::Request;

    fn of_halves(first: u64, second: u64) -> Fingerprint {
        Fingerprint::from_bytes((u128::from(second) << 64 | u128::from(first)).to_le_bytes())
    }

    #[test]
    fn it_forgets_and_takes_nothing_for_what_it_is_not() {
        let fingerprint = |n: u32| Request::parse(&format!("http://e.org/{n}")).unwrap().fingerprint();
        let cache = SeenCache::new(&Recrawl::default());
        for n in 0..100_000 {
            cache.note(fingerprint(n));
            assert!(cache.holds(fingerprint(n)));
        }
        let held = (0..100_000).filter(|n| cache.holds(fingerprint(*n))).count();
        assert!((40_000..=SLOTS).contains(&held), "{held}");
        assert!(!(100_000..200_000).any(|n| cache.holds(fingerprint(n))));
    }

    #[test]
    fn who_reads_while_it_is_written_takes_no_mixture_for_a_link() {
        let cache = SeenCache::new(&Recrawl::default());
        let (old, new) = (of_halves(7, 1), of_halves(7 + SLOTS as u64, 2));
        cache.note(old);
        // The state in the middle of `note`.
        cache.slot(7).unwrap().mixed.store((7 + SLOTS as u64) ^ 2, Relaxed);
        for mixture in [old, new, of_halves(7, 2), of_halves(7 + SLOTS as u64, 1)] {
            assert!(!cache.holds(mixture), "{mixture:?}");
        }
        cache.note(new);
        assert!(cache.holds(new) && !cache.holds(old));
    }

    #[test]
    fn nothing_is_known_where_what_was_seen_comes_again() {
        let cache = SeenCache::new(&Recrawl { revisit_after: Some(Duration::from_secs(9)), ..Recrawl::default() });
        cache.note(of_halves(1, 2));
        assert!(!cache.holds(of_halves(1, 2)));
    }
}
