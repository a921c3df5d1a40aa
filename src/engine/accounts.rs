//! Accounts: the record of what a crawl has done. Takes each event once, and passes it to the ledger, the counts, the
//! crawl log and the event streams. Does not know what the crawl does next.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use hashbrown::HashMap;

use super::{ends::Ends, frequent::Frequent, log_in_pages::LogInPages, log_line::LogLine};
use crate::{
    clock,
    conduct::{cooling::CoolingCause, throttle::Evidence},
    domain::Domain,
    events::{
        Streams,
        event::{Event, Fate, RequestEnded, RobotsEnd},
    },
    extract::prefix,
    frontier::durable,
    outcome::{Outcome, RedirectBy},
    request::{Kind, Request},
    stats::{
        DomainStats, Failure, FirstFailure, Ledger, MAX_FAILURES_LISTED, Outage, Progress, RedirectTarget, Stats,
        count::Count,
    },
    warnings::Warnings,
};

/// The accounts of one crawl.
#[derive(Default)]
pub struct Accounts {
    /// The ledger, the sums and the evidence of domains. Counts and first failures are kept by type below; their text
    /// keys are made only for [`Accounts::stats`].
    stats: Stats,
    counts: HashMap<Count, i64>,
    first_failures: HashMap<Count, FirstFailure>,
    /// The latest failures, the last one at the end.
    failures: VecDeque<Failure>,
    /// The targets of redirects to URLs that were seen before.
    redirects_to_seen: Frequent,
    /// The pages to log in at that others redirect to.
    log_in_pages: LogInPages,
    /// The counts of earlier processes.
    counts_before: BTreeMap<String, u64>,
    /// The pages among them.
    pages_before: u64,
    /// The files among them.
    files_before: u64,
    /// The crawling time of earlier processes.
    elapsed_before: Duration,
    /// The accounts of the other machines that share the crawl; `None` if none do.
    others: Option<Box<durable::Checkpoint>>,
    /// Lines not yet passed to the crawl log; `None` if no log is kept.
    log: Option<Vec<LogLine>>,
    /// How the latest URLs ended.
    pub ends: Ends,
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

/// The most counts that are kept apart. A spider whose names are made from pages would fill the memory; beyond this its
/// counts are added up as `spider/others`.
const MAX_COUNTS: usize = 1_000;

/// The most redirect targets that the summary names: a site that redirects everything uses one or two.
const MAX_TARGETS_TOLD: usize = 10;

/// The longest detail of a failure that is kept, in bytes.
const MAX_DETAIL: usize = 300;

/// The files that were downloaded.
const DOWNLOADED: Count = Count::Files("downloaded");

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
        self.enter(event);
        self.ends.note(event);
        if let Some(lines) = &mut self.log {
            lines.extend(LogLine::of(event));
        }
        self.streams.note(event);
    }

    fn enter(&mut self, event: &Event<'_>) {
        let ledger = &mut self.stats.ledger;
        match *event {
            Event::Seeded { .. }
            | Event::Granted { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::Cancelled { .. }
            | Event::OutageBegan { .. }
            | Event::OutageEnded { .. } => {}
            Event::Queued { undone: None, .. } => ledger.discovered += 1,
            // It was counted as discovered when it was dropped.
            Event::Queued { undone: Some(reason), .. } => {
                ledger.dropped -= 1;
                self.add(Count::Dropped(reason), -1);
            }
            Event::Dropped { reason, was_queued, .. } => {
                ledger.discovered += u64::from(!was_queued);
                ledger.dropped += 1;
                self.add(Count::Dropped(reason), 1);
            }
            Event::LinksDropped { reason, links, .. } => {
                ledger.discovered += links;
                ledger.dropped += links;
                self.add(Count::Dropped(reason), i64::try_from(links).unwrap_or(i64::MAX));
            }
            Event::RequestEnded(ended) => {
                ended.counts.iter().for_each(|count| self.add_named(*count));
                match ended.request.kind() {
                    Kind::RobotsTxt => self.enter_robots_txt(&ended),
                    Kind::Page => self.enter_page(&ended),
                    Kind::Sitemap(_) => self.enter_sitemap(&ended),
                    Kind::File => self.enter_file(&ended),
                }
            }
            Event::Failed { request, reason, detail, .. } => self.fail(Count::Failed(reason), request, detail),
            Event::Heard { items, counts, .. } => {
                self.stats.items += items;
                for count in counts {
                    self.add_named(*count);
                }
            }
            Event::FetcherLost { is_last, .. } => {
                self.add(Count::FetcherLost, 1);
                if is_last {
                    self.add(Count::Outcome("panic"), 1);
                }
            }
            Event::Cooled { domain, why, gives_up, .. } => {
                if let (CoolingCause::Status(_), Some(of_domain)) = (why, self.stats.domain(domain)) {
                    of_domain.refusals += 1;
                }
                if gives_up {
                    self.add(Count::DomainGivenUp, 1);
                }
            }
            Event::SitemapRead { pages, unreadable, .. } => {
                self.add(Count::Sitemaps("urls"), i64::try_from(pages).unwrap_or(i64::MAX));
                if unreadable > 0 {
                    self.add(Count::Sitemaps("unreadable"), i64::try_from(unreadable).unwrap_or(i64::MAX));
                }
            }
            Event::RobotsFile { end, .. } => match end {
                RobotsEnd::Fetched => self.add(Count::RobotsFetched, 1),
                RobotsEnd::Unreachable => self.add(Count::RobotsUnreachable, 1),
                RobotsEnd::TooManyRedirects => self.add(Count::RobotsTooManyRedirects, 1),
                RobotsEnd::TooManyAtOnce => self.add(Count::RobotsTooManyAtOnce, 1),
            },
            Event::CrawlDelayAboveCap { .. } => self.add(Count::CrawlDelayAboveCap, 1),
            Event::FetchersReplaced { fetchers } => {
                self.add(Count::FetcherReplaced, i64::try_from(fetchers).unwrap_or(i64::MAX));
            }
        }
    }

    fn enter_page(&mut self, ended: &RequestEnded<'_>) {
        // They are written, whatever becomes of their page.
        self.stats.items += ended.items;
        if !self.enter_sent(ended) {
            return;
        }
        self.add(Count::Outcome(ended.outcome.key()), 1);
        if let Some(status) = ended.receipt.status {
            self.add(Count::Status(status), 1);
        }
        if !self.is_over(ended.fate) {
            return;
        }
        match ended.outcome {
            Outcome::Ok => {
                self.stats.ledger.done += 1;
                if let Some(of_domain) = self.stats.domain(ended.domain) {
                    of_domain.pages += 1;
                }
            }
            Outcome::Redirect { to, by, .. } => {
                self.stats.ledger.done += 1;
                if *by == RedirectBy::Refresh {
                    self.add(Count::RedirectByRefresh, 1);
                }
                self.log_in_pages.note(&ended.request.url, to);
                if ended.is_redirect_to_seen {
                    self.add(Count::RedirectAlreadySeen, 1);
                    self.redirects_to_seen.count(to);
                }
            }
            Outcome::Status(status) => {
                self.fail(Count::FailedStatus(*status), ended.request, &ended.outcome.detail());
            }
            outcome if self.drops(outcome) => {}
            outcome => self.fail(Count::Failed(outcome.key()), ended.request, &outcome.detail()),
        }
    }

    fn enter_robots_txt(&mut self, ended: &RequestEnded<'_>) {
        self.stats.bytes += ended.receipt.bytes;
        if ended.fate == Fate::Stale {
            return;
        }
        match ended.outcome {
            Outcome::Unsent => {}
            Outcome::Local(fault, _) => self.add(Count::Local(*fault), 1),
            Outcome::Redirect { .. } => self.add(Count::RobotsRedirect, 1),
            Outcome::Ok => self.add(Count::RobotsStatus(ended.receipt.status.unwrap_or(200)), 1),
            Outcome::Status(status) | Outcome::Refused { status, .. } => self.add(Count::RobotsStatus(*status), 1),
            other => self.add(Count::RobotsOutcome(other.key()), 1),
        }
    }

    /// Enters a sitemap: a URL of the ledger, but no page.
    fn enter_sitemap(&mut self, ended: &RequestEnded<'_>) {
        if !self.enter_sent(ended) || !self.is_over(ended.fate) {
            return;
        }
        let end = match ended.outcome {
            Outcome::Ok => "read",
            Outcome::Redirect { .. } => "redirect",
            // A guessed sitemap that is missing is no failure. The reader has counted it.
            _ if ended.counts.contains(&Count::SITEMAP_MISSING) => return self.stats.ledger.done += 1,
            outcome if self.drops(outcome) => return,
            outcome => {
                self.add(Count::Sitemaps("failed"), 1);
                return self.fail(Count::FailedSitemap(outcome.key()), ended.request, &outcome.detail());
            }
        };
        self.stats.ledger.done += 1;
        self.add(Count::Sitemaps(end), 1);
    }

    /// Enters a file: a URL of the ledger, but no page.
    fn enter_file(&mut self, ended: &RequestEnded<'_>) {
        if !self.enter_sent(ended) || !self.is_over(ended.fate) {
            return;
        }
        match ended.outcome {
            // The reader has counted how.
            Outcome::Ok => self.stats.ledger.done += 1,
            Outcome::Redirect { .. } => {
                self.stats.ledger.done += 1;
                self.add(Count::Files("redirect"), 1);
            }
            outcome if self.drops(outcome) => {}
            outcome => {
                self.add(Count::Files("failed"), 1);
                self.fail(Count::FailedFile(outcome.key()), ended.request, &outcome.detail());
            }
        }
    }

    /// Records the cost of a request. Returns false if nothing was sent.
    fn enter_sent(&mut self, ended: &RequestEnded<'_>) -> bool {
        match ended.outcome {
            Outcome::Unsent => return false,
            Outcome::Local(fault, _) => {
                self.add(Count::Local(*fault), 1);
                return false;
            }
            _ => self.stats.bytes += ended.receipt.bytes,
        }
        true
    }

    /// Tells whether a URL is settled. A further attempt counts as a retry.
    fn is_over(&mut self, fate: Fate) -> bool {
        if fate == (Fate::Again { attempted: true }) {
            self.add(Count::Retry, 1);
        }
        fate == Fate::Final
    }

    /// Records an outcome that is a drop. Returns whether it is one.
    fn drops(&mut self, outcome: &Outcome) -> bool {
        let Some(reason) = outcome.dropped() else { return false };
        self.stats.ledger.dropped += 1;
        self.add(Count::Dropped(reason), 1);
        true
    }

    fn fail(&mut self, reason: Count, request: &Request, detail: &str) {
        self.stats.ledger.failed += 1;
        self.add(reason, 1);
        self.first_failures
            .entry(reason)
            .or_insert_with(|| FirstFailure { url: request.url.as_str().to_owned(), detail: detail.to_owned() });
        if self.failures.len() >= MAX_FAILURES_LISTED {
            self.failures.pop_front();
        }
        self.failures.push_back(Failure {
            time: clock::wall(),
            url: request.url.as_str().to_owned(),
            reason: reason_of(&reason),
            detail: prefix(detail, MAX_DETAIL).to_owned(),
        });
    }

    /// Adds to a count that a user has named.
    fn add_named(&mut self, count: Count) {
        let is_known = self.counts.contains_key(&count);
        let count = match count {
            Count::Spider(_) if !is_known && self.counts.len() >= MAX_COUNTS => Count::Spider("others"),
            count => count,
        };
        self.add(count, 1);
    }

    fn add(&mut self, count: Count, by: i64) {
        *self.counts.entry(count).or_default() += by;
    }

    /// Records what the robots file of a domain said.
    pub fn robots_said(&mut self, domain: &Domain, said: String) {
        if let Some(of_domain) = self.stats.domain(domain) {
            of_domain.robots = Some(said);
        }
    }

    /// Adds the evidence of a domain whose state is being removed.
    pub fn domain_forgotten(&mut self, domain: &Domain, evidence: &Evidence) {
        if evidence.requests > 0 {
            match self.stats.domain(domain) {
                Some(of_domain) => of_domain.merge(evidence),
                None => self.stats.domains_beyond += 1,
            }
        }
    }

    /// Returns what is recorded of a domain.
    pub fn domain(&self, domain: &Domain) -> Option<&DomainStats> {
        self.stats.domains.get(domain)
    }

    /// Returns the stats with the evidence of domains, to restore it after a restart.
    pub fn evidence(&mut self) -> &mut Stats {
        &mut self.stats
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
            elapsed: self.elapsed_before + standing.elapsed,
            domains_active: standing.domains_active,
            domains_cooling: standing.domains_cooling,
            outage: standing.outage,
            ..self.known(standing.queued, standing.leased)
        }
    }

    /// Returns the progress without times and domains, cheap enough for every turn.
    pub fn known(&self, queued: u64, leased: u64) -> Progress {
        Progress {
            ledger: self.whole(queued, leased),
            pages: self.pages_before.saturating_add_signed(self.counts.get(&Count::PAGES).copied().unwrap_or(0))
                + self.of_others(Count::PAGES),
            files: self.files_before.saturating_add_signed(self.counts.get(&DOWNLOADED).copied().unwrap_or(0))
                + self.of_others(DOWNLOADED),
            bytes: self.stats.bytes + self.others.as_ref().map_or(0, |others| others.bytes),
            items: self.stats.items + self.others.as_ref().map_or(0, |others| others.items),
            ..Progress::default()
        }
    }

    /// Returns the first URL that failed for each reason.
    pub fn first_failures(&self) -> BTreeMap<String, FirstFailure> {
        self.first_failures.iter().map(|(count, first)| (reason_of(count), first.clone())).collect()
    }

    /// Returns the page to log in at that most pages redirect to.
    pub fn log_in_page(&self) -> Option<RedirectTarget> {
        self.log_in_pages.most()
    }

    /// Returns the latest failures, at most so many, the last one first.
    pub fn failures(&self, most: usize) -> Vec<Failure> {
        self.failures.iter().rev().take(most).cloned().collect()
    }

    /// Returns all numbers. `live` is the evidence of each domain that has a state.
    pub fn stats(&self, standing: &Standing, live: impl Iterator<Item = (Domain, Evidence)>) -> Stats {
        let mut stats = self.stats.clone();
        stats.ledger = self.whole(standing.queued, standing.leased);
        stats.elapsed = self.elapsed_before + standing.elapsed;
        (stats.domains_active, stats.domains_cooling) = (standing.domains_active, standing.domains_cooling);
        stats.outage = standing.outage;
        stats.counts = self.spelt_counts();
        if let Some(others) = &self.others {
            stats.bytes += others.bytes;
            stats.items += others.items;
            for (key, count) in &others.counts {
                *stats.counts.entry(key.clone()).or_default() += count;
            }
        }
        stats.counts.entry(Count::FetcherReplaced.to_string()).or_default();
        stats.first_failures = self.first_failures();
        stats.redirects_to_seen = self.redirects_to_seen.top(MAX_TARGETS_TOLD);
        for (domain, evidence) in live {
            if let Some(of_domain) = stats.domain(&domain) {
                of_domain.merge(&evidence);
            }
        }
        stats
    }

    /// Continues the accounts of an earlier process.
    pub fn resume(&mut self, before: durable::Checkpoint) {
        (self.stats.ledger, self.stats.bytes, self.stats.items) = (before.ledger, before.bytes, before.items);
        let before_of = |count: &Count| before.counts.get(&count.to_string()).copied().unwrap_or(0);
        (self.pages_before, self.files_before) = (before_of(&Count::PAGES), before_of(&DOWNLOADED));
        (self.counts_before, self.elapsed_before) = (before.counts, before.elapsed);
    }

    /// Returns the accounts for a later process; `elapsed` is the time since this one began.
    pub fn to_store(&self, elapsed: Duration) -> durable::Checkpoint {
        let Stats { ledger, bytes, items, .. } = self.stats;
        durable::Checkpoint {
            ledger,
            counts: self.spelt_counts(),
            bytes,
            items,
            elapsed: self.elapsed_before + elapsed,
        }
    }

    fn spelt_counts(&self) -> BTreeMap<String, u64> {
        let mut spelt = self.counts_before.clone();
        for (count, times) in &self.counts {
            let sum = spelt.entry(count.to_string()).or_default();
            *sum = sum.saturating_add_signed(*times);
        }
        spelt
    }

    /// Begins to count for one of several machines, which have these accounts.
    pub fn share(&mut self, others: durable::Checkpoint) {
        self.elapsed_before = others.elapsed;
        self.set_others(others);
    }

    /// Sets the accounts of the other machines. They are shown, and not stored with those of this one.
    pub fn set_others(&mut self, others: durable::Checkpoint) {
        self.others = Some(Box::new(others));
    }

    /// Forgets what is known of a domain that belongs to another machine now: that goes on with it.
    pub fn domain_lost(&mut self, domain: &Domain) {
        self.stats.domains.remove(domain);
    }

    fn of_others(&self, count: Count) -> u64 {
        self.others.as_ref().and_then(|others| others.counts.get(&count.to_string()).copied()).unwrap_or(0)
    }

    /// Returns the ledger of the crawl. What one machine has discovered another may have done, so of a crawl that
    /// machines share only the sum adds up. What waits elsewhere follows from it: nobody counts all queues at one
    /// moment.
    fn whole(&self, queued: u64, leased: u64) -> Ledger {
        let mut whole = Ledger { queued, leased, ..self.stats.ledger };
        if let Some(others) = &self.others {
            whole.discovered += others.ledger.discovered;
            whole.done += others.ledger.done;
            whole.failed += others.ledger.failed;
            whole.dropped += others.ledger.dropped;
            let ended = whole.done + whole.failed + whole.dropped;
            whole.queued = whole.discovered.saturating_sub(ended + leased);
        }
        whole
    }
}

/// Returns the reason of a failure, without what is common to all.
fn reason_of(failed: &Count) -> String {
    failed.to_string().trim_start_matches("failed/").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regression: it told those of this process until the end, and then those of all.
    #[test]
    fn progress_counts_the_files_of_earlier_processes_too() {
        let mut accounts = Accounts::default();
        let counts = [(DOWNLOADED.to_string(), 100)].into();
        accounts.resume(durable::Checkpoint { counts, ..durable::Checkpoint::default() });
        assert_eq!(accounts.known(0, 0).files, 100);
    }
}
