//! Answers: what follows when a robots file was fetched, was found in the store, or is not to be had.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use humantime::format_duration;
use url::Url;

use super::{Rulings, give_back};
use crate::{
    conduct::cooling::CoolingCause,
    domain::Domain,
    engine::{
        budget::{Budget, Spending},
        robots_files::{FollowUp, robots_file_of, ruling},
        turn::{Turn, of_given_up},
    },
    events::event::{Event, Fate, RequestEnded},
    fetcher::{readers::Extracted, visit::Visit},
    frontier::{
        Frontier, Leased,
        durable::{self, Ticket},
    },
    outcome::Outcome,
    request::Kind,
    robots::{Robots, is_robots_file},
};

impl Rulings {
    /// Handles the end of a request for a robots file. Returns its domain.
    pub fn file_ended(&mut self, turn: &mut Turn<'_>, budget: &Budget, visit: Visit, time: SystemTime) -> Domain {
        let Visit {
            leased: Leased { request, attempt, .. }, outcome, content, receipt, cooled, counts, permit, ..
        } = visit;
        let domain = self.politeness.domain_key.domain(&request.url);
        let fate = if self.robots.is_awaited(&request.url) { Fate::Final } else { Fate::Stale };
        turn.accounts.note(&Event::RequestEnded(RequestEnded {
            domain: &domain,
            request: &request,
            attempt,
            outcome: &outcome,
            receipt: &receipt,
            items: 0,
            is_redirect_to_seen: false,
            counts: &counts,
            fate,
            time,
        }));
        if let Some(cooled) = cooled {
            turn.note_cooled(&domain, cooled);
        }
        let follow_ups = self.robots.answered(&request.url, &outcome, content, turn.accounts, turn.now);
        self.follow(turn, budget, follow_ups, time);
        // What the file asks for is in force: the next request may go.
        drop(permit);
        self.wake(&mut turn.frontier.files, turn.domains, &domain, turn.now);
        domain
    }

    /// Collects the sitemaps that the robots file of a site names, if that file is known already.
    pub fn look_at_file(&mut self, site: &Url, now: Instant) {
        if self.politeness.obeys_robots(&self.politeness.domain_key.domain(site))
            && let Some(robots) = self.robots.known(site, now)
        {
            self.sitemaps.robots_known(&robots_file_of(site), &robots);
        }
    }

    /// Looks for a robots file in the frontier's store: it may have been fetched within a day and evicted from memory.
    /// Returns the URL to request if there is no store.
    pub(super) fn look_for_robots(&mut self, turn: &mut Turn<'_>, file: Url) -> Option<Url> {
        let origin = file.origin().ascii_serialization();
        let Some(ticket) = turn.frontier.durable().and_then(|store| store.robots(&origin)) else { return Some(file) };
        self.robots.look_for(file, ticket);
        None
    }

    /// Handles what the frontier's store has found.
    pub fn file_found(
        &mut self,
        turn: &mut Turn<'_>,
        budget: &Budget,
        ticket: Ticket,
        kept: Option<durable::StoredRobotsFile>,
        time: SystemTime,
    ) {
        let file = kept.and_then(|kept| Some((kept.body, age(kept.fetched_at_ms, time)?)));
        let follow_ups = self.robots.found(ticket, file, turn.now);
        self.follow(turn, budget, follow_ups, time);
    }

    /// Does what follows from a response or a stored file.
    fn follow(&mut self, turn: &mut Turn<'_>, budget: &Budget, follow_ups: Vec<FollowUp>, time: SystemTime) {
        for follow_up in follow_ups {
            match follow_up {
                FollowUp::Ask(url) => self.ask(turn, budget, url),
                FollowUp::Ruled { url, robots, text, parked } => {
                    if let (Some(text), Some(store)) = (text, turn.frontier.durable()) {
                        let fetched_at = u64::try_from(since_1970(time).as_millis()).unwrap_or(u64::MAX);
                        store.remember_robots(&url.origin().ascii_serialization(), &text, fetched_at);
                    }
                    self.ruled(turn, budget, &url, &robots, parked);
                }
            }
        }
    }

    /// Applies what is known of an origin's robots file to the pages that waited for it.
    fn ruled(
        &mut self,
        turn: &mut Turn<'_>,
        budget: &Budget,
        url: &Url,
        robots: &Robots,
        parked: Vec<(Domain, Leased)>,
    ) {
        self.sitemaps.robots_known(url, robots);
        self.note_robots(turn, &self.politeness.domain_key.domain(url), robots);
        for (domain, leased) in parked {
            self.unpark(turn, budget, &domain, leased, robots);
        }
    }

    /// Fails the robots files that wait to be requested from a given-up domain. Pages of other domains wait for one
    /// too, if their robots files redirect there.
    pub fn fail_files(&mut self, turn: &mut Turn<'_>, budget: &Budget, domain: &Domain, why: CoolingCause) {
        while let Some(file) = turn.domains.pop_robots(domain) {
            let outcome = of_given_up(why);
            for follow_up in self.robots.answered(&file, &outcome, Extracted::Nothing, turn.accounts, turn.now) {
                if let FollowUp::Ruled { url, robots, parked, .. } = follow_up {
                    self.ruled(turn, budget, &url, &robots, parked);
                }
            }
        }
    }

    /// Handles the loss of a request for a robots file, whose fetcher panicked or died.
    pub fn file_lost(&mut self, turn: &mut Turn<'_>, budget: &Budget, leased: Leased, time: SystemTime) {
        let domain = self.politeness.domain_key.domain(&leased.request.url);
        turn.accounts.note(&Event::FetcherLost { domain: &domain, request: &leased.request, is_last: false });
        let outcome = Outcome::Panic("the fetcher panicked over it".to_owned());
        self.file_ended(turn, budget, Visit::without_request(leased, outcome), time);
    }

    /// Answers the robots files that wait to be requested from a domain of another process.
    pub fn files_elsewhere(&mut self, turn: &mut Turn<'_>, budget: &Budget, domain: &Domain) {
        while let Some(file) = turn.domains.pop_robots(domain) {
            self.not_asked(turn, budget, &file);
        }
    }

    /// Lets a robots file of a domain of another process count as one that could not be had, so that it is asked for
    /// again later.
    fn not_asked(&mut self, turn: &mut Turn<'_>, budget: &Budget, file: &Url) {
        let outcome =
            Outcome::WithoutRequest { key: "elsewhere", detail: "another machine asks its domain".to_owned() };
        for follow_up in self.robots.answered(file, &outcome, Extracted::Nothing, turn.accounts, turn.now) {
            if let FollowUp::Ruled { url, robots, parked, .. } = follow_up {
                self.ruled(turn, budget, &url, &robots, parked);
            }
        }
    }

    /// Requests a robots file. A redirect to another domain is paced as that domain's request. Of a domain of another
    /// process the store may have the file; otherwise it is not to be had now.
    fn ask(&mut self, turn: &mut Turn<'_>, budget: &Budget, url: Url) {
        let domain = self.politeness.domain_key.domain(&url);
        if !turn.frontier.holds(&domain) {
            if self.robots.begin_elsewhere(&url) && is_robots_file(&url) {
                if let Some(url) = self.look_for_robots(turn, url) {
                    self.not_asked(turn, budget, &url);
                }
            } else {
                self.not_asked(turn, budget, &url);
            }
            return;
        }
        turn.domains.push_robots(&domain, url);
        self.wake(&mut turn.frontier.files, turn.domains, &domain, turn.now);
    }

    /// Applies the answer that a page waited for at once. The cache may be too small for the file, and a later look-up
    /// would request it again.
    fn unpark(&mut self, turn: &mut Turn<'_>, budget: &Budget, domain: &Domain, leased: Leased, robots: &Robots) {
        let is_file = leased.request.kind() == Kind::File;
        if turn.given_up(domain).is_some() || !is_file && budget.of(domain) == Spending::Used {
            give_back(turn.frontier, std::iter::once(leased));
        } else {
            let ruling = ruling(robots, &leased.request.url);
            match Self::apply(turn, domain, leased, ruling) {
                Some(leased) if is_file => turn.frontier.files.allowed(leased.id),
                Some(leased) => self.allowed.push(domain, leased),
                None => {}
            }
        }
        self.wake(&mut turn.frontier.files, turn.domains, domain, turn.now);
    }

    /// Records what a robots file asks for, for the domain's spacing and for the summary.
    fn note_robots(&self, turn: &mut Turn<'_>, domain: &Domain, robots: &Robots) {
        if !turn.frontier.holds(domain) {
            // Another machine asks it, by a conduct of its own.
            return;
        }
        let cap = self.politeness.max_crawl_delay;
        let said = match robots {
            Robots::Rules(rules) => {
                turn.slow_down(domain, rules.spacing());
                // A file that is missing is stored as an empty one.
                if rules.is_empty() { "none" } else { "rules" }
            }
            Robots::AllowAll => "none",
            Robots::DenyAll { .. } => "could not be had",
        };
        let said = match turn.asked(domain) {
            None => said.to_owned(),
            Some(asked) if asked <= cap => format!("rules, {} between starts", format_duration(asked)),
            Some(asked) => {
                if let Some(unsaid) = turn.accounts.warn("crawl delay above cap", turn.now) {
                    let what = "robots.txt asks for more time between starts than is granted";
                    tracing::warn!(%domain, ?asked, ?cap, unsaid, "{what}");
                }
                turn.accounts.note(&Event::CrawlDelayAboveCap { domain, asked, cap });
                format!("rules, {} between starts, held to {}", format_duration(asked), format_duration(cap))
            }
        };
        turn.accounts.robots_said(domain, said);
    }
}

/// Returns how old a file is; `None` if it was fetched while the clock was ahead: then nobody knows.
fn age(fetched_at_ms: u64, time: SystemTime) -> Option<Duration> {
    since_1970(time).checked_sub(Duration::from_millis(fetched_at_ms))
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regression: a file from the future was new each day, until the calendar had caught up.
    #[test]
    fn a_robots_file_from_the_future_is_asked_for_again() {
        let day = Duration::from_secs(86_400);
        let now = UNIX_EPOCH + 20_000 * day;
        assert_eq!(age(19_999 * 86_400_000, now), Some(day));
        assert_eq!(age(20_001 * 86_400_000, now), None);
    }
}
