//! Frequent: the most frequent of many texts, in little memory. Does not know what they are.
//!
//! The counters are those of the Space-Saving algorithm (A. Metwally, D. Agrawal and A. El Abbadi, "Efficient computation
//! of frequent and top-k elements in data streams", ICDT 2005): a text that has no counter takes over the smallest one.
//! So every text that came more often than the sum divided by the counters has one.

use std::cmp::Reverse;

use crate::stats::RedirectTarget;

/// Counts texts.
#[derive(Debug, Default)]
pub struct Frequent(Vec<Counter>);

#[derive(Debug)]
struct Counter {
    text: String,
    times: u64,
    /// So many of `times` may have been other texts.
    taken_over: u64,
}

/// As many texts as are counted at once. Each count looks through them.
const MAX_COUNTERS: usize = 64;

/// Longer texts are cut, so that 64 of them take no more than 128 KiB.
const MAX_LENGTH: usize = 2_048;

impl Frequent {
    /// Counts a text once more.
    pub fn count(&mut self, text: &str) {
        let text = text.get(..text.floor_char_boundary(MAX_LENGTH)).unwrap_or(text);
        if let Some(counter) = self.0.iter_mut().find(|counter| counter.text == text) {
            counter.times += 1;
        } else if self.0.len() < MAX_COUNTERS {
            self.0.push(Counter { text: text.to_owned(), times: 1, taken_over: 0 });
        } else if let Some(least) = self.0.iter_mut().min_by_key(|counter| counter.times) {
            least.taken_over = least.times;
            least.times += 1;
            text.clone_into(&mut least.text);
        }
    }

    /// Returns the most frequent texts, with how often each came at least.
    pub fn top(&self, most: usize) -> impl Iterator<Item = RedirectTarget> {
        let mut counted: Vec<_> =
            self.0.iter().map(|counter| (counter.times - counter.taken_over, &counter.text)).collect();
        counted.sort_by_key(|(times, text)| (Reverse(*times), *text));
        counted.into_iter().take(most).map(|(times, url)| RedirectTarget { url: url.clone(), times })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_often_is_named_however_much_else_there_is() {
        let mut frequent = Frequent::default();
        for n in 0..3_000 {
            frequent.count(&format!("https://e.org/page/{n}"));
            if n % 10 == 0 {
                frequent.count("https://e.org/login");
            }
            if n % 20 == 0 {
                frequent.count("https://e.org/cookies");
            }
        }
        let top: Vec<_> = frequent.top(2).map(|target| (target.url, target.times)).collect();
        assert_eq!(top[0].0, "https://e.org/login");
        assert_eq!(top[1].0, "https://e.org/cookies");
        assert!((200..=300).contains(&top[0].1), "{top:?}");
        assert_eq!(frequent.0.len(), MAX_COUNTERS);
    }

    #[test]
    fn few_are_counted_exactly_and_a_long_one_is_cut() {
        let mut frequent = Frequent::default();
        let long = "é".repeat(MAX_LENGTH);
        ["b", "a", "b", &long].iter().for_each(|text| frequent.count(text));
        let top: Vec<_> = frequent.top(9).map(|target| (target.url.len(), target.times)).collect();
        assert_eq!(top, [(1, 2), (1, 1), (MAX_LENGTH, 1)]);
    }
}
