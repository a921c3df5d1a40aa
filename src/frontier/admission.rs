//! Admission: the one door into the frontier. Canonical URL → seen → scope → traps → queued.

use std::{cell::LazyCell, sync::Arc, time::Instant};

use hashbrown::HashMap;
use url::Url;

use super::{Frontier, Offered, known::Known};
use crate::{
    domain::{Domain, DomainKey},
    identity::{CanonicalUrl, Fingerprint},
    outcome::DropReason,
    request::Request,
    scope::{Boundary, Scope},
};

/// A request whose URL is canonical, with its fingerprint. It is made where the page is parsed, so that the
/// scheduler's thread has little to do for the many links that were seen before.
#[derive(Clone, Debug)]
pub struct Candidate {
    request: Request,
    fingerprint: Fingerprint,
}

impl Candidate {
    /// Makes the URL of `request` canonical.
    pub fn new(mut request: Request, canonical: &CanonicalUrl) -> Self {
        canonical.apply(&mut request.url);
        Self { fingerprint: request.fingerprint(), request }
    }

    /// Makes candidates of what is followed from a page, one link further, and leaves out those whose answer is known:
    /// most links of most pages.
    pub fn found_on(page: &Request, mut links: Vec<Request>, canonical: &CanonicalUrl, known: &Known) -> Vec<Self> {
        let fingerprint = |link: &mut Request| {
            canonical.apply(&mut link.url);
            (link.fingerprint(), link.dont_filter)
        };
        let fingerprints: Vec<_> = links.iter_mut().map(fingerprint).collect();
        // Asked in one go: each reads from another place in memory, and so these are waited for together.
        let is_brought = |(asked, dont_filter)| (dont_filter || !known.holds(asked)).then_some(asked);
        let brought: Vec<_> = fingerprints.into_iter().map(is_brought).collect();
        let parent: LazyCell<Arc<str>, _> = LazyCell::new(|| page.url.as_str().into());
        let mut candidates = Vec::with_capacity(brought.iter().flatten().count());
        candidates.extend(links.into_iter().zip(brought).filter_map(|(mut request, fingerprint)| {
            let fingerprint = fingerprint?;
            request.depth = page.depth.saturating_add(1);
            request.parent = Some(parent.clone());
            request.redirected_from.clear();
            Some(Self { request, fingerprint })
        }));
        candidates
    }

    /// Returns the request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Returns the fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// Decides who comes in, and says why not.
pub struct Admission {
    boundary: Boundary,
    key: DomainKey,
    known: Arc<Known>,
    /// What was dropped, so that a link that stands on every page is dropped once.
    dropped: HashMap<Fingerprint, DropReason>,
    queries: HashMap<u64, u32>,
    max_queued: u64,
}

/// What the door answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It waits in this domain's queue. `again` tells what it was dropped for before.
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
}

/// What was dropped is remembered for this many URLs (24 MB); beyond, a repeated drop is counted again.
const MAX_DROPS_REMEMBERED: usize = 1_000_000;

/// The paths whose queries are counted, at most (16 MB); beyond, paths that come new are not guarded.
const MAX_PATHS_COUNTED: usize = 1_000_000;

impl Admission {
    /// Creates the door of a scope; at most `max_queued` requests wait behind it. What it has answered for good is
    /// `known` from then on, and need not be brought again.
    pub fn new(scope: Scope, key: DomainKey, max_queued: u64, known: Arc<Known>) -> Self {
        let boundary = Boundary::new(scope);
        Self { boundary, key, known, dropped: HashMap::new(), queries: HashMap::new(), max_queued }
    }

    /// Takes the host of a seed, or of a seed's redirect, into the scope.
    pub fn include(&mut self, seed: &Url) {
        self.boundary.include(seed);
    }

    /// Returns the domain of a URL.
    pub fn domain(&self, url: &Url) -> Domain {
        self.key.domain(url)
    }

    /// Lets a candidate in, or says why not.
    pub fn admit(&mut self, frontier: &mut dyn Frontier, candidate: Candidate, now: Instant) -> Admitted {
        let Candidate { mut request, fingerprint } = candidate;
        if !request.dont_filter && frontier.has_seen(&fingerprint, now) {
            self.known.note(fingerprint);
            return Admitted::AlreadySeen;
        }
        let before = self.dropped.get(&fingerprint).copied();
        // A shorter way to a page makes up for a drop by depth; no other drop changes its mind.
        if before.is_some_and(|reason| reason != DropReason::Depth) {
            self.known.note(fingerprint);
            return Admitted::AlreadySeen;
        }
        let domain = self.key.domain(&request.url);
        if let Err(reason) = self.check(&*frontier, &request) {
            if before.is_some() {
                return Admitted::AlreadySeen;
            }
            if self.dropped.len() < MAX_DROPS_REMEMBERED {
                self.dropped.insert(fingerprint, reason);
            }
            return Admitted::Dropped(reason);
        }
        self.dropped.remove(&fingerprint);
        // Taken in now, or before.
        self.known.note(fingerprint);
        request.domain = Some(domain.clone());
        match frontier.offer(&domain, fingerprint, request, now) {
            Offered::Queued => Admitted::Queued { domain, again: before },
            Offered::AlreadySeen => Admitted::AlreadySeen,
        }
    }

    fn check(&mut self, frontier: &dyn Frontier, request: &Request) -> Result<(), DropReason> {
        self.boundary.check(request)?;
        self.check_queries(&request.url)?;
        if frontier.queued() >= self.max_queued {
            return Err(DropReason::QueueFull);
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
    use crate::{frontier::memory::MemoryFrontier, recrawl::Recrawl};

    struct Door {
        admission: Admission,
        frontier: MemoryFrontier,
        known: Arc<Known>,
        now: Instant,
    }

    impl Door {
        #[allow(clippy::disallowed_methods, reason = "no time passes")]
        fn new(scope: &str) -> Self {
            let (recrawl, now) = (Recrawl::default(), Instant::now());
            let known = Arc::new(Known::new(&recrawl));
            let scope = serde_json::from_str(scope).unwrap();
            let mut admission = Admission::new(scope, DomainKey::default(), 1_000, known.clone());
            admission.include(&Url::parse("https://e.org/").unwrap());
            Self { admission, frontier: MemoryFrontier::new(recrawl, now), known, now }
        }

        fn admit(&mut self, candidate: Candidate) -> Admitted {
            self.admission.admit(&mut self.frontier, candidate, self.now)
        }

        /// What is brought of links that are found on a page `depth` links from a seed.
        fn found(&self, depth: u32, links: Vec<Request>) -> Vec<Candidate> {
            let page = request("https://e.org/page", depth);
            Candidate::found_on(&page, links, &CanonicalUrl::default(), &self.known)
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
        assert_eq!(door.found(0, vec![link("https://e.org/deep")]).len(), 0);
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
