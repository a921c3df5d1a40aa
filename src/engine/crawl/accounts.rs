//! Accounts: every URL that comes in or goes out, in the ledger, the counts and the crawl log.

use std::{sync::Arc, time::Instant};

use super::Crawl;
use crate::{
    clock,
    domain::Domain,
    engine::log::LogLine,
    frontier::{admission::Admitted, candidate::Candidate},
    outcome::DropReason,
    request::Request,
};

impl Crawl {
    pub(super) fn admit_all(&mut self, candidates: Vec<Candidate>, now: Instant) {
        for candidate in candidates {
            self.admit(candidate, now);
        }
        // Pages that have come nearer bring what was too deep below them.
        while let Some(candidate) = self.admission.take_nearer() {
            self.admit(candidate, now);
        }
    }

    fn admit(&mut self, candidate: Candidate, now: Instant) {
        let rejected = self.log.is_some().then(|| candidate.request().clone());
        match self.admission.admit(&mut *self.frontier, candidate, now) {
            // Whoever answers for the domain counts what was sent there.
            Admitted::AlreadySeen | Admitted::Sent => {}
            Admitted::Queued { domain, again } => {
                match again {
                    // It was counted when it came to the door first.
                    Some(reason) => {
                        self.stats.ledger.dropped -= 1;
                        self.uncount(reason);
                    }
                    None => self.stats.ledger.discovered += 1,
                }
                self.domains.schedule(&domain, now);
            }
            Admitted::Dropped(reason) => {
                self.stats.ledger.discovered += 1;
                self.stats.ledger.dropped += 1;
                self.stats.count(&drop_key(reason));
                if let Some(request) = rejected {
                    let domain = self.admission.domain(&request.url);
                    self.write(|| LogLine::dropped(clock::wall(), domain, &request, reason));
                }
            }
        }
    }

    fn uncount(&mut self, reason: DropReason) {
        if let Some(count) = self.stats.counts.get_mut(&drop_key(reason)) {
            *count = count.saturating_sub(1);
        }
    }

    pub(super) fn drop_request(&mut self, request: &Request, domain: Domain, reason: DropReason) {
        self.stats.ledger.dropped += 1;
        self.stats.count(&drop_key(reason));
        self.write(|| LogLine::dropped(clock::wall(), domain, request, reason));
    }

    pub(super) fn fail(&mut self, request: &Arc<Request>, domain: Domain, outcome: &'static str, detail: String) {
        self.stats.failed(outcome, request.url.as_str(), &detail);
        if let Some(store) = self.frontier.durable() {
            store.bury(&domain, request, outcome, &detail);
        }
        self.write(|| LogLine::unsent(clock::wall(), domain, request, outcome, detail));
    }

    pub(super) fn write(&mut self, line: impl FnOnce() -> LogLine) {
        if let Some(lines) = &mut self.log {
            lines.push(line());
        }
    }
}

fn drop_key(reason: DropReason) -> String {
    format!("drop/{}/{}", reason.key(), reason.detail())
}
