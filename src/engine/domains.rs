//! Domains: the table of domains with work or a past, and the order in which they are due. Knows no queues and no
//! fetchers.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use hashbrown::{HashMap, HashSet};
use url::Url;

use super::{
    domain_holds::DomainHolds,
    due_queue::{Due, DueQueue},
};
use crate::{
    conduct::{Lessons, Sparing, Terms, cooling::Cooling, throttle::LastAsked},
    conducts::Tenant,
    domain::{Domain, domain_map::DomainMap},
    frontier::{
        part::{Part, PartSet},
        shared,
    },
    permit::{Released, Tenancy},
    politeness::{Politeness, RobotsPolicy},
};

/// The table of domains. Picking the next one costs O(log domains) at the most; a domain without work costs the memory
/// of its name.
pub struct Domains {
    table: DomainMap<Entry>,
    due: DueQueue,
    /// Each cooling domain once, with the end of its cooling when it was entered; the end may have moved since.
    cooling: BinaryHeap<Reverse<(Instant, Domain)>>,
    /// The domains in `cooling`.
    listed: HashSet<Domain>,
    /// Breaks ties, so that domains due at the same time take turns.
    turn: u64,
    /// Robots files to request before the pages of their domains; few at a time.
    robots: HashMap<Domain, VecDeque<Url>>,
    politeness: Arc<Politeness>,
    /// The terms of all domains without an override, which share them.
    usual_terms: Arc<Terms>,
    /// This crawl, among the tenants that share the conduct of domains.
    tenant: Tenant,
    released: Arc<dyn Released>,
    /// Domains without a state may have received requests until this instant: then this process took the crawl over
    /// from another, or the limits changed.
    asked_until: Option<Instant>,
    /// The same of the domains of single parts, where machines share the crawl; `None` for a part of which none was
    /// asked.
    parts: Option<HashMap<Part, Option<Instant>>>,
    /// The domains that are paused or cancelled.
    pub held: DomainHolds,
}

/// The state of a domain that is in use, or was so recently that its throttle still matters.
pub struct Live {
    /// The place at its gate, from which permits are granted.
    pub(crate) tenancy: Arc<Tenancy>,
    /// Whether its robots files are obeyed: looked up once, since each override may have to be compared with its name.
    pub(crate) obeys_robots: bool,
}

#[derive(Default)]
struct Entry {
    /// The current place among those that are due, with its turn; all other places are stale.
    due: Option<(Instant, u64)>,
    live: Option<Live>,
}

/// Tells whether this is the domain's current place in the queue. Turns are not used twice, so it is none of another
/// domain that stands where the first one stood.
fn is_place_of(due: &Due, entry: &Entry) -> bool {
    entry.due == Some((due.at, due.turn))
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
        let obeys = politeness.robots == RobotsPolicy::Obey;
        let usual_terms = Terms {
            limits: politeness.usual_limits().into(),
            max_crawl_delay: obeys.then_some(politeness.max_crawl_delay),
            cools_unreachable: true,
            adaptive,
            may_change: false,
        };
        Self {
            table: DomainMap::default(),
            due: DueQueue::default(),
            cooling: BinaryHeap::new(),
            listed: HashSet::new(),
            turn: 0,
            robots: HashMap::new(),
            politeness,
            usual_terms: Arc::new(usual_terms),
            tenant,
            released,
            asked_until: None,
            parts: None,
            held: DomainHolds::default(),
        }
    }

    /// Treats every domain without a state as requested at `at`, since an earlier process may have done so, or this one
    /// under laxer limits.
    pub fn begin_as_asked(&mut self, at: Instant) {
        self.asked_until = Some(at);
        if let Some(parts) = &mut self.parts {
            parts.clear();
        }
    }

    /// Begins with parts that belonged to other processes: what is said of when their domains were asked holds, and
    /// others may have been asked until `now`.
    pub(crate) fn gain(&mut self, gained: &PartSet, rested: Vec<shared::LastAsked>, now: Instant) {
        let parts = self.parts.get_or_insert_default();
        parts.extend(gained.iter().map(|part| (part, Some(now))));
        let at = |age: Duration| now.checked_sub(age);
        let (of_others, named): (Vec<_>, Vec<_>) = rested.into_iter().partition(|asked| asked.domain.is_none());
        parts.extend(of_others.into_iter().map(|asked| (asked.part, asked.ago.and_then(at))));
        for shared::LastAsked { domain, ago, starts, has_more, .. } in named {
            // What is so long ago that no clock here knows it matters no more.
            if let (Some(domain), Some(last)) = (domain, ago.and_then(at)) {
                let starts = starts.into_iter().filter_map(at).collect();
                self.live(&domain, now).tenancy.assume(&LastAsked { last, starts, has_more });
                // Its state is removed in time.
                self.schedule(&domain, now);
            }
        }
    }

    /// Returns when the domains of these parts were last asked, whose next owner has to know it.
    pub(crate) fn last_asked(&self, parts: &PartSet, now: Instant) -> Vec<shared::LastAsked> {
        let ago = |at: Instant| now.saturating_duration_since(at);
        let others = parts.iter().map(|part| {
            let asked = asked_until(self.asked_until, self.parts.as_ref(), part);
            shared::LastAsked { part, domain: None, ago: asked.map(ago), starts: Vec::new(), has_more: true }
        });
        let named = self.all_live().filter_map(|(domain, live)| {
            let part = Some(Part::of(domain)).filter(|part| parts.contains(*part))?;
            let LastAsked { last, starts, has_more } = live.tenancy.last_asked()?;
            let starts = starts.into_iter().map(ago).collect();
            Some(shared::LastAsked { part, domain: Some(domain.clone()), ago: Some(ago(last)), starts, has_more })
        });
        others.chain(named).collect()
    }

    /// Changes the settings of politeness. The domains whose limits become others are due at `now`, since these may
    /// allow more.
    pub fn set_politeness(&mut self, politeness: Arc<Politeness>, now: Instant) {
        let usual = Terms { limits: politeness.usual_limits().into(), ..(*self.usual_terms).clone() };
        let old_usual = std::mem::replace(&mut self.usual_terms, Arc::new(usual));
        let old = std::mem::replace(&mut self.politeness, politeness);
        let mut changed = Vec::new();
        for (domain, entry) in self.table.iter_mut() {
            let Some(live) = &mut entry.live else { continue };
            live.obeys_robots = self.politeness.obeys_robots(domain);
            let terms = terms_of(domain, &self.politeness, &self.usual_terms);
            if terms != terms_of(domain, &old, &old_usual) {
                live.tenancy.set_terms(terms, now);
                changed.push(domain.clone());
            }
        }
        for domain in changed {
            self.schedule(&domain, now);
        }
    }

    /// Schedules a domain at `at`, unless it is scheduled earlier.
    pub fn schedule(&mut self, domain: &Domain, at: Instant) {
        let (slot, _, entry) = self.table.get_or_default(domain);
        if entry.due.is_some_and(|(due, _)| due <= at) {
            return;
        }
        self.turn += 1;
        entry.due = Some((at, self.turn));
        self.due.push(Due { at, turn: self.turn, slot });
        if self.due.len() > 2 * self.table.len() + STALE_AT_LEAST {
            let table = &self.table;
            self.due.retain(|due| table.at(due.slot).is_some_and(|(_, entry)| is_place_of(due, entry)));
        }
    }

    /// Removes and returns the next domain due at or before `horizon`.
    pub fn pop_due(&mut self, horizon: Instant) -> Option<Domain> {
        while let Some(due) = self.due.pop_until(horizon) {
            let found = self.table.at_mut(due.slot).filter(|(_, entry)| is_place_of(&due, entry));
            if let Some((domain, entry)) = found {
                entry.due = None;
                return Some(domain.clone());
            }
        }
        None
    }

    /// Returns when the next domain is due.
    pub fn next_due(&mut self) -> Option<Instant> {
        loop {
            let first = self.due.peek()?;
            if self.table.at(first.slot).is_some_and(|(_, entry)| is_place_of(first, entry)) {
                return Some(first.at);
            }
            self.due.pop();
        }
    }

    /// Returns the domain's state, creating it if necessary.
    pub fn live(&mut self, domain: &Domain, now: Instant) -> &mut Live {
        let (_, domain, entry) = self.table.get_or_default(domain);
        entry.live.get_or_insert_with(|| {
            let terms = terms_of(domain, &self.politeness, &self.usual_terms);
            let tenancy = self.tenant.join(domain, terms, self.released.clone(), now);
            if let Some(at) = asked_until(self.asked_until, self.parts.as_ref(), Part::of(domain)) {
                tenancy.assume_asked(at);
            }
            Live { tenancy, obeys_robots: self.politeness.obeys_robots(domain) }
        })
    }

    /// Queues a robots file, to be requested before the domain's pages.
    pub fn push_robots(&mut self, domain: &Domain, file: Url) {
        self.robots.entry_ref(domain).or_default().push_back(file);
    }

    /// Takes the next queued robots file.
    pub fn pop_robots(&mut self, domain: &Domain) -> Option<Url> {
        let files = self.robots.get_mut(domain)?;
        let file = files.pop_front();
        if files.is_empty() {
            self.robots.remove(domain);
        }
        file
    }

    /// Returns how many robots files are queued.
    pub fn robots_queued(&self, domain: &Domain) -> usize {
        self.robots.get(domain).map_or(0, VecDeque::len)
    }

    /// Tells whether a robots file is queued.
    pub fn has_robots(&self, domain: &Domain) -> bool {
        self.robots.contains_key(domain)
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
        if lessons.refusals(now).is_some_and(|refusals| refusals.until > now) {
            self.note_cooling(domain, now);
            // Schedule it, so that its state is removed in time even if nothing waits.
            self.schedule(domain, now);
        }
    }

    /// Restores the rest or the wider spacing that a quota imposed in an earlier process. The domain gets a state,
    /// which is removed when that has expired.
    pub(crate) fn spare(&mut self, domain: &Domain, sparing: Sparing, now: Instant) {
        self.live(domain, now).tenancy.spare(sparing);
        self.schedule(domain, now);
    }

    /// Returns the place at the domain's gate, if it has a state.
    pub(crate) fn tenancy(&self, domain: &Domain) -> Option<Arc<Tenancy>> {
        self.get(domain).map(|live| live.tenancy.clone())
    }

    /// Returns the domain's state, if it has one.
    pub fn get(&self, domain: &Domain) -> Option<&Live> {
        self.table.get(domain)?.live.as_ref()
    }

    /// Removes the state of a domain once its conduct survives without it: its throttle is indistinguishable from a
    /// fresh one, or another tenant is present. What the domain taught is kept (see [`Lessons`]). Returns the state, or
    /// when to try again.
    pub fn forget(&mut self, domain: &Domain, now: Instant) -> Forgotten {
        if self.has_robots(domain) {
            return Forgotten::default();
        }
        let Some(entry) = self.table.get_mut(domain) else { return Forgotten::default() };
        let Some(live) = &entry.live else { return Forgotten::default() };
        match live.tenancy.may_leave(now) {
            Ok(()) => {
                if let Some(parts) = &mut self.parts
                    && !live.tenancy.is_fresh(now)
                {
                    // Another tenant is there, which a next owner of the part does not know.
                    parts.insert(Part::of(domain), Some(now));
                }
                Forgotten { live: entry.live.take(), come_back: None }
            }
            Err(come_back) => Forgotten { live: None, come_back: come_back.map(|at| at.max(now + COME_BACK)) },
        }
    }

    /// Returns the domains with work or a past for which this is so.
    pub fn matching(&self, is_so: impl Fn(&Domain) -> bool) -> Vec<Domain> {
        let domains = self.table.keys().chain(self.robots.keys().filter(|domain| !self.table.contains(domain)));
        domains.filter(|domain| is_so(domain)).cloned().collect()
    }

    /// Removes a domain that belongs to another process now, with its state.
    pub fn lose(&mut self, domain: &Domain) {
        self.table.remove(domain);
    }

    /// Removes a domain for which nothing waits and nothing is remembered.
    pub fn remove_idle(&mut self, domain: &Domain) {
        if self.table.get(domain).is_some_and(|entry| entry.live.is_none() && entry.due.is_none()) {
            self.table.remove(domain);
        }
    }

    /// Enters a domain among the cooling ones, if it cools.
    pub fn note_cooling(&mut self, domain: &Domain, now: Instant) {
        // Removes those whose cooling is over: nobody may ever ask how many there are.
        self.cooling(now);
        self.enter_cooling(domain, now);
    }

    fn enter_cooling(&mut self, domain: &Domain, now: Instant) {
        if let Some((until, _)) = self.live(domain, now).tenancy.cooling().state(now)
            && self.listed.insert(domain.clone())
        {
            self.cooling.push(Reverse((until, domain.clone())));
        }
    }

    /// Returns how many domains cool, in amortised constant time.
    pub fn cooling(&mut self, now: Instant) -> usize {
        while self.cooling.peek().is_some_and(|Reverse((until, _))| *until <= now) {
            let Some(Reverse((_, domain))) = self.cooling.pop() else { break };
            self.listed.remove(&domain);
            if self.get(&domain).is_some() {
                // It may have refused again since.
                self.enter_cooling(&domain, now);
            }
        }
        self.cooling.len()
    }

    /// Iterates over the domains that have a state.
    pub fn all_live(&self) -> impl Iterator<Item = (&Domain, &Live)> {
        self.table.iter().filter_map(|(domain, entry)| Some((domain, entry.live.as_ref()?)))
    }

    /// Returns how many domains have work or a past.
    pub fn known(&self) -> usize {
        self.table.len()
    }
}

/// Returns until when domains of a part may have been asked that have no state.
fn asked_until(of_all: Option<Instant>, parts: Option<&HashMap<Part, Option<Instant>>>, part: Part) -> Option<Instant> {
    parts.and_then(|parts| parts.get(&part)).copied().unwrap_or(of_all)
}

/// Returns the terms of a domain: its own if there is an override for it.
fn terms_of(domain: &Domain, politeness: &Politeness, usual: &Arc<Terms>) -> Arc<Terms> {
    match politeness.limits_by_override(domain) {
        Some(limits) => {
            let max_crawl_delay = politeness.obeys_robots(domain).then_some(politeness.max_crawl_delay);
            Arc::new(Terms { limits: limits.into(), max_crawl_delay, ..(**usual).clone() })
        }
        None => usual.clone(),
    }
}

/// Stale places are removed once they outnumber the current ones and this number.
const STALE_AT_LEAST: usize = 1_024;

/// The least time until the domain's throttle is checked again, so that checking costs little.
const COME_BACK: Duration = Duration::from_millis(100);

/// The result of [`Domains::forget`].
#[derive(Default)]
pub struct Forgotten {
    /// The removed state, with its evidence.
    pub live: Option<Live>,
    /// When the state can be removed, if nothing happens before.
    pub come_back: Option<Instant>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        conduct::cooling::{CoolingCause, Refusals},
        conducts::Conducts,
        domain::DomainKey,
    };

    fn domains() -> Domains {
        let tenant = Conducts::new().tenant(&DomainKey::default());
        Domains::new(Arc::new(Politeness::default()), tenant, Arc::new(()), false)
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

    /// Of domains whose part comes from another process, those that it has asked rest from then on, those that it has
    /// not asked do not, and of a part of which it has said nothing all may just have been asked.
    #[test]
    fn domains_that_come_from_another_process_rest_since_it_asked_them() {
        let (mut before, start) = (domains(), Instant::now());
        let [asked, quiet] = ["a.org", "b.org"].map(Domain::new);
        let parts: PartSet = [&asked, &quiet].into_iter().map(Part::of).collect();
        before.gain(&parts, Vec::new(), start);
        before.begin_as_asked(start);
        let mut permit = before.live(&asked, start).tenancy.grant(start + S, start + 2 * S).unwrap();
        permit.try_start(start + 2 * S).unwrap();
        permit.wrote(start + 2 * S);
        drop(permit);
        let told = before.last_asked(&parts, start + 3 * S);
        assert_eq!(told.len(), 3, "{told:?}");
        let (mut after, now) = (domains(), start + 3 * S);
        after.gain(&parts, told, now);
        let may_ask =
            |domains: &mut Domains, domain: &Domain| domains.live(domain, now).tenancy.grant(now, now).is_ok();
        assert!(may_ask(&mut after, &quiet), "three seconds after anything could have been asked");
        assert_eq!(after.pop_due(now), Some(asked.clone()), "its state is looked at");
        let last = after.get(&asked).unwrap().tenancy.last_asked().unwrap().last;
        assert!(last >= start + 2 * S && last <= now, "{:?}", last - start);
        let mut nothing_told = domains();
        nothing_told.gain(&parts, Vec::new(), now);
        assert!(!may_ask(&mut nothing_told, &quiet) && !may_ask(&mut nothing_told, &asked));
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
            let refusals = Refusals { in_a_row, limit: 8, until, why: CoolingCause::Status(503) };
            domains.recall(domain, Lessons::new(Some(refusals), None), now);
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

    /// Regression: they were removed only when somebody asked for the progress.
    #[test]
    fn domains_that_cool_no_more_do_not_gather() {
        let (mut domains, now) = (domains(), Instant::now());
        for n in 0..10_000 {
            let (domain, at) = (Domain::new(&format!("d{n}.org")), now + n * S);
            let refusals = Refusals { in_a_row: 1, limit: 8, until: at + S, why: CoolingCause::Status(503) };
            domains.recall(&domain, Lessons::new(Some(refusals), None), at);
            assert!(domains.listed.len() <= 2 && domains.cooling.len() <= 2);
        }
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
