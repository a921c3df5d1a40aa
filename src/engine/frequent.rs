//! Frequent: the most frequent of many URLs, in little memory. Does not know why they are counted.
//!
//! The counters are those of the Space-Saving algorithm (A. Metwally, D. Agrawal and A. El Abbadi, "Efficient
//! computation of frequent and top-k elements in data streams", ICDT 2005): a URL that has no counter takes over the
//! smallest one. So each that came more often than the sum divided by the counters has one.

use std::cmp::Reverse;

use url::Url;

use crate::stats::RedirectTarget;

/// Counts URLs.
#[derive(Debug, Default)]
pub struct Frequent(Vec<Counter>);

#[derive(Debug)]
struct Counter {
    url: String,
    times: u64,
    /// How many of `times` may belong to other URLs.
    taken_over: u64,
}

/// As many URLs as are counted at once. Each count looks through them.
const MAX_COUNTERS: usize = 64;

/// Longer URLs are cut, so that 64 of them take no more than 128 KiB.
const MAX_LENGTH: usize = 2_048;

impl Frequent {
    /// Counts a URL once more.
    pub fn count(&mut self, url: &Url) {
        // URLs are ASCII.
        let url = url.as_str().get(..MAX_LENGTH).unwrap_or(url.as_str());
        if let Some(counter) = self.0.iter_mut().find(|counter| counter.url == url) {
            counter.times += 1;
        } else if self.0.len() < MAX_COUNTERS {
            self.0.push(Counter { url: url.to_owned(), times: 1, taken_over: 0 });
        } else if let Some(least) = self.0.iter_mut().min_by_key(|counter| counter.times) {
            least.taken_over = least.times;
            least.times += 1;
            url.clone_into(&mut least.url);
        }
    }

    /// Returns the most frequent URLs, with how often each came at least.
    pub fn top(&self, most: usize) -> Vec<RedirectTarget> {
        let at_least = |counter: &Counter| counter.times - counter.taken_over;
        let mut top: Vec<_> = self
            .0
            .iter()
            .map(|counter| RedirectTarget { url: counter.url.clone(), times: at_least(counter) })
            .collect();
        top.sort_by(|one, other| (Reverse(one.times), &one.url).cmp(&(Reverse(other.times), &other.url)));
        top.truncate(most);
        top
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(path: &str) -> Url {
        Url::parse("https://e.org/").unwrap().join(path).unwrap()
    }

    #[test]
    fn what_comes_often_is_named_however_much_else_there_is() {
        let mut frequent = Frequent::default();
        for n in 0..3_000 {
            frequent.count(&url(&format!("page/{n}")));
            if n % 10 == 0 {
                frequent.count(&url("login"));
            }
            if n % 20 == 0 {
                frequent.count(&url("cookies"));
            }
        }
        let top = frequent.top(2);
        assert_eq!(
            top.iter().map(|target| &*target.url).collect::<Vec<_>>(),
            ["https://e.org/login", "https://e.org/cookies"]
        );
        assert!((200..=300).contains(&top[0].times), "{top:?}");
        assert_eq!(frequent.0.len(), MAX_COUNTERS);
    }

    #[test]
    fn few_are_counted_exactly_and_a_long_one_is_cut() {
        let mut frequent = Frequent::default();
        let long = "x".repeat(MAX_LENGTH);
        ["b", "a", "b", &long].iter().for_each(|path| frequent.count(&url(path)));
        let top: Vec<_> = frequent.top(9).iter().map(|target| (target.url.len(), target.times)).collect();
        assert_eq!(top, [(15, 2), (15, 1), (MAX_LENGTH, 1)]);
    }
}
