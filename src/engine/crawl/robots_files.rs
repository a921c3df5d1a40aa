//! Robots files: what their answers mean for the pages that wait for them, and for the pace of their domains.

use std::time::{Duration, Instant};

use humantime::format_duration;
use url::Url;

use super::Crawl;
use crate::{
    clock,
    conduct::Asked,
    domain::Domain,
    engine::{log::LogLine, robots::Verdict},
    fetcher::{RobotsAnswer, RobotsResult},
    frontier::Leased,
    robots::Robots,
};

/// How long a robots file is valid (RFC 9309 §2.4), and with it what it asks for.
const VALID: Duration = Duration::from_secs(86_400);

impl Crawl {
    /// Takes in what became of a robots file.
    pub fn robots_answered(&mut self, answer: RobotsAnswer, now: Instant) {
        let domain = self.admission.domain(&answer.url);
        self.take_robots_in(answer, &domain, now);
        self.remember(&domain);
    }

    fn take_robots_in(&mut self, answer: RobotsAnswer, domain: &Domain, now: Instant) {
        self.stats.bytes += answer.bytes;
        self.domains.schedule(domain, now);
        if let Some(lines) = &mut self.log {
            lines.extend(LogLine::robots(clock::wall(), domain.clone(), &answer));
        }
        if let Some(heeded) = answer.heeded {
            self.heed(domain, heeded, now);
        }
        for verdict in self.robots.answered(answer, &mut self.stats, now) {
            match verdict {
                Verdict::Ask(url) => self.ask_for_robots(url, now),
                Verdict::Ruled { url, robots, parked } => {
                    self.apply_robots(&self.admission.domain(&url), robots.as_ref(), now);
                    self.unpark(parked, now);
                }
            }
        }
    }

    /// The question for a robots file was dropped unanswered: its fetcher panicked or died.
    pub fn robots_lost(&mut self, url: Url, now: Instant) {
        self.stats.count("fetcher/lost");
        let answer = RobotsAnswer::unasked(url, RobotsResult::Lost);
        let domain = self.admission.domain(&answer.url);
        self.take_robots_in(answer, &domain, now);
    }

    /// A hop to another domain is paced as that domain's own.
    fn ask_for_robots(&mut self, url: Url, now: Instant) {
        let domain = self.admission.domain(&url);
        self.domains.live(&domain, now).robots.push_back(url);
        self.domains.schedule(&domain, now);
    }

    /// Slows the domain down to what its robots file asks for, and takes note of that for the summary.
    fn apply_robots(&mut self, domain: &Domain, robots: Option<&Robots>, now: Instant) {
        let said = match robots {
            Some(Robots::Rules(rules)) => {
                self.slow_down(domain, rules.spacing(), now);
                "rules"
            }
            Some(Robots::AllowAll) => "none",
            Some(Robots::DenyAll { .. }) | None => "could not be had",
        };
        let cap = self.politeness.max_crawl_delay;
        let asked = self.domains.live(domain, now).tenancy.asked(now).map(|asked| asked.spacing);
        let said = match asked {
            None => said.to_owned(),
            Some(asked) if asked <= cap => format!("rules, {} between starts", format_duration(asked)),
            Some(asked) => {
                self.stats.count("robots/crawl_delay_above_cap");
                tracing::warn!(%domain, ?asked, ?cap, "robots.txt asks for more time between starts than is granted");
                format!("rules, {} between starts, held to {}", format_duration(asked), format_duration(cap))
            }
        };
        if let Some(of_domain) = self.stats.domain(domain) {
            of_domain.robots = Some(said);
        }
    }

    /// Lets at least the time that a robots file asks for pass between two starts, up to the cap. This is seen to with
    /// every page, for where the file is remembered and what it asks for is not.
    pub(super) fn slow_down(&mut self, domain: &Domain, asked: Option<Duration>, now: Instant) {
        let Some(spacing) = asked else { return };
        let tenancy = &self.domains.live(domain, now).tenancy;
        if tenancy.asked(now).is_none_or(|known| known.spacing < spacing) {
            tenancy.ask_for(Asked { spacing, until: now + VALID }, now);
        }
    }

    fn unpark(&mut self, parked: Vec<(Domain, Leased)>, now: Instant) {
        for (domain, leased) in parked {
            self.frontier.give_back(leased.id, None, false);
            self.domains.schedule(&domain, now);
        }
    }
}
