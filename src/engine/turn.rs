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
    draining::{Draining, End},
};
use crate::{
    cooling::{Verdict, Why},
    domain::Domain,
    event::Event,
    frontier::Frontier,
    outcome::DropReason,
    permit::Permit,
    request::Request,
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

    /// Takes note that a domain refused a request that was written at `started`, or could not be reached: it is left
    /// alone for a time, or given up with all that waits for it. `asked` is the wait that its answer asked for.
    pub fn cool(&mut self, domain: &Domain, started: Instant, why: Why, asked: Option<Duration>) {
        let now = self.now;
        let live = self.domains.live(domain);
        let had_given_up = live.cooling.has_given_up();
        let verdict = live.cooling.refused(started, now, why, asked, fastrand::f64());
        let (Verdict::Cool(until) | Verdict::GiveUp(until)) = verdict;
        live.gate.throttle().cool(until);
        self.domains.note_cooling(domain, now);
        let is_given_up = matches!(verdict, Verdict::GiveUp(_));
        // Requests that were in flight when a domain was given up are answered the same: that is no second time.
        let gives_up = is_given_up && !had_given_up;
        if gives_up {
            tracing::warn!(%domain, ?why, "domain is given up");
        } else if !is_given_up {
            tracing::warn!(%domain, ?why, seconds = until.saturating_duration_since(now).as_secs(), "domain cools");
        }
        self.accounts.note(&Event::Cooled { domain, why, until, gives_up });
        if is_given_up {
            self.give_up(domain, why);
        }
    }

    /// Tells why a domain is given up, while it is.
    pub fn given_up(&self, domain: &Domain) -> Option<Why> {
        self.domains.get(domain)?.cooling.given_up(self.now)
    }

    /// Tells whether a domain has refused too often in a row.
    pub fn has_given_up(&self, domain: &Domain) -> bool {
        self.domains.get(domain).is_some_and(|live| live.cooling.has_given_up())
    }

    /// Tells until when a domain is left alone.
    pub fn cools_until(&self, domain: &Domain) -> Option<Instant> {
        self.domains.get(domain)?.cooling.state(self.now).map(|(until, _)| until)
    }

    /// Grants a permit of a domain that is due at or before `horizon`.
    pub fn grant(&mut self, domain: &Domain, horizon: Instant) -> Result<Permit, Refusal> {
        let gate = self.domains.live(domain).gate.clone();
        gate.grant(self.now, horizon)
    }

    /// Puts a robots file among those that a domain is asked for before its pages.
    pub fn push_robots(&mut self, domain: &Domain, file: Url) {
        self.domains.live(domain).robots.push_back(file);
    }

    /// Takes the next of them out.
    pub fn pop_robots(&mut self, domain: &Domain) -> Option<Url> {
        self.domains.live(domain).robots.pop_front()
    }

    /// Tells whether there is one.
    pub fn has_robots(&self, domain: &Domain) -> bool {
        self.domains.get(domain).is_some_and(|live| !live.robots.is_empty())
    }

    /// Returns the longest time between two starts that a robots file of the domain asks for.
    pub fn asked(&mut self, domain: &Domain) -> Option<Duration> {
        self.domains.live(domain).asked
    }

    /// Takes note that a domain answered as it should.
    pub fn answered(&mut self, domain: &Domain) {
        self.domains.live(domain).cooling.answered();
    }

    /// Lets all that waits for a domain fail: it does not want us, or is not there.
    pub fn give_up(&mut self, domain: &Domain, why: Why) {
        let (outcome, detail) = match why {
            Why::Status(status) => ("refused", format!("the domain refuses us with {status}")),
            Why::Unreachable => ("connect", "the domain cannot be reached".to_owned()),
        };
        self.draining.begin(domain, End::Failed(outcome, detail));
    }

    /// Lets a domain's requests be at least `asked` apart, up to `cap`. The robots file may be remembered for longer than
    /// the domain, so each page that it allows comes here.
    pub fn slow_down(&mut self, domain: &Domain, asked: Option<Duration>, cap: Duration) {
        let Some(asked) = asked else { return };
        let live = self.domains.live(domain);
        live.asked = live.asked.max(Some(asked));
        let spacing = asked.min(cap);
        let mut throttle = live.gate.throttle();
        if throttle.limits().spacing < spacing {
            let slowed = throttle.limits().slowed_to(spacing);
            throttle.set_limits(slowed);
        }
    }
}
