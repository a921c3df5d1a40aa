//! The windowed frontier with very little memory, over tables.

use super::{
    testing::{Tiny, tiny},
    *,
};
use crate::{
    clock,
    frontier::{
        durable::{Checkpoint, Listener, Opening, StoreNews},
        part::Part,
        shared::{Arrived, ArrivedId, Others},
        stores::tables::TablesStore,
    },
};

struct Nobody;

impl Listener for Nobody {
    fn notify(&self) {}
}

const HOUR: Duration = Duration::from_secs(3_600);

fn opened(tables: &TablesStore) -> Tiny {
    tiny(tables.clone(), Opening::new(Recrawl::default(), clock::now())).unwrap().0
}

fn page(domain: &Domain, number: u32) -> Request {
    Request::parse(&format!("http://{}/{number}", domain.as_str())).unwrap()
}

fn offer(frontier: &mut Tiny, domain: &Domain, number: u32, now: Instant) {
    let request = page(domain, number);
    assert_eq!(frontier.offer(domain, request.fingerprint(), request, now), Offered::Queued);
}

/// Commits, and waits for news.
fn await_news(frontier: &mut Tiny, now: Instant) -> StoreNews {
    frontier.commit(Checkpoint::default(), now);
    for _ in 0..10_000 {
        if let Some(news) = frontier.news(now) {
            return news;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("the store answers within ten seconds")
}

/// Leases the next request; `Err` if none is ready.
fn lease(frontier: &mut Tiny, domain: &Domain, now: Instant) -> std::result::Result<Leased, Next> {
    for _ in 0..1_000 {
        match frontier.lease(domain, now) {
            Next::Leased(leased) => return Ok(leased),
            Next::Coming => drop(await_news(frontier, now)),
            next => return Err(next),
        }
    }
    panic!("reading comes to an end")
}

/// Regression: the seeds of a state that was opened again were looked up together, and if there were more than fit in
/// memory, again and again for ever.
#[test]
fn a_look_up_of_more_than_fits_in_memory_is_answered() {
    let (tables, domain, now) = (TablesStore::default(), Domain::new("e.org"), clock::now());
    let mut frontier = opened(&tables);
    (0..40).for_each(|number| offer(&mut frontier, &domain, number, now));
    frontier.commit(Checkpoint::default(), now);
    frontier.close().blocking_recv().unwrap().unwrap();

    let mut frontier = opened(&tables);
    let seeds: Vec<_> = (0..50).map(|number| page(&domain, number).fingerprint()).collect();
    let ticket = frontier.look_up(&mut seeds.iter().copied()).unwrap();
    assert!(matches!(await_news(&mut frontier, now), StoreNews::Answered(answered) if answered == ticket));
    let seen = seeds.iter().map(|seed| frontier.has_seen(seed, now));
    assert!(seen.eq((0..50).map(|number| number < 40)));
}

/// Regression: the first request of each domain stayed in memory, however many domains there were.
#[test]
fn memory_does_not_grow_with_the_number_of_domains() {
    let now = clock::now();
    let mut frontier = opened(&TablesStore::default());
    let domains: Vec<_> = (0..200).map(|number| Domain::new(&format!("d{number}.org"))).collect();
    for domain in &domains {
        offer(&mut frontier, domain, 0, now);
        assert!(frontier.in_memory <= frontier.sizes.all, "{}", frontier.in_memory);
    }
    for domain in domains.iter().rev() {
        let leased = lease(&mut frontier, domain, now).unwrap();
        assert!(frontier.settle(leased.id));
    }
    assert_eq!((frontier.queued(), frontier.in_memory), (0, 0));
}

/// Regression: a thousand requests that waited for hours kept all others of their domain from being read.
#[test]
fn requests_that_wait_for_long_do_not_hold_up_those_behind_them() {
    let (domain, now) = (Domain::new("e.org"), clock::now());
    let mut frontier = opened(&TablesStore::default());
    (0..40).for_each(|number| offer(&mut frontier, &domain, number, now));
    let number_of = |leased: &Leased| leased.request.url.path()[1..].parse::<u32>().unwrap();
    for expected in 0..30 {
        let leased = lease(&mut frontier, &domain, now).unwrap();
        assert_eq!(number_of(&leased), expected);
        // What came first waits longest.
        frontier.give_back(leased.id, Some(now + HOUR * (40 - expected)), expected % 2 == 0);
        assert!(frontier.queues[&domain].delayed() <= frontier.sizes.delayed);
    }
    for expected in 30..40 {
        let leased = lease(&mut frontier, &domain, now).unwrap();
        assert_eq!(number_of(&leased), expected);
        assert!(frontier.settle(leased.id));
    }
    for expected in (0..30).rev() {
        let due = now + HOUR * (40 - expected);
        let Err(Next::NotBefore(at)) = lease(&mut frontier, &domain, due - HOUR / 2) else { panic!("none is ready") };
        assert!(at >= due && at - due < Duration::from_millis(5), "{expected}");
        // Stored delays are rounded up to milliseconds.
        let leased = lease(&mut frontier, &domain, at + Duration::from_millis(1)).unwrap();
        assert_eq!((number_of(&leased), leased.attempt), (expected, 1 + u32::from(expected % 2 == 0)));
        assert!(frontier.settle(leased.id));
    }
    assert_eq!((frontier.queued(), frontier.in_memory, frontier.held.len()), (0, 0, 0));
}

/// Regression: as above; what waits is drained although it was evicted.
#[test]
fn evicted_requests_are_drained_too() {
    let (domain, now) = (Domain::new("e.org"), clock::now());
    let mut frontier = opened(&TablesStore::default());
    (0..20).for_each(|number| offer(&mut frontier, &domain, number, now));
    for _ in 0..15 {
        let leased = lease(&mut frontier, &domain, now).unwrap();
        frontier.give_back(leased.id, Some(now + HOUR), true);
    }
    let mut drained = 0;
    for _ in 0..1_000 {
        let Drained { requests, left } = frontier.drain(&domain, 100);
        drained += requests.len();
        match left {
            Left::Nothing => break,
            Left::Here => {}
            Left::Coming => drop(await_news(&mut frontier, now)),
        }
    }
    assert_eq!((drained, frontier.queued(), frontier.in_memory), (20, 0, 0));
}

/// Regression: they were stored when the state was opened, so a crawl that was refused for its output hid that the next
/// one had another scope.
#[test]
fn settings_are_stored_when_the_crawl_begins() {
    let (tables, now) = (TablesStore::default(), clock::now());
    let changed = |scope: &str, begins: bool| {
        let settings = vec![("scope", scope.to_owned())];
        let opening = Opening { settings, ..Opening::new(Recrawl::default(), now) };
        let (mut frontier, resumed) = tiny(tables.clone(), opening).unwrap();
        if begins {
            frontier.listen(Arc::new(Nobody));
        }
        frontier.close().blocking_recv().unwrap().unwrap();
        resumed.changed
    };
    assert_eq!(changed("a", true), Vec::<String>::new());
    assert_eq!(changed("b", false), ["scope"]);
    assert_eq!(changed("b", true), ["scope"], "the one before was refused");
    assert_eq!(changed("b", true), Vec::<String>::new());
}

/// A seed for a host of this machine was once judged before its host had come into the scope.
#[test]
fn what_other_machines_did_is_told_before_the_requests_that_they_send() {
    let id = ArrivedId { part: Part::numbered(0).unwrap(), number: 1 };
    let arrived = Arrived { id, request: Request::parse("http://e.org/").unwrap(), fingerprint: None };
    let mut sharing = super::sharing::Sharing::new(super::store::Look {
        arrived: vec![arrived],
        others: Some(Others::default()),
        ..super::store::Look::default()
    });
    assert!(matches!(sharing.next_news(), Some(StoreNews::Others(_))));
    assert!(matches!(sharing.next_news(), Some(StoreNews::Links)));
}
