//! Crawl: all that the scheduler knows and decides. Knows no clock, no timers and no mailboxes: the actor brings the
//! time and carries what comes out.

mod stored;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use hashbrown::{HashMap, HashSet};
use humantime::format_duration;
use url::Url;

use super::{
    budget::{Budget, Spending},
    domains::Domains,
    log::LogLine,
    robots::{RobotsDesk, Ruling, Verdict as RobotsVerdict},
};
use crate::{
    cooling::{Verdict, Why},
    domain::Domain,
    fetcher::{Asker, Errand, Question, RobotsAnswer, RobotsResult, http::is_idempotent, pool::Pool, visit::Visit},
    frontier::{
        Frontier, LEASE_LIFETIME, Lease, Leased, Next, Returned,
        admission::{Admission, Admitted, Candidate},
        durable::Ticket,
    },
    outcome::{DropReason, Outcome},
    politeness::{Politeness, RobotsPolicy},
    request::Request,
    retry::Retry,
    robots::Robots,
    stats::Stats,
    throttle::Refusal,
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
    mode: Mode,
    /// Domains that are given up, and how what waits for them ends.
    draining: HashMap<Domain, (&'static str, String)>,
    /// What waits until the frontier knows which of its links are new.
    held: HashMap<Ticket, Held>,
    /// The domains of which something is to be remembered with the next commit.
    to_remember: HashSet<Domain>,
    /// Whether the frontier outlives this process.
    is_durable: bool,
    /// Time spent crawling by processes before this one.
    elapsed_before: Duration,
    /// Whether the frontier's store is behind.
    is_behind: bool,
    /// Why the frontier can store nothing any more.
    failure: Option<String>,
}

/// What waits until the frontier knows which of its links are new.
enum Held {
    /// A page that was visited.
    Page(Box<Visit>, SystemTime),
    /// Seeds.
    Seeds(Vec<Candidate>),
}

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

/// How far ahead permits are granted: a fetcher has them in hand when they fall due, and the gate holds them until
/// then. Longer would bind places that another domain could use.
pub const AHEAD: Duration = Duration::from_millis(5);

/// The most lines that wait for the crawl log before no more permits are granted.
const MOST_LOG_LINES: usize = 50_000;

/// The most requests of one domain that wait for a robots file while others of it are looked for.
const MOST_PARKED: usize = 64;

impl Crawl {
    /// Puts a crawl together.
    pub fn new(mut parts: CrawlParts) -> Self {
        Self {
            is_durable: parts.frontier.durable().is_some(),
            elapsed_before: Duration::ZERO,
            is_behind: false,
            failure: None,
            draining: HashMap::new(),
            to_remember: HashSet::new(),
            held: HashMap::new(),
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
            mode: Mode::Running,
        }
    }

    /// Takes seeds in: their hosts widen the scope.
    pub fn seed(&mut self, seeds: Vec<Candidate>, now: Instant) {
        for seed in &seeds {
            self.admission.include(&seed.request().url);
        }
        match self.frontier.look_up(&mut seeds.iter().map(Candidate::fingerprint)) {
            None => self.admit_all(seeds, now),
            Some(ticket) => drop(self.held.insert(ticket, Held::Seeds(seeds))),
        }
    }

    fn admit_all(&mut self, candidates: Vec<Candidate>, now: Instant) {
        for candidate in candidates {
            self.admit(candidate, now);
        }
    }

    /// Grants permits to every domain that is due, as long as there is room.
    pub fn grant(&mut self, now: Instant) {
        if self.mode == Mode::Running {
            while self.has_room() {
                let Some(domain) = self.domains.pop_due(now + AHEAD) else { break };
                self.grant_to(&domain, now);
            }
        }
        self.pool.flush();
    }

    /// Tells when to come back; `None` where only news can bring work.
    pub fn next_tick(&mut self, now: Instant) -> Option<Instant> {
        let commit = self.frontier.durable().and_then(|store| store.commit_due());
        let grant = self.next_grant(now);
        grant.into_iter().chain(commit).min()
    }

    fn next_grant(&mut self, now: Instant) -> Option<Instant> {
        if self.pool.has_unsent() {
            return Some(now + AHEAD);
        }
        if self.mode != Mode::Running || !self.has_room() {
            return None;
        }
        self.domains.next_due().map(|due| due.checked_sub(AHEAD / 2).unwrap_or(due))
    }

    /// A place of `domain` has come free.
    pub fn released(&mut self, domain: &Domain, now: Instant) {
        self.domains.schedule(domain, now);
    }

    /// A lease was dropped unsettled: its fetcher panicked or died. The attempt counts.
    pub fn lease_dropped(&mut self, leased: &Leased, now: Instant) {
        let domain = self.admission.domain(&leased.request.url);
        self.stats.count("fetcher/lost");
        self.budget.ended(&domain, false);
        if leased.attempt >= self.retry.attempts {
            if self.frontier.settle(leased.id) {
                self.stats.count("outcome/panic");
                self.fail(&leased.request, domain, "panic", "the fetcher panicked over it".to_owned());
            }
        } else if self.frontier.give_back(leased.id, None, true).is_some() {
            self.domains.schedule(&domain, now);
        }
    }

    /// Takes in what became of a page, as soon as the frontier knows which of its links are new.
    pub fn visited(&mut self, visit: Visit, now: Instant, time: SystemTime) {
        if self.failure.is_some() {
            return self.leave_unsettled(&visit);
        }
        match self.frontier.look_up(&mut visit.found.iter().map(Candidate::fingerprint)) {
            None => self.take_in(visit, now, time),
            Some(ticket) => drop(self.held.insert(ticket, Held::Page(Box::new(visit), time))),
        }
    }

    fn take_in(&mut self, mut visit: Visit, now: Instant, time: SystemTime) {
        let domain = self.admission.domain(&visit.leased.request.url);
        self.stats.bytes += visit.bytes;
        let found = std::mem::take(&mut visit.found);
        if !matches!(visit.outcome, Outcome::Unsent) {
            self.note_answer(&domain, &visit, now);
        }
        let is_final = match self.again(&domain, &visit, now) {
            Some(again) => {
                self.budget.ended(&domain, false);
                self.frontier.give_back(visit.leased.id, again.not_before, again.attempted);
                false
            }
            None => self.settle(&domain, &visit, found, now),
        };
        if !matches!(visit.outcome, Outcome::Unsent) {
            self.write(|| LogLine::visited(time, domain.clone(), &visit, is_final));
        }
        self.domains.schedule(&domain, now);
        self.close_spent_budgets(&domain, now);
        self.remember(&domain);
    }

    /// Takes in what became of a robots file.
    pub fn robots_answered(&mut self, answer: RobotsAnswer, now: Instant) {
        let domain = self.admission.domain(&answer.url);
        self.take_robots_in(answer, &domain, now);
        self.remember(&domain);
    }

    fn take_robots_in(&mut self, answer: RobotsAnswer, domain: &Domain, now: Instant) {
        self.stats.bytes += answer.bytes;
        self.domains.schedule(domain, now);
        match &answer.result {
            RobotsResult::Body(status @ (429 | 503), _) => {
                self.refused(domain, answer.started.unwrap_or(now), *status, answer.retry_after, now);
            }
            RobotsResult::Body(..) | RobotsResult::Redirect(_) => self.domains.live(domain).cooling.answered(),
            RobotsResult::Failed(_) | RobotsResult::Unsent | RobotsResult::Lost => {}
        }
        for verdict in self.robots.answered(answer, &mut self.stats, now) {
            match verdict {
                RobotsVerdict::Ask(url) => self.ask_for_robots(url, now),
                RobotsVerdict::Ruled { url, robots, parked } => {
                    self.apply_robots(&self.admission.domain(&url), robots.as_ref());
                    self.unpark(parked, now);
                }
            }
        }
    }

    /// The question for a robots file was dropped unanswered: its fetcher panicked or died.
    pub fn robots_lost(&mut self, url: Url, now: Instant) {
        self.stats.count("fetcher/lost");
        let answer = RobotsAnswer { url, result: RobotsResult::Lost, bytes: 0, started: None, retry_after: None };
        let domain = self.admission.domain(&answer.url);
        self.take_robots_in(answer, &domain, now);
    }

    /// Returns what was done up to now.
    pub fn stats(&self, elapsed: Duration, now: Instant) -> Stats {
        let mut stats = self.stats.clone();
        stats.elapsed = self.elapsed_before + elapsed;
        stats.ledger.queued = self.frontier.queued();
        stats.ledger.leased = self.frontier.leased();
        stats.domains_active = self.domains.known();
        stats.domains_cooling = self.domains.all_live().filter(|(_, live)| live.cooling.state(now).is_some()).count();
        for (domain, live) in self.domains.all_live() {
            let evidence = live.gate.throttle().evidence();
            if let Some(of_domain) = stats.domain(domain) {
                of_domain.merge(&evidence);
            }
        }
        stats.add("fetcher/replaced", self.pool.replaced());
        stats
    }

    /// Tells whether nothing is left that could bring a page: nothing waits, and nobody has one on loan.
    pub fn is_finished(&self) -> bool {
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

    /// Takes back the leases that have run out.
    pub fn expire(&mut self, now: Instant) {
        let Some(oldest) = now.checked_sub(LEASE_LIFETIME) else { return };
        for domain in self.frontier.expire(oldest) {
            self.stats.count("fetcher/expired");
            self.domains.schedule(&domain, now);
        }
    }

    /// Notes something in the counts.
    pub fn note(&mut self, key: &str) {
        self.stats.count(key);
    }

    /// The global bound: pages from the grant until they are settled, so that a slow pipeline means fewer permits.
    fn has_room(&self) -> bool {
        self.pool.busy() + self.held.len() < self.politeness.concurrency.get() as usize
            && !self.is_behind
            && self.log.as_ref().is_none_or(|lines| lines.len() < MOST_LOG_LINES)
    }

    fn grant_to(&mut self, domain: &Domain, now: Instant) {
        loop {
            let Some(ready_at) = self.ready_at(domain, now) else { return self.rest(domain, now) };
            // What is ready only within the time ahead cannot be lent yet: a permit taken for it would come back at once.
            // It waits for a later turn, since in this one the domain would come up again without end.
            if ready_at > now {
                return self.domains.schedule(domain, ready_at.max(now + 2 * AHEAD));
            }
            if !self.has_room() {
                return self.domains.schedule(domain, now);
            }
            let gate = self.domains.live(domain).gate.clone();
            match gate.grant(now, now + AHEAD) {
                Err(Refusal::NotBefore(at)) => return self.domains.schedule(domain, at),
                // The end of one of them brings the domain back.
                Err(Refusal::Full) => return,
                // Without an errand the permit goes back, and the loop sees what the domain waits for. What is ready
                // by the horizon is ready here too: were it not, the loop would see the same again, for ever.
                Ok(permit) => {
                    if let Some(errand) = self.next_errand(domain, now + AHEAD) {
                        self.pool.assign(permit, errand);
                    }
                }
            }
        }
    }

    /// Tells when the domain has something to ask for.
    fn ready_at(&mut self, domain: &Domain, now: Instant) -> Option<Instant> {
        if self.domains.get(domain).is_some_and(|live| !live.robots.is_empty()) {
            return Some(now);
        }
        if self.budget.of(domain) != Spending::Open || self.robots.parked(domain) >= MOST_PARKED {
            return None;
        }
        self.frontier.ready_at(domain, now)
    }

    /// Nothing is to be asked for: the domain's past is kept until it does not matter any more.
    fn rest(&mut self, domain: &Domain, now: Instant) {
        if self.robots.parked(domain) > 0 {
            // What its robots file asks for counts from the question for that file on, so the past is kept until the
            // answer is here; which brings the domain back.
            return;
        }
        let forgotten = self.domains.forget(domain, now);
        if let Some(at) = forgotten.come_back {
            self.domains.schedule(domain, at);
        }
        if let Some(live) = forgotten.live {
            let evidence = live.gate.throttle().evidence();
            if evidence.requests > 0 {
                match self.stats.domain(domain) {
                    Some(of_domain) => of_domain.merge(&evidence),
                    None => self.stats.domains_beyond += 1,
                }
            }
        }
        if self.frontier.ready_at(domain, now).is_none() {
            self.domains.remove_idle(domain);
        }
    }

    /// Chooses what the domain is asked for next: robots files first, then pages that they allow.
    fn next_errand(&mut self, domain: &Domain, now: Instant) -> Option<Errand> {
        if let Some(url) = self.domains.live(domain).robots.pop_front() {
            return Some(self.ask(url));
        }
        loop {
            let leased = match self.frontier.lease(domain, now) {
                Next::Leased(leased) => leased,
                Next::NotBefore(_) | Next::Coming | Next::Empty => return None,
            };
            match self.rule(&leased.request.url, now) {
                Ruling::Allowed(spacing) => {
                    self.slow_down(domain, spacing);
                    self.budget.lent(domain);
                    return Some(Errand::Page(Lease::new(leased, self.returned.clone())));
                }
                Ruling::Disallowed => {
                    self.frontier.settle(leased.id);
                    self.drop_request(&leased.request, domain.clone(), DropReason::Robots);
                }
                Ruling::Unreachable(outcome, detail) => {
                    self.frontier.settle(leased.id);
                    self.fail(&leased.request, domain.clone(), outcome, detail);
                }
                Ruling::NotBefore(until) => {
                    self.frontier.give_back(leased.id, Some(until), false);
                }
                Ruling::Ask(robots) => {
                    self.robots.park(domain, leased);
                    return Some(self.ask(robots));
                }
                Ruling::Asked => {
                    self.robots.park(domain, leased);
                    if self.robots.parked(domain) >= MOST_PARKED {
                        return None;
                    }
                }
            }
        }
    }

    fn ask(&self, url: Url) -> Errand {
        Errand::Robots(Question::new(url, self.asker.clone()))
    }

    fn rule(&mut self, url: &Url, now: Instant) -> Ruling {
        match self.politeness.robots {
            RobotsPolicy::Obey => self.robots.rule(url, now),
            RobotsPolicy::Ignore => Ruling::Allowed(None),
        }
    }

    /// A hop to another domain is paced as that domain's own.
    fn ask_for_robots(&mut self, url: Url, now: Instant) {
        let domain = self.admission.domain(&url);
        self.domains.live(&domain).robots.push_back(url);
        self.domains.schedule(&domain, now);
    }

    /// Slows the domain down to what its robots file asks for, and takes note of that for the summary.
    fn apply_robots(&mut self, domain: &Domain, robots: Option<&Robots>) {
        let said = match robots {
            Some(Robots::Rules(rules)) => {
                self.slow_down(domain, rules.spacing());
                "rules"
            }
            Some(Robots::AllowAll) => "none",
            Some(Robots::DenyAll { .. }) | None => "could not be had",
        };
        let cap = self.politeness.max_crawl_delay;
        let said = match self.domains.live(domain).asked {
            None => said.to_owned(),
            Some(asked) if asked <= cap => format!("rules, {} between starts", format_duration(asked)),
            Some(asked) => {
                self.stats.count("robots/crawl_delay_above_cap");
                tracing::warn!(%domain, ?asked, ?cap, "robots.txt asks for more time between starts than is granted");
                format!("rules, {} between starts, held to {}", format_duration(asked), format_duration(cap))
            }
        };
        if let Some(of_domain) = self.stats.domain(domain) {
            of_domain.robots = Some(said);
        }
    }

    /// Lets at least the time that a robots file asks for pass between two starts, up to the cap. The file may be
    /// remembered for longer than the domain, so this is seen to with every page.
    fn slow_down(&mut self, domain: &Domain, asked: Option<Duration>) {
        let Some(asked) = asked else { return };
        let live = self.domains.live(domain);
        live.asked = live.asked.max(Some(asked));
        let spacing = asked.min(self.politeness.max_crawl_delay);
        let mut throttle = live.gate.throttle();
        if throttle.limits().spacing < spacing {
            let slowed = throttle.limits().slowed_to(spacing);
            throttle.set_limits(slowed);
        }
    }

    fn unpark(&mut self, parked: Vec<(Domain, Leased)>, now: Instant) {
        for (domain, leased) in parked {
            self.frontier.give_back(leased.id, None, false);
            self.domains.schedule(&domain, now);
        }
    }

    /// Takes note of how the domain answered, for its cooling and its evidence.
    fn note_answer(&mut self, domain: &Domain, visit: &Visit, now: Instant) {
        self.stats.count(&format!("outcome/{}", visit.outcome.key()));
        if let Some(status) = visit.status {
            self.stats.count(&format!("status/{status}"));
        }
        let started = visit.started.unwrap_or(now);
        match &visit.outcome {
            Outcome::Refused { status, retry_after } => {
                self.refused(domain, started, *status, *retry_after, now);
            }
            Outcome::Fetch(error) if error.is_unreachable() => {
                self.cool(domain, started, Why::Unreachable, None, now);
            }
            _ if visit.status.is_some() => self.domains.live(domain).cooling.answered(),
            _ => {}
        }
    }

    fn refused(&mut self, domain: &Domain, started: Instant, status: u16, asked: Option<Duration>, now: Instant) {
        if let Some(of_domain) = self.stats.domain(domain) {
            of_domain.refusals += 1;
        }
        self.cool(domain, started, Why::Status(status), asked, now);
    }

    fn cool(&mut self, domain: &Domain, started: Instant, why: Why, asked: Option<Duration>, now: Instant) {
        let live = self.domains.live(domain);
        let had_given_up = live.cooling.has_given_up();
        match live.cooling.refused(started, now, why, asked, fastrand::f64()) {
            Verdict::Cool(until) => {
                live.gate.throttle().cool(until);
                tracing::warn!(%domain, ?why, seconds = until.saturating_duration_since(now).as_secs(), "domain cools");
            }
            Verdict::GiveUp => {
                // Others that were in flight then say the same once more.
                if !had_given_up {
                    tracing::warn!(%domain, ?why, "domain is given up");
                    self.stats.count("domain/given_up");
                }
                self.give_up(domain, why);
            }
        }
    }

    /// The domain does not want us, or is not there: what waits for it fails.
    fn give_up(&mut self, domain: &Domain, why: Why) {
        let (outcome, detail) = match why {
            Why::Status(status) => ("refused", format!("the domain answers {status} again and again")),
            Why::Unreachable => ("connect", "the domain cannot be reached".to_owned()),
        };
        self.draining.insert(domain.clone(), (outcome, detail));
        self.drain(domain);
    }

    /// Fails what waits for a domain that is given up: now what is in memory, and the rest as the store reads it.
    fn drain(&mut self, domain: &Domain) {
        let Some((outcome, detail)) = self.draining.get(domain).cloned() else { return };
        let drained = self.frontier.drain(domain);
        for request in drained.requests {
            self.fail(&request, domain.clone(), outcome, detail.clone());
        }
        if !drained.more {
            self.draining.remove(domain);
        }
    }

    /// Decides whether a request waits for another attempt.
    fn again(&mut self, domain: &Domain, visit: &Visit, now: Instant) -> Option<Again> {
        match &visit.outcome {
            Outcome::Unsent => Some(Again { not_before: None, attempted: false }),
            // It fails with all that waited there.
            _ if self.domains.live(domain).cooling.has_given_up() => None,
            Outcome::Refused { .. } => {
                let cools = self.domains.live(domain).cooling.state(now);
                Some(Again { not_before: cools.map(|(until, _)| until), attempted: false })
            }
            // It may have done its work already (RFC 9110 §9.2.2).
            _ if visit.started.is_some() && !is_idempotent(&visit.leased.request.method) => None,
            outcome => {
                let wait = self.retry.after(outcome, visit.leased.attempt, fastrand::f64())?;
                self.stats.count("retry");
                Some(Again { not_before: Some(now + wait), attempted: true })
            }
        }
    }

    /// Ends the loan of a page; its links come in with it.
    fn settle(&mut self, domain: &Domain, visit: &Visit, found: Vec<Candidate>, now: Instant) -> bool {
        let ok = matches!(visit.outcome, Outcome::Ok);
        self.budget.ended(domain, ok);
        if !self.frontier.settle(visit.leased.id) {
            return true;
        }
        match &visit.outcome {
            Outcome::Ok => {
                self.stats.ledger.done += 1;
                self.stats.items += visit.items;
                if let Some(of_domain) = self.stats.domain(domain) {
                    of_domain.pages += 1;
                }
            }
            Outcome::Redirect { to, .. } => {
                self.stats.ledger.done += 1;
                if visit.leased.request.depth == 0 {
                    self.admission.include(to);
                    if let Some(store) = self.frontier.durable() {
                        store.include(to);
                    }
                }
            }
            outcome => {
                let reason = match outcome {
                    Outcome::Status(status) => format!("status/{status}"),
                    other => other.key().to_owned(),
                };
                self.stats.failed(&reason, visit.leased.request.url.as_str(), &outcome.detail());
                if let Some(store) = self.frontier.durable() {
                    store.bury(domain, &visit.leased.request, outcome.key(), &outcome.detail());
                }
            }
        }
        self.admit_all(found, now);
        true
    }

    fn admit(&mut self, candidate: Candidate, now: Instant) {
        let rejected = self.log.is_some().then(|| candidate.request().clone());
        match self.admission.admit(&mut *self.frontier, candidate) {
            Admitted::AlreadySeen => {}
            Admitted::Queued { domain, again } => {
                match again {
                    // It was counted when it came to the door first.
                    Some(reason) => {
                        self.stats.ledger.dropped -= 1;
                        self.uncount(reason);
                    }
                    None => self.stats.ledger.discovered += 1,
                }
                self.domains.schedule(&domain, now);
            }
            Admitted::Dropped(reason) => {
                self.stats.ledger.discovered += 1;
                self.stats.ledger.dropped += 1;
                self.stats.count(&drop_key(reason));
                if let Some(request) = rejected {
                    let domain = self.admission.domain(&request.url);
                    self.write(|| LogLine::dropped(wall_clock(), domain, &request, reason));
                }
            }
        }
    }

    fn uncount(&mut self, reason: DropReason) {
        if let Some(count) = self.stats.counts.get_mut(&drop_key(reason)) {
            *count = count.saturating_sub(1);
        }
    }

    fn drop_request(&mut self, request: &Request, domain: Domain, reason: DropReason) {
        self.stats.ledger.dropped += 1;
        self.stats.count(&drop_key(reason));
        self.write(|| LogLine::dropped(wall_clock(), domain, request, reason));
    }

    fn fail(&mut self, request: &Arc<Request>, domain: Domain, outcome: &'static str, detail: String) {
        self.stats.failed(outcome, request.url.as_str(), &detail);
        if let Some(store) = self.frontier.durable() {
            store.bury(&domain, request, outcome, &detail);
        }
        self.write(|| LogLine::unsent(wall_clock(), domain, request, outcome, detail));
    }

    /// A budget that is used up drops what waits; one that a failed page gives back to wakes it.
    fn close_spent_budgets(&mut self, domain: &Domain, now: Instant) {
        match self.budget.of_all() {
            Spending::Open => {}
            Spending::Reserved => return,
            Spending::Used if self.is_durable => return,
            Spending::Used => {
                for waiting in self.frontier.domains() {
                    self.drop_waiting(&waiting);
                }
                return;
            }
        }
        if self.budget.reopened() {
            for waiting in self.frontier.domains() {
                self.domains.schedule(&waiting, now);
            }
        }
        if !self.is_durable && self.budget.of(domain) == Spending::Used {
            self.drop_waiting(domain);
        }
    }

    fn drop_waiting(&mut self, domain: &Domain) {
        for request in self.frontier.drain(domain).requests {
            self.drop_request(&request, domain.clone(), DropReason::Budget);
        }
    }

    fn write(&mut self, line: impl FnOnce() -> LogLine) {
        if let Some(lines) = &mut self.log {
            lines.push(line());
        }
    }
}

struct Again {
    not_before: Option<Instant>,
    attempted: bool,
}

fn drop_key(reason: DropReason) -> String {
    format!("drop/{}/{}", reason.key(), reason.detail())
}

#[allow(clippy::disallowed_methods, reason = "the log's lines carry the time of day")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
