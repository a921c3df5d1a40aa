//! Calendar: converts instants, which are valid in one process only, to calendar times that can be stored, and back.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Uses one pair of clock readings, so that an instant survives being stored and read in one process.
#[derive(Clone, Copy, Debug)]
pub struct Calendar {
    instant: Instant,
    /// Since 1970.
    time: Duration,
}

impl Calendar {
    /// Reads both clocks.
    #[allow(clippy::disallowed_methods, reason = "the one place where the two kinds of time meet")]
    pub fn now() -> Self {
        Self::at(crate::clock::now(), crate::clock::wall())
    }

    /// Returns when the clocks were read.
    pub fn start(&self) -> Instant {
        self.instant
    }

    /// Creates a clock from a pair of readings.
    pub fn at(instant: Instant, time: SystemTime) -> Self {
        Self { instant, time: time.duration_since(UNIX_EPOCH).unwrap_or_default() }
    }

    /// Returns an instant as milliseconds since 1970, rounded up: nothing comes too early.
    pub fn millis(&self, instant: Instant) -> u64 {
        u64::try_from(self.time(instant).as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    /// Returns an instant as seconds since 1970, rounded down.
    pub fn second(&self, instant: Instant) -> u32 {
        u32::try_from(self.time(instant).as_secs()).unwrap_or(u32::MAX)
    }

    /// Returns an instant as time since 1970.
    fn time(&self, instant: Instant) -> Duration {
        match instant.checked_duration_since(self.instant) {
            Some(ahead) => self.time + ahead,
            None => self.time.saturating_sub(self.instant.saturating_duration_since(instant)),
        }
    }

    /// Converts milliseconds since 1970 to an instant. A time too early to be represented becomes the start of this
    /// process. A time more than a year ahead, as after a clock was set back, becomes a year ahead.
    pub fn instant(&self, millis: u64) -> Instant {
        let time = Duration::from_millis(millis);
        match time.checked_sub(self.time) {
            Some(ahead) => self.instant + ahead.min(YEAR),
            None => self.instant.checked_sub(self.time.saturating_sub(time)).unwrap_or(self.instant),
        }
    }
}

const YEAR: Duration = Duration::from_secs(365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_that_was_stored_is_never_earlier_when_read_back() {
        let now = Instant::now();
        let calendar = Calendar::at(now, SystemTime::now());
        for ahead in [0, 1, 999_999, 1_000_001, 7_777_777_777] {
            let at = now + Duration::from_nanos(ahead);
            let back = calendar.instant(calendar.millis(at));
            assert!(back >= at && back - at <= Duration::from_millis(1));
        }
    }
}
