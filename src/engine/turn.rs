//! Turn: what the parts of the engine work on together for the length of one call: the frontier, the domains, the
//! accounts, and the instant. Decides nothing but what follows for all of them when a URL ends or a domain refuses.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use url::Url;

use super::{
    accounts::Accounts,
    domains::Domains,
    draining::{Draining, End, MAX_STEP},
};
use crate::{
    conduct::{Asked, Heeded},
    cooling::{Verdict, Why},
    domain::Domain,
    event::Event,
    frontier::Frontier,
    outcome::DropReason,
    permit::Permit,
    request::Request,
    robots::LIFETIME,
    throttle::Refusal,
};

/// One turn of the crawl.
pub struct Turn<'a> {
    /// Now.
    pub now: Instant,
    /// Where requests wait.
    pub frontier: &'a mut dyn Frontier,
    /// The domains.
    pub domains: &'a mut Domains,
    /// What is done is noted here.
    pub accounts: &'a mut Accounts,
    /// The domains whose queues are being emptied.
    pub draining: &'a mut Draining,
}

impl Turn<'_> {
    /// Drops a request that waited.
    pub fn drop_request(&mut self, domain: &Domain, request: &Request, reason: DropReason) {
        self.accounts.note(&Event::Dropped { what: Some((domain, request)), reason, was_queued: true });
    }

    /// Lets a request fail for good, and keeps it for another day where the frontier can.
    pub fn fail(&mut self, domain: &Domain, request: &Arc<Request>, reason: &'static str, detail: &str) {
        self.accounts.note(&Event::Failed { domain, request, reason, detail });
        if let Some(store) = self.frontier.durable() {
            store.bury(domain, request, reason, detail);
        }
    }

    /// Keeps the books of a domain that refused, or could not be reached. It is left alone already: its conduct heard the
    /// answer before the permit ended.
    pub fn heed(&mut self, domain: &Domain, heeded: Heeded) {
        let Heeded { why, verdict, gave_up, .. } = heeded;
        let is_given_up = matches!(verdict, Verdict::GiveUp(_));
        // Requests that were in flight when a domain was given up are answered the same: that is no second time.
        let kind = if is_given_up { "is given up" } else { "cools" };
        if (gave_up || !is_given_up)
            && let Some(unsaid) = self.accounts.warn(&format!("{kind} {why:?}"), self.now)
        {
            let seconds = verdict.until().saturating_duration_since(self.now).as_secs();
            tracing::warn!(%domain, ?why, seconds, unsaid, "domain {kind}");
        }
        self.accounts.note(&Event::Cooled { domain, why, until: verdict.until(), gives_up: gave_up });
        if is_given_up {
            self.give_up(domain, why);
        }
        self.domains.note_cooling(domain, self.now);
    }

    /// Tells why a domain is given up, while it is.
    pub fn given_up(&self, domain: &Domain) -> Option<Why> {
        Some(self.domains.get(domain)?.tenancy.given_up(self.now)?.why)
    }

    /// Tells whether a domain has refused too often in a row.
    pub fn has_given_up(&self, domain: &Domain) -> bool {
        self.domains.cooling_of(domain).is_some_and(|cooling| cooling.has_given_up(self.now))
    }

    /// Tells until when a domain is left alone.
    pub fn cools_until(&self, domain: &Domain) -> Option<Instant> {
        self.domains.cooling_of(domain)?.state(self.now).map(|(until, _)| until)
    }

    /// Grants a permit of a domain that is due at or before `horizon`.
    pub fn grant(&mut self, domain: &Domain, horizon: Instant) -> Result<Permit, Refusal> {
        let tenancy = self.domains.live(domain, self.now).tenancy.clone();
        tenancy.grant(self.now, horizon)
    }

    /// Puts a robots file among those that a domain is asked for before its pages.
    pub fn push_robots(&mut self, domain: &Domain, file: Url) {
        self.domains.live(domain, self.now).robots.push_back(file);
    }

    /// Takes the next of them out.
    pub fn pop_robots(&mut self, domain: &Domain) -> Option<Url> {
        self.domains.live(domain, self.now).robots.pop_front()
    }

    /// Tells whether there is one.
    pub fn has_robots(&self, domain: &Domain) -> bool {
        self.domains.get(domain).is_some_and(|live| !live.robots.is_empty())
    }

    /// Returns the longest time between two starts that a robots file of the domain asks for.
    pub fn asked(&mut self, domain: &Domain) -> Option<Duration> {
        self.domains.live(domain, self.now).tenancy.asked(self.now).map(|asked| asked.spacing)
    }

    /// Lets all that waits for a domain fail: it does not want us, or is not there.
    pub fn give_up(&mut self, domain: &Domain, why: Why) {
        let (outcome, detail) = match why {
            Why::Status(status) => ("refused", format!("the domain refuses us with {status}")),
            Why::Unreachable => ("connect", "the domain cannot be reached".to_owned()),
        };
        self.draining.begin(domain, End::Failed(outcome, detail));
    }

    /// Tells a domain's conduct what its robots file asks for. The file may be remembered where what it asks for is not,
    /// so each page that it allows comes here.
    pub fn slow_down(&mut self, domain: &Domain, asked: Option<Duration>) {
        let Some(spacing) = asked else { return };
        let tenancy = &self.domains.live(domain, self.now).tenancy;
        if tenancy.asked(self.now).is_none_or(|known| known.spacing < spacing) {
            tenancy.ask_for(Asked { spacing, until: self.now + LIFETIME }, self.now);
        }
    }

    /// Takes a step of draining, if one is due. Each request's end is in the ledger as soon as it waits no more.
    pub fn drain(&mut self) {
        if !self.draining.begin_step(self.now) {
            return;
        }
        let mut room = MAX_STEP;
        while room > 0
            && let Some((domain, end)) = self.draining.pop()
        {
            let drained = self.frontier.drain(&domain, room);
            // A domain for which nothing was there costs its part too.
            room = room.saturating_sub(drained.requests.len().max(1));
            for request in drained.requests {
                match &end {
                    End::Failed(outcome, detail) => self.fail(&domain, &request, outcome, detail),
                    End::Dropped(reason) => self.drop_request(&domain, &request, *reason),
                }
            }
            if self.draining.drained(&domain, drained.left) {
                self.domains.schedule(&domain, self.now);
            }
        }
    }
}
