//! Recrawl: which seen URLs are fetched again. Knows no clock and no store.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration_text;

/// Which seen URLs are fetched again. By default none, as with Scrapy's duplicate filter; a single request can ask for
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
    /// Whether the initial seeds are fetched although the state has seen them; the targets of their redirects are
    /// fetched too.
    pub seeds: bool,
    /// A URL that is found or seeded this long after it was last admitted counts as new. One that is not found again by
    /// then is forgotten. A crawl that takes longer than this continues as long as pages link to each other.
    #[serde(with = "duration_text::optional")]
    pub revisit_after: Option<Duration>,
}

impl Recrawl {
    /// Tells whether a seen URL counts as new. Both times are seconds of one clock, rounded down. The real time passed
    /// may be up to a second less, so a visit is never early, and at most two seconds late.
    pub fn is_due(&self, seen_at: u32, now: u32) -> bool {
        let Some(after) = self.revisit_after else { return false };
        // If the clock was set back, nothing is due.
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
