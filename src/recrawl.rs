//! Recrawl: which URLs that were seen are fetched again. Knows no clock and no store.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration_text;

/// What is fetched again. By default nothing is, as with Scrapy's filter of duplicates; a single request can ask for
/// it with [`dont_filter`](crate::Request::dont_filter).
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::Recrawl;
///
/// let weekly = Recrawl { revisit_after: Some(Duration::from_secs(7 * 86_400)), ..Recrawl::default() };
/// assert!(!weekly.is_due(0, 3_600));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recrawl {
    /// Whether the seeds that a crawl begins with are fetched although its state has seen them; what they redirect to is
    /// fetched too.
    pub seeds: bool,
    /// A URL that is found or seeded this long after it was last taken in counts as new. One that is not found again by
    /// then is forgotten. A crawl that lasts longer than this goes on for as long as pages link to each other.
    #[serde(with = "duration_text::optional")]
    pub revisit_after: Option<Duration>,
}

impl Recrawl {
    /// Tells whether what was seen counts as new. Both times are seconds of one clock, rounded down. Up to a second less
    /// may have passed than they say, so a visit is never too early, and at most two seconds late.
    pub fn is_due(&self, seen_at: u32, now: u32) -> bool {
        let Some(after) = self.revisit_after else { return false };
        // A clock that was set back makes nothing due.
        let passed = now.checked_sub(seen_at.saturating_add(1));
        passed.is_some_and(|seconds| Duration::from_secs(seconds.into()) >= after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_due_by_default_and_no_visit_is_too_early() {
        assert!(!Recrawl::default().is_due(0, u32::MAX));
        let after = |millis| Recrawl { revisit_after: Some(Duration::from_millis(millis)), seeds: false };
        assert!(!after(5_000).is_due(10, 15), "seen at 10.9 s, and it is 15.0 s");
        assert!(after(5_000).is_due(10, 16));
        assert!(!after(1_500).is_due(10, 12) && after(1_500).is_due(10, 13));
        assert!(!after(0).is_due(10, 10), "a page that links to itself takes its time");
        assert!(!after(0).is_due(10, 9) && !after(0).is_due(u32::MAX, 0));
    }
}
