//! Report: how a crawl ended, for people and as data.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use crate::stats::{DomainStats, Stats};

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
    /// What the settings let happen that whoever reads this has to know, such as unchecked certificates.
    pub warnings: Vec<String>,
    /// Why the crawl's state could not be stored any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
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
    /// Its state could not be stored any more: what was stored before is safe, and can be resumed.
    Failed,
}

/// The most domains that the summary for people shows.
const MOST_DOMAINS_SHOWN: usize = 20;

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

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stats, ledger) = (&self.stats, &self.stats.ledger);
        let ended = match self.ended {
            Ended::Finished => "finished",
            Ended::Stopped => "stopped",
            Ended::Aborted => "aborted",
            Ended::Failed => "failed",
        };
        writeln!(
            f,
            "{ended}: {} pages, {} items, {} in {} ({:.1} pages/s)",
            self.pages(),
            stats.items,
            Bytes(stats.bytes),
            humantime::format_duration(std::time::Duration::from_millis(
                u64::try_from(stats.elapsed.as_millis()).unwrap_or(u64::MAX)
            )),
            stats.pages_per_second(),
        )?;
        for (key, count) in stats.counts.iter().filter(|(_, count)| **count > 0) {
            writeln!(f, "  {key:<36} {count:>9}")?;
        }
        self.fmt_domains(f)?;
        if let Some(state) = &self.state {
            let resumed = if state.resumed { "resumed from" } else { "kept in" };
            write!(f, "{resumed} {}", state.dir.display())?;
            if !state.changed.is_empty() {
                write!(f, ", with other {} than before", state.changed.join(", "))?;
            }
            writeln!(f)?;
        }
        if let Some(failure) = &self.failure {
            writeln!(f, "{failure}")?;
        }
        for complaint in &self.complaints {
            writeln!(f, "pipeline: {complaint}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "WARNING: {warning}")?;
        }
        write!(
            f,
            "ledger: {} discovered = {} done + {} failed + {} dropped + {} queued + {} leased  [{}]",
            ledger.discovered,
            ledger.done,
            ledger.failed,
            ledger.dropped,
            ledger.queued,
            ledger.leased,
            if self.ledger_adds_up { "adds up" } else { "DOES NOT ADD UP" },
        )
    }
}

impl Report {
    fn fmt_domains(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut domains: Vec<_> = self.stats.domains.iter().filter(|(_, domain)| domain.requests > 0).collect();
        if domains.is_empty() {
            return Ok(());
        }
        domains.sort_by(|(a, left), (b, right)| right.requests.cmp(&left.requests).then(a.cmp(b)));
        let width =
            domains.iter().take(MOST_DOMAINS_SHOWN).map(|(name, _)| name.as_str().len()).max().unwrap_or(0).max(6);
        writeln!(f, "{:<width$}  requests  pages  smallest gap  most in flight  429/503  robots", "domain")?;
        for (name, domain) in domains.iter().take(MOST_DOMAINS_SHOWN) {
            let DomainStats { requests, pages, smallest_gap, most_in_flight, refusals, robots } = domain;
            let gap = smallest_gap.map_or_else(|| "-".to_owned(), |gap| format!("{:.1} ms", gap.as_secs_f64() * 1e3));
            let robots = robots.as_deref().unwrap_or("-");
            writeln!(
                f,
                "{:<width$}  {requests:>8}  {pages:>5}  {gap:>12}  {most_in_flight:>14}  {refusals:>7}  {robots}",
                name.as_str()
            )?;
        }
        let hidden = domains.len().saturating_sub(MOST_DOMAINS_SHOWN) as u64 + self.stats.domains_beyond;
        if hidden > 0 {
            writeln!(f, "… and {hidden} more domains")?;
        }
        Ok(())
    }
}

/// Bytes as people read them.
struct Bytes(u64);

impl fmt::Display for Bytes {
    #[allow(clippy::cast_precision_loss, reason = "for people to read")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes < 1_000 => write!(f, "{bytes} B"),
            bytes if bytes < 1_000_000 => write!(f, "{:.1} kB", bytes as f64 / 1e3),
            bytes if bytes < 1_000_000_000 => write!(f, "{:.1} MB", bytes as f64 / 1e6),
            bytes => write!(f, "{:.2} GB", bytes as f64 / 1e9),
        }
    }
}
