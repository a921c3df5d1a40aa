//! Ended: what becomes of a request that has ended: it is settled or tried again, and its links are admitted.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Intake, again::Again};
use crate::{
    domain::Domain,
    engine::{budget::Budget, turn::Turn},
    events::event::{Event, Fate, RequestEnded},
    extract::Skipped,
    fetcher::{readers::Extracted, visit::Visit},
    frontier::{Frontier, Leased, candidate::Candidate},
    outcome::{DropReason, Outcome},
    recrawl::page_visit::PageVersion,
    request::{Kind, Request},
    stats::count::Count,
    submissions::SubmissionEnd,
};

impl Intake {
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
