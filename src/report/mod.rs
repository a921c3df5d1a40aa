//! Report: how a crawl ended, as data. As text it is a summary for people, without control characters that servers
//! sent.

pub(crate) mod escaped;
pub(crate) mod numbers;
mod summary;

use std::{collections::BTreeMap, path::PathBuf};

use serde::Serialize;

pub use self::escaped::Escaped;
pub(crate) use self::numbers::{Counted, Grouped, Took};
use crate::{
    error::{Error, Result},
    sessions::SessionCounts,
    stats::{Stats, count::requests_in},
    validation::Validation,
};

/// How a crawl ended.
///
/// ```
/// use actix_crawler::{Report, report::Ended, stats::{Ledger, Stats}};
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
    /// What else went wrong with pipelines: how often one was restarted, further ones that could not be closed.
    pub complaints: Vec<String>,
    /// Warnings about settings, such as unchecked certificates, and about a cache that could not be written.
    pub warnings: Vec<String>,
    /// Why the crawl failed: its state, its log, its recording or a pipeline's output could no longer be written, a
    /// pipeline could not be closed at the end, or its own frontier, identity or domain key panicked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Why the crawl was stopped: by the spider ([`Parsed::stop`](crate::spider::Parsed::stop)), a signal, or its
    /// longest time; or which limit, such as `max_pages()`, ended it before all that it had found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<String>,
    /// What its items are like: in how many each field is, if a feed writes them, and what was found by
    /// [`Crawler::validate`](crate::Crawler::validate).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
    /// What was done in each session; empty where no cookies are kept.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sessions: BTreeMap<String, SessionCounts>,
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
    /// How many requests earlier runs have ended, in any way.
    pub requests_before: u64,
    /// The settings that changed since the earlier crawl; the new values apply to all that waits.
    pub changed: Vec<String>,
}

/// Why a crawl ended.
///
/// ```
/// use actix_crawler::{Report, report::Ended};
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
    /// Its state could no longer be stored, a pipeline's output is gone, or its own frontier, identity or domain key
    /// panicked; what was stored before is safe and can be resumed. Or it finished, but a pipeline
    /// could not be closed, as one whose upload failed, or its log or its recording lacks what could not be written.
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
            validation: None,
            sessions: BTreeMap::new(),
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

    /// Makes an error of a crawl that failed, so that a program can end with it: its output broke, its state could not
    /// be written, or it finished without a single page, and URLs failed. A crawl that was stopped, or of which some
    /// pages failed, is none.
    ///
    /// ```no_run
    /// use actix_crawler::prelude::*;
    ///
    /// fn main() -> Result<()> {
    ///     let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
    ///     let crawler = Crawler::new(titles, "bot/1.0 (+https://example.org/bot)").seed("https://example.org/");
    ///     let report = crawler.pipeline(JsonLines::create("titles.jsonl")).run_blocking()?;
    ///     println!("{report}");
    ///     report.check()
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Crawl`] with the reason.
    pub fn check(&self) -> Result<()> {
        if self.ended == Ended::Failed {
            return Err(Error::Crawl(self.failure.clone().unwrap_or_else(|| "its report says more".to_owned())));
        }
        if self.ended != Ended::Finished || self.pages() > 0 || self.failed() == 0 {
            return Ok(());
        }
        let first = self.stats.first_failures.values().next();
        let first = first.map_or_else(String::new, |first| format!(", such as {}: {}", first.url, first.detail));
        Err(Error::Crawl(format!("no page came, and {} failed{first}", Counted(self.failed(), "URL"))))
    }

    /// Tells whether the crawl was resumed and ended because everything that its state knows had been fetched before.
    /// Where something still waits, a limit ended it, as a warning says.
    pub fn found_nothing_new(&self) -> bool {
        let before = self.state.as_ref().filter(|state| state.resumed).map(|state| state.requests_before);
        let waits = self.stats.ledger.queued > 0;
        self.ended == Ended::Finished && !waits && before == Some(requests_in(&self.stats.counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Ledger;

    /// A crawl that was stopped after its first failure, with most of its URLs to come, once ended its program with an
    /// error.
    #[test]
    fn only_a_crawl_that_has_finished_without_a_page_is_an_error_for_its_failures() {
        let of = |ended, failed| {
            let ledger = Ledger { discovered: 1_001, failed, queued: 1_001 - failed, ..Ledger::default() };
            Report::new(Stats { ledger, ..Stats::default() }, ended, Vec::new()).check()
        };
        for stopped in [Ended::Stopped, Ended::Aborted] {
            assert!(of(stopped, 1).is_ok(), "{stopped:?}");
        }
        assert!(of(Ended::Finished, 0).is_ok() && of(Ended::Finished, 1_001).is_err() && of(Ended::Failed, 0).is_err());
    }
}
