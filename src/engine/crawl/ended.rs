//! Ended: what follows the end of a request. It was visited, or lost with its fetcher, or it brought no page; then the
//! spider is notified first.

use std::time::{Instant, SystemTime};

use super::Crawl;
use crate::{
    engine::{durability::Deferred, turn::Turn},
    fetcher::{
        readers::Reading,
        visit::{Notified, Visit},
    },
    frontier::{Frontier, Leased, candidate::Candidate},
    outcome::Outcome,
    request::Kind,
    stats::count::Count,
};

impl Crawl {
    /// Handles an ended request; a page as soon as the frontier knows which of its links are new.
    pub fn ended(&mut self, visit: Visit, now: Instant, time: SystemTime) {
        self.granter.note_local_faults(&mut self.accounts, &visit.leased, &visit.outcome, now);
        if visit.leased.request.kind() == Kind::RobotsTxt {
            self.break_off_with(&visit.outcome);
            let domain = self.granter.rulings.file_ended(&mut turn!(self, now), &self.granter.budget, visit, time);
            self.durability.remember(&domain);
            return self.request_sitemaps(now);
        }
        self.page_arrived(visit, now, time);
    }

    /// Handles a failure of which the spider was notified.
    pub fn notified(&mut self, Notified { leased, reading }: Notified, now: Instant, time: SystemTime) {
        if let Some(visit) = self.failures.take(leased.id) {
            self.page_arrived(visit.with_notice(reading), now, time);
        }
    }

    fn page_arrived(&mut self, mut visit: Visit, now: Instant, time: SystemTime) {
        self.note_page_end(now);
        self.break_off_with(&visit.outcome);
        if self.durability.failure().is_some() {
            return self.leave_unsettled(&visit);
        }
        if visit.cooled.is_some() || visit.outcome.is_without_page() {
            let domain = self.intake.domain(&visit.leased);
            let mut turn = turn!(self, now);
            if let Some(cooled) = visit.cooled {
                turn.note_cooled(&domain, cooled);
            }
            if self.intake.is_to_be_notified(&turn, &domain, &visit) {
                // The visit returns here once the spider is notified; its cooling is recorded only now.
                visit.cooled = None;
                return self.failures.add(visit);
            }
        }
        match self.frontier.look_up(&mut visit.found().iter().map(Candidate::fingerprint)) {
            None => self.page_ended(visit, now, time),
            Some(ticket) => self.durability.defer(ticket, Deferred::Page(Box::new(visit), time)),
        }
    }

    /// Ends the crawl if an output is gone: a pipeline's, or the archive, to which robots files are written too.
    fn break_off_with(&mut self, outcome: &Outcome) {
        if let Outcome::Broken(why) = outcome {
            self.output_is_gone = true;
            self.break_off(why.clone());
        }
    }

    pub(super) fn page_ended(&mut self, mut visit: Visit, now: Instant, time: SystemTime) {
        let stop = visit.stop.take();
        if let Some(wait) = visit.session_rest.filter(|wait| !wait.is_zero()) {
            self.resting.note(&visit.leased.request, now + wait);
        }
        self.granter.rulings.sitemaps.ended(&visit.leased.request, &visit.counts);
        let mut turn = turn!(self, now);
        let domain = if visit.is_without_request {
            self.intake.notified_without_request(&mut turn, visit)
        } else {
            self.intake.page_ended(&mut turn, &mut self.granter.budget, visit, time)
        };
        self.granter.wake(&mut self.frontier.files, &mut self.domains, &domain, now);
        self.durability.remember(&domain);
        self.request_sitemaps(now);
        if let Some(why) = stop {
            self.stop(format!("the spider says: {why}"));
        }
    }

    /// Handles a lease that was dropped unsettled because its fetcher panicked or died.
    pub fn lease_dropped(&mut self, leased: Leased, now: Instant, time: SystemTime) {
        if leased.request.kind() == Kind::Page
            && let Some(visit) = self.failures.take(leased.id)
        {
            let lost = Reading { counts: vec![Count::NOT_HEARD], ..visit.outcome.clone().into() };
            return self.page_arrived(visit.with_notice(lost), now, time);
        }
        self.granter.note_local_faults(&mut self.accounts, &leased, &Outcome::Unsent, now);
        let mut turn = turn!(self, now);
        if leased.request.kind() == Kind::RobotsTxt {
            self.granter.rulings.file_lost(&mut turn, &self.granter.budget, leased, time);
            return self.request_sitemaps(now);
        }
        let domain = self.intake.page_lost(&mut turn, &mut self.granter.budget, leased);
        // For the page itself, or for another page of the domain that may now use its share of the budget.
        self.granter.wake(&mut self.frontier.files, &mut self.domains, &domain, now);
    }

    pub(super) fn leave_unsettled(&mut self, visit: &Visit) {
        if !visit.is_without_request {
            let is_page = visit.leased.request.kind() == Kind::Page;
            if is_page && visit.outcome.is_of_a_request() {
                self.granter.budget.sent();
            }
            if visit.leased.request.kind() != Kind::File {
                self.granter.budget.ended(&self.intake.domain(&visit.leased), false);
            }
        }
        self.frontier.give_back(visit.leased.id, None, false);
    }
}
