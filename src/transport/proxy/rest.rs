//! ProxyRest: how long a failed proxy is not used. Knows no clock and no network.

use std::time::{Duration, Instant};

/// The consecutive failures of one proxy, and the end of its rest.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProxyRest {
    since: Option<Instant>,
    until: Option<Instant>,
    in_a_row: u32,
}

/// The first rest; it doubles with each consecutive failure. A proxy that restarts is back within seconds.
const FIRST: Duration = Duration::from_secs(5);

/// The longest rest: a proxy that was down for an hour is tried again within ten minutes.
const MAX_REST: Duration = Duration::from_secs(600);

impl ProxyRest {
    /// Records the failure of a request that began at `began`. Requests that failed together count once.
    pub fn failed(&mut self, began: Instant, now: Instant) {
        if self.knew_at(began) {
            return;
        }
        let rest = FIRST.saturating_mul(1 << self.in_a_row.min(16)).min(MAX_REST);
        *self = Self { since: Some(now), until: Some(now + rest), in_a_row: self.in_a_row.saturating_add(1) };
    }

    /// Records the success of a request that began at `began`.
    pub fn succeeded(&mut self, began: Instant) {
        if !self.knew_at(began) {
            *self = Self::default();
        }
    }

    /// Returns when the rest ends; `None` if it has ended.
    pub fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }

    fn knew_at(&self, began: Instant) -> bool {
        self.since.is_some_and(|since| began < since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn rests_double_up_to_the_longest_and_a_success_ends_them() {
        let mut now = Instant::now();
        let mut rest = ProxyRest::default();
        for expected in [5, 10, 20, 40, 80, 160, 320, 600, 600] {
            rest.failed(now, now);
            assert_eq!(rest.until(now), Some(now + expected * S));
            now += expected * S;
            assert_eq!(rest.until(now), None);
        }
        rest.succeeded(now);
        rest.failed(now, now);
        assert_eq!(rest.until(now), Some(now + 5 * S));
    }

    #[test]
    fn requests_that_were_under_way_together_count_once() {
        let start = Instant::now();
        let mut rest = ProxyRest::default();
        rest.failed(start, start + S);
        rest.failed(start, start + 2 * S);
        assert_eq!(rest.until(start + 2 * S), Some(start + 6 * S));
        rest.succeeded(start);
        assert!(rest.until(start + 2 * S).is_some(), "what began before says nothing of now");
    }
}
