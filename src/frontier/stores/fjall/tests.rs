//! A state of an earlier version, and the data that a store keeps in addition to queues.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    frontier::{
        Frontier, Leased, Next,
        durable::{Checkpoint, StoreNews},
        windowed::{entry::Entry, testing::copy_folder},
    },
    recrawl::Recrawl,
    request::Request,
};

/// A state as written by the first version (schema 1, three keyspaces, no `identity` among the settings): forty
/// requests, of which two are done, one failed for good and one was given back with a delay.
const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/state-schema-1");

fn copied_fixture() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy_folder(Path::new(FIXTURE), dir.path());
    for keyspace in 0..4 {
        // Version control does not keep empty folders.
        fs::create_dir_all(dir.path().join(format!("store/keyspaces/{keyspace}/tables"))).unwrap();
    }
    dir
}

fn opening(settings: &[(&'static str, &str)]) -> Opening {
    let settings = settings.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    Opening { settings, ..Opening::new(Recrawl::default(), Instant::now()) }
}

/// Leases the next request, waiting for the store if necessary.
fn lease(frontier: &mut dyn Frontier, domain: &Domain) -> Leased {
    for _ in 0..10_000 {
        let now = Instant::now();
        match frontier.lease(domain, now) {
            Next::Leased(leased) => return leased,
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
        frontier.durable().unwrap().news(now);
    }
    panic!("nothing is leased")
}

#[test]
fn a_state_of_the_first_version_opens_and_goes_on() {
    let dir = copied_fixture();
    let summary = open_state(dir.path()).unwrap().verify().unwrap();
    assert_eq!(summary.problems, Vec::<String>::new());
    assert_eq!((summary.seen, summary.domains, summary.dead), (40, 1, 1));
    let given = [("domain_key", "RegistrableDomain"), ("scope", "b"), ("identity", "canonical-url")];
    let Opened { mut frontier, resumed } = open(dir.path(), opening(&given)).unwrap();
    let checkpoint = resumed.checkpoint.unwrap();
    assert_eq!((checkpoint.ledger.discovered, checkpoint.ledger.done, checkpoint.items), (40, 2, 2));
    assert_eq!(resumed.changed, ["scope"], "the identity was this one, though it had no name then");
    assert_eq!(resumed.included, [Url::parse("http://www.e.org/").unwrap()]);
    let (domain, history) = &resumed.histories[0];
    assert_eq!((history.spacing, history.requests), (Some(Duration::from_secs(2)), 4));
    assert_eq!(frontier.queued(), 37);
    let mut pages: Vec<_> = (0..37).map(|_| lease(&mut *frontier, domain)).collect();
    assert_eq!(pages[0].request.url.path(), "/11", "the delay has passed");
    assert_eq!((pages[0].attempt, pages[0].request.state::<u32>().unwrap()), (2, Some(11)));
    pages.sort_by_key(|leased| leased.request.url.path().trim_start_matches('/').parse::<u32>().unwrap());
    assert!(pages.iter().all(|leased| leased.request.headers.len() == 1));
    pages.dedup_by_key(|leased| leased.request.url.clone());
    assert_eq!(pages.len(), 37);
    frontier.durable().unwrap().close().blocking_recv().unwrap().unwrap();
}

#[test]
fn another_domain_key_or_identity_is_refused_with_what_to_do() {
    let dir = copied_fixture();
    for given in [
        [("domain_key", "Host"), ("identity", "canonical-url")],
        [("domain_key", "RegistrableDomain"), ("identity", "mine/1")],
    ] {
        let error = open(dir.path(), opening(&given)).err().unwrap().to_string();
        assert!(error.contains("set that") && error.contains("another state"), "{error}");
    }
}

#[test]
fn a_robots_file_is_there_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let Opened { mut frontier, .. } = open(dir.path(), opening(&[])).unwrap();
        let durable = frontier.durable().unwrap();
        if round == 0 {
            durable.remember_robots("https://e.org", b"User-agent: *\nDisallow: /x", 7);
        }
        for (origin, expected) in [("https://e.org", true), ("https://f.org", false)] {
            let ticket = durable.robots(origin).unwrap();
            durable.commit(Checkpoint::default(), Instant::now());
            let file = loop {
                match durable.news(Instant::now()) {
                    Some(StoreNews::Robots(answered, file)) if answered == ticket => break file,
                    _ => std::thread::sleep(Duration::from_millis(1)),
                }
            };
            assert_eq!(file.is_some(), expected, "{origin} in round {round}");
            assert!(file.is_none_or(|file| file.fetched_at_ms == 7 && file.body.starts_with(b"User-agent")));
        }
        durable.close().blocking_recv().unwrap().unwrap();
    }
}

#[test]
fn a_store_that_was_left_unfinished_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let unfinished = dir.path().join("store.new/keyspaces");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("junk"), "cut sh").unwrap();
    FjallStore::open(dir.path()).unwrap();
    assert!(!dir.path().join("store.new").exists());
    assert_eq!(open_state(dir.path()).unwrap().verify().unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_damaged_row_of_the_latest_changes_is_reported_by_a_check_and_ends_a_crawl() {
    let dir = tempfile::tempdir().unwrap();
    let store = FjallStore::open(dir.path()).unwrap();
    store.meta.insert(latest_key(7), [9, 9, 9]).unwrap();
    store.sync().unwrap();
    drop(store);
    let problems = open_state(dir.path()).unwrap().verify().unwrap().problems;
    assert!(problems.iter().any(|problem| problem.contains("cut short")), "{problems:?}");
    let error = open(dir.path(), opening(&[])).err().unwrap().to_string();
    assert!(error.contains("damaged") && error.contains("cut short"), "{error}");
}

/// A look at a state of an earlier version leaves it as it is; the version is raised by the first batch.
#[test]
fn a_state_that_is_only_looked_at_stays_one_of_the_earlier_version() {
    let dir = copied_fixture();
    let schema = || FjallStore::open(dir.path()).unwrap().get::<u32>(SCHEMA_KEY).unwrap();
    assert_eq!([schema(), schema()], [Some(FIRST_SCHEMA); 2]);
    FjallStore::open(dir.path()).unwrap().apply(Batch::default()).unwrap();
    assert_eq!(schema(), Some(SCHEMA));
}

/// A store with some of its changes moved to the sorted files, and others not.
fn partly_moved(dir: &Path) -> FjallStore {
    let store = FjallStore::open(dir).unwrap();
    let domain = Domain::new("e.org");
    let apply = |changes: Vec<Change>, waiting: u64| {
        let waiting = std::iter::once((domain.clone(), waiting)).collect();
        store.apply(Batch { changes, waiting, ..Batch::default() }).unwrap();
    };
    let place = |age| QueuePosition::new(0, age);
    let put = |age: u64| {
        let request = Arc::new(Request::parse(&format!("http://e.org/{age}")).unwrap());
        let entry = Entry { place: place(age), attempts: 0, request };
        Change::Put { domain: domain.clone(), entry, not_before: None }
    };
    let seen = |number: u8| Fingerprint::from_bytes([number; 16]);
    apply((0..6).flat_map(|n: u8| [put(n.into()), Change::See(seen(n), 100)]).collect(), 6);
    store.flush();
    let remove = |age| Change::Remove { domain: domain.clone(), place: place(age) };
    apply(vec![remove(1), put(6), Change::See(seen(6), 200), Change::See(seen(2), 300), Change::Unsee(seen(3))], 6);
    apply(vec![remove(6), put(7), remove(5)], 5);
    store
}

/// All that a store of [`partly_moved`] has, by each way to read it.
fn content(store: &FjallStore) -> (Vec<String>, Vec<String>, Vec<u32>, Vec<u32>, u64) {
    let domain = Domain::new("e.org");
    let path = |stored: &StoredEntry| stored.entry.request.url.path().to_owned();
    let mut all = Vec::new();
    store
        .each_queued(&mut |_, stored| {
            all.push(path(&stored));
            ControlFlow::Continue(())
        })
        .unwrap();
    let mut parts = Vec::new();
    let mut from = Some(QueuePosition::FIRST);
    while let Some(place) = from {
        let part = store.queue(&domain, place, 2).unwrap();
        parts.extend(part.entries.iter().map(path));
        from = part.next;
    }
    let fingerprints: Vec<_> = (0..9).map(|number| Fingerprint::from_bytes([number; 16])).collect();
    let looked_up = store.seen(&fingerprints).unwrap().into_iter().map(|(_, at)| at).collect();
    let mut visited = Vec::new();
    store
        .each_seen(Fingerprint::from_bytes([3; 16]), &mut |_, at| {
            visited.push(at);
            ControlFlow::Continue(())
        })
        .unwrap();
    visited.sort_unstable();
    let waiting = store.load().unwrap().waiting.into_iter().map(|(_, count)| count).sum();
    (all, parts, looked_up, visited, waiting)
}

#[test]
fn what_is_stored_is_the_same_before_it_is_moved_and_after_and_if_the_process_is_killed_on_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let store = partly_moved(dir.path());
    let paths: Vec<String> = ["/0", "/2", "/3", "/4", "/7"].map(str::to_owned).into();
    let seen = (vec![100, 100, 300, 100, 100, 200], vec![100, 100, 100, 100, 200, 300]);
    let expected = (paths.clone(), paths, seen.0, seen.1, 5);
    assert_eq!(content(&store), expected, "before");
    drop(store);
    let store = FjallStore::open(dir.path()).unwrap();
    assert_eq!(content(&store), expected, "opened again");
    // Killed when the queues were moved, and then when the fingerprints were, and before that was noted.
    for step in [FjallStore::ingest_queues, FjallStore::ingest_seen] {
        step(&store).unwrap();
        let killed = tempfile::tempdir().unwrap();
        copy_folder(dir.path(), killed.path());
        let opened = FjallStore::open(killed.path()).unwrap();
        assert_eq!(content(&opened), expected, "killed on the way");
        opened.flush();
        assert_eq!(content(&opened), expected, "moved again");
    }
    store.flush();
    assert_eq!(content(&store), expected, "moved");
    drop(store);
    assert_eq!(content(&FjallStore::open(dir.path()).unwrap()), expected, "moved and opened again");
}
