//! Intake: what comes in. Seeds and links pass the admission; a page that has ended is settled, or waits for another
//! attempt, and its domain is judged by the answer. Knows no permits.

use std::time::{Instant, SystemTime};

use url::Url;

use super::{budget::Budget, turn::Turn};
use crate::{
    domain::Domain,
    event::{Event, Fate, RequestEnded},
    fetcher::{http::is_idempotent, readers::Content, visit::Visit},
    frontier::{
        Leased,
        admission::{Admission, Admitted},
        candidate::Candidate,
    },
    outcome::{DropReason, Outcome},
    retry::Retry,
};

/// Takes in seeds, links and pages.
pub struct Intake {
    admission: Admission,
    retry: Retry,
}

/// When a request is to be made again.
struct Again {
    not_before: Option<Instant>,
    attempted: bool,
}

impl Intake {
    /// Creates the intake of a crawl.
    pub fn new(admission: Admission, retry: Retry) -> Self {
        Self { admission, retry }
    }

    /// Takes the host of a seed into the scope.
    pub fn include(&mut self, seed: &Url) {
        self.admission.include(seed);
    }

    /// Returns the domain of a request.
    pub fn domain(&self, leased: &Leased) -> Domain {
        self.admission.domain(&leased.request.url)
    }

    /// Brings candidates to the admission.
    pub fn admit(&mut self, turn: &mut Turn<'_>, candidates: Vec<Candidate>) {
        for candidate in candidates {
            self.admit_one(turn, candidate);
        }
        // Pages that have come nearer bring what was too deep below them.
        while let Some(candidate) = self.admission.take_nearer() {
            self.admit_one(turn, candidate);
        }
    }

    fn admit_one(&mut self, turn: &mut Turn<'_>, candidate: Candidate) {
        // The frontier takes the request. It is copied only where somebody reads what was dropped.
        let request = turn.accounts.is_read().then(|| candidate.request().clone());
        match self.admission.admit(&mut *turn.frontier, candidate, turn.now) {
            // Whoever answers for the domain counts what was sent there.
            Admitted::AlreadySeen | Admitted::Sent => {}
            Admitted::Queued { domain, again } => {
                turn.accounts.note(&Event::Queued { domain: &domain, undone: again });
                turn.domains.schedule(&domain, turn.now);
            }
            Admitted::Dropped(reason) => {
                let what = request.as_ref().map(|request| (self.admission.domain(&request.url), request));
                let what = what.as_ref().map(|(domain, request)| (domain, *request));
                turn.accounts.note(&Event::Dropped { what, reason, was_queued: false });
            }
        }
    }

    /// Takes up a crawl of an earlier process: its scope may have changed since.
    pub fn resume(&mut self) {
        self.admission.resume();
    }

    /// Judges a request that waited by the scope that holds now.
    ///
    /// # Errors
    /// It is to be dropped, for this reason.
    pub fn review(&mut self, leased: &mut Leased) -> Result<(), DropReason> {
        self.admission.review(leased)
    }

    /// Takes in how the request for a page ended. Returns its domain.
    pub fn page_ended(&mut self, turn: &mut Turn<'_>, budget: &mut Budget, visit: Visit, time: SystemTime) -> Domain {
        let Visit { leased, outcome, content, receipt, heeded, counts, .. } = visit;
        let domain = self.domain(&leased);
        let (found, items) = match content {
            Content::Page { found, items } => (found, items),
            Content::Nothing | Content::RobotsTxt(_) => (Vec::new(), 0),
        };
        let started = receipt.started;
        if !matches!(outcome, Outcome::Unsent) {
            budget.sent();
        }
        if let Some(heeded) = heeded {
            turn.heed(&domain, heeded);
        }
        let fate = if let Some(again) = self.again(turn, &domain, &leased, &outcome, started) {
            budget.ended(&domain, false);
            turn.frontier.give_back(leased.id, again.not_before, again.attempted);
            Fate::Again { attempted: again.attempted }
        } else {
            budget.ended(&domain, matches!(outcome, Outcome::Ok));
            if turn.frontier.settle(leased.id) { Fate::Final } else { Fate::Stale }
        };
        turn.accounts.note(&Event::RequestEnded(RequestEnded {
            domain: &domain,
            request: &leased.request,
            attempt: leased.attempt,
            outcome: &outcome,
            receipt: &receipt,
            items,
            counts: &counts,
            fate,
            time,
        }));
        if fate == Fate::Final {
            self.settled(turn, &domain, &leased, &outcome, found);
        }
        domain
    }

    /// Decides whether a request waits for another attempt.
    fn again(
        &self,
        turn: &Turn<'_>,
        domain: &Domain,
        leased: &Leased,
        outcome: &Outcome,
        started: Option<Instant>,
    ) -> Option<Again> {
        match outcome {
            Outcome::Unsent => Some(Again { not_before: None, attempted: false }),
            // It fails with all that waits there.
            _ if turn.has_given_up(domain) => None,
            Outcome::Refused { .. } => Some(Again { not_before: turn.cools_until(domain), attempted: false }),
            outcome => {
                let may_repeat = started.is_none() || is_idempotent(&leased.request.method);
                let wait = self.retry.wait(outcome, leased.attempt, may_repeat, fastrand::f64())?;
                Some(Again { not_before: Some(turn.now + wait), attempted: true })
            }
        }
    }

    /// Acts on the end of a page: its links come in, and one that failed is kept where the frontier can.
    fn settled(
        &mut self,
        turn: &mut Turn<'_>,
        domain: &Domain,
        leased: &Leased,
        outcome: &Outcome,
        mut found: Vec<Candidate>,
    ) {
        match outcome {
            Outcome::Ok => {}
            Outcome::Redirect { to, .. } => {
                if leased.request.depth == 0 {
                    self.admission.include(to);
                    if let Some(store) = turn.frontier.durable() {
                        store.include(to);
                    }
                }
            }
            outcome => {
                if let Some(store) = turn.frontier.durable() {
                    store.bury(domain, &leased.request, outcome.key(), &outcome.detail());
                }
            }
        }
        self.admission.settled(&leased.request, &mut found);
        self.admit(turn, found);
    }

    /// The request for a page was lost: its fetcher panicked or died. The attempt counts. Returns its domain.
    pub fn page_lost(&mut self, turn: &mut Turn<'_>, budget: &mut Budget, leased: &Leased) -> Domain {
        let domain = self.domain(leased);
        budget.sent();
        budget.ended(&domain, false);
        let request = &leased.request;
        let is_last = leased.attempt >= self.retry.attempts && turn.frontier.settle(leased.id);
        turn.accounts.note(&Event::FetcherLost { domain: &domain, request, is_last });
        if is_last {
            turn.fail(&domain, request, "panic", "the fetcher panicked over it");
        } else if leased.attempt < self.retry.attempts {
            turn.frontier.give_back(leased.id, None, true);
        }
        domain
    }
}
