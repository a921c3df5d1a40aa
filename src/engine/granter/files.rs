//! Files: grants permits for the files that items wait for. They have places of their own, and go before the pages of
//! their domain: so a page that waits for its files never waits for another page to end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Granter, MAX_RULINGS, PagesOrFiles, Search, Stopped};
use crate::{
    domain::Domain,
    engine::{accounts::Accounts, domain_holds::Hold, rulings::RobotsCheck, turn::Turn},
    file_store::pending_files::{ELSEWHERE, PendingFiles},
    frontier::Frontier,
    outcome::{DropReason, Outcome},
    permit::Tenancy,
};

/// The pages that wait for files, and how many may.
pub struct FileWaits {
    /// Counts them.
    pub pending: Arc<PendingFiles>,
    /// The most of them; beyond, no further page is requested.
    pub max_pages: usize,
    /// The longest that a file waits for its domain, which may ask for a day: pages of all domains would wait with it.
    pub max_wait: Duration,
}

impl Default for FileWaits {
    fn default() -> Self {
        Self { pending: Arc::default(), max_pages: usize::MAX, max_wait: Duration::MAX }
    }
}

impl Granter {
    /// Tells whether there is a place for a file. They have as many as pages have, and pages leave them these.
    pub(super) fn has_room_for_files(&self, accounts: &Accounts) -> bool {
        self.pool.busy_with_files() < self.politeness.concurrency.get() as usize && !accounts.is_behind()
    }

    /// Returns how many pages are in flight; those that wait for their files have places of their own.
    pub(super) fn pages_in_flight(&self) -> usize {
        self.pool.busy_with_pages().saturating_sub(self.file_waits.pending.waiting_pages())
    }

    /// Ends the files that wait for a cancelled domain.
    pub(super) fn cancel_files(turn: &mut Turn<'_>, domain: &Domain) {
        for request in turn.frontier.files.take(domain) {
            turn.drop_request(domain, &request, DropReason::Cancelled);
        }
    }

    /// Ends the files that wait for a domain which this process may not ask any more.
    pub fn files_lost(turn: &mut Turn<'_>, domain: &Domain) {
        turn.end_files(domain, &Outcome::WithoutRequest { key: "elsewhere", detail: ELSEWHERE.to_owned() });
    }

    /// Grants permits to the files of a domain that is due.
    pub(super) fn grant_files_to(&mut self, turn: &mut Turn<'_>, domain: &Domain) {
        let now = turn.now;
        if !turn.frontier.may_ask(domain) {
            return Self::files_lost(turn, domain);
        }
        match turn.domains.held.of(domain) {
            Some(Hold::Paused) => return turn.domains.held.wait(domain.clone()),
            Some(Hold::Cancelled) => Self::cancel_files(turn, domain),
            None => {}
        }
        let tenancy = turn.domains.tenancy(domain);
        if Self::fail_files_of_given_up(turn, domain, tenancy.as_deref())
            || self.fail_files_that_wait_too_long(turn, domain, tenancy.as_deref())
        {
            return turn.domains.schedule(domain, now);
        }
        match self.grant_while_ready(turn, domain, tenancy, &mut PagesOrFiles::Files) {
            // A domain without files goes back to the heap of pages, which also removes its state in time.
            Stopped::Empty | Stopped::GivenUp => turn.domains.schedule(domain, now),
            Stopped::NotBefore(at) => turn.frontier.files.schedule(domain, at),
            // It is woken when one of them ends.
            Stopped::Full => {}
        }
    }

    /// Lets the files of a given-up domain fail, as its pages do. Tells whether it is given up.
    pub(super) fn fail_files_of_given_up(turn: &mut Turn<'_>, domain: &Domain, tenancy: Option<&Tenancy>) -> bool {
        let Some(given_up) = tenancy.and_then(|tenancy| tenancy.given_up(turn.now)) else { return false };
        turn.fail_files(domain, given_up.why);
        true
    }

    /// Lets the files of a domain fail that has asked for too long a wait. Tells whether it has.
    fn fail_files_that_wait_too_long(&self, turn: &mut Turn<'_>, domain: &Domain, tenancy: Option<&Tenancy>) -> bool {
        let Some((until, _)) = tenancy.and_then(|tenancy| tenancy.cooling().state(turn.now)) else { return false };
        let (wait, max) = (until.saturating_duration_since(turn.now), self.file_waits.max_wait);
        if wait <= max {
            return false;
        }
        let wait = humantime::format_duration(Duration::from_secs(wait.as_secs()));
        let max = humantime::format_duration(max);
        let detail = format!("its domain asks for a wait of {wait}, and files.max_time allows {max}");
        turn.end_files(domain, &Outcome::WithoutRequest { key: "refused", detail });
        true
    }

    pub(super) fn files_ready_at(&self, turn: &Turn<'_>, domain: &Domain) -> Option<Instant> {
        if turn.domains.has_robots(domain) {
            return Some(turn.now);
        }
        if self.rulings.is_full(domain) {
            return None;
        }
        turn.frontier.files.ready_at(domain, turn.now)
    }

    pub(super) fn search_files(&mut self, turn: &mut Turn<'_>, domain: &Domain, horizon: Instant) -> Search {
        if let Some(robots_file) = self.rulings.pop_file(turn.domains, domain) {
            return Search::Found(robots_file);
        }
        for _ in 0..MAX_RULINGS {
            let Some((leased, is_allowed)) = turn.frontier.files.lease(domain, horizon) else { return Search::Nothing };
            if is_allowed {
                return Search::Found(leased);
            }
            match self.rulings.check(turn, domain, leased, horizon) {
                RobotsCheck::Allowed(request) | RobotsCheck::Request(request) => return Search::Found(request),
                RobotsCheck::Full => return Search::Nothing,
                RobotsCheck::Aside => {}
            }
        }
        Search::Unfinished
    }
}
