//! Depths: the distance of each URL from a seed, in links, corrected when a shorter path is found later. Knows no
//! frontier, and of the scope only its largest depth.
//!
//! The order in which paths are found depends on how fast servers respond. For the same result in any order, a crawl
//! with a largest depth remembers the links of each page and keeps the requests that were too deep. If a shorter path
//! to a page is found, the depths of everything below it are reduced, and requests that are now within the largest
//! depth are admitted. No page is fetched again for this.

use std::collections::VecDeque;

use hashbrown::{HashMap, HashSet, hash_map::Entry};

use super::{
    candidate::Candidate,
    known_depth::{DepthLink, KnownDepth},
};
use crate::{identity::Fingerprint, request::Request};

/// The depths of a crawl; without a largest depth it stores nothing.
#[derive(Debug, Default)]
pub(super) struct Depths {
    max_depth: Option<u32>,
    pages: HashMap<Fingerprint, Page>,
    /// The number of links in `pages`.
    links: usize,
    /// Requests that were too deep.
    too_deep: HashMap<Fingerprint, Request>,
    /// Requests that were too deep and no longer are; they may come nearer still until they are taken.
    nearer: HashMap<Fingerprint, Request>,
    /// The order in which `nearer` is taken.
    order: VecDeque<Fingerprint>,
    /// The fingerprints whose stored depths change with the next commit; `None` if no depths are stored.
    changed: Option<HashSet<Fingerprint>>,
    /// Requests for URLs of other processes, which are told when these come nearer.
    foreign: HashMap<Fingerprint, Request>,
    is_full: bool,
}

#[derive(Debug)]
struct Page {
    depth: u32,
    links: Box<[DepthLink]>,
}

/// The most pages with remembered depths (about 50 MB). The first pages of a crawl have the most below them.
const MAX_PAGES: usize = 1_000_000;

/// The most remembered links (about 50 MB).
const MAX_LINKS: usize = 2_000_000;

/// The most kept requests that were too deep (about 35 MB).
const MAX_TOO_DEEP: usize = 100_000;

/// The most kept requests for URLs of other processes (about 35 MB).
const MAX_FOREIGN: usize = 100_000;

/// The least depth of a link's target: a URL at this depth cannot get closer by a link.
const MIN_DEPTH_OF_A_LINK: u32 = 1;

impl Depths {
    /// Creates an empty record.
    pub fn new(max_depth: Option<u32>) -> Self {
        Self { max_depth, ..Self::default() }
    }

    /// Changes the largest depth. Requests that are no longer too deep are to be taken.
    pub fn set_max_depth(&mut self, max_depth: Option<u32>) {
        self.max_depth = max_depth;
        let is_near = |request: &Request| max_depth.is_none_or(|most| request.depth <= most);
        let near: Vec<_> = self.too_deep.extract_if(|_, request| is_near(request)).collect();
        for (fingerprint, request) in near {
            self.note_change(fingerprint);
            self.add_nearer(fingerprint, request);
        }
    }

    /// Restores what an earlier process stored, and collects from now on what a later one needs.
    pub fn resume(&mut self, known: Vec<(Fingerprint, KnownDepth)>) {
        if self.max_depth.is_some() {
            self.changed = Some(HashSet::new());
            self.learn(known);
        }
    }

    /// Adds what other processes know.
    ///
    /// What waits in the queue was stored there with the depth at which it was found. It may be nearer by a page that
    /// was settled later, so the depths of pages are passed on to the targets of their links.
    pub fn learn(&mut self, known: Vec<(Fingerprint, KnownDepth)>) {
        let Some(max_depth) = self.max_depth else { return };
        let mut with_links = Vec::new();
        for (fingerprint, known) in known {
            match known {
                KnownDepth::Page { depth, links } => {
                    self.too_deep.remove(&fingerprint);
                    with_links.extend(self.learn_page(fingerprint, depth, links).map(|depth| (depth, fingerprint)));
                }
                KnownDepth::TooDeep(_) if self.pages.contains_key(&fingerprint) => {}
                // The largest depth may have been less then.
                KnownDepth::TooDeep(request) if request.depth <= max_depth => {
                    self.add_nearer(fingerprint, *request);
                }
                KnownDepth::TooDeep(request) => drop(self.too_deep.insert(fingerprint, *request)),
            }
        }
        // The nearest first, so that few depths are corrected twice.
        with_links.sort_unstable();
        for (_, page) in with_links {
            self.bring_nearer(page);
        }
    }

    /// Adds a page. Returns its depth if it has links.
    fn learn_page(&mut self, fingerprint: Fingerprint, depth: u32, links: Box<[DepthLink]>) -> Option<u32> {
        let page = self.pages.entry(fingerprint).or_insert(Page { depth, links: Box::default() });
        page.depth = page.depth.min(depth);
        if page.links.is_empty() {
            self.links += links.len();
            page.links = links;
        }
        (!page.links.is_empty()).then_some(page.depth)
    }

    /// Returns the fingerprints of what was dropped as too deep.
    pub fn dropped_before(&self) -> impl Iterator<Item = Fingerprint> {
        self.too_deep.keys().chain(&self.order).copied()
    }

    /// Takes out what has changed since the last time; `None` in place of what is forgotten.
    pub fn take_changes(&mut self) -> Vec<(Fingerprint, Option<KnownDepth>)> {
        let changed = self.changed.as_mut().filter(|changed| !changed.is_empty()).map(std::mem::take);
        let known = |fingerprint: &Fingerprint| {
            if let Some(request) = self.too_deep.get(fingerprint) {
                return Some(KnownDepth::TooDeep(request.clone().into()));
            }
            let Page { depth, links } = self.pages.get(fingerprint)?;
            Some(KnownDepth::Page { depth: *depth, links: links.clone() })
        };
        changed.into_iter().flatten().map(|fingerprint| (fingerprint, known(&fingerprint))).collect()
    }

    /// Keeps a request for a URL of another process, unless no shorter path to it is possible.
    pub fn keep_foreign(&mut self, fingerprint: Fingerprint, request: &Request) {
        if self.max_depth.is_none() || request.depth <= MIN_DEPTH_OF_A_LINK {
            return;
        }
        let has_room = self.foreign.len() < MAX_FOREIGN;
        match self.foreign.get_mut(&fingerprint) {
            Some(kept) => kept.depth = kept.depth.min(request.depth),
            None if has_room => drop(self.foreign.insert(fingerprint, request.clone())),
            None => self.note_full(),
        }
    }

    /// Tells whether a request is deep enough to be dropped.
    pub fn is_too_deep(&self, request: &Request) -> bool {
        self.max_depth.is_some_and(|most| request.depth > most)
    }

    fn note_change(&mut self, fingerprint: Fingerprint) {
        if let Some(changed) = &mut self.changed {
            changed.insert(fingerprint);
        }
    }

    /// Tells whether a shorter path to a URL at this depth is possible, so that its links must not be skipped.
    pub fn may_come_nearer(&self, fingerprint: &Fingerprint, depth: u32) -> bool {
        self.max_depth.is_some()
            && self
                .pages
                .get(fingerprint)
                .map_or(!self.is_full && depth > MIN_DEPTH_OF_A_LINK, |page| page.depth > MIN_DEPTH_OF_A_LINK)
    }

    /// Returns the depth of a request by the shortest known path.
    pub fn of(&self, fingerprint: &Fingerprint, request: &Request) -> u32 {
        self.pages.get(fingerprint).map_or(request.depth, |page| page.depth.min(request.depth))
    }

    /// Tells whether depths are recorded.
    pub fn is_active(&self) -> bool {
        self.max_depth.is_some()
    }

    /// Records a path to a URL that is or was queued. Everything below it gets closer with it.
    pub fn found(&mut self, fingerprint: Fingerprint, depth: u32) {
        if self.max_depth.is_none() {
            return;
        }
        if self.too_deep.remove(&fingerprint).is_some() {
            self.note_change(fingerprint);
        }
        let has_room = self.pages.len() < MAX_PAGES;
        match self.pages.get_mut(&fingerprint) {
            Some(page) if depth < page.depth => {
                page.depth = depth;
                self.note_change(fingerprint);
                self.bring_nearer(fingerprint);
            }
            Some(_) => {}
            None if has_room => drop(self.pages.insert(fingerprint, Page { depth, links: Box::default() })),
            None => self.note_full(),
        }
    }

    /// Records a path to a URL that was taken in before. An earlier process may have queued it at a larger depth, and
    /// then nothing but this path tells a later one how near it is.
    pub fn found_again(&mut self, fingerprint: Fingerprint, depth: u32) {
        let is_news =
            self.max_depth.is_some_and(|max_depth| depth < max_depth) && !self.pages.contains_key(&fingerprint);
        self.found(fingerprint, depth);
        if is_news && self.pages.contains_key(&fingerprint) {
            self.note_change(fingerprint);
        }
    }

    /// Keeps a request that is too deep.
    pub fn dropped(&mut self, fingerprint: Fingerprint, request: Request) {
        let has_room = self.too_deep.len() < MAX_TOO_DEEP;
        match self.too_deep.get_mut(&fingerprint) {
            Some(kept) if kept.depth <= request.depth => return,
            Some(kept) => *kept = request,
            None if has_room => drop(self.too_deep.insert(fingerprint, request)),
            None => return self.note_full(),
        }
        self.note_change(fingerprint);
    }

    /// Records a page's links and corrects their depths, since the page's depth may have changed since it was leased.
    pub fn settled(&mut self, fingerprint: Fingerprint, page: &Request, found: &mut [Candidate]) {
        let depth = self.of(&fingerprint, page);
        for candidate in &mut *found {
            let further = candidate.request.depth.saturating_sub(page.depth);
            candidate.request.depth = depth.saturating_add(further);
        }
        // A seed's links cannot get closer by way of the seed.
        if self.max_depth.is_none() || depth == 0 || found.is_empty() {
            return;
        }
        if self.links + found.len() > MAX_LINKS {
            return self.note_full();
        }
        let has_room = self.pages.len() < MAX_PAGES;
        // An earlier process may have taken the page in.
        let page = match self.pages.entry(fingerprint) {
            Entry::Occupied(page) => page.into_mut(),
            Entry::Vacant(place) if has_room => place.insert(Page { depth, links: Box::default() }),
            Entry::Vacant(_) => return self.note_full(),
        };
        let link = |candidate: &Candidate| DepthLink {
            to: candidate.fingerprint,
            is_redirect: candidate.request.depth == depth,
        };
        self.links = self.links - page.links.len() + found.len();
        page.links = found.iter().map(link).collect();
        page.depth = page.depth.min(depth);
        self.note_change(fingerprint);
    }

    /// Takes a request that is no longer too deep.
    pub fn take_nearer(&mut self) -> Option<Candidate> {
        let fingerprint = self.order.pop_front()?;
        let request = self.nearer.remove(&fingerprint)?;
        Some(Candidate { request, fingerprint, unchanged_for: None })
    }

    fn add_nearer(&mut self, fingerprint: Fingerprint, request: Request) {
        if self.nearer.insert(fingerprint, request).is_none() {
            self.order.push_back(fingerprint);
        }
    }

    /// Passes a page's depth on to its links. Terminates, since each step reduces a depth.
    fn bring_nearer(&mut self, page: Fingerprint) {
        let max_depth = self.max_depth.unwrap_or(u32::MAX);
        let mut pages = vec![page];
        while let Some(fingerprint) = pages.pop() {
            let Some(Page { depth, links }) = self.pages.get_mut(&fingerprint) else { continue };
            // Taken out while other pages are changed.
            let (depth, links) = (*depth, std::mem::take(links));
            for link in &links {
                let (to, depth) = (&link.to, link.depth(depth));
                if let Some(request) =
                    self.foreign.get_mut(to).filter(|request| depth <= max_depth && depth < request.depth)
                {
                    request.depth = depth;
                    let request = request.clone();
                    self.add_nearer(*to, request);
                }
                if let Some(child) = self.pages.get_mut(to) {
                    if depth < child.depth {
                        child.depth = depth;
                        pages.push(*to);
                        self.note_change(*to);
                    }
                } else if let Some(request) = self.nearer.get_mut(to) {
                    request.depth = request.depth.min(depth);
                } else if depth <= max_depth
                    && let Some(mut request) = self.too_deep.remove(to)
                {
                    request.depth = depth;
                    self.add_nearer(*to, request);
                    self.note_change(*to);
                } else if depth < max_depth && self.may_wait_unknown(to) {
                    self.pages.insert(*to, Page { depth, links: Box::default() });
                }
            }
            if let Some(page) = self.pages.get_mut(&fingerprint) {
                page.links = links;
            }
        }
    }

    /// Tells whether an earlier process may have queued a URL of which this one knows nothing, at a larger depth.
    fn may_wait_unknown(&self, fingerprint: &Fingerprint) -> bool {
        self.changed.is_some() && !self.too_deep.contains_key(fingerprint) && self.pages.len() < MAX_PAGES
    }

    fn note_full(&mut self) {
        if !std::mem::replace(&mut self.is_full, true) {
            tracing::warn!(
                pages = self.pages.len(),
                "depths are remembered for no more pages: which URLs beyond are too deep may depend on the order of answers"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::CanonicalUrl;

    const URLS: usize = 12;
    const SEEDS: usize = 2;

    fn candidate(url: usize, depth: u32) -> Candidate {
        let mut request = Request::parse(&format!("https://e.org/{url}")).unwrap();
        request.depth = depth;
        Candidate::new(request, &CanonicalUrl::default())
    }

    /// Admits URLs as Admission does, and records those that were admitted, with the depth that the queue stores.
    fn admit(depths: &mut Depths, taken: &mut HashMap<Fingerprint, u32>, candidate: Candidate, max_depth: u32) {
        let (fingerprint, depth) = (candidate.fingerprint, candidate.request.depth);
        if taken.contains_key(&fingerprint) {
            depths.found_again(fingerprint, depth);
        } else if depth <= max_depth {
            taken.insert(fingerprint, depth);
            depths.found(fingerprint, depth);
        } else {
            depths.dropped(fingerprint, candidate.request);
        }
    }

    #[test]
    fn what_waits_since_an_earlier_process_comes_nearer_with_a_page_and_stays_so_in_the_next() {
        let (page, target) = (candidate(1, 3), candidate(2, 4));
        let links = [DepthLink { to: target.fingerprint, is_redirect: false }].into();
        let mut depths = Depths::new(Some(5));
        depths.resume(vec![(page.fingerprint, KnownDepth::Page { depth: 3, links })]);
        depths.found_again(page.fingerprint, 2);
        let stored = depths.take_changes().into_iter().filter_map(|(fingerprint, known)| Some((fingerprint, known?)));
        let mut next = Depths::new(Some(5));
        next.resume(stored.collect());
        assert_eq!([depths, next].map(|depths| depths.of(&target.fingerprint, &target.request)), [3, 3]);
    }

    proptest! {
        /// Visits the pages of a random graph with two seeds in a random order, independent of their depths. Processes
        /// end between the visits, and leave what they stored and the queue.
        #[test]
        fn what_is_taken_does_not_depend_on_the_order_of_answers_nor_on_restarts(
            links in prop::collection::vec((0..URLS, 0..URLS), 0..40),
            order in prop::collection::vec((any::<usize>(), prop::bool::weighted(0.3)), URLS),
            max_depth in 1..5_u32,
        ) {
            let mut depths = Depths::new(Some(max_depth));
            depths.resume(Vec::new());
            let (mut taken, mut visited, mut stored) = (HashMap::new(), Vec::new(), HashMap::new());
            for seed in 0..SEEDS {
                admit(&mut depths, &mut taken, candidate(seed, 0), max_depth);
            }
            for (turn, is_restarted) in order {
                for (fingerprint, known) in depths.take_changes() {
                    match known {
                        Some(known) => drop(stored.insert(fingerprint, known)),
                        None => drop(stored.remove(&fingerprint)),
                    }
                }
                if is_restarted {
                    depths = Depths::new(Some(max_depth));
                    depths.resume(stored.clone().into_iter().collect());
                }
                let is_open = |url: &usize| !visited.contains(url) && taken.contains_key(&candidate(*url, 0).fingerprint);
                let open: Vec<_> = (0..URLS).filter(is_open).collect();
                if open.is_empty() {
                    break;
                }
                let url = open[turn % open.len()];
                visited.push(url);
                let mut page = candidate(url, 0);
                page.request.depth = taken[&page.fingerprint];
                let depth = page.request.depth;
                let mut found: Vec<_> =
                    links.iter().filter(|(from, _)| *from == url).map(|(_, to)| candidate(*to, depth + 1)).collect();
                depths.settled(page.fingerprint, &page.request, &mut found);
                for candidate in found {
                    admit(&mut depths, &mut taken, candidate, max_depth);
                }
                while let Some(candidate) = depths.take_nearer() {
                    admit(&mut depths, &mut taken, candidate, max_depth);
                }
            }
            let mut nearest = [u32::MAX; URLS];
            nearest[..SEEDS].fill(0);
            for _ in 0..URLS {
                for (from, to) in &links {
                    nearest[*to] = nearest[*to].min(nearest[*from].saturating_add(1));
                }
            }
            for (url, nearest) in nearest.into_iter().enumerate() {
                let is_taken = taken.contains_key(&candidate(url, 0).fingerprint);
                prop_assert_eq!(is_taken, nearest <= max_depth, "{} is {} links from a seed", url, nearest);
            }
        }
    }
}
