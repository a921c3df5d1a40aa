//! Payloads: which payloads are archived already, and where, within a bound. May forget, and never reports a false
//! match.

use std::collections::VecDeque;

use hashbrown::HashMap;

/// The most payloads that are remembered, about 25 MB; the oldest is forgotten first. A site repeats what it has lately
/// sent.
const MAX_PAYLOADS: usize = 65_536;

/// A record with a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Original {
    pub id: String,
    pub url: String,
    pub date: String,
}

/// What is remembered, by digest.
#[derive(Default)]
pub(super) struct Payloads {
    known: HashMap<String, Original>,
    oldest_first: VecDeque<String>,
}

impl Payloads {
    /// Returns the record that has this payload.
    pub fn get(&self, digest: &str) -> Option<Original> {
        self.known.get(digest).cloned()
    }

    /// Remembers where a payload is; the first place stays.
    pub fn add(&mut self, digest: &str, original: Original) {
        if self.known.contains_key(digest) {
            return;
        }
        if self.known.len() >= MAX_PAYLOADS
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert(digest.to_owned(), original);
        self.oldest_first.push_back(digest.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_payload_is_forgotten_first_and_the_first_place_of_one_stays() {
        let original = |n: usize| Original { id: n.to_string(), url: String::new(), date: String::new() };
        let mut payloads = Payloads::default();
        for n in 0..=MAX_PAYLOADS {
            payloads.add(&format!("sha256:{n}"), original(n));
        }
        payloads.add("sha256:9", original(0));
        assert_eq!((payloads.get("sha256:0"), payloads.get("sha256:9")), (None, Some(original(9))));
        assert_eq!((payloads.known.len(), payloads.oldest_first.len()), (MAX_PAYLOADS, MAX_PAYLOADS));
    }
}
