//! Recrawl: which seen URLs are fetched again. Knows no clock and no store.

pub(crate) mod page_visit;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::page_visit::{PageChange, PageVersion, PageVisit};
use crate::text::durations;

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
    #[serde(with = "durations::optional")]
    pub revisit_after: Option<Duration>,
    /// Whether the dates of sitemaps decide about seen URLs: one that is listed as modified after its last admission
    /// counts as new, and one that is not is left out as `sitemap/unchanged`, whatever its age. A date without a time
    /// is the whole day. Sitemaps themselves are read again in each run.
    pub by_lastmod: bool,
    /// Finds out how often each page changes, and lets it be due accordingly when it is found again, in place of
    /// [`Recrawl::revisit_after`], which holds for URLs that brought no page. The last visits of 1.8 million pages are
    /// remembered, with the state, if there is one. An interval begins when the page is fetched; that of a page which
    /// an earlier run has fetched, when it was admitted.
    pub adaptive: Option<Adaptive>,
}

/// How often pages are fetched again: the interval of each page halves when it has changed, and doubles when it has
/// not.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::settings::Adaptive;
///
/// let day = Duration::from_secs(86_400);
/// let adaptive = Adaptive { first: day, least: day / 2, most: 3 * day, ..Adaptive::default() };
/// assert_eq!(adaptive.next(None, true), day);
/// assert_eq!((adaptive.next(Some(day), false), adaptive.next(Some(2 * day), false)), (2 * day, 3 * day));
/// assert_eq!((adaptive.next(Some(day), true), adaptive.next(Some(day / 2), true)), (day / 2, day / 2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adaptive {
    /// The interval after the first visit; a day by default.
    #[serde(with = "durations")]
    pub first: Duration,
    /// The shortest interval; an hour by default.
    #[serde(with = "durations")]
    pub least: Duration,
    /// The longest interval; 30 days by default.
    #[serde(with = "durations")]
    pub most: Duration,
    /// Whether a page whose text is nearly the same counts as unchanged
    /// ([`PageChange::Small`]). By default it does: dates, counters and tokens change with each
    /// answer.
    pub ignore_small_changes: bool,
}

impl Default for Adaptive {
    fn default() -> Self {
        let hour = Duration::from_secs(3_600);
        Self { first: 24 * hour, least: hour, most: 30 * 24 * hour, ignore_small_changes: true }
    }
}

impl Adaptive {
    /// Returns the interval after a visit, from the one before; `None` if it was the first.
    pub fn next(&self, before: Option<Duration>, is_changed: bool) -> Duration {
        let next = match before {
            None => self.first,
            Some(before) if is_changed => before / 2,
            Some(before) => before.saturating_mul(2),
        };
        next.max(self.least).min(self.most)
    }
}

impl Recrawl {
    /// Tells whether the times of admission matter.
    pub(crate) fn keeps_times(&self) -> bool {
        self.revisit_after.is_some() || self.by_lastmod || self.adaptive.is_some()
    }

    /// Tells whether a URL that is due is the same as one never seen. Its last visit, or a sitemap, may say otherwise.
    pub(crate) fn forgets(&self) -> bool {
        self.revisit_after.is_some() && !self.by_lastmod && self.adaptive.is_none()
    }

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
        let after = |millis| Recrawl { revisit_after: Some(Duration::from_millis(millis)), ..Recrawl::default() };
        assert!(!after(5_000).is_due(10, 15), "seen at 10.9 s, and it is 15.0 s");
        assert!(after(5_000).is_due(10, 16));
        assert!(!after(1_500).is_due(10, 12) && after(1_500).is_due(10, 13));
        assert!(!after(0).is_due(10, 10), "a page that links to itself takes its time");
        assert!(!after(0).is_due(10, 9) && !after(0).is_due(u32::MAX, 0));
    }
}
