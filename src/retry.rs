//! Retry: which outcomes are retried, how often, and after what delay. Knows no clock and no network.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{outcome::Outcome, text::durations};

/// When a failed request is retried: exponential back-off with full jitter.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::{Outcome, Retry};
///
/// let retry = Retry { base: Duration::from_secs(4), ..Retry::attempts(2) };
/// // The last argument is the jitter: half of the back-off.
/// assert_eq!(retry.after(&Outcome::Status(502), 1, 0.5), Some(Duration::from_secs(2)));
/// assert_eq!(retry.after(&Outcome::Status(502), 2, 0.5), None, "that was the last attempt");
/// assert_eq!(retry.after(&Outcome::Status(404), 1, 0.5), None, "it would end the same again");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// The most attempts at one request, including the first; 1 means no retries.
    pub attempts: u32,
    /// The longest wait before the second attempt; it doubles from there.
    #[serde(with = "durations")]
    pub base: Duration,
    /// The longest wait before any attempt.
    #[serde(with = "durations")]
    pub max: Duration,
}

/// The longest wait, whatever is configured: a day, longer than most crawls run.
const MAX_DELAY: Duration = Duration::from_secs(86_400);

impl Default for Retry {
    fn default() -> Self {
        // As Scrapy's RETRY_TIMES: two more after the first.
        Self { attempts: 3, base: Duration::from_secs(2), max: Duration::from_secs(60) }
    }
}

impl Retry {
    /// Makes so many attempts at one request at the most, including the first; 1 means no retries.
    pub fn attempts(attempts: u32) -> Self {
        Self { attempts, ..Self::default() }
    }

    /// Returns how long to wait before the next attempt, after `attempts` of them, the last of which ended in
    /// `outcome`; `None` if that was the last. `random` in 0.0..1.0 is the jitter: the wait is uniform between zero and
    /// the back-off, which spreads retries best (AWS, "Exponential Backoff and Jitter").
    pub fn after(&self, outcome: &Outcome, attempts: u32, random: f64) -> Option<Duration> {
        if attempts >= self.attempts {
            return None;
        }
        match outcome {
            // Asked for by a middleware or the spider, which know how long to wait.
            Outcome::Retry { after, .. } => Some((*after).min(MAX_DELAY)),
            outcome => outcome.is_transient().then(|| self.back_off(attempts, random)),
        }
    }

    /// As [`Retry::after`], where `may_repeat` tells whether the request may be written once more. A request that may
    /// already have done its work is not repeated (RFC 9110 §9.2.2), unless somebody who has seen the answer asks for
    /// it.
    pub fn wait(&self, outcome: &Outcome, attempts: u32, may_repeat: bool, random: f64) -> Option<Duration> {
        let is_asked_for = matches!(outcome, Outcome::Retry { .. });
        if may_repeat || is_asked_for { self.after(outcome, attempts, random) } else { None }
    }

    /// Returns the wait after `attempts` attempts.
    pub fn back_off(&self, attempts: u32, random: f64) -> Duration {
        let doubled = self.base.saturating_mul(1_u32 << attempts.saturating_sub(1).min(20));
        doubled.min(self.max).min(MAX_DELAY).mul_f64(random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::FetchError;

    #[test]
    fn waits_double_up_to_the_longest_and_the_last_attempt_is_the_last() {
        let retry = Retry { attempts: 9, ..Retry::default() };
        let outcome = Outcome::Status(502);
        let waits: Vec<_> = (1..=9).map(|n| retry.after(&outcome, n, 1.0).map(|wait| wait.as_secs())).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60].map(Some).into_iter().chain([None]).collect::<Vec<_>>());
        assert_eq!(retry.after(&outcome, 3, 0.0), Some(Duration::ZERO), "full jitter reaches down to zero");
    }

    #[test]
    fn only_what_may_end_better_is_tried_again() {
        let retry = Retry::default();
        for hopeless in [Outcome::Status(404), Outcome::Parse("x".into()), Outcome::Fetch(FetchError::Tls("x".into()))]
        {
            assert_eq!(retry.after(&hopeless, 1, 0.5), None, "{hopeless:?}");
        }
        assert!(retry.after(&Outcome::Fetch(FetchError::Truncated("x".into())), 1, 0.5).is_some());
    }
}
