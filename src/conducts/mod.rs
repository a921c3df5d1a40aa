//! Conducts: the conduct of every domain that the crawls and clients of a process ask, found by the domain's name.
//! Knows no rules and no network.

mod permit_queue;

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::{
        Arc, LazyLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use dashmap::{DashMap, mapref::entry::Entry};
use url::Url;

pub(crate) use self::permit_queue::PermitQueue;
use crate::{
    clock,
    conduct::{Conduct, Lessons, TenantId, Terms},
    domain::{Domain, DomainKey},
    permit::{Gate, Keeper, Released, Tenancy},
};

/// The politeness that crawls and clients share.
///
/// Every [`Crawler`](crate::Crawler) and every [`ThrottledClient`](crate::ThrottledClient) of a process shares
/// [`Conducts::shared`] unless it is told otherwise: two that ask one domain keep its limits *together*. Each brings its
/// own limits for that domain, and all of them hold as long as each has work there: a crawl that leaves a second between
/// two starts and a client with 50 a second make one start a second between them, and take turns. What the domain
/// teaches one, a refusal, a quota, a `Crawl-delay` (for who obeys robots files), is known to all.
///
/// Tenants find each other by the domain's name. A crawl that is paced by host and a client that is paced by
/// registrable domain share what has the same name under both: `example.org`, and not `www.example.org`. With a
/// function of your own as [`DomainKey`], or with `one_limit`, only those share that were given the same function, clones of
/// one `Arc`.
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
    places: DashMap<Key, Place>,
    /// Counts the tenancies, each of which has a name of its own.
    begun: AtomicU64,
    /// At how many tenancies the places are removed that hold nothing any more.
    sweep_at: AtomicU64,
}

/// A domain's name, and whose it is.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    domain: Domain,
    space: Space,
}

/// Who gives the names. The function is kept, so that no other can come to have its address.
#[derive(Clone)]
enum Space {
    Hosts,
    Function(Arc<dyn Fn(&Url) -> String + Send + Sync>),
}

/// What is known of a domain: about 700 bytes while it is asked, and what [`Lessons`] take after that.
enum Place {
    Asked(Arc<Gate>),
    Quiet(Box<Lessons>),
}

/// A crawl or a client, as the domains see it.
pub(crate) struct Tenant {
    table: Arc<Table>,
    space: Space,
    keeper: Arc<dyn Keeper>,
}

/// Forgets the gates of one space. It knows the table weakly: a gate that is still in use must not keep it.
struct SpaceKeeper {
    table: Weak<Table>,
    space: Space,
}

/// The fewest tenancies before what holds nothing any more is looked for.
const SWEEP_AT_LEAST: u64 = 1_024;

/// The most quiet domains that are remembered, about 170 MB of them. Beyond, those are forgotten whose lessons end first:
/// the robots file of each is read again before its pages, and refusals count from one again.
const MAX_QUIET: usize = 1_000_000;

impl Conducts {
    /// Begins without any: whoever is given these shares with nobody else.
    pub fn new() -> Self {
        let (begun, sweep_at) = (AtomicU64::new(0), AtomicU64::new(SWEEP_AT_LEAST));
        Self { table: Arc::new(Table { places: DashMap::new(), begun, sweep_at }) }
    }

    /// Returns those of this process.
    pub fn shared() -> Self {
        static SHARED: LazyLock<Conducts> = LazyLock::new(Conducts::new);
        SHARED.clone()
    }

    /// Takes up a tenant, whose domains are named by `key`.
    pub(crate) fn tenant(&self, key: &DomainKey) -> Tenant {
        let space = match key {
            DomainKey::By(function) => Space::Function(function.clone()),
            DomainKey::RegistrableDomain | DomainKey::Host => Space::Hosts,
        };
        let keeper = SpaceKeeper { table: Arc::downgrade(&self.table), space: space.clone() };
        Tenant { table: self.table.clone(), space, keeper: Arc::new(keeper) }
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
    /// Brings this tenant to the gate of a domain; `released` is told of the permits' ends and of its turns.
    pub fn join(&self, domain: &Domain, terms: Terms, released: Arc<dyn Released>, now: Instant) -> Arc<Tenancy> {
        let begun = self.table.begun.fetch_add(1, Ordering::Relaxed);
        if begun >= self.table.sweep_at.load(Ordering::Relaxed) {
            self.table.sweep(begun, now);
        }
        let id = TenantId(begun);
        let gate =
            |lessons: &Lessons| Gate::new(domain.clone(), self.keeper.clone(), Conduct::new(id, terms, lessons, now));
        // The place is held until the tenant is there: a gate is removed only while nobody is.
        match self.table.places.entry(self.key(domain)) {
            Entry::Vacant(place) => {
                let gate = gate(&Lessons::default());
                let tenancy = Tenancy::begin(&gate, id, terms, released, true);
                place.insert(Place::Asked(gate));
                tenancy
            }
            Entry::Occupied(mut place) => {
                let gate = match place.get() {
                    Place::Asked(gate) => return Tenancy::begin(gate, id, terms, released, false),
                    Place::Quiet(lessons) => gate(lessons),
                };
                let tenancy = Tenancy::begin(&gate, id, terms, released, true);
                place.insert(Place::Asked(gate));
                tenancy
            }
        }
    }

    /// Returns what is remembered of a domain.
    pub fn lessons(&self, domain: &Domain, now: Instant) -> Lessons {
        match self.table.places.get(&self.key(domain)).as_deref() {
            Some(Place::Asked(gate)) => gate.lessons(now),
            Some(Place::Quiet(lessons)) => **lessons,
            None => Lessons::default(),
        }
    }

    /// Takes up what was remembered of a domain, by an earlier process.
    pub fn recall(&self, domain: &Domain, lessons: Lessons, now: Instant) {
        match self.table.places.entry(self.key(domain)) {
            Entry::Vacant(place) => {
                if !lessons.is_empty(now) {
                    place.insert(Place::Quiet(Box::new(lessons)));
                }
            }
            Entry::Occupied(mut place) => match place.get_mut() {
                Place::Asked(gate) => gate.recall(&lessons, now),
                Place::Quiet(known) => **known = known.stricter(&lessons, now),
            },
        }
    }

    fn key(&self, domain: &Domain) -> Key {
        Key { domain: domain.clone(), space: self.space.clone() }
    }
}

impl Table {
    /// Removes what holds nothing any more, each time that as many tenancies have begun as there are places.
    fn sweep(&self, begun: u64, now: Instant) {
        let next = begun + SWEEP_AT_LEAST.max(u64::try_from(self.places.len()).unwrap_or(u64::MAX));
        if self.sweep_at.swap(next, Ordering::Relaxed) > begun {
            // Another thread sweeps.
            return;
        }
        let mut ends = Vec::new();
        self.places.retain(|_, place| {
            settle(place, now);
            if let Place::Quiet(lessons) = place {
                ends.extend(lessons.end(now));
                return !lessons.is_empty(now);
            }
            true
        });
        if ends.len() > MAX_QUIET {
            let (_, middle, _) = ends.select_nth_unstable(MAX_QUIET / 2);
            let latest = *middle;
            self.places.retain(|_, place| match place {
                Place::Asked(_) => true,
                Place::Quiet(lessons) => lessons.end(now).is_some_and(|end| end > latest),
            });
        }
    }
}

/// Lets go of a gate of which nothing but its lessons is to be kept.
fn settle(place: &mut Place, now: Instant) {
    if let Place::Asked(gate) = place
        && let Some(lessons) = gate.dormant(now)
    {
        *place = Place::Quiet(Box::new(lessons));
    }
}

impl Keeper for SpaceKeeper {
    fn vacant(&self, gate: &Arc<Gate>) {
        let Some(table) = self.table.upgrade() else { return };
        let key = Key { domain: gate.domain().clone(), space: self.space.clone() };
        let Entry::Occupied(mut place) = table.places.entry(key) else { return };
        if !matches!(place.get(), Place::Asked(known) if Arc::ptr_eq(known, gate)) {
            return;
        }
        let now = clock::now();
        settle(place.get_mut(), now);
        if matches!(place.get(), Place::Quiet(lessons) if lessons.is_empty(now)) {
            place.remove();
        }
    }
}

impl PartialEq for Space {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Hosts, Self::Hosts) => true,
            (Self::Function(one), Self::Function(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Space {}

impl Hash for Space {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Hosts => 0_usize.hash(state),
            Self::Function(function) => Arc::as_ptr(function).cast::<()>().addr().hash(state),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{conduct::Asked, cooling::Why, rate::Rate};

    struct Nobody;

    impl Released for Nobody {
        fn released(&self, _: &Domain) {}
    }

    const S: Duration = Duration::from_secs(1);

    fn join(tenant: &Tenant, name: &str, rate: Rate) -> Arc<Tenancy> {
        tenant.join(&Domain::new(name), Terms::rate(rate), Arc::new(Nobody), Instant::now())
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
        let asked = Asked { spacing: 3 * S, until: now + 3_600 * S };
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
            let refused = Lessons::new(Some((3, now + S, Why::Status(503))), None);
            tenant.recall(&Domain::new(&format!("d{n}.org")), refused, now);
        }
        assert_eq!(conducts.len(), 1_000);
        conducts.table.sweep(u64::MAX / 2, now + 100_000 * S);
        assert_eq!(conducts.len(), 0);
    }
}
