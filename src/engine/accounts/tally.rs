//! Tally: what this process has done, in numbers: the ledger, the sums, the counts, and the evidence of domains. Takes
//! each event once. Does not know other processes.

use hashbrown::HashMap;

use super::failure_list::FailureList;
use crate::{
    conduct::cooling::CoolingCause,
    engine::{frequent::Frequent, log_in_pages::LogInPages},
    events::event::{Event, Fate, RequestEnded, RobotsEnd},
    outcome::{Outcome, RedirectBy},
    request::{Kind, Request},
    stats::{Stats, count::Count},
};

/// The numbers of one process.
#[derive(Default)]
pub struct Tally {
    /// The ledger, the sums and the evidence of domains. Counts and failures are kept by type beside it; their text
    /// keys are made only where they are shown.
    pub stats: Stats,
    /// The requests that have failed.
    pub failures: FailureList,
    /// The targets of redirects to URLs that were seen before.
    pub redirects_to_seen: Frequent,
    /// The pages to log in at that others redirect to.
    pub log_in_pages: LogInPages,
    counts: HashMap<Count, i64>,
}

/// The most counts that are kept apart. A spider whose names are made from pages would fill the memory; beyond this its
/// counts are added up as `spider/others`.
const MAX_COUNTS: usize = 1_000;

impl Tally {
    /// Counts an event.
    pub fn enter(&mut self, event: &Event<'_>) {
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
        self.failures.add(reason, request, detail);
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

    /// Returns all counts. One of drops is negative where more was admitted than dropped, of what earlier processes had
    /// dropped.
    pub fn counts(&self) -> impl Iterator<Item = (&Count, i64)> {
        self.counts.iter().map(|(count, times)| (count, *times))
    }

    /// Returns one count.
    pub fn count(&self, count: Count) -> i64 {
        self.counts.get(&count).copied().unwrap_or(0)
    }
}
