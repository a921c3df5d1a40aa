//! Granter: picks due domains and the request for each permit. Does not know the results of pages.

mod files;
mod withdrawn;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use self::files::FileWaits;
use super::{
    accounts::Accounts,
    budget::{Budget, Spending},
    domain_holds::Hold,
    domains::Domains,
    failures::Failures,
    file_queue::FileQueue,
    intake::Intake,
    outage::LocalOutage,
    places::Places,
    rulings::{RobotsCheck, Rulings},
    turn::Turn,
};
use crate::{
    conduct::throttle::Refusal,
    domain::Domain,
    events::event::Event,
    fetcher::pool::Pool,
    frontier::{Frontier, Lease, Leased, Next, Returned},
    outcome::Outcome,
    permit::{Permit, Tenancy},
    politeness::Politeness,
    stats::Outage,
};

/// Grants permits, each for one request.
pub struct Granter {
    politeness: Arc<Politeness>,
    /// How many pages and requests are allowed.
    pub(super) budget: Budget,
    /// What robots files mean for pages.
    pub(super) rulings: Rulings,
    pool: Pool,
    returned: Arc<dyn Returned>,
    outage: LocalOutage,
    /// The places in flight that it shares with other crawls and clients.
    pub(super) places: Places,
    /// The pages that wait for files.
    pub(super) file_waits: FileWaits,
    /// A domain whose budget was not used up when last checked.
    unspent: Option<Domain>,
}

/// How far ahead permits are granted: a fetcher has them when they fall due, and the gate holds them until then. A
/// longer time would reserve slots that other domains could use.
pub const AHEAD: Duration = Duration::from_millis(5);

/// The shortest cooling after a refusal.
const MIN_COOLING: Duration = Duration::from_secs(1);

/// The most pages of a domain that are checked against robots.txt in one search: other domains wait meanwhile.
const MAX_RULINGS: usize = 1_000;

/// The result of searching for a request to a domain.
enum Search {
    Found(Leased),
    /// Nothing can be requested now.
    Nothing,
    /// There may be something further back in the queue.
    Unfinished,
}

/// Which requests of a domain are granted: its pages and the robots files for them, or the files that items wait for.
enum PagesOrFiles<'i> {
    Pages {
        intake: &'i mut Intake,
        /// How many pages have ended and wait for the store.
        deferred: usize,
    },
    Files,
}

/// Why no more requests of a domain are granted now.
enum Stopped {
    /// It has nothing to request.
    Empty,
    /// It is to be looked at again at this instant.
    NotBefore(Instant),
    /// As many of its requests as may be are in flight.
    Full,
    /// It is given up, and what waits for it fails.
    GivenUp,
}

impl Granter {
    /// Creates the granter of a crawl.
    pub fn new(
        politeness: Arc<Politeness>,
        budget: Budget,
        rulings: Rulings,
        pool: Pool,
        returned: Arc<dyn Returned>,
    ) -> Self {
        let (outage, places, file_waits) = Default::default();
        Self { politeness, budget, rulings, pool, returned, outage, places, file_waits, unspent: None }
    }

    /// Changes the settings of politeness.
    pub fn set_politeness(&mut self, politeness: Arc<Politeness>) {
        self.rulings.set_politeness(politeness.clone());
        self.politeness = politeness;
    }

    /// Grants permits to every due domain while there is room. The `deferred` pages, which are fetched but wait for the
    /// frontier, take room too.
    pub fn grant(&mut self, turn: &mut Turn<'_>, intake: &mut Intake, deferred: usize) {
        while self.outage.allows(turn.now) && self.places.allow(turn.now) {
            let horizon = turn.now + AHEAD;
            if self.has_room_for_files(turn.accounts)
                && let Some(domain) = turn.frontier.files.pop_due(horizon)
            {
                self.grant_files_to(turn, &domain);
                continue;
            }
            if !self.has_room(turn.accounts, turn.failures, deferred) {
                break;
            }
            let Some(domain) = self.rulings.pop_due(horizon).or_else(|| turn.domains.pop_due(horizon)) else { break };
            self.grant_to(turn, intake, &domain, deferred);
        }
    }

    /// Sends the grants to the fetchers.
    pub fn flush(&mut self, accounts: &mut Accounts) {
        let fetchers = self.pool.flush();
        if fetchers > 0 {
            accounts.note(&Event::FetchersReplaced { fetchers });
        }
    }

    /// Sends the fetchers the failures of which their spider is to be notified.
    pub fn assign_failures(&mut self, failures: &mut Failures) {
        while let Some((leased, outcome)) = failures.next() {
            self.pool.assign_failure(Lease::new(leased, self.returned.clone()), outcome);
        }
    }

    /// Returns when to retry grants that did not fit into a fetcher's mailbox.
    pub fn next_flush(&self, now: Instant) -> Option<Instant> {
        self.pool.has_unsent().then_some(now + AHEAD)
    }

    /// Returns when the next domain is due; `None` if only an event can bring work.
    pub fn next_grant(
        &mut self,
        files: &mut FileQueue,
        domains: &mut Domains,
        accounts: &Accounts,
        failures: &Failures,
        deferred: usize,
    ) -> Option<Instant> {
        let of_files = self.has_room_for_files(accounts).then(|| files.next_due()).flatten();
        let has_room = self.has_room(accounts, failures, deferred);
        let of_pages = has_room.then(|| self.rulings.next_due().into_iter().chain(domains.next_due()).min()).flatten();
        let due = of_files.into_iter().chain(of_pages).min();
        let due = due.map(|due| due.checked_sub(AHEAD / 2).unwrap_or(due));
        due.and_then(|due| self.outage.not_before(self.places.not_before(due)))
    }

    /// Records whether a request met a fault of this machine. If so, the others are held back, and one probe at a time
    /// tests whether the fault is over.
    pub fn note_local_faults(&mut self, accounts: &mut Accounts, leased: &Leased, outcome: &Outcome, now: Instant) {
        self.outage.note(accounts, leased, outcome, now);
    }

    /// Takes note that a permit of `domain` has ended.
    pub fn note_released(&mut self, domain: &Domain, now: Instant) {
        self.outage.released(domain, now);
    }

    /// Returns what is wrong with this machine, while that holds requests back.
    pub fn outage(&self, now: Instant) -> Option<Outage> {
        self.outage.outage(now)
    }

    /// Schedules a domain at `at` for all that it has: files, pages, robots files.
    pub fn wake(&mut self, files: &mut FileQueue, domains: &mut Domains, domain: &Domain, at: Instant) {
        self.rulings.wake(files, domains, domain, at);
    }

    /// Returns how many requests the fetchers have.
    pub fn busy(&self) -> usize {
        self.pool.busy()
    }

    /// Returns how many requests are in flight, if that is as many as may be. The `deferred` ones count.
    pub fn full(&self, deferred: usize) -> Option<u64> {
        let in_flight = self.pages_in_flight() + deferred;
        (in_flight >= self.politeness.concurrency.get() as usize).then_some(in_flight as u64)
    }

    /// Tells whether as many pages are in flight as may be, or the log does not keep up.
    pub fn is_full(&self, accounts: &Accounts) -> bool {
        self.pages_in_flight() >= self.politeness.concurrency.get() as usize || accounts.is_behind()
    }

    /// Checks the global bounds: pages from grant to settlement, so that a slow pipeline means fewer permits, and pages
    /// in total. Domains stay in the heap until there is room.
    fn has_room(&self, accounts: &Accounts, failures: &Failures, deferred: usize) -> bool {
        self.pages_in_flight() + deferred < self.politeness.concurrency.get() as usize
            && self.file_waits.pending.waiting_pages() < self.file_waits.max_pages
            && self.budget.of_all() == Spending::Open
            && !accounts.is_behind()
            && !failures.are_too_many()
    }

    fn grant_to(&mut self, turn: &mut Turn<'_>, intake: &mut Intake, domain: &Domain, deferred: usize) {
        if !turn.frontier.may_ask(domain) {
            // It is scheduled again if it comes back.
            return;
        }
        if turn.draining.has(domain) {
            // The domain is scheduled again when that ends.
            return;
        }
        match turn.domains.held.of(domain) {
            Some(Hold::Paused) => return turn.domains.held.wait(domain.clone()),
            Some(Hold::Cancelled) if self.cancel(turn, domain) => return,
            Some(Hold::Cancelled) | None => {}
        }
        // Looked up once: with a million domains each look-up reads memory that no cache holds.
        let tenancy = turn.domains.tenancy(domain);
        if self.ends_given_up(turn, domain, tenancy.as_deref()) {
            return;
        }
        match self.grant_while_ready(turn, domain, tenancy, &mut PagesOrFiles::Pages { intake, deferred }) {
            Stopped::Empty => self.rest(turn, domain),
            Stopped::NotBefore(at) => self.rulings.schedule(turn.domains, domain, at),
            // The domain is scheduled again when a request of it ends.
            Stopped::Full | Stopped::GivenUp => {}
        }
    }

    /// Grants permits to a domain, for its pages or its files, until something stops that.
    fn grant_while_ready(
        &mut self,
        turn: &mut Turn<'_>,
        domain: &Domain,
        mut tenancy: Option<Arc<Tenancy>>,
        kind: &mut PagesOrFiles<'_>,
    ) -> Stopped {
        let now = turn.now;
        let mut found_nothing = false;
        loop {
            let ready_at = match kind {
                PagesOrFiles::Pages { .. } => self.ready_at(turn, domain),
                PagesOrFiles::Files => self.files_ready_at(turn, domain),
            };
            let Some(ready_at) = ready_at else { return Stopped::Empty };
            // Not ready yet: schedule a later turn, or the caller would pop the domain again at once. The frontier
            // lends nothing before it is ready, even within the time ahead.
            if ready_at > now {
                return Stopped::NotBefore(ready_at.max(now + 2 * AHEAD));
            }
            let has_room = match kind {
                PagesOrFiles::Pages { deferred, .. } => self.has_room(turn.accounts, turn.failures, *deferred),
                PagesOrFiles::Files => self.has_room_for_files(turn.accounts),
            };
            if !has_room || !self.outage.allows(now) {
                return Stopped::NotBefore(now);
            }
            let tenancy = tenancy.get_or_insert_with(|| turn.domains.live(domain, now).tenancy.clone());
            // Taken before the permit: while there is no place, another tenant of the domain can get the permit. An
            // unused place is freed at once.
            let Ok(place) = self.places.take(now) else { return Stopped::NotBefore(now) };
            match tenancy.grant(now, now + AHEAD) {
                Err(Refusal::NotBefore(at) | Refusal::OtherTenant(at) | Refusal::Lapsed(at)) => {
                    if at > now + MIN_COOLING {
                        // Another tenant may have recorded a refusal.
                        turn.domains.note_cooling(domain, now);
                        let is_given_up = match kind {
                            PagesOrFiles::Pages { .. } => self.ends_given_up(turn, domain, Some(tenancy)),
                            PagesOrFiles::Files => Self::fail_files_of_given_up(turn, domain, Some(tenancy)),
                        };
                        if is_given_up {
                            return Stopped::GivenUp;
                        }
                    }
                    return Stopped::NotBefore(at);
                }
                Err(Refusal::Full) => return Stopped::Full,
                Ok(permit) => {
                    // If nothing is found, the permit is returned, and the loop looks again when the domain is ready.
                    // The search also takes requests that become ready before the horizon; otherwise the loop would
                    // come back for them without end.
                    let search = match kind {
                        PagesOrFiles::Pages { intake, .. } => self.search(turn, intake, domain, now + AHEAD),
                        PagesOrFiles::Files => self.search_files(turn, domain, now + AHEAD),
                    };
                    match search {
                        Search::Found(leased) => {
                            let is_last = permit.is_last();
                            self.assign(turn, permit.with_place(place), leased);
                            // A store has to be asked what comes next all the same, since it reads ahead then.
                            if is_last
                                && matches!(kind, PagesOrFiles::Pages { .. })
                                && turn.frontier.durable().is_none()
                            {
                                return Stopped::Full;
                            }
                        }
                        // Only once: a faulty frontier may report a ready request and lease none, time and again.
                        Search::Nothing if !found_nothing => found_nothing = true,
                        Search::Nothing | Search::Unfinished => return Stopped::NotBefore(now + 2 * AHEAD),
                    }
                }
            }
        }
    }

    fn assign(&mut self, turn: &mut Turn<'_>, permit: Permit, mut leased: Leased) {
        if leased.request.domain.is_none() {
            // A robots file, or a request from a user's frontier, which may not set the domain.
            let domain = self.politeness.domain_key.domain(&leased.request.url);
            Arc::make_mut(&mut leased.request).domain = Some(domain);
        }
        self.outage.granted(&leased);
        let Leased { request, attempt, .. } = &leased;
        turn.accounts.note(&Event::Granted { domain: permit.domain(), request, attempt: *attempt });
        self.pool.assign(permit, Lease::new(leased, self.returned.clone()));
    }

    /// Returns when the domain has something to request.
    fn ready_at(&mut self, turn: &mut Turn<'_>, domain: &Domain) -> Option<Instant> {
        if turn.domains.has_robots(domain) {
            return Some(turn.now);
        }
        if self.budget.of(domain) != Spending::Open {
            return None;
        }
        if let Some(until) = turn.resting.all_until(turn.now) {
            // All sessions rest until then: a granted request would only come back unsent.
            let waits = self.rulings.has_allowed(domain) || turn.frontier.ready_at(domain, turn.now).is_some();
            return waits.then_some(until);
        }
        if self.rulings.has_allowed(domain) {
            return Some(turn.now);
        }
        if self.rulings.is_full(domain) {
            return None;
        }
        turn.frontier.ready_at(domain, turn.now)
    }

    /// Chooses the next request to a domain: robots files first, then pages that they allow.
    fn search(&mut self, turn: &mut Turn<'_>, intake: &mut Intake, domain: &Domain, horizon: Instant) -> Search {
        if let Some(robots_file) = self.rulings.pop_file(turn.domains, domain) {
            return Search::Found(robots_file);
        }
        while let Some(leased) = self.rulings.pop_allowed(domain) {
            if let Some(leased) = unless_resting(turn, leased) {
                self.budget.lent(domain);
                return Search::Found(leased);
            }
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
            let Some(leased) = unless_resting(turn, leased) else { continue };
            match self.rulings.check(turn, domain, leased, horizon) {
                RobotsCheck::Allowed(leased) => {
                    self.budget.lent(domain);
                    return Search::Found(leased);
                }
                RobotsCheck::Request(robots_file) => return Search::Found(robots_file),
                RobotsCheck::Full => return Search::Nothing,
                RobotsCheck::Aside if turn.failures.are_many() => return Search::Unfinished,
                RobotsCheck::Aside => {}
            }
        }
        Search::Unfinished
    }
}

/// Postpones a request whose session rests until the rest has ended; returns any other request.
fn unless_resting(turn: &mut Turn<'_>, leased: Leased) -> Option<Leased> {
    match turn.resting.until(&leased.request, turn.now) {
        Some(until) => {
            turn.frontier.give_back(leased.id, Some(until), false);
            None
        }
        None => Some(leased),
    }
}
