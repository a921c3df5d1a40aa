//! Summary: formats a report for people: what was fetched, what failed and why, how each domain was treated, and the
//! ledger as its last line. Knows no data beyond the report.

use std::fmt;

use super::{
    Counted, Ended, Escaped, Grouped, Report,
    numbers::{Bytes, Took},
};
use crate::{
    sessions::SessionCounts,
    stats::{DomainStats, RedirectTarget, count::Count},
    validation::Validation,
};

/// The most domains shown.
const MAX_DOMAINS_SHOWN: usize = 20;

/// The most targets of redirects that are shown.
const MAX_TARGETS_SHOWN: usize = 5;

/// The most fields shown of those that not every item has.
const MAX_FIELDS_SHOWN: usize = 20;

/// The most sessions shown.
const MAX_SESSIONS_SHOWN: usize = 20;

/// The most reasons shown individually.
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
        // The counts of a resumed state include earlier runs.
        let runs = if self.state.as_ref().is_some_and(|state| state.resumed) { " in all runs" } else { "" };
        let pages = Counted(self.pages(), "page");
        writeln!(f, "{ended} after {took}{runs}: {pages}, {bytes}, {speed:.1} pages/s")?;
        writeln!(f)?;
        self.fmt_counts(f)?;
        self.fmt_domains(f)?;
        self.fmt_validation(f)?;
        self.fmt_sessions(f)?;
        if let Some(state) = &self.state {
            let resumed = if state.resumed { "resumed from" } else { "kept in" };
            write!(f, "state {resumed} {}", state.dir.display())?;
            if !state.changed.is_empty() {
                write!(f, ", with settings that have changed: {}", state.changed.join(", "))?;
            }
            writeln!(f, "; the same command goes on with it\n")?;
            if self.found_nothing_new() {
                let again = "seeds_again() fetches the seeds anew, revisit_after() what was seen long ago";
                writeln!(f, "nothing new: all that the state knows was fetched before; {again}\n")?;
            }
        }
        match &self.stop_reason {
            // A warning says that it counts all runs.
            Some(_) if self.ended == Ended::Finished && self.state.as_ref().is_some_and(|state| state.resumed) => {}
            Some(reason) if self.ended == Ended::Finished => writeln!(f, "ended: {reason}\n")?,
            Some(reason) => writeln!(f, "stopped: {reason}\n")?,
            None => {}
        }
        if let Some(failure) = &self.failure {
            writeln!(f, "error: {}\n", Escaped(failure))?;
        }
        for complaint in &self.complaints {
            writeln!(f, "pipeline: {}\n", Escaped(complaint))?;
        }
        if let Some(outage) = &self.stats.outage {
            writeln!(f, "{outage}\n")?;
        }
        for warning in &self.warnings {
            writeln!(f, "WARNING: {}\n", Escaped(warning))?;
        }
        self.fmt_ledger(f)
    }
}

impl Report {
    fn fmt_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = &self.stats;
        line(f, "pages", self.pages())?;
        if self.pages() > 0 || stats.items > 0 {
            writeln!(f, "{:<28} {:>10}", "items", Grouped(stats.items))?;
        }
        line(f, "failed", self.failed())?;
        for (reason, count) in stats.counts_below("failed").into_iter().take(MAX_REASONS_SHOWN) {
            write!(f, "  {reason:<26} {:>10}", Grouped(count))?;
            match stats.first_failures.get(reason) {
                Some(first) if first.detail.is_empty() || reason.starts_with("status/") => {
                    writeln!(f, "  {}", Escaped(&first.url))?;
                }
                Some(first) => writeln!(f, "  {}: {}", Escaped(&first.url), Escaped(&first.detail))?,
                None => writeln!(f)?,
            }
        }
        line(f, "dropped", stats.ledger.dropped)?;
        for (reason, count) in stats.counts_below("drop").into_iter().take(MAX_REASONS_SHOWN) {
            writeln!(f, "  {reason:<26} {:>10}", Grouped(count))?;
        }
        for (fault, count) in stats.counts_below("local") {
            writeln!(f, "returned for this machine: {fault:<12} {:>10}", Grouped(count))?;
        }
        for (what, count) in [
            ("redirects", Count::Outcome("redirect")),
            ("redirects by a refresh", Count::RedirectByRefresh),
            ("redirects to seen URLs", Count::RedirectAlreadySeen),
        ] {
            line(f, what, stats.count(count))?;
        }
        for RedirectTarget { url, times } in stats.redirects_to_seen.iter().take(MAX_TARGETS_SHOWN) {
            writeln!(f, "  {:<26} {:>10}  {url}", "", Grouped(*times))?;
        }
        for (what, count) in [
            ("tried again", Count::Retry),
            ("refusals", Count::Outcome("refused")),
            ("robots files", Count::RobotsFetched),
            ("robots files not to be had", Count::RobotsUnreachable),
            ("Crawl-delays above the cap", Count::CrawlDelayAboveCap),
            ("sitemaps read", Count::Sitemaps("read")),
            ("sitemaps not to be read", Count::Sitemaps("failed")),
            ("pages listed in sitemaps", Count::Sitemaps("urls")),
            ("unreadable in sitemaps", Count::Sitemaps("unreadable")),
            ("files downloaded", Count::DOWNLOADED),
            ("files not modified", Count::Files("not_modified")),
            ("files there already", Count::Files("not_requested")),
            ("files not to be had", Count::Files("failed")),
            ("items that lack a file", Count::ItemIncomplete),
            ("fetchers lost", Count::FetcherLost),
            ("items left out", Count::ItemDropped),
            ("items not for a feed", Count::ItemNotForFeed),
            ("invalid items left out", Count::ItemInvalid),
            ("responses not recorded", Count::NotRecorded),
            ("responses not cached", Count::NotCached),
        ] {
            line(f, what, stats.count(count))?;
        }
        let by_reason = [
            ("items left out, by reason", "items/dropped"),
            ("middleware", "middleware"),
            ("the spider's counts", "spider"),
        ];
        for (heading, key) in by_reason {
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
        writeln!(f, "{:<width$}  requests     pages  smallest gap  at once  refused  robots.txt", "domain")?;
        for (name, domain) in shown {
            let DomainStats { requests, pages, smallest_gap, most_in_flight, refusals, robots, .. } = domain;
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

    /// Shows why items are invalid, and the fields that not every item has.
    fn fmt_validation(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Validation { items, invalid, has_rules, reasons, fields, .. }) = &self.validation else {
            return Ok(());
        };
        let mut partial: Vec<_> = fields.iter().filter(|(_, field)| field.items < *items).collect();
        if !has_rules && partial.is_empty() {
            return Ok(());
        }
        write!(f, "{} in this run", Counted(*items, "item"))?;
        match (*has_rules, *invalid) {
            // Where nothing was asked of them, "0 invalid" would say that they were looked at.
            (false, 0) => writeln!(f)?,
            (_, invalid) => writeln!(f, ", {} invalid", Grouped(invalid))?,
        }
        for reason in reasons.iter().take(MAX_REASONS_SHOWN) {
            let (what, url) = (reason.to_string(), Escaped(&reason.url));
            write!(f, "  {:<26} {:>10}  {url}", Escaped(&what).to_string(), Grouped(reason.items))?;
            if reason.value.is_empty() { writeln!(f)? } else { writeln!(f, ": {}", Escaped(&one_line(&reason.value)))? }
        }
        partial.sort_by_key(|(_, field)| field.items);
        for (name, field) in partial.iter().take(MAX_FIELDS_SHOWN) {
            write!(f, "  {:<26} {:>10}", Escaped(name).to_string(), field.share)?;
            match field.expected {
                Some(expected) => writeln!(f, "  of the items; {expected} are expected")?,
                None => writeln!(f, "  of the items")?,
            }
        }
        let hidden = partial.len().saturating_sub(MAX_FIELDS_SHOWN);
        if hidden > 0 {
            writeln!(f, "  … and {} that not every item has", Counted(hidden as u64, "more field"))?;
        }
        writeln!(f)
    }

    /// One alone says nothing that the other counts do not, unless it was refused or logged in.
    fn fmt_sessions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_told = |counts: &SessionCounts| counts.blocked + counts.log_ins + counts.log_ins_failed > 0;
        if self.sessions.len() < 2 && !self.sessions.values().any(is_told) {
            return Ok(());
        }
        writeln!(f, "sessions")?;
        for (name, counts) in self.sessions.iter().take(MAX_SESSIONS_SHOWN) {
            writeln!(f, "  {:<26} {counts}", Escaped(name).to_string())?;
        }
        let hidden = self.sessions.len().saturating_sub(MAX_SESSIONS_SHOWN) as u64;
        if hidden > 0 {
            writeln!(f, "… and {}", Counted(hidden, "more session"))?;
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

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Writes one count, unless it is 0.
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
    fn what_servers_sent_is_shown_without_control_characters() {
        let mut report = report();
        let first = FirstFailure { url: "http://no.test/".to_owned(), detail: "\u{1b}]0;title\u{7}".to_owned() };
        report.stats.first_failures.insert("dns".to_owned(), first);
        report.complaints = vec!["\u{9b}2J".to_owned()];
        report.failure = Some("\u{1b}[31m".to_owned());
        let text = report.to_string();
        assert!(!text.replace('\n', "").contains(char::is_control), "{text:?}");
        assert!(text.contains(r"http://no.test/: \u{1b}]0;title\u{7}"), "{text}");
    }

    #[test]
    fn a_ledger_that_does_not_add_up_cannot_be_overlooked() {
        let mut stats = report().stats;
        stats.ledger.discovered += 1;
        let report = Report::new(stats, Ended::Finished, Vec::new());
        assert!(!report.ledger_adds_up && report.to_string().ends_with("DOES NOT ADD UP"));
    }
}
