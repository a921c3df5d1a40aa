//! Resumed: how a crawl goes on with what earlier processes have left.

use std::time::{Instant, SystemTime};

use super::Crawl;
use crate::{
    domain::Domain,
    engine::past,
    frontier::{
        Frontier,
        durable::{DomainHistory, Resumed},
    },
    stats::count::{Count, requests_in},
};

impl Crawl {
    /// Continues the crawl of an earlier process. That process may have been killed just after it sent a request to any
    /// domain, even before its first commit.
    pub fn resume(&mut self, resumed: Resumed, now: Instant, time: SystemTime) {
        let is_shared = resumed.is_shared;
        self.go_on_with(resumed, now, time);
        if is_shared {
            // It may be paused, for one: that is known before anybody is asked.
            self.store_news(now, time);
        }
    }

    fn go_on_with(&mut self, resumed: Resumed, now: Instant, time: SystemTime) {
        if self.durability.is_durable() {
            self.intake.resume_depths(resumed.depths, resumed.is_shared);
            self.intake.resume_visits(resumed.visits);
        }
        if resumed.was_open || resumed.checkpoint.is_some() {
            self.domains.begin_as_asked(now);
        }
        if resumed.is_shared {
            self.share_with(resumed.checkpoint.clone().unwrap_or_default());
        }
        let Some(checkpoint) = resumed.checkpoint else { return };
        self.intake.resume();
        self.resting.resume();
        self.intake.resume_waiting_seeds(&resumed.waiting_seeds);
        if !resumed.is_shared {
            let pages = checkpoint.counts.get(&Count::PAGES.to_string()).copied().unwrap_or(0);
            self.granter.budget.resume(pages, requests_in(&checkpoint.counts));
            self.accounts.resume(checkpoint);
        }
        self.accounts.ends.resume(resumed.failed);
        for url in &resumed.included {
            self.intake.include(url);
        }
        for (domain, history) in resumed.histories {
            self.recall(&domain, &history, now, time);
        }
        for domain in self.frontier.domains() {
            self.domains.schedule(domain, now);
        }
    }

    pub(super) fn recall(&mut self, domain: &Domain, history: &DomainHistory, now: Instant, time: SystemTime) {
        self.granter.budget.resume_domain(domain, history.pages);
        past::recall(history, domain, &mut self.domains, self.accounts.evidence(), now, time);
    }
}
