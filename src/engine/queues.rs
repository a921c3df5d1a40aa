//! Queues: the frontier and the queue of files that items wait for, behind one interface. Only the granter, which
//! chooses the next request, tells them apart.

use std::time::{Duration, Instant};

use super::file_queue::{FileQueue, is_file};
use crate::{
    domain::Domain,
    frontier::{
        Drained, Frontier, LeaseId, Located, Next, Offered,
        durable::{Durable, Ticket},
    },
    identity::Fingerprint,
    request::Request,
};

/// All that waits, and all that is on lease. As a frontier it lends and drains only what is in the frontier.
pub struct Queues {
    /// The frontier.
    frontier: Box<dyn Frontier>,
    /// The files.
    pub files: FileQueue,
}

impl Queues {
    /// Adds an empty queue of files to a frontier.
    pub fn new(frontier: Box<dyn Frontier>) -> Self {
        Self { frontier, files: FileQueue::default() }
    }
}

impl Frontier for Queues {
    fn offer(&mut self, domain: &Domain, fingerprint: Fingerprint, request: Request, now: Instant) -> Offered {
        self.frontier.offer(domain, fingerprint, request, now)
    }

    fn has_seen(&self, fingerprint: &Fingerprint, now: Instant) -> bool {
        self.frontier.has_seen(fingerprint, now)
    }

    fn admitted_ago(&self, fingerprint: &Fingerprint, now: Instant) -> Option<Duration> {
        self.frontier.admitted_ago(fingerprint, now)
    }

    fn look_up(&mut self, fingerprints: &mut dyn Iterator<Item = Fingerprint>) -> Option<Ticket> {
        self.frontier.look_up(fingerprints)
    }

    fn lease(&mut self, domain: &Domain, now: Instant) -> Next {
        self.frontier.lease(domain, now)
    }

    fn ready_at(&mut self, domain: &Domain, now: Instant) -> Option<Instant> {
        self.frontier.ready_at(domain, now)
    }

    fn settle(&mut self, id: LeaseId) -> bool {
        if is_file(id) { self.files.settle(id) } else { self.frontier.settle(id) }
    }

    fn give_back(&mut self, id: LeaseId, not_before: Option<Instant>, attempted: bool) -> Option<Domain> {
        if is_file(id) {
            self.files.give_back(id, not_before, attempted)
        } else {
            self.frontier.give_back(id, not_before, attempted)
        }
    }

    fn drain(&mut self, domain: &Domain, max: usize) -> Drained {
        self.frontier.drain(domain, max)
    }

    fn domains(&self) -> Box<dyn Iterator<Item = &Domain> + '_> {
        self.frontier.domains()
    }

    fn has_waiting(&self, domain: &Domain) -> bool {
        self.frontier.has_waiting(domain)
    }

    fn queued(&self) -> u64 {
        self.frontier.queued() + self.files.waiting()
    }

    fn queued_of(&self, domain: &Domain) -> u64 {
        self.frontier.queued_of(domain)
    }

    fn queued_bytes(&self) -> u64 {
        self.frontier.queued_bytes()
    }

    fn holds(&self, domain: &Domain) -> bool {
        self.frontier.holds(domain)
    }

    fn may_ask(&self, domain: &Domain) -> bool {
        self.frontier.may_ask(domain)
    }

    fn leased(&self) -> u64 {
        self.frontier.leased() + self.files.leased()
    }

    fn locate(&self, domain: &Domain, is_it: &dyn Fn(&Request) -> bool) -> Located {
        self.frontier.locate(domain, is_it)
    }

    fn durable(&mut self) -> Option<&mut dyn Durable> {
        self.frontier.durable()
    }
}
