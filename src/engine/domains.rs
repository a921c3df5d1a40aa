//! Domains: the table of domains with work or a past, and the heap of due domains. Knows no frontier and no fetchers.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use hashbrown::HashMap;
use url::Url;

use crate::{
    conduct::{Lessons, Sparing, Terms},
    conducts::Tenant,
    cooling::Cooling,
    domain::Domain,
    permit::{Released, Tenancy},
    politeness::{Politeness, RobotsPolicy},
};

/// The table of domains. Picking the next one costs O(log domains); a domain without work costs the memory of its name.
pub struct Domains {
    table: HashMap<Domain, Entry>,
    due: BinaryHeap<Reverse<Due>>,
    /// Each cooling domain once, with the end of its cooling when it was entered; the end may have moved since.
    cooling: BinaryHeap<Reverse<(Instant, Domain)>>,
    /// Breaks ties, so that domains due at the same time take turns.
    turn: u64,
    politeness: Arc<Politeness>,
    adaptive: bool,
    /// This crawl, among the tenants that share the conduct of domains.
    tenant: Tenant,
    released: Arc<dyn Released>,
    /// When this process took the crawl over from another, which may have just sent requests to any domain.
    resumed: Option<Instant>,
}

/// The state of a domain that is in use, or was so recently that its throttle still matters.
pub struct Live {
    /// The place at its gate, from which permits are granted.
    pub(crate) tenancy: Arc<Tenancy>,
    /// Robots files to request before its pages.
    pub robots: VecDeque<Url>,
    /// Whether the domain is in `cooling`.
    is_listed: bool,
}

#[derive(Default)]
struct Entry {
    /// The current place in the heap, with its turn; all other places are stale.
    due: Option<(Instant, u64)>,
    live: Option<Box<Live>>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Instant,
    turn: u64,
    domain: Domain,
}

impl Domains {
    /// Creates an empty table. `released` is notified when permits end. With `adaptive`, the rate of each domain is
    /// searched for.
    pub(crate) fn new(
        politeness: Arc<Politeness>,
        tenant: Tenant,
        released: Arc<dyn Released>,
        adaptive: bool,
    ) -> Self {
        let (due, cooling) = (BinaryHeap::new(), BinaryHeap::new());
        let table = HashMap::new();
        Self { table, due, cooling, turn: 0, politeness, adaptive, tenant, released, resumed: None }
    }

    /// Treats every domain without a state as requested at `resumed`, since the earlier process may have done so.
    pub fn begin_as_asked(&mut self, resumed: Instant) {
        self.resumed = Some(resumed);
    }

    /// Schedules a domain at `at`, unless it is scheduled earlier.
    pub fn schedule(&mut self, domain: &Domain, at: Instant) {
        let entry = self.table.entry_ref(domain).or_default();
        if entry.due.is_some_and(|(due, _)| due <= at) {
            return;
        }
        self.turn += 1;
        entry.due = Some((at, self.turn));
        self.due.push(Reverse(Due { at, turn: self.turn, domain: domain.clone() }));
        if self.due.len() > 2 * self.table.len() + STALE_AT_LEAST {
            let table = &self.table;
            self.due.retain(|Reverse(due)| is_current(table, due));
        }
    }

    /// Removes and returns the next domain due at or before `horizon`.
    pub fn pop_due(&mut self, horizon: Instant) -> Option<Domain> {
        while self.next_due()? <= horizon {
            let Reverse(due) = self.due.pop()?;
            if let Some(entry) = self.table.get_mut(&due.domain) {
                entry.due = None;
                return Some(due.domain);
            }
        }
        None
    }

    /// Returns when the next domain is due.
    pub fn next_due(&mut self) -> Option<Instant> {
        loop {
            let Reverse(first) = self.due.peek()?;
            if is_current(&self.table, first) {
                return Some(first.at);
            }
            self.due.pop();
        }
    }

    /// Returns the domain's state, creating it if necessary.
    pub fn live(&mut self, domain: &Domain, now: Instant) -> &mut Live {
        let entry = self.table.entry_ref(domain).or_default();
        entry.live.get_or_insert_with(|| {
            let obeys = self.politeness.robots == RobotsPolicy::Obey;
            let terms = Terms {
                limits: self.politeness.limits(domain),
                max_crawl_delay: obeys.then_some(self.politeness.max_crawl_delay),
                cools_unreachable: true,
                adaptive: self.adaptive,
            };
            let tenancy = self.tenant.join(domain, terms, self.released.clone(), now);
            if let Some(at) = self.resumed {
                tenancy.assume_asked(at);
            }
            Box::new(Live { tenancy, robots: VecDeque::new(), is_listed: false })
        })
    }

    /// Returns the cooling state of a domain, if it has a state.
    pub fn cooling_of(&self, domain: &Domain) -> Option<Cooling> {
        Some(self.get(domain)?.tenancy.cooling())
    }

    /// Returns what is remembered of a domain's conduct, also if it has no state here.
    pub(crate) fn lessons(&self, domain: &Domain, now: Instant) -> Lessons {
        self.tenant.lessons(domain, now)
    }

    /// Restores what an earlier process learned of a domain. Only a domain that still cools gets a state.
    pub(crate) fn recall(&mut self, domain: &Domain, lessons: Lessons, now: Instant) {
        self.tenant.recall(domain, lessons, now);
        if lessons.refusals(now).is_some_and(|(_, until, _)| until > now) {
            self.note_cooling(domain, now);
            // Schedule it, so that its state is removed in time even if nothing waits.
            self.schedule(domain, now);
        }
    }

    /// Spares a domain as an earlier process did. It gets a state for that, to be forgotten when it is over.
    pub(crate) fn spare(&mut self, domain: &Domain, sparing: Sparing, now: Instant) {
        self.live(domain, now).tenancy.spare(sparing);
        self.schedule(domain, now);
    }

    /// Returns the domain's state, if it has one.
    pub fn get(&self, domain: &Domain) -> Option<&Live> {
        self.table.get(domain)?.live.as_deref()
    }

    /// Removes the state of a domain once its conduct survives without it: its throttle is indistinguishable from a
    /// fresh one, or another tenant is present. What the domain taught is kept (see [`Lessons`]). Returns the state, or
    /// when to try again.
    pub fn forget(&mut self, domain: &Domain, now: Instant) -> Forgotten {
        let Some(entry) = self.table.get_mut(domain) else { return Forgotten::default() };
        let Some(live) = &entry.live else {
            return Forgotten::default();
        };
        if !live.robots.is_empty() {
            return Forgotten::default();
        }
        match live.tenancy.may_leave(now) {
            Ok(()) => Forgotten { live: entry.live.take(), come_back: None },
            Err(come_back) => Forgotten { live: None, come_back: come_back.map(|at| at.max(now + COME_BACK)) },
        }
    }

    /// Removes a domain for which nothing waits and nothing is remembered.
    pub fn remove_idle(&mut self, domain: &Domain) {
        if self.table.get(domain).is_some_and(|entry| entry.live.is_none() && entry.due.is_none()) {
            self.table.remove(domain);
        }
    }

    /// Enters a domain among the cooling ones, if it cools.
    pub fn note_cooling(&mut self, domain: &Domain, now: Instant) {
        let live = self.live(domain, now);
        if let (Some((until, _)), false) = (live.tenancy.cooling().state(now), live.is_listed) {
            live.is_listed = true;
            self.cooling.push(Reverse((until, domain.clone())));
        }
    }

    /// Returns how many domains cool, in amortised constant time.
    pub fn cooling(&mut self, now: Instant) -> usize {
        while self.cooling.peek().is_some_and(|Reverse((until, _))| *until <= now) {
            let Some(Reverse((_, domain))) = self.cooling.pop() else { break };
            if let Some(live) = self.table.get_mut(&domain).and_then(|entry| entry.live.as_mut()) {
                // It may have refused again since.
                live.is_listed = false;
                self.note_cooling(&domain, now);
            }
        }
        self.cooling.len()
    }

    /// Iterates over the domains that have a state.
    pub fn all_live(&self) -> impl Iterator<Item = (&Domain, &Live)> {
        self.table.iter().filter_map(|(domain, entry)| Some((domain, entry.live.as_deref()?)))
    }

    /// Returns how many domains have work or a past.
    pub fn known(&self) -> usize {
        self.table.len()
    }
}

/// Stale places are removed from the heap once they outnumber the current ones and this number.
const STALE_AT_LEAST: usize = 1_024;

/// Tells whether a place in the heap is its domain's current one.
fn is_current(table: &HashMap<Domain, Entry>, due: &Due) -> bool {
    table.get(&due.domain).is_some_and(|entry| entry.due == Some((due.at, due.turn)))
}

/// The least time until the domain's throttle is checked again, so that checking costs little.
const COME_BACK: Duration = Duration::from_millis(100);

/// The result of [`Domains::forget`].
#[derive(Default)]
pub struct Forgotten {
    /// The removed state, with its evidence.
    pub live: Option<Box<Live>>,
    /// When the state can be removed, if nothing happens before.
    pub come_back: Option<Instant>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{conducts::Conducts, cooling::Why, domain::DomainKey};

    struct Nobody;

    impl Released for Nobody {
        fn released(&self, _: &Domain) {}
    }

    fn domains() -> Domains {
        let tenant = Conducts::new().tenant(&DomainKey::default());
        Domains::new(Arc::new(Politeness::default()), tenant, Arc::new(Nobody), false)
    }

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn who_is_due_first_comes_first_and_of_two_that_are_due_together_who_waits_longer() {
        let (mut domains, now) = (domains(), Instant::now());
        let [a, b, c] = ["a.org", "b.org", "c.org"].map(Domain::new);
        domains.schedule(&a, now + S);
        domains.schedule(&b, now);
        domains.schedule(&c, now);
        assert_eq!(domains.next_due(), Some(now));
        assert_eq!([domains.pop_due(now), domains.pop_due(now), domains.pop_due(now)], [Some(b), Some(c), None]);
        assert_eq!(domains.pop_due(now + S), Some(a));
    }

    #[test]
    fn a_domain_comes_up_once_at_the_earliest_of_its_instants() {
        let (mut domains, now) = (domains(), Instant::now());
        let domain = Domain::new("a.org");
        for seconds in [9, 5, 7, 1, 3] {
            domains.schedule(&domain, now + seconds * S);
        }
        assert_eq!(domains.next_due(), Some(now + S));
        assert_eq!((domains.pop_due(now + S), domains.next_due()), (Some(domain), None));
    }

    #[test]
    fn a_domain_that_cools_is_counted_once_until_the_last_of_its_refusals_is_over() {
        let (mut domains, now) = (domains(), Instant::now());
        let [a, b] = ["a.org", "b.org"].map(Domain::new);
        let refused = |domains: &mut Domains, domain: &Domain, in_a_row, until| {
            domains.recall(domain, Lessons::new(Some((in_a_row, until, Why::Status(503))), None), now);
            domains.note_cooling(domain, now);
        };
        for (domain, in_a_row, wait) in [(&a, 1, 10), (&b, 1, 20), (&a, 2, 30)] {
            refused(&mut domains, domain, in_a_row, now + wait * S);
        }
        let counts = [0, 15, 25, 30].map(|seconds| domains.cooling(now + seconds * S));
        assert_eq!(counts, [2, 2, 1, 0]);
        refused(&mut domains, &a, 3, now + 50 * S);
        domains.note_cooling(&a, now + 40 * S);
        assert_eq!((domains.cooling(now + 40 * S), domains.cooling(now + 50 * S)), (1, 0), "and again");
    }

    /// Regression: a domain that cooled for a day was entered again at the day's end with every link to it: 400 MB.
    #[test]
    fn places_that_count_no_more_do_not_gather() {
        let (mut domains, now) = (domains(), Instant::now());
        let domain = Domain::new("a.org");
        for _ in 0..100_000 {
            domains.schedule(&domain, now);
            assert_eq!(domains.pop_due(now).as_ref(), Some(&domain));
            domains.schedule(&domain, now + 86_400 * S);
        }
        assert!(domains.due.len() <= 2 + STALE_AT_LEAST, "{}", domains.due.len());
    }
}
