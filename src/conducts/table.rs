//! DomainTable: the domains of a registry, by their names within a name space, with what is removed of them and when.
//! Knows no rules.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use dashmap::DashMap;
use hashbrown::DefaultHashBuilder;
use url::Url;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::{
    clock,
    conduct::Lessons,
    domain::{Domain, DomainKey, by_domain::pattern_by},
    error::Result,
    permit::{Gate, Paused},
    term::Term,
};

/// The domains of a registry.
pub(super) struct DomainTable {
    /// Until when anybody may be asked.
    pub term: Arc<Term>,
    /// The domains that nobody may ask now.
    pub paused: Arc<Paused>,
    pub places: DashMap<NameKey, DomainState, DefaultHashBuilder>,
    /// The functions that name domains, each with the number of its name space. A function that was dropped is removed
    /// at the next look-up; until then no other function can have its address.
    functions: Mutex<Vec<(u64, Weak<NameDomain>)>>,
    /// The number of the next function's name space.
    spaces: AtomicU64,
    /// The number of tenancies so far; gives each its ID.
    pub begun: AtomicU64,
    /// The number of places that were left since empty ones were last removed.
    pub left: AtomicU64,
    /// The number of left places at which empty ones are next removed.
    sweep_at: AtomicU64,
}

/// A domain's name within its name space, as 128 bits of XXH3, so that the table can grow without hashing names again.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct NameKey(u128);

/// A name space: 0 for hosts, and one for each function.
#[derive(Clone)]
pub(super) struct Space {
    number: u64,
    /// Kept alive, so that the name space belongs to this function while it is in use.
    _function: Option<Arc<NameDomain>>,
}

pub(super) type NameDomain = dyn Fn(&Url) -> String + Send + Sync;

/// The state of a domain: about 400 bytes while in use, and the size of [`Lessons`] after that.
pub(super) enum DomainState {
    Asked(Arc<Gate>),
    Quiet(Box<Lessons>),
}

/// The fewest places that are left before empty ones are removed.
const SWEEP_AT_LEAST: u64 = 1_024;

/// The most places that are left before empty ones are removed, so that unused domains stay near [`MAX_QUIET`].
const MAX_SWEEP_AT: u64 = 250_000;

/// The most unused domains that are remembered, about 190 MB. Beyond it, those whose lessons expire first are
/// forgotten: their robots file is read again before their pages, and refusals count from one.
const MAX_QUIET: usize = 1_000_000;

impl Space {
    /// The name space of hosts.
    pub const HOSTS: Self = Self { number: 0, _function: None };

    /// Returns the key of a domain.
    pub fn key(&self, domain: &Domain) -> NameKey {
        NameKey(xxh3_128_with_seed(domain.as_str().as_bytes(), self.number))
    }
}

impl DomainTable {
    /// Creates a table without domains.
    pub fn new() -> Self {
        Self {
            term: Arc::new(Term::boundless(clock::now())),
            paused: Arc::default(),
            places: DashMap::default(),
            functions: Mutex::default(),
            spaces: AtomicU64::new(1),
            begun: AtomicU64::new(0),
            left: AtomicU64::new(0),
            sweep_at: AtomicU64::new(SWEEP_AT_LEAST),
        }
    }

    /// Returns the patterns of domains as they may be named here: as hosts, and as functions of users may name them.
    pub fn patterns(&self, given: &str) -> Result<Vec<String>> {
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
    pub fn space_of(&self, function: &Arc<NameDomain>) -> Space {
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
    pub fn sweep_if_due(&self, now: Instant) {
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

    pub fn sweep(&self, now: Instant) {
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
pub(super) fn settle(place: &mut DomainState, now: Instant) -> bool {
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
