//! Pace: what a domain's answers say about how fast it may be asked: refusals, quotas, and the limit that was found.
//! Knows no clock and no network.

use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;

use crate::{
    adaptive::Adaptive,
    cooling::{Cooling, Verdict, Why, retry_after},
    politeness::Limits,
    quota::{self, Spread},
    rate::Rate,
    throttle::Throttle,
};

/// What was learned from the answers of one domain.
#[derive(Debug, Default)]
pub struct Pace {
    cooling: Cooling,
    adaptive: Option<Adaptive>,
    /// When the request was written whose answer told the quota last.
    quota_as_of: Option<Instant>,
}

/// An answer, as far as it speaks of pace.
pub struct Heard<'a> {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// When the request was written.
    pub started: Instant,
    /// When the answer was complete.
    pub now: Instant,
    /// The same by the calendar.
    pub wall: SystemTime,
    /// Requests that were written after this one.
    pub started_since: u32,
}

/// What follows for the throttle.
#[derive(Debug)]
pub struct Orders {
    cool: Option<Instant>,
    spread: Option<Spread>,
    rate: Option<Rate>,
    now: Instant,
    /// False where the domain has refused too often in a row.
    pub patience_left: bool,
}

/// How long a domain is left alone that has used up our patience.
const AFTER_PATIENCE: Duration = Duration::from_secs(600);

impl Pace {
    /// Begins without knowing anything; with `adaptive`, the limit is looked for.
    pub fn new(adaptive: Option<Adaptive>) -> Self {
        Self { adaptive, ..Self::default() }
    }

    /// Learns from an answer. `random` in 0.0..1.0 spreads a wake-up.
    pub fn listen(&mut self, heard: &Heard<'_>, random: f64) -> Orders {
        let Heard { status, headers, started, now, wall, started_since } = *heard;
        let mut orders = Orders { cool: None, spread: None, rate: None, now, patience_left: true };
        if matches!(status, 429 | 503) {
            let asked = headers.get("retry-after").and_then(|value| retry_after(value.to_str().ok()?, wall));
            match self.cooling.refused(started, now, Why::Status(status), asked, random) {
                Verdict::Cool(until) => orders.cool = Some(until),
                Verdict::GiveUp(_) => {
                    orders.cool = Some(now + asked.unwrap_or(AFTER_PATIENCE));
                    orders.patience_left = false;
                }
            }
            orders.rate = self.adaptive.as_mut().and_then(|adaptive| adaptive.refused(started, now));
            return orders;
        }
        self.cooling.answered();
        orders.rate = self.adaptive.as_mut().and_then(|adaptive| adaptive.answered(started, now));
        // Answers overtake each other: only the news of the latest request counts.
        if self.quota_as_of.is_none_or(|as_of| started >= as_of)
            && let Some(quota) = quota::read(headers, wall)
        {
            self.quota_as_of = Some(started);
            orders.spread = Some(quota.spread(started_since));
        }
        orders
    }

    /// Tells whether it is never forgotten: a limit that was found is worth its place.
    pub fn is_kept(&self) -> bool {
        self.adaptive.is_some()
    }

    /// Tells whether nothing was learned that a new beginner would not know.
    pub fn is_fresh(&self, now: Instant) -> bool {
        !self.is_kept() && self.cooling.state(now).is_none()
    }
}

impl Orders {
    /// Carries the orders out.
    pub fn obey(&self, throttle: &mut Throttle) {
        if let Some(until) = self.cool {
            throttle.cool(until);
        }
        match self.spread {
            Some(Spread::Wait(reset)) => throttle.cool(self.now + reset),
            Some(Spread::Slow { spacing, reset }) => throttle.slow(spacing, self.now + reset),
            Some(Spread::Free) => throttle.hurry(),
            None => {}
        }
        if let Some(rate) = self.rate {
            let limits = Limits { rate, ..*throttle.limits() };
            throttle.set_limits(limits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn heard(status: u16, headers: &HeaderMap, started: Instant, now: Instant) -> Heard<'_> {
        Heard { status, headers, started, now, wall: SystemTime::UNIX_EPOCH, started_since: 0 }
    }

    #[test]
    fn a_refusal_cools_the_domain_for_as_long_as_the_server_asks() {
        let now = Instant::now();
        let headers = HeaderMap::from_iter([("retry-after".parse().unwrap(), "7".parse().unwrap())]);
        let mut throttle = Throttle::new(Limits::rate(Rate::UNLIMITED));
        Pace::default().listen(&heard(429, &headers, now, now), 0.0).obey(&mut throttle);
        assert_eq!(throttle.cooling_until(), Some(now + 7 * S));
    }

    #[test]
    fn a_domain_that_always_refuses_is_left_alone_and_its_callers_hear_of_it() {
        let (mut now, headers) = (Instant::now(), HeaderMap::new());
        let mut pace = Pace::default();
        let refusals = (0..20).take_while(|_| {
            now += 1_000 * S;
            pace.listen(&heard(503, &headers, now, now), 0.0).patience_left
        });
        assert_eq!(refusals.count(), 7);
        let last = pace.listen(&heard(503, &headers, now + S, now + S), 0.0);
        assert_eq!(last.cool, Some(now + S + AFTER_PATIENCE), "left alone also then");
    }

    #[test]
    fn an_answer_that_was_overtaken_does_not_loosen_what_a_later_one_said() {
        let now = Instant::now();
        let told = |left: &str| {
            HeaderMap::from_iter([
                ("x-ratelimit-remaining".parse().unwrap(), left.parse().unwrap()),
                ("x-ratelimit-reset".parse().unwrap(), "10".parse().unwrap()),
            ])
        };
        let mut pace = Pace::default();
        let later = pace.listen(&heard(200, &told("0"), now + S, now + 2 * S), 0.0);
        assert_eq!(later.spread, Some(Spread::Wait(10 * S)));
        assert_eq!(pace.listen(&heard(200, &told("90"), now, now + 3 * S), 0.0).spread, None);
    }
}
