//! Frontier: the store of requests that wait, and the laws it keeps. Knows no politeness and no network.

pub mod admission;
#[cfg_attr(not(feature = "disk"), path = "no_disk.rs")]
pub mod disk;
pub mod durable;
pub mod known;
#[cfg(test)]
mod laws;
pub mod memory;
mod seen;

use std::{fmt, sync::Arc, time::Instant};

use self::durable::{Durable, Ticket};
use crate::{domain::Domain, identity::Fingerprint, request::Request};

/// A queue for each domain, ordered by priority and then by age; delayed retries; the set of what was seen; leases.
///
/// The laws, which every implementation is tested for:
/// 1. every request that was taken in is leased in time;
/// 2. nothing else is leased;
/// 3. what is settled is never leased again;
/// 4. what is given back is leased again, and so is what was on loan when the process died.
///
/// A lease has no term: its guard is in this process, and gives it back when its page is lost. A page that waits for a
/// slow pipeline is not lost, however long it waits.
pub trait Frontier: Send {
    /// Takes a request in, unless its fingerprint was seen and is not to be visited again. A request that asks not to be
    /// filtered is always taken in.
    fn offer(&mut self, domain: &Domain, fingerprint: Fingerprint, request: Request, now: Instant) -> Offered;

    /// Tells whether a fingerprint was taken in before, and is not to be visited again. It answers for those that were
    /// looked up.
    fn has_seen(&self, fingerprint: &Fingerprint, now: Instant) -> bool;

    /// Makes sure that [`Frontier::has_seen`] and [`Frontier::offer`] can answer for these fingerprints: at once for
    /// `None`, else as soon as the ticket comes back as news.
    fn look_up(&mut self, _: &mut dyn Iterator<Item = Fingerprint>) -> Option<Ticket> {
        None
    }

    /// Lends the next request of a domain.
    fn lease(&mut self, domain: &Domain, now: Instant) -> Next;

    /// Tells when the domain next has a request to lend; `None` for never, or not before news of the domain comes.
    fn ready_at(&mut self, domain: &Domain, now: Instant) -> Option<Instant>;

    /// Ends a lease: the request is done with, and never lent again. Answers whether there was such a lease.
    fn settle(&mut self, id: LeaseId) -> bool;

    /// Takes a lent request back, to be lent again at or after `not_before`. `attempted` tells whether the attempt
    /// counts. Answers its domain, or `None` where there was no such lease.
    fn give_back(&mut self, id: LeaseId, not_before: Option<Instant>, attempted: bool) -> Option<Domain>;

    /// Takes out at most so many of what waits for one domain; they are never lent again.
    fn drain(&mut self, domain: &Domain, most: usize) -> Drained;

    /// Goes through the domains that have something waiting.
    fn domains(&self) -> Box<dyn Iterator<Item = &Domain> + '_>;

    /// Tells whether something waits for a domain.
    fn has_waiting(&self, domain: &Domain) -> bool;

    /// Returns how many requests wait.
    fn queued(&self) -> u64;

    /// Returns how many requests are lent.
    fn leased(&self) -> u64;

    /// Returns what a frontier offers that outlives the process; `None` for one that does not.
    fn durable(&mut self) -> Option<&mut dyn Durable> {
        None
    }
}

/// The answer to an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It waits for its turn.
    Queued,
    /// It was taken in before.
    AlreadySeen,
}

/// The answer to the question for the next request.
#[derive(Debug)]
pub enum Next {
    /// A request on loan.
    Leased(Leased),
    /// Something waits, and not before this instant.
    NotBefore(Instant),
    /// Something waits and is being read from the store: news of the domain will come.
    Coming,
    /// Nothing waits.
    Empty,
}

/// What was taken out of a domain's queue.
#[derive(Debug, Default)]
pub struct Drained {
    /// The requests.
    pub requests: Vec<Arc<Request>>,
    /// What is left.
    pub left: Left,
}

/// What is left of a domain's queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    #[default]
    Nothing,
    /// More, which can be taken out at once.
    Here,
    /// Perhaps more, which is being read from the store: news of the domain will come.
    Coming,
}

/// A request on loan, as the store hands it out; the scheduler makes a guard of it, the [`Lease`].
#[derive(Clone, Debug)]
pub struct Leased {
    /// The loan.
    pub id: LeaseId,
    /// What is to be fetched.
    pub request: Arc<Request>,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
}

/// Names one loan; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(pub u64);

/// One frontier entry on loan: dropped unsettled, the entry goes back.
#[must_use = "a lease that is dropped gives its request back"]
pub struct Lease {
    leased: Leased,
    returned: Option<Arc<dyn Returned>>,
}

/// Is told that a lease was dropped unsettled.
pub trait Returned: Send + Sync {
    /// Takes the news; it must not block.
    fn returned(&self, leased: Leased);
}

impl Lease {
    /// Makes a guard of a loan.
    pub fn new(leased: Leased, returned: Arc<dyn Returned>) -> Self {
        Self { leased, returned: Some(returned) }
    }

    /// Returns what is to be fetched.
    pub fn request(&self) -> &Arc<Request> {
        &self.leased.request
    }

    /// Returns which attempt this is, counted from 1.
    pub fn attempt(&self) -> u32 {
        self.leased.attempt
    }

    /// Ends the guard: from here on the scheduler answers for the loan.
    pub fn settle(mut self) -> Leased {
        self.returned = None;
        self.leased.clone()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(returned) = self.returned.take() {
            returned.returned(self.leased.clone());
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.leased.fmt(f)
    }
}
