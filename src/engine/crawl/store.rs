//! Store: what follows from the news of the frontier's store, and what is committed to it. Knows no database.

use std::time::{Duration, Instant, SystemTime};

use super::{Crawl, Mode};
use crate::{
    engine::{
        draining::Draining,
        durability::{Deferred, Durability},
        turn::Turn,
    },
    frontier::{
        Frontier,
        durable::{Closed, StoreNews},
    },
};

impl Crawl {
    /// Handles the news of the frontier's store.
    pub fn store_news(&mut self, now: Instant, time: SystemTime) {
        while let Some(news) = self.frontier.durable().and_then(|store| store.news(now)) {
            match news {
                StoreNews::Answered(ticket) => match self.durability.take(ticket) {
                    Some(Deferred::Page(visit, time)) => self.page_ended(*visit, now, time),
                    Some(Deferred::Seeds(seeds, answer)) => self.admit_seeds(seeds, answer, now),
                    Some(Deferred::Listed(listed)) => self.admit_listed(listed, now),
                    Some(Deferred::Question(page, answer)) => self.answer(&page, answer, now),
                    Some(Deferred::Links(links)) => self.admit_links(links, now),
                    None => {}
                },
                StoreNews::Arrived(domain) => {
                    self.draining.arrived(&domain);
                    self.granter.wake(&mut self.frontier.files, &mut self.domains, &domain, now);
                }
                StoreNews::Stored(ticket) => self.durability.stored(ticket),
                StoreNews::TooLate(ticket) => self.durability.too_late(ticket),
                StoreNews::Gained(domains) => self.gain(domains, now, time),
                StoreNews::Lost(domains) => self.lose(&domains, now),
                StoreNews::Leaving => self.leave(now),
                StoreNews::Stays(parts) => self.stay(&parts, now),
                StoreNews::Links => self.links_arrived(now),
                StoreNews::Others(others) => self.others_did(*others),
                StoreNews::Robots(ticket, kept) => {
                    self.granter.rulings.file_found(&mut turn!(self, now), &self.granter.budget, ticket, kept, time);
                    self.request_sitemaps(now);
                }
                StoreNews::Room => self.durability.has_room(),
                StoreNews::Failed(why) => self.break_off(why),
            }
        }
    }

    /// Ends the crawl because results can no longer be stored or delivered, or nobody may be asked any more. Requests
    /// in flight end; their pages stay as they were last stored.
    pub fn break_off(&mut self, why: String) {
        self.set_mode(Mode::Stopping);
        self.draining = Draining::default();
        for deferred in self.durability.fail(why) {
            if let Deferred::Page(visit, _) = deferred {
                self.leave_unsettled(&visit);
            }
        }
    }

    /// Commits to the frontier's store what was done since the last commit, if that is due.
    pub fn commit(&mut self, elapsed: Duration, now: Instant, time: SystemTime) {
        let mut turn = turn!(self, now);
        if Durability::commit_due(&mut turn).is_some_and(|due| due <= now) {
            self.durability.commit(&mut turn, &self.granter.budget, elapsed, time);
        }
    }

    /// Commits to the frontier's store what was done since the last commit.
    pub fn commit_all(&mut self, elapsed: Duration, now: Instant, time: SystemTime) {
        self.durability.commit(&mut turn!(self, now), &self.granter.budget, elapsed, time);
    }

    /// Writes everything that was committed to the frontier's store and releases it; `None` if there is no store.
    pub fn close(&mut self, now: Instant) -> Option<Closed> {
        Durability::close(&mut turn!(self, now))
    }

    /// Records that the frontier's store was closed without an error.
    pub fn closed(&mut self, now: Instant) {
        while let Some(news) = self.frontier.durable().and_then(|store| store.news(now)) {
            if let StoreNews::TooLate(ticket) = news {
                self.durability.too_late(ticket);
            }
        }
        self.durability.all_stored();
    }

    /// Returns why the crawl cannot continue, if so.
    pub fn failure(&self) -> Option<&str> {
        self.durability.failure()
    }
}
