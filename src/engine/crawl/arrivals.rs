//! Arrivals: what is offered to the crawl beside the links of its pages: seeds, what sitemaps list, and the files of
//! items.

use std::time::Instant;

use super::{Crawl, Mode};
use crate::{
    engine::{
        durability::{Deferred, SeedAnswer},
        turn::Turn,
    },
    events::event::Event,
    fetcher::Listed,
    frontier::{Frontier, candidate::Candidate},
};

/// How many seeds are admitted at once: a millisecond of the scheduler's time, in which no permit is granted.
pub const MAX_SEEDS_AT_ONCE: usize = 1_000;

impl Crawl {
    /// Admits the seeds that the crawl begins with, which may be millions: the store looks up a part of them at a time.
    pub fn begin(&mut self, seeds: Vec<Candidate>, now: Instant) {
        let mut seeds = seeds.into_iter();
        while seeds.len() > 0 {
            self.seed(seeds.by_ref().take(MAX_SEEDS_AT_ONCE).collect(), None, now);
        }
    }

    /// Admits seeds; their hosts extend the scope. With a durable frontier, `answer` gets the results once they are
    /// stored.
    pub fn seed(&mut self, seeds: Vec<Candidate>, answer: Option<SeedAnswer>, now: Instant) {
        self.accounts.note(&Event::Seeded { seeds: seeds.len() });
        for seed in &seeds {
            let url = &seed.request().url;
            // The seeds that a crawl begins with are given again when it is resumed, but not to other machines.
            if self.intake.include(url)
                && (answer.is_some() || self.is_shared())
                && let Some(store) = self.frontier.durable()
            {
                store.include(url);
            }
        }
        for site in self.granter.rulings.sitemaps.look_for(&seeds) {
            self.granter.rulings.look_at_file(&site, now);
        }
        match self.frontier.look_up(&mut seeds.iter().map(Candidate::fingerprint)) {
            None => self.admit_seeds(seeds, answer, now),
            Some(ticket) => self.durability.defer(ticket, Deferred::Seeds(seeds, answer)),
        }
        self.request_sitemaps(now);
    }

    /// Admits the sitemaps that were found meanwhile.
    pub(super) fn request_sitemaps(&mut self, now: Instant) {
        let mut found = self.granter.rulings.sitemaps.take_found();
        self.granter.rulings.sitemaps.each_once(&mut found);
        if found.is_empty() {
            return;
        }
        match self.frontier.look_up(&mut found.iter().map(Candidate::fingerprint)) {
            None => self.admit_seeds(found, None, now),
            Some(ticket) => self.durability.defer(ticket, Deferred::Seeds(found, None)),
        }
    }

    /// Queues the files that a page waits for. The scope does not apply, since the spider has named each file.
    pub fn files_asked(&mut self, files: Vec<Candidate>, now: Instant) {
        // A stopping crawl grants no file, and no page waits for one any more.
        if self.mode != Mode::Stopping {
            self.intake.admit(&mut turn!(self, now), files);
        }
    }

    /// Admits a part of what a sitemap lists.
    pub fn listed(&mut self, mut listed: Listed, now: Instant) {
        if self.durability.failure().is_some() {
            return;
        }
        self.granter.rulings.sitemaps.each_once(&mut listed.candidates);
        match self.frontier.look_up(&mut listed.candidates.iter().map(Candidate::fingerprint)) {
            None => self.admit_listed(listed, now),
            Some(ticket) => self.durability.defer(ticket, Deferred::Listed(listed)),
        }
    }

    pub(super) fn admit_listed(&mut self, Listed { candidates, admitted }: Listed, now: Instant) {
        self.intake.admit(&mut turn!(self, now), candidates);
        // A reader that is gone needs no answer.
        let _ = admitted.send(());
    }

    pub(super) fn admit_seeds(&mut self, seeds: Vec<Candidate>, answer: Option<SeedAnswer>, now: Instant) {
        let mut turn = turn!(self, now);
        let seeded = self.intake.admit_seeds(&mut turn, seeds);
        if let Some(answer) = answer {
            self.durability.answer_when_stored(&mut turn, answer, seeded);
        }
    }
}
