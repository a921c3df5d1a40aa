//! Stored: the crawl's dealings with a frontier that outlives the process: taking up, committing, news, the end.

use std::time::{Duration, Instant, SystemTime};

use super::{Crawl, Held, Mode, SeedAnswer, draining::Draining};
use crate::{
    clock,
    domain::Domain,
    engine::{budget::Spending, past},
    fetcher::visit::Visit,
    frontier::{
        candidate::Candidate,
        durable::{Checkpoint, Closed, DomainHistory, Durable, News, Resumed},
    },
    stats::Stats,
};

impl Crawl {
    /// Takes up what an earlier process left. It may have been killed right after it asked any of its domains.
    pub fn resume(&mut self, resumed: Resumed, now: Instant, time: SystemTime) {
        let Some(checkpoint) = resumed.checkpoint else { return };
        self.admission.resume();
        self.domains.begin_as_asked(now);
        self.budget.resume(checkpoint.counts.get("outcome/ok").copied().unwrap_or(0));
        self.elapsed_before = checkpoint.elapsed;
        (self.stats.ledger, self.stats.counts) = (checkpoint.ledger, checkpoint.counts);
        (self.stats.bytes, self.stats.items) = (checkpoint.bytes, checkpoint.items);
        for url in &resumed.included {
            self.admission.include(url);
        }
        for (domain, past) in resumed.histories {
            self.budget.resume_domain(&domain, past.pages);
            past::recall(&past, &domain, &mut self.domains, &mut self.stats, now, time);
        }
        for domain in self.frontier.domains() {
            self.domains.schedule(domain, now);
        }
    }

    /// Acts on what the frontier's store has to say.
    pub fn news(&mut self, now: Instant) {
        while let Some(news) = self.frontier.durable().and_then(|store| store.news(now)) {
            match news {
                News::Answered(ticket) => match self.held.remove(&ticket) {
                    Some(Held::Page(visit, time)) => self.take_in(*visit, now, time),
                    Some(Held::Seeds(seeds, answer)) => self.admit_seeds(seeds, answer, now),
                    None => {}
                },
                News::Arrived(domain) => {
                    self.draining.arrived(&domain);
                    self.domains.schedule(&domain, now);
                }
                News::Stored(ticket) => {
                    if let Some(answer) = self.seeders.remove(&ticket) {
                        // Whoever does not wait any more need not be told.
                        let _ = answer.send(Ok(()));
                    }
                }
                News::Gained(domains) => self.gain(domains, now, clock::wall()),
                // Of lost domains the frontier lends nothing more, and their loans have ended. Nobody asks for robots
                // files here.
                News::Lost(_) | News::Robots(..) => {}
                News::Room => self.is_behind = false,
                News::Failed(why) => self.fail_store(why),
            }
        }
    }

    /// Admits seeds, and has whoever waits for it answered when they are stored.
    pub(super) fn admit_seeds(&mut self, seeds: Vec<Candidate>, answer: Option<SeedAnswer>, now: Instant) {
        self.admit_all(seeds, now);
        let Some(answer) = answer else { return };
        match self.frontier.durable() {
            Some(store) if self.failure.is_none() => drop(self.seeders.insert(store.acknowledge(), answer)),
            // A crawl in memory has nothing more to do; one whose store has failed drops the answer.
            Some(_) => {}
            None => drop(answer.send(Ok(()))),
        }
    }

    /// Tells everybody who still waits that their seeds are stored: the store has been closed without an error.
    pub fn answer_seeders(&mut self) {
        for (_, answer) in self.seeders.drain() {
            let _ = answer.send(Ok(()));
        }
    }

    /// Takes domains over from another process, which may have asked them right before.
    fn gain(&mut self, domains: Vec<(Domain, DomainHistory)>, now: Instant, time: SystemTime) {
        self.domains.begin_as_asked(now);
        for (domain, history) in domains {
            self.budget.resume_domain(&domain, history.pages);
            past::recall(&history, &domain, &mut self.domains, &mut self.stats, now, time);
            self.domains.schedule(&domain, now);
        }
    }

    /// Has the frontier store what was done since the last commit, if that is due: all of it or nothing survives a crash.
    pub fn commit(&mut self, elapsed: Duration, now: Instant, time: SystemTime) {
        let due = self.frontier.durable().and_then(|store| store.commit_due());
        if due.is_some_and(|due| due <= now) {
            self.commit_now(elapsed, now, time);
        }
    }

    fn commit_now(&mut self, elapsed: Duration, now: Instant, time: SystemTime) {
        let Some(store) = self.frontier.durable() else { return };
        for domain in self.to_remember.drain() {
            let Some(live) = self.domains.get(&domain) else { continue };
            let usual = self.politeness.limits(&domain);
            let mut past = past::of(live, &usual, self.stats.domains.get(&domain), now, time);
            past.pages = self.budget.pages(&domain).unwrap_or(past.pages);
            store.remember(&domain, past);
        }
        let elapsed = self.elapsed_before + elapsed;
        let Stats { ledger, counts, bytes, items, .. } = &self.stats;
        let checkpoint = Checkpoint { ledger: *ledger, counts: counts.clone(), bytes: *bytes, items: *items, elapsed };
        store.commit(checkpoint, now);
        self.is_behind = store.is_behind();
    }

    /// Has the frontier write all that it holds and let go of its store; `None` where it has none.
    pub fn close(&mut self, elapsed: Duration, now: Instant, time: SystemTime) -> Option<Closed> {
        self.commit_now(elapsed, now, time);
        self.frontier.durable().map(Durable::close)
    }

    /// Tells why the frontier can store nothing any more.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Nothing that is done from here on would last: what is in flight ends, and its pages are left as they were stored.
    fn fail_store(&mut self, why: String) {
        self.failure = Some(why);
        self.set_mode(Mode::Stopping);
        self.seeders.clear();
        self.draining = Draining::default();
        for (_, held) in std::mem::take(&mut self.held) {
            if let Held::Page(visit, _) = held {
                self.leave_unsettled(&visit);
            }
        }
    }

    pub(super) fn leave_unsettled(&mut self, visit: &Visit) {
        let domain = self.admission.domain(&visit.leased.request.url);
        self.budget.ended(&domain, false);
        self.frontier.give_back(visit.leased.id, None, false);
    }

    /// Has the frontier store what a restart must not forget of a domain, with the next commit.
    pub(super) fn remember(&mut self, domain: &Domain) {
        if self.is_durable {
            self.to_remember.get_or_insert_with(domain, Domain::clone);
        }
    }

    /// Tells whether all that waits is kept for a larger budget. Only a frontier that is there tomorrow keeps it.
    pub(super) fn keeps_the_rest(&mut self) -> bool {
        if !self.is_durable || !self.budget.is_limited() {
            return false;
        }
        if self.budget.of_all() == Spending::Used {
            return true;
        }
        // This is asked with every turn: the one domain that has more is remembered, and others are looked for only
        // when it has had its pages too.
        let has_more = |domain: &&Domain| self.budget.of(domain) != Spending::Used;
        let known = self.unspent.as_ref().filter(|domain| self.frontier.has_waiting(domain)).filter(has_more);
        if known.is_none() {
            self.unspent = self.frontier.domains().find(has_more).cloned();
        }
        self.unspent.is_none()
    }
}
