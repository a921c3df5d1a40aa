//! Durability: the crawl's dealings with a frontier that outlives the process: what waits for the store's answers, what
//! is stored with the next commit, and whether the store keeps up. In memory it has nothing to do.

use std::time::{Duration, Instant, SystemTime};

use hashbrown::{HashMap, HashSet};

use tokio::sync::oneshot;

use super::{budget::Budget, past, turn::Turn};
use crate::{
    domain::Domain,
    error::Error,
    fetcher::visit::Visit,
    frontier::{
        candidate::Candidate,
        durable::{Closed, Durable, Ticket},
    },
};

/// What is to be stored, and what waits for the store.
#[derive(Default)]
pub struct Durability {
    /// What waits until the frontier knows which of its links are new.
    deferred: HashMap<Ticket, Deferred>,
    /// The domains of which something is to be remembered with the next commit.
    to_remember: HashSet<Domain>,
    /// Whether the frontier outlives this process.
    is_durable: bool,
    /// Whether the frontier's store is behind.
    is_behind: bool,
    /// Who is answered when seeds are stored.
    seeders: HashMap<Ticket, SeedAnswer>,
    /// Why the crawl cannot go on: the frontier can store nothing any more, or a pipeline's output is gone.
    failure: Option<String>,
}

/// Tells who seeded that the seeds are stored. A crawl that cannot store them drops it.
pub type SeedAnswer = oneshot::Sender<Result<(), Error>>;

/// What waits until the frontier knows which of its links are new.
pub enum Deferred {
    /// A page that was visited.
    Page(Box<Visit>, SystemTime),
    /// Seeds, and who is answered when they are stored.
    Seeds(Vec<Candidate>, Option<SeedAnswer>),
}

impl Durability {
    /// Begins with a frontier that outlives the process, or does not.
    pub fn new(is_durable: bool) -> Self {
        Self { is_durable, ..Self::default() }
    }

    /// Tells whether the frontier outlives the process.
    pub fn is_durable(&self) -> bool {
        self.is_durable
    }

    /// Keeps something until the ticket comes back.
    pub fn defer(&mut self, ticket: Ticket, deferred: Deferred) {
        self.deferred.insert(ticket, deferred);
    }

    /// Returns what waited for a ticket.
    pub fn take(&mut self, ticket: Ticket) -> Option<Deferred> {
        self.deferred.remove(&ticket)
    }

    /// Returns how many pages and batches of seeds wait for the store.
    pub fn deferred(&self) -> usize {
        self.deferred.len()
    }

    /// Has the frontier store what a restart must not forget of a domain, with the next commit.
    pub fn remember(&mut self, domain: &Domain) {
        if self.is_durable {
            self.to_remember.get_or_insert_with(domain, Domain::clone);
        }
    }

    /// Tells whether the store is so far behind that no more work is to be taken on.
    pub fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// The store keeps up again.
    pub fn has_room(&mut self) {
        self.is_behind = false;
    }

    /// Answers who seeded as soon as what was done up to now survives the end of this process; at once in a crawl that
    /// does not.
    pub fn answer_when_stored(&mut self, turn: &mut Turn<'_>, answer: SeedAnswer) {
        match turn.frontier.durable() {
            Some(store) if self.failure.is_none() => drop(self.seeders.insert(store.acknowledge(), answer)),
            Some(_) => {}
            // Whoever waits no more need not be told.
            None => drop(answer.send(Ok(()))),
        }
    }

    /// What was done before the ticket was taken is stored.
    pub fn stored(&mut self, ticket: Ticket) {
        if let Some(answer) = self.seeders.remove(&ticket) {
            drop(answer.send(Ok(())));
        }
    }

    /// The store has been closed without an error: whoever still waits is answered.
    pub fn all_stored(&mut self) {
        for (_, answer) in self.seeders.drain() {
            drop(answer.send(Ok(())));
        }
    }

    /// Nothing more can be stored, or delivered. Returns what waited.
    pub fn fail(&mut self, why: String) -> Vec<Deferred> {
        self.failure.get_or_insert(why);
        self.seeders.clear();
        self.deferred.drain().map(|(_, deferred)| deferred).collect()
    }

    /// Tells why the crawl cannot go on.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Has the frontier store what was done since the last commit: all of it or nothing survives a crash.
    pub fn commit(&mut self, turn: &mut Turn<'_>, budget: &Budget, elapsed: Duration, time: SystemTime) {
        let now = turn.now;
        let Some(store) = turn.frontier.durable() else { return };
        for domain in self.to_remember.drain() {
            // Also of a domain that has no state any more: its pages count, and what it taught.
            let mut past = past::of(&domain, turn.domains, turn.accounts.domain(&domain), now, time);
            past.pages = budget.pages(&domain).unwrap_or(past.pages);
            store.remember(&domain, past);
        }
        store.commit(turn.accounts.to_store(elapsed), now);
        self.is_behind = store.is_behind();
    }

    /// Has the frontier let go of its store, after the last commit; `None` where it has none.
    pub fn close(turn: &mut Turn<'_>) -> Option<Closed> {
        turn.frontier.durable().map(Durable::close)
    }

    /// Tells when the next commit is due.
    pub fn commit_due(turn: &mut Turn<'_>) -> Option<Instant> {
        turn.frontier.durable().and_then(|store| store.commit_due())
    }
}
