//! The frontier in memory: the fastest one; it ends with the process.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    sync::Arc,
    time::{Duration, Instant},
};

use hashbrown::HashMap;

use super::{Drained, Frontier, LeaseId, Leased, Left, Located, MAX_LOOKED_AT, Next, Offered, Waiting, seen::SeenSet};
use crate::{
    domain::{Domain, domain_map::DomainMap},
    identity::Fingerprint,
    recrawl::Recrawl,
    request::{Request, plain::Plain},
};

/// Keeps all requests in memory: about 30 bytes for each URL ever seen, and about 250 for each that waits.
///
/// ```
/// use actix_crawler::{frontier::{MemoryFrontier, durable::Opening}, prelude::*};
///
/// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
/// let crawler = Crawler::new(titles, "quotesbot/1.0 (+https://example.org/bot)")
///     .frontier(|opening: Opening| Ok(MemoryFrontier::new(opening.recrawl, opening.now).into()));
/// ```
#[derive(Debug)]
pub struct MemoryFrontier {
    queues: DomainMap<DomainRequests>,
    seen: SeenSet,
    recrawl: Recrawl,
    /// The start of the seen-set's seconds.
    began: Instant,
    leases: HashMap<LeaseId, MemoryLoan>,
    queued: u64,
    /// The size of all waiting requests.
    queued_bytes: u64,
    /// Numbers entries and leases; entries of equal rank are ordered by it.
    next: u64,
}

/// The requests of a domain. In a crawl of many domains, most have one known page. It is kept here without a heap,
/// which would double the memory and add a cache miss to each lease.
#[derive(Debug, Default)]
struct DomainRequests {
    /// The first of those that wait; `None` if there is none.
    first: Option<QueuedEntry>,
    others: Option<Box<FurtherRequests>>,
}

/// The requests of a domain besides the first. One of the heaps at least is not empty.
#[derive(Debug, Default)]
struct FurtherRequests {
    waiting: BinaryHeap<QueuedEntry>,
    delayed: BinaryHeap<Reverse<DelayedEntry>>,
}

/// Ordered by rank, then by age.
#[derive(Debug)]
struct QueuedEntry {
    rank: i32,
    attempts: u32,
    age: u64,
    request: KeptRequest,
}

/// A request while it waits.
#[derive(Debug)]
enum KeptRequest {
    Plain(Box<Plain>),
    Whole(Arc<Request>),
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct DelayedEntry {
    until: Instant,
    entry: QueuedEntry,
}

#[derive(Debug)]
struct MemoryLoan {
    domain: Domain,
    age: u64,
    attempt: u32,
    request: Arc<Request>,
}

impl Ord for QueuedEntry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank).then(other.age.cmp(&self.age))
    }
}

impl PartialOrd for QueuedEntry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for QueuedEntry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for QueuedEntry {}

impl KeptRequest {
    /// Keeps a request of this domain.
    fn of(request: Request, domain: &Domain) -> Self {
        match Plain::of(request, domain) {
            Ok(plain) => Self::Plain(Box::new(plain)),
            Err(mut request) => {
                // All requests of a queue share one name.
                if request.domain.as_ref() == Some(domain) {
                    request.domain = Some(domain.clone());
                }
                Self::Whole(Arc::new(request))
            }
        }
    }

    /// Returns the request.
    fn into_request(self, domain: &Domain) -> Arc<Request> {
        match self {
            Self::Plain(plain) => Arc::new(plain.into_request(domain.clone())),
            Self::Whole(request) => request,
        }
    }

    /// Returns a copy of the request.
    fn copy(&self, domain: &Domain) -> Arc<Request> {
        match self {
            Self::Plain(plain) => Arc::new(Plain::clone(plain).into_request(domain.clone())),
            Self::Whole(request) => request.clone(),
        }
    }

    fn rank(&self) -> i32 {
        match self {
            Self::Plain(plain) => plain.rank(),
            Self::Whole(request) => request.rank(),
        }
    }

    fn size(&self) -> u64 {
        match self {
            Self::Plain(plain) => plain.size(),
            Self::Whole(request) => request.size(),
        }
    }
}

impl DomainRequests {
    fn push(&mut self, mut entry: QueuedEntry) {
        match &mut self.first {
            None => self.first = Some(entry),
            Some(first) => {
                if entry > *first {
                    std::mem::swap(first, &mut entry);
                }
                self.others.get_or_insert_default().waiting.push(entry);
            }
        }
    }

    fn push_delayed(&mut self, until: Instant, entry: QueuedEntry) {
        self.others.get_or_insert_default().delayed.push(Reverse(DelayedEntry { until, entry }));
    }

    /// Takes the first of those that wait.
    fn pop(&mut self) -> Option<QueuedEntry> {
        let first = self.first.take()?;
        if let Some(others) = &mut self.others {
            self.first = others.waiting.pop();
            self.others.take_if(|others| others.is_empty());
        }
        Some(first)
    }

    /// Takes the one whose delay ends first.
    fn pop_delayed(&mut self) -> Option<QueuedEntry> {
        let Reverse(delayed) = self.others.as_mut()?.delayed.pop()?;
        self.others.take_if(|others| others.is_empty());
        Some(delayed.entry)
    }

    /// Moves entries whose delay has passed to the others.
    fn wake(&mut self, now: Instant) {
        while self.delayed_until().is_some_and(|until| until <= now)
            && let Some(entry) = self.pop_delayed()
        {
            self.push(entry);
        }
    }

    /// Returns when the first delay ends.
    fn delayed_until(&self) -> Option<Instant> {
        Some(self.others.as_ref()?.delayed.peek()?.0.until)
    }

    fn is_empty(&self) -> bool {
        self.first.is_none() && self.others.is_none()
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some())
            + self.others.as_ref().map_or(0, |others| others.waiting.len() + others.delayed.len())
    }

    fn waiting(&self) -> impl Iterator<Item = &QueuedEntry> {
        self.first.iter().chain(self.others.iter().flat_map(|others| &others.waiting))
    }

    fn delayed(&self) -> impl Iterator<Item = &DelayedEntry> {
        self.others.iter().flat_map(|others| &others.delayed).map(|Reverse(delayed)| delayed)
    }
}

impl FurtherRequests {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.delayed.is_empty()
    }
}

impl MemoryFrontier {
    /// Creates an empty frontier.
    pub fn new(recrawl: Recrawl, now: Instant) -> Self {
        Self {
            queues: DomainMap::default(),
            seen: SeenSet::new(&recrawl),
            recrawl,
            began: now,
            leases: HashMap::new(),
            queued: 0,
            queued_bytes: 0,
            next: 0,
        }
    }

    fn second(&self, now: Instant) -> u32 {
        u32::try_from(now.saturating_duration_since(self.began).as_secs()).unwrap_or(u32::MAX)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn take_back(&mut self, loan: MemoryLoan, not_before: Option<Instant>, attempted: bool) -> Domain {
        let attempts = if attempted { loan.attempt } else { loan.attempt - 1 };
        let MemoryLoan { domain, age, request, .. } = loan;
        let entry = QueuedEntry { rank: request.rank(), attempts, age, request: KeptRequest::Whole(request) };
        self.queued_bytes += entry.request.size();
        let (_, _, queue) = self.queues.get_or_default(&domain);
        match not_before {
            Some(until) => queue.push_delayed(until, entry),
            None => queue.push(entry),
        }
        self.queued += 1;
        domain
    }
}

impl Frontier for MemoryFrontier {
    fn offer(&mut self, domain: &Domain, fingerprint: Fingerprint, request: Request, now: Instant) -> Offered {
        let now = self.second(now);
        if request.dont_filter {
            self.seen.insert(fingerprint, now);
        } else if !self.seen.take(fingerprint, now, &self.recrawl) {
            return Offered::AlreadySeen;
        }
        let age = self.number();
        let (_, domain, queue) = self.queues.get_or_default(domain);
        let kept = KeptRequest::of(request, domain);
        self.queued_bytes += kept.size();
        queue.push(QueuedEntry { rank: kept.rank(), attempts: 0, age, request: kept });
        self.queued += 1;
        Offered::Queued
    }

    fn has_seen(&self, fingerprint: &Fingerprint, now: Instant) -> bool {
        self.seen.seen_at(fingerprint).is_some_and(|seen_at| !self.recrawl.is_due(seen_at, self.second(now)))
    }

    fn admitted_ago(&self, fingerprint: &Fingerprint, now: Instant) -> Option<Duration> {
        let seconds = self.second(now).saturating_sub(self.seen.seen_at(fingerprint)?);
        self.recrawl.keeps_times().then(|| Duration::from_secs(seconds.into()))
    }

    fn lease(&mut self, domain: &Domain, now: Instant) -> Next {
        let Some(queue) = self.queues.get_mut(domain) else { return Next::Empty };
        queue.wake(now);
        let Some(entry) = queue.pop() else {
            return queue.delayed_until().map_or(Next::Empty, Next::NotBefore);
        };
        if queue.is_empty() {
            self.queues.remove(domain);
        }
        self.queued -= 1;
        let QueuedEntry { age, attempts, request, .. } = entry;
        self.queued_bytes -= request.size();
        let request = request.into_request(domain);
        let (id, attempt) = (LeaseId(self.number()), attempts + 1);
        let loan = MemoryLoan { domain: domain.clone(), age, attempt, request: request.clone() };
        self.leases.insert(id, loan);
        Next::Leased(Leased { id, request, attempt })
    }

    fn ready_at(&mut self, domain: &Domain, now: Instant) -> Option<Instant> {
        // As if to change it: what comes next is a lease.
        let queue = self.queues.get_mut(domain)?;
        if queue.first.is_some() { Some(now) } else { queue.delayed_until() }
    }

    fn settle(&mut self, id: LeaseId) -> bool {
        self.leases.remove(&id).is_some()
    }

    fn give_back(&mut self, id: LeaseId, not_before: Option<Instant>, attempted: bool) -> Option<Domain> {
        let loan = self.leases.remove(&id)?;
        Some(self.take_back(loan, not_before, attempted))
    }

    fn drain(&mut self, domain: &Domain, max: usize) -> Drained {
        let Some(queue) = self.queues.get_mut(domain) else { return Drained::default() };
        let next = || queue.pop().or_else(|| queue.pop_delayed());
        let mut bytes = 0;
        let entries = std::iter::from_fn(next).take(max).inspect(|entry| bytes += entry.request.size());
        let requests: Vec<_> = entries.map(|entry| entry.request.into_request(domain)).collect();
        self.queued -= requests.len() as u64;
        self.queued_bytes -= bytes;
        let is_empty = queue.is_empty();
        if is_empty {
            self.queues.remove(domain);
        }
        Drained { requests, left: if is_empty { Left::Nothing } else { Left::Here } }
    }

    fn domains(&self) -> Box<dyn Iterator<Item = &Domain> + '_> {
        Box::new(self.queues.keys())
    }

    fn has_waiting(&self, domain: &Domain) -> bool {
        self.queues.contains(domain)
    }

    fn queued(&self) -> u64 {
        self.queued
    }

    fn queued_of(&self, domain: &Domain) -> u64 {
        self.queues.get(domain).map_or(0, |queue| queue.len() as u64)
    }

    fn queued_bytes(&self) -> u64 {
        self.queued_bytes
    }

    fn leased(&self) -> u64 {
        self.leases.len() as u64
    }

    fn locate(&self, domain: &Domain, is_it: &dyn Fn(&Request) -> bool) -> Located {
        if let Some(loan) = self.leases.values().find(|loan| loan.domain == *domain && is_it(&loan.request)) {
            return Located::Leased { request: loan.request.clone(), attempt: loan.attempt };
        }
        let Some(queue) = self.queues.get(domain) else { return Located::NotFound { not_looked_at: 0 } };
        let ready = queue.waiting().map(|entry| (entry, None));
        let delayed = queue.delayed().map(|delayed| (&delayed.entry, Some(delayed.until)));
        let looked_at = delayed.chain(ready).take(MAX_LOOKED_AT);
        let mut looked_at = looked_at.map(|(entry, until)| (entry, entry.request.copy(domain), until));
        let Some((entry, request, not_before)) = looked_at.find(|(_, request, _)| is_it(request)) else {
            let not_looked_at = self.queued_of(domain).saturating_sub(MAX_LOOKED_AT as u64);
            return Located::NotFound { not_looked_at };
        };
        let sooner = queue.delayed().filter(|other| Some(other.until) < not_before && other.entry > *entry);
        let before = queue.waiting().filter(|other| *other > entry);
        Located::Waits(Waiting {
            request,
            ahead: (before.count() + sooner.count()) as u64,
            attempts: entry.attempts,
            not_before,
        })
    }
}
