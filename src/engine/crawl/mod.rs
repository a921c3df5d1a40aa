//! Crawl: combines the parts of the engine and decides which of them acts on which event. Knows no clock, timers or
//! mailboxes: the actor passes the time in and sends the results out.

mod explain;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    accounts::{Accounts, Standing},
    budget::Budget,
    domains::Domains,
    draining::Draining,
    durability::Durability,
    failures::Failures,
    granter::{FileWaits, Granter},
    intake::Intake,
    log_line::LogLine,
    places::Places,
    queues::Queues,
    resting::Resting,
    robots_files::RobotsFiles,
    rulings::Rulings,
    sitemap_files::SitemapFiles,
    turn::Turn,
};
use crate::{
    capacity::{Capacity, HasRoom},
    domain::Domain,
    events::{Streams, event::Event},
    fetcher::pool::Pool,
    frontier::{Frontier, Returned, admission::Admission},
    politeness::Politeness,
    retry::Retry,
    stats::{Progress, Stats},
    submissions::{SubmissionEnds, Submissions},
};

/// One crawl.
pub struct Crawl {
    frontier: Queues,
    domains: Domains,
    /// Admission, retries and ended pages.
    intake: Intake,
    /// Permits and the requests they are for.
    granter: Granter,
    draining: Draining,
    /// Requests that ended without a page, of which the spider is still to be notified.
    failures: Failures,
    /// Until when sessions rest.
    resting: Resting,
    durability: Durability,
    accounts: Accounts,
    /// Is told how submitted requests end.
    submissions: Arc<dyn SubmissionEnds>,
    mode: Mode,
    /// Whether a pipeline's output is gone, so that the items of pages in flight cannot be delivered.
    output_is_gone: bool,
    /// Tells other threads of changed settings.
    politeness: watch::Sender<Arc<Politeness>>,
    /// Why the crawl was stopped, if that is known; the first reason.
    stop_reason: Option<String>,
    /// How it stands with other machines.
    sharing: shared::CrawlSharing,
}

/// Whether permits are granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Permits are granted.
    Running,
    /// No permits are granted until the crawl is resumed.
    Paused,
    /// No permits are granted any more: requests in flight end, and what waits stays queued.
    Stopping,
}

/// The parts that a crawl is made of.
pub struct CrawlParts {
    /// The politeness settings, which may change.
    pub politeness: watch::Sender<Arc<Politeness>>,
    /// The retry rules.
    pub retry: Retry,
    /// The frontier.
    pub frontier: Box<dyn Frontier>,
    /// Admission to the frontier.
    pub admission: Admission,
    /// The limits on pages and requests.
    pub budget: Budget,
    /// The domains.
    pub domains: Domains,
    /// The robots files.
    pub robots: RobotsFiles,
    /// The sitemaps.
    pub sitemaps: SitemapFiles,
    /// The fetchers.
    pub pool: Pool,
    /// Receives leases that are dropped.
    pub returned: Arc<dyn Returned>,
    /// Whether a crawl log is kept.
    pub log: bool,
    /// The event streams that users read.
    pub streams: Arc<Streams>,
}

/// Makes a [`Turn`] from the crawl's fields. A macro, since the other fields are borrowed at the same time.
macro_rules! turn {
    ($crawl:ident, $now:expr) => {
        Turn {
            now: $now,
            frontier: &mut $crawl.frontier,
            domains: &mut $crawl.domains,
            accounts: &mut $crawl.accounts,
            draining: &mut $crawl.draining,
            failures: &mut $crawl.failures,
            resting: &mut $crawl.resting,
            submissions: &*$crawl.submissions,
        }
    };
}

// After the macro, which they use too.
mod arrivals;
mod changes;
mod ended;
mod resumed;
mod shared;
mod store;

pub use self::arrivals::MAX_SEEDS_AT_ONCE;

impl Crawl {
    /// Creates a crawl from its parts.
    pub fn new(mut parts: CrawlParts) -> Self {
        let politeness = parts.politeness.borrow().clone();
        let is_durable = parts.frontier.durable().is_some();
        if is_durable {
            parts.budget.count_all();
        }
        let rulings = Rulings::new(politeness.clone(), parts.robots, parts.sitemaps);
        Self {
            failures: Failures::new(&politeness),
            resting: Resting::default(),
            durability: Durability::new(is_durable),
            intake: Intake::new(parts.admission, parts.retry),
            granter: Granter::new(politeness, parts.budget, rulings, parts.pool, parts.returned),
            accounts: Accounts::new(parts.log, parts.streams),
            draining: Draining::default(),
            mode: Mode::Running,
            output_is_gone: false,
            stop_reason: None,
            sharing: shared::CrawlSharing::default(),
            politeness: parts.politeness,
            submissions: Arc::new(Submissions::<()>::default()),
            frontier: Queues::new(parts.frontier),
            domains: parts.domains,
        }
    }

    /// Sets who is told how submitted requests end.
    pub(crate) fn set_submissions(&mut self, submissions: Arc<dyn SubmissionEnds>) {
        self.submissions = submissions;
    }

    /// Lets pages wait for files.
    pub(crate) fn wait_for_files(&mut self, waits: FileWaits) {
        self.granter.file_waits = waits;
    }

    /// Takes places in flight from a shared capacity, if there is one. `listener` is notified when a place becomes
    /// free.
    pub(crate) fn share(&mut self, capacity: Option<&Capacity>, listener: Arc<dyn HasRoom>) {
        self.granter.places = capacity.map_or_else(Places::default, |capacity| Places::of(capacity, listener));
    }

    /// There is room in the shared capacity.
    pub fn has_room(&mut self) {
        self.granter.places.has_room();
    }

    /// Does everything that is due: grants permits while there is room, and drains the queues of domains that are given
    /// up.
    pub fn turn(&mut self, now: Instant) {
        let deferred = self.durability.deferred();
        let is_stopping = self.mode == Mode::Stopping;
        let mut turn = turn!(self, now);
        if self.mode == Mode::Running && !self.durability.is_behind() {
            self.granter.grant(&mut turn, &mut self.intake, deferred);
        }
        // Sent before draining, so that no fetcher waits for it.
        self.granter.flush(turn.accounts);
        if !is_stopping {
            self.granter.end_what_is_beyond_budget(&mut turn);
            if !self.durability.is_behind() && !turn.accounts.is_behind() {
                turn.drain();
            }
        }
        self.granter.assign_failures(turn.failures);
        self.granter.flush(turn.accounts);
        self.let_go_of_quiet_parts(now);
        self.tell_others(now);
    }

    /// Returns when the next turn is due; `None` if only an event can bring work.
    pub fn next_turn(&mut self, now: Instant) -> Option<Instant> {
        let commit = Durability::commit_due(&mut turn!(self, now));
        let flush = self.granter.next_flush(now);
        let keeps_up = !self.durability.is_behind() && !self.accounts.is_behind();
        let is_granting = self.mode == Mode::Running && keeps_up;
        let deferred = self.durability.deferred();
        let grant = is_granting
            .then(|| {
                let files = &mut self.frontier.files;
                self.granter.next_grant(files, &mut self.domains, &self.accounts, &self.failures, deferred)
            })
            .flatten();
        let is_draining = self.mode != Mode::Stopping && keeps_up;
        let drain = is_draining.then(|| self.draining.next_step(now, self.failures.room() > 0)).flatten();
        let tell = self.failures.can_go_on().then_some(now);
        [commit, flush, grant, drain, tell, self.next_check()].into_iter().flatten().min()
    }

    /// A slot of `domain` has become free.
    pub fn released(&mut self, domain: &Domain, now: Instant) {
        self.granter.note_released(domain, now);
        self.granter.wake(&mut self.frontier.files, &mut self.domains, domain, now);
    }

    /// Stops, for a reason that the report shows; the first holds.
    pub fn stop(&mut self, why: String) {
        self.stop_reason.get_or_insert(why);
        self.set_mode(Mode::Stopping);
    }

    /// Tells why the crawl was stopped, if that is known.
    pub fn stop_reason(&self) -> Option<&str> {
        self.stop_reason.as_deref()
    }

    /// Returns the settings of politeness in force.
    pub fn politeness(&self) -> Arc<Politeness> {
        self.politeness.borrow().clone()
    }

    /// Tells whether it goes on with what earlier processes have left.
    pub fn is_resumed(&self) -> bool {
        self.granter.budget.is_resumed()
    }

    /// Returns the limit that holds back what waits, if there is any.
    pub fn ended_by(&self) -> Option<String> {
        self.granter.budget.ended_by()
    }

    /// Tells whether the crawl ends without waiting for requests in flight.
    pub fn ends_at_once(&self) -> bool {
        self.output_is_gone
    }

    /// Tells whether no more pages can come: nothing waits, and nothing is on lease.
    pub fn is_finished(&mut self) -> bool {
        if self.is_shared() && self.mode != Mode::Stopping {
            return self.has_ended_everywhere() && self.has_nothing_out();
        }
        if self.mode == Mode::Stopping { self.has_nothing_out() } else { self.has_nothing_left() }
    }

    fn has_nothing_out(&self) -> bool {
        self.frontier.leased() == 0 && self.granter.busy() == 0 && self.durability.deferred() == 0
    }

    fn has_nothing_left(&mut self) -> bool {
        self.has_nothing_out() && (self.frontier.queued() == 0 || self.keeps_the_rest())
    }

    fn keeps_the_rest(&mut self) -> bool {
        self.durability.is_durable() && self.granter.keeps_the_rest(&self.frontier)
    }

    /// Sets whether permits are granted.
    pub fn set_mode(&mut self, mode: Mode) {
        if self.mode == Mode::Stopping {
            return;
        }
        let before = std::mem::replace(&mut self.mode, mode);
        if mode != Mode::Running {
            self.granter.places.pass();
        }
        match mode {
            Mode::Stopping => {
                self.put_all_back();
                // Pages that wait for files go back: no more files are requested.
                self.submissions.stopping();
            }
            Mode::Paused if before != mode => self.accounts.note(&Event::Paused { domains: None }),
            Mode::Running if before != mode => self.accounts.note(&Event::Resumed { domains: None }),
            Mode::Paused | Mode::Running => {}
        }
    }

    /// Puts back into the frontier what was taken from it and waits here.
    fn put_all_back(&mut self) {
        self.granter.rulings.give_all_back(&mut self.frontier);
        for leased in self.failures.take_unsent() {
            self.frontier.give_back(leased.id, None, false);
        }
    }

    /// Returns whether permits are granted.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns the record of what was done.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Takes the lines for the crawl log.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        self.accounts.take_log()
    }

    /// Returns the numbers that its report needs at least.
    pub fn known(&self) -> Progress {
        self.accounts.known(self.frontier.queued(), self.frontier.leased())
    }

    /// Returns the progress of the crawl.
    pub fn progress(&mut self, elapsed: Duration, now: Instant) -> Progress {
        let standing = self.standing(elapsed, now);
        self.accounts.progress(&standing)
    }

    /// Returns the stats, with the evidence of every domain.
    pub fn stats(&mut self, elapsed: Duration, now: Instant) -> Stats {
        let standing = self.standing(elapsed, now);
        let live = self.domains.all_live().map(|(domain, live)| (domain.clone(), live.tenancy.evidence()));
        self.accounts.stats(&standing, live)
    }

    fn standing(&mut self, elapsed: Duration, now: Instant) -> Standing {
        Standing {
            elapsed,
            queued: self.frontier.queued(),
            leased: self.frontier.leased(),
            domains_active: self.domains.known(),
            domains_cooling: self.domains.cooling(now),
            outage: self.granter.outage(now),
        }
    }
}

#[cfg(test)]
mod tests;
