//! Explain: where a URL stands in this crawl and why, from what its parts know. Changes nothing.

use std::time::Instant;

use tokio::sync::oneshot;

use super::{Crawl, Mode};
use crate::{
    domain::Domain,
    engine::{domain_holds::Hold, durability::Deferred, file_queue::FileStands},
    explain::{End, Explanation, Wait, WaitsFor, Whereabouts},
    fetcher::visit::Visit,
    frontier::{Frontier, Located, Waiting, candidate::Candidate},
    permit::Tenancy,
    request::{Kind, Request},
    robots::Robots,
};

impl Crawl {
    /// Answers where a page stands, as soon as the frontier knows whether it was seen.
    pub fn ask(&mut self, page: Candidate, answer: oneshot::Sender<Explanation>, now: Instant) {
        match self.frontier.look_up(&mut std::iter::once(page.fingerprint())) {
            None => self.answer(&page, answer, now),
            Some(ticket) => self.durability.defer(ticket, Deferred::Question(Box::new(page), answer)),
        }
    }

    /// Answers where a page stands that the frontier has looked up.
    pub(super) fn answer(&mut self, page: &Candidate, answer: oneshot::Sender<Explanation>, now: Instant) {
        let explained = self.explain(page, now);
        // The caller may no longer wait.
        let _ = answer.send(explained);
    }

    fn explain(&mut self, page: &Candidate, now: Instant) -> Explanation {
        let asked = page.request();
        let domain = self.intake.domain_of(&asked.url);
        let is_it = |known: &Request| {
            let is_same = known.url == asked.url && known.method == asked.method && known.body == asked.body;
            is_same && known.kind() == Kind::Page
        };
        let stands = match self.frontier.locate(&domain, &is_it) {
            Located::Leased { request, attempt } => {
                match self.granter.rulings.set_aside(&self.domains, &request.url, &domain, &is_it) {
                    Some(page) => {
                        let for_robots = page.for_robots.then_some(WaitsFor::RobotsFile);
                        let waiting = Waiting {
                            request,
                            ahead: page.ahead,
                            attempts: attempt.saturating_sub(1),
                            not_before: None,
                        };
                        Whereabouts::Waits(self.wait(&domain, &waiting, for_robots, now))
                    }
                    None => self
                        .notifying_of(&is_it)
                        .unwrap_or_else(|| Whereabouts::InFlight { attempt, found_on: request.parent.clone() }),
                }
            }
            Located::Waits(mut waiting) => {
                waiting.ahead += self.granter.rulings.set_aside_of(&self.domains, &domain);
                Whereabouts::Waits(self.wait(&domain, &waiting, None, now))
            }
            Located::NotFound { not_looked_at } => match self.file(asked, &domain, now) {
                Some(stands) => stands,
                None => self.not_waiting(page, not_looked_at, now),
            },
        };
        Explanation { url: asked.url.to_string(), domain, stands }
    }

    /// Tells of a file that an item waits for.
    fn file(&mut self, asked: &Request, domain: &Domain, now: Instant) -> Option<Whereabouts> {
        let is_it = |known: &Request| known.kind() == Kind::File && known.url == asked.url;
        Some(match self.frontier.files.locate(domain, &is_it)? {
            FileStands::Waits { request, ahead, attempts, not_before } => {
                let waiting = Waiting { request, ahead, attempts, not_before };
                Whereabouts::Waits(self.wait(domain, &waiting, None, now))
            }
            FileStands::Leased { request, attempt } if self.granter.rulings.file_waits(&request.url, &is_it) => {
                let waiting = Waiting { request, ahead: 0, attempts: attempt.saturating_sub(1), not_before: None };
                Whereabouts::Waits(self.wait(domain, &waiting, Some(WaitsFor::RobotsFile), now))
            }
            FileStands::Leased { request, attempt } => {
                Whereabouts::InFlight { attempt, found_on: request.parent.clone() }
            }
        })
    }

    /// Explains a page that has ended while the spider is being notified of it.
    fn notifying_of(&self, is_it: &dyn Fn(&Request) -> bool) -> Option<Whereabouts> {
        let Visit { leased, outcome, is_without_request, .. } = self.failures.find(is_it)?;
        let mut end = End {
            outcome: outcome.key().to_owned(),
            detail: outcome.detail(),
            attempts: if *is_without_request { 0 } else { leased.attempt },
            at: None,
            found_on: leased.request.parent.clone(),
        };
        Some(match outcome.dropped() {
            Some(reason) => {
                end.outcome = reason.to_string();
                Whereabouts::Dropped(end)
            }
            None => Whereabouts::Failed(end),
        })
    }

    /// Tells of a page that is neither on lease nor among the waiting ones that were looked at.
    fn not_waiting(&mut self, page: &Candidate, not_looked_at: u64, now: Instant) -> Whereabouts {
        let url = &page.request().url;
        let (fingerprint, known) = (page.fingerprint(), self.intake.known_of(page));
        let before = || known.dropped.map(|reason| End { outcome: reason.to_string(), ..End::default() });
        let ended = self.accounts.ends.of(url.as_str()).or_else(|| before().map(Whereabouts::Dropped));
        match ended {
            Some(Whereabouts::Dropped(mut end)) => {
                if end.outcome.starts_with("robots/")
                    && let Some(rule) = self.disallowed_by(page.request(), now)
                {
                    end.detail = rule;
                }
                Whereabouts::Dropped(end)
            }
            Some(ended) => ended,
            None if self.frontier.has_seen(&fingerprint, now)
                || self.frontier.admitted_ago(&fingerprint, now).is_some() =>
            {
                Whereabouts::TakenIn { not_looked_at, at: None }
            }
            None => {
                Whereabouts::NeverHeardOf { would_be_dropped: known.would_be, may_have_been_dropped: !known.is_whole }
            }
        }
    }

    fn wait(&mut self, domain: &Domain, waiting: &Waiting, robots: Option<WaitsFor>, now: Instant) -> Wait {
        // A domain with waiting requests is, or will be, in the heap of due domains. So a state created here is removed
        // in time.
        let tenancy = self.domains.live(domain, now).tenancy.clone();
        let Waiting { request, ahead, attempts, not_before } = waiting;
        let mut reasons = self.what_holds_all_up(now);
        let is_paused = self.domains.held.of(domain) == Some(Hold::Paused) || tenancy.is_paused();
        reasons.extend(is_paused.then_some(WaitsFor::DomainPaused));
        let is_held_up = !reasons.is_empty();
        let given_up = tenancy.given_up(now);
        if let Some(given_up) = given_up {
            reasons.push(WaitsFor::GivenUp { cause: given_up.why.to_string() });
        } else if let Some((until, why)) = tenancy.cooling().state(now) {
            reasons.push(WaitsFor::Cools { cause: why.to_string(), left: until - now });
        }
        reasons.extend(not_before.filter(|at| *at > now).map(|at| WaitsFor::NotBefore { left: at - now }));
        reasons.extend(robots);
        reasons.extend(self.disallowed_by(request, now).map(|rule| WaitsFor::Disallowed { rule }));
        let left = self.granter.budget.left(domain).filter(|left| left <= ahead);
        reasons.extend(left.map(|left| WaitsFor::Budget { left }));
        reasons.extend(pace(&tenancy, now));
        let full = self.granter.full(self.durability.deferred());
        reasons.extend(full.map(|in_flight| WaitsFor::Concurrency { in_flight }));
        reasons.extend((!self.granter.places.allow(now)).then_some(WaitsFor::Capacity));
        let from = not_before.unwrap_or(now).max(now);
        let forecast = tenancy.forecast(*ahead, now).max(from).saturating_duration_since(now);
        let set_aside = self.granter.rulings.set_aside_of(&self.domains, domain);
        Wait {
            forecast: (!is_held_up && given_up.is_none()).then_some(forecast),
            ahead: Some(*ahead),
            queued: self.frontier.queued_of(domain) + set_aside,
            attempts: *attempts,
            reasons,
            found_on: request.parent.clone(),
        }
    }

    fn what_holds_all_up(&self, now: Instant) -> Vec<WaitsFor> {
        let mode = match self.mode {
            Mode::Running => None,
            Mode::Paused => Some(WaitsFor::Paused),
            Mode::Stopping => Some(WaitsFor::Stopping),
        };
        let outage = self.granter.outage(now).map(|outage| WaitsFor::Outage { fault: outage.fault });
        mode.into_iter().chain(outage).collect()
    }

    /// Returns the robots rule that disallows a page, if its robots file is known.
    fn disallowed_by(&mut self, request: &Request, now: Instant) -> Option<String> {
        match self.granter.rulings.robots_of(&request.url, now)? {
            Robots::Rules(rules) => {
                let decision = rules.decide(&request.url);
                (!decision.is_allowed()).then(|| decision.to_string())
            }
            Robots::AllowAll | Robots::DenyAll { .. } => None,
        }
    }
}

/// Returns the limits of a domain that a request waits for.
fn pace(tenancy: &Tenancy, now: Instant) -> Vec<WaitsFor> {
    let limits = tenancy.limits();
    let rate = limits.rate.window().map(|_| limits.rate);
    let is_limited = rate.is_some() || !limits.spacing.is_zero();
    let domain = tenancy.domain().clone();
    let law = is_limited.then_some(WaitsFor::Limits { domain, rate, spacing: limits.spacing });
    let asked = tenancy.asked(now).map(|asked| WaitsFor::CrawlDelay { asked: asked.spacing });
    let in_flight = tenancy.in_flight();
    let full = (in_flight >= limits.in_flight.get()).then_some(WaitsFor::Full { in_flight });
    [law, asked, full].into_iter().flatten().collect()
}
