//! Accounts: the record of what a crawl has done. Takes each event once, and passes it to the numbers, the crawl log
//! and the event streams. Does not know what the crawl does next.

mod carried;
mod failure_list;
mod tally;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use self::{carried::Carried, tally::Tally};
use super::{ends::LatestEnds, log_line::LogLine};
use crate::{
    conduct::throttle::Evidence,
    domain::Domain,
    events::{Streams, event::Event},
    frontier::durable,
    stats::{DomainStats, Failure, FirstFailure, Ledger, Outage, Progress, RedirectTarget, Stats, count::Count},
    warnings::Warnings,
};

/// The accounts of one crawl.
#[derive(Default)]
pub struct Accounts {
    /// What this process has done.
    tally: Tally,
    /// What earlier processes and other machines have done.
    carried: Carried,
    /// How the latest URLs ended.
    pub ends: LatestEnds,
    /// Lines not yet passed to the crawl log; `None` if no log is kept.
    log: Option<Vec<LogLine>>,
    /// The event streams that users read.
    streams: Arc<Streams>,
    warnings: Warnings,
}

/// Numbers from other parts of the engine, for stats and progress.
pub struct Standing {
    /// Time since this process began to crawl.
    pub elapsed: Duration,
    /// Requests that wait.
    pub queued: u64,
    /// Requests on lease.
    pub leased: u64,
    /// Domains with work or a past.
    pub domains_active: usize,
    /// Domains that cool.
    pub domains_cooling: usize,
    /// What is wrong with this machine.
    pub outage: Option<Outage>,
}

/// The most lines that may wait for the crawl log; beyond it no permits are granted.
const MAX_LOG_LINES: usize = 50_000;

/// The most redirect targets that the summary names: a site that redirects everything uses one or two.
const MAX_TARGETS_TOLD: usize = 10;

impl Accounts {
    /// Creates the accounts of a crawl.
    pub fn new(keeps_log: bool, streams: Arc<Streams>) -> Self {
        Self { log: keeps_log.then(Vec::new), streams, ..Self::default() }
    }

    /// Tells whether anything but the counts uses the events.
    pub fn is_read(&self) -> bool {
        self.log.is_some() || self.streams.is_watched()
    }

    /// Tells whether to log a warning of this kind: the number of similar warnings suppressed since the last one, or
    /// `None` to suppress this one.
    pub fn warn(&mut self, kind: &str, now: Instant) -> Option<u64> {
        self.warnings.note(kind, now)
    }

    /// Records an event.
    pub fn note(&mut self, event: &Event<'_>) {
        self.tally.enter(event);
        self.ends.note(event);
        if let Some(lines) = &mut self.log {
            lines.extend(LogLine::of(event));
        }
        self.streams.note(event);
    }

    /// Records what the robots file of a domain said.
    pub fn robots_said(&mut self, domain: &Domain, said: String) {
        if let Some(of_domain) = self.evidence().domain(domain) {
            of_domain.robots = Some(said);
        }
    }

    /// Adds the evidence of a domain whose state is being removed.
    pub fn domain_forgotten(&mut self, domain: &Domain, evidence: &Evidence) {
        if evidence.requests > 0 {
            match self.evidence().domain(domain) {
                Some(of_domain) => of_domain.merge(evidence),
                None => self.evidence().domains_beyond += 1,
            }
        }
    }

    /// Returns what is recorded of a domain.
    pub fn domain(&self, domain: &Domain) -> Option<&DomainStats> {
        self.tally.stats.domains.get(domain)
    }

    /// Returns the stats with the evidence of domains, to restore it after a restart.
    pub fn evidence(&mut self) -> &mut Stats {
        &mut self.tally.stats
    }

    /// Forgets what is known of a domain that belongs to another machine now: that goes on with it.
    pub fn domain_lost(&mut self, domain: &Domain) {
        self.evidence().domains.remove(domain);
    }

    /// Tells whether too many lines wait for the crawl log to take on more work.
    pub fn is_behind(&self) -> bool {
        self.log.as_ref().is_some_and(|lines| lines.len() >= MAX_LOG_LINES)
    }

    /// Takes the lines for the crawl log.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        self.log.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Returns the progress of the crawl.
    pub fn progress(&self, standing: &Standing) -> Progress {
        Progress {
            elapsed: self.carried.elapsed(standing.elapsed),
            domains_active: standing.domains_active,
            domains_cooling: standing.domains_cooling,
            outage: standing.outage,
            ..self.known(standing.queued, standing.leased)
        }
    }

    /// Returns the progress without times and domains, cheap enough for every turn.
    pub fn known(&self, queued: u64, leased: u64) -> Progress {
        let (Stats { bytes, items, .. }, others) = (&self.tally.stats, self.carried.others());
        Progress {
            ledger: self.ledger(queued, leased),
            pages: self.carried.pages(self.tally.count(Count::PAGES)),
            files: self.carried.files(self.tally.count(Count::DOWNLOADED)),
            bytes: bytes + others.map_or(0, |others| others.bytes),
            items: items + others.map_or(0, |others| others.items),
            ..Progress::default()
        }
    }

    /// Returns the ledger of the whole crawl.
    fn ledger(&self, queued: u64, leased: u64) -> Ledger {
        self.carried.whole(Ledger { queued, leased, ..self.tally.stats.ledger })
    }

    /// Returns the first URL that failed for each reason.
    pub fn first_failures(&self) -> BTreeMap<String, FirstFailure> {
        self.tally.failures.first()
    }

    /// Returns the latest failures, at most so many, the last one first.
    pub fn failures(&self, most: usize) -> Vec<Failure> {
        self.tally.failures.latest(most)
    }

    /// Returns the page to log in at that most pages redirect to.
    pub fn log_in_page(&self) -> Option<RedirectTarget> {
        self.tally.log_in_pages.most()
    }

    /// Returns all numbers. `live` is the evidence of each domain that has a state.
    pub fn stats(&self, standing: &Standing, live: impl Iterator<Item = (Domain, Evidence)>) -> Stats {
        let mut stats = self.tally.stats.clone();
        stats.ledger = self.ledger(standing.queued, standing.leased);
        stats.elapsed = self.carried.elapsed(standing.elapsed);
        (stats.domains_active, stats.domains_cooling) = (standing.domains_active, standing.domains_cooling);
        stats.outage = standing.outage;
        stats.counts = self.spelt_counts();
        if let Some(others) = self.carried.others() {
            stats.bytes += others.bytes;
            stats.items += others.items;
            for (key, count) in &others.counts {
                *stats.counts.entry(key.clone()).or_default() += count;
            }
        }
        stats.counts.entry(Count::FetcherReplaced.to_string()).or_default();
        stats.first_failures = self.first_failures();
        stats.redirects_to_seen = self.tally.redirects_to_seen.top(MAX_TARGETS_TOLD);
        for (domain, evidence) in live {
            if let Some(of_domain) = stats.domain(&domain) {
                of_domain.merge(&evidence);
            }
        }
        stats
    }

    /// Returns the counts of this and of earlier processes, by their keys.
    fn spelt_counts(&self) -> BTreeMap<String, u64> {
        let mut spelt = self.carried.counts().clone();
        for (count, times) in self.tally.counts() {
            let sum = spelt.entry(count.to_string()).or_default();
            *sum = sum.saturating_add_signed(times);
        }
        spelt
    }

    /// Continues the accounts of an earlier process.
    pub fn resume(&mut self, before: durable::Checkpoint) {
        let durable::Checkpoint { ledger, counts, bytes, items, elapsed } = before;
        let stats = self.evidence();
        (stats.ledger, stats.bytes, stats.items) = (ledger, bytes, items);
        self.carried.resume(counts, elapsed);
    }

    /// Returns the accounts for a later process; `elapsed` is the time since this one began.
    pub fn to_store(&self, elapsed: Duration) -> durable::Checkpoint {
        let Stats { ledger, bytes, items, .. } = self.tally.stats;
        durable::Checkpoint {
            ledger,
            counts: self.spelt_counts(),
            bytes,
            items,
            elapsed: self.carried.elapsed(elapsed),
        }
    }

    /// Begins to count for one of several machines, which have these accounts.
    pub fn share(&mut self, others: durable::Checkpoint) {
        self.carried.share(others);
    }

    /// Sets the accounts of the other machines.
    pub fn set_others(&mut self, others: durable::Checkpoint) {
        self.carried.set_others(others);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regression: it told those of this process until the end, and then those of all.
    #[test]
    fn progress_counts_the_files_of_earlier_processes_too() {
        let mut accounts = Accounts::default();
        let counts = [(Count::DOWNLOADED.to_string(), 100)].into();
        accounts.resume(durable::Checkpoint { counts, ..durable::Checkpoint::default() });
        assert_eq!(accounts.known(0, 0).files, 100);
    }
}
