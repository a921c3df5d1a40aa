//! Refusal: what a response tells about its domain, and what follows from it.

use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;

use crate::conduct::{
    cooling::{BackOff, CoolingCause, wait_asked},
    quota,
};

/// A response, as far as it concerns the politeness towards its domain.
#[derive(Clone, Copy, Debug)]
pub struct ResponseFacts<'a> {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// When the request was written.
    pub started: Instant,
    /// When the response was complete.
    pub now: Instant,
    /// The calendar time of `now`.
    pub wall: SystemTime,
}

/// What follows from a refusal. It is in force already: the receiver updates its records, logs, and decides about the
/// request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cooled {
    /// The cause.
    pub why: CoolingCause,
    /// Until when the domain cools.
    pub back_off: BackOff,
    /// The wait that the response asked for.
    pub asked: Option<Duration>,
    /// Whether this refusal made the domain be given up.
    pub gave_up: bool,
    /// Its number among the refusals in a row; 0 if its request was in flight when the domain began to cool.
    pub in_a_row: u8,
}

impl Cooled {
    /// Returns the same refusal, for which the domain rests longer: it stays one refusal, with its number in a row.
    pub fn prolonged(self, rested: &Self) -> Self {
        Self { back_off: rested.back_off, asked: rested.asked, gave_up: self.gave_up || rested.gave_up, ..self }
    }
}

/// What a response says about further requests to its domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The wait that it asks for.
    pub wait: Option<Duration>,
}

/// Tells whether an answer refuses its domain's requests for now: 429 and 503 do; 403, 408, 413, 420, 425 and all other
/// 5xx do if they ask for a wait (RFC 9110 §10.2.3: `Retry-After` may come with any status), and 403 also if its
/// headers say that a quota is used up.
pub fn refusal(status: u16, headers: &HeaderMap, wall: SystemTime) -> Option<Refused> {
    let used_up = || {
        let quota = quota::read(headers, wall).filter(|quota| quota.left == 0 && !quota.reset.is_zero())?;
        Some(quota.reset)
    };
    let wait = match status {
        429 | 503 => return Some(Refused { wait: wait_asked(headers, wall).or_else(used_up) }),
        403 => wait_asked(headers, wall).or_else(used_up),
        408 | 413 | 420 | 425 | 500..=599 => wait_asked(headers, wall),
        _ => None,
    };
    wait.map(|wait| Refused { wait: Some(wait) })
}

/// Returns the wait that a redirect asks for before its target is asked (RFC 9110 §10.2.3).
pub(super) fn wait_before_hop(status: u16, headers: &HeaderMap, wall: SystemTime) -> Option<Duration> {
    if (300..400).contains(&status) { wait_asked(headers, wall) } else { None }
}
