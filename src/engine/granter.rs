//! Granter: which domain is due, and what it is asked for next. Knows nothing of what comes of a page.

mod robots;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use url::Url;

use super::{
    accounts::Accounts,
    budget::{Budget, Spending},
    domains::Domains,
    draining::{End, MAX_STEP},
    intake::Intake,
    robots_files::{RobotsFiles, Ruling},
    ruled::Ruled,
    turn::Turn,
};
use crate::{
    domain::Domain,
    event::Event,
    fetcher::pool::Pool,
    frontier::{Frontier, Lease, Leased, Next, Returned},
    outcome::DropReason,
    permit::Permit,
    politeness::{Politeness, RobotsPolicy},
    throttle::Refusal,
};

/// Grants permits, each with the request that it is for.
pub struct Granter {
    politeness: Arc<Politeness>,
    /// How many pages may be asked for.
    pub(super) budget: Budget,
    robots: RobotsFiles,
    ruled: Ruled,
    pool: Pool,
    returned: Arc<dyn Returned>,
    /// A domain for which the budget had more when that was last looked at.
    unspent: Option<Domain>,
}

/// How far ahead permits are granted: a fetcher has them in hand when they fall due, and the gate holds them until
/// then. Longer would bind places that another domain could use.
pub const AHEAD: Duration = Duration::from_millis(5);

/// No refusal cools a domain for less.
const SHORTEST_COOLING: Duration = Duration::from_secs(1);

/// The most requests of one domain that wait for a robots file while others of it are looked for.
const MAX_PARKED: usize = 64;

/// The most pages of a domain that are looked at in one turn for one that robots.txt allows: other domains wait meanwhile.
const MAX_RULINGS: usize = 1_000;

/// What came of looking for something to ask a domain for.
enum Search {
    Found(Leased),
    /// There is nothing now.
    Nothing,
    /// There may be something further back.
    Unfinished,
}

impl Granter {
    /// Creates the granter of a crawl.
    pub fn new(
        politeness: Arc<Politeness>,
        budget: Budget,
        robots: RobotsFiles,
        pool: Pool,
        returned: Arc<dyn Returned>,
    ) -> Self {
        Self { politeness, budget, robots, ruled: Ruled::default(), pool, returned, unspent: None }
    }

    /// Grants permits to every domain that is due, as long as there is room. `deferred` pages have been fetched and wait for
    /// the frontier: they take room too.
    pub fn grant(&mut self, turn: &mut Turn<'_>, intake: &mut Intake, deferred: usize) {
        while self.has_room(turn.accounts, deferred) {
            let horizon = turn.now + AHEAD;
            let Some(domain) = self.ruled.pop_due(horizon).or_else(|| turn.domains.pop_due(horizon)) else { break };
            self.grant_to(turn, intake, &domain, deferred);
        }
    }

    /// Sends out what was granted.
    pub fn flush(&mut self, accounts: &mut Accounts) {
        let fetchers = self.pool.flush();
        if fetchers > 0 {
            accounts.note(&Event::FetchersReplaced { fetchers });
        }
    }

    /// Tells when to come back to send out what did not fit into a fetcher's mailbox.
    pub fn next_flush(&self, now: Instant) -> Option<Instant> {
        self.pool.has_unsent().then_some(now + AHEAD)
    }

    /// Tells when the next domain is due; `None` where only news can bring work.
    pub fn next_grant(&mut self, domains: &mut Domains, accounts: &Accounts, deferred: usize) -> Option<Instant> {
        if !self.has_room(accounts, deferred) {
            return None;
        }
        let due = self.ruled.next_due().into_iter().chain(domains.next_due()).min();
        due.map(|due| due.checked_sub(AHEAD / 2).unwrap_or(due))
    }

    /// Lets a domain come up at `at`. One that has pages whose robots file has come goes before others.
    pub fn schedule(&mut self, domains: &mut Domains, domain: &Domain, at: Instant) {
        if !self.ruled.schedule(domain, at) {
            domains.schedule(domain, at);
        }
    }

    /// Returns how many requests fetchers have in hand.
    pub fn busy(&self) -> usize {
        self.pool.busy()
    }

    /// The global bounds: pages from the grant until they are settled, so that a slow pipeline means fewer permits, and
    /// pages in all. Domains keep their places in the heap until there is room.
    fn has_room(&self, accounts: &Accounts, deferred: usize) -> bool {
        self.pool.busy() + deferred < self.politeness.concurrency.get() as usize
            && self.budget.of_all() == Spending::Open
            && !accounts.is_behind()
    }

    fn grant_to(&mut self, turn: &mut Turn<'_>, intake: &mut Intake, domain: &Domain, deferred: usize) {
        let now = turn.now;
        if turn.draining.has(domain) {
            // The end of that brings the domain back.
            return;
        }
        if self.ends_given_up(turn, domain) {
            return;
        }
        let mut found_nothing = false;
        loop {
            let Some(ready_at) = self.ready_at(turn, domain) else { return self.rest(turn, domain) };
            // Not ready yet: a later turn, or this loop would pop the domain again at once. What becomes ready within the
            // time ahead cannot be lent before.
            if ready_at > now {
                return self.schedule(turn.domains, domain, ready_at.max(now + 2 * AHEAD));
            }
            if !self.has_room(turn.accounts, deferred) {
                return self.schedule(turn.domains, domain, now);
            }
            match turn.grant(domain, now + AHEAD) {
                Err(Refusal::NotBefore(at) | Refusal::Turn(at)) => {
                    if at > now + SHORTEST_COOLING {
                        // Another crawl or client may have heard a refusal.
                        turn.domains.note_cooling(domain, now);
                        if self.ends_given_up(turn, domain) {
                            return;
                        }
                    }
                    return self.schedule(turn.domains, domain, at);
                }
                // The end of one of them brings the domain back.
                Err(Refusal::Full) => return,
                // If nothing is found the permit goes back, and the loop sees what the domain waits for. The search takes
                // what is ready by the horizon: otherwise the loop would see that as ready again, without end.
                Ok(permit) => match self.search(turn, intake, domain, now + AHEAD) {
                    Search::Found(leased) => self.assign(turn, permit, leased),
                    // A frontier that says that something is ready, and lends nothing, would be asked without end.
                    Search::Nothing if found_nothing => return self.schedule(turn.domains, domain, now + 2 * AHEAD),
                    Search::Nothing => found_nothing = true,
                    Search::Unfinished => return self.schedule(turn.domains, domain, now + 2 * AHEAD),
                },
            }
        }
    }

    /// Lets what waits for a domain fail where it is given up, by this crawl or by another tenant. Tells whether something
    /// waited.
    fn ends_given_up(&mut self, turn: &mut Turn<'_>, domain: &Domain) -> bool {
        let Some(why) = turn.given_up(domain) else { return false };
        give_back(turn.frontier, self.ruled.take(domain));
        let waits = turn.frontier.has_waiting(domain);
        if waits {
            turn.give_up(domain, why);
        }
        waits
    }

    fn assign(&mut self, turn: &mut Turn<'_>, permit: Permit, mut leased: Leased) {
        if leased.request.domain.is_none() {
            // A robots file, or a request that a frontier of the user's has read from somewhere.
            let domain = self.politeness.domain_key.domain(&leased.request.url);
            Arc::make_mut(&mut leased.request).domain = Some(domain);
        }
        let Leased { request, attempt, .. } = &leased;
        turn.accounts.note(&Event::Granted { domain: permit.domain(), request, attempt: *attempt });
        self.pool.assign(permit, Lease::new(leased, self.returned.clone()));
    }

    /// Tells when the domain has something to ask for.
    fn ready_at(&mut self, turn: &mut Turn<'_>, domain: &Domain) -> Option<Instant> {
        if turn.has_robots(domain) {
            return Some(turn.now);
        }
        if self.budget.of(domain) != Spending::Open {
            return None;
        }
        if self.ruled.has(domain) {
            return Some(turn.now);
        }
        if self.robots.parked(domain) >= MAX_PARKED {
            return None;
        }
        turn.frontier.ready_at(domain, turn.now)
    }

    /// Nothing is to be asked for. What the domain's budget does not allow any more is dropped, and the domain's past is
    /// kept until it does not matter any more.
    fn rest(&mut self, turn: &mut Turn<'_>, domain: &Domain) {
        let now = turn.now;
        if self.budget.of(domain) == Spending::Used {
            give_back(turn.frontier, self.ruled.take(domain));
            if turn.frontier.durable().is_none() && turn.frontier.has_waiting(domain) {
                return turn.draining.begin(domain, End::Dropped(self.budget_reason()));
            }
        }
        if self.robots.parked(domain) > 0 || self.ruled.has(domain) {
            // What its robots file asks for counts from the request for that file on, so the past is kept until the
            // answer is here, which brings the domain back; or until a page in flight has ended, after which the budget
            // may have room for those that wait here.
            return;
        }
        let forgotten = turn.domains.forget(domain, now);
        if let Some(at) = forgotten.come_back {
            turn.domains.schedule(domain, at);
        }
        if let Some(live) = forgotten.live {
            turn.accounts.domain_forgotten(domain, &live.tenancy.evidence());
        }
        if turn.frontier.ready_at(domain, now).is_none() {
            turn.domains.remove_idle(domain);
        }
    }

    /// Chooses what the domain is asked for next: robots files first, then pages that they allow.
    fn search(&mut self, turn: &mut Turn<'_>, intake: &mut Intake, domain: &Domain, horizon: Instant) -> Search {
        if let Some(url) = turn.pop_robots(domain) {
            return Search::Found(self.robots.lease(url));
        }
        if let Some(leased) = self.ruled.pop(domain) {
            self.budget.lent(domain);
            return Search::Found(leased);
        }
        for _ in 0..MAX_RULINGS {
            let mut leased = match turn.frontier.lease(domain, horizon) {
                Next::Leased(leased) => leased,
                Next::NotBefore(_) | Next::Coming | Next::Empty => return Search::Nothing,
            };
            if let Err(reason) = intake.review(&mut leased) {
                turn.frontier.settle(leased.id);
                turn.drop_request(domain, &leased.request, reason);
                continue;
            }
            match self.rule(&leased.request.url, horizon) {
                ruling @ (Ruling::Ask(_) | Ruling::Asked) => {
                    self.robots.park(domain, leased);
                    if let Ruling::Ask(file) = ruling
                        && let Some(file) = self.look_for_robots(turn, file)
                    {
                        return Search::Found(self.robots.lease(file));
                    }
                    if self.robots.parked(domain) >= MAX_PARKED {
                        return Search::Nothing;
                    }
                }
                ruling => {
                    if let Some(leased) = Self::apply(turn, domain, leased, ruling) {
                        self.budget.lent(domain);
                        return Search::Found(leased);
                    }
                }
            }
        }
        Search::Unfinished
    }

    /// Which limit is used up.
    fn budget_reason(&self) -> DropReason {
        if self.budget.of_requests() == Spending::Used { DropReason::Requests } else { DropReason::Budget }
    }

    fn rule(&mut self, url: &Url, now: Instant) -> Ruling {
        match self.politeness.robots {
            RobotsPolicy::Obey => self.robots.rule(url, now),
            RobotsPolicy::Ignore => Ruling::Allowed(None),
        }
    }

    /// Does with a page what its robots file says; returns it if it may be fetched.
    fn apply(turn: &mut Turn<'_>, domain: &Domain, leased: Leased, ruling: Ruling) -> Option<Leased> {
        match ruling {
            Ruling::Allowed(spacing) => {
                turn.slow_down(domain, spacing);
                return Some(leased);
            }
            Ruling::Disallowed => {
                turn.frontier.settle(leased.id);
                turn.drop_request(domain, &leased.request, DropReason::Robots);
            }
            Ruling::Unreachable(outcome, detail) => {
                turn.frontier.settle(leased.id);
                turn.fail(domain, &leased.request, outcome, &detail);
            }
            Ruling::NotBefore(until) => {
                turn.frontier.give_back(leased.id, Some(until), false);
            }
            Ruling::Ask(_) | Ruling::Asked => {
                turn.frontier.give_back(leased.id, None, false);
            }
        }
        None
    }

    /// Gives back all pages that wait here: no more permits are granted.
    pub fn give_all_back(&mut self, frontier: &mut dyn Frontier) {
        give_back(frontier, self.robots.unpark_all().into_iter());
        give_back(frontier, self.ruled.take_all());
    }

    /// Sees to what waits although the crawl has had all its pages, whenever it came: a durable frontier keeps it for
    /// another run, and without one it is dropped.
    pub fn end_what_is_beyond_budget(&mut self, turn: &mut Turn<'_>) {
        if self.budget.of_all() != Spending::Used {
            return;
        }
        // No robots file is asked for any more either: pages that wait for one would wait for ever.
        self.give_all_back(turn.frontier);
        if turn.draining.is_idle() && turn.frontier.queued() > 0 && turn.frontier.durable().is_none() {
            // As many as one step takes: a million domains need not stand here at once.
            let waiting: Vec<_> = turn.frontier.domains().take(MAX_STEP).cloned().collect();
            for domain in &waiting {
                turn.draining.begin(domain, End::Dropped(self.budget_reason()));
            }
        }
    }

    /// Tells whether the budget allows nothing of what waits. Only a frontier that is there tomorrow keeps it.
    pub fn keeps_the_rest(&mut self, frontier: &dyn Frontier) -> bool {
        if !self.budget.is_limited() {
            return false;
        }
        if self.budget.of_all() == Spending::Used {
            return true;
        }
        // This is asked with every turn: the one domain that has more is remembered, and others are looked for only
        // when it has had its pages too.
        let has_more = |domain: &&Domain| self.budget.of(domain) != Spending::Used;
        let known = self.unspent.as_ref().filter(|domain| frontier.has_waiting(domain)).filter(has_more);
        if known.is_none() {
            self.unspent = frontier.domains().find(has_more).cloned();
        }
        self.unspent.is_none()
    }
}

fn give_back(frontier: &mut dyn Frontier, pages: impl Iterator<Item = Leased>) {
    for leased in pages {
        frontier.give_back(leased.id, None, false);
    }
}
