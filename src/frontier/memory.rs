//! The frontier in memory: the fastest one; it ends with the process.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc, time::Instant};

use hashbrown::HashMap;

use super::{Drained, Frontier, LeaseId, Leased, Left, Next, Offered, seen::Seen};
use crate::{domain::Domain, identity::Fingerprint, recrawl::Recrawl, request::Request};

/// Keeps all requests in memory: about 16 bytes for each URL ever seen, and about 350 for each that waits.
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
    queues: HashMap<Domain, Queue>,
    seen: Seen,
    recrawl: Recrawl,
    /// The start of the seen-set's seconds.
    began: Instant,
    leases: HashMap<LeaseId, Loan>,
    queued: u64,
    /// The size of all waiting requests.
    queued_bytes: u64,
    /// Numbers entries and leases; entries of equal priority are ordered by it.
    next: u64,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: BinaryHeap<Entry>,
    delayed: BinaryHeap<Reverse<Delayed>>,
}

/// Ordered by priority, then by age: the field order is the rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    priority: i32,
    age: Reverse<u64>,
    attempts: u32,
    request: ById,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Delayed {
    until: Instant,
    entry: Entry,
}

#[derive(Debug)]
struct Loan {
    domain: Domain,
    age: u64,
    attempt: u32,
    request: Arc<Request>,
}

/// Ignored in the order, since the entry's age is unique.
#[derive(Debug)]
struct ById(Arc<Request>);

impl PartialEq for ById {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for ById {}
impl PartialOrd for ById {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for ById {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl Queue {
    /// Moves entries whose delay has passed to the others.
    fn wake(&mut self, now: Instant) {
        while let Some(Reverse(first)) = self.delayed.peek() {
            if first.until > now {
                break;
            }
            if let Some(Reverse(delayed)) = self.delayed.pop() {
                self.waiting.push(delayed.entry);
            }
        }
    }
}

impl MemoryFrontier {
    /// Creates an empty frontier.
    pub fn new(recrawl: Recrawl, now: Instant) -> Self {
        Self {
            queues: HashMap::new(),
            seen: Seen::new(&recrawl),
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

    fn take_back(&mut self, loan: Loan, not_before: Option<Instant>, attempted: bool) -> Domain {
        let attempts = if attempted { loan.attempt } else { loan.attempt - 1 };
        let size = loan.request.size();
        let entry =
            Entry { priority: loan.request.priority, age: Reverse(loan.age), attempts, request: ById(loan.request) };
        let queue = self.queues.entry(loan.domain.clone()).or_default();
        match not_before {
            Some(until) => queue.delayed.push(Reverse(Delayed { until, entry })),
            None => queue.waiting.push(entry),
        }
        self.queued += 1;
        self.queued_bytes += size;
        loan.domain
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
        let age = Reverse(self.number());
        self.queued_bytes += request.size();
        let entry = Entry { priority: request.priority, age, attempts: 0, request: ById(Arc::new(request)) };
        self.queues.entry_ref(domain).or_default().waiting.push(entry);
        self.queued += 1;
        Offered::Queued
    }

    fn has_seen(&self, fingerprint: &Fingerprint, now: Instant) -> bool {
        self.seen.seen_at(fingerprint).is_some_and(|seen_at| !self.recrawl.is_due(seen_at, self.second(now)))
    }

    fn lease(&mut self, domain: &Domain, now: Instant) -> Next {
        let Some(queue) = self.queues.get_mut(domain) else { return Next::Empty };
        queue.wake(now);
        let Some(entry) = queue.waiting.pop() else {
            return queue.delayed.peek().map_or(Next::Empty, |Reverse(first)| Next::NotBefore(first.until));
        };
        if queue.waiting.is_empty() && queue.delayed.is_empty() {
            self.queues.remove(domain);
        }
        self.queued -= 1;
        self.queued_bytes = self.queued_bytes.saturating_sub(entry.request.0.size());
        let id = LeaseId(self.number());
        let (attempt, request) = (entry.attempts + 1, entry.request.0);
        let loan = Loan { domain: domain.clone(), age: entry.age.0, attempt, request: request.clone() };
        self.leases.insert(id, loan);
        Next::Leased(Leased { id, request, attempt })
    }

    fn ready_at(&mut self, domain: &Domain, now: Instant) -> Option<Instant> {
        let queue = self.queues.get(domain)?;
        if queue.waiting.is_empty() { queue.delayed.peek().map(|Reverse(first)| first.until) } else { Some(now) }
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
        let next = || queue.waiting.pop().or_else(|| queue.delayed.pop().map(|Reverse(delayed)| delayed.entry));
        let requests: Vec<_> = std::iter::from_fn(next).take(max).map(|entry| entry.request.0).collect();
        self.queued -= requests.len() as u64;
        let bytes: u64 = requests.iter().map(|request| request.size()).sum();
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
        let is_empty = queue.waiting.is_empty() && queue.delayed.is_empty();
        if is_empty {
            self.queues.remove(domain);
        }
        Drained { requests, left: if is_empty { Left::Nothing } else { Left::Here } }
    }

    fn domains(&self) -> Box<dyn Iterator<Item = &Domain> + '_> {
        Box::new(self.queues.keys())
    }

    fn has_waiting(&self, domain: &Domain) -> bool {
        self.queues.contains_key(domain)
    }

    fn queued(&self) -> u64 {
        self.queued
    }

    fn queued_of(&self, domain: &Domain) -> u64 {
        self.queues.get(domain).map_or(0, |queue| (queue.waiting.len() + queue.delayed.len()) as u64)
    }

    fn queued_bytes(&self) -> u64 {
        self.queued_bytes
    }

    fn leased(&self) -> u64 {
        self.leases.len() as u64
    }
}
