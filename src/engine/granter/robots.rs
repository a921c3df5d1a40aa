//! Robots: what the answer to the request for a robots file means for the pages that wait for it, and for the pace of
//! its domain.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use humantime::format_duration;
use url::Url;

use super::{Granter, give_back};
use crate::{
    domain::Domain,
    engine::{
        budget::Spending,
        robots_files::{FollowUp, ruling},
        turn::Turn,
    },
    event::{Event, Fate, RequestEnded},
    fetcher::{readers::Content, receipt::Receipt, visit::Visit},
    frontier::{
        Leased,
        durable::{self, Ticket},
    },
    outcome::Outcome,
    robots::Robots,
};

impl Granter {
    /// Takes in how the request for a robots file ended. Returns its domain.
    pub fn robots_ended(&mut self, turn: &mut Turn<'_>, visit: Visit, time: SystemTime) -> Domain {
        let Visit { leased: Leased { request, attempt, .. }, outcome, content, receipt, heeded, counts, .. } = visit;
        let domain = self.politeness.domain_key.domain(&request.url);
        let fate = if self.robots.is_awaited(&request.url) { Fate::Final } else { Fate::Stale };
        turn.accounts.note(&Event::RequestEnded(RequestEnded {
            domain: &domain,
            request: &request,
            attempt,
            outcome: &outcome,
            receipt: &receipt,
            items: 0,
            counts: &counts,
            fate,
            time,
        }));
        if let Some(heeded) = heeded {
            turn.heed(&domain, heeded);
        }
        let follow_ups = self.robots.answered(&request.url, &outcome, content, turn.accounts, turn.now);
        self.follow(turn, follow_ups, time);
        self.schedule(turn.domains, &domain, turn.now);
        domain
    }

    /// Has the frontier's store look for a robots file that is to be asked for; returns the file's URL where it keeps none.
    /// It was fetched within a day, and had to go from memory.
    pub(super) fn look_for_robots(&mut self, turn: &mut Turn<'_>, file: Url) -> Option<Url> {
        let origin = file.origin().ascii_serialization();
        let Some(ticket) = turn.frontier.durable().and_then(|store| store.robots(&origin)) else { return Some(file) };
        self.robots.look_for(file, ticket);
        None
    }

    /// Takes in what the frontier's store has found.
    pub fn robots_found(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        kept: Option<durable::RobotsFile>,
        time: SystemTime,
    ) {
        let age = |fetched_at_ms| since_1970(time).saturating_sub(Duration::from_millis(fetched_at_ms));
        let file = kept.map(|kept| (kept.body, age(kept.fetched_at_ms)));
        let follow_ups = self.robots.found(ticket, file, turn.now);
        self.follow(turn, follow_ups, time);
    }

    /// Does what follows from an answer, or from a file that was kept.
    fn follow(&mut self, turn: &mut Turn<'_>, follow_ups: Vec<FollowUp>, time: SystemTime) {
        for follow_up in follow_ups {
            match follow_up {
                FollowUp::Ask(url) => self.ask(turn, url),
                FollowUp::Ruled { url, robots, text, parked } => {
                    if let (Some(text), Some(store)) = (text, turn.frontier.durable()) {
                        let fetched_at = u64::try_from(since_1970(time).as_millis()).unwrap_or(u64::MAX);
                        store.remember_robots(&url.origin().ascii_serialization(), &text, fetched_at);
                    }
                    self.note_robots(turn, &self.politeness.domain_key.domain(&url), &robots);
                    for (domain, leased) in parked {
                        self.unpark(turn, &domain, leased, &robots);
                    }
                }
            }
        }
    }

    /// The request for a robots file was lost: its fetcher panicked or died.
    pub fn robots_lost(&mut self, turn: &mut Turn<'_>, leased: Leased, time: SystemTime) {
        let domain = self.politeness.domain_key.domain(&leased.request.url);
        turn.accounts.note(&Event::FetcherLost { domain: &domain, request: &leased.request, is_last: false });
        let outcome = Outcome::Panic("the fetcher panicked over it".to_owned());
        let visit = Visit {
            leased,
            outcome,
            content: Content::Nothing,
            receipt: Receipt::default(),
            heeded: None,
            counts: Vec::new(),
            stop: None,
        };
        self.robots_ended(turn, visit, time);
    }

    /// Asks for a robots file elsewhere. A hop to another domain is paced as that domain's own.
    fn ask(&mut self, turn: &mut Turn<'_>, url: Url) {
        let domain = self.politeness.domain_key.domain(&url);
        turn.push_robots(&domain, url);
        self.schedule(turn.domains, &domain, turn.now);
    }

    /// Rules a page by the answer that it waited for, here and now: the cache may have no room for the file, and would
    /// have it asked for again before the page's turn.
    fn unpark(&mut self, turn: &mut Turn<'_>, domain: &Domain, leased: Leased, robots: &Robots) {
        if turn.given_up(domain).is_some() || self.budget.of(domain) == Spending::Used {
            give_back(turn.frontier, std::iter::once(leased));
        } else {
            let ruling = ruling(robots, &leased.request.url);
            if let Some(leased) = Self::apply(turn, domain, leased, ruling) {
                self.ruled.push(domain, leased);
            }
        }
        self.schedule(turn.domains, domain, turn.now);
    }

    /// Takes note of what a domain's robots file asks for, for its pace and for the summary.
    fn note_robots(&self, turn: &mut Turn<'_>, domain: &Domain, robots: &Robots) {
        let cap = self.politeness.max_crawl_delay;
        let said = match robots {
            Robots::Rules(rules) => {
                turn.slow_down(domain, rules.spacing());
                "rules"
            }
            Robots::AllowAll => "none",
            Robots::DenyAll { .. } => "could not be had",
        };
        let said = match turn.asked(domain) {
            None => said.to_owned(),
            Some(asked) if asked <= cap => format!("rules, {} between starts", format_duration(asked)),
            Some(asked) => {
                tracing::warn!(%domain, ?asked, ?cap, "robots.txt asks for more time between starts than is granted");
                turn.accounts.note(&Event::CrawlDelayAboveCap { domain, asked, cap });
                format!("rules, {} between starts, held to {}", format_duration(asked), format_duration(cap))
            }
        };
        turn.accounts.robots_said(domain, said);
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}
