//! Missed: the starts that a rate allowed while the next request waited for a place in flight. Knows no clock.

use std::time::{Duration, Instant};

/// Measures the time in which nothing but the places held starts up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Missed {
    /// Since when a request waits for a place.
    waiting_since: Option<Instant>,
    /// What was missed and not counted yet, less than one interval.
    rest: Duration,
}

impl Missed {
    /// Notes that a request waits for a place.
    pub fn wait(&mut self, now: Instant) {
        self.waiting_since.get_or_insert(now);
    }

    /// Returns how many starts were missed, when a place becomes free at `now`: none unless a request waited for it.
    /// The law would have allowed that one at `allowed`, if not at once, and the next ones an `interval` apart.
    pub fn place_is_free(&mut self, now: Instant, allowed: Option<Instant>, interval: Duration) -> u32 {
        let Some(since) = self.waiting_since.take() else { return 0 };
        let allowed = allowed.map_or(since, |allowed| allowed.max(since));
        let (time, interval) = ((now.saturating_duration_since(allowed) + self.rest).as_nanos(), interval.as_nanos());
        let rest = time.checked_rem(interval).and_then(|rest| u64::try_from(rest).ok());
        self.rest = rest.map_or(Duration::ZERO, Duration::from_nanos);
        time.checked_div(interval).map_or(0, |starts| u32::try_from(starts).unwrap_or(u32::MAX))
    }
}
