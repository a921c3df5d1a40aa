//! Withdrawn: what becomes of requests that are not granted after all: their domain is cancelled, given up, or given to
//! another machine; a budget is used up; or nothing waits any more.

use super::Granter;
use crate::{
    conduct::GivenUp,
    domain::Domain,
    engine::{
        budget::Spending,
        draining::{DrainAs, MAX_STEP},
        turn::Turn,
    },
    frontier::Frontier,
    outcome::DropReason,
    permit::Tenancy,
};

impl Granter {
    /// Starts dropping what waits for a cancelled domain. Returns whether anything waits. Its robots file may still be
    /// requested, since pages of other domains may wait for it.
    pub fn cancel(&mut self, turn: &mut Turn<'_>, domain: &Domain) -> bool {
        self.rulings.give_back(turn.frontier, domain);
        Self::cancel_files(turn, domain);
        let waits = turn.frontier.has_waiting(domain);
        if waits {
            turn.draining.begin(domain, DrainAs::Dropped(DropReason::Cancelled));
        }
        waits
    }

    /// Gives back what was set aside of a domain that is to belong to another process. Files that wait for it end: the
    /// pages that wait for these would hold it up.
    pub fn set_free(&mut self, turn: &mut Turn<'_>, domain: &Domain) {
        self.rulings.give_back(turn.frontier, domain);
        Self::files_lost(turn, domain);
    }

    /// Forgets a domain that belongs to another process now.
    pub fn domain_lost(&mut self, turn: &mut Turn<'_>, domain: &Domain) {
        self.set_free(turn, domain);
        self.rulings.files_elsewhere(turn, &self.budget, domain);
        self.budget.domain_lost(domain);
    }

    /// If the domain was given up, by this crawl or by another tenant, starts failing everything that waits for it,
    /// including robots files and pages that wait for one. Returns whether anything waited.
    pub(super) fn ends_given_up(&mut self, turn: &mut Turn<'_>, domain: &Domain, tenancy: Option<&Tenancy>) -> bool {
        let Some(GivenUp { why, .. }) = tenancy.and_then(|tenancy| tenancy.given_up(turn.now)) else { return false };
        self.rulings.give_back(turn.frontier, domain);
        self.rulings.fail_files(turn, &self.budget, domain, why);
        let waits = turn.frontier.has_waiting(domain) || turn.frontier.files.has(domain);
        if waits {
            turn.give_up(domain, why);
        }
        waits
    }

    /// Handles a domain with nothing to request: drops what its budget no longer allows, and keeps its state while that
    /// still matters.
    pub(super) fn rest(&mut self, turn: &mut Turn<'_>, domain: &Domain) {
        let now = turn.now;
        if self.budget.of(domain) == Spending::Used {
            self.rulings.give_allowed_back(turn.frontier, domain);
            if turn.frontier.durable().is_none() && turn.frontier.has_waiting(domain) {
                return turn.draining.begin(domain, DrainAs::Dropped(self.budget_reason()));
            }
        }
        if self.rulings.keeps(domain) || turn.frontier.files.has(domain) {
            // Keep the state: the spacing that a robots file asks for counts from the request for that file, and its
            // answer schedules the domain again; or a page in flight may leave room in the budget for pages that wait
            // here.
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

    /// Returns the limit that is used up.
    fn budget_reason(&self) -> DropReason {
        if self.budget.of_requests() == Spending::Used { DropReason::Requests } else { DropReason::Budget }
    }

    /// Handles what waits after the crawl has reached its limit: a durable frontier keeps it for another run; otherwise
    /// it is dropped.
    pub fn end_what_is_beyond_budget(&mut self, turn: &mut Turn<'_>) {
        if self.budget.of_all() != Spending::Used {
            return;
        }
        // No robots file is requested for pages any more, so those that wait for one would wait for ever.
        self.rulings.give_pages_back(turn.frontier);
        if !turn.draining.fills_a_step() && turn.frontier.queued() > 0 && turn.frontier.durable().is_none() {
            // One more than a step handles, so that another follows, and a million domains need not be copied at once.
            let waiting: Vec<_> = turn.frontier.domains().take(MAX_STEP + 1).cloned().collect();
            for domain in &waiting {
                turn.draining.begin(domain, DrainAs::Dropped(self.budget_reason()));
            }
        }
    }

    /// Tells whether the budget allows nothing of what waits, and the frontier is durable and keeps it.
    pub fn keeps_the_rest(&mut self, frontier: &dyn Frontier) -> bool {
        if !self.budget.is_limited() {
            return false;
        }
        if self.budget.of_all() == Spending::Used {
            return true;
        }
        // Called every turn: remember one domain with budget left, and search for another only when that one has none.
        let has_more = |domain: &&Domain| self.budget.of(domain) != Spending::Used;
        let known = self.unspent.as_ref().filter(|domain| frontier.has_waiting(domain)).filter(has_more);
        if known.is_none() {
            self.unspent = frontier.domains().find(has_more).cloned();
        }
        self.unspent.is_none()
    }
}
