//! Heard: what an answer says of its domain, and what followed from it.

use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;

use crate::{
    cooling::{Verdict, Why, wait_asked},
    quota,
};

/// An answer, as far as it speaks of its domain.
#[derive(Clone, Copy, Debug)]
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
}

/// A refusal that was heard, and what follows. It has been obeyed already: whoever gets this keeps books, logs, and
/// decides about the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heeded {
    /// What refused.
    pub why: Why,
    /// Until when the domain is left alone.
    pub verdict: Verdict,
    /// The wait that the answer asked for.
    pub asked: Option<Duration>,
    /// Whether it was this refusal that gave the domain up.
    pub gave_up: bool,
}

/// What an answer says of its domain's wish to be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The wait that it asks for.
    pub wait: Option<Duration>,
}

/// Tells whether an answer refuses its domain's requests for now: 429 and 503 do; 403, 408, 413, 420, 425, 500, 502, 504,
/// 520 to 524 and 529 do where they ask for a wait (RFC 9110 §10.2.3: `Retry-After` may come with any status), and 403
/// also where it says that nothing is left of a quota.
pub fn refusal(status: u16, headers: &HeaderMap, wall: SystemTime) -> Option<Refused> {
    let used_up = || {
        let quota = quota::read(headers, wall).filter(|quota| quota.left == 0 && !quota.reset.is_zero())?;
        Some(quota.reset)
    };
    let wait = match status {
        429 | 503 => return Some(Refused { wait: wait_asked(headers, wall).or_else(used_up) }),
        403 => wait_asked(headers, wall).or_else(used_up),
        408 | 413 | 420 | 425 | 500 | 502 | 504 | 520..=524 | 529 => wait_asked(headers, wall),
        _ => None,
    };
    wait.map(|wait| Refused { wait: Some(wait) })
}
