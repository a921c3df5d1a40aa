//! Cooling: how long a domain that refused us is not requested. Knows no clock and no network.

use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, header::RETRY_AFTER};

/// The refusals of one domain, and the end of its cooling.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cooling {
    since: Option<Instant>,
    until: Option<Instant>,
    why: Option<CoolingCause>,
    consecutive: u8,
    /// How many in a row make it be given up: what the most patient of their causes allows.
    limit: u8,
}

/// The refusals in a row of a domain, which no answer has taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// How many there are.
    pub in_a_row: u8,
    /// How many make the domain be given up.
    pub limit: u8,
    /// The end of the last wait.
    pub until: Instant,
    /// Its reason.
    pub why: CoolingCause,
}

/// What made a domain cool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoolingCause {
    /// It responded with this status.
    Status(u16),
    /// It could not be reached.
    Unreachable,
}

/// What follows from a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackOff {
    /// The domain cools until then.
    Cool(Instant),
    /// The domain refused too often in a row: its queued requests, and those that come until then, fail.
    GiveUp(Instant),
}

impl BackOff {
    /// Returns until when the domain cools.
    pub fn until(self) -> Instant {
        let (Self::Cool(until) | Self::GiveUp(until)) = self;
        until
    }
}

impl std::fmt::Display for CoolingCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "it refuses us with {status}"),
            Self::Unreachable => f.write_str("it cannot be reached"),
        }
    }
}

impl CoolingCause {
    /// The first wait if the server gives none; it doubles with each refusal in a row. An overloaded server gets more
    /// time than one that may only be restarting.
    fn first_wait(self) -> Duration {
        match self {
            Self::Status(_) => Duration::from_secs(5),
            Self::Unreachable => Duration::from_secs(1),
        }
    }

    /// How many refusals in a row, with the waits between them, make a domain be given up. Where their causes differ,
    /// the larger number counts: a server that is overloaded may refuse with 503, and then take no connection for a
    /// while.
    pub fn max_in_a_row(self) -> u8 {
        match self {
            Self::Status(_) => 8,
            Self::Unreachable => 4,
        }
    }
}

/// The shortest wait, also where a server's date lies less ahead: refusals in a row are to last for seconds.
const MIN_WAIT: Duration = Duration::from_secs(1);

/// The longest wait that we choose ourselves, and how long a given-up domain is not requested.
const MAX_OWN_WAIT: Duration = Duration::from_secs(600);

/// The longest accepted `Retry-After`: a day. A domain that asks for more is given up at once; otherwise it could block
/// the crawl for ever.
const MAX_ASKED_WAIT: Duration = Duration::from_secs(86_400);

/// The value that stands for a longer `Retry-After`; it can be added to any instant.
const TOO_LONG: Duration = Duration::from_secs(86_401);

/// How long after the last wait refusals still count as in a row. After a day without requests the server may have
/// changed.
const MAX_COUNTED: Duration = Duration::from_secs(86_400);

impl Cooling {
    /// Records the refusal of a request written at `started`.
    ///
    /// Requests in flight together count once: a request written before the cooling began can lengthen it by its
    /// `Retry-After`, but does not escalate it. `random` in 0.0..1.0 spreads the end over a tenth of the wait.
    pub fn refused(
        &mut self,
        started: Instant,
        now: Instant,
        why: CoolingCause,
        retry_after: Option<Duration>,
        random: f64,
    ) -> BackOff {
        if self.counts_until().is_some_and(|end| end <= now) {
            *self = Self::default();
        }
        let same_burst = self.is_of_burst(started);
        if !same_burst {
            let before = if self.consecutive == 0 { 0 } else { self.limit };
            self.limit = before.max(why.max_in_a_row());
            self.consecutive = self.consecutive.saturating_add(1);
            self.since = Some(now);
        }
        let asks_for_too_long = retry_after.is_some_and(|asked| asked > MAX_ASKED_WAIT);
        if asks_for_too_long {
            self.consecutive = self.consecutive.max(self.limit);
        }
        if !same_burst || asks_for_too_long {
            self.why = Some(why);
        }
        let is_over = self.consecutive >= self.limit;
        let until = if is_over {
            now + retry_after.unwrap_or(MAX_OWN_WAIT).clamp(MAX_OWN_WAIT, MAX_ASKED_WAIT)
        } else {
            let own = why.first_wait().saturating_mul(1 << (self.consecutive.clamp(1, 16) - 1)).min(MAX_OWN_WAIT);
            let wait = retry_after.map_or(own, |asked| asked.clamp(MIN_WAIT, MAX_ASKED_WAIT));
            now + wait + wait.mul_f64(0.1 * random.clamp(0.0, 1.0))
        };
        if !same_burst || retry_after.is_some() {
            self.until = self.until.max(Some(until));
        }
        let until = self.until.unwrap_or(until);
        if is_over && until > now { BackOff::GiveUp(until) } else { BackOff::Cool(until) }
    }

    /// Tells whether a request written at `started` was in flight when the domain began to cool.
    pub fn is_of_burst(&self, started: Instant) -> bool {
        self.since.is_some_and(|since| started <= since)
    }

    /// Restores the refusals recorded by an earlier process.
    pub fn recalled(refusals: Refusals) -> Self {
        let Refusals { in_a_row, limit, until, why } = refusals;
        Self { since: None, until: Some(until), why: Some(why), consecutive: in_a_row, limit }
    }

    /// Returns the refusals in a row; `None` if none counts any more.
    pub fn refusals(&self, now: Instant) -> Option<Refusals> {
        self.counts_until().filter(|end| *end > now)?;
        Some(Refusals { in_a_row: self.consecutive, limit: self.limit, until: self.until?, why: self.why? })
    }

    /// Returns until when the refusals count if no response comes; `None` if there are none.
    pub fn counts_until(&self) -> Option<Instant> {
        if self.consecutive == 0 { None } else { Some(self.until? + MAX_COUNTED) }
    }

    /// Takes note that the domain answered as it should, to a request that was written at `started`. What was written
    /// before the cooling began says nothing of the time after: it does not take the domain's refusal back.
    pub fn answered(&mut self, started: Instant) {
        if self.since.is_none_or(|since| started > since) {
            self.consecutive = 0;
        }
    }

    /// Tells whether the domain has refused too often in a row.
    pub fn has_given_up(&self, now: Instant) -> bool {
        self.refusals(now).is_some_and(|refusals| refusals.in_a_row >= refusals.limit)
    }

    /// Returns why the domain is given up, while it is.
    pub fn given_up(&self, now: Instant) -> Option<CoolingCause> {
        self.state(now).map(|(_, why)| why).filter(|_| self.has_given_up(now))
    }

    /// Returns until when the domain cools, and why; `None` if it does not.
    pub fn state(&self, now: Instant) -> Option<(Instant, CoolingCause)> {
        self.until.filter(|until| *until > now).zip(self.why)
    }
}

/// Returns the wait that a response's `Retry-After` asks for (RFC 9110 §10.2.3). A date is compared with the server's
/// own `Date` if present, so that a wrong clock on either side does no harm. Of several the longest holds: a proxy may
/// have added its own.
pub fn wait_asked(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let date = headers.get(http::header::DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let lines = headers.get_all(RETRY_AFTER).iter();
    lines.filter_map(|line| retry_after(line.to_str().ok()?, date.unwrap_or(now))).max()
}

/// Reads `Retry-After`: seconds, or a date. Neither `0` nor a date that has passed asks for a wait. RFC 9110 lets `0`
/// be sent and does not say what it is to mean after a refusal; curl (`--retry`) and urllib3 wait as if it were not
/// there. A fraction of a second, which it does not allow and Discord sends, is rounded up.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let (seconds, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let wait = if is_number(seconds) && is_number(fraction) {
        // A number too large for `u64` also means too long.
        let more = u64::from(fraction.bytes().any(|digit| digit != b'0'));
        Duration::from_secs(seconds.parse().map_or(u64::MAX, |seconds: u64| seconds.saturating_add(more)))
    } else {
        httpdate::parse_http_date(value).ok()?.duration_since(now).ok()?
    };
    Some(wait.min(TOO_LONG)).filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_in_flight_counts_once() {
        let now = Instant::now();
        let mut cooling = Cooling::default();
        let first = cooling.refused(now, now + S, CoolingCause::Status(429), None, 0.0);
        for late in 2..20 {
            let again = cooling.refused(now + S / 2, now + late * S, CoolingCause::Status(429), None, 0.0);
            assert_eq!(again, first, "written before the cooling began");
        }
        let second = cooling.refused(now + 10 * S, now + 20 * S, CoolingCause::Status(429), None, 0.0);
        assert_eq!(
            second,
            BackOff::Cool(now + 20 * S + 2 * CoolingCause::Status(429).first_wait()),
            "a new refusal waits twice as long"
        );
    }

    #[test]
    fn what_the_server_asks_for_is_what_it_gets_and_never_less() {
        let now = Instant::now();
        let mut cooling = Cooling::default();
        assert_eq!(
            cooling.refused(now, now, CoolingCause::Status(503), Some(60 * S), 0.0),
            BackOff::Cool(now + 60 * S)
        );
        assert_eq!(
            cooling.refused(now, now, CoolingCause::Status(503), Some(2 * S), 0.0),
            BackOff::Cool(now + 60 * S),
            "a shorter wish of the same burst does not shorten it"
        );
        assert_eq!(cooling.state(now), Some((now + 60 * S, CoolingCause::Status(503))));
        assert_eq!(cooling.state(now + 60 * S), None);
    }

    #[test]
    fn the_wake_up_is_spread_over_a_tenth_of_the_wait() {
        let now = Instant::now();
        let BackOff::Cool(until) = Cooling::default().refused(now, now, CoolingCause::Status(429), Some(100 * S), 1.0)
        else {
            panic!("one refusal is no reason to give up")
        };
        assert_eq!(until, now + 110 * S);
    }

    #[test]
    fn a_domain_that_only_refuses_is_given_up_and_an_answer_forgives() {
        let mut now = Instant::now();
        let mut cooling = Cooling::default();
        for _ in 1..CoolingCause::Status(429).max_in_a_row() {
            assert!(matches!(cooling.refused(now, now, CoolingCause::Status(429), None, 0.5), BackOff::Cool(_)));
            now += 1000 * S;
        }
        let mut forgiven = cooling;
        forgiven.answered(now);
        assert!(matches!(forgiven.refused(now, now, CoolingCause::Status(429), None, 0.5), BackOff::Cool(_)));
        assert_eq!(
            cooling.refused(now, now, CoolingCause::Status(429), None, 0.5),
            BackOff::GiveUp(now + MAX_OWN_WAIT)
        );
        assert_eq!(
            cooling.given_up(now + MAX_OWN_WAIT - S),
            Some(CoolingCause::Status(429)),
            "it is left alone meanwhile"
        );
        assert_eq!(cooling.given_up(now + MAX_OWN_WAIT), None);
    }

    /// Its callers waited a day in silence, because the domain did not count as given up any more.
    #[test]
    fn an_answer_to_what_was_written_before_a_refusal_does_not_take_it_back() {
        let now = Instant::now();
        let mut cooling = Cooling::default();
        let given_up = cooling.refused(now, now + S, CoolingCause::Status(429), Some(TOO_LONG), 0.0);
        assert!(matches!(given_up, BackOff::GiveUp(_)));
        cooling.answered(now + S / 2);
        assert_eq!(cooling.given_up(now + 2 * S), Some(CoolingCause::Status(429)));
        cooling.answered(given_up.until());
        assert_eq!(cooling.refusals(given_up.until()), None);
    }

    /// The last cause alone decided: an overloaded server was given up at its fourth refusal, and one that was given up
    /// came back to life by a late answer that refused.
    #[test]
    fn refusals_of_two_kinds_have_the_larger_limit_and_a_straggler_decides_nothing() {
        let (busy, away) = (CoolingCause::Status(503), CoolingCause::Unreachable);
        let start = Instant::now();
        let at = |n: u32| start + n * 1_000 * S;
        let row = |whys: &[CoolingCause]| {
            let mut cooling = Cooling::default();
            let numbered = whys.iter().zip(1..);
            let ends: Vec<_> = numbered.map(|(why, n)| cooling.refused(at(n), at(n), *why, None, 0.0)).collect();
            (cooling, ends)
        };
        let gives_up = |end: &BackOff| matches!(end, BackOff::GiveUp(_));
        let (_, ends) = row(&[busy, busy, busy, away, away, away, away, away]);
        assert_eq!(ends.iter().position(gives_up), Some(7), "an overloaded server does that");
        let (_, ends) = row(&[away, away, away, busy, away, away, away, away]);
        assert_eq!(ends.iter().position(gives_up), Some(7));

        let (mut cooling, ends) = row(&[busy; 4]);
        let late = cooling.refused(at(4) - S, at(4) + S, away, None, 0.0);
        assert_eq!(late, ends[3], "it was granted before the cooling began");
        assert_eq!(cooling.state(at(4) + S).map(|(_, why)| why), Some(busy));

        let (mut cooling, ends) = row(&[away; 4]);
        assert!(gives_up(&ends[3]));
        let late = cooling.refused(at(4) - S, at(4) + S, busy, None, 0.0);
        assert_eq!((late, cooling.given_up(at(4) + S)), (ends[3], Some(away)));
        let late = cooling.refused(at(4) - S, at(4) + S, busy, Some(900 * S), 0.0);
        assert_eq!(late, BackOff::GiveUp(at(4) + 901 * S), "what it asks for is kept to");

        let mut restored = Cooling::recalled(row(&[busy, busy, busy, away]).0.refusals(at(5)).unwrap());
        assert!(!restored.has_given_up(at(5)));
        assert!(!gives_up(&restored.refused(at(5), at(5), away, None, 0.0)), "also in a later process");
    }

    #[test]
    fn refusals_count_until_an_answer_comes_and_for_a_day_at_the_longest() {
        let now = Instant::now();
        let mut cooling = Cooling::default();
        for round in 0..3 {
            cooling.refused(now + round * 100 * S, now + round * 100 * S, CoolingCause::Status(503), None, 0.0);
        }
        let Refusals { in_a_row, until, .. } = cooling.refusals(now + 3_600 * S).unwrap();
        assert_eq!((in_a_row, until), (3, now + 220 * S));
        let mut later = cooling;
        let at = until + MAX_COUNTED - S;
        assert_eq!(
            later.refused(at, at, CoolingCause::Status(503), None, 0.0),
            BackOff::Cool(at + 40 * S),
            "the fourth"
        );
        let at = until + MAX_COUNTED;
        assert_eq!(cooling.refusals(at), None);
        assert_eq!(
            cooling.refused(at, at, CoolingCause::Status(503), None, 0.0),
            BackOff::Cool(at + 5 * S),
            "the first"
        );
    }

    #[test]
    fn who_asks_for_more_than_a_day_is_given_up_at_once() {
        let now = Instant::now();
        let refused = |asked| Cooling::default().refused(now, now, CoolingCause::Status(503), Some(asked), 0.0);
        assert_eq!(refused(MAX_ASKED_WAIT), BackOff::Cool(now + MAX_ASKED_WAIT));
        assert_eq!(refused(TOO_LONG), BackOff::GiveUp(now + MAX_ASKED_WAIT));
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(retry_after(" 120 ", now), Some(120 * S));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now), Some(60 * S));
        for passed in ["0", "000", "Sun, 06 Nov 1994 08:00:00 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"] {
            assert_eq!(retry_after(passed, now), None, "{passed}: a wait that has passed is none");
        }
        for beyond in ["86401", "99999999999", &"9".repeat(300), "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_eq!(retry_after(beyond, now), Some(TOO_LONG), "{beyond}");
        }
        assert_eq!(retry_after("3.5", now), Some(4 * S), "what Discord sends");
        assert_eq!(retry_after("3.0", now), Some(3 * S));
        for no_number in ["3.", ".5", "1.2.3", "0.0"] {
            assert_eq!(retry_after(no_number, now), None, "{no_number}");
        }
        let mut two = HeaderMap::new();
        two.append(RETRY_AFTER, "3".parse().unwrap());
        two.append(RETRY_AFTER, "60".parse().unwrap());
        two.append(RETRY_AFTER, "soon".parse().unwrap());
        assert_eq!(wait_asked(&two, now), Some(60 * S), "the longest of several");
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-5", now), None);
    }
}
