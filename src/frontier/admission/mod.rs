//! Admission: decides which candidates enter the frontier. Canonical URL → seen → scope → traps → bounds → queued.
//! Knows no network and no time.

mod query_counts;

use std::{sync::Arc, time::Instant};

use hashbrown::{HashMap, HashSet};
use url::Url;
use xxhash_rust::xxh3::xxh3_64;

use self::query_counts::{QueryCounts, path_of_query};
use super::{
    Frontier, Leased, Offered,
    candidate::{Candidate, fingerprint},
    depths::Depths,
    known_depth::KnownDepth,
    seen_cache::SeenCache,
    visits::{RevisitDecision, Visits},
};
use crate::{
    domain::{Domain, DomainKey, by_domain::ByDomain},
    error::Error,
    identity::{Fingerprint, Identity},
    order::Order,
    outcome::DropReason,
    recrawl::{
        Recrawl,
        page_visit::{PageVersion, PageVisit},
    },
    request::{Kind, Request},
    scope::{Scope, boundary::Boundary},
};

/// Decides which candidates are queued, and why the others are not.
pub struct Admission {
    boundary: Boundary,
    key: DomainKey,
    identity: Arc<dyn Identity>,
    cache: Arc<SeenCache>,
    /// Dropped URLs, so that a link on every page is counted as dropped once.
    dropped: HashMap<Fingerprint, DropReason>,
    queries: QueryCounts,
    depths: Depths,
    bounds: QueueBounds,
    /// The most waiting requests of domains that have their own settings.
    own_bounds: ByDomain<Option<u64>>,
    /// The sitemap files of each domain, by the hash of its name, and the most of them.
    sitemaps: HashMap<u64, u32>,
    max_sitemaps: u32,
    order: Order,
    visits: Visits,
    /// Seeds of an earlier process that wait: they are not queued again when this one begins with them.
    waiting_seeds: HashSet<Fingerprint>,
    /// Whether requests wait that were admitted under a scope that may differ.
    is_resumed: bool,
    /// Whether the scope was changed, so that what it dropped before may belong to it now.
    is_rescoped: bool,
    host_drops: HostDrops,
}

/// The requests that were dropped for their host.
#[derive(Default)]
struct HostDrops {
    /// Whether there are any since hosts last came into the scope: links to them may be skipped.
    is_any: bool,
    /// Whether hosts have come into the scope after such drops.
    may_be_undone: bool,
}

/// How much may wait in a frontier. Further URLs are dropped and counted under `budget`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_field_names, reason = "the names that the settings have")]
pub struct QueueBounds {
    /// The most requests in total.
    pub max_queued: u64,
    /// The most requests of one domain.
    pub max_queued_per_domain: u64,
    /// The most memory for waiting requests, in bytes.
    pub max_queued_bytes: u64,
}

impl QueueBounds {
    /// No bound.
    pub const NONE: Self = Self { max_queued: u64::MAX, max_queued_per_domain: u64::MAX, max_queued_bytes: u64::MAX };
}

/// The result of admission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// The request waits in this domain's queue.
    Queued {
        /// The domain.
        domain: Domain,
        /// An earlier drop that this reverses.
        again: Option<DropReason>,
    },
    /// The URL was queued before.
    AlreadySeen,
    /// The URL was dropped before, for this reason, and is not counted again.
    DroppedBefore(DropReason),
    /// The request was dropped for this reason.
    Dropped(DropReason),
    /// Another process owns its domain, and decides about it.
    Sent,
}

/// What Admission knows of a page that is not in the frontier.
pub struct KnownOfDropped {
    /// Why it was dropped, if that is remembered.
    pub dropped: Option<DropReason>,
    /// Why it would be dropped, as far as its URL alone decides.
    pub would_be: Option<DropReason>,
    /// Whether all drops are remembered.
    pub is_whole: bool,
}

/// Remembered drops, by fingerprint (24 MB); beyond it, a repeated drop is counted again.
const MAX_DROPS_REMEMBERED: usize = 1_000_000;

impl Admission {
    /// Creates the admission for a scope. Fingerprints whose answer cannot change go to `cache`, so that their links
    /// are skipped.
    pub fn new(scope: Scope, key: DomainKey, cache: Arc<SeenCache>) -> Self {
        Self {
            key,
            identity: Arc::new(scope.canonical.clone()),
            cache,
            dropped: HashMap::new(),
            queries: QueryCounts::default(),
            depths: Depths::new(scope.max_depth),
            bounds: QueueBounds::NONE,
            own_bounds: ByDomain::default(),
            sitemaps: HashMap::new(),
            max_sitemaps: u32::MAX,
            order: Order::default(),
            visits: Visits::default(),
            waiting_seeds: HashSet::new(),
            is_resumed: false,
            is_rescoped: false,
            host_drops: HostDrops::default(),
            boundary: Boundary::new(scope),
        }
    }

    /// Sets how much may wait; by default there is no bound.
    #[must_use]
    pub fn bounds(mut self, bounds: QueueBounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Sets the most waiting requests of domains that have their own settings.
    #[must_use]
    pub fn own_bounds(mut self, of_domains: ByDomain<Option<u64>>) -> Self {
        self.own_bounds = of_domains;
        self
    }

    /// Sets the most sitemap files of one domain; by default there is no bound.
    #[must_use]
    pub fn max_sitemaps(mut self, files: u32) -> Self {
        self.max_sitemaps = files;
        self
    }

    /// Sets which of a domain's requests goes first.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Sets what decides which seen pages count as new, beside the frontier: the dates of sitemaps, and the last
    /// visits.
    #[must_use]
    pub fn recrawl(mut self, recrawl: &Recrawl) -> Self {
        self.visits = Visits::new(recrawl);
        self
    }

    /// Sets which requests count as the same; by default those with the scope's canonical URL.
    #[must_use]
    pub fn identity(mut self, identity: Arc<dyn Identity>) -> Self {
        self.identity = identity;
        self
    }

    /// Records that an earlier process admitted waiting requests: [`Admission::review`] checks them against this scope.
    pub fn resume(&mut self) {
        self.is_resumed = true;
    }

    /// Changes the scope. What waits is checked when its turn comes, and what was dropped when it is found again;
    /// requests that were too deep and no longer are come from [`Admission::take_nearer`].
    ///
    /// # Errors
    /// URLs would be canonicalized otherwise, so that what was seen could not be told any more.
    pub fn set_scope(&mut self, scope: Scope) -> Result<(), Error> {
        if scope.canonical != self.boundary.scope().canonical {
            let why =
                "it cannot change while the crawl runs, since it decides which URLs were seen; start another crawl";
            return Err(Error::setting("scope.canonical", why));
        }
        self.depths.set_max_depth(scope.max_depth);
        self.boundary.change(scope);
        self.cache.clear();
        self.is_rescoped = true;
        Ok(())
    }

    /// Returns the scope in force.
    pub fn scope(&self) -> &Scope {
        self.boundary.scope()
    }

    /// Adds the host of a seed, or of a seed's redirect, to the scope. What was dropped for its host is judged again
    /// when it is found again. Tells whether the host is new.
    pub fn include(&mut self, seed: &Url) -> bool {
        let is_new = self.boundary.include(seed);
        // Links to it are skipped where they are found, if they were dropped before.
        if is_new && std::mem::take(&mut self.host_drops.is_any) {
            self.cache.clear();
            self.host_drops.may_be_undone = true;
        }
        is_new
    }

    /// Returns the domain of a URL.
    pub fn domain(&self, url: &Url) -> Domain {
        self.key.domain(url)
    }

    /// Makes a candidate of a request.
    pub fn candidate(&self, request: Request) -> Candidate {
        Candidate::new(request, &*self.identity)
    }

    /// Admits or rejects a candidate. Afterwards [`Admission::take_nearer`] may return more.
    pub fn admit(&mut self, frontier: &mut dyn Frontier, candidate: Candidate, now: Instant) -> Admitted {
        let Candidate { mut request, fingerprint, unchanged_for } = candidate;
        if request.depth == 0 && self.waiting_seeds.remove(&fingerprint) {
            return Admitted::AlreadySeen;
        }
        match self.visits.judge(frontier, &fingerprint, unchanged_for, now) {
            // A link to such a page is dropped too, even if the page is due by its age.
            Some(RevisitDecision::Unchanged) => return self.drop_unchanged(fingerprint),
            Some(RevisitDecision::NotDue) if !request.dont_filter => return Admitted::AlreadySeen,
            Some(RevisitDecision::Due) => request.dont_filter = true,
            Some(RevisitDecision::NotDue) | None => {}
        }
        if let Some(visit) = self.visits.of(&fingerprint) {
            request.rare.get_or_insert_default().visited = Some(visit);
        }
        let foreign = self.depths.is_active().then(|| self.key.domain(&request.url));
        let foreign = foreign.filter(|domain| !frontier.holds(domain));
        if foreign.is_some() {
            self.depths.keep_foreign(fingerprint, &request);
        }
        if !request.dont_filter && frontier.has_seen(&fingerprint, now) {
            self.depths.found_again(fingerprint, request.depth);
            self.note_for_good(fingerprint, request.depth);
            if let Some(domain) = foreign.filter(|_| !self.depths.is_too_deep(&request)) {
                // Its owner may know no path as short as this.
                request.domain = Some(domain.clone());
                frontier.offer(&domain, fingerprint, request, now);
            }
            return Admitted::AlreadySeen;
        }
        let before = self.dropped.get(&fingerprint).copied();
        if let Some(reason) = before.filter(|reason| !self.may_be_undone(*reason, &request)) {
            return self.drop_again(fingerprint, reason);
        }
        let domain = self.key.domain(&request.url);
        if let Err(reason) = self.check(&*frontier, &domain, &request, &fingerprint, now) {
            if before.is_none() && self.dropped.len() < MAX_DROPS_REMEMBERED {
                self.dropped.insert(fingerprint, reason);
            }
            match reason {
                DropReason::Depth => self.depths.dropped(fingerprint, request),
                DropReason::Host if before.is_some() => return self.drop_again(fingerprint, reason),
                DropReason::Host => self.host_drops.is_any = true,
                _ => {}
            }
            return if before.is_some() { Admitted::DroppedBefore(reason) } else { Admitted::Dropped(reason) };
        }
        self.dropped.remove(&fingerprint);
        // Queued now, or before.
        let depth = request.depth;
        self.depths.found(fingerprint, depth);
        self.note_for_good(fingerprint, depth);
        request.domain = Some(domain.clone());
        request.rank = self.order.rank(&request).or(request.rank);
        match frontier.offer(&domain, fingerprint, request, now) {
            Offered::Queued => {
                self.visits.queued(&fingerprint);
                Admitted::Queued { domain, again: before }
            }
            Offered::AlreadySeen => Admitted::AlreadySeen,
            Offered::Sent => Admitted::Sent,
        }
    }

    /// Tells whether a request may be admitted that was dropped before: by a shorter path, as a seed, whose host
    /// belongs to the scope from then on, where hosts have come into the scope since, and after a change of the scope.
    /// Other drops are final.
    fn may_be_undone(&self, reason: DropReason, request: &Request) -> bool {
        let is_seed = request.depth == 0 && request.parent.is_none() && reason != DropReason::Unchanged;
        let is_by_host = self.host_drops.may_be_undone && reason == DropReason::Host;
        reason == DropReason::Depth || is_seed || is_by_host || (self.is_rescoped && reason.is_by_scope())
    }

    /// Answers that a request was dropped before. Its links are skipped from now on, until the scope changes or grows.
    fn drop_again(&mut self, fingerprint: Fingerprint, reason: DropReason) -> Admitted {
        self.host_drops.is_any |= reason == DropReason::Host;
        self.cache.note(fingerprint);
        Admitted::DroppedBefore(reason)
    }

    fn drop_unchanged(&mut self, fingerprint: Fingerprint) -> Admitted {
        let is_remembered = self.dropped.contains_key(&fingerprint);
        if !is_remembered && self.dropped.len() < MAX_DROPS_REMEMBERED {
            self.dropped.insert(fingerprint, DropReason::Unchanged);
        }
        if is_remembered { Admitted::AlreadySeen } else { Admitted::Dropped(DropReason::Unchanged) }
    }

    /// Tells whether a candidate was queued or dropped before, so that it would bring nothing new.
    pub fn has_answered(&mut self, frontier: &dyn Frontier, candidate: &Candidate, now: Instant) -> bool {
        let Candidate { request, fingerprint, .. } = candidate;
        if !request.dont_filter && frontier.has_seen(fingerprint, now) {
            return true;
        }
        match self.dropped.get(fingerprint).copied() {
            // One that was too deep may be nearer now.
            None | Some(DropReason::Depth) => false,
            Some(reason) => !self.may_be_undone(reason, request) || self.boundary.check(request).is_err(),
        }
    }

    /// Returns what is known of a page that is not in the frontier.
    pub fn known_of(&mut self, page: &Candidate) -> KnownOfDropped {
        KnownOfDropped {
            dropped: self.dropped.get(&page.fingerprint).copied(),
            would_be: self.boundary.check(&page.request).err(),
            is_whole: !self.is_resumed && self.dropped.len() < MAX_DROPS_REMEMBERED,
        }
    }

    /// Records a page that was fetched now, which is this second since 1970. Returns what to count it as.
    pub fn fetched(&mut self, page: &Request, version: PageVersion, now: Instant, second: u32) -> Option<&'static str> {
        self.visits.record(fingerprint(page, &*self.identity), version, now, second)
    }

    /// Restores the waiting seeds of an earlier process.
    pub fn resume_waiting_seeds(&mut self, seeds: &[Request]) {
        self.waiting_seeds = seeds.iter().map(|seed| fingerprint(seed, &*self.identity)).collect();
    }

    /// Restores the visits that an earlier process stored.
    pub fn resume_visits(&mut self, known: Vec<(Fingerprint, PageVisit)>) {
        self.visits.resume(known);
    }

    /// Takes out the visits since the last time, to be stored.
    pub fn take_visits(&mut self) -> Vec<(Fingerprint, PageVisit)> {
        self.visits.take_changes()
    }

    /// Records a page's links before they are admitted, which keeps depths correct for any order of responses.
    pub fn settled(&mut self, page: &Request, found: &mut [Candidate]) {
        if self.depths.is_active() {
            self.depths.settled(fingerprint(page, &*self.identity), page, found);
        }
        if self.visits.is_active() {
            self.visits.ended(&fingerprint(page, &*self.identity));
        }
    }

    /// Restores the depths that an earlier process stored, and collects from now on what a later one needs. `is_shared`
    /// tells whether other processes have counted the drops, which this one cannot undo.
    pub fn resume_depths(&mut self, known: Vec<(Fingerprint, KnownDepth)>, is_shared: bool) {
        self.depths.resume(known);
        if !is_shared {
            self.dropped.extend(self.depths.dropped_before().map(|fingerprint| (fingerprint, DropReason::Depth)));
        }
    }

    /// Adds what other processes know of depths. Afterwards [`Admission::take_nearer`] may return something.
    pub fn learn_depths(&mut self, known: Vec<(Fingerprint, KnownDepth)>) {
        self.depths.learn(known);
    }

    /// Takes out what has changed of the depths since the last time, to be stored; `None` in place of what is
    /// forgotten.
    pub fn take_depth_changes(&mut self) -> Vec<(Fingerprint, Option<KnownDepth>)> {
        self.depths.take_changes()
    }

    /// Takes a request that was too deep and no longer is, to be admitted.
    pub fn take_nearer(&mut self) -> Option<Candidate> {
        self.depths.take_nearer()
    }

    /// Checks a request again when its turn has come: a shorter path to it may have been found, or an earlier process
    /// may have admitted it under another scope.
    ///
    /// # Errors
    /// Why it is outside the scope now.
    pub fn review(&mut self, leased: &mut Leased) -> Result<(), DropReason> {
        if self.depths.is_active() {
            let depth = self.depths.of(&fingerprint(&leased.request, &*self.identity), &leased.request);
            if depth < leased.request.depth {
                Arc::make_mut(&mut leased.request).depth = depth;
            }
        }
        if self.is_resumed || self.is_rescoped { self.boundary.check(&leased.request) } else { Ok(()) }
    }

    /// Lets its links be skipped from now on, unless one of them may be a shorter path.
    fn note_for_good(&self, fingerprint: Fingerprint, depth: u32) {
        if !self.depths.may_come_nearer(&fingerprint, depth) {
            self.cache.note(fingerprint);
        }
    }

    fn check(
        &mut self,
        frontier: &dyn Frontier,
        domain: &Domain,
        request: &Request,
        fingerprint: &Fingerprint,
        now: Instant,
    ) -> Result<(), DropReason> {
        self.boundary.check(request)?;
        // A query that was counted is not counted again.
        let is_counted = || self.queries.has(fingerprint) || frontier.has_seen(fingerprint, now);
        let query_of = path_of_query(&request.url).filter(|_| !is_counted());
        let most = self.boundary.scope().traps.max_queries_per_path;
        if query_of.is_some_and(|path| self.queries.are_too_many(path, most)) {
            return Err(DropReason::TrapQueries);
        }
        let QueueBounds { max_queued, max_queued_per_domain, max_queued_bytes } = self.bounds;
        let queued = frontier.queued();
        if queued >= max_queued || frontier.queued_bytes() >= max_queued_bytes {
            return Err(DropReason::QueueFull);
        }
        let own = self.own_bounds.get(domain.as_str()).copied().flatten();
        let max_queued_per_domain = own.unwrap_or(max_queued_per_domain);
        if queued >= max_queued_per_domain && frontier.queued_of(domain) >= max_queued_per_domain {
            return Err(DropReason::DomainQueueFull);
        }
        if matches!(request.kind(), Kind::Sitemap(_)) {
            let files = self.sitemaps.entry(xxh3_64(domain.as_str().as_bytes())).or_default();
            if *files >= self.max_sitemaps {
                return Err(DropReason::SitemapFiles);
            }
            *files += 1;
        }
        if let Some(path) = query_of {
            self.queries.count(path, fingerprint);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
