//! The windowed frontier: holds more than fits in memory, and survives a crash. Knows no database.
//!
//! It runs on the scheduler's thread and never waits. In memory it keeps a window of the first requests of each
//! domain's queue, the leases, and the latest fingerprints. Everything else is in a [`Store`](store::Store), which has
//! a thread of its own (`store_thread`).

mod calendar;
mod durable;
pub mod entry;
mod opening;
mod recent;
mod sharing;
pub mod state;
pub mod store;
mod store_thread;
mod window;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use hashbrown::{HashMap, HashSet};

pub use self::opening::open;
use self::{
    calendar::Calendar,
    durable::Question,
    entry::{Entry, QueuePosition},
    recent::RecentlySeen,
    sharing::Sharing,
    store::{Change, QueuePart},
    store_thread::{StoreCommand, StoreLink, Transaction},
    window::QueueWindow,
};
use super::{
    Drained, Frontier, LeaseId, Leased, Left, Located, Next, Offered,
    durable::{Durable, Ticket},
    part::Part,
};
use crate::{domain::Domain, identity::Fingerprint, recrawl::Recrawl, request::Request};

/// Keeps requests in a store, and the first few of each domain's queue in memory.
pub(super) struct WindowedFrontier {
    queues: HashMap<Domain, QueueWindow>,
    leases: HashMap<LeaseId, Loan>,
    /// The numbers of the entries in memory or on lease: a part of a queue that is read may contain them again.
    held: HashSet<u64>,
    recent: RecentlySeen,
    questions: HashMap<Ticket, Question>,
    /// Entries in the store: waiting or leased.
    stored: u64,
    /// Entries in memory, over all queues.
    in_memory: usize,
    /// Numbers entries, leases and tickets; entries of equal rank are ordered by it.
    next: u64,
    seen: u64,
    recrawl: Recrawl,
    calendar: Calendar,
    /// Changes since the last commit.
    transaction: Transaction,
    /// The time of the last commit.
    committed: Instant,
    /// Reads that are sent after the next commit.
    reads: Vec<StoreCommand>,
    /// The domains whose queues changed since the last commit.
    touched: Vec<Domain>,
    /// Which parts this machine has; `None` if it has all.
    sharing: Option<Sharing>,
    /// The crawl's settings, until it begins: it may still be refused.
    settings: Option<BTreeMap<String, String>>,
    link: StoreLink,
    sizes: Sizes,
}

struct Loan {
    domain: Domain,
    entry: Entry,
}

/// How much is kept in memory.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// The most requests over all queues.
    all: usize,
    /// The most requests of one domain.
    of_a_domain: usize,
    /// The most delayed requests of one domain; beyond it, those whose delays end last are evicted.
    delayed: usize,
    /// The most fingerprints of a generation.
    generation: usize,
    /// The most fingerprints that are checked for expiry when the state is opened.
    looked_through: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            // About 90 MB.
            all: 200_000,
            // As many as a fast domain uses while the store syncs.
            of_a_domain: 8_192,
            delayed: 1_024,
            // About 20 MB for each of the two. A crawl of fewer pages never needs to look fingerprints up in the store.
            generation: 800_000,
            // Takes under a second. Each opening starts elsewhere, so that all are checked in time.
            looked_through: 1_000_000,
        }
    }
}

/// The fewest requests read at once: each read has a fixed cost of several requests.
const MIN_READ: usize = 8;

/// The most requests read at once: a longer read would delay other domains.
const MAX_READ: usize = 1_024;

impl WindowedFrontier {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Returns how many requests a domain may have in memory now: fewer if there are many domains.
    fn share(&self) -> usize {
        if self.in_memory >= self.sizes.all {
            return 1;
        }
        let even = self.sizes.all / 2 / self.queues.len().max(1);
        even.max(MIN_READ).min(self.sizes.of_a_domain)
    }

    /// Asks the store for more of a domain's queue, unless that is in progress. Uncommitted changes are not in the
    /// store yet, so the read then waits for the commit.
    fn read(&mut self, domain: &Domain, max: usize) {
        let Some(from) = self.queues.get_mut(domain).and_then(QueueWindow::begin_reading) else { return };
        let order = StoreCommand::Read { domain: domain.clone(), from, max };
        if self.transaction.is_empty() {
            self.link.send(order);
        } else {
            self.reads.push(order);
        }
    }

    /// Handles the result of [`WindowedFrontier::read`].
    fn take_read(&mut self, domain: &Domain, read: QueuePart, now: Instant) {
        if !self.holds(domain) {
            return;
        }
        let Some(queue) = self.queues.get_mut(domain) else { return };
        let mut new = 0;
        queue.end_reading(read.next, |removed| {
            let entries = read.entries.into_iter().filter(|entry| !removed.contains(&entry.entry.place.age));
            let entries = entries.filter(|entry| self.held.insert(entry.entry.place.age));
            let entries: Vec<_> = entries
                .map(|stored| {
                    (stored.entry, stored.not_before.map(|at| self.calendar.instant(at, now)).filter(|at| *at > now))
                })
                .collect();
            new = entries.len();
            entries
        });
        let is_empty = queue.stored == 0;
        self.in_memory += new;
        self.bound_delayed(domain);
        if is_empty {
            // The window of an empty queue was kept only for this result.
            self.touch(domain);
        }
    }

    /// Evicts delayed requests of a domain where too many are in memory. Half of them stay, so that this is rare.
    fn bound_delayed(&mut self, domain: &Domain) {
        let max = if self.in_memory < self.sizes.all { self.sizes.delayed } else { MIN_READ.min(self.sizes.delayed) };
        if let Some(queue) = self.queues.get_mut(domain).filter(|queue| queue.delayed() > max) {
            for number in queue.evict_delayed(max / 2) {
                self.held.remove(&number);
                self.in_memory -= 1;
            }
        }
    }

    fn touch(&mut self, domain: &Domain) {
        if let Some(queue) = self.queues.get_mut(domain)
            && !std::mem::replace(&mut queue.touched, true)
        {
            self.touched.push(domain.clone());
        }
    }

    fn take_back(&mut self, loan: Loan, not_before: Option<Instant>, attempted: bool) -> Domain {
        let Loan { domain, mut entry, .. } = loan;
        if !attempted {
            entry.attempts -= 1;
        }
        if attempted || not_before.is_some() {
            let not_before = not_before.map(|at| self.calendar.millis(at));
            self.transaction.put(&domain, &entry, not_before);
        }
        if let Some(queue) = self.queues.get_mut(&domain) {
            queue.lent -= 1;
            queue.push(entry, not_before);
            self.in_memory += 1;
        }
        if not_before.is_some() {
            self.bound_delayed(&domain);
        }
        domain
    }

    /// Removes an entry that is in memory or on lease, here and in the store.
    fn remove(&mut self, domain: &Domain, place: QueuePosition) {
        self.held.remove(&place.age);
        self.stored -= 1;
        self.transaction.changes.push(Change::Remove { domain: domain.clone(), place });
        if let Some(queue) = self.queues.get_mut(domain) {
            queue.stored -= 1;
            queue.removed(place.age);
        }
        self.touch(domain);
    }
}

impl Frontier for WindowedFrontier {
    fn offer(&mut self, domain: &Domain, fingerprint: Fingerprint, request: Request, now: Instant) -> Offered {
        if let Some(sharing) = &mut self.sharing {
            let part = Part::of(domain);
            if !sharing.holds(part) {
                sharing.send(part, fingerprint, request, self.recrawl.keeps_times());
                return Offered::Sent;
            }
        }
        let now = self.calendar.second(now);
        let seen_at = self.recent.seen_at(&fingerprint);
        if !request.dont_filter && seen_at.is_some_and(|seen_at| !self.recrawl.is_due(seen_at, now)) {
            return Offered::AlreadySeen;
        }
        self.recent.insert(fingerprint, now);
        self.seen += u64::from(seen_at.is_none());
        self.transaction.changes.push(Change::See(fingerprint, now));
        let place = QueuePosition::new(request.rank(), self.number());
        let entry = Entry { place, attempts: 0, request: Arc::new(request) };
        self.transaction.put(domain, &entry, None);
        // A new queue too has to wait for room: there may be millions.
        let share = if self.in_memory < self.sizes.all { self.share() } else { 0 };
        let queue = self.queues.entry_ref(domain).or_default();
        queue.stored += 1;
        self.stored += 1;
        if queue.takes(place, share) {
            queue.push(entry, None);
            self.held.insert(place.age);
            self.in_memory += 1;
        } else {
            queue.leave_in_store(place);
        }
        self.touch(domain);
        Offered::Queued
    }

    fn has_seen(&self, fingerprint: &Fingerprint, now: Instant) -> bool {
        self.recent.seen_at(fingerprint).is_some_and(|seen_at| !self.recrawl.is_due(seen_at, self.calendar.second(now)))
    }

    fn admitted_ago(&self, fingerprint: &Fingerprint, now: Instant) -> Option<Duration> {
        let seconds = self.calendar.second(now).saturating_sub(self.recent.seen_at(fingerprint)?);
        self.recrawl.keeps_times().then(|| Duration::from_secs(seconds.into()))
    }

    fn look_up(&mut self, fingerprints: &mut dyn Iterator<Item = Fingerprint>) -> Option<Ticket> {
        if self.recent.is_complete() {
            return None;
        }
        let ticket = Ticket(self.number());
        self.ask(ticket, fingerprints.collect()).then_some(ticket)
    }

    fn lease(&mut self, domain: &Domain, now: Instant) -> Next {
        if !self.may_ask(domain) {
            return Next::Empty;
        }
        let share = self.share();
        let Some(queue) = self.queues.get_mut(domain) else { return Next::Empty };
        queue.wake(now);
        let Some(mut entry) = queue.pop() else {
            if !queue.has_more() {
                return queue.wakes_at().map_or(Next::Empty, Next::NotBefore);
            }
            self.read(domain, share.min(MAX_READ));
            return Next::Coming;
        };
        queue.lent += 1;
        let runs_low = queue.has_more() && queue.ready() < share / 4;
        self.in_memory -= 1;
        if runs_low && share > MIN_READ {
            self.read(domain, share.min(MAX_READ));
        }
        entry.attempts += 1;
        let id = LeaseId(self.number());
        let leased = Leased { id, request: entry.request.clone(), attempt: entry.attempts };
        self.leases.insert(id, Loan { domain: domain.clone(), entry });
        Next::Leased(leased)
    }

    fn ready_at(&mut self, domain: &Domain, now: Instant) -> Option<Instant> {
        if !self.may_ask(domain) {
            return None;
        }
        let share = self.share();
        let queue = self.queues.get_mut(domain)?;
        queue.wake(now);
        if queue.can_pop() {
            return Some(now);
        }
        if !queue.has_more() {
            return queue.wakes_at();
        }
        self.read(domain, share.min(MAX_READ));
        None
    }

    fn settle(&mut self, id: LeaseId) -> bool {
        let Some(loan) = self.leases.remove(&id) else { return false };
        if let Some(queue) = self.queues.get_mut(&loan.domain) {
            queue.lent -= 1;
        }
        if let Some(sharing) = &mut self.sharing {
            sharing.note_end();
        }
        self.remove(&loan.domain, loan.entry.place);
        true
    }

    fn give_back(&mut self, id: LeaseId, not_before: Option<Instant>, attempted: bool) -> Option<Domain> {
        let loan = self.leases.remove(&id)?;
        Some(self.take_back(loan, not_before, attempted))
    }

    fn drain(&mut self, domain: &Domain, max: usize) -> Drained {
        if !self.may_ask(domain) {
            return Drained::default();
        }
        let Some(queue) = self.queues.get_mut(domain) else { return Drained::default() };
        let entries = queue.take_any(max);
        let left = match (queue.ready() + queue.delayed(), queue.has_more()) {
            (0, false) => Left::Nothing,
            (0, true) => Left::Coming,
            _ => Left::Here,
        };
        self.in_memory -= entries.len();
        for entry in &entries {
            self.remove(domain, entry.place);
        }
        if left == Left::Coming {
            self.read(domain, MAX_READ);
        }
        Drained { requests: entries.into_iter().map(|entry| entry.request).collect(), left }
    }

    fn domains(&self) -> Box<dyn Iterator<Item = &Domain> + '_> {
        Box::new(self.queues.iter().filter(|(_, queue)| queue.has_waiting()).map(|(domain, _)| domain))
    }

    fn has_waiting(&self, domain: &Domain) -> bool {
        self.queues.get(domain).is_some_and(QueueWindow::has_waiting)
    }

    fn queued(&self) -> u64 {
        self.stored - self.leased()
    }

    fn queued_of(&self, domain: &Domain) -> u64 {
        self.queues.get(domain).map_or(0, QueueWindow::waiting)
    }

    fn leased(&self) -> u64 {
        self.leases.len() as u64
    }

    fn holds(&self, domain: &Domain) -> bool {
        self.sharing.as_ref().is_none_or(|sharing| sharing.holds(Part::of(domain)))
    }

    fn may_ask(&self, domain: &Domain) -> bool {
        self.sharing.as_ref().is_none_or(|sharing| sharing.may_ask(Part::of(domain)))
    }

    /// What is in the store only is not looked at.
    fn locate(&self, domain: &Domain, is_it: &dyn Fn(&Request) -> bool) -> Located {
        if let Some(loan) = self.leases.values().find(|loan| loan.domain == *domain && is_it(&loan.entry.request)) {
            return Located::Leased { request: loan.entry.request.clone(), attempt: loan.entry.attempts };
        }
        let Some(queue) = self.queues.get(domain) else { return Located::NotFound { not_looked_at: 0 } };
        queue.find(is_it).map_or_else(
            || {
                let looked_at = queue.ready() + queue.delayed();
                Located::NotFound { not_looked_at: queue.waiting().saturating_sub(looked_at as u64) }
            },
            Located::Waits,
        )
    }

    fn durable(&mut self) -> Option<&mut dyn Durable> {
        Some(self)
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) mod testing {
    use super::{opening::open_sized, store::Store, *};
    use crate::{
        error::Result,
        frontier::durable::{Opening, Resumed},
    };

    pub(in crate::frontier) use super::WindowedFrontier as Tiny;

    /// A frontier with so little memory that everything evictable is evicted.
    pub(in crate::frontier) fn tiny(store: impl Store + 'static, opening: Opening) -> Result<(Tiny, Resumed)> {
        let sizes = Sizes { all: 24, of_a_domain: 4, delayed: 3, generation: 8, looked_through: 16 };
        open_sized(store, opening, sizes)
    }

    /// Copies a folder with all that is in it.
    #[cfg(feature = "disk")]
    pub(in crate::frontier) fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            if from.is_dir() { copy_folder(&from, &to) } else { assert!(std::fs::copy(from, to).is_ok()) }
        }
    }

    /// Waits until everything committed is stored.
    #[cfg(feature = "disk")]
    pub(in crate::frontier) fn sync(frontier: &Tiny) {
        while frontier.link.backlog() > 0 {
            std::thread::yield_now();
        }
    }

    /// Ends like a killed process: what the store has not done yet is lost.
    pub(in crate::frontier) fn crash(frontier: Tiny) {
        frontier.link.crash();
    }
}
