//! Frontier: the store of waiting requests, and its laws. Knows no politeness and no network.
//!
//! [`MemoryFrontier`] keeps everything in memory. [`windowed`] keeps it in a database behind the trait
//! [`Store`](windowed::store::Store), whose drivers are in [`stores`]. A frontier of your own implements [`Frontier`],
//! is held to its laws by [`laws::check`], and is given to
//! [`Crawler::frontier`](crate::Crawler::frontier).

pub(crate) mod admission;
pub(crate) mod candidate;
mod checkpoint;
mod depths;
mod domain_history;
pub mod durable;
pub mod known_depth;
pub mod laws;
pub(crate) mod lease;
mod located;
pub(crate) mod memory;
pub mod part;
mod seen;
mod visits;
pub(crate) mod seen_cache;
pub mod shared;
pub mod stores;
pub mod windowed;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use self::durable::{Durable, Ticket};
pub(crate) use self::lease::{Lease, Returned};
pub use self::{
    located::{Located, MAX_LOOKED_AT, Waiting},
    memory::MemoryFrontier,
};
use crate::{domain::Domain, identity::Fingerprint, request::Request};

/// The queue of each domain, ordered by [`Request::rank`] and then by age; delayed retries; the set of seen requests;
/// leases.
///
/// The laws, which [`laws::check`] tests:
/// 1. every admitted request is leased in time, by rank and then by age;
/// 2. nothing else is leased;
/// 3. a settled request is never leased again;
/// 4. a request that was given back is leased again, and so is one on lease when the process died.
///
/// A lease has no time limit. Its guard lives in this process and returns the entry if its page is lost; a page that
/// waits for a slow pipeline is not lost, however long it waits.
///
/// The methods are called on the scheduler's thread and must return in microseconds. A frontier with a slow store
/// returns [`Next::Coming`] or a [`Ticket`], and sends news through [`Frontier::durable`].
///
/// When several machines share a crawl, domains may come and go: see [`Frontier::holds`], [`Offered::Sent`],
/// [`StoreNews::Gained`](durable::StoreNews::Gained) and [`StoreNews::Lost`](durable::StoreNews::Lost). A frontier for
/// one machine holds every domain.
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
    /// Admits a request, unless its fingerprint was seen and is not due again. A request with `dont_filter` is always
    /// admitted.
    fn offer(&mut self, domain: &Domain, fingerprint: Fingerprint, request: Request, now: Instant) -> Offered;

    /// Tells whether a fingerprint was admitted before and is not due again. Valid for fingerprints that were looked
    /// up.
    fn has_seen(&self, fingerprint: &Fingerprint, now: Instant) -> bool;

    /// Returns how long ago a fingerprint was last admitted, whether it is due again or not. `None`, the default, if it
    /// never was, or if no times are kept. Times are needed with
    /// [`Recrawl::by_lastmod`](crate::Recrawl::by_lastmod). Valid for fingerprints that were looked up.
    fn admitted_ago(&self, _fingerprint: &Fingerprint, _now: Instant) -> Option<Duration> {
        None
    }

    /// Prepares [`Frontier::has_seen`] and [`Frontier::offer`] for these fingerprints. With `None`, the default, they
    /// can be called at once; otherwise when [`StoreNews::Answered`](durable::StoreNews::Answered) returns the ticket.
    fn look_up(&mut self, _: &mut dyn Iterator<Item = Fingerprint>) -> Option<Ticket> {
        None
    }

    /// Leases the next request of a domain.
    fn lease(&mut self, domain: &Domain, now: Instant) -> Next;

    /// Returns when the domain next has a request to lease; `None` for never, or not before there is news of the
    /// domain.
    fn ready_at(&mut self, domain: &Domain, now: Instant) -> Option<Instant>;

    /// Ends a lease: the request is finished and never leased again. Returns whether the lease existed; it no longer
    /// does if its domain was lost.
    fn settle(&mut self, id: LeaseId) -> bool;

    /// Returns a leased request to the queue, to be leased again at or after `not_before`. `attempted` tells whether
    /// the attempt counts. Returns its domain; `None` if the lease did not exist.
    fn give_back(&mut self, id: LeaseId, not_before: Option<Instant>, attempted: bool) -> Option<Domain>;

    /// Removes and returns at most `max` waiting requests of a domain; they are never leased again.
    fn drain(&mut self, domain: &Domain, max: usize) -> Drained;

    /// Iterates over the domains with waiting requests.
    fn domains(&self) -> Box<dyn Iterator<Item = &Domain> + '_>;

    /// Tells whether a domain has waiting requests.
    fn has_waiting(&self, domain: &Domain) -> bool;

    /// Returns how many requests wait.
    fn queued(&self) -> u64;

    /// Returns how many requests of a domain wait.
    fn queued_of(&self, domain: &Domain) -> u64;

    /// Returns the memory of the waiting requests in bytes; 0, the default, if they are not in memory.
    fn queued_bytes(&self) -> u64 {
        0
    }

    /// Tells whether this process owns a domain; only then may it send requests there. By default it owns every domain.
    fn holds(&self, _domain: &Domain) -> bool {
        true
    }

    /// Tells whether requests may be sent to a domain now: this process owns it, and is not about to give it to
    /// another. The default is [`Frontier::holds`].
    fn may_ask(&self, domain: &Domain) -> bool {
        self.holds(domain)
    }

    /// Returns how many requests are on lease.
    fn leased(&self) -> u64;

    /// Looks for a request of a domain, on lease or waiting, among at most [`MAX_LOOKED_AT`] of them. Only an
    /// explanation asks. The default looks at none.
    fn locate(&self, domain: &Domain, _is_it: &dyn Fn(&Request) -> bool) -> Located {
        Located::NotFound { not_looked_at: self.queued_of(domain) }
    }

    /// Returns the durable interface of the frontier; `None`, the default, if it does not outlive the process.
    fn durable(&mut self) -> Option<&mut dyn Durable> {
        None
    }
}

/// The result of an offer.
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
    /// The request waits.
    Queued,
    /// It was admitted before.
    AlreadySeen,
    /// Another process owns its domain. The request is sent there with the next commit; this process is done with it.
    Sent,
}

/// The result of asking for the next request.
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
    /// A leased request.
    Leased(Leased),
    /// Requests wait, but none may be leased before this instant.
    NotBefore(Instant),
    /// Requests wait and are being read from the store: news of the domain will follow.
    Coming,
    /// No request waits.
    Empty,
}

/// Requests removed from a domain's queue.
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
    /// What remains.
    pub left: Left,
}

/// What remains in a domain's queue.
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
    /// More requests, which can be drained at once.
    Here,
    /// Possibly more, which are being read from the store: news of the domain will follow.
    Coming,
}

/// A request on loan, as the store hands it out; the scheduler makes a guard of it, which gives it back when it is
/// dropped.
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
    /// The ID of the lease.
    pub id: LeaseId,
    /// The request to be fetched.
    pub request: Arc<Request>,
    /// The number of this attempt, counted from 1.
    pub attempt: u32,
}

/// Identifies one lease; never reused.
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
