//! Intake: handles what enters the crawl. Admits seeds and links; settles ended pages or schedules a retry; applies
//! refusals to the domain. Knows no permits.

use std::time::{Instant, SystemTime};

use url::Url;

use super::{budget::Budget, turn::Turn};
use crate::{
    domain::Domain,
    event::{Event, Fate, RequestEnded},
    extract::Skipped,
    fetcher::{http::is_idempotent, readers::Content, visit::Visit},
    frontier::{
        Leased,
        admission::{Admission, Admitted},
        candidate::Candidate,
        known_depth::KnownDepth,
    },
    identity::Fingerprint,
    outcome::{DropReason, Outcome},
    request::Request,
    retry::Retry,
};

/// Handles seeds, links and ended pages.
pub struct Intake {
    admission: Admission,
    retry: Retry,
}

/// When to retry a request.
struct Again {
    not_before: Option<Instant>,
    attempted: bool,
}

impl Intake {
    /// Creates the intake of a crawl.
    pub fn new(admission: Admission, retry: Retry) -> Self {
        Self { admission, retry }
    }

    /// Adds the host of a seed to the scope.
    pub fn include(&mut self, seed: &Url) {
        self.admission.include(seed);
    }

    /// Returns the domain of a request.
    pub fn domain(&self, leased: &Leased) -> Domain {
        self.admission.domain(&leased.request.url)
    }

    /// Passes candidates through admission.
    pub fn admit(&mut self, turn: &mut Turn<'_>, candidates: Vec<Candidate>) {
        for candidate in candidates {
            self.admit_one(turn, candidate);
        }
        // URLs found at a smaller depth may bring in links that were too deep before.
        while let Some(candidate) = self.admission.take_nearer() {
            self.admit_one(turn, candidate);
        }
        if let Some(store) = turn.frontier.durable() {
            for (fingerprint, known) in self.admission.take_depth_changes() {
                store.remember_depth(fingerprint, known);
            }
        }
    }

    /// Takes up the depths that an earlier process stored, in a crawl that stores its own.
    pub fn resume_depths(&mut self, known: Vec<(Fingerprint, KnownDepth)>) {
        self.admission.resume_depths(known);
    }

    fn admit_one(&mut self, turn: &mut Turn<'_>, candidate: Candidate) {
        // The frontier takes the request; it is copied only if a subscriber may need it when it is dropped.
        let request = turn.accounts.is_read().then(|| candidate.request().clone());
        match self.admission.admit(&mut *turn.frontier, candidate, turn.now) {
            // The node that owns the domain counts what was sent there.
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

    /// Continues the crawl of an earlier process, whose scope may have been different.
    pub fn resume(&mut self) {
        self.admission.resume();
    }

    /// Checks a queued request against the current scope.
    ///
    /// # Errors
    /// The request must be dropped, for this reason.
    pub fn review(&mut self, leased: &mut Leased) -> Result<(), DropReason> {
        self.admission.review(leased)
    }

    /// Handles the end of a request for a page. Returns its domain.
    pub fn page_ended(&mut self, turn: &mut Turn<'_>, budget: &mut Budget, visit: Visit, time: SystemTime) -> Domain {
        let Visit { leased, outcome, content, receipt, heeded, counts, .. } = visit;
        let domain = self.domain(&leased);
        let (found, items, skipped) = match content {
            Content::Page { found, items, skipped } => (found, items, skipped),
            Content::Nothing | Content::RobotsTxt(_) => (Vec::new(), 0, Skipped::default()),
        };
        let started = receipt.started;
        if !matches!(outcome, Outcome::Unsent | Outcome::Local(..)) {
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
        let is_redirect_to_seen = matches!(outcome, Outcome::Redirect { .. })
            && found.first().is_some_and(|target| self.admission.has_answered(&*turn.frontier, target, turn.now));
        turn.accounts.note(&Event::RequestEnded(RequestEnded {
            domain: &domain,
            request: &leased.request,
            attempt: leased.attempt,
            outcome: &outcome,
            receipt: &receipt,
            items,
            is_redirect_to_seen,
            counts: &counts,
            fate,
            time,
        }));
        if fate == Fate::Final {
            self.settled(turn, &domain, &leased, &outcome, found);
            Self::note_skipped(turn, &domain, &leased.request, skipped);
        }
        domain
    }

    /// Enters the links that a page has and that were not read: they count as dropped, once for each page.
    fn note_skipped(turn: &mut Turn<'_>, domain: &Domain, page: &Request, skipped: Skipped) {
        let reasons = [(DropReason::Length, skipped.too_long), (DropReason::LinksPerPage, skipped.over_limit)];
        for (reason, links) in reasons.into_iter().filter(|(_, links)| *links > 0) {
            turn.accounts.note(&Event::LinksDropped { domain, page, reason, links: links as u64 });
        }
    }

    /// Decides whether to retry a request.
    fn again(
        &self,
        turn: &Turn<'_>,
        domain: &Domain,
        leased: &Leased,
        outcome: &Outcome,
        started: Option<Instant>,
    ) -> Option<Again> {
        match outcome {
            Outcome::Unsent | Outcome::Local(..) => Some(Again { not_before: None, attempted: false }),
            // The request fails with all others of the domain.
            _ if turn.has_given_up(domain) => None,
            Outcome::Refused { .. } => Some(Again { not_before: turn.cools_until(domain), attempted: false }),
            outcome => {
                let may_repeat = started.is_none() || is_idempotent(&leased.request.method);
                let wait = self.retry.wait(outcome, leased.attempt, may_repeat, fastrand::f64())?;
                Some(Again { not_before: Some(turn.now + wait), attempted: true })
            }
        }
    }

    /// Handles a finished page: admits its links, and keeps a failed request if the frontier can.
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

    /// Handles the loss of a request for a page, whose fetcher panicked or died. The attempt counts. Returns its
    /// domain.
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
