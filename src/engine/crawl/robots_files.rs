//! Robots files: what their answers mean for the pages that wait for them, and for the pace of their domains.

use std::time::{Duration, Instant};

use humantime::format_duration;
use url::Url;

use super::Crawl;
use crate::{
    clock,
    domain::Domain,
    engine::{log::LogLine, robots::Verdict},
    fetcher::{RobotsAnswer, RobotsResult},
    frontier::Leased,
    robots::Robots,
};

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
        match &answer.result {
            RobotsResult::Body(status @ (429 | 503), _) => {
                self.refused(domain, answer.started.unwrap_or(now), *status, answer.retry_after, now);
            }
            RobotsResult::Body(..) | RobotsResult::Redirect(_) => self.domains.live(domain).cooling.answered(),
            RobotsResult::Failed(_) | RobotsResult::Unsent | RobotsResult::Lost => {}
        }
        for verdict in self.robots.answered(answer, &mut self.stats, now) {
            match verdict {
                Verdict::Ask(url) => self.ask_for_robots(url, now),
                Verdict::Ruled { url, robots, parked } => {
                    self.apply_robots(&self.admission.domain(&url), robots.as_ref());
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
        self.domains.live(&domain).robots.push_back(url);
        self.domains.schedule(&domain, now);
    }

    /// Slows the domain down to what its robots file asks for, and takes note of that for the summary.
    fn apply_robots(&mut self, domain: &Domain, robots: Option<&Robots>) {
        let said = match robots {
            Some(Robots::Rules(rules)) => {
                self.slow_down(domain, rules.spacing());
                "rules"
            }
            Some(Robots::AllowAll) => "none",
            Some(Robots::DenyAll { .. }) | None => "could not be had",
        };
        let cap = self.politeness.max_crawl_delay;
        let said = match self.domains.live(domain).asked {
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

    /// Lets at least the time that a robots file asks for pass between two starts, up to the cap. The file may be
    /// remembered for longer than the domain, so this is seen to with every page.
    pub(super) fn slow_down(&mut self, domain: &Domain, asked: Option<Duration>) {
        let Some(asked) = asked else { return };
        let live = self.domains.live(domain);
        live.asked = live.asked.max(Some(asked));
        let spacing = asked.min(self.politeness.max_crawl_delay);
        let mut throttle = live.gate.throttle();
        if throttle.limits().spacing < spacing {
            let slowed = throttle.limits().slowed_to(spacing);
            throttle.set_limits(slowed);
        }
    }

    fn unpark(&mut self, parked: Vec<(Domain, Leased)>, now: Instant) {
        for (domain, leased) in parked {
            self.frontier.give_back(leased.id, None, false);
            self.domains.schedule(&domain, now);
        }
    }
}
