//! Assumed: starts that a throttle counts and has not made itself: those before it was created, of an earlier process,
//! or of another one.

use std::time::{Duration, Instant};

use super::{
    Throttle,
    past::{LastAsked, Starts},
    stretched,
};

/// See [`Throttle::assume_asked`]: waiting for a window this short costs little.
const SHORT_WINDOW: Duration = Duration::from_secs(10);

/// More starts than any window counts: see [`Throttle::assume_asked`].
const ASSUMED: u64 = 1 << 32;

impl Throttle {
    /// Returns all starts in a few bytes; `None` if there are none.
    pub(crate) fn starts(&self) -> Option<Starts> {
        let before = self.past.as_ref().and_then(|past| past.before);
        let apart = before.map_or(self.least_apart(), |before| before.apart.min(self.least_apart()));
        Some(Starts { made: self.made, last: self.last_start?, apart })
    }

    /// Counts the starts that were made before this throttle was created, if it has none of its own yet.
    pub(crate) fn recall(&mut self, starts: Starts, now: Instant) {
        if self.last_start.is_some() {
            return;
        }
        (self.made, self.last_start) = (starts.made, Some(starts.last));
        let past = self.past.get_or_insert_default();
        past.before = Some(starts);
        if let Some(window) = self.limits.rate.window().filter(|window| starts.last + stretched(window.per) > now) {
            past.fill(window, starts);
        }
    }

    /// Assumes that an earlier process made as many requests as were lawful up to `at`.
    ///
    /// An evenly spaced rate continues evenly. If the rate allows bursts, or its window is short enough that waiting
    /// costs little, the window counts as full. Under limits that are set later, it counts as full with what was lawful
    /// under these. Actual starts later than `at` are kept.
    pub(crate) fn assume_asked(&mut self, at: Instant) {
        if self.last_start >= Some(at) {
            return;
        }
        let apart = self.starts().map_or(self.least_apart(), |starts| starts.apart);
        (self.last_start, self.last_end) = (Some(at), Some(at));
        self.made = self.made.max(ASSUMED);
        let past = self.past.get_or_insert_default();
        past.before = Some(Starts { made: self.made, last: at, apart });
        let Some(window) = self.limits.rate.window() else { return };
        past.grid = Some(at + window.interval());
        if self.limits.rate.burst_size() > 1 || window.per <= SHORT_WINDOW {
            past.starts = std::iter::repeat_n(at, window.count.get() as usize).collect();
        }
    }

    /// Returns when requests were last made; `None` for never.
    pub(crate) fn last_asked(&self) -> Option<LastAsked> {
        let last = self.last_start.max(self.last_end)?;
        let (starts, has_more) = match (&self.past, self.limits.rate.window()) {
            (Some(past), Some(window)) => past.latest(window),
            _ => (Vec::new(), true),
        };
        Some(LastAsked { last, starts, has_more })
    }

    /// Assumes that another process has made these requests.
    pub(crate) fn assume(&mut self, asked: &LastAsked) {
        if self.last_start > Some(asked.last) {
            return;
        }
        self.assume_asked(asked.last);
        let (catch_up, burst) = (self.catch_up(), self.limits.rate.burst_size());
        if let (Some(past), Some(window)) = (&mut self.past, self.limits.rate.window())
            && !past.starts.is_empty()
        {
            past.set_starts(window, asked);
            past.set_grid(window, asked, burst, catch_up);
        }
    }
}
