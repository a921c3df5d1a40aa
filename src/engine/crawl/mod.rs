//! Crawl: combines the parts of the engine and decides which of them acts on which event. Knows no clock, timers or
//! mailboxes: the actor passes the time in and sends the results out.

mod explain;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::watch;

use super::{
    accounts::{Accounts, Standing},
    budget::Budget,
    domains::Domains,
    draining::Draining,
    durability::{Deferred, Durability, SeedAnswer},
    failures::Failures,
    granter::{FileWaits, Granter},
    intake::Intake,
    log_line::LogLine,
    past,
    places::Places,
    queues::Queues,
    resting::Resting,
    robots_files::RobotsFiles,
    sitemap_files::SitemapFiles,
    turn::Turn,
};
use crate::{
    capacity::{Capacity, HasRoom},
    domain::Domain,
    events::{Streams, event::Event},
    fetcher::{Listed, pool::Pool},
    frontier::{
        Frontier, Returned,
        admission::Admission,
        candidate::Candidate,
        durable::{DomainHistory, Resumed},
    },
    politeness::Politeness,
    retry::Retry,
    stats::{
        Failure, FirstFailure, Progress, RedirectTarget, Stats,
        count::{Count, requests_in},
    },
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
    sharing: shared::Sharing,
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

/// How many seeds are admitted at once: a millisecond of the scheduler's time, in which no permit is granted.
pub const MAX_SEEDS_AT_ONCE: usize = 1_000;

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
mod changes;
mod ended;
mod shared;
mod store;

impl Crawl {
    /// Creates a crawl from its parts.
    pub fn new(mut parts: CrawlParts) -> Self {
        let politeness = parts.politeness.borrow().clone();
        let is_durable = parts.frontier.durable().is_some();
        if is_durable {
            parts.budget.count_all();
        }
        Self {
            failures: Failures::new(&politeness),
            resting: Resting::default(),
            durability: Durability::new(is_durable),
            intake: Intake::new(parts.admission, parts.retry),
            granter: Granter::new(politeness, parts.budget, parts.robots, parts.sitemaps, parts.pool, parts.returned),
            accounts: Accounts::new(parts.log, parts.streams),
            draining: Draining::default(),
            mode: Mode::Running,
            output_is_gone: false,
            stop_reason: None,
            sharing: shared::Sharing::default(),
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

    /// Continues the crawl of an earlier process. That process may have been killed just after it sent a request to any
    /// domain, even before its first commit.
    pub fn resume(&mut self, resumed: Resumed, now: Instant, time: SystemTime) {
        let is_shared = resumed.is_shared;
        self.go_on_with(resumed, now, time);
        if is_shared {
            // It may be paused, for one: that is known before anybody is asked.
            self.store_news(now, time);
        }
    }

    fn go_on_with(&mut self, resumed: Resumed, now: Instant, time: SystemTime) {
        if self.durability.is_durable() {
            self.intake.resume_depths(resumed.depths, resumed.is_shared);
            self.intake.resume_visits(resumed.visits);
        }
        if resumed.was_open || resumed.checkpoint.is_some() {
            self.domains.begin_as_asked(now);
        }
        if resumed.is_shared {
            self.share_with(resumed.checkpoint.clone().unwrap_or_default());
        }
        let Some(checkpoint) = resumed.checkpoint else { return };
        self.intake.resume();
        self.resting.resume();
        self.intake.resume_waiting_seeds(&resumed.waiting_seeds);
        if !resumed.is_shared {
            let pages = checkpoint.counts.get(&Count::PAGES.to_string()).copied().unwrap_or(0);
            self.granter.budget.resume(pages, requests_in(&checkpoint.counts));
            self.accounts.resume(checkpoint);
        }
        self.accounts.ends.resume(resumed.failed);
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

    /// Admits the seeds that the crawl begins with, which may be millions: the store looks up a part of them at a time.
    pub fn begin(&mut self, seeds: Vec<Candidate>, now: Instant) {
        let mut seeds = seeds.into_iter();
        while seeds.len() > 0 {
            self.seed(seeds.by_ref().take(MAX_SEEDS_AT_ONCE).collect(), None, now);
        }
    }

    /// Admits seeds; their hosts extend the scope. With a durable frontier, `answer` gets the results once they are
    /// stored.
    pub fn seed(&mut self, seeds: Vec<Candidate>, answer: Option<SeedAnswer>, now: Instant) {
        self.accounts.note(&Event::Seeded { seeds: seeds.len() });
        for seed in &seeds {
            let url = &seed.request().url;
            // The seeds that a crawl begins with are given again when it is resumed, but not to other machines.
            if self.intake.include(url)
                && (answer.is_some() || self.is_shared())
                && let Some(store) = self.frontier.durable()
            {
                store.include(url);
            }
        }
        for site in self.granter.sitemaps.look_for(&seeds) {
            self.granter.look_at_robots(&site, now);
        }
        match self.frontier.look_up(&mut seeds.iter().map(Candidate::fingerprint)) {
            None => self.admit_seeds(seeds, answer, now),
            Some(ticket) => self.durability.defer(ticket, Deferred::Seeds(seeds, answer)),
        }
        self.request_sitemaps(now);
    }

    /// Admits the sitemaps that were found meanwhile.
    fn request_sitemaps(&mut self, now: Instant) {
        let mut found = self.granter.sitemaps.take_found();
        self.granter.sitemaps.each_once(&mut found);
        if found.is_empty() {
            return;
        }
        match self.frontier.look_up(&mut found.iter().map(Candidate::fingerprint)) {
            None => self.admit_seeds(found, None, now),
            Some(ticket) => self.durability.defer(ticket, Deferred::Seeds(found, None)),
        }
    }

    /// Queues the files that a page waits for. The scope does not apply, since the spider has named each file.
    pub fn files_asked(&mut self, files: Vec<Candidate>, now: Instant) {
        // A stopping crawl grants no file, and no page waits for one any more.
        if self.mode != Mode::Stopping {
            self.intake.admit(&mut turn!(self, now), files);
        }
    }

    /// Admits a part of what a sitemap lists.
    pub fn listed(&mut self, mut listed: Listed, now: Instant) {
        if self.durability.failure().is_some() {
            return;
        }
        self.granter.sitemaps.each_once(&mut listed.candidates);
        match self.frontier.look_up(&mut listed.candidates.iter().map(Candidate::fingerprint)) {
            None => self.admit_listed(listed, now),
            Some(ticket) => self.durability.defer(ticket, Deferred::Listed(listed)),
        }
    }

    fn admit_listed(&mut self, Listed { candidates, admitted }: Listed, now: Instant) {
        self.intake.admit(&mut turn!(self, now), candidates);
        // A reader that is gone needs no answer.
        let _ = admitted.send(());
    }

    fn admit_seeds(&mut self, seeds: Vec<Candidate>, answer: Option<SeedAnswer>, now: Instant) {
        let mut turn = turn!(self, now);
        let seeded = self.intake.admit_seeds(&mut turn, seeds);
        if let Some(answer) = answer {
            self.durability.answer_when_stored(&mut turn, answer, seeded);
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
        self.granter.give_all_back(&mut self.frontier);
        for leased in self.failures.take_unsent() {
            self.frontier.give_back(leased.id, None, false);
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

    /// Returns the numbers that its report needs at least.
    pub fn known(&self) -> Progress {
        self.accounts.known(self.frontier.queued(), self.frontier.leased())
    }

    /// Returns the progress of the crawl.
    pub fn progress(&mut self, elapsed: Duration, now: Instant) -> Progress {
        let standing = self.standing(elapsed, now);
        self.accounts.progress(&standing)
    }

    /// Returns the first URL that failed for each reason.
    pub fn first_failures(&self) -> BTreeMap<String, FirstFailure> {
        self.accounts.first_failures()
    }

    /// Returns the page to log in at that most pages redirect to.
    pub fn log_in_page(&self) -> Option<RedirectTarget> {
        self.accounts.log_in_page()
    }

    /// Returns the latest failures, at most so many, the last one first.
    pub fn failures(&self, most: usize) -> Vec<Failure> {
        self.accounts.failures(most)
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
