//! Turn: the shared state that the parts of the engine work on during one call: the frontier, the domains, the
//! accounts, and the instant. Holds the consequences that several parts share: a URL ends, a domain refuses.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    accounts::Accounts,
    domains::Domains,
    draining::{DrainAs, Draining},
    failures::Failures,
    queues::Queues,
    resting::Resting,
};
use crate::{
    conduct::{
        AskedSpacing, Cooled,
        cooling::{BackOff, CoolingCause},
    },
    domain::Domain,
    events::event::Event,
    fetcher::visit::Visit,
    frontier::{Drained, Frontier, Leased, Left, Next},
    outcome::{DropReason, Outcome},
    request::{Kind, Request},
    robots::LIFETIME,
    submissions::{SubmissionEnd, SubmissionEnds},
};

/// One turn of the crawl.
pub struct Turn<'a> {
    /// The current instant.
    pub now: Instant,
    /// The frontier, and the files.
    pub frontier: &'a mut Queues,
    /// The domains.
    pub domains: &'a mut Domains,
    /// The accounts, which record every event.
    pub accounts: &'a mut Accounts,
    /// The domains whose queues are being emptied.
    pub draining: &'a mut Draining,
    /// The failures of which the spider is still to be notified.
    pub failures: &'a mut Failures,
    /// Until when sessions rest.
    pub resting: &'a mut Resting,
    /// Is told how submitted requests end.
    pub submissions: &'a dyn SubmissionEnds,
}

impl Turn<'_> {
    /// Drops a queued request.
    pub fn drop_request(&mut self, domain: &Domain, request: &Request, reason: DropReason) {
        self.accounts.note(&Event::Dropped { what: Some((domain, request)), reason, was_queued: true });
        self.end_submission(request, || SubmissionEnd::Dropped(reason));
    }

    /// Ends a leased request without a page. If it was for a page, the spider is notified first.
    pub fn end(&mut self, domain: &Domain, leased: Leased, outcome: Outcome) {
        if leased.request.kind() == Kind::Page {
            self.failures.add(Visit::without_request(leased, outcome));
        } else if self.frontier.settle(leased.id) {
            self.enter(domain, &leased.request, &outcome);
        }
    }

    /// Records that a request without a `RequestEnded` event was dropped or failed for good, by its outcome.
    pub fn enter(&mut self, domain: &Domain, request: &Arc<Request>, outcome: &Outcome) {
        match outcome.dropped() {
            Some(reason) => self.drop_request(domain, request, reason),
            None => self.fail(domain, request, outcome),
        }
    }

    /// Fails a request for good, and keeps it in the frontier where that can.
    fn fail(&mut self, domain: &Domain, request: &Arc<Request>, outcome: &Outcome) {
        let (reason, detail) = (outcome.key(), outcome.detail());
        self.accounts.note(&Event::Failed { domain, request, reason, detail: &detail });
        // The page that waits for a file asks for it again.
        if request.kind() != Kind::File
            && let Some(store) = self.frontier.durable()
        {
            store.bury(domain, request, reason, &detail);
        }
        self.end_submission(request, || SubmissionEnd::Failed(outcome.clone()));
    }

    /// Tells the caller that submitted a request, if any, how it ended.
    pub fn end_submission(&self, request: &Request, end: impl FnOnce() -> SubmissionEnd) {
        if let Some(id) = request.submission() {
            self.submissions.ended(id, end());
        }
    }

    /// Records that a domain refused or could not be reached. The cooling itself is in force already: the conduct
    /// learned of it before the permit ended.
    pub fn note_cooled(&mut self, domain: &Domain, cooled: Cooled) {
        let Cooled { why, back_off, gave_up, .. } = cooled;
        let is_given_up = matches!(back_off, BackOff::GiveUp(_));
        // Requests in flight when a domain was given up fail the same way; they do not give it up again.
        let kind = if is_given_up { "is given up" } else { "cools" };
        if (gave_up || !is_given_up)
            && let Some(unsaid) = self.accounts.warn(&format!("{kind} {why:?}"), self.now)
        {
            let seconds = back_off.until().saturating_duration_since(self.now).as_secs();
            tracing::warn!(%domain, ?why, seconds, unsaid, "domain {kind}");
        }
        self.accounts.note(&Event::Cooled { domain, why, until: back_off.until(), gives_up: gave_up });
        if is_given_up {
            self.give_up(domain, why);
        }
        self.domains.note_cooling(domain, self.now);
    }

    /// Returns why a domain is given up, if it is.
    pub fn given_up(&self, domain: &Domain) -> Option<CoolingCause> {
        Some(self.domains.get(domain)?.tenancy.given_up(self.now)?.why)
    }

    /// Tells whether a domain is given up.
    pub fn is_given_up(&self, domain: &Domain) -> bool {
        self.given_up(domain).is_some()
    }

    /// Returns until when a domain cools.
    pub fn cools_until(&self, domain: &Domain) -> Option<Instant> {
        self.domains.cooling_of(domain)?.state(self.now).map(|(until, _)| until)
    }

    /// Returns the longest spacing that a robots file of the domain asks for.
    pub fn asked(&mut self, domain: &Domain) -> Option<Duration> {
        self.domains.live(domain, self.now).tenancy.asked(self.now).map(|asked| asked.spacing)
    }

    /// Starts failing everything queued for a domain that refuses us or is unreachable.
    pub fn give_up(&mut self, domain: &Domain, why: CoolingCause) {
        self.fail_files(domain, why);
        self.draining.begin(domain, DrainAs::Failed(of_given_up(why)));
    }

    /// Lets the files that wait for such a domain fail.
    pub fn fail_files(&mut self, domain: &Domain, why: CoolingCause) {
        self.end_files(domain, &of_given_up(why));
    }

    /// Ends the files that wait for a domain.
    pub fn end_files(&mut self, domain: &Domain, outcome: &Outcome) {
        for request in self.frontier.files.take(domain) {
            self.enter(domain, &request, outcome);
        }
    }

    /// Applies the spacing of a robots file to the domain's conduct. Called for each page that the file allows, since
    /// the conduct may have been forgotten while the file is still cached.
    pub fn slow_down(&mut self, domain: &Domain, asked: Option<Duration>) {
        let Some(spacing) = asked else { return };
        let tenancy = &self.domains.live(domain, self.now).tenancy;
        if tenancy.asked(self.now).is_none_or(|known| known.spacing < spacing) {
            tenancy.ask_for(AskedSpacing { spacing, until: self.now + LIFETIME }, self.now);
        }
    }

    /// Drains what a step allows. Each request is entered in the ledger when it is dropped, or once the spider is
    /// notified of its failure.
    pub fn drain(&mut self) {
        self.draining.begin_step(self.now);
        if self.failures.room() > 0 {
            self.draining.go_on();
        }
        let mut later = Vec::new();
        while self.draining.room() > 0
            && let Some((domain, end)) = self.draining.pop()
        {
            let room = self.draining.room();
            let (ended, left) = match &end {
                DrainAs::Failed(_) if self.failures.room() == 0 => {
                    self.draining.hold_up(domain);
                    continue;
                }
                DrainAs::Failed(outcome) => self.fail_some(&domain, outcome, room.min(self.failures.room())),
                DrainAs::Dropped(reason) => self.drop_some(&domain, *reason, room),
            };
            if ended == 0 && left == Left::Here {
                later.push(domain);
            } else if self.draining.drained(&domain, ended, left) {
                self.domains.schedule(&domain, self.now);
            }
        }
        self.draining.put_off(later);
    }

    /// Drops at most `max` requests of a domain. Returns how many, and what is left.
    fn drop_some(&mut self, domain: &Domain, reason: DropReason, max: usize) -> (usize, Left) {
        let Drained { requests, left } = self.frontier.drain(domain, max);
        for request in &requests {
            self.drop_request(domain, request, reason);
        }
        (requests.len(), left)
    }

    /// Leases at most `max` requests of a domain, including those that wait for a later attempt, and adds them to the
    /// failures. They stay on lease until the spider is notified. Returns how many, and what is left.
    fn fail_some(&mut self, domain: &Domain, outcome: &Outcome, max: usize) -> (usize, Left) {
        for ended in 0..max {
            match self.frontier.lease(domain, self.now + ANY_DELAY) {
                Next::Leased(leased) => self.end(domain, leased, outcome.clone()),
                Next::Coming => return (ended, Left::Coming),
                Next::Empty => return (ended, Left::Nothing),
                // A user's frontier may keep its own time.
                Next::NotBefore(_) => return (ended, Left::Here),
            }
        }
        let left = if self.frontier.has_waiting(domain) { Left::Here } else { Left::Nothing };
        (max, left)
    }
}

/// Returns how the requests of a given-up domain fail.
pub fn of_given_up(why: CoolingCause) -> Outcome {
    let (key, detail) = match why {
        CoolingCause::Status(status) => ("refused", format!("the domain refuses us with {status}")),
        CoolingCause::Unreachable => ("connect", "the domain cannot be reached".to_owned()),
    };
    Outcome::WithoutRequest { key, detail }
}

/// Longer than any request waits for its next attempt.
const ANY_DELAY: Duration = Duration::from_secs(100 * 365 * 86_400);
