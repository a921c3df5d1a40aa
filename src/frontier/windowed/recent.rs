//! RecentlySeen: the latest fingerprints, and whether these are all there are. Knows no store.

use crate::{frontier::seen::SeenSet, identity::Fingerprint, recrawl::Recrawl};

/// Two generations of fingerprints: when the younger one is full, the older one is dropped.
#[derive(Debug)]
pub struct RecentlySeen {
    young: SeenSet,
    old: SeenSet,
    generation: u64,
    complete: bool,
    max: usize,
}

impl RecentlySeen {
    /// Creates an empty set; a generation holds `max` fingerprints.
    pub fn with_generations_of(max: usize, recrawl: &Recrawl) -> Self {
        Self { young: SeenSet::new(recrawl), old: SeenSet::new(recrawl), generation: 0, complete: true, max }
    }

    /// Adds a fingerprint that was last seen at this second.
    pub fn insert(&mut self, fingerprint: Fingerprint, at: u32) {
        if self.young.len() >= self.max {
            self.complete &= self.old.len() == 0;
            self.old = self.young.take_all();
            self.generation += 1;
        }
        self.young.insert(fingerprint, at);
    }

    /// Returns the second of the last admission, if the fingerprint is still here; 0 if no times are kept.
    pub fn seen_at(&self, fingerprint: &Fingerprint) -> Option<u32> {
        self.young.seen_at(fingerprint).or_else(|| self.old.seen_at(fingerprint))
    }

    /// Keeps a fingerprint as long as a new one, if it is still here; tells whether it is.
    pub fn refresh(&mut self, fingerprint: &Fingerprint) -> bool {
        if self.young.seen_at(fingerprint).is_none() {
            let Some(at) = self.old.seen_at(fingerprint) else { return false };
            self.insert(*fingerprint, at);
        }
        true
    }

    /// Tells whether nothing was ever dropped, so that a fingerprint not found here is new.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Records that there are more fingerprints than these.
    pub fn forget_completeness(&mut self) {
        self.complete = false;
    }

    /// Forgets all, so that everything is looked up again.
    pub fn forget_all(&mut self) {
        drop((self.young.take_all(), self.old.take_all()));
        self.complete = false;
        self.generation += 2;
    }

    /// Lets a generation hold at least `fingerprints`, so that all of a look-up can be here at once.
    pub fn make_room(&mut self, fingerprints: usize) {
        self.max = self.max.max(fingerprints);
    }

    /// Returns a marker of this moment for [`RecentlySeen::has_forgotten_since`].
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Tells whether fingerprints added after that moment may have been dropped.
    pub fn has_forgotten_since(&self, generation: u64) -> bool {
        self.generation >= generation + 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Request;

    fn has(recent: &RecentlySeen, number: u32) -> bool {
        recent.seen_at(&fingerprint(number)).is_some()
    }

    fn fingerprint(number: u32) -> Fingerprint {
        Request::parse(&format!("http://e.org/{number}")).unwrap().fingerprint()
    }

    #[test]
    fn nothing_is_forgotten_of_the_last_generation_and_forgetting_is_known() {
        let mut recent = RecentlySeen::with_generations_of(100, &Recrawl::default());
        for number in 0..200 {
            recent.insert(fingerprint(number), 0);
        }
        assert!(recent.is_complete() && has(&recent, 0));
        let generation = recent.generation();
        for number in 200..400 {
            recent.insert(fingerprint(number), 0);
            let newest_since = has(&recent, 200);
            assert!(newest_since || recent.has_forgotten_since(generation));
        }
        assert!(!recent.is_complete() && !has(&recent, 0));
        assert!((300..400).all(|number| has(&recent, number)));
    }
}
