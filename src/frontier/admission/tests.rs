//! Admission with a frontier in memory: what is queued, dropped and admitted again.

use proptest::prelude::*;

use super::*;
use crate::{frontier::memory::MemoryFrontier, identity::CanonicalUrl, order::Ranking, recrawl::Recrawl};

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
        Candidate::found_on(&page, links, &CanonicalUrl::default(), &self.cache, &Ranking::default())
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
                let is_nothing = matches!(answer, Admitted::AlreadySeen | Admitted::DroppedBefore(_));
                prop_assert!(is_nothing && door.frontier.queued() == queued, "{answer:?}");
            }
        }
    }
}

/// Regression: each admission counted, so a page that was submitted again and again ended as one of a trap.
#[test]
fn the_same_query_again_is_no_trap() {
    let mut door = Door::new(r#"{"traps": {"max_queries_per_path": 2}}"#);
    let admit = |door: &mut Door, url: &str| {
        let request = link(url).dont_filter();
        door.admit(Candidate::new(request, &CanonicalUrl::default()))
    };
    for _ in 0..3 {
        assert!(matches!(admit(&mut door, "https://e.org/p?a"), Admitted::Queued { .. }));
    }
    door.admission.bounds.of_all.max_queued = 3;
    assert_eq!(admit(&mut door, "https://e.org/p?full"), Admitted::Dropped(DropReason::QueueFull));
    door.admission.bounds.of_all.max_queued = 9;
    assert!(matches!(admit(&mut door, "https://e.org/p?b"), Admitted::Queued { .. }), "what was dropped took no place");
    assert_eq!(admit(&mut door, "https://e.org/p?c"), Admitted::Dropped(DropReason::TrapQueries));
    assert!(matches!(admit(&mut door, "https://e.org/p?b"), Admitted::Queued { .. }));
}

/// Regression: what a page linked to before a seed led to its host was dropped for good, and the target of a seed's
/// redirect too; so it depended on the order of answers whether a site was crawled.
#[test]
fn a_host_that_comes_into_the_scope_later_is_crawled_whatever_was_dropped_before() {
    let mut door = Door::new("{}");
    let urls = ["https://new.org/", "https://new.org/p", "https://far.org/"];
    let links = || urls.map(link).to_vec();
    for _ in 0..2 {
        door.found(0, links()).into_iter().for_each(|found| drop(door.admit(found)));
    }
    assert_eq!(door.found(0, links()).len(), 0, "they are skipped where they are found");

    let mut target = link("https://new.org/");
    target.parent = Some("https://old.net/".into());
    let [target, far] =
        [target, request("https://far.org/", 1)].map(|page| Candidate::new(page, &CanonicalUrl::default()));
    let has_answered = |door: &mut Door, page| door.admission.has_answered(&door.frontier, page, door.now);
    assert!(has_answered(&mut door, &target), "its host is outside");
    assert!(door.admission.include(&target.request().url));
    assert!(!has_answered(&mut door, &target) && has_answered(&mut door, &far));
    let undone = |admitted| matches!(admitted, Admitted::Queued { again: Some(DropReason::Host), .. });
    assert!(undone(door.admit(target)));
    let found = door.found(0, links());
    assert_eq!(found.len(), 2, "all but what is queued");
    let [page, far] = <[Candidate; 2]>::try_from(found).unwrap();
    assert!(undone(door.admit(page)));
    assert_eq!(door.admit(far), Admitted::DroppedBefore(DropReason::Host));
    assert_eq!(door.found(0, links()).len(), 0);

    assert!(door.admission.include(&Url::parse("https://far.org/").unwrap()), "and once more");
    let far = door.found(0, links()).pop().unwrap();
    assert!(undone(door.admit(far)));
}
