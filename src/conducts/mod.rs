//! Conducts: the registry of domains' conduct for all crawls and clients of a process, by domain name. Knows no rules
//! and no network.

mod permit_queue;

use std::{
    fmt,
    sync::{
        Arc, LazyLock, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use dashmap::{DashMap, mapref::entry::Entry};
use hashbrown::DefaultHashBuilder;
use url::Url;
use xxhash_rust::xxh3::xxh3_128_with_seed;

pub(crate) use self::permit_queue::PermitQueue;
use crate::{
    clock,
    conduct::{Conduct, Lessons, TenantId, Terms},
    domain::{Domain, DomainKey, by_domain::pattern_by},
    error::Result,
    permit::{Gate, GateRegistry, Paused, Released, Tenancy},
    term::Term,
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
    table: Arc<Table>,
}

struct Table {
    /// Until when anybody may be asked.
    term: Arc<Term>,
    /// The domains that nobody may ask now.
    paused: Arc<Paused>,
    places: DashMap<Key, DomainState, DefaultHashBuilder>,
    /// The functions that name domains, each with the number of its name space. A function that was dropped is removed
    /// at the next look-up; until then no other function can have its address.
    functions: Mutex<Vec<(u64, Weak<NameDomain>)>>,
    /// The number of the next function's name space.
    spaces: AtomicU64,
    /// The number of tenancies so far; gives each its ID.
    begun: AtomicU64,
    /// The number of places that were left since empty ones were last removed.
    left: AtomicU64,
    /// The number of left places at which empty ones are next removed.
    sweep_at: AtomicU64,
}

/// A domain's name within its name space, as 128 bits of XXH3, so that the table can grow without hashing names again.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key(u128);

/// A name space: 0 for hosts, and one for each function.
#[derive(Clone)]
struct Space {
    number: u64,
    /// Kept alive, so that the name space belongs to this function while it is in use.
    _function: Option<Arc<NameDomain>>,
}

type NameDomain = dyn Fn(&Url) -> String + Send + Sync;

/// The state of a domain: about 400 bytes while in use, and the size of [`Lessons`] after that.
enum DomainState {
    Asked(Arc<Gate>),
    Quiet(Box<Lessons>),
}

/// A crawl or a client, as the domains see it.
pub(crate) struct Tenant {
    table: Arc<Table>,
    space: Space,
    keeper: Arc<dyn GateRegistry>,
}

/// Removes the gates of one name space. Holds the table weakly, so that a gate in use does not keep it alive.
struct SpaceKeeper {
    table: Weak<Table>,
    space: Space,
}

/// The fewest places that are left before empty ones are removed.
const SWEEP_AT_LEAST: u64 = 1_024;

/// The most places that are left before empty ones are removed, so that unused domains stay near [`MAX_QUIET`].
const MAX_SWEEP_AT: u64 = 250_000;

/// The most unused domains that are remembered, about 190 MB. Beyond it, those whose lessons expire first are
/// forgotten: their robots file is read again before their pages, and refusals count from one.
const MAX_QUIET: usize = 1_000_000;

impl Conducts {
    /// Creates an empty registry, which only those share that are given it.
    pub fn new() -> Self {
        Self {
            table: Arc::new(Table {
                term: Arc::new(Term::boundless(clock::now())),
                paused: Arc::default(),
                places: DashMap::default(),
                functions: Mutex::default(),
                spaces: AtomicU64::new(1),
                begun: AtomicU64::new(0),
                left: AtomicU64::new(0),
                sweep_at: AtomicU64::new(SWEEP_AT_LEAST),
            }),
        }
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
            DomainKey::RegistrableDomain | DomainKey::Host => Space { number: 0, _function: None },
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
    fn table_here(&self) -> Arc<Table> {
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

impl Space {
    fn key(&self, domain: &Domain) -> Key {
        Key(xxh3_128_with_seed(domain.as_str().as_bytes(), self.number))
    }
}

impl Table {
    /// Returns the patterns of domains as they may be named here: as hosts, and as functions of users may name them.
    fn patterns(&self, given: &str) -> Result<Vec<String>> {
        let as_given = || pattern_by(&DomainKey::By(Arc::new(|_| String::new())), given);
        match pattern_by(&DomainKey::Host, given.trim_matches(['[', ']'])) {
            Ok(host) => {
                // An IPv6 address has brackets as a host of a URL, and none as a domain that is registered.
                let in_brackets = host.contains(':').then(|| format!("[{host}]"));
                let others = in_brackets.into_iter().chain(as_given()).filter(|name| *name != host).collect::<Vec<_>>();
                Ok(std::iter::once(host).chain(others).collect())
            }
            Err(_) if !self.functions.lock().unwrap_or_else(PoisonError::into_inner).is_empty() => {
                Ok(vec![as_given()?])
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the name space of a function; clones of one `Arc` share it.
    fn space_of(&self, function: &Arc<NameDomain>) -> Space {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        functions.retain(|(_, known)| known.strong_count() > 0);
        let known = functions.iter().find(|(_, known)| std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(function)));
        let number = known.map_or_else(|| self.spaces.fetch_add(1, Ordering::Relaxed), |(number, _)| *number);
        if known.is_none() {
            functions.push((number, Arc::downgrade(function)));
        }
        Space { number, _function: Some(function.clone()) }
    }

    /// Removes empty places each time that as many were left as the table has, or a quarter of a million, so that the
    /// scans cost little. A crawl of a million domains that leaves none never scans.
    fn sweep_if_due(&self, now: Instant) {
        let left = self.left.load(Ordering::Relaxed);
        if left < self.sweep_at.load(Ordering::Relaxed) {
            return;
        }
        // Of two threads that come here together, the second finds nothing left.
        if self.left.compare_exchange(left, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.sweep(now);
            let places = u64::try_from(self.places.len()).unwrap_or(u64::MAX);
            self.sweep_at.store(places.clamp(SWEEP_AT_LEAST, MAX_SWEEP_AT), Ordering::Relaxed);
        }
    }

    fn sweep(&self, now: Instant) {
        let mut ends = Vec::new();
        self.places.retain(|_, place| {
            let is_needed = settle(place, now);
            if let (true, DomainState::Quiet(lessons)) = (is_needed, place) {
                ends.extend(lessons.end(now));
            }
            is_needed
        });
        if ends.len() > MAX_QUIET {
            let (_, middle, _) = ends.select_nth_unstable(MAX_QUIET / 2);
            let latest = *middle;
            self.places.retain(|_, place| match place {
                DomainState::Asked(_) => true,
                DomainState::Quiet(lessons) => lessons.end(now).is_some_and(|end| end > latest),
            });
        }
    }
}

/// Replaces a gate by its lessons, if nothing else of it matters. Tells whether the place is still needed.
fn settle(place: &mut DomainState, now: Instant) -> bool {
    match place {
        DomainState::Quiet(lessons) => !lessons.is_empty(now),
        DomainState::Asked(gate) => {
            let Some(lessons) = gate.dormant(now) else { return true };
            let is_needed = !lessons.is_empty(now);
            if is_needed {
                *place = DomainState::Quiet(Box::new(lessons));
            }
            is_needed
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        conduct::{
            AskedSpacing,
            cooling::{CoolingCause, Refusals},
        },
        rate::Rate,
    };

    const S: Duration = Duration::from_secs(1);

    fn join(tenant: &Tenant, name: &str, rate: Rate) -> Arc<Tenancy> {
        tenant.join(&Domain::new(name), Terms::rate(rate), Arc::new(()), Instant::now())
    }

    #[test]
    fn a_domain_that_was_never_asked_leaves_nothing_behind() {
        let conducts = Conducts::new();
        drop(join(&conducts.tenant(&DomainKey::Host), "e.org", Rate::per_second(1)));
        assert_eq!(conducts.len(), 0);
    }

    #[test]
    fn what_a_domain_taught_outlives_its_tenants() {
        let (conducts, now) = (Conducts::new(), Instant::now());
        let tenant = conducts.tenant(&DomainKey::Host);
        let asked = AskedSpacing { spacing: 3 * S, until: now + 3_600 * S };
        join(&tenant, "e.org", Rate::UNLIMITED).ask_for(asked, now);
        assert_eq!(conducts.len(), 1);
        assert_eq!(join(&tenant, "e.org", Rate::UNLIMITED).asked(now), Some(asked));
        assert_eq!(tenant.lessons(&Domain::new("e.org"), now).asked(now), Some(asked));
    }

    #[test]
    fn a_start_still_counts_when_the_tenant_that_made_it_has_left() {
        let (conducts, now) = (Conducts::new(), Instant::now());
        let tenant = conducts.tenant(&DomainKey::Host);
        let first = join(&tenant, "e.org", Rate::per_minute(1));
        let mut permit = first.grant(now, now).unwrap();
        permit.try_start(now).unwrap();
        permit.wrote(now);
        drop((permit, first));
        assert!(join(&tenant, "e.org", Rate::per_minute(1)).grant(now, now + 50 * S).is_err());
    }

    #[test]
    fn functions_share_with_their_clones_only() {
        let conducts = Conducts::new();
        let all = || DomainKey::By(Arc::new(|_: &Url| "all".to_owned()));
        let (one, other) = (all(), all());
        let [first, clone, apart] = [&one, &one.clone(), &other].map(|key| conducts.tenant(key));
        let held = [&first, &clone].map(|tenant| join(tenant, "all", Rate::UNLIMITED));
        assert_eq!(conducts.len(), 1);
        let more =
            [join(&apart, "all", Rate::UNLIMITED), join(&conducts.tenant(&DomainKey::Host), "all", Rate::UNLIMITED)];
        assert_eq!(conducts.len(), 3);
        drop((held, more));
    }

    #[test]
    fn what_is_remembered_ends_by_itself() {
        let (conducts, now) = (Conducts::new(), Instant::now());
        let tenant = conducts.tenant(&DomainKey::Host);
        for n in 0..1_000 {
            let refusals = Refusals { in_a_row: 3, limit: 8, until: now + S, why: CoolingCause::Status(503) };
            let refused = Lessons::new(Some(refusals), None);
            tenant.recall(&Domain::new(&format!("d{n}.org")), refused, now);
        }
        assert_eq!(conducts.len(), 1_000);
        conducts.table.sweep(now + 100_000 * S);
        assert_eq!(conducts.len(), 0);
    }
}
