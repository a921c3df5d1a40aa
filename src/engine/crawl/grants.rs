//! Grants: which domains are due, and what each is asked for next. Knows nothing of what comes of it.

use std::time::{Duration, Instant};

use url::Url;

use super::{Crawl, Mode};
use crate::{
    domain::Domain,
    engine::{budget::Spending, robots::Ruling},
    fetcher::{Errand, Question},
    frontier::{Lease, Next},
    outcome::DropReason,
    politeness::RobotsPolicy,
    throttle::Refusal,
};

/// How far ahead permits are granted: a fetcher has them in hand when they fall due, and the gate holds them until
/// then. Longer would bind places that another domain could use.
pub const AHEAD: Duration = Duration::from_millis(5);

/// No refusal cools a domain for less.
const SHORTEST_COOLING: Duration = Duration::from_secs(1);

/// The most lines that wait for the crawl log before no more permits are granted.
const MAX_LOG_LINES: usize = 50_000;

/// The most requests of one domain that wait for a robots file while others of it are looked for.
const MAX_PARKED: usize = 64;

/// The most pages of a domain that are looked at in one turn for one that robots.txt allows: other domains wait meanwhile.
const MAX_RULINGS: usize = 1_000;

/// What came of looking for something to ask a domain for.
enum Search {
    Found(Errand),
    /// There is nothing now.
    Nothing,
    /// There may be something further back.
    Unfinished,
}

impl Crawl {
    /// Grants permits to every domain that is due, as long as there is room.
    pub fn grant(&mut self, now: Instant) {
        if self.mode == Mode::Running {
            while self.has_room() {
                let Some(domain) = self.domains.pop_due(now + AHEAD) else { break };
                self.grant_to(&domain, now);
            }
        }
        self.pool.flush();
        self.drain(now);
    }

    /// Tells when to come back; `None` where only news can bring work.
    pub fn next_tick(&mut self, now: Instant) -> Option<Instant> {
        let commit = self.frontier.durable().and_then(|store| store.commit_due());
        let grant = self.next_grant(now);
        grant.into_iter().chain(commit).chain(self.next_drain(now)).min()
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

    /// The global bounds: pages from the grant until they are settled, so that a slow pipeline means fewer permits, and
    /// pages in all. Domains keep their places in the heap until there is room.
    fn has_room(&self) -> bool {
        self.pool.busy() + self.held.len() < self.politeness.concurrency.get() as usize
            && self.budget.of_all() == Spending::Open
            && self.can_note_more()
    }

    /// Tells whether the frontier's store and the crawl log keep up.
    pub(super) fn can_note_more(&self) -> bool {
        !self.is_behind && self.log.as_ref().is_none_or(|lines| lines.len() < MAX_LOG_LINES)
    }

    fn grant_to(&mut self, domain: &Domain, now: Instant) {
        if self.draining.has(domain) {
            // The end of that brings the domain back.
            return;
        }
        let given_up = self.domains.get(domain).and_then(|live| live.tenancy.given_up(now));
        if let Some(given_up) = given_up.filter(|_| self.frontier.has_waiting(domain)) {
            return self.give_up(domain, given_up.why);
        }
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
            let tenancy = self.domains.live(domain, now).tenancy.clone();
            match tenancy.grant(now, now + AHEAD) {
                Err(Refusal::NotBefore(at) | Refusal::Turn(at)) => {
                    if at > now + SHORTEST_COOLING {
                        // Another crawl or client may have heard a refusal.
                        self.domains.note_cooling(domain, now);
                    }
                    return self.domains.schedule(domain, at);
                }
                // The end of one of them brings the domain back.
                Err(Refusal::Full) => return,
                // Without an errand the permit goes back, and the loop sees what the domain waits for. What is ready
                // by the horizon is ready here too: were it not, the loop would see the same again, for ever.
                Ok(permit) => match self.next_errand(domain, now + AHEAD) {
                    Search::Found(errand) => self.pool.assign(permit, errand),
                    Search::Nothing => {}
                    Search::Unfinished => return self.domains.schedule(domain, now + 2 * AHEAD),
                },
            }
        }
    }

    /// Tells when the domain has something to ask for.
    fn ready_at(&mut self, domain: &Domain, now: Instant) -> Option<Instant> {
        if self.domains.get(domain).is_some_and(|live| !live.robots.is_empty()) {
            return Some(now);
        }
        if self.budget.of(domain) != Spending::Open || self.robots.parked(domain) >= MAX_PARKED {
            return None;
        }
        self.frontier.ready_at(domain, now)
    }

    /// Nothing is to be asked for. What the domain's budget does not allow any more is dropped, and the domain's past is
    /// kept until it does not matter any more.
    fn rest(&mut self, domain: &Domain, now: Instant) {
        if !self.is_durable && self.budget.of(domain) == Spending::Used && self.frontier.has_waiting(domain) {
            return self.drop_waiting(domain);
        }
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
            let evidence = live.tenancy.evidence();
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
    fn next_errand(&mut self, domain: &Domain, now: Instant) -> Search {
        if let Some(url) = self.domains.live(domain, now).robots.pop_front() {
            return Search::Found(self.ask(url));
        }
        for _ in 0..MAX_RULINGS {
            let leased = match self.frontier.lease(domain, now) {
                Next::Leased(leased) => leased,
                Next::NotBefore(_) | Next::Coming | Next::Empty => return Search::Nothing,
            };
            match self.rule(&leased.request.url, now) {
                Ruling::Allowed(spacing) => {
                    self.slow_down(domain, spacing, now);
                    self.budget.lent(domain);
                    return Search::Found(Errand::Page(Lease::new(leased, self.returned.clone())));
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
                    return Search::Found(self.ask(robots));
                }
                Ruling::Asked => {
                    self.robots.park(domain, leased);
                    if self.robots.parked(domain) >= MAX_PARKED {
                        return Search::Nothing;
                    }
                }
            }
        }
        Search::Unfinished
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
}
