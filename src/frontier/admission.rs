//! Admission: decides which candidates enter the frontier. Canonical URL → seen → scope → traps → bounds → queued.
//! Knows no network and no time.

use std::{sync::Arc, time::Instant};

use hashbrown::HashMap;
use url::Url;

use super::{
    Frontier, Leased, Offered,
    candidate::{Candidate, fingerprint},
    depths::Depths,
    known_depth::KnownDepth,
    seen_cache::SeenCache,
};
use crate::{
    boundary::Boundary,
    domain::{Domain, DomainKey},
    identity::{Fingerprint, Identity},
    outcome::DropReason,
    request::Request,
    scope::Scope,
};

/// Decides which candidates are queued, and why the others are not.
pub struct Admission {
    boundary: Boundary,
    key: DomainKey,
    identity: Arc<dyn Identity>,
    cache: Arc<SeenCache>,
    /// Dropped URLs, so that a link on every page is counted as dropped once.
    dropped: HashMap<Fingerprint, DropReason>,
    queries: HashMap<u64, u32>,
    depths: Depths,
    bounds: QueueBounds,
    /// Whether requests wait that were admitted under a scope that may differ.
    is_resumed: bool,
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
    /// The URL was queued or dropped before.
    AlreadySeen,
    /// The request was dropped for this reason.
    Dropped(DropReason),
    /// Another process owns its domain, and decides about it.
    Sent,
}

/// Remembered drops, by fingerprint (24 MB); beyond it, a repeated drop is counted again.
const MAX_DROPS_REMEMBERED: usize = 1_000_000;

/// Paths whose queries are counted (16 MB); beyond it, new paths are not checked for traps.
const MAX_PATHS_COUNTED: usize = 1_000_000;

impl Admission {
    /// Creates the admission for a scope. Fingerprints whose answer cannot change go to `cache`, so that their links
    /// are skipped.
    pub fn new(scope: Scope, key: DomainKey, cache: Arc<SeenCache>) -> Self {
        Self {
            key,
            identity: Arc::new(scope.canonical.clone()),
            cache,
            dropped: HashMap::new(),
            queries: HashMap::new(),
            depths: Depths::new(scope.max_depth),
            bounds: QueueBounds::NONE,
            is_resumed: false,
            boundary: Boundary::new(scope),
        }
    }

    /// Sets how much may wait; by default there is no bound.
    #[must_use]
    pub fn bounds(mut self, bounds: QueueBounds) -> Self {
        self.bounds = bounds;
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

    /// Adds the host of a seed, or of a seed's redirect, to the scope.
    pub fn include(&mut self, seed: &Url) {
        self.boundary.include(seed);
    }

    /// Returns the domain of a URL.
    pub fn domain(&self, url: &Url) -> Domain {
        self.key.domain(url)
    }

    /// Admits or rejects a candidate. Afterwards [`Admission::take_nearer`] may return more.
    pub fn admit(&mut self, frontier: &mut dyn Frontier, candidate: Candidate, now: Instant) -> Admitted {
        let Candidate { mut request, fingerprint } = candidate;
        if !request.dont_filter && frontier.has_seen(&fingerprint, now) {
            self.depths.found(fingerprint, request.depth);
            self.note_for_good(fingerprint, request.depth);
            return Admitted::AlreadySeen;
        }
        let before = self.dropped.get(&fingerprint).copied();
        // A shorter path to a page reverses a drop by depth; other drops are final.
        if before.is_some_and(|reason| reason != DropReason::Depth) {
            self.cache.note(fingerprint);
            return Admitted::AlreadySeen;
        }
        let domain = self.key.domain(&request.url);
        if let Err(reason) = self.check(&*frontier, &domain, &request) {
            if before.is_none() && self.dropped.len() < MAX_DROPS_REMEMBERED {
                self.dropped.insert(fingerprint, reason);
            }
            if reason == DropReason::Depth {
                self.depths.dropped(fingerprint, request);
            }
            return if before.is_some() { Admitted::AlreadySeen } else { Admitted::Dropped(reason) };
        }
        self.dropped.remove(&fingerprint);
        // Queued now, or before.
        let depth = request.depth;
        self.depths.found(fingerprint, depth);
        self.note_for_good(fingerprint, depth);
        request.domain = Some(domain.clone());
        match frontier.offer(&domain, fingerprint, request, now) {
            Offered::Queued => Admitted::Queued { domain, again: before },
            Offered::AlreadySeen => Admitted::AlreadySeen,
            Offered::Sent => Admitted::Sent,
        }
    }

    /// Tells whether a candidate was queued or dropped before, so that it would come to nothing.
    pub fn has_answered(&self, frontier: &dyn Frontier, candidate: &Candidate, now: Instant) -> bool {
        let Candidate { request, fingerprint } = candidate;
        let was_seen = !request.dont_filter && frontier.has_seen(fingerprint, now);
        // One that was too deep may be nearer now.
        was_seen || self.dropped.get(fingerprint).is_some_and(|reason| *reason != DropReason::Depth)
    }

    /// Records a page's links before they are admitted, which keeps depths correct for any order of responses.
    pub fn settled(&mut self, page: &Request, found: &mut [Candidate]) {
        if self.depths.is_active() {
            self.depths.settled(fingerprint(page, &*self.identity), page, found);
        }
    }

    /// Takes up the depths that an earlier process stored, and notes from now on what a later one needs.
    pub fn resume_depths(&mut self, known: Vec<(Fingerprint, KnownDepth)>) {
        self.depths.resume(known);
        self.dropped.extend(self.depths.dropped_before().map(|fingerprint| (fingerprint, DropReason::Depth)));
    }

    /// Takes out what has changed of the depths since the last time, to be stored; `None` in place of what is forgotten.
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
        if self.is_resumed { self.boundary.check(&leased.request) } else { Ok(()) }
    }

    /// Lets its links be skipped from now on, unless one of them may be a shorter path.
    fn note_for_good(&self, fingerprint: Fingerprint, depth: u32) {
        if !self.depths.may_come_nearer(&fingerprint, depth) {
            self.cache.note(fingerprint);
        }
    }

    fn check(&mut self, frontier: &dyn Frontier, domain: &Domain, request: &Request) -> Result<(), DropReason> {
        self.boundary.check(request)?;
        self.check_queries(&request.url)?;
        let QueueBounds { max_queued, max_queued_per_domain, max_queued_bytes } = self.bounds;
        let queued = frontier.queued();
        if queued >= max_queued || frontier.queued_bytes() >= max_queued_bytes {
            return Err(DropReason::QueueFull);
        }
        if queued >= max_queued_per_domain && frontier.queued_of(domain) >= max_queued_per_domain {
            return Err(DropReason::DomainQueueFull);
        }
        Ok(())
    }

    fn check_queries(&mut self, url: &Url) -> Result<(), DropReason> {
        if url.query().is_none() {
            return Ok(());
        }
        let path = url.as_str().split('?').next().unwrap_or_default();
        let path = xxhash_rust::xxh3::xxh3_64(path.as_bytes());
        if self.queries.len() >= MAX_PATHS_COUNTED && !self.queries.contains_key(&path) {
            return Ok(());
        }
        let queries = self.queries.entry(path).or_default();
        if *queries >= self.boundary.scope().traps.max_queries_per_path {
            return Err(DropReason::TrapQueries);
        }
        *queries += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{frontier::memory::MemoryFrontier, identity::CanonicalUrl, recrawl::Recrawl};

    struct Door {
        admission: Admission,
        frontier: MemoryFrontier,
        cache: Arc<SeenCache>,
        now: Instant,
    }

    impl Door {
        #[allow(clippy::disallowed_methods, reason = "no time passes")]
        fn new(scope: &str) -> Self {
            let (recrawl, now) = (Recrawl::default(), Instant::now());
            let cache = Arc::new(SeenCache::new(&recrawl));
            let scope = serde_json::from_str(scope).unwrap();
            let mut admission = Admission::new(scope, DomainKey::default(), cache.clone());
            admission.include(&Url::parse("https://e.org/").unwrap());
            Self { admission, frontier: MemoryFrontier::new(recrawl, now), cache, now }
        }

        fn admit(&mut self, candidate: Candidate) -> Admitted {
            self.admission.admit(&mut self.frontier, candidate, self.now)
        }

        /// Returns the candidates from links on a page `depth` links from a seed.
        fn found(&self, depth: u32, links: Vec<Request>) -> Vec<Candidate> {
            let page = request("https://e.org/page", depth);
            Candidate::found_on(&page, links, &CanonicalUrl::default(), &self.cache)
        }
    }

    fn request(url: &str, depth: u32) -> Request {
        let mut request = Request::parse(url).unwrap();
        request.depth = depth;
        request
    }

    fn link(url: &str) -> Request {
        request(url, 0)
    }

    #[test]
    fn a_link_says_where_it_was_found() {
        let found = Door::new("{}").found(3, vec![link("https://e.org/a#part")]).remove(0);
        let request = found.request();
        assert_eq!((request.url.as_str(), request.depth), ("https://e.org/a", 4));
        assert_eq!(request.parent.as_deref(), Some("https://e.org/page"));
        assert_eq!(request.fingerprint(), found.fingerprint());
    }

    #[test]
    fn what_was_answered_for_good_is_not_brought_again_unless_it_asks_not_to_be_filtered() {
        let mut door = Door::new("{}");
        let links = || ["https://e.org/a#part", "https://e.org/b", "https://f.org/"].map(link).to_vec();
        for (times, brought) in [("first", 3), ("once more", 1), ("again", 0)] {
            let found = door.found(0, links());
            assert_eq!(found.len(), brought, "{times}: what was dropped is dropped for good when it comes again");
            found.into_iter().for_each(|candidate| drop(door.admit(candidate)));
        }
        let again = links().into_iter().map(Request::dont_filter).collect();
        assert_eq!(door.found(0, again).len(), 3);
    }

    #[test]
    fn a_shorter_way_is_always_brought() {
        let mut door = Door::new(r#"{"max_depth": 2}"#);
        for _ in 0..3 {
            let found = door.found(2, vec![link("https://e.org/deep")]);
            assert_eq!(found.len(), 1);
            found.into_iter().for_each(|candidate| drop(door.admit(candidate)));
        }
        let shorter = door.found(1, vec![link("https://e.org/deep")]).remove(0);
        let again = Some(DropReason::Depth);
        assert!(matches!(door.admit(shorter), Admitted::Queued { again: undone, .. } if undone == again));
        let nearest = door.found(0, vec![link("https://e.org/deep")]).remove(0);
        assert_eq!(door.admit(nearest), Admitted::AlreadySeen);
        assert_eq!(door.found(0, vec![link("https://e.org/deep")]).len(), 0, "no link is nearer than one");
    }

    proptest! {
        #[test]
        fn what_is_known_would_have_come_to_nothing(
            links in prop::collection::vec((0..12_u8, 0..5_u32, prop::bool::weighted(0.1)), 1..200),
        ) {
            let mut door = Door::new(r#"{"max_depth": 2, "deny": ["/1"], "traps": {"max_queries_per_path": 2}}"#);
            for (page, depth, dont_filter) in links {
                let url = match page {
                    0..6 => format!("https://e.org/{page}"),
                    6..9 => format!("https://f.org/{page}"),
                    _ => format!("https://e.org/list?page={page}"),
                };
                let mut link = request(&url, depth + 1);
                link.dont_filter = dont_filter;
                let is_left_out = door.found(depth, vec![link.clone()]).is_empty();
                let queued = door.frontier.queued();
                let answer = door.admit(Candidate::new(link, &CanonicalUrl::default()));
                if is_left_out {
                    prop_assert_eq!((answer, door.frontier.queued()), (Admitted::AlreadySeen, queued));
                }
            }
        }
    }
}
