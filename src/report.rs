//! Report: how a crawl ended, as data. As text it is a summary for people, without control characters that servers sent.

mod escaped;
pub(crate) mod numbers;
mod summary;

use std::path::PathBuf;

use serde::Serialize;

pub use self::escaped::Escaped;
pub(crate) use self::numbers::{Counted, Grouped};
use crate::stats::Stats;

/// How a crawl ended.
///
/// ```
/// use actix_crawler::{Ended, Report, stats::{Ledger, Stats}};
///
/// let ledger = Ledger { discovered: 3, done: 2, failed: 1, ..Ledger::default() };
/// let report = Report::new(Stats { ledger, ..Stats::default() }, Ended::Finished, Vec::new());
/// assert!(report.ledger_adds_up);
/// println!("{report}");
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Why it ended.
    pub ended: Ended,
    /// Its stats.
    #[serde(flatten)]
    pub stats: Stats,
    /// Whether the ledger accounts for every URL.
    pub ledger_adds_up: bool,
    /// Errors of pipelines when they were closed.
    pub complaints: Vec<String>,
    /// Warnings about settings, such as unchecked certificates.
    pub warnings: Vec<String>,
    /// Why the crawl failed: its state, its log or a pipeline's output could no longer be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Why the crawl was stopped: by the spider ([`Parsed::stop`](crate::spider::Parsed::stop)), a signal, or its
    /// longest time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<String>,
    /// The stored state, from which the crawl can be resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<StateReport>,
}

/// Where a crawl's state is stored, and whether it was resumed.
///
/// ```
/// use actix_crawler::Report;
///
/// fn went_on(report: &Report) -> bool {
///     report.state.as_ref().is_some_and(|state| state.resumed)
/// }
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct StateReport {
    /// The directory.
    pub dir: PathBuf,
    /// Whether the crawl continued an earlier one.
    pub resumed: bool,
    /// The settings that changed since the earlier crawl; the new values apply to all that waits.
    pub changed: Vec<String>,
}

/// Why a crawl ended.
///
/// ```
/// use actix_crawler::{Ended, Report};
///
/// fn exit_code(report: &Report) -> u8 {
///     match report.ended {
///         Ended::Finished | Ended::Stopped => 0,
///         Ended::Aborted | Ended::Failed => 1,
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Nothing was left to do.
    Finished,
    /// It was stopped: requests in flight ended, and what waits is counted as queued.
    Stopped,
    /// It was aborted: requests in flight are counted as leased.
    Aborted,
    /// Its state could no longer be stored, or a pipeline's output is gone; what was stored before is safe and can be
    /// resumed. Or it finished, but its log could not be written.
    Failed,
}

impl Report {
    /// Creates a report.
    pub fn new(stats: Stats, ended: Ended, complaints: Vec<String>) -> Self {
        Self {
            ended,
            ledger_adds_up: stats.ledger.adds_up(),
            stats,
            complaints,
            warnings: Vec::new(),
            failure: None,
            stop_reason: None,
            state: None,
        }
    }

    /// Returns the number of successful pages.
    pub fn pages(&self) -> u64 {
        self.stats.pages()
    }

    /// Returns how many URLs failed.
    pub fn failed(&self) -> u64 {
        self.stats.ledger.failed
    }
}
