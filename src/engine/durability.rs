//! Durability: the crawl's side of a durable frontier: pages and seeds that wait for the store, what the next commit
//! stores, and whether the store keeps up. Does nothing for a frontier in memory.

use std::time::{Duration, Instant, SystemTime};

use hashbrown::{HashMap, HashSet};

use tokio::sync::oneshot;

use super::{budget::Budget, past, turn::Turn};
use crate::{
    domain::Domain,
    explain::Explanation,
    fetcher::{Listed, visit::Visit},
    frontier::{
        Frontier,
        candidate::Candidate,
        durable::{Closed, Durable, Ticket},
        shared::ArrivedId,
    },
    submissions::seeded::Seeded,
};

/// The most questions that wait at once, each for a look-up of milliseconds; further callers wait for a place.
pub const MAX_QUESTIONS: usize = 1_000;

/// What is to be stored, and what waits for the store.
#[derive(Default)]
pub struct Durability {
    /// Pages and seeds that wait until the frontier knows which of their URLs are new.
    deferred: HashMap<Ticket, Deferred>,
    /// Questions that wait for the same. They hold no fetched page, so they take no room of others.
    questions: HashMap<Ticket, (Box<Candidate>, oneshot::Sender<Explanation>)>,
    /// The domains to store with the next commit.
    to_remember: HashSet<Domain>,
    /// Whether the frontier is durable.
    is_durable: bool,
    /// Whether the frontier's store cannot keep up.
    is_behind: bool,
    /// Who to notify when seeds are stored, and of what.
    seeders: HashMap<Ticket, (SeedAnswer, Vec<Seeded>)>,
    /// Why the crawl cannot continue: nothing can be stored any more, or a pipeline's output is gone.
    failure: Option<String>,
}

/// Sends the caller the result of each seed once it is stored. It is dropped if storing fails.
pub type SeedAnswer = oneshot::Sender<Vec<Seeded>>;

/// Waits until the frontier knows which of its links are new.
pub enum Deferred {
    /// A visited page.
    Page(Box<Visit>, SystemTime),
    /// Seeds, and who to notify when they are stored.
    Seeds(Vec<Candidate>, Option<SeedAnswer>),
    /// What a sitemap lists, and who to notify when it is admitted.
    Listed(Listed),
    /// What other machines have sent.
    Links(Vec<(ArrivedId, Candidate)>),
    /// A page that someone asks about, and who.
    Question(Box<Candidate>, oneshot::Sender<Explanation>),
}

impl Durability {
    /// Creates the state for a durable frontier, or for one in memory.
    pub fn new(is_durable: bool) -> Self {
        Self { is_durable, ..Self::default() }
    }

    /// Tells whether the frontier is durable.
    pub fn is_durable(&self) -> bool {
        self.is_durable
    }

    /// Keeps `deferred` until its ticket is answered. After a failure no ticket is, so it is dropped, which tells who
    /// waits for it; no page comes here then.
    pub fn defer(&mut self, ticket: Ticket, deferred: Deferred) {
        if self.failure.is_some() {
            return;
        }
        let Deferred::Question(page, answer) = deferred else { return drop(self.deferred.insert(ticket, deferred)) };
        if self.questions.len() >= MAX_QUESTIONS {
            // Callers that no longer wait free their places.
            self.questions.retain(|_, (_, answer)| !answer.is_closed());
        }
        self.questions.insert(ticket, (page, answer));
    }

    /// Takes what waited for a ticket.
    pub fn take(&mut self, ticket: Ticket) -> Option<Deferred> {
        let question = || self.questions.remove(&ticket).map(|(page, answer)| Deferred::Question(page, answer));
        self.deferred.remove(&ticket).or_else(question)
    }

    /// Returns how many pages and batches of seeds wait for the store.
    pub fn deferred(&self) -> usize {
        self.deferred.len()
    }

    /// Stores with the next commit what a restart must know of a domain.
    pub fn remember(&mut self, domain: &Domain) {
        if self.is_durable {
            self.to_remember.get_or_insert_with(domain, Domain::clone);
        }
    }

    /// Tells whether the store is too far behind to take on more work.
    pub fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Records that the store keeps up again.
    pub fn has_room(&mut self) {
        self.is_behind = false;
    }

    /// Sends the results of seeds once everything done so far is stored; at once if the frontier is in memory.
    pub fn answer_when_stored(&mut self, turn: &mut Turn<'_>, answer: SeedAnswer, seeded: Vec<Seeded>) {
        match turn.frontier.durable() {
            Some(store) if self.failure.is_none() => {
                drop(self.seeders.insert(store.acknowledge(), (answer, seeded)));
            }
            Some(_) => {}
            // A caller that no longer waits need not be notified.
            None => drop(answer.send(seeded)),
        }
    }

    /// Records that everything done before the ticket is stored.
    pub fn stored(&mut self, ticket: Ticket) {
        if let Some((answer, seeded)) = self.seeders.remove(&ticket) {
            drop(answer.send(seeded));
        }
    }

    /// Records that everything done before the ticket came after the end, and is not stored: whoever waits for it is
    /// told so.
    pub fn too_late(&mut self, ticket: Ticket) {
        drop(self.seeders.remove(&ticket));
    }

    /// Records that the store was closed without an error; notifies everyone who still waits.
    pub fn all_stored(&mut self) {
        for (_, (answer, seeded)) in self.seeders.drain() {
            drop(answer.send(seeded));
        }
    }

    /// Records that nothing more can be stored or delivered. Returns what waited.
    pub fn fail(&mut self, why: String) -> Vec<Deferred> {
        self.failure.get_or_insert(why);
        self.seeders.clear();
        self.questions.clear();
        self.deferred.drain().map(|(_, deferred)| deferred).collect()
    }

    /// Returns why the crawl cannot continue, if so.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Commits to the frontier's store what was done since the last commit, atomically.
    pub fn commit(&mut self, turn: &mut Turn<'_>, budget: &Budget, elapsed: Duration, time: SystemTime) {
        let now = turn.now;
        // Files are not stored: the pages that wait for them are, and ask for them again.
        let unsettled = turn.frontier.files.waiting() + turn.frontier.files.leased();
        let Some(store) = turn.frontier.durable() else { return };
        for domain in self.to_remember.drain() {
            // Also for a domain without a state: its page count and what it taught are stored.
            let mut past = past::of(&domain, turn.domains, turn.accounts.domain(&domain), now, time);
            past.pages = budget.pages(&domain).unwrap_or(past.pages);
            store.remember(&domain, past);
        }
        let mut accounts = turn.accounts.to_store(elapsed);
        accounts.ledger.discovered -= unsettled;
        store.commit(accounts, now);
        self.is_behind = store.is_behind();
    }

    /// Releases the frontier's store after the last commit; `None` if there is no store.
    pub fn close(turn: &mut Turn<'_>) -> Option<Closed> {
        turn.frontier.durable().map(Durable::close)
    }

    /// Returns when the next commit is due.
    pub fn commit_due(turn: &mut Turn<'_>) -> Option<Instant> {
        turn.frontier.durable().and_then(|store| store.commit_due())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{identity::CanonicalUrl, request::Request};

    /// Regression: a robots file that came after the disk was full named sitemaps, which were looked up in a store that
    /// answered no more, and the crawl did not end.
    #[test]
    fn nothing_waits_for_a_store_that_has_failed() {
        let mut durability = Durability::new(true);
        let (answer, mut waiting) = oneshot::channel();
        durability.defer(Ticket(1), Deferred::Seeds(Vec::new(), None));
        assert_eq!((durability.deferred(), durability.fail("the disk is full".to_owned()).len()), (1, 1));
        durability.defer(Ticket(2), Deferred::Seeds(Vec::new(), Some(answer)));
        assert_eq!(durability.deferred(), 0);
        assert_eq!(waiting.try_recv(), Err(oneshot::error::TryRecvError::Closed), "who waits is told");
    }

    /// Regression: questions took the room of pages, and held up the end.
    #[test]
    fn questions_take_no_room_and_those_that_nobody_waits_for_are_forgotten() {
        let page = Candidate::new(Request::parse("http://a.test/").unwrap(), &CanonicalUrl::default());
        let mut durability = Durability::new(true);
        let mut ask = |number: usize| {
            let (answer, waiting) = oneshot::channel();
            durability.defer(Ticket(number as u64), Deferred::Question(page.clone().into(), answer));
            assert!(durability.deferred() == 0 && durability.questions.len() <= MAX_QUESTIONS + 1);
            waiting
        };
        let first = ask(0);
        (1..3 * MAX_QUESTIONS).for_each(|number| drop(ask(number)));
        assert!(matches!(durability.take(Ticket(0)), Some(Deferred::Question(..))));
        drop(first);
    }
}
