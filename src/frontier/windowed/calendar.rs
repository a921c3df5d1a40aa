//! Calendar: converts instants, which are valid in one process only, to calendar times that can be stored, and back.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Uses one pair of clock readings, so that an instant survives being stored and read in one process, until the clocks
/// have come apart.
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

    /// Takes over another pair of readings if the clocks have come apart since this one: the calendar was set, or the
    /// machine was suspended, while instants stood still.
    pub fn follow(&mut self, read: Self) {
        if self.time(read.instant).abs_diff(read.time) > MAX_APART {
            *self = read;
        }
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
    /// process. One that lies further ahead of `now` than any delay, as after a clock was set back, becomes the longest
    /// delay.
    pub fn instant(&self, millis: u64, now: Instant) -> Instant {
        let (time, latest) = (Duration::from_millis(millis), now + MAX_AHEAD);
        match time.checked_sub(self.time) {
            Some(ahead) => self.instant.checked_add(ahead).map_or(latest, |at| at.min(latest)),
            None => self.instant.checked_sub(self.time.saturating_sub(time)).unwrap_or(self.instant),
        }
    }
}

/// The furthest stored time in the future that is believed. Requests are delayed for a day at most, and for somewhat
/// more behind a domain that rests as long.
const MAX_AHEAD: Duration = Duration::from_secs(2 * 86_400);

/// How far the clocks may be apart before they are read again: clocks that are adjusted slowly stay below it for hours.
const MAX_APART: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_that_was_stored_is_never_earlier_when_read_back() {
        let now = Instant::now();
        let calendar = Calendar::at(now, SystemTime::now());
        for ahead in [0, 1, 999_999, 1_000_001, 7_777_777_777] {
            let at = now + Duration::from_nanos(ahead);
            let back = calendar.instant(calendar.millis(at), now);
            assert!(back >= at && back - at <= Duration::from_millis(1));
        }
    }

    /// Regression: all that was stored after a laptop had slept for eight hours was eight hours too early, and a delay
    /// that was stored by a wrong clock lasted a year.
    #[test]
    fn times_are_right_again_after_a_machine_was_suspended_or_its_clock_was_set() {
        let (start, hour) = (Instant::now(), Duration::from_secs(3_600));
        let time = UNIX_EPOCH + 400_000 * hour;
        let mut calendar = Calendar::at(start, time);
        let before = calendar.millis(start);
        calendar.follow(Calendar::at(start + hour, time + hour + MAX_APART));
        assert_eq!(calendar.millis(start), before, "they are together");
        calendar.follow(Calendar::at(start + hour, time + 9 * hour));
        assert_eq!(calendar.millis(start + 2 * hour), before + 10 * 3_600_000);
        let much_later = start + 1_000 * hour;
        assert_eq!(calendar.instant(calendar.millis(much_later + hour), much_later), much_later + hour);
        calendar.follow(Calendar::at(start + hour, time - 399_999 * hour));
        assert_eq!(calendar.second(start + hour), 3_600);
        assert_eq!(calendar.instant(before, start + hour), start + hour + MAX_AHEAD, "what the wrong clock has stored");
    }
}
