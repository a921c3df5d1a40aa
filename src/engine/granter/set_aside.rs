//! SetAside: looks up pages that the granter has leased and not yet sent to a fetcher, for `explain`.

use std::time::Instant;

use url::Url;

use super::Granter;
use crate::{domain::Domain, engine::domains::Domains, request::Request, robots::Robots};

/// A page that is set aside.
pub struct SetAside {
    /// Requests of its domain that go before it.
    pub ahead: u64,
    /// Whether it waits for its robots file.
    pub for_robots: bool,
}

impl Granter {
    /// Looks for a page among those that wait for their robots file, and those that it has allowed.
    pub fn set_aside(
        &self,
        domains: &Domains,
        page: &Url,
        domain: &Domain,
        is_it: &dyn Fn(&Request) -> bool,
    ) -> Option<SetAside> {
        let files = domains.robots_queued(domain);
        if let Some(before) = self.ruled.before(domain, is_it) {
            return Some(SetAside { ahead: (files + before) as u64, for_robots: false });
        }
        let before = self.robots.parked_before(page, is_it)?;
        Some(SetAside { ahead: (files + self.ruled.count(domain) + before) as u64, for_robots: true })
    }

    /// Returns how many requests of a domain go before all that wait in the frontier.
    pub fn set_aside_of(&self, domains: &Domains, domain: &Domain) -> u64 {
        (domains.robots_queued(domain) + self.ruled.count(domain) + self.robots.parked(domain)) as u64
    }

    /// Returns what the robots file of a page says, if it is obeyed and known.
    pub fn robots_of(&mut self, page: &Url, now: Instant) -> Option<Robots> {
        let obeys = self.politeness.obeys_robots(&self.politeness.domain_key.domain(page));
        if obeys { self.robots.known(page, now) } else { None }
    }

    /// Returns how many requests are in flight, if that is as many as may be. The `deferred` ones count.
    pub fn full(&self, deferred: usize) -> Option<u64> {
        let in_flight = self.pages_in_flight() + deferred;
        (in_flight >= self.politeness.concurrency.get() as usize).then_some(in_flight as u64)
    }
}
