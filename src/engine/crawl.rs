//! Crawl: all that the scheduler knows and decides. Knows no clock, no timers and no mailboxes: the actor brings the
//! time and carries what comes out.

mod accounts;
mod draining;
mod ends;
mod grants;
mod robots_files;
mod stored;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use hashbrown::{HashMap, HashSet};
use tokio::sync::oneshot;

use self::draining::Draining;
use super::{budget::Budget, domains::Domains, log::LogLine, robots::RobotsDesk, warnings::Warnings};
use crate::{
    domain::Domain,
    error::Error,
    fetcher::{Asker, pool::Pool, visit::Visit},
    frontier::{Frontier, Leased, Returned, admission::Admission, candidate::Candidate, durable::Ticket},
    politeness::Politeness,
    retry::Retry,
    stats::{Ledger, Progress, Stats},
};

/// The state of one crawl.
pub struct Crawl {
    politeness: Arc<Politeness>,
    retry: Retry,
    frontier: Box<dyn Frontier>,
    admission: Admission,
    budget: Budget,
    domains: Domains,
    robots: RobotsDesk,
    pool: Pool,
    returned: Arc<dyn Returned>,
    asker: Arc<dyn Asker>,
    stats: Stats,
    /// Lines that the crawl log has not taken yet; `None` where none is kept.
    log: Option<Vec<LogLine>>,
    warnings: Warnings,
    mode: Mode,
    draining: Draining,
    /// A domain for which the budget had more when that was last looked at.
    unspent: Option<Domain>,
    /// What waits until the frontier knows which of its links are new.
    held: HashMap<Ticket, Held>,
    /// Who is answered when seeds are stored.
    seeders: HashMap<Ticket, SeedAnswer>,
    /// The domains of which something is to be remembered with the next commit.
    to_remember: HashSet<Domain>,
    /// Whether the frontier outlives this process.
    is_durable: bool,
    /// Time spent crawling by processes before this one.
    elapsed_before: Duration,
    /// Whether the frontier's store is behind.
    is_behind: bool,
    /// Why the crawl cannot go on: the frontier can store nothing any more, or a pipeline's output is gone.
    failure: Option<String>,
    /// Whether a pipeline's output is gone: pages in flight have nowhere to put their items.
    output_is_gone: bool,
}

/// What waits until the frontier knows which of its links are new.
enum Held {
    /// A page that was visited.
    Page(Box<Visit>, SystemTime),
    /// Seeds, and who is answered when they are stored.
    Seeds(Vec<Candidate>, Option<SeedAnswer>),
}

/// Tells who seeded that the seeds are stored.
pub type SeedAnswer = oneshot::Sender<Result<(), Error>>;

/// Whether permits are granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are.
    Running,
    /// Not until it is resumed.
    Paused,
    /// Never again: what is in flight ends, and what waits stays where it is.
    Stopping,
}

/// What a crawl is made of.
pub struct CrawlParts {
    /// How politely.
    pub politeness: Arc<Politeness>,
    /// How often again.
    pub retry: Retry,
    /// Where requests wait.
    pub frontier: Box<dyn Frontier>,
    /// The door to it.
    pub admission: Admission,
    /// How many pages.
    pub budget: Budget,
    /// The domains.
    pub domains: Domains,
    /// The robots files.
    pub robots: RobotsDesk,
    /// The fetchers.
    pub pool: Pool,
    /// Who hears of dropped leases.
    pub returned: Arc<dyn Returned>,
    /// Who hears of questions for robots files that were dropped.
    pub asker: Arc<dyn Asker>,
    /// Whether a crawl log is kept.
    pub log: bool,
}

impl Crawl {
    /// Puts a crawl together.
    pub fn new(mut parts: CrawlParts) -> Self {
        Self {
            is_durable: parts.frontier.durable().is_some(),
            elapsed_before: Duration::ZERO,
            is_behind: false,
            failure: None,
            output_is_gone: false,
            draining: Draining::default(),
            unspent: None,
            to_remember: HashSet::new(),
            held: HashMap::new(),
            seeders: HashMap::new(),
            politeness: parts.politeness,
            retry: parts.retry,
            frontier: parts.frontier,
            admission: parts.admission,
            budget: parts.budget,
            domains: parts.domains,
            robots: parts.robots,
            pool: parts.pool,
            returned: parts.returned,
            asker: parts.asker,
            stats: Stats::default(),
            log: parts.log.then(Vec::new),
            warnings: Warnings::default(),
            mode: Mode::Running,
        }
    }

    /// Takes seeds in: their hosts widen the scope.
    pub fn seed(&mut self, seeds: Vec<Candidate>, now: Instant) {
        self.take_seeds(seeds, None, now);
    }

    /// As [`Crawl::seed`]; answers when the seeds survive the end of this process, if the frontier does.
    pub fn seed_and_answer(&mut self, seeds: Vec<Candidate>, answer: SeedAnswer, now: Instant) {
        self.take_seeds(seeds, Some(answer), now);
    }

    fn take_seeds(&mut self, seeds: Vec<Candidate>, answer: Option<SeedAnswer>, now: Instant) {
        for seed in &seeds {
            self.admission.include(&seed.request().url);
        }
        match self.frontier.look_up(&mut seeds.iter().map(Candidate::fingerprint)) {
            None => self.admit_seeds(seeds, answer, now),
            Some(ticket) => drop(self.held.insert(ticket, Held::Seeds(seeds, answer))),
        }
    }

    /// A place of `domain` has come free.
    pub fn released(&mut self, domain: &Domain, now: Instant) {
        self.domains.schedule(domain, now);
    }

    /// A lease was dropped unsettled: its fetcher panicked or died. The attempt counts.
    pub fn lease_dropped(&mut self, leased: &Leased, now: Instant) {
        let domain = self.admission.domain(&leased.request.url);
        self.stats.count("fetcher/lost");
        self.budget.sent();
        self.budget.ended(&domain, false);
        if leased.attempt >= self.retry.attempts {
            if self.frontier.settle(leased.id) {
                self.stats.count("outcome/panic");
                self.fail(&leased.request, domain.clone(), "panic", "the fetcher panicked over it".to_owned());
            }
        } else {
            self.frontier.give_back(leased.id, None, true);
        }
        // For the page itself, or for another of the domain that may now have its place in the budget.
        self.domains.schedule(&domain, now);
    }

    /// Returns how far the crawl has come.
    pub fn progress(&mut self, elapsed: Duration, now: Instant) -> Progress {
        let (queued, leased) = (self.frontier.queued(), self.frontier.leased());
        Progress {
            ledger: Ledger { queued, leased, ..self.stats.ledger },
            pages: self.stats.pages(),
            bytes: self.stats.bytes,
            items: self.stats.items,
            elapsed: self.elapsed_before + elapsed,
            domains_active: self.domains.known(),
            domains_cooling: self.domains.cooling(now),
        }
    }

    /// Returns what was done up to now, with the evidence of every domain.
    pub fn stats(&mut self, elapsed: Duration, now: Instant) -> Stats {
        let progress = self.progress(elapsed, now);
        let mut stats = self.stats.clone();
        (stats.elapsed, stats.ledger) = (progress.elapsed, progress.ledger);
        (stats.domains_active, stats.domains_cooling) = (progress.domains_active, progress.domains_cooling);
        for (domain, live) in self.domains.all_live() {
            let evidence = live.tenancy.evidence();
            if let Some(of_domain) = stats.domain(domain) {
                of_domain.merge(&evidence);
            }
        }
        stats.add("fetcher/replaced", self.pool.replaced());
        stats
    }

    /// Tells whether the crawl ends at once, whatever is in flight.
    pub fn ends_at_once(&self) -> bool {
        self.output_is_gone
    }

    /// Tells whether nothing is left that could bring a page: nothing waits, and nobody has one on loan.
    pub fn is_finished(&mut self) -> bool {
        let nothing_out = self.frontier.leased() == 0 && self.pool.busy() == 0 && self.held.is_empty();
        nothing_out && (self.mode == Mode::Stopping || self.frontier.queued() == 0 || self.keeps_the_rest())
    }

    /// Grants, pauses or stops from here on.
    pub fn set_mode(&mut self, mode: Mode) {
        if self.mode == Mode::Stopping {
            return;
        }
        self.mode = mode;
        if mode == Mode::Stopping {
            for leased in self.robots.unpark_all() {
                self.frontier.give_back(leased.id, None, false);
            }
        }
    }

    /// Returns whether permits are granted.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Takes the lines out that the crawl log has to write.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        self.log.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Notes something in the counts.
    pub fn note(&mut self, key: &str) {
        self.stats.count(key);
    }
}
