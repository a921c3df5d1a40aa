//! The windowed frontier's exchange with its store: commits, look-ups, and news.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use url::Url;

use super::{
    WindowedFrontier,
    calendar::Calendar,
    sharing::{Sharing, due},
    store::{Change, DeadLetter},
    store_thread::{StoreAnswer, StoreCommand},
};
use crate::{
    domain::Domain,
    frontier::{
        durable::{Checkpoint, Closed, DomainHistory, Durable, Listener, StoreNews, StoredRobotsFile, Ticket},
        known_depth::KnownDepth,
        part::Part,
        shared::Shared,
    },
    identity::{Fingerprint, strip_user_info},
    recrawl::page_visit::PageVisit,
    request::Request,
};

/// A look-up of fingerprints that the store has not answered.
pub(super) struct Question {
    /// All fingerprints of the look-up, including those that were in memory.
    fingerprints: Vec<Fingerprint>,
    generation: u64,
}

/// How long changes are collected for one commit, because each commit costs as much as several pages. A page whose
/// commit is prevented by a crash is crawled again.
const GATHER: Duration = Duration::from_millis(25);

/// The same if someone waits for the commit, such as the sender of a seed.
const GATHER_AWAITED: Duration = Duration::from_millis(2);

/// The number of changes that are committed without waiting for more.
const MAX_GATHERED: usize = 2_000;

impl WindowedFrontier {
    /// Asks the store for the fingerprints that are not in memory; returns whether there are any. Those in memory are
    /// kept at least until the result has been used.
    pub(super) fn ask(&mut self, ticket: Ticket, fingerprints: Vec<Fingerprint>) -> bool {
        self.recent.make_room(fingerprints.len());
        let generation = self.recent.generation();
        let unknown = fingerprints.iter().copied().filter(|fingerprint| !self.recent.refresh(fingerprint));
        let unknown: Vec<_> = unknown.collect();
        let asked = !unknown.is_empty();
        if asked {
            self.link.send(StoreCommand::Ask { ticket, fingerprints: unknown });
            self.questions.insert(ticket, Question { fingerprints, generation });
        }
        asked
    }

    /// Handles the result of a look-up; `None` if it came too late and was asked for again.
    fn take_seen(&mut self, ticket: Ticket, seen: Vec<(Fingerprint, u32)>) -> Option<Ticket> {
        let question = self.questions.remove(&ticket)?;
        if !self.recent.has_forgotten_since(question.generation) {
            for (fingerprint, at) in seen {
                // It may have been admitted again since the look-up.
                let at = self.recent.seen_at(&fingerprint).map_or(at, |known| known.max(at));
                self.recent.insert(fingerprint, at);
            }
        }
        // Fingerprints that were admitted during the look-up, or in memory when it began, may have been evicted
        // already.
        let too_late = self.recent.has_forgotten_since(question.generation);
        let asked_again = too_late && self.ask(ticket, question.fingerprints);
        (!asked_again).then_some(ticket)
    }
}

impl Durable for WindowedFrontier {
    fn listen(&mut self, listener: Arc<dyn Listener>) {
        self.link.listen(listener);
        if let Some(settings) = self.settings.take() {
            self.link.send(StoreCommand::KeepSettings(settings));
        }
    }

    fn news(&mut self, now: Instant) -> Option<StoreNews> {
        if let Some(news) = self.sharing.as_mut().and_then(Sharing::next_news) {
            return Some(news);
        }
        while let Some(answer) = self.link.next_answer() {
            match answer {
                StoreAnswer::Seen { ticket, seen } => {
                    if let Some(ticket) = self.take_seen(ticket, seen) {
                        return Some(StoreNews::Answered(ticket));
                    }
                }
                StoreAnswer::Read { domain, read } => {
                    self.take_read(&domain, read, now);
                    return Some(StoreNews::Arrived(domain));
                }
                StoreAnswer::Stored(ticket) => return Some(StoreNews::Stored(ticket)),
                StoreAnswer::TooLate(ticket) => return Some(StoreNews::TooLate(ticket)),
                StoreAnswer::Robots { ticket, file } => return Some(StoreNews::Robots(ticket, file)),
                StoreAnswer::Look(look) => {
                    self.take_look(*look);
                    if let Some(news) = self.sharing.as_mut().and_then(Sharing::next_news) {
                        return Some(news);
                    }
                }
                StoreAnswer::Room => return Some(StoreNews::Room),
                StoreAnswer::Failed(why) => return Some(StoreNews::Failed(why)),
            }
        }
        None
    }

    fn commit(&mut self, checkpoint: Checkpoint, now: Instant) {
        self.committed = now;
        self.calendar.follow(Calendar::now());
        let mut transaction = std::mem::take(&mut self.transaction);
        for domain in std::mem::take(&mut self.touched) {
            let Some(queue) = self.queues.get_mut(&domain) else { continue };
            queue.touched = false;
            let stored = queue.stored;
            if stored == 0 && !queue.is_reading() {
                self.queues.remove(&domain);
            }
            transaction.waiting.push((domain, stored));
        }
        if let Some(sharing) = &mut self.sharing {
            transaction.to_others = sharing.take();
        }
        transaction.end(checkpoint, self.next, self.seen);
        self.link.send(StoreCommand::Store(Box::new(transaction)));
        self.reads.drain(..).for_each(|read| self.link.send(read));
    }

    fn commit_due(&self) -> Option<Instant> {
        let changes = self.transaction.changes.len() + self.sharing.as_ref().map_or(0, Sharing::changes);
        if !self.reads.is_empty() || changes >= MAX_GATHERED {
            return Some(self.committed);
        }
        if self.transaction.is_awaited() {
            return Some(self.committed + GATHER_AWAITED);
        }
        let gather = self.sharing.as_ref().and_then(Sharing::gather).unwrap_or(GATHER);
        let own = (!self.transaction.is_empty()).then(|| self.committed + gather);
        let of_others = self.sharing.as_ref().and_then(|sharing| due(sharing, self.committed, GATHER_AWAITED));
        own.into_iter().chain(of_others).min()
    }

    fn acknowledge(&mut self) -> Ticket {
        let ticket = Ticket(self.number());
        self.transaction.acknowledge(ticket);
        ticket
    }

    fn remember(&mut self, domain: &Domain, history: DomainHistory) {
        let part = Part::of(domain);
        if self.sharing.as_ref().is_some_and(|sharing| !sharing.writes(part)) {
            // Its owner knows better.
            return;
        }
        self.transaction.changes.push(Change::Remember { domain: domain.clone(), history });
    }

    fn remember_depth(&mut self, fingerprint: Fingerprint, known: Option<KnownDepth>) {
        self.transaction.changes.push(Change::Depth(fingerprint, known));
    }

    fn remember_visit(&mut self, fingerprint: Fingerprint, visit: PageVisit) {
        self.transaction.changes.push(Change::Visit(fingerprint, visit));
    }

    fn remember_robots(&mut self, origin: &str, body: &[u8], fetched_at_ms: u64) {
        let file = StoredRobotsFile { body: Bytes::copy_from_slice(body), fetched_at_ms };
        self.transaction.changes.push(Change::Robots { origin: origin.to_owned(), file });
    }

    fn robots(&mut self, origin: &str) -> Option<Ticket> {
        let ticket = Ticket(self.number());
        let order = StoreCommand::Robots { ticket, origin: origin.to_owned() };
        // Uncommitted changes are not in the store yet, so the look-up waits for the commit.
        if self.transaction.is_empty() {
            self.link.send(order);
        } else {
            self.reads.push(order);
        }
        Some(ticket)
    }

    fn include(&mut self, seed: &Url) {
        // Only the host counts. The rest of a URL may be longer than a database can look up.
        let mut host = seed.clone();
        host.set_path("/");
        host.set_query(None);
        host.set_fragment(None);
        strip_user_info(&mut host);
        self.transaction.changes.push(Change::Include(host));
    }

    fn bury(&mut self, domain: &Domain, request: &Arc<Request>, outcome: &str, detail: &str) {
        let (domain, request) = (domain.clone(), request.clone());
        let dead = DeadLetter { domain, request, outcome: outcome.to_owned(), detail: detail.to_owned() };
        let number = self.number();
        self.transaction.changes.push(Change::Bury { number, dead });
    }

    fn is_behind(&self) -> bool {
        self.link.is_behind()
    }

    fn close(&mut self) -> Closed {
        self.link.close()
    }

    fn shared(&mut self) -> Option<&mut dyn Shared> {
        self.sharing.is_some().then_some(self)
    }
}
