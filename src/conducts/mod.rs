//! Conducts: the registry of domains' conduct for all crawls and clients of a process, by domain name. Knows no rules
//! and no network.

mod permit_queue;
mod table;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, LazyLock, Weak, atomic::Ordering},
    time::Instant,
};

use dashmap::mapref::entry::Entry;

pub(crate) use self::permit_queue::PermitQueue;
use self::table::{DomainState, DomainTable, Space, settle};
#[cfg(any(test, feature = "cluster"))]
use crate::term::Term;
use crate::{
    clock,
    conduct::{Conduct, Lessons, TenantId, Terms},
    domain::{Domain, DomainKey},
    error::Result,
    permit::{Gate, GateRegistry, Released, Tenancy},
};

/// The politeness that crawls and clients share.
///
/// Every [`Crawler`](crate::Crawler) and every [`ThrottledClient`](crate::ThrottledClient) of a process uses
/// [`Conducts::shared`] by default, so two that send requests to one domain keep its limits *together*. Each has its
/// own limits for the domain, and all of them hold while each has work there: a crawl with one second between two
/// starts and a client with 50 a second make one start a second between them, and take turns. What one learns of the
/// domain (a refusal, a quota, a `Crawl-delay` for those that obey robots files) applies to all.
///
/// Domains are identified by name. A crawl paced by host and a client paced by registrable domain share the names that
/// both use: `example.org`, and not `www.example.org`. With a custom function as [`DomainKey`], or with `one_limit`,
/// only those share that use the same function, clones of one `Arc`.
///
/// ```
/// use actix_crawler::{Conducts, Rate, ThrottledClient};
///
/// // Two clients whose users pay for separate quotas of one API, each with a limit of its own.
/// let agent = "pricebot/1.0 (+https://example.org/bot)";
/// let one = ThrottledClient::builder(agent).rate(Rate::per_second(10)).conducts(&Conducts::new()).build()?;
/// let other = ThrottledClient::builder(agent).rate(Rate::per_second(10)).conducts(&Conducts::new()).build()?;
///
/// // Two clients that keep to ten a second together, as they do without being told.
/// let both = Conducts::shared();
/// let one = ThrottledClient::builder(agent).rate(Rate::per_second(10)).conducts(&both).build()?;
/// let other = ThrottledClient::new(agent, Rate::per_second(10))?;
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone)]
pub struct Conducts {
    table: Arc<DomainTable>,
}

/// A crawl or a client, as the domains see it.
pub(crate) struct Tenant {
    table: Arc<DomainTable>,
    space: Space,
    keeper: Arc<dyn GateRegistry>,
}

/// Removes the gates of one name space. Holds the table weakly, so that a gate in use does not keep it alive.
struct SpaceKeeper {
    table: Weak<DomainTable>,
    space: Space,
}

impl Conducts {
    /// Creates an empty registry, which only those share that are given it.
    pub fn new() -> Self {
        Self { table: Arc::new(DomainTable::new()) }
    }

    /// Returns the registry of this process.
    pub fn shared() -> Self {
        static SHARED: LazyLock<Conducts> = LazyLock::new(Conducts::new);
        SHARED.clone()
    }

    /// Sends no more requests to a domain, whichever crawl, client or job asks, until [`Conducts::resume`]: at once
    /// only those are left that have a permit, and end as usual. What waits stays queued, also for a crawl that would
    /// end otherwise; so do the requests of a client, without a time-out, and pages whose files are of that domain:
    /// when [`Files::max_waiting_pages`](crate::files::Files::max_waiting_pages) of them wait, nothing else is asked.
    /// Not so of those that were given other conducts, and of other processes.
    ///
    /// The domain is named as reports name it, by default the registrable one (`example.org`); with a star it is all
    /// that end in it (`*.example.org`, which includes `example.org`), and `*` is all. What is said later holds. It
    /// ends with the process. [`CrawlHandle::domain`](crate::CrawlHandle::domain) pauses a domain for one crawl.
    ///
    /// ```
    /// use actix_crawler::Conducts;
    ///
    /// // The shop has called: nobody asks it for anything until tomorrow.
    /// Conducts::shared().pause("shop.example")?;
    /// # let tomorrow = || Ok::<(), actix_crawler::Error>(());
    /// # tomorrow()?;
    /// Conducts::shared().resume("shop.example")?;
    /// # Ok::<(), actix_crawler::Error>(())
    /// ```
    ///
    /// # Errors
    /// No domain can have the name, or more than 10,000 domains or 100 patterns are paused.
    pub fn pause(&self, domain: &str) -> Result<()> {
        let table = self.table_here();
        table.patterns(domain)?.iter().try_for_each(|pattern| table.paused.set(pattern, true))
    }

    /// Sends requests to a domain again.
    ///
    /// # Errors
    /// As [`Conducts::pause`].
    pub fn resume(&self, domain: &str) -> Result<()> {
        let table = self.table_here();
        let patterns = table.patterns(domain)?;
        patterns.iter().try_for_each(|pattern| table.paused.set(pattern, false))?;
        let is_resumed = |place: &DomainState| match place {
            DomainState::Asked(gate) if patterns.iter().any(|pattern| gate.domain().matches(pattern)) => {
                Some(gate.clone())
            }
            DomainState::Asked(_) | DomainState::Quiet(_) => None,
        };
        // Those who are told may look up other gates, so no part of the table is locked then.
        let gates: Vec<_> = table.places.iter().filter_map(|place| is_resumed(&place)).collect();
        for gate in gates {
            gate.resumed();
        }
        Ok(())
    }

    /// Adds a tenant, whose domains are named by `key`.
    pub(crate) fn tenant(&self, key: &DomainKey) -> Tenant {
        let table = self.table_here();
        let space = match key {
            DomainKey::By(function) => table.space_of(function),
            DomainKey::RegistrableDomain | DomainKey::Host => Space::HOSTS,
        };
        let keeper = SpaceKeeper { table: Arc::downgrade(&table), space: space.clone() };
        Tenant { table, space, keeper: Arc::new(keeper) }
    }

    /// Returns the term of all who share this registry.
    #[cfg(any(test, feature = "cluster"))]
    pub(crate) fn term(&self) -> Arc<Term> {
        self.table_here().term.clone()
    }

    /// A thread whose time is virtual has a registry of its own in place of the process's, whose instants are real.
    fn table_here(&self) -> Arc<DomainTable> {
        thread_local!(static HERE: Conducts = Conducts::new());
        let is_of_the_process = || Arc::ptr_eq(&self.table, &Self::shared().table);
        if clock::is_virtual() && is_of_the_process() {
            HERE.with(|here| here.table.clone())
        } else {
            self.table.clone()
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.table.places.len()
    }
}

impl Default for Conducts {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Conducts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conducts").field("domains", &self.table.places.len()).finish()
    }
}

impl Tenant {
    /// Adds this tenant to the gate of a domain; `released` is notified when permits end and its turn comes.
    pub fn join(
        &self,
        domain: &Domain,
        terms: impl Into<Arc<Terms>>,
        released: Arc<dyn Released>,
        now: Instant,
    ) -> Arc<Tenancy> {
        let terms = terms.into();
        let id = TenantId(self.table.begun.fetch_add(1, Ordering::Relaxed));
        self.table.sweep_if_due(now);
        let gate = |lessons: &Lessons| {
            let conduct = Conduct::new(id, terms.clone(), lessons, now);
            let of_all = (self.table.term.clone(), self.table.paused.clone());
            Gate::new(domain.clone(), of_all, self.keeper.clone(), conduct)
        };
        // The entry stays locked until the tenant has joined: a gate without tenants may be removed.
        match self.table.places.entry(self.space.key(domain)) {
            Entry::Vacant(place) => {
                let gate = gate(&Lessons::default());
                let tenancy = Tenancy::begin(&gate, id, None, released);
                place.insert(DomainState::Asked(gate));
                tenancy
            }
            Entry::Occupied(mut place) => {
                let gate = match place.get() {
                    DomainState::Asked(gate) => return Tenancy::begin(gate, id, Some(terms), released),
                    DomainState::Quiet(lessons) => gate(lessons),
                };
                let tenancy = Tenancy::begin(&gate, id, None, released);
                place.insert(DomainState::Asked(gate));
                tenancy
            }
        }
    }

    /// Returns what is remembered of a domain.
    pub fn lessons(&self, domain: &Domain, now: Instant) -> Lessons {
        match self.table.places.get(&self.space.key(domain)).as_deref() {
            Some(DomainState::Asked(gate)) => gate.lessons(now),
            Some(DomainState::Quiet(lessons)) => **lessons,
            None => Lessons::default(),
        }
    }

    /// Restores what an earlier process remembered of a domain.
    pub fn recall(&self, domain: &Domain, lessons: Lessons, now: Instant) {
        match self.table.places.entry(self.space.key(domain)) {
            Entry::Vacant(place) => {
                if !lessons.is_empty(now) {
                    place.insert(DomainState::Quiet(Box::new(lessons)));
                    self.table.left.fetch_add(1, Ordering::Relaxed);
                }
            }
            Entry::Occupied(mut place) => match place.get_mut() {
                DomainState::Asked(gate) => gate.recall(&lessons, now),
                DomainState::Quiet(known) => **known = known.stricter(&lessons, now),
            },
        }
    }
}

impl GateRegistry for SpaceKeeper {
    fn vacant(&self, gate: &Arc<Gate>) {
        let Some(table) = self.table.upgrade() else { return };
        let key = self.space.key(gate.domain());
        let Entry::Occupied(mut place) = table.places.entry(key) else { return };
        if !matches!(place.get(), DomainState::Asked(known) if Arc::ptr_eq(known, gate)) {
            return;
        }
        let now = clock::now();
        if settle(place.get_mut(), now) {
            table.left.fetch_add(1, Ordering::Relaxed);
        } else {
            place.remove();
        }
    }
}
