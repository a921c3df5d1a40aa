//! Admission: the one door into the frontier. Canonical URL → seen → scope → traps → bounds → queued. Knows no network
//! and no time.

use std::{sync::Arc, time::Instant};

use hashbrown::HashMap;
use url::Url;

use super::{
    Frontier, Leased, Offered,
    candidate::{Candidate, fingerprint},
    depths::Depths,
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

/// Decides which candidates come in, and says why the others do not.
pub struct Admission {
    boundary: Boundary,
    key: DomainKey,
    identity: Arc<dyn Identity>,
    cache: Arc<SeenCache>,
    /// What was dropped, so that a link that stands on every page is dropped once.
    dropped: HashMap<Fingerprint, DropReason>,
    queries: HashMap<u64, u32>,
    depths: Depths,
    bounds: QueueBounds,
    /// Whether requests wait that were admitted by a scope which may have been another.
    is_resumed: bool,
}

/// How much may wait in a frontier. What is found beyond is dropped, and counted under `budget`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_field_names, reason = "the names that the settings have")]
pub struct QueueBounds {
    /// The most requests in all.
    pub max_queued: u64,
    /// The most requests of one domain.
    pub max_queued_per_domain: u64,
    /// The most bytes of memory that waiting requests take.
    pub max_queued_bytes: u64,
}

impl QueueBounds {
    /// No bound.
    pub const NONE: Self = Self { max_queued: u64::MAX, max_queued_per_domain: u64::MAX, max_queued_bytes: u64::MAX };
}

/// What the door answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It waits in this domain's queue.
    Queued {
        /// The domain.
        domain: Domain,
        /// An earlier drop that this undoes.
        again: Option<DropReason>,
    },
    /// It was queued or dropped before.
    AlreadySeen,
    /// It stays outside.
    Dropped(DropReason),
    /// Another process answers for its domain, and judges it.
    Sent,
}

/// Drops that are remembered, by fingerprint (24 MB); beyond, a repeated drop is counted again.
const MAX_DROPS_REMEMBERED: usize = 1_000_000;

/// Paths whose queries are counted (16 MB); beyond, new paths are not guarded.
const MAX_PATHS_COUNTED: usize = 1_000_000;

impl Admission {
    /// Creates the door of a scope. Fingerprints that it has answered for good go to `cache`, and need not be brought
    /// again.
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

    /// Sets how much may wait behind the door; without it there is no bound.
    #[must_use]
    pub fn bounds(mut self, bounds: QueueBounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Sets which requests are the same one; without it the scope's canonical URL decides.
    #[must_use]
    pub fn identity(mut self, identity: Arc<dyn Identity>) -> Self {
        self.identity = identity;
        self
    }

    /// Says that requests wait which an earlier process admitted: [`Admission::review`] holds them to this scope.
    pub fn resume(&mut self) {
        self.is_resumed = true;
    }

    /// Takes the host of a seed, or of a seed's redirect, into the scope.
    pub fn include(&mut self, seed: &Url) {
        self.boundary.include(seed);
    }

    /// Returns the domain of a URL.
    pub fn domain(&self, url: &Url) -> Domain {
        self.key.domain(url)
    }

    /// Lets a candidate in, or says why not. Afterwards [`Admission::take_nearer`] may have more.
    pub fn admit(&mut self, frontier: &mut dyn Frontier, candidate: Candidate, now: Instant) -> Admitted {
        let Candidate { mut request, fingerprint } = candidate;
        if !request.dont_filter && frontier.has_seen(&fingerprint, now) {
            self.depths.found(fingerprint, request.depth);
            self.note_for_good(fingerprint, request.depth);
            return Admitted::AlreadySeen;
        }
        let before = self.dropped.get(&fingerprint).copied();
        // A shorter way to a page makes up for a drop by depth; no other drop changes its mind.
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
        // Taken in now, or before.
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

    /// Notes what a page led to before that is admitted: with it, the depths of pages stay right in any order of answers.
    pub fn settled(&mut self, page: &Request, found: &mut [Candidate]) {
        if self.depths.is_active() {
            self.depths.settled(fingerprint(page, &*self.identity), page, found);
        }
    }

    /// Takes out a request that was dropped as too deep and is not any more, to be admitted.
    pub fn take_nearer(&mut self) -> Option<Candidate> {
        self.depths.take_nearer()
    }

    /// Looks once more at a request whose turn has come: a nearer way to it may have been found, and it may have been
    /// admitted by an earlier process with another scope.
    ///
    /// # Errors
    /// It is outside the scope now, and why.
    pub fn review(&mut self, leased: &mut Leased) -> Result<(), DropReason> {
        if self.depths.is_active() {
            let depth = self.depths.of(&fingerprint(&leased.request, &*self.identity), &leased.request);
            if depth < leased.request.depth {
                Arc::make_mut(&mut leased.request).depth = depth;
            }
        }
        if self.is_resumed { self.boundary.check(&leased.request) } else { Ok(()) }
    }

    /// Its links need not be brought again, unless one of them may be a nearer way.
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

        /// What is brought of links that are found on a page `depth` links from a seed.
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
