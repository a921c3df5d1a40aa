//! Intake: handles what enters the crawl. Admits seeds and links; settles ended pages or schedules a retry; applies
//! refusals to the domain. Knows no permits.

mod again;
mod ended;

use url::Url;

use super::{domain_holds::Hold, refused_requests::RefusedRequests, turn::Turn};
use crate::{
    domain::Domain,
    error::Result,
    events::event::Event,
    explain::End,
    frontier::{
        Frontier, Leased,
        admission::{Admission, Admitted, KnownOfDropped},
        candidate::Candidate,
        known_depth::KnownDepth,
    },
    identity::Fingerprint,
    outcome::DropReason,
    recrawl::page_visit::PageVisit,
    request::{Kind, Request},
    retry::Retry,
    scope::Scope,
    submissions::{SubmissionEnd, seeded::Seeded},
};

/// Handles seeds, links and ended pages.
pub struct Intake {
    admission: Admission,
    retry: Retry,
    refused: RefusedRequests,
}

impl Intake {
    /// Creates the intake of a crawl.
    pub fn new(admission: Admission, retry: Retry) -> Self {
        Self { admission, retry, refused: RefusedRequests::default() }
    }

    /// Adds the host of a seed to the scope. Tells whether it is new.
    pub fn include(&mut self, seed: &Url) -> bool {
        self.admission.include(seed)
    }

    /// Makes a candidate of a request that came from no page.
    pub fn candidate(&self, request: Request) -> Candidate {
        self.admission.candidate(request)
    }

    /// Returns the domain of a request.
    pub fn domain(&self, leased: &Leased) -> Domain {
        // A user's own frontier may not keep the domain.
        leased.request.domain.clone().unwrap_or_else(|| self.admission.domain(&leased.request.url))
    }

    /// Passes candidates through admission.
    pub fn admit(&mut self, turn: &mut Turn<'_>, candidates: Vec<Candidate>) {
        for candidate in candidates {
            self.admit_one(turn, candidate, false);
        }
        self.admit_nearer(turn);
    }

    /// Passes seeds through admission. Returns what became of each.
    pub fn admit_seeds(&mut self, turn: &mut Turn<'_>, seeds: Vec<Candidate>) -> Vec<Seeded> {
        let seeded = seeds.into_iter().map(|seed| self.admit_one(turn, seed, true)).collect();
        self.admit_nearer(turn);
        seeded
    }

    fn admit_nearer(&mut self, turn: &mut Turn<'_>) {
        // URLs found at a smaller depth may bring in links that were too deep before.
        while let Some(candidate) = self.admission.take_nearer() {
            self.admit_one(turn, candidate, false);
        }
        if let Some(store) = turn.frontier.durable() {
            for (fingerprint, known) in self.admission.take_depth_changes() {
                store.remember_depth(fingerprint, known);
            }
        }
    }

    /// Restores the visits that an earlier process stored. Only for a crawl that stores its own.
    pub fn resume_visits(&mut self, known: Vec<(Fingerprint, PageVisit)>) {
        self.admission.resume_visits(known);
    }

    /// Restores the waiting seeds of an earlier process: this one does not queue them again.
    pub fn resume_waiting_seeds(&mut self, seeds: &[Request]) {
        self.admission.resume_waiting_seeds(seeds);
    }

    /// Restores the depths that an earlier process stored. Only for a crawl that stores its own.
    pub fn resume_depths(&mut self, known: Vec<(Fingerprint, KnownDepth)>, is_shared: bool) {
        self.admission.resume_depths(known, is_shared);
    }

    /// Learns the depths that other processes have stored, and admits what is no longer too deep.
    pub fn learn_depths(&mut self, turn: &mut Turn<'_>, known: Vec<(Fingerprint, KnownDepth)>) {
        self.admission.learn_depths(known);
        self.admit_nearer(turn);
    }

    /// Queues a file. The spider has asked for it, so no rule for links applies; its robots file does.
    fn admit_file(&mut self, turn: &mut Turn<'_>, mut request: Request) -> Seeded {
        let domain = self.admission.domain(&request.url);
        if !turn.frontier.holds(&domain) {
            turn.end_submission(&request, || SubmissionEnd::Elsewhere);
            return Seeded::Queued;
        }
        request.domain = Some(domain.clone());
        let read = turn.accounts.is_read().then(|| request.clone());
        turn.accounts.note(&Event::Queued { domain: &domain, request: read.as_ref(), undone: None });
        turn.frontier.files.push(&domain, request);
        turn.frontier.files.schedule(&domain, turn.now);
        Seeded::Queued
    }

    /// Passes a candidate through admission. Whoever seeds or submits one hears how it failed before; of a link nobody
    /// asks.
    fn admit_one(&mut self, turn: &mut Turn<'_>, candidate: Candidate, is_seed: bool) -> Seeded {
        if candidate.request().kind() == Kind::File {
            return self.admit_file(turn, candidate.into_request());
        }
        // The frontier takes the request; it is copied only for the crawl log and those who watch.
        let request = turn.accounts.is_read().then(|| candidate.request().clone());
        let arriving = turn.accounts.ends.arriving(candidate.request());
        let submission = candidate.request().submission();
        turn.resting.queued(candidate.request());
        let admitted = self.admission.admit(&mut *turn.frontier, candidate, turn.now);
        let failed = match (&admitted, &arriving) {
            (Admitted::AlreadySeen, Some(page)) if is_seed || submission.is_some() => {
                turn.accounts.ends.failure_of(page)
            }
            _ => None,
        };
        if let (Some(id), Some(end)) = (submission, end_of_submission(&admitted, failed.as_ref())) {
            turn.submissions.ended(id, end);
        }
        match admitted {
            Admitted::AlreadySeen => failed.map_or(Seeded::AlreadySeen, Seeded::FailedBefore),
            Admitted::DroppedBefore(reason) => Seeded::Dropped(reason),
            // The node that owns the domain counts what was sent there.
            Admitted::Sent => Seeded::Queued,
            Admitted::Queued { domain, again } => {
                if let Some(id) = submission {
                    turn.submissions.queued(id, &domain);
                }
                turn.accounts.note(&Event::Queued { domain: &domain, request: request.as_ref(), undone: again });
                turn.domains.schedule(&domain, turn.now);
                match turn.domains.held.of(&domain) {
                    // It is drained with the others of its domain.
                    Some(Hold::Cancelled) => Seeded::Dropped(DropReason::Cancelled),
                    Some(Hold::Paused) | None => Seeded::Queued,
                }
            }
            Admitted::Dropped(reason) => {
                if let Some(page) = arriving {
                    turn.accounts.ends.dropped(page, reason);
                }
                let what = request.as_ref().map(|request| (self.admission.domain(&request.url), request));
                let what = what.as_ref().map(|(domain, request)| (domain, *request));
                turn.accounts.note(&Event::Dropped { what, reason, was_queued: false });
                Seeded::Dropped(reason)
            }
        }
    }

    /// Returns the domain of a URL.
    pub fn domain_of(&self, url: &Url) -> Domain {
        self.admission.domain(url)
    }

    /// Returns what admission knows of a page that is not in the frontier.
    pub fn known_of(&mut self, page: &Candidate) -> KnownOfDropped {
        self.admission.known_of(page)
    }

    /// Changes the scope, and admits what is no longer too deep.
    ///
    /// # Errors
    /// As [`Admission::set_scope`].
    pub fn set_scope(&mut self, turn: &mut Turn<'_>, scope: Scope) -> Result<()> {
        self.admission.set_scope(scope)?;
        self.admit_nearer(turn);
        Ok(())
    }

    /// Returns the scope in force.
    pub fn scope(&self) -> &Scope {
        self.admission.scope()
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
}

/// Returns how a submission ends that is not queued.
fn end_of_submission(admitted: &Admitted, failed: Option<&End>) -> Option<SubmissionEnd> {
    match admitted {
        Admitted::Queued { .. } => None,
        Admitted::AlreadySeen => {
            Some(failed.map_or(SubmissionEnd::AlreadySeen, |end| SubmissionEnd::FailedBefore(end.clone())))
        }
        Admitted::DroppedBefore(reason) | Admitted::Dropped(reason) => Some(SubmissionEnd::Dropped(*reason)),
        Admitted::Sent => Some(SubmissionEnd::Elsewhere),
    }
}
