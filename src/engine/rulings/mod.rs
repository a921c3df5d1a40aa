//! Rulings: what robots files mean for the pages that wait for one, and for the spacing of their domain. Keeps these
//! pages until they are granted. Knows no permits.

mod answers;

use std::{sync::Arc, time::Instant};

use hashbrown::HashSet;
use url::Url;

use super::{
    allowed_pages::AllowedPages,
    domains::Domains,
    file_queue::FileQueue,
    robots_files::{RobotsFiles, Ruling},
    sitemap_files::SitemapFiles,
    turn::Turn,
};
use crate::{
    domain::Domain,
    frontier::{Frontier, Leased},
    outcome::Outcome,
    politeness::Politeness,
    request::Request,
    robots::Robots,
};

/// Applies robots files to pages.
pub struct Rulings {
    politeness: Arc<Politeness>,
    robots: RobotsFiles,
    allowed: AllowedPages,
    /// The sites whose sitemaps are looked for; robots files name them.
    pub sitemaps: SitemapFiles,
}

/// What the robots files make of a request.
pub enum RobotsCheck {
    /// It may be fetched.
    Allowed(Leased),
    /// It waits for this robots file, which is to be requested.
    Request(Leased),
    /// It waits for a robots file, and no more requests of its domain may.
    Full,
    /// It waits, has ended, or was given back; the next request can be checked.
    Aside,
}

/// A page that was leased and is not yet sent to a fetcher.
pub struct SetAside {
    /// Requests of its domain that go before it.
    pub ahead: u64,
    /// Whether it waits for its robots file.
    pub for_robots: bool,
}

/// The most requests of one domain that wait for a robots file while others of the domain are searched.
const MAX_PARKED: usize = 64;

impl Rulings {
    /// Creates the rulings of a crawl.
    pub fn new(politeness: Arc<Politeness>, robots: RobotsFiles, sitemaps: SitemapFiles) -> Self {
        Self { politeness, robots, allowed: AllowedPages::default(), sitemaps }
    }

    /// Changes the settings of politeness.
    pub fn set_politeness(&mut self, politeness: Arc<Politeness>) {
        self.politeness = politeness;
    }

    /// Schedules a domain at `at`. Domains with pages whose robots file has arrived go first.
    pub fn schedule(&mut self, domains: &mut Domains, domain: &Domain, at: Instant) {
        if !self.allowed.schedule(domain, at) {
            domains.schedule(domain, at);
        }
    }

    /// Schedules a domain at `at` for all that it has: files, pages, robots files.
    pub fn wake(&mut self, files: &mut FileQueue, domains: &mut Domains, domain: &Domain, at: Instant) {
        // A file may wait for a robots file, also of another domain.
        if files.has(domain) || domains.has_robots(domain) {
            files.schedule(domain, at);
        }
        self.schedule(domains, domain, at);
    }

    /// Removes and returns the next domain that is due at or before `horizon`, of those with pages whose robots file
    /// has arrived.
    pub fn pop_due(&mut self, horizon: Instant) -> Option<Domain> {
        self.allowed.pop_due(horizon)
    }

    /// Returns when the next of these domains is due.
    pub fn next_due(&mut self) -> Option<Instant> {
        self.allowed.next_due()
    }

    /// Takes the next robots file of a domain that is to be requested.
    pub fn pop_file(&mut self, domains: &mut Domains, domain: &Domain) -> Option<Leased> {
        domains.pop_robots(domain).map(|file| self.robots.lease(file))
    }

    /// Takes the next page of a domain that its robots file has allowed.
    pub fn pop_allowed(&mut self, domain: &Domain) -> Option<Leased> {
        self.allowed.pop(domain)
    }

    /// Tells whether a page of the domain has been allowed and is not yet requested.
    pub fn has_allowed(&self, domain: &Domain) -> bool {
        self.allowed.has(domain)
    }

    /// Tells whether as many requests of a domain wait for robots files as may.
    pub fn is_full(&self, domain: &Domain) -> bool {
        self.robots.parked(domain) >= MAX_PARKED
    }

    /// Tells whether pages of a domain are kept here.
    pub fn keeps(&self, domain: &Domain) -> bool {
        self.robots.parked(domain) > 0 || self.allowed.has(domain)
    }

    /// Gives the allowed pages of a domain back to the frontier.
    pub fn give_allowed_back(&mut self, frontier: &mut dyn Frontier, domain: &Domain) {
        give_back(frontier, self.allowed.take(domain));
    }

    /// Gives the pages of a domain back to the frontier.
    pub fn give_back(&mut self, frontier: &mut dyn Frontier, domain: &Domain) {
        self.give_allowed_back(frontier, domain);
        give_back(frontier, self.robots.unpark(domain).into_iter());
    }

    /// Gives all pages back to the frontier, because no more permits are granted.
    pub fn give_all_back(&mut self, frontier: &mut dyn Frontier) {
        give_back(frontier, self.robots.unpark_all().into_iter());
        give_back(frontier, self.allowed.take_all());
    }

    /// Gives the pages that wait for a robots file, or are allowed by one, back to the frontier: they are judged again
    /// when they are lent next. Returns their domains, which must be woken.
    pub fn give_pages_back(&mut self, frontier: &mut dyn Frontier) -> HashSet<Domain> {
        let pages: Vec<_> = self.robots.unpark_pages().into_iter().chain(self.allowed.take_all()).collect();
        let of = |leased: &Leased| {
            let Request { domain, url, .. } = &*leased.request;
            domain.clone().unwrap_or_else(|| self.politeness.domain_key.domain(url))
        };
        let domains = pages.iter().map(of).collect();
        give_back(frontier, pages.into_iter());
        domains
    }

    /// Rules a request by the robots file of its origin. It is parked while that is not known.
    pub fn check(&mut self, turn: &mut Turn<'_>, domain: &Domain, leased: Leased, horizon: Instant) -> RobotsCheck {
        let obeys_robots = turn.domains.live(domain, turn.now).obeys_robots;
        let ruling = if obeys_robots { self.robots.rule(&leased.request.url, horizon) } else { Ruling::Allowed(None) };
        match ruling {
            ruling @ (Ruling::Ask(_) | Ruling::Asked) => {
                self.robots.park(domain, leased);
                if let Ruling::Ask(file) = ruling
                    && let Some(file) = self.look_for_robots(turn, file)
                {
                    return RobotsCheck::Request(self.robots.lease(file));
                }
                if self.is_full(domain) { RobotsCheck::Full } else { RobotsCheck::Aside }
            }
            ruling => Self::apply(turn, domain, leased, ruling).map_or(RobotsCheck::Aside, RobotsCheck::Allowed),
        }
    }

    /// Applies a robots ruling to a page; returns the page if it may be fetched.
    fn apply(turn: &mut Turn<'_>, domain: &Domain, leased: Leased, ruling: Ruling) -> Option<Leased> {
        match ruling {
            Ruling::Allowed(spacing) => {
                turn.slow_down(domain, spacing);
                return Some(leased);
            }
            Ruling::Disallowed => turn.end(domain, leased, Outcome::Disallowed),
            Ruling::Unreachable(key, detail) => turn.end(domain, leased, Outcome::WithoutRequest { key, detail }),
            Ruling::NotBefore(until) => {
                turn.frontier.give_back(leased.id, Some(until), false);
            }
            Ruling::Ask(_) | Ruling::Asked => {
                turn.frontier.give_back(leased.id, None, false);
            }
        }
        None
    }

    /// Looks for a page among those that wait for their robots file, and those that it has allowed.
    pub fn set_aside(
        &self,
        domains: &Domains,
        page: &Url,
        domain: &Domain,
        is_it: &dyn Fn(&Request) -> bool,
    ) -> Option<SetAside> {
        let files = domains.robots_queued(domain);
        if let Some(before) = self.allowed.before(domain, is_it) {
            return Some(SetAside { ahead: (files + before) as u64, for_robots: false });
        }
        let before = self.robots.parked_before(page, is_it)?;
        Some(SetAside { ahead: (files + self.allowed.count(domain) + before) as u64, for_robots: true })
    }

    /// Returns how many requests of a domain go before all that wait in the frontier.
    pub fn set_aside_of(&self, domains: &Domains, domain: &Domain) -> u64 {
        (domains.robots_queued(domain) + self.allowed.count(domain) + self.robots.parked(domain)) as u64
    }

    /// Tells whether a file that an item needs waits for its robots file.
    pub fn file_waits(&self, file: &Url, is_it: &dyn Fn(&Request) -> bool) -> bool {
        self.robots.parked_before(file, is_it).is_some()
    }

    /// Returns what the robots file of a page says, if it is obeyed and known.
    pub fn robots_of(&mut self, page: &Url, now: Instant) -> Option<Robots> {
        let obeys = self.politeness.obeys_robots(&self.politeness.domain_key.domain(page));
        if obeys { self.robots.known(page, now) } else { None }
    }
}

fn give_back(frontier: &mut dyn Frontier, pages: impl Iterator<Item = Leased>) {
    for leased in pages {
        frontier.give_back(leased.id, None, false);
    }
}
