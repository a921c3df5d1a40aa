//! Frontier: the store of requests that wait, and the laws it keeps. Knows no politeness and no network.
//!
//! [`MemoryFrontier`] keeps everything in memory. [`windowed`] keeps it in a database behind the trait
//! [`Store`](windowed::store::Store), whose drivers are in [`stores`]. A frontier of your own implements [`Frontier`],
//! is held to its laws by [`laws::check`], and is given to
//! [`Crawler::frontier`](crate::Crawler::frontier).

pub(crate) mod admission;
pub(crate) mod candidate;
mod depths;
pub mod durable;
pub mod laws;
pub(crate) mod lease;
pub(crate) mod memory;
mod seen;
pub(crate) mod seen_cache;
pub mod stores;
pub mod windowed;

use std::{sync::Arc, time::Instant};

use self::durable::{Durable, Ticket};
pub(crate) use self::lease::{Lease, Returned};
pub use self::memory::MemoryFrontier;
use crate::{domain::Domain, identity::Fingerprint, request::Request};

/// A queue for each domain, ordered by priority and then by age; delayed retries; the set of what was seen; leases.
///
/// The laws, which [`laws::check`] tests:
/// 1. every request that was taken in is leased in time, by priority and then by age;
/// 2. nothing else is leased;
/// 3. what is settled is never leased again;
/// 4. what is given back is leased again, and so is what was on loan when the process died.
///
/// A lease has no term. Its guard lives in this process and gives the entry back when its page is lost; a page that waits
/// for a slow pipeline is not lost, however long it waits.
///
/// The methods are called on the scheduler's thread and must answer in microseconds. A frontier whose store is slow
/// answers [`Next::Coming`] or a [`Ticket`], and sends news through [`Frontier::durable`].
///
/// Domains may come and go while a crawl runs, when several machines share it: see [`Frontier::holds`],
/// [`Offered::Sent`], [`News::Gained`](durable::News::Gained) and [`News::Lost`](durable::News::Lost). A frontier of one
/// machine holds every domain.
///
/// ```
/// use std::time::Instant;
///
/// use actix_crawler::{Domain, Recrawl, Request, frontier::{Frontier, MemoryFrontier, Next, Offered}};
///
/// let now = Instant::now();
/// let mut frontier = MemoryFrontier::new(Recrawl::default(), now);
/// let domain = Domain::new("example.org");
/// let request = Request::parse("https://example.org/")?;
/// let fingerprint = request.fingerprint();
/// assert_eq!(frontier.offer(&domain, fingerprint, request.clone(), now), Offered::Queued);
/// assert_eq!(frontier.offer(&domain, fingerprint, request, now), Offered::AlreadySeen);
///
/// let Next::Leased(leased) = frontier.lease(&domain, now) else { panic!("it waits") };
/// assert_eq!(leased.attempt, 1);
/// assert!(frontier.settle(leased.id));
/// assert!(matches!(frontier.lease(&domain, now), Next::Empty));
/// # Ok::<(), actix_crawler::Error>(())
/// ```
pub trait Frontier: Send {
    /// Takes a request in, unless its fingerprint was seen and is not due again. A request with `dont_filter` is always
    /// taken in.
    fn offer(&mut self, domain: &Domain, fingerprint: Fingerprint, request: Request, now: Instant) -> Offered;

    /// Tells whether a fingerprint was taken in before and is not due again. The answer counts for fingerprints that were
    /// looked up.
    fn has_seen(&self, fingerprint: &Fingerprint, now: Instant) -> bool;

    /// Prepares [`Frontier::has_seen`] and [`Frontier::offer`] for these fingerprints. They can be called at once for
    /// `None`, the default, and else when the ticket comes back with [`News::Answered`](durable::News::Answered).
    fn look_up(&mut self, _: &mut dyn Iterator<Item = Fingerprint>) -> Option<Ticket> {
        None
    }

    /// Lends the next request of a domain.
    fn lease(&mut self, domain: &Domain, now: Instant) -> Next;

    /// Tells when the domain next has a request to lend; `None` for never, or not before there is news of the domain.
    fn ready_at(&mut self, domain: &Domain, now: Instant) -> Option<Instant>;

    /// Ends a lease: the request is done with, and never lent again. Answers whether there was such a lease; there is none
    /// any more when its domain was lost meanwhile.
    fn settle(&mut self, id: LeaseId) -> bool;

    /// Takes a lent request back, to be lent again at or after `not_before`. `attempted` tells whether the attempt
    /// counts. Answers its domain, or `None` where there was no such lease.
    fn give_back(&mut self, id: LeaseId, not_before: Option<Instant>, attempted: bool) -> Option<Domain>;

    /// Takes out at most `max` of the requests that wait for one domain; they are never lent again.
    fn drain(&mut self, domain: &Domain, max: usize) -> Drained;

    /// Goes through the domains that have something waiting.
    fn domains(&self) -> Box<dyn Iterator<Item = &Domain> + '_>;

    /// Tells whether something waits for a domain.
    fn has_waiting(&self, domain: &Domain) -> bool;

    /// Returns how many requests wait.
    fn queued(&self) -> u64;

    /// Returns how many requests wait for one domain.
    fn queued_of(&self, domain: &Domain) -> u64;

    /// Returns how many bytes of memory the waiting requests take; 0, the default, where they wait elsewhere.
    fn queued_bytes(&self) -> u64 {
        0
    }

    /// Tells whether this process answers for a domain: only then may it be asked anything. By default it answers for
    /// every domain.
    fn holds(&self, _domain: &Domain) -> bool {
        true
    }

    /// Returns how many requests are lent.
    fn leased(&self) -> u64;

    /// Returns the part of the frontier that outlives the process; `None`, the default, for one that does not.
    fn durable(&mut self) -> Option<&mut dyn Durable> {
        None
    }
}

/// The answer to an offer.
///
/// ```
/// use std::time::Instant;
///
/// use actix_crawler::{Domain, Recrawl, Request, frontier::{Frontier, MemoryFrontier, Offered}};
///
/// let (now, domain) = (Instant::now(), Domain::new("example.org"));
/// let mut frontier = MemoryFrontier::new(Recrawl::default(), now);
/// let request = Request::parse("https://example.org/")?;
/// assert_eq!(frontier.offer(&domain, request.fingerprint(), request.clone(), now), Offered::Queued);
/// assert_eq!(frontier.offer(&domain, request.fingerprint(), request, now), Offered::AlreadySeen);
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It waits for its turn.
    Queued,
    /// It was taken in before.
    AlreadySeen,
    /// Another process answers for its domain. It is sent there with the next commit, and admitted there; here it is
    /// done with.
    Sent,
}

/// The answer to the question for the next request.
///
/// ```
/// use std::time::Instant;
///
/// use actix_crawler::{Domain, Recrawl, Request, frontier::{Frontier, MemoryFrontier, Next}};
///
/// let (now, domain) = (Instant::now(), Domain::new("example.org"));
/// let mut frontier = MemoryFrontier::new(Recrawl::default(), now);
/// let request = Request::parse("https://example.org/")?;
/// assert!(matches!(frontier.lease(&domain, now), Next::Empty));
/// frontier.offer(&domain, request.fingerprint(), request, now);
/// assert!(matches!(frontier.lease(&domain, now), Next::Leased(_)));
/// # Ok::<(), actix_crawler::Error>(())
/// ```
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
///
/// ```
/// use std::time::Instant;
///
/// use actix_crawler::{Domain, Recrawl, Request, frontier::{Frontier, Left, MemoryFrontier}};
///
/// let (now, domain) = (Instant::now(), Domain::new("example.org"));
/// let mut frontier = MemoryFrontier::new(Recrawl::default(), now);
/// let request = Request::parse("https://example.org/")?;
/// frontier.offer(&domain, request.fingerprint(), request, now);
/// let drained = frontier.drain(&domain, 100);
/// assert_eq!((drained.requests.len(), drained.left), (1, Left::Nothing));
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Drained {
    /// The requests.
    pub requests: Vec<Arc<Request>>,
    /// What is left.
    pub left: Left,
}

/// What is left of a domain's queue.
///
/// ```
/// use std::time::Instant;
///
/// use actix_crawler::{Domain, Recrawl, Request, frontier::{Frontier, Left, MemoryFrontier}};
///
/// let (now, domain) = (Instant::now(), Domain::new("example.org"));
/// let mut frontier = MemoryFrontier::new(Recrawl::default(), now);
/// let request = Request::parse("https://example.org/")?;
/// frontier.offer(&domain, request.fingerprint(), request, now);
/// assert_eq!(frontier.drain(&domain, 0).left, Left::Here);
/// assert_eq!(frontier.drain(&domain, 1).left, Left::Nothing);
/// # Ok::<(), actix_crawler::Error>(())
/// ```
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

/// A request on loan, as the store hands it out; the scheduler makes a guard of it, which gives it back when it is dropped.
///
/// ```
/// use std::time::Instant;
///
/// use actix_crawler::{Domain, Recrawl, Request, frontier::{Frontier, MemoryFrontier, Next}};
///
/// let (now, domain) = (Instant::now(), Domain::new("example.org"));
/// let mut frontier = MemoryFrontier::new(Recrawl::default(), now);
/// let request = Request::parse("https://example.org/")?;
/// frontier.offer(&domain, request.fingerprint(), request, now);
/// let Next::Leased(leased) = frontier.lease(&domain, now) else { panic!("it waits") };
/// assert_eq!((leased.attempt, leased.request.url.as_str()), (1, "https://example.org/"));
/// # Ok::<(), actix_crawler::Error>(())
/// ```
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
///
/// ```
/// use std::time::Instant;
///
/// use actix_crawler::{Domain, Recrawl, Request, frontier::{Frontier, LeaseId, MemoryFrontier, Next}};
///
/// let (now, domain) = (Instant::now(), Domain::new("example.org"));
/// let mut frontier = MemoryFrontier::new(Recrawl::default(), now);
/// let request = Request::parse("https://example.org/")?;
/// frontier.offer(&domain, request.fingerprint(), request, now);
/// let Next::Leased(leased) = frontier.lease(&domain, now) else { panic!("it waits") };
/// assert!(frontier.settle(leased.id));
/// assert!(!frontier.settle(leased.id), "it is settled once");
/// assert!(!frontier.settle(LeaseId(u64::MAX)), "there is no such lease");
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(pub u64);
