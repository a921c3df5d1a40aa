//! Ends: what becomes of a page that was visited, and of its domain.

use std::time::{Instant, SystemTime};

use super::{Crawl, Held};
use crate::{
    conduct::Heeded,
    cooling::{Verdict, Why},
    domain::Domain,
    engine::log::LogLine,
    fetcher::{http::is_idempotent, visit::Visit},
    frontier::candidate::Candidate,
    outcome::Outcome,
};

impl Crawl {
    /// Takes in what became of a page, as soon as the frontier knows which of its links are new.
    pub fn visited(&mut self, visit: Visit, now: Instant, time: SystemTime) {
        if let Outcome::Broken(why) = &visit.outcome {
            self.output_is_gone = true;
            self.break_off(why.clone());
        }
        if self.failure.is_some() {
            return self.leave_unsettled(&visit);
        }
        match self.frontier.look_up(&mut visit.found.iter().map(Candidate::fingerprint)) {
            None => self.take_in(visit, now, time),
            Some(ticket) => drop(self.held.insert(ticket, Held::Page(Box::new(visit), time))),
        }
    }

    pub(super) fn take_in(&mut self, mut visit: Visit, now: Instant, time: SystemTime) {
        let domain = self.admission.domain(&visit.leased.request.url);
        self.stats.bytes += visit.bytes;
        let found = std::mem::take(&mut visit.found);
        if !matches!(visit.outcome, Outcome::Unsent) {
            self.budget.sent();
            self.note_answer(&domain, &visit, now);
        }
        let is_final = match self.again(&domain, &visit, now) {
            Some(again) => {
                self.budget.ended(&domain, false);
                self.frontier.give_back(visit.leased.id, again.not_before, again.attempted);
                false
            }
            None => self.settle(&domain, &visit, found, now),
        };
        if !matches!(visit.outcome, Outcome::Unsent) {
            self.write(|| LogLine::visited(time, domain.clone(), &visit, is_final));
        }
        self.domains.schedule(&domain, now);
        self.remember(&domain);
    }

    /// Takes note of how the domain answered, for its cooling and its evidence.
    fn note_answer(&mut self, domain: &Domain, visit: &Visit, now: Instant) {
        self.stats.count(&format!("outcome/{}", visit.outcome.key()));
        if let Some(status) = visit.status {
            self.stats.count(&format!("status/{status}"));
        }
        if let Some(heeded) = visit.heeded {
            self.heed(domain, heeded, now);
        }
    }

    /// Keeps the books of a refusal. The domain is left alone already: its conduct heard the answer before the permit
    /// ended.
    pub(super) fn heed(&mut self, domain: &Domain, heeded: Heeded, now: Instant) {
        let Heeded { why, verdict, gave_up, .. } = heeded;
        if let (Why::Status(_), Some(of_domain)) = (why, self.stats.domain(domain)) {
            of_domain.refusals += 1;
        }
        match verdict {
            Verdict::Cool(until) => {
                live.gate.throttle().cool(until);
                if let Some(unsaid) = self.warnings.note(&format!("cools {why:?}"), now) {
                    let seconds = until.saturating_duration_since(now).as_secs();
                    tracing::warn!(%domain, ?why, seconds, unsaid, "domain cools");
                }
            }
            Verdict::GiveUp(_) => {
                // Others that were in flight then say the same once more.
                if !had_given_up {
                    if let Some(unsaid) = self.warnings.note(&format!("given up {why:?}"), now) {
                        tracing::warn!(%domain, ?why, unsaid, "domain is given up");
                    }
                    self.stats.count("domain/given_up");
                }
                self.give_up(domain, why);
            }
        }
        self.domains.note_cooling(domain, now);
    }

    /// Decides whether a request waits for another attempt.
    fn again(&mut self, domain: &Domain, visit: &Visit, now: Instant) -> Option<Again> {
        match &visit.outcome {
            Outcome::Unsent => Some(Again { not_before: None, attempted: false }),
            // It fails with all that waited there.
            _ if self.domains.cooling_of(domain).is_some_and(|cooling| cooling.has_given_up(now)) => None,
            Outcome::Refused { .. } => {
                let cools = self.domains.cooling_of(domain).and_then(|cooling| cooling.state(now));
                Some(Again { not_before: cools.map(|(until, _)| until), attempted: false })
            }
            // It may have done its work already (RFC 9110 §9.2.2).
            _ if visit.started.is_some() && !is_idempotent(&visit.leased.request.method) => None,
            outcome => {
                let wait = self.retry.after(outcome, visit.leased.attempt, fastrand::f64())?;
                self.stats.count("retry");
                Some(Again { not_before: Some(now + wait), attempted: true })
            }
        }
    }

    /// Ends the loan of a page; its links come in with it.
    fn settle(&mut self, domain: &Domain, visit: &Visit, mut found: Vec<Candidate>, now: Instant) -> bool {
        let ok = matches!(visit.outcome, Outcome::Ok);
        self.budget.ended(domain, ok);
        if !self.frontier.settle(visit.leased.id) {
            return true;
        }
        match &visit.outcome {
            Outcome::Ok => {
                self.stats.ledger.done += 1;
                self.stats.items += visit.items;
                if let Some(of_domain) = self.stats.domain(domain) {
                    of_domain.pages += 1;
                }
            }
            Outcome::Redirect { to, .. } => {
                self.stats.ledger.done += 1;
                if visit.leased.request.depth == 0 {
                    self.admission.include(to);
                    if let Some(store) = self.frontier.durable() {
                        store.include(to);
                    }
                }
            }
            outcome => {
                let reason = match outcome {
                    Outcome::Status(status) => format!("status/{status}"),
                    other => other.key().to_owned(),
                };
                self.stats.failed(&reason, visit.leased.request.url.as_str(), &outcome.detail());
                if let Some(store) = self.frontier.durable() {
                    store.bury(domain, &visit.leased.request, outcome.key(), &outcome.detail());
                }
            }
        }
        self.admission.settled(&visit.leased.request, &mut found);
        self.admit_all(found, now);
        true
    }
}

struct Again {
    not_before: Option<Instant>,
    attempted: bool,
}
