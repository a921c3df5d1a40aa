//! ReadTimeout: how long to wait for a server that was sent a request. Knows no clock.

use std::time::{Duration, Instant};

use super::deadlines::Deadlines;
use crate::outcome::Phase;

/// The read time-outs of one answer: for its head, between two pieces of its body, and by its minimum rate.
#[derive(Clone, Copy, Debug)]
pub struct ReadTimeout {
    deadlines: Deadlines,
    /// When the last of the request was written.
    asked: Instant,
    /// When the last bytes came.
    heard: Instant,
    /// The part of the body that is measured now, once the head has come.
    stretch: Option<Stretch>,
}

/// As many bytes as the minimum rate gives in one window. They must come within one window; then the next stretch begins.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    began: Instant,
    bytes: u64,
}

/// When the wait for an answer ends, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// When.
    pub at: Instant,
    /// What was waited for.
    pub phase: Phase,
    /// For how long.
    pub limit: Duration,
}

impl ReadTimeout {
    /// Starts the wait when the first bytes of the request are written.
    pub fn new(deadlines: Deadlines, now: Instant) -> Self {
        Self { deadlines, asked: now, heard: now, stretch: None }
    }

    /// Starts the wait anew, because more of the request was written.
    pub fn wrote(&mut self, now: Instant) {
        (self.asked, self.heard) = (now, now);
    }

    /// Records bytes that came. Bytes of a head do not extend its time-out, so a head that drips fails as one that never
    /// comes.
    pub fn heard(&mut self, bytes: usize, now: Instant) {
        self.heard = now;
        if let Some(stretch) = &mut self.stretch {
            stretch.bytes += bytes as u64;
            if stretch.bytes >= self.deadlines.bytes_in_window() {
                *stretch = Stretch { began: now, bytes: 0 };
            }
        }
    }

    /// Records that the head is whole: from now on the time-outs of the body hold.
    pub fn head_came(&mut self) {
        self.stretch = Some(Stretch { began: self.heard, bytes: 0 });
    }

    /// Starts the time-outs of the body anew, because we had stopped reading, which is no fault of the server.
    pub fn resumed(&mut self, now: Instant) {
        self.heard = now;
        if let Some(stretch) = &mut self.stretch {
            stretch.began = now;
        }
    }

    /// Returns when the wait ends if no more bytes come.
    pub fn end(&self) -> Expiry {
        let Deadlines { head, idle, rate_window, .. } = self.deadlines;
        let end = |from: Instant, limit, phase| Expiry { at: from + limit, phase, limit };
        let Some(stretch) = self.stretch else { return end(self.asked, head, Phase::Head) };
        let (idle, slow) = (end(self.heard, idle, Phase::Idle), end(stretch.began, rate_window, Phase::MinimumRate));
        if slow.at < idle.at && self.deadlines.bytes_in_window() > 0 { slow } else { idle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn read_timeout(now: Instant) -> ReadTimeout {
        ReadTimeout::new(Deadlines::default(), now)
    }

    #[test]
    fn a_head_that_drips_ends_when_one_that_never_comes_would() {
        let start = Instant::now();
        let mut read_timeout = read_timeout(start);
        read_timeout.wrote(start + seconds(1.0));
        for second in 2..30 {
            read_timeout.heard(1, start + seconds(f64::from(second)));
        }
        assert_eq!(read_timeout.end(), Expiry { at: start + seconds(31.0), phase: Phase::Head, limit: seconds(30.0) });
    }

    #[test]
    fn a_body_that_drips_ends_after_one_window_and_one_that_is_just_fast_enough_never() {
        let start = Instant::now();
        for (rate, ends) in [(1, true), (99, true), (100, false), (10_000, false)] {
            let mut read_timeout = read_timeout(start);
            read_timeout.head_came();
            let ended = (1..600).find(|&second| {
                let now = start + seconds(f64::from(second));
                let is_over = read_timeout.end().at < now;
                read_timeout.heard(rate, now);
                is_over
            });
            assert_eq!(ended, ends.then_some(31), "{rate} bytes/s");
        }
    }

    #[test]
    fn silence_ends_before_the_window_does_and_our_own_pauses_do_not_count() {
        let start = Instant::now();
        let mut read_timeout = read_timeout(start);
        read_timeout.heard(500, start + seconds(2.0));
        read_timeout.head_came();
        assert_eq!(read_timeout.end(), Expiry { at: start + seconds(17.0), phase: Phase::Idle, limit: seconds(15.0) });
        read_timeout.resumed(start + seconds(300.0));
        assert_eq!(read_timeout.end().at, start + seconds(315.0));
        read_timeout.heard(1, start + seconds(314.0));
        read_timeout.heard(1, start + seconds(328.0));
        assert_eq!(
            read_timeout.end(),
            Expiry { at: start + seconds(330.0), phase: Phase::MinimumRate, limit: seconds(30.0) }
        );
    }

    #[test]
    fn no_minimum_is_none() {
        let start = Instant::now();
        let mut read_timeout = ReadTimeout::new(Deadlines { min_rate: 0, ..Deadlines::default() }, start);
        read_timeout.head_came();
        read_timeout.heard(1, start + seconds(29.0));
        assert_eq!(read_timeout.end().phase, Phase::Idle);
    }
}
