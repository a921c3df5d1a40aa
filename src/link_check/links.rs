//! CheckedLinks: on which pages a link is, until it is known whether it is fine. Knows no pages and no requests.

use std::{
    collections::BTreeMap,
    mem::{replace, take},
    sync::Arc,
};

use hashbrown::{HashMap, HashSet, hash_map::EntryRef};
use xxhash_rust::xxh3::xxh3_128;

use super::BrokenLink;

/// The links of a check, as many as there is memory for: of the others, the oldest are forgotten first, since a link
/// that nobody follows is never known to be fine.
pub(super) struct CheckedLinks {
    targets: HashMap<Arc<str>, LinkTarget>,
    /// Those of the targets, in the order in which they were found.
    order: BTreeMap<u64, Arc<str>>,
    found: u64,
    /// The pages that are noted, and what redirects, with the number of their notes.
    pages: HashMap<Arc<str>, u32>,
    /// What is fine, by hashes: two generations, of which the older one is forgotten when the younger one is full.
    fine: [HashSet<u128>; 2],
    /// The most of a generation.
    most_fine: usize,
    /// The memory of targets and of the pages that link to them, in bytes.
    used: usize,
    most: usize,
    /// How many links were forgotten.
    forgotten: usize,
}

/// What a link of ordinary length takes, with its page. Longer ones take the room of several.
const LINK: usize = 320;

/// What a target takes besides its URL: its places in both maps, and its lists.
const TARGET: usize = 250;

/// What a page takes besides its URL.
const PAGE: usize = 60;

/// What the note of a page takes.
const NOTE: usize = 32;

/// What is known of a URL.
#[derive(Default)]
struct LinkTarget {
    number: u64,
    /// On which pages it is, until it has ended.
    pages: Vec<Arc<str>>,
    /// What redirects to it.
    redirected: Vec<Arc<str>>,
    /// How it has ended, if it has and is broken.
    broken: Option<LinkEnd>,
}

/// How a URL has ended.
#[derive(Clone)]
pub(super) enum LinkEnd {
    Fine,
    Broken {
        why: Arc<str>,
        /// Where its redirects lead.
        leads_to: Option<Arc<str>>,
    },
}

/// What became of a link that was found.
pub(super) enum FoundLink {
    /// It is fine, or its page is noted until that is known.
    Noted,
    /// It is known to be broken.
    Broken(BrokenLink),
}

impl CheckedLinks {
    /// Notes as many links of ordinary length, at the most.
    pub fn new(room: usize) -> Self {
        Self {
            targets: HashMap::new(),
            order: BTreeMap::new(),
            found: 0,
            pages: HashMap::new(),
            fine: Default::default(),
            most_fine: room.div_ceil(2).max(1),
            used: 0,
            most: room.saturating_mul(LINK),
            forgotten: 0,
        }
    }

    /// Notes a link on a page.
    pub fn found(&mut self, url: &str, page: &str) -> FoundLink {
        if self.is_fine(url) {
            return FoundLink::Noted;
        }
        let target = self.target(url);
        if let Some(end) = &target.broken {
            return end.on(url, page).map_or(FoundLink::Noted, FoundLink::Broken);
        }
        // A page may have it twice.
        if target.pages.last().is_none_or(|last| **last != *page) {
            let note = self.note(page);
            self.target(url).pages.push(note);
        }
        self.forget_oldest();
        FoundLink::Noted
    }

    /// Notes that a URL redirects to another. Returns its links, if that is known to be broken.
    pub fn leads_to(&mut self, url: &str, to: &str) -> Vec<BrokenLink> {
        if self.is_fine(to) {
            return self.end(url, &LinkEnd::Fine);
        }
        if let Some(end) = self.target(to).broken.clone() {
            return self.end(url, &end.by_way_of(to));
        }
        let note = self.note(url);
        self.target(to).redirected.push(note);
        self.forget_oldest();
        Vec::new()
    }

    /// Notes that a URL is broken. Returns its links, or the first page that had it if none is noted.
    pub fn broken(&mut self, url: &str, why: &str, first: Option<&str>) -> Vec<BrokenLink> {
        let end = LinkEnd::Broken { why: why.into(), leads_to: None };
        let mut links = self.end(url, &end);
        if links.is_empty() {
            links.extend(end.on(url, first.unwrap_or_default()));
        }
        links
    }

    /// Notes how a URL and all that redirects to it have ended. Returns the links to them, if they are broken.
    pub fn end(&mut self, url: &str, end: &LinkEnd) -> Vec<BrokenLink> {
        let (mut links, mut ended) = (Vec::new(), vec![(Arc::<str>::from(url), end.clone())]);
        while let Some((url, end)) = ended.pop() {
            let target = match &end {
                LinkEnd::Fine => {
                    self.is_now_fine(&url);
                    self.remove(&url).unwrap_or_default()
                }
                LinkEnd::Broken { .. } => {
                    let target = self.target(&url);
                    let known =
                        LinkTarget { number: target.number, broken: Some(end.clone()), ..LinkTarget::default() };
                    replace(target, known)
                }
            };
            let LinkTarget { pages, redirected, .. } = target;
            pages.iter().chain(&redirected).for_each(|page| self.release(page));
            links.extend(pages.iter().filter_map(|page| end.on(&url, page)));
            ended.extend(redirected.into_iter().map(|from| (from, end.clone().by_way_of(&url))));
        }
        self.forget_oldest();
        links
    }

    /// Takes the number of links that were forgotten.
    pub fn take_forgotten(&mut self) -> usize {
        take(&mut self.forgotten)
    }

    /// Returns what is known of a URL.
    fn target(&mut self, url: &str) -> &mut LinkTarget {
        if !self.targets.contains_key(url) {
            let key = Arc::<str>::from(url);
            self.found += 1;
            self.used += TARGET + url.len();
            self.order.insert(self.found, key.clone());
            self.targets.insert(key, LinkTarget { number: self.found, ..LinkTarget::default() });
        }
        self.targets.entry_ref(url).or_default()
    }

    /// Notes a page.
    fn note(&mut self, page: &str) -> Arc<str> {
        self.used += NOTE;
        if !self.pages.contains_key(page) {
            self.used += PAGE + page.len();
            self.pages.insert(page.into(), 0);
        }
        let entry = self.pages.entry_ref(page).and_modify(|notes| *notes += 1);
        match entry {
            EntryRef::Occupied(known) => known.key().clone(),
            EntryRef::Vacant(_) => page.into(),
        }
    }

    /// Ends the note of a page.
    fn release(&mut self, page: &Arc<str>) {
        self.used -= NOTE;
        if let Some(notes) = self.pages.get_mut(page) {
            *notes -= 1;
            if *notes == 0 {
                self.pages.remove(page);
                self.used -= PAGE + page.len();
            }
        }
    }

    fn is_fine(&self, url: &str) -> bool {
        let hash = xxh3_128(url.as_bytes());
        self.fine.iter().any(|fine| fine.contains(&hash))
    }

    fn is_now_fine(&mut self, url: &str) {
        let [younger, older] = &mut self.fine;
        if younger.len() >= self.most_fine {
            *older = replace(younger, HashSet::new());
        }
        younger.insert(xxh3_128(url.as_bytes()));
    }

    /// Forgets what is known of a URL; its notes are not released yet.
    fn remove(&mut self, url: &str) -> Option<LinkTarget> {
        let target = self.targets.remove(url)?;
        self.order.remove(&target.number);
        self.used -= TARGET + url.len();
        Some(target)
    }

    fn forget_oldest(&mut self) {
        while self.used > self.most
            && let Some(oldest) = self.order.first_key_value().map(|(_, url)| url.clone())
            && let Some(LinkTarget { pages, redirected, .. }) = self.remove(&oldest)
        {
            self.forgotten += pages.len();
            pages.iter().chain(&redirected).for_each(|page| self.release(page));
        }
    }
}

impl LinkEnd {
    /// Returns the link to a URL that ended so on a page, if it is broken.
    fn on(&self, url: &str, page: &str) -> Option<BrokenLink> {
        let Self::Broken { why, leads_to } = self else { return None };
        let leads_to = leads_to.as_deref().map(str::to_owned);
        Some(BrokenLink { page: page.to_owned(), url: url.to_owned(), leads_to, why: why.to_string() })
    }

    /// The end of what redirects to a URL that ended so.
    fn by_way_of(self, url: &str) -> Self {
        match self {
            Self::Broken { why, leads_to } => Self::Broken { why, leads_to: leads_to.or_else(|| Some(url.into())) },
            Self::Fine => Self::Fine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(links: &mut CheckedLinks, url: &str, page: &str) -> bool {
        matches!(links.found(url, page), FoundLink::Noted)
    }

    fn texts(links: &[BrokenLink]) -> Vec<String> {
        let mut texts: Vec<_> = links.iter().map(ToString::to_string).collect();
        texts.sort();
        texts
    }

    #[test]
    fn every_page_is_told_of_a_broken_link_by_way_of_redirects_and_in_any_order() {
        let mut links = CheckedLinks::new(100);
        assert!(noted(&mut links, "old", "p1") && noted(&mut links, "old", "p2") && noted(&mut links, "old", "p2"));
        assert!(links.leads_to("old", "older").is_empty());
        assert!(noted(&mut links, "gone", "p3") && links.leads_to("older", "gone").is_empty());
        let told = texts(&links.broken("gone", "404", Some("p3")));
        assert_eq!(told, ["p1: old → gone (404)", "p2: old → gone (404)", "p3: gone (404)"]);
        let FoundLink::Broken(late) = links.found("old", "p4") else { panic!() };
        assert_eq!(late.to_string(), "p4: old → gone (404)");
        assert!(noted(&mut links, "late", "p5"));
        assert_eq!(texts(&links.leads_to("late", "old")), ["p5: late → gone (404)"], "its end is known already");
        assert!(noted(&mut links, "fine", "p1") && links.end("fine", &LinkEnd::Fine).is_empty());
        assert!(noted(&mut links, "fine", "p2"));
        assert_eq!(texts(&links.broken("seed", "404", None)), [": seed (404)"]);
    }

    #[test]
    fn what_redirects_in_a_circle_ends() {
        let mut links = CheckedLinks::new(100);
        assert!(
            noted(&mut links, "a", "p") && links.leads_to("a", "b").is_empty() && links.leads_to("b", "a").is_empty()
        );
        let told = texts(&links.broken("b", "a circle", Some("p")));
        assert_eq!(told, ["p: a → b (a circle)"]);
    }

    /// What is fine once took a place for ever, and what nobody follows took two.
    #[test]
    fn what_is_fine_gives_its_room_back_and_of_the_others_the_oldest_are_forgotten() {
        let mut links = CheckedLinks::new(10);
        for n in 0..1_000 {
            assert!(noted(&mut links, &n.to_string(), "page"));
            assert!(links.end(&n.to_string(), &LinkEnd::Fine).is_empty());
        }
        assert_eq!((links.take_forgotten(), links.used), (0, 0));
        assert!(noted(&mut links, "999", "page") && links.targets.is_empty(), "it is known to be fine");
        for n in 0..1_000 {
            noted(&mut links, &format!("out-of-scope/{n}"), &format!("page/{n}"));
        }
        let forgotten = links.take_forgotten();
        assert!((900..1_000).contains(&forgotten), "{forgotten}");
        assert_eq!(texts(&links.broken("out-of-scope/0", "404", Some("page/0"))), ["page/0: out-of-scope/0 (404)"]);
        assert!(noted(&mut links, "last", "p1") && noted(&mut links, "last", "p2"));
        assert_eq!(texts(&links.broken("last", "404", Some("p1"))), ["p1: last (404)", "p2: last (404)"]);
    }

    #[test]
    fn long_urls_take_no_more_memory_than_short_ones() {
        let long = "x".repeat(2_000);
        for (url, page) in [("", ""), (&*long, ""), ("", &*long), (&*long, &*long)] {
            let mut links = CheckedLinks::new(1_000);
            for n in 0..20_000 {
                noted(&mut links, &format!("{url}{n}"), &format!("{page}{}", n / 10));
                links.leads_to(&format!("from{url}{n}"), &format!("{url}{n}"));
                let texts = |texts: &mut dyn Iterator<Item = &Arc<str>>| texts.map(|text| text.len()).sum::<usize>();
                if n % 4_000 == 0 {
                    let held = texts(&mut links.targets.keys()) + texts(&mut links.pages.keys());
                    assert!(held <= 1_000 * LINK && links.used <= 1_000 * LINK, "{held} bytes of text");
                    assert_eq!(links.targets.len(), links.order.len());
                }
            }
            for url in links.targets.keys().cloned().collect::<Vec<_>>() {
                links.end(&url, &LinkEnd::Fine);
            }
            assert_eq!((links.used, links.pages.len(), links.order.len()), (0, 0, 0), "all is given back");
        }
    }
}
