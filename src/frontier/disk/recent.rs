//! Recent: the fingerprints that came lately, and whether those are all that ever came. Knows no store.

use hashbrown::HashSet;

use crate::request::Fingerprint;

/// Two generations of fingerprints: when the younger is full, the elder is forgotten.
#[derive(Debug)]
pub struct Recent {
    young: HashSet<Fingerprint>,
    old: HashSet<Fingerprint>,
    generation: u64,
    complete: bool,
    most: usize,
}

impl Recent {
    /// Creates an empty set; a generation holds `most` fingerprints.
    pub fn with_generations_of(most: usize) -> Self {
        Self { young: HashSet::new(), old: HashSet::new(), generation: 0, complete: true, most }
    }

    /// Takes a fingerprint in.
    pub fn insert(&mut self, fingerprint: Fingerprint) {
        if self.young.len() >= self.most {
            self.complete &= self.old.is_empty();
            self.old = std::mem::take(&mut self.young);
            self.generation += 1;
        }
        self.young.insert(fingerprint);
    }

    /// Tells whether the fingerprint came lately.
    pub fn contains(&self, fingerprint: &Fingerprint) -> bool {
        self.young.contains(fingerprint) || self.old.contains(fingerprint)
    }

    /// Tells whether what came lately is all that ever came: then what is not in here is new.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// There is more than is in here.
    pub fn forget_completeness(&mut self) {
        self.complete = false;
    }

    /// Names the moment, for [`Recent::has_forgotten_since`].
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Tells whether something may have come after that moment and be forgotten by now.
    pub fn has_forgotten_since(&self, generation: u64) -> bool {
        self.generation >= generation + 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Request;

    fn fingerprint(number: u32) -> Fingerprint {
        Request::parse(&format!("http://e.org/{number}")).unwrap().fingerprint()
    }

    #[test]
    fn nothing_is_forgotten_of_the_last_generation_and_forgetting_is_known() {
        let mut recent = Recent::with_generations_of(100);
        for number in 0..200 {
            recent.insert(fingerprint(number));
        }
        assert!(recent.is_complete() && recent.contains(&fingerprint(0)));
        let generation = recent.generation();
        for number in 200..400 {
            recent.insert(fingerprint(number));
            let newest_since = recent.contains(&fingerprint(200));
            assert!(newest_since || recent.has_forgotten_since(generation));
        }
        assert!(!recent.is_complete() && !recent.contains(&fingerprint(0)));
        assert!((300..400).all(|number| recent.contains(&fingerprint(number))));
    }
}
