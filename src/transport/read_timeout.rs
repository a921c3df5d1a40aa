//! ReadTimeout: how long to wait for the response to a request. Knows no clock.

use std::time::{Duration, Instant};

use super::deadlines::Deadlines;
use crate::outcome::Phase;

/// The read time-outs of one response: for its head, between two pieces of its body, and for its minimum rate.
#[derive(Clone, Copy, Debug)]
pub struct ReadTimeout {
    deadlines: Deadlines,
    /// When the last part of the request was written.
    sent: Instant,
    /// When the last bytes were received.
    last_received: Instant,
    /// The body's current measurement, once the head is complete.
    stretch: Option<Stretch>,
}

/// As many bytes as the minimum rate requires in one window. If they are received within the window, the next stretch
/// begins.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    began: Instant,
    bytes: u64,
}

/// When waiting for the response ends, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The instant.
    pub at: Instant,
    /// The phase that timed out.
    pub phase: Phase,
    /// The time-out that was exceeded.
    pub limit: Duration,
}

impl ReadTimeout {
    /// Starts when the first bytes of the request are written.
    pub fn new(deadlines: Deadlines, now: Instant) -> Self {
        Self { deadlines, sent: now, last_received: now, stretch: None }
    }

    /// Restarts, because more of the request was written.
    pub fn wrote(&mut self, now: Instant) {
        (self.sent, self.last_received) = (now, now);
    }

    /// Records received bytes. Bytes of a head do not extend its time-out, so a head that is sent byte by byte fails
    /// like a missing one.
    pub fn received(&mut self, bytes: usize, now: Instant) {
        self.last_received = now;
        if let Some(stretch) = &mut self.stretch {
            stretch.bytes += bytes as u64;
            if stretch.bytes >= self.deadlines.bytes_in_window() {
                *stretch = Stretch { began: now, bytes: 0 };
            }
        }
    }

    /// Records that the head is complete: from now on the body's time-outs apply.
    pub fn head_came(&mut self) {
        self.stretch = Some(Stretch { began: self.last_received, bytes: 0 });
    }

    /// Restarts the body's time-outs after we had stopped reading, since the server did not cause that pause.
    pub fn resumed(&mut self, now: Instant) {
        self.last_received = now;
        if let Some(stretch) = &mut self.stretch {
            stretch.began = now;
        }
    }

    /// Returns when the wait ends if no more bytes are received.
    pub fn end(&self) -> Expiry {
        let Deadlines { head, idle, rate_window, .. } = self.deadlines;
        let end = |from: Instant, limit, phase| Expiry { at: from + limit, phase, limit };
        let Some(stretch) = self.stretch else { return end(self.sent, head, Phase::Head) };
        let (idle, slow) =
            (end(self.last_received, idle, Phase::Idle), end(stretch.began, rate_window, Phase::MinimumRate));
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
            read_timeout.received(1, start + seconds(f64::from(second)));
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
                read_timeout.received(rate, now);
                is_over
            });
            assert_eq!(ended, ends.then_some(31), "{rate} bytes/s");
        }
    }

    #[test]
    fn silence_ends_before_the_window_does_and_our_own_pauses_do_not_count() {
        let start = Instant::now();
        let mut read_timeout = read_timeout(start);
        read_timeout.received(500, start + seconds(2.0));
        read_timeout.head_came();
        assert_eq!(read_timeout.end(), Expiry { at: start + seconds(17.0), phase: Phase::Idle, limit: seconds(15.0) });
        read_timeout.resumed(start + seconds(300.0));
        assert_eq!(read_timeout.end().at, start + seconds(315.0));
        read_timeout.received(1, start + seconds(314.0));
        read_timeout.received(1, start + seconds(328.0));
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
        read_timeout.received(1, start + seconds(29.0));
        assert_eq!(read_timeout.end().phase, Phase::Idle);
    }
}
