//! AdaptiveRate: searches for a server's unknown limit. Raises the rate additively, lowers it multiplicatively, and
//! settles just below what was refused. Knows no clock and no network.

use std::time::{Duration, Instant};

use crate::rate::Rate;

/// A search for the rate that a server allows.
#[derive(Clone, Debug)]
pub struct AdaptiveRate {
    /// Starts per second.
    current: f64,
    /// The lowest refused rate known.
    refused_at: Option<f64>,
    /// When the rate last changed: requests written before say nothing about it.
    since: Instant,
    step: f64,
}

/// How often the rate rises without a refusal: the window of most limits.
const EVERY: Duration = Duration::from_secs(1);

/// The factor after a refusal. TCP halves; a request limit has no queue that must drain, so less is enough.
const DECREASE: f64 = 0.8;

/// The share of the rate that has to be in use for it to rise: what nobody uses finds no limit (RFC 7661 says the same
/// of TCP). Less than all, since timers are late.
const IN_USE: f64 = 0.8;

/// The most that a refusal lowers a rate that was not in use, before the decrease: a pause says little about the limit.
const MAX_UNUSED: f64 = 0.5;

/// The settled rate, as a share of the refused rate.
const JUST_UNDER: f64 = 0.95;

/// How long the settled rate holds before the search probes whether more is allowed.
const PROBE_AFTER: Duration = Duration::from_secs(120);

/// The lowest rate, one start in ten seconds: below it there would be too few responses to learn from.
const SLOWEST: f64 = 0.1;

/// The highest rate, above what one client can send.
const FASTEST: f64 = 100_000.0;

/// The first rate if none is given.
const FIRST: f64 = 1.0;

impl AdaptiveRate {
    /// Starts at a rate, which rises by a tenth of it (at least one start) each second until the first refusal.
    pub fn from(rate: Rate, now: Instant) -> Self {
        let current = rate.starts_per_second().unwrap_or(FIRST).clamp(SLOWEST, FASTEST);
        Self { current, refused_at: None, since: now, step: (current / 10.0).max(1.0) }
    }

    /// Returns the current rate.
    pub fn rate(&self) -> Rate {
        // Whole starts in a little over a second, so that timer delays do not add up from start to start.
        let count = self.current.ceil().max(1.0);
        let per = Duration::try_from_secs_f64(count / self.current).unwrap_or(EVERY);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 100,000")]
        Rate::new(count as u32, per).unwrap_or(Rate::per_second(1))
    }

    /// Records the response to a request written at `started`; `used` are the starts per second of late. Returns the
    /// new rate if it changes.
    pub fn answered(&mut self, started: Instant, now: Instant, used: f64) -> Option<Rate> {
        if started < self.since + EVERY || used < self.current * IN_USE {
            return None;
        }
        let settled = self.refused_at.map(|refused| refused * JUST_UNDER);
        let next = match settled {
            Some(settled) if self.current >= settled => {
                if now < self.since + PROBE_AFTER {
                    return None;
                }
                self.refused_at = None;
                self.current + self.step
            }
            Some(settled) => (self.current + self.step).min(settled),
            None => self.current + self.step,
        };
        Some(self.change(next, now))
    }

    /// Records the refusal of a request written at `started`, with `used` starts per second of late; returns the new
    /// rate. Requests in flight together count once.
    pub fn refused(&mut self, started: Instant, now: Instant, used: f64) -> Option<Rate> {
        if started < self.since {
            return None;
        }
        if used < self.current * IN_USE {
            self.current = used.max(self.current * MAX_UNUSED);
        }
        let refused_at = self.refused_at.map_or(self.current, |refused| refused.min(self.current));
        self.refused_at = Some(refused_at);
        // Small steps near the limit, so that probing costs few refusals.
        self.step = (refused_at * (1.0 - JUST_UNDER)).max(SLOWEST);
        Some(self.change(self.current * DECREASE, now))
    }

    fn change(&mut self, next: f64, now: Instant) -> Rate {
        self.current = next.clamp(SLOWEST, FASTEST);
        self.since = now;
        self.rate()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::{conduct::throttle::Throttle, politeness::limits::Limits};

    const MS: Duration = Duration::from_millis(1);

    /// A server that allows `limit` requests in any second, with responses after 100 ms.
    struct Server {
        limit: usize,
        taken: VecDeque<Instant>,
    }

    impl Server {
        fn takes(&mut self, at: Instant) -> bool {
            while self.taken.front().is_some_and(|first| at - *first >= Duration::from_secs(1)) {
                self.taken.pop_front();
            }
            let takes = self.taken.len() < self.limit;
            if takes {
                self.taken.push_back(at);
            }
            takes
        }
    }

    /// Runs the search against a server for some seconds; returns the responses and refusals of the last minute.
    fn search(first: Rate, limit: usize, seconds: u32) -> (usize, usize) {
        let start = Instant::now();
        let mut now = start;
        let mut adaptive = AdaptiveRate::from(first, start);
        let mut throttle = Throttle::new(Limits::rate(adaptive.rate()));
        let mut server = Server { limit, taken: VecDeque::new() };
        let mut on_the_way: VecDeque<(Instant, bool)> = VecDeque::new();
        let (mut answers, mut refusals) = (0, 0);
        let end = start + Duration::from_secs(u64::from(seconds));
        while now < end {
            while let Some((started, taken)) = on_the_way.pop_front_if(|(started, _)| *started + 100 * MS <= now) {
                throttle.release(now, true);
                let used = throttle.starts_per_second(now);
                let rate =
                    if taken { adaptive.answered(started, now, used) } else { adaptive.refused(started, now, used) };
                if let Some(rate) = rate {
                    throttle.set_limits(Limits::rate(rate));
                }
                if !taken {
                    // Like a server's `Retry-After: 1`.
                    throttle.cool(now + Duration::from_secs(1));
                }
                if now + Duration::from_secs(60) > end {
                    answers += usize::from(taken);
                    refusals += usize::from(!taken);
                }
            }
            if throttle.look(now).is_ok_and(|due| due <= now) {
                throttle.plan();
                if throttle.may_start(now).is_ok() {
                    throttle.begin_writing();
                    throttle.started(now, 0.0);
                    on_the_way.push_back((now, server.takes(now)));
                } else {
                    throttle.release(now, false);
                }
            }
            now += MS;
        }
        (answers, refusals)
    }

    #[test]
    fn the_search_settles_just_under_a_limit_that_nobody_told() {
        for (first, limit) in [(1, 40), (10, 40), (100, 40), (5, 10), (50, 300)] {
            let (answers, refusals) = search(Rate::per_second(first), limit, 180);
            let reached = answers as f64 / (limit as f64 * 60.0);
            assert!((0.85..=1.0).contains(&reached), "from {first} to {limit}: {:.1} %", reached * 100.0);
            assert!(refusals <= 6, "from {first} to {limit}: {refusals} refusals in the last minute");
        }
    }

    #[test]
    fn what_was_in_flight_together_lowers_the_rate_once() {
        let start = Instant::now();
        let mut adaptive = AdaptiveRate::from(Rate::per_second(100), start);
        assert!(adaptive.refused(start + MS, start + 50 * MS, 100.0).is_some());
        for late in 2..40 {
            assert_eq!(adaptive.refused(start + late * MS, start + 60 * MS, 100.0), None);
        }
        assert_eq!(adaptive.rate().starts_per_second().map(f64::round), Some(80.0));
    }

    /// Regression: each answer raised the rate, so after a quiet day the next burst went out at thousands a second.
    #[test]
    fn a_rate_that_nobody_uses_does_not_rise() {
        let start = Instant::now();
        let mut adaptive = AdaptiveRate::from(Rate::per_second(10), start);
        let mut throttle = Throttle::new(Limits::rate(adaptive.rate()));
        for poll in 1..1_800_u32 {
            let now = start + poll * 2_000 * MS;
            throttle.plan();
            throttle.begin_writing();
            throttle.started(now, 0.0);
            throttle.release(now + 100 * MS, true);
            let used = throttle.starts_per_second(now + 100 * MS);
            if let Some(rate) = adaptive.answered(now, now + 100 * MS, used) {
                throttle.set_limits(Limits::rate(rate));
            }
        }
        assert_eq!(adaptive.rate().starts_per_second(), Some(10.0));
    }

    #[test]
    fn a_rate_that_is_no_longer_used_halves_when_a_server_refuses() {
        let start = Instant::now();
        let mut adaptive = AdaptiveRate::from(Rate::per_second(1_000), start);
        let mut refusals = 0;
        while adaptive.rate().starts_per_second().is_some_and(|rate| rate > 20.0) {
            refusals += 1;
            let now = start + refusals * 10_000 * MS;
            assert!(adaptive.refused(now, now + 100 * MS, 2.0).is_some());
        }
        assert_eq!(refusals, 5, "with a fifth at a time there would be 18");
    }
}
