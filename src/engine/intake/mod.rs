//! Intake: handles what enters the crawl. Admits seeds and links; settles ended pages or schedules a retry; applies
//! refusals to the domain. Knows no permits.

mod again;

use std::time::{SystemTime, UNIX_EPOCH};

use url::Url;

use self::again::Again;
use super::{budget::Budget, domain_holds::Hold, refused_requests::RefusedRequests, turn::Turn};
use crate::{
    domain::Domain,
    error::Result,
    events::event::{Event, Fate, RequestEnded},
    explain::End,
    extract::Skipped,
    fetcher::{readers::Extracted, visit::Visit},
    frontier::{
        Frontier, Leased,
        admission::{Admission, Admitted, KnownOfDropped},
        candidate::Candidate,
        known_depth::KnownDepth,
    },
    identity::Fingerprint,
    outcome::{DropReason, Outcome},
    recrawl::page_visit::{PageVersion, PageVisit},
    request::{Kind, Request},
    retry::Retry,
    scope::Scope,
    stats::count::Count,
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

    /// Handles the end of a request for a page. Returns its domain.
    pub fn page_ended(&mut self, turn: &mut Turn<'_>, budget: &mut Budget, visit: Visit, time: SystemTime) -> Domain {
        let Visit { leased, outcome, content, receipt, cooled, mut counts, session_rest, is_notified, .. } = visit;
        let domain = self.domain(&leased);
        let (found, items, content) = match content {
            Extracted::Page { found, items, skipped, version } => {
                (found, items, Extracted::Page { found: Vec::new(), items, skipped, version })
            }
            other => (Vec::new(), 0, other),
        };
        let is_page = leased.request.kind() == Kind::Page;
        let is_lent = leased.request.kind() != Kind::File;
        if is_page && outcome.is_of_a_request() {
            budget.sent();
        }
        let again = match session_rest {
            Some(wait) => Some(Again { not_before: Some(turn.now + wait), attempted: false }),
            None if is_notified => None,
            None => self.again(turn, &domain, &leased, &outcome, (receipt.started, cooled)),
        };
        self.count_refusal(&domain, &leased.request, again.is_some(), cooled);
        let fate = if let Some(again) = again {
            if is_lent {
                budget.ended(&domain, false);
            }
            turn.frontier.give_back(leased.id, again.not_before, again.attempted);
            Fate::Again { attempted: again.attempted }
        } else {
            if is_lent {
                budget.ended(&domain, is_page && matches!(outcome, Outcome::Ok));
            }
            if turn.frontier.settle(leased.id) { Fate::Final } else { Fate::Stale }
        };
        if let (Fate::Final, Outcome::Ok, Extracted::Page { version: Some(version), .. }) = (fate, &outcome, &content) {
            counts.extend(self.fetched(turn, &leased.request, *version, time));
        }
        if fate == Fate::Final {
            self.include_target(turn, &leased.request, &outcome);
        }
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
        match (fate, &outcome) {
            // The submission continues with the target of the redirect, if that is admitted.
            (Fate::Again { .. }, _) | (Fate::Final, Outcome::Redirect { .. }) => {}
            (Fate::Final, Outcome::Ok) => turn.end_submission(&leased.request, || SubmissionEnd::Read),
            (Fate::Final, _) => turn.end_submission(&leased.request, || SubmissionEnd::Failed(outcome.clone())),
            (Fate::Stale, _) => turn.end_submission(&leased.request, || SubmissionEnd::Elsewhere),
        }
        if fate == Fate::Final {
            let is_missing = counts.contains(&Count::SITEMAP_MISSING);
            self.settled(turn, &domain, &leased, if is_missing { &Outcome::Ok } else { &outcome }, found);
            Self::note_left_out(turn, &domain, &leased.request, content);
        }
        domain
    }

    /// Adds the host to the scope to which a seed redirects.
    fn include_target(&mut self, turn: &mut Turn<'_>, seed: &Request, outcome: &Outcome) {
        if let Outcome::Redirect { to, .. } = outcome
            && seed.depth == 0
            && seed.kind() == Kind::Page
        {
            self.admission.include(to);
            if let Some(store) = turn.frontier.durable() {
                store.include(to);
            }
        }
    }

    /// Records what a page is like now. Returns what to count.
    fn fetched(
        &mut self,
        turn: &mut Turn<'_>,
        page: &Request,
        version: PageVersion,
        time: SystemTime,
    ) -> Option<Count> {
        let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let second = u32::try_from(seconds).unwrap_or(u32::MAX);
        let word = self.admission.fetched(page, version, turn.now, second);
        if let Some(store) = turn.frontier.durable() {
            for (fingerprint, visit) in self.admission.take_visits() {
                store.remember_visit(fingerprint, visit);
            }
        }
        word.map(Count::Recrawl)
    }

    /// Records the links of a page or sitemap that were not read as dropped, once for each page.
    fn note_left_out(turn: &mut Turn<'_>, domain: &Domain, page: &Request, content: Extracted) {
        let left_out = match content {
            Extracted::Page { skipped: Skipped { too_long, over_limit, .. }, .. } => {
                vec![(DropReason::Length, too_long as u64), (DropReason::LinksPerPage, over_limit as u64)]
            }
            Extracted::Sitemap { pages, files, unreadable, left_out } => {
                turn.accounts.note(&Event::SitemapRead { domain, file: page, pages, files, unreadable });
                left_out
            }
            Extracted::Nothing | Extracted::RobotsTxt(_) => return,
        };
        for (reason, links) in left_out.into_iter().filter(|(_, links)| *links > 0) {
            turn.accounts.note(&Event::LinksDropped { domain, page, reason, links });
        }
    }

    /// Settles a URL that ended without a request, after the spider was notified, and admits the links that the spider
    /// returned. Returns its domain.
    pub fn notified_without_request(&mut self, turn: &mut Turn<'_>, visit: Visit) -> Domain {
        let Visit { leased, outcome, content, counts, .. } = visit;
        let (domain, request) = (self.domain(&leased), &leased.request);
        let (mut found, items) = match content {
            Extracted::Page { found, items, .. } => (found, items),
            _ => (Vec::new(), 0),
        };
        if !turn.frontier.settle(leased.id) {
            turn.end_submission(request, || SubmissionEnd::Elsewhere);
            return domain;
        }
        if items > 0 || !counts.is_empty() {
            turn.accounts.note(&Event::Heard { domain: &domain, request, items, counts: &counts });
        }
        turn.enter(&domain, request, &outcome);
        self.admission.settled(request, &mut found);
        self.admit(turn, found);
        domain
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
            Outcome::Ok | Outcome::Redirect { .. } => {}
            outcome => {
                if leased.request.kind() != Kind::File
                    && let Some(store) = turn.frontier.durable()
                {
                    store.bury(domain, &leased.request, outcome.key(), &outcome.detail());
                }
            }
        }
        if leased.request.kind() != Kind::File {
            self.admission.settled(&leased.request, &mut found);
        }
        self.admit(turn, found);
    }

    /// Handles the loss of a request for a page, whose fetcher panicked or died. The attempt counts. Returns its
    /// domain.
    pub fn page_lost(&mut self, turn: &mut Turn<'_>, budget: &mut Budget, leased: Leased) -> Domain {
        let domain = self.domain(&leased);
        if leased.request.kind() == Kind::Page {
            budget.sent();
        }
        if leased.request.kind() != Kind::File {
            budget.ended(&domain, false);
        }
        let is_last = leased.attempt >= self.retry.attempts;
        turn.accounts.note(&Event::FetcherLost { domain: &domain, request: &leased.request, is_last });
        if is_last {
            turn.end(&domain, leased, Outcome::Panic("the fetcher panicked over it".to_owned()));
        } else {
            turn.frontier.give_back(leased.id, None, true);
        }
        domain
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
