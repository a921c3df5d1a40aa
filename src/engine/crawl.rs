//! Crawl: combines the parts of the engine and decides which of them acts on which event. Knows no clock, timers or
//! mailboxes: the actor passes the time in and sends the results out.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{
    accounts::{Accounts, Standing},
    budget::Budget,
    domains::Domains,
    draining::Draining,
    durability::{Deferred, Durability, SeedAnswer},
    granter::Granter,
    intake::Intake,
    log_line::LogLine,
    past,
    robots_files::RobotsFiles,
    turn::Turn,
};
use crate::{
    count::Count,
    domain::Domain,
    event::{Event, Subscriber},
    fetcher::{pool::Pool, visit::Visit},
    frontier::{
        Frontier, Leased, Returned,
        admission::Admission,
        candidate::Candidate,
        durable::{Closed, DomainHistory, News, Resumed},
    },
    outcome::Outcome,
    politeness::Politeness,
    request::Kind,
    retry::Retry,
    stats::{Progress, Stats},
};

/// One crawl.
pub struct Crawl {
    frontier: Box<dyn Frontier>,
    domains: Domains,
    /// Admission, retries and ended pages.
    intake: Intake,
    /// Permits and the requests they are for.
    granter: Granter,
    draining: Draining,
    durability: Durability,
    accounts: Accounts,
    mode: Mode,
    /// Whether a pipeline's output is gone, so that the items of pages in flight cannot be delivered.
    output_is_gone: bool,
    /// Why the crawl was stopped, if that is known; the first reason.
    stop_reason: Option<String>,
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
    /// The politeness settings.
    pub politeness: Arc<Politeness>,
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
    /// The fetchers.
    pub pool: Pool,
    /// Receives leases that are dropped.
    pub returned: Arc<dyn Returned>,
    /// Whether a crawl log is kept.
    pub log: bool,
}

/// Makes a [`Turn`] from the crawl's fields. A macro, since the other fields are borrowed at the same time.
macro_rules! turn {
    ($crawl:ident, $now:expr) => {
        Turn {
            now: $now,
            frontier: &mut *$crawl.frontier,
            domains: &mut $crawl.domains,
            accounts: &mut $crawl.accounts,
            draining: &mut $crawl.draining,
        }
    };
}

impl Crawl {
    /// Creates a crawl from its parts.
    pub fn new(mut parts: CrawlParts) -> Self {
        Self {
            durability: Durability::new(parts.frontier.durable().is_some()),
            intake: Intake::new(parts.admission, parts.retry),
            granter: Granter::new(parts.politeness, parts.budget, parts.robots, parts.pool, parts.returned),
            accounts: Accounts::new(parts.log),
            draining: Draining::default(),
            mode: Mode::Running,
            output_is_gone: false,
            stop_reason: None,
            frontier: parts.frontier,
            domains: parts.domains,
        }
    }

    /// Adds a subscriber to all further events.
    pub fn subscribe(&mut self, subscriber: Box<dyn Subscriber>) {
        self.accounts.subscribe(subscriber);
    }

    /// Takes up what an earlier process left. It may have been killed right after it asked any of its domains, also before
    /// its first commit.
    pub fn resume(&mut self, resumed: Resumed, now: Instant, time: SystemTime) {
        if self.durability.is_durable() {
            self.intake.resume_depths(resumed.depths);
        }
        if resumed.was_open || resumed.checkpoint.is_some() {
            self.domains.begin_as_asked(now);
        }
        let Some(checkpoint) = resumed.checkpoint else { return };
        self.intake.resume();
        let pages = checkpoint.counts.get(&Count::Outcome("ok").to_string()).copied().unwrap_or(0);
        let outcomes = checkpoint.counts.iter().filter(|(key, _)| key.starts_with(Count::OUTCOMES));
        self.granter.budget.resume(pages, outcomes.map(|(_, count)| count).sum());
        self.accounts.resume(checkpoint);
        for url in &resumed.included {
            self.intake.include(url);
        }
        for (domain, history) in resumed.histories {
            self.recall(&domain, &history, now, time);
        }
        for domain in self.frontier.domains() {
            self.domains.schedule(domain, now);
        }
    }

    fn recall(&mut self, domain: &Domain, history: &DomainHistory, now: Instant, time: SystemTime) {
        self.granter.budget.resume_domain(domain, history.pages);
        past::recall(history, domain, &mut self.domains, self.accounts.evidence(), now, time);
    }

    /// Takes over domains from another process, which may have just sent requests to them.
    fn gain(&mut self, domains: Vec<(Domain, DomainHistory)>, now: Instant, time: SystemTime) {
        self.domains.begin_as_asked(now);
        for (domain, history) in domains {
            self.recall(&domain, &history, now, time);
            self.domains.schedule(&domain, now);
        }
    }

    /// Admits seeds; their hosts extend the scope. `answer` is sent once the seeds are stored, if the frontier is
    /// durable.
    pub fn seed(&mut self, seeds: Vec<Candidate>, answer: Option<SeedAnswer>, now: Instant) {
        self.accounts.note(&Event::Seeded { seeds: seeds.len() });
        for seed in &seeds {
            self.intake.include(&seed.request().url);
        }
        match self.frontier.look_up(&mut seeds.iter().map(Candidate::fingerprint)) {
            None => self.admit_seeds(seeds, answer, now),
            Some(ticket) => self.durability.defer(ticket, Deferred::Seeds(seeds, answer)),
        }
    }

    fn admit_seeds(&mut self, seeds: Vec<Candidate>, answer: Option<SeedAnswer>, now: Instant) {
        let mut turn = turn!(self, now);
        self.intake.admit(&mut turn, seeds);
        if let Some(answer) = answer {
            self.durability.answer_when_stored(&mut turn, answer);
        }
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
        self.granter.flush(turn.accounts);
        if !is_stopping {
            self.granter.end_what_is_beyond_budget(&mut turn);
            if !self.durability.is_behind() && !turn.accounts.is_behind() {
                turn.drain();
            }
        }
    }

    /// Returns when the next turn is due; `None` if only an event can bring work.
    pub fn next_turn(&mut self, now: Instant) -> Option<Instant> {
        let commit = Durability::commit_due(&mut turn!(self, now));
        let flush = self.granter.next_flush(now);
        let keeps_up = !self.durability.is_behind() && !self.accounts.is_behind();
        let is_granting = self.mode == Mode::Running && keeps_up;
        let deferred = self.durability.deferred();
        let grant = is_granting.then(|| self.granter.next_grant(&mut self.domains, &self.accounts, deferred)).flatten();
        let is_draining = self.mode != Mode::Stopping && keeps_up;
        let drain = is_draining.then(|| self.draining.next_step(now)).flatten();
        [commit, flush, grant, drain].into_iter().flatten().min()
    }

    /// A slot of `domain` has become free.
    pub fn released(&mut self, domain: &Domain, now: Instant) {
        self.granter.schedule(&mut self.domains, domain, now);
    }

    /// Handles an ended request; a page as soon as the frontier knows which of its links are new.
    pub fn ended(&mut self, visit: Visit, now: Instant, time: SystemTime) {
        self.granter.note_local_faults(&mut self.accounts, &visit.leased, &visit.outcome, now);
        if visit.leased.request.kind() == Kind::RobotsTxt {
            let domain = self.granter.robots_ended(&mut turn!(self, now), visit, time);
            return self.durability.remember(&domain);
        }
        if let Outcome::Broken(why) = &visit.outcome {
            self.output_is_gone = true;
            self.break_off(why.clone());
        }
        if self.durability.failure().is_some() {
            return self.leave_unsettled(&visit);
        }
        match self.frontier.look_up(&mut visit.found().iter().map(Candidate::fingerprint)) {
            None => self.page_ended(visit, now, time),
            Some(ticket) => self.durability.defer(ticket, Deferred::Page(Box::new(visit), time)),
        }
    }

    fn page_ended(&mut self, mut visit: Visit, now: Instant, time: SystemTime) {
        let stop = visit.stop.take();
        let domain = self.intake.page_ended(&mut turn!(self, now), &mut self.granter.budget, visit, time);
        self.granter.schedule(&mut self.domains, &domain, now);
        self.durability.remember(&domain);
        if let Some(why) = stop {
            self.stop(format!("the spider says: {why}"));
        }
    }

    /// Stops, for a reason that the report shows; the first holds.
    pub fn stop(&mut self, why: String) {
        self.stop_reason.get_or_insert(why);
        self.set_mode(Mode::Stopping);
    }

    /// Handles a lease that was dropped unsettled because its fetcher panicked or died.
    pub fn lease_dropped(&mut self, leased: Leased, now: Instant, time: SystemTime) {
        self.granter.note_local_faults(&mut self.accounts, &leased, &Outcome::Unsent, now);
        let mut turn = turn!(self, now);
        if leased.request.kind() == Kind::RobotsTxt {
            return self.granter.robots_lost(&mut turn, leased, time);
        }
        let domain = self.intake.page_lost(&mut turn, &mut self.granter.budget, &leased);
        // For the page itself, or for another page of the domain that may now use its share of the budget.
        self.granter.schedule(&mut self.domains, &domain, now);
    }

    /// Handles the news of the frontier's store.
    pub fn store_news(&mut self, now: Instant, time: SystemTime) {
        while let Some(news) = self.frontier.durable().and_then(|store| store.news(now)) {
            match news {
                News::Answered(ticket) => match self.durability.take(ticket) {
                    Some(Deferred::Page(visit, time)) => self.page_ended(*visit, now, time),
                    Some(Deferred::Seeds(seeds, answer)) => self.admit_seeds(seeds, answer, now),
                    None => {}
                },
                News::Arrived(domain) => {
                    self.draining.arrived(&domain);
                    self.granter.schedule(&mut self.domains, &domain, now);
                }
                News::Stored(ticket) => self.durability.stored(ticket),
                News::Gained(domains) => self.gain(domains, now, time),
                // Their leases have ended, and the frontier lends nothing more of these domains.
                News::Lost(_) => {}
                News::Robots(ticket, kept) => self.granter.robots_found(&mut turn!(self, now), ticket, kept, time),
                News::Room => self.durability.has_room(),
                News::Failed(why) => self.break_off(why),
            }
        }
    }

    /// Ends the crawl because results can no longer be stored or delivered. Requests in flight end; their pages stay as
    /// they were last stored.
    fn break_off(&mut self, why: String) {
        self.set_mode(Mode::Stopping);
        self.draining = Draining::default();
        for deferred in self.durability.fail(why) {
            if let Deferred::Page(visit, _) = deferred {
                self.leave_unsettled(&visit);
            }
        }
    }

    fn leave_unsettled(&mut self, visit: &Visit) {
        if !matches!(visit.outcome, Outcome::Unsent | Outcome::Local(..)) {
            self.granter.budget.sent();
        }
        self.granter.budget.ended(&self.intake.domain(&visit.leased), false);
        self.frontier.give_back(visit.leased.id, None, false);
    }

    /// Commits to the frontier's store what was done since the last commit, if that is due.
    pub fn commit(&mut self, elapsed: Duration, now: Instant, time: SystemTime) {
        let mut turn = turn!(self, now);
        if Durability::commit_due(&mut turn).is_some_and(|due| due <= now) {
            self.durability.commit(&mut turn, &self.granter.budget, elapsed, time);
        }
    }

    /// Writes everything to the frontier's store and releases it; `None` if there is no store.
    pub fn close(&mut self, elapsed: Duration, now: Instant, time: SystemTime) -> Option<Closed> {
        let mut turn = turn!(self, now);
        self.durability.commit(&mut turn, &self.granter.budget, elapsed, time);
        Durability::close(&mut turn)
    }

    /// Records that the frontier's store was closed without an error.
    pub fn closed(&mut self) {
        self.durability.all_stored();
    }

    /// Returns why the crawl cannot continue, if so.
    pub fn failure(&self) -> Option<&str> {
        self.durability.failure()
    }

    /// Tells why the crawl was stopped, if that is known.
    pub fn stop_reason(&self) -> Option<&str> {
        self.stop_reason.as_deref()
    }

    /// Tells whether the crawl ends without waiting for requests in flight.
    pub fn ends_at_once(&self) -> bool {
        self.output_is_gone
    }

    /// Tells whether no more pages can come: nothing waits, and nothing is on lease.
    pub fn is_finished(&mut self) -> bool {
        let nothing_out = self.frontier.leased() == 0 && self.granter.busy() == 0 && self.durability.deferred() == 0;
        nothing_out && (self.mode == Mode::Stopping || self.frontier.queued() == 0 || self.keeps_the_rest())
    }

    fn keeps_the_rest(&mut self) -> bool {
        self.durability.is_durable() && self.granter.keeps_the_rest(&*self.frontier)
    }

    /// Sets whether permits are granted.
    pub fn set_mode(&mut self, mode: Mode) {
        if self.mode == Mode::Stopping {
            return;
        }
        self.mode = mode;
        if mode == Mode::Stopping {
            self.granter.give_all_back(&mut *self.frontier);
        }
    }

    /// Returns whether permits are granted.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Takes the lines for the crawl log.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        self.accounts.take_log()
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
