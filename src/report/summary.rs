//! Summary: a report as text for people: what was fetched, what failed and why, how each domain was treated, and the
//! ledger as its last line. Knows no data beyond the report.

use std::fmt;

use super::{
    Counted, Ended, Grouped, Report,
    numbers::{Bytes, Took},
};
use crate::{count::Count, stats::DomainStats};

/// The most domains that the summary for people shows.
const MAX_DOMAINS_SHOWN: usize = 20;

/// The most reasons that are shown one by one.
const MAX_REASONS_SHOWN: usize = 12;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = &self.stats;
        let ended = match self.ended {
            Ended::Finished => "Finished",
            Ended::Stopped => "Stopped",
            Ended::Aborted => "Stopped at once",
            Ended::Failed => "Failed",
        };
        let (took, bytes, speed) = (Took(stats.elapsed), Bytes(stats.bytes), stats.pages_per_second());
        // What a state has stored counts on.
        let runs = if self.state.as_ref().is_some_and(|state| state.resumed) { " in all runs" } else { "" };
        let pages = Counted(self.pages(), "page");
        writeln!(f, "{ended} after {took}{runs}: {pages}, {bytes}, {speed:.1} pages/s")?;
        writeln!(f)?;
        self.fmt_counts(f)?;
        self.fmt_domains(f)?;
        if let Some(state) = &self.state {
            let resumed = if state.resumed { "resumed from" } else { "kept in" };
            write!(f, "state {resumed} {}", state.dir.display())?;
            if !state.changed.is_empty() {
                write!(f, ", with a different {} than before", state.changed.join(", and a different "))?;
            }
            writeln!(f, "; the same command goes on with it\n")?;
        }
        if let Some(reason) = &self.stop_reason {
            writeln!(f, "stopped: {reason}\n")?;
        }
        if let Some(failure) = &self.failure {
            writeln!(f, "error: {failure}\n")?;
        }
        for complaint in &self.complaints {
            writeln!(f, "pipeline: {complaint}\n")?;
        }
        for warning in &self.warnings {
            writeln!(
                f,
                "WARNING: {warning}
"
            )?;
        }
        self.fmt_ledger(f)
    }
}

impl Report {
    fn fmt_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = &self.stats;
        line(f, "pages", self.pages())?;
        if stats.items != self.pages() {
            line(f, "items", stats.items)?;
        }
        line(f, "failed", self.failed())?;
        for (reason, count) in stats.counts_below("failed").into_iter().take(MAX_REASONS_SHOWN) {
            write!(f, "  {reason:<26} {:>10}", Grouped(count))?;
            match stats.first_failures.get(reason) {
                Some(first) if first.detail.is_empty() || reason.starts_with("status/") => {
                    writeln!(f, "  {}", first.url)?;
                }
                Some(first) => writeln!(f, "  {}: {}", first.url, first.detail)?,
                None => writeln!(f)?,
            }
        }
        line(f, "dropped", stats.ledger.dropped)?;
        for (reason, count) in stats.counts_below("drop").into_iter().take(MAX_REASONS_SHOWN) {
            writeln!(f, "  {reason:<26} {:>10}", Grouped(count))?;
        }
        for (what, count) in [
            ("redirects", Count::Outcome("redirect")),
            ("tried again", Count::Retry),
            ("refusals (429, 503)", Count::Outcome("refused")),
            ("robots files", Count::RobotsFetched),
            ("robots files not to be had", Count::RobotsUnreachable),
            ("Crawl-delays above the cap", Count::CrawlDelayAboveCap),
            ("fetchers lost", Count::FetcherLost),
            ("items left out", Count::ItemDropped),
        ] {
            line(f, what, stats.count(count))?;
        }
        for (heading, key) in [("middleware", "middleware"), ("the spider's counts", "spider")] {
            let counts = stats.counts_below(key);
            if !counts.is_empty() {
                writeln!(f, "{heading}")?;
            }
            for (name, count) in counts.into_iter().take(MAX_REASONS_SHOWN) {
                writeln!(f, "  {name:<26} {:>10}", Grouped(count))?;
            }
        }
        writeln!(f)
    }

    fn fmt_domains(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut domains: Vec<_> = self.stats.domains.iter().filter(|(_, domain)| domain.requests > 0).collect();
        if domains.is_empty() {
            return Ok(());
        }
        domains.sort_by(|(a, left), (b, right)| right.requests.cmp(&left.requests).then(a.cmp(b)));
        let shown = domains.iter().take(MAX_DOMAINS_SHOWN);
        let width = shown.clone().map(|(name, _)| name.as_str().chars().count()).max().unwrap_or(0).max(6);
        let refusals = "429/503";
        writeln!(f, "{:<width$}  requests     pages  smallest gap  at once  {refusals}  robots.txt", "domain")?;
        for (name, domain) in shown {
            let DomainStats { requests, pages, smallest_gap, most_in_flight, refusals, robots } = domain;
            let gap = smallest_gap.map_or_else(|| "-".to_owned(), |gap| Took(gap).to_string());
            let (requests, pages) = (Grouped(*requests), Grouped(*pages));
            let robots = robots.as_deref().unwrap_or("-");
            writeln!(
                f,
                "{:<width$}  {requests:>8}  {pages:>8}  {gap:>12}  {most_in_flight:>7}  {refusals:>7}  {robots}",
                name.as_str()
            )?;
        }
        let hidden = domains.len().saturating_sub(MAX_DOMAINS_SHOWN) as u64 + self.stats.domains_beyond;
        if hidden > 0 {
            writeln!(f, "… and {}", Counted(hidden, "more domain"))?;
        }
        writeln!(f)
    }

    fn fmt_ledger(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ledger = &self.stats.ledger;
        write!(
            f,
            "ledger: {} discovered = {} done + {} failed + {} dropped + {} queued + {} leased: {}",
            Grouped(ledger.discovered),
            Grouped(ledger.done),
            Grouped(ledger.failed),
            Grouped(ledger.dropped),
            Grouped(ledger.queued),
            Grouped(ledger.leased),
            if self.ledger_adds_up { "adds up" } else { "DOES NOT ADD UP" },
        )
    }
}

/// One count; nothing where there is nothing to say.
fn line(f: &mut fmt::Formatter<'_>, what: &str, count: u64) -> fmt::Result {
    if count == 0 { Ok(()) } else { writeln!(f, "{what:<28} {:>10}", Grouped(count)) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        domain::Domain,
        stats::{FirstFailure, Ledger, Stats},
    };

    fn report() -> Report {
        let mut stats = Stats { elapsed: Duration::from_millis(2_500), bytes: 1_234, ..Stats::default() };
        for (count, times) in [(Count::Outcome("ok"), 1_200), (Count::Failed("dns"), 2)] {
            stats.counts.insert(count.to_string(), times);
        }
        let first = FirstFailure { url: "http://no.test/".to_owned(), detail: "no such name".to_owned() };
        stats.first_failures.insert("dns".to_owned(), first);
        stats.ledger = Ledger { discovered: 1_202, done: 1_200, failed: 2, ..Ledger::default() };
        if let Some(domain) = stats.domain(&Domain::new("yes.test")) {
            *domain =
                DomainStats { requests: 1_201, smallest_gap: Some(Duration::from_secs(1)), ..DomainStats::default() };
        }
        Report::new(stats, Ended::Finished, Vec::new())
    }

    #[test]
    fn the_summary_names_reasons_with_an_example_and_ends_with_the_ledger() {
        let text = report().to_string();
        assert!(text.starts_with("Finished after 2.500 s: 1,200 pages, 1.2 kB"), "{text}");
        assert!(text.contains("http://no.test/: no such name"), "{text}");
        assert!(text.contains("yes.test     1,201"), "{text}");
        let last = text.lines().last().unwrap();
        assert_eq!(last, "ledger: 1,202 discovered = 1,200 done + 2 failed + 0 dropped + 0 queued + 0 leased: adds up");
    }

    #[test]
    fn a_ledger_that_does_not_add_up_cannot_be_overlooked() {
        let mut stats = report().stats;
        stats.ledger.discovered += 1;
        let report = Report::new(stats, Ended::Finished, Vec::new());
        assert!(!report.ledger_adds_up && report.to_string().ends_with("DOES NOT ADD UP"));
    }
}
