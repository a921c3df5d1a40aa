//! SeenCache: fingerprints whose admission is decided for good, so that their links can be skipped where they are
//! found. Does not say why; may forget; never reports a false match.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{identity::Fingerprint, recrawl::Recrawl};

/// A table of fingerprints with one writer and many readers, without locks. Each fingerprint has its place in one set;
/// a new one replaces that of its set which was noted longest ago.
#[derive(Debug)]
pub struct SeenCache(Box<[Set]>);

/// The fingerprints of one line of a processor's cache, the one noted last first: reading four costs as much as one.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Set([SeenSlot; WAYS]);

/// One fingerprint, its first half XORed with its second. A reader may see halves of two different fingerprints while
/// the slot is written. Such a pair matches a third fingerprint only if all 128 bits collide (R. Hyatt and T. Mann, "A
/// lockless transposition-table implementation for parallel search", ICGA Journal 25, 2002).
#[derive(Debug, Default)]
struct SeenSlot {
    mixed: AtomicU64,
    second: AtomicU64,
}

/// With a single way a quarter of 40,000 links would have been replaced in a table of 65,536, and each link that is not
/// found here costs ten times as much.
const WAYS: usize = 4;

/// 2 MiB: room for the links of a site of 100,000 pages, or for those on every page of a few hundred sites.
const SLOTS: usize = 1 << 17;

const SETS: usize = SLOTS / WAYS;

impl SeenCache {
    /// Creates an empty table. It stays empty if seen URLs may count as new again.
    pub fn new(recrawl: &Recrawl) -> Self {
        let sets = if recrawl.keeps_times() { 0 } else { SETS };
        Self((0..sets).map(|_| Set::default()).collect())
    }

    /// Records that a request with this fingerprint will never be admitted again, unless it asks not to be filtered.
    pub fn note(&self, fingerprint: Fingerprint) {
        let (first, second) = fingerprint.halves();
        let Some(Set(slots)) = self.set(first) else { return };
        // Takes the first place, and each moves to the next up to where it stood itself. A reader may miss one
        // meanwhile.
        let mut moved = (first ^ second, second);
        for slot in slots {
            let before = (slot.mixed.load(Relaxed), slot.second.load(Relaxed));
            slot.mixed.store(moved.0, Relaxed);
            slot.second.store(moved.1, Relaxed);
            if before == (first ^ second, second) {
                return;
            }
            moved = before;
        }
    }

    /// Forgets all fingerprints.
    pub fn clear(&self) {
        for slot in self.0.iter().flat_map(|Set(slots)| slots) {
            slot.mixed.store(0, Relaxed);
            slot.second.store(0, Relaxed);
        }
    }

    /// Tells whether a fingerprint is recorded.
    pub fn holds(&self, fingerprint: Fingerprint) -> bool {
        let (first, second) = fingerprint.halves();
        let is_it = |slot: &SeenSlot| slot.second.load(Relaxed) == second && slot.mixed.load(Relaxed) == first ^ second;
        self.set(first).is_some_and(|Set(slots)| slots.iter().any(is_it))
    }

    fn set(&self, first: u64) -> Option<&Set> {
        // Sets are chosen by the remainder, so the truncation of a shorter word loses nothing.
        #[allow(clippy::cast_possible_truncation, reason = "the low bits are asked for")]
        self.0.get(first as usize % SETS)
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
        assert!((85_000..100_000).contains(&held), "{held}");
        assert!(!(100_000..200_000).any(|n| cache.holds(fingerprint(n))));
    }

    #[test]
    fn what_was_noted_longest_ago_goes_first() {
        let cache = SeenCache::new(&Recrawl::default());
        let nth = |n: u64| of_halves(7 + n * SETS as u64, 1);
        for n in [0, 1, 2, 3, 0, 0, 4] {
            cache.note(nth(n));
        }
        assert_eq!([0, 1, 2, 3, 4].map(|n| cache.holds(nth(n))), [true, false, true, true, true]);
    }

    #[test]
    fn who_reads_while_it_is_written_takes_no_mixture_for_a_link() {
        let cache = SeenCache::new(&Recrawl::default());
        let (old, new) = (of_halves(7, 1), of_halves(7 + SETS as u64, 2));
        cache.note(old);
        // The state in the middle of `note`.
        cache.set(7).unwrap().0[0].mixed.store((7 + SETS as u64) ^ 2, Relaxed);
        for mixture in [old, new, of_halves(7, 2), of_halves(7 + SETS as u64, 1)] {
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
