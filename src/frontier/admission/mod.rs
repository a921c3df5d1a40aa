//! Admission: decides which candidates enter the frontier. Canonical URL → seen → scope → traps → bounds → queued.
//! Knows no network and no time.

mod bounds;
mod drops;
mod query_counts;

use std::{sync::Arc, time::Instant};

use hashbrown::HashSet;
use url::Url;

pub use self::bounds::QueueBounds;
use self::{
    bounds::Bounds,
    drops::Drops,
    query_counts::{QueryCounts, path_of_query},
};
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
    request::Request,
    scope::{Scope, boundary::Boundary},
};

/// Decides which candidates are queued, and why the others are not.
pub struct Admission {
    boundary: Boundary,
    key: DomainKey,
    identity: Arc<dyn Identity>,
    cache: Arc<SeenCache>,
    drops: Drops,
    queries: QueryCounts,
    depths: Depths,
    bounds: Bounds,
    order: Order,
    visits: Visits,
    /// Seeds of an earlier process that wait: they are not queued again when this one begins with them.
    waiting_seeds: HashSet<Fingerprint>,
    /// Whether requests wait that were admitted under a scope that may differ.
    is_resumed: bool,
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

impl Admission {
    /// Creates the admission for a scope. Fingerprints whose answer cannot change go to `cache`, so that their links
    /// are skipped.
    pub fn new(scope: Scope, key: DomainKey, cache: Arc<SeenCache>) -> Self {
        Self {
            key,
            identity: Arc::new(scope.canonical.clone()),
            cache,
            drops: Drops::default(),
            queries: QueryCounts::default(),
            depths: Depths::new(scope.max_depth),
            bounds: Bounds::default(),
            order: Order::default(),
            visits: Visits::default(),
            waiting_seeds: HashSet::new(),
            is_resumed: false,
            boundary: Boundary::new(scope),
        }
    }

    /// Sets how much may wait; by default there is no bound.
    #[must_use]
    pub fn bounds(mut self, bounds: QueueBounds) -> Self {
        self.bounds.of_all = bounds;
        self
    }

    /// Sets the most waiting requests of domains that have their own settings.
    #[must_use]
    pub fn own_bounds(mut self, of_domains: ByDomain<Option<u64>>) -> Self {
        self.bounds.of_domains = of_domains;
        self
    }

    /// Sets the most sitemap files of one domain; by default there is no bound.
    #[must_use]
    pub fn max_sitemaps(mut self, files: u32) -> Self {
        self.bounds.max_sitemaps = files;
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
        self.drops.scope_changed();
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
        if is_new && self.drops.host_included() {
            self.cache.clear();
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
        let before = self.drops.of(&fingerprint);
        if let Some(reason) = before.filter(|reason| !self.drops.may_be_undone(*reason, &request)) {
            return self.drop_again(fingerprint, reason);
        }
        let domain = self.key.domain(&request.url);
        if let Err(reason) = self.check(&*frontier, &domain, &request, &fingerprint, now) {
            if before.is_none() {
                self.drops.add(fingerprint, reason);
            }
            match reason {
                DropReason::Depth => self.depths.dropped(fingerprint, request),
                DropReason::Host if before.is_some() => return self.drop_again(fingerprint, reason),
                _ => {}
            }
            return if before.is_some() { Admitted::DroppedBefore(reason) } else { Admitted::Dropped(reason) };
        }
        self.drops.remove(&fingerprint);
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

    /// Answers that a request was dropped before. Its links are skipped from now on, until the scope changes or grows.
    fn drop_again(&mut self, fingerprint: Fingerprint, reason: DropReason) -> Admitted {
        self.drops.note_again(reason);
        self.cache.note(fingerprint);
        Admitted::DroppedBefore(reason)
    }

    fn drop_unchanged(&mut self, fingerprint: Fingerprint) -> Admitted {
        if self.drops.of(&fingerprint).is_some() {
            return Admitted::AlreadySeen;
        }
        self.drops.add(fingerprint, DropReason::Unchanged);
        Admitted::Dropped(DropReason::Unchanged)
    }

    /// Tells whether a candidate was queued or dropped before, so that it would bring nothing new.
    pub fn has_answered(&mut self, frontier: &dyn Frontier, candidate: &Candidate, now: Instant) -> bool {
        let Candidate { request, fingerprint, .. } = candidate;
        if !request.dont_filter && frontier.has_seen(fingerprint, now) {
            return true;
        }
        match self.drops.of(fingerprint) {
            // One that was too deep may be nearer now.
            None | Some(DropReason::Depth) => false,
            Some(reason) => !self.drops.may_be_undone(reason, request) || self.boundary.check(request).is_err(),
        }
    }

    /// Returns what is known of a page that is not in the frontier.
    pub fn known_of(&mut self, page: &Candidate) -> KnownOfDropped {
        KnownOfDropped {
            dropped: self.drops.of(&page.fingerprint),
            would_be: self.boundary.check(&page.request).err(),
            is_whole: !self.is_resumed && !self.drops.is_full(),
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
            self.drops.resume(self.depths.dropped_before());
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
        if self.is_resumed || self.drops.is_of_another_scope() { self.boundary.check(&leased.request) } else { Ok(()) }
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
        self.bounds.check(frontier, domain, request)?;
        if let Some(path) = query_of {
            self.queries.count(path, fingerprint);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
