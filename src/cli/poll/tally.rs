//! PollTally: the counts of a poll, and its summary.

use std::{collections::BTreeMap, time::Duration};

use actix_crawler::{Error, Rate};
use serde::Serialize;

use super::{NotSent, PollResult, starts::PollStarts};

/// The counts of a poll.
pub struct PollTally {
    /// Requests that have ended.
    pub done: u64,
    /// Those without a response.
    pub failed: u64,
    answered: u64,
    /// Responses with a status from 400, by status.
    errors: BTreeMap<u16, u64>,
    attempts: u64,
    window: Duration,
    starts: PollStarts,
}

/// The summary of a poll.
#[derive(Serialize)]
pub struct PollSummary {
    requests: u64,
    answered: u64,
    /// Those without a response.
    failed: u64,
    /// Responses with a status from 400, by status.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    error_statuses: BTreeMap<u16, u64>,
    attempts: u64,
    /// Starts a second, between the first and the last; `None` for fewer than two.
    rate: Option<f64>,
    /// The most starts in any window of the rate.
    fullest_window: usize,
    /// That window, in seconds.
    window: f64,
    /// Seconds.
    smallest_gap: Option<f64>,
    elapsed: f64,
}

impl PollTally {
    /// Counts nothing yet; `rate` is the requested one, and no answer takes longer than `longest_answer`.
    pub fn new(rate: Option<Rate>, longest_answer: Duration) -> Self {
        let window = rate.and_then(|rate| rate.window()).map_or(Duration::from_secs(1), |window| window.per);
        let starts = PollStarts::new(window, longest_answer);
        Self { done: 0, failed: 0, answered: 0, errors: BTreeMap::new(), attempts: 0, window, starts }
    }

    /// Counts a completed request.
    pub fn count(&mut self, done: &PollResult) {
        self.done += 1;
        match &done.result {
            Ok(response) => {
                self.answered += 1;
                if response.status() >= 400 {
                    *self.errors.entry(response.status()).or_default() += 1;
                }
                self.attempts += u64::from(response.attempts());
                self.starts.add(response.started());
            }
            Err(unasked) => {
                self.failed += 1;
                if let NotSent::Failed(Error::Fetch { attempts, .. }) = unasked {
                    self.attempts += u64::from(*attempts);
                }
            }
        }
    }

    /// Makes the summary.
    pub fn summary(mut self) -> PollSummary {
        self.starts.end();
        let span = self.starts.span().as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "for people to read")]
        let intervals = self.starts.count.saturating_sub(1) as f64;
        PollSummary {
            requests: self.done,
            answered: self.answered,
            failed: self.failed,
            error_statuses: self.errors,
            attempts: self.attempts,
            rate: (span > 0.0).then(|| intervals / span),
            fullest_window: self.starts.fullest,
            window: self.window.as_secs_f64(),
            smallest_gap: self.starts.smallest_gap.map(|gap| gap.as_secs_f64()),
            elapsed: span,
        }
    }
}

/// The most statuses that the text lists individually.
const MAX_STATUSES_SHOWN: usize = 5;

impl PollSummary {
    /// Tells whether every request had a response with a status below 400.
    pub fn is_well(&self) -> bool {
        self.failed == 0 && self.error_statuses.is_empty()
    }

    /// Formats the summary for people. Fewer than two requests have no rate.
    pub fn text(&self, asked: usize) -> String {
        let statuses = self.error_statuses.iter().take(MAX_STATUSES_SHOWN);
        let mut errors: Vec<_> = statuses.map(|(status, count)| format!("{count} with status {status}")).collect();
        if self.error_statuses.len() > MAX_STATUSES_SHOWN {
            errors.push("…".to_owned());
        }
        let errors = if errors.is_empty() { String::new() } else { format!(" ({})", errors.join(", ")) };
        let ended = format!("{} of {asked} answered{errors}, {} failed", self.answered, self.failed);
        let (Some(rate), Some(gap)) = (self.rate, self.smallest_gap) else { return ended };
        format!(
            "{ended} · {rate:.2}/s over {:.1} s · at most {} in {} s · smallest gap {:.1} ms",
            self.elapsed,
            self.fullest_window,
            self.window,
            gap * 1e3
        )
    }
}
