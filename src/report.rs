//! Report: how a crawl ended, as data. As text it is a summary for people.

mod numbers;
mod summary;

use std::path::PathBuf;

use serde::Serialize;

pub use self::numbers::{Counted, Grouped};
use crate::stats::Stats;

/// How a crawl ended.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Why it ended.
    pub ended: Ended,
    /// What it did.
    #[serde(flatten)]
    pub stats: Stats,
    /// Whether every URL is accounted for.
    pub ledger_adds_up: bool,
    /// What pipelines complained of when they were closed.
    pub complaints: Vec<String>,
    /// What the settings allow that a reader of the report has to know, such as unchecked certificates.
    pub warnings: Vec<String>,
    /// Why the crawl failed: its state, its log or a pipeline's output could not be written any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Why the crawl was stopped: by the spider ([`Parsed::stop`](crate::spider::Parsed::stop)), a signal, or its
    /// longest time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<String>,
    /// The state that the crawl kept, and can be resumed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<StateReport>,
}

/// Where a crawl's state is kept, and what of it came from before.
#[derive(Clone, Debug, Serialize)]
pub struct StateReport {
    /// The directory.
    pub dir: PathBuf,
    /// Whether the crawl went on with what an earlier process left.
    pub resumed: bool,
    /// The settings that were changed since then; they hold for all that waits.
    pub changed: Vec<String>,
}

/// Why a crawl ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Nothing was left to do.
    Finished,
    /// It was asked to stop: what was in flight ended, what waits is counted as queued.
    Stopped,
    /// It was made to stop at once: what was in flight is counted as leased.
    Aborted,
    /// Its state could not be stored any more, or a pipeline's output is gone: what was stored before is safe, and can be
    /// resumed. Or it ran to its end, and its log could not be written.
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

    /// Returns how many pages ended well.
    pub fn pages(&self) -> u64 {
        self.stats.pages()
    }

    /// Returns how many URLs failed.
    pub fn failed(&self) -> u64 {
        self.stats.ledger.failed
    }
}
