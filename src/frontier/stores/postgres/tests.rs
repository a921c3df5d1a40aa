//! The laws over a real server, and commits that come late or of which nothing is heard.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Instant,
};

use super::{
    schema::{VERSION, random_number},
    shares::owner_of,
    *,
};
use crate::{
    frontier::{
        Frontier as _, Next, Offered,
        durable::{Checkpoint, DomainHistory, Durable as _, Listener, Opening, Resumed, StoreNews},
        laws::{Subject, check_subject},
        part::{Part, PartSet},
        shared::{Allowance, CrawlState, LastAsked, Sent, Shared as _, ToOthers},
        windowed::{
            state::State,
            store::Change,
            testing::{Tiny, crash, tiny},
        },
    },
    postgres_server::PostgresServer,
    recrawl::Recrawl,
    stats::count::Count,
};

/// A database of its own on the server that tests share.
pub(crate) struct Database {
    server: Arc<PostgresServer>,
    url: String,
    name: String,
}

impl Database {
    pub fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let (server, name) = (PostgresServer::shared(), format!("cluster{}", MADE.fetch_add(1, Ordering::SeqCst)));
        let url = server.database(&name);
        Self { server, url, name }
    }

    fn place(&self) -> CrawlPlace {
        CrawlPlace::of(&self.url, "test").unwrap()
    }

    fn sql(&self, sql: &str) -> String {
        self.server.psql(&self.name, &format!("SET search_path TO crawl_test; {sql}"))
    }

    /// Creates the tables, or empties them.
    fn begin(&self) {
        let background = Background::new().unwrap();
        let place = self.place();
        background.block_on(async {
            let mut connection = place.server().connect().await.unwrap();
            place.ensure(&mut connection.client).await.unwrap();
            let empty = "TRUNCATE node, queue, waiting, seen, past, included, dead, depth, visit, robots, inbox; \
                         UPDATE part SET owner = NULL; \
                         UPDATE crawl SET settings = NULL, counters = NULL, pages = 0, requests = 0";
            connection.client.batch_execute(empty).await.unwrap();
        });
    }

    /// Joins as another node, which nobody can find dead but who asks for it.
    fn join(&self) -> PostgresStore {
        let session = random_number();
        let ends = self.sql(&format!(
            "INSERT INTO node (session, name, version, term) VALUES ({session}, 'test', {VERSION}, 10000); SELECT ends FROM crawl"
        ));
        let joined = Joined {
            session,
            ends: ends.parse().unwrap(),
            stops: 0,
            look_interval: Duration::from_millis(5),
            joins_others: false,
        };
        PostgresStore::open(self.place(), Arc::new(Term::boundless(Instant::now())), joined).unwrap()
    }

    /// Joins after all others were found dead.
    fn take_over(&self) -> PostgresStore {
        self.sql("UPDATE node SET state = 'dead'");
        let store = self.join();
        store.look().unwrap();
        store
    }
}

/// Windowed frontiers with very little memory, each of which takes the crawl over from the one before.
struct OverPostgres {
    database: Database,
    recrawl: Recrawl,
    /// The node that crawls, and the domains whose parts fall to another.
    session: i64,
    away: Vec<Domain>,
}

impl OverPostgres {
    fn new() -> Self {
        Self { database: Database::new(), recrawl: Recrawl::default(), session: 0, away: Vec::new() }
    }

    fn join(&mut self, now: Instant) -> (Tiny, Resumed) {
        self.database.sql("UPDATE node SET state = 'dead' WHERE name = 'test'");
        let store = self.database.join();
        self.session = store.link.session();
        self.let_another_have_what_is_away();
        tiny(store, Opening::new(self.recrawl.clone(), now)).unwrap()
    }

    /// There is another node to which exactly these parts fall of those that the trial uses.
    fn let_another_have_what_is_away(&self) {
        let domains = ["d0.org", "d1.org", "d2.org"].map(Domain::new);
        let is_right = |other: &i64| {
            domains.iter().all(|domain| {
                let owner = owner_of(Part::of(domain), &[self.session, *other]);
                owner == Some(if self.away.contains(domain) { *other } else { self.session })
            })
        };
        let other = std::iter::repeat_with(random_number).find(is_right).unwrap();
        let insert =
            format!("INSERT INTO node (session, name, version, term) VALUES ({other}, 'other', {VERSION}, 10000)");
        let insert = if self.away.is_empty() { "SELECT 1" } else { &insert };
        self.database.sql(&format!("BEGIN; DELETE FROM node WHERE name = 'other'; {insert}; COMMIT"));
    }
}

impl Subject for OverPostgres {
    type Frontier = Tiny;

    fn open(&mut self, recrawl: &Recrawl, now: Instant) -> Tiny {
        self.recrawl = recrawl.clone();
        self.away.clear();
        self.database.begin();
        self.join(now).0
    }

    fn kill(&mut self, frontier: Tiny, now: Instant) -> std::result::Result<(Tiny, Resumed), Tiny> {
        crash(frontier);
        Ok(self.join(now))
    }

    fn hand_over(&mut self, frontier: &mut Tiny, domain: &Domain, to_us: bool, now: Instant) -> bool {
        if to_us {
            self.away.retain(|away| away != domain);
        } else {
            self.away.push(domain.clone());
        }
        self.let_another_have_what_is_away();
        while !to_us && !frontier.leaving().contains(Part::of(domain)) {
            let _ = frontier.news(now);
        }
        let leaving = frontier.leaving();
        frontier.let_go(&leaving, Vec::new());
        true
    }

    fn end(&mut self, frontier: Tiny) {
        crash(frontier);
        assert_eq!(State::new(self.database.take_over()).verify().unwrap().problems, Vec::<String>::new());
        assert_eq!(self.database.sql("SELECT count(*) FROM inbox"), "0");
    }
}

/// More with `ACTIX_CRAWLER_TEST_LONGER`.
#[test]
fn a_frontier_on_postgresql_keeps_the_laws_also_across_crashes() {
    let cases = if std::env::var_os("ACTIX_CRAWLER_TEST_LONGER").is_some() { 256 } else { 24 };
    check_subject(&mut OverPostgres::new(), cases);
}

fn admission(number: u8) -> Batch {
    Batch { changes: vec![Change::See(Fingerprint::from_bytes([number; 16]), number.into())], ..Batch::default() }
}

#[test]
fn a_node_that_was_found_dead_commits_nothing_more() {
    let database = Database::new();
    database.begin();
    let first = database.take_over();
    first.apply(admission(1)).unwrap();
    let second = database.take_over();
    let refused = first.apply(admission(2)).unwrap_err().to_string();
    assert!(refused.contains("have taken this one for dead"), "{refused}");
    assert!(first.keep_settings(&BTreeMap::new()).is_err() && first.look().is_err());
    second.apply(admission(3)).unwrap();
    assert_eq!(database.sql("SELECT at FROM seen ORDER BY at"), "1\n3");
    assert_eq!(database.sql("SELECT commits FROM node ORDER BY state"), "1\n1");
}

fn waiting(domain: &str, requests: u64) -> Batch {
    Batch { waiting: [(Domain::new(domain), requests)].into(), ..Batch::default() }
}

/// Returns a domain that is to be the second node's while both live.
fn domain_that_falls_to(second: &PostgresStore, first: &PostgresStore) -> Domain {
    let live = [first.link.session(), second.link.session()];
    let is_wanted = |domain: &Domain| owner_of(Part::of(domain), &live) == Some(live[1]);
    (0..).map(|number| Domain::new(&format!("e{number}.org"))).find(is_wanted).unwrap()
}

/// Two nodes of which the second should have the part of the domain that is returned, and the first has it.
fn with_a_part_that_moves(database: &Database) -> (PostgresStore, PostgresStore, Domain) {
    let (first, second) = (database.take_over(), database.join());
    let domain = domain_that_falls_to(&second, &first);
    (first, second, domain)
}

/// Commits that nothing is left to do, of the parts of so many gains.
fn say_idle(store: &PostgresStore, gains: u64) -> Result<()> {
    let to_others = ToOthers { idle: Some(gains), ..ToOthers::default() };
    store.apply(Batch { to_others, ..Batch::default() })
}

/// Looks as soon as nodes and parts are looked at again.
fn look(store: &PostgresStore) -> Look {
    std::thread::sleep(Duration::from_millis(6));
    store.look().unwrap()
}

fn frontier_over(store: PostgresStore) -> Tiny {
    struct Nobody;
    impl Listener for Nobody {
        fn notify(&self) {}
    }
    let mut frontier = tiny(store, Opening::new(Recrawl::default(), Instant::now())).unwrap().0;
    frontier.listen(Arc::new(Nobody));
    frontier
}

/// Takes news until one is what is waited for.
fn news_until(frontier: &mut Tiny, mut is_it: impl FnMut(&StoreNews) -> bool) -> StoreNews {
    let begun = Instant::now();
    loop {
        match frontier.news(Instant::now()) {
            Some(news) if is_it(&news) => return news,
            Some(StoreNews::Failed(why)) => panic!("{why}"),
            _ => assert!(begun.elapsed() < Duration::from_secs(20), "no such news"),
        }
    }
}

/// Regression: what the last request to a domain had taught was lost when its part was given away in the same turn: a
/// `Retry-After`, and a page of its budget. Nothing said when its domains were asked, either.
#[test]
fn what_a_domain_has_taught_and_when_it_was_asked_goes_over_with_its_part_and_counts_once() {
    let database = Database::new();
    database.begin();
    let (first, second, domain) = with_a_part_that_moves(&database);
    let (part, mut frontier, now) = (Part::of(&domain), frontier_over(first), Instant::now());
    while !frontier.leaving().contains(part) {
        let _ = frontier.news(now);
    }
    let seconds = |seconds: u64| Some(Duration::from_secs(seconds));
    let of_domain = LastAsked {
        part,
        domain: Some(domain.clone()),
        ago: seconds(3),
        starts: vec![Duration::from_millis(7_003), Duration::from_secs(3)],
        has_more: false,
    };
    let of_others = LastAsked { domain: None, ago: None, starts: Vec::new(), has_more: true, ..of_domain.clone() };
    frontier.let_go(&PartSet::from_iter([part]), vec![of_domain.clone(), of_others.clone()]);
    let history = DomainHistory { pages: 7, ..DomainHistory::default() };
    frontier.remember(&domain, history.clone());
    frontier.commit(Checkpoint::default(), now);
    news_until(&mut frontier, |news| matches!(news, StoreNews::Lost(_)));
    // After that it is its owner's.
    frontier.remember(&domain, DomainHistory::default());
    frontier.commit(Checkpoint::default(), now);
    let gained = look(&second).gained.unwrap();
    assert!(gained.parts.contains(part));
    assert_eq!(gained.histories, [(domain.clone(), history)]);
    let mut rested: Vec<_> = gained.rested.into_iter().filter(|asked| asked.part == part).collect();
    rested.sort_by_key(|asked| asked.domain.is_none());
    assert_eq!(rested, [of_domain, of_others]);
    // The second may have asked it before it was found dead.
    crash(frontier);
    let third = database.join();
    database.sql(&format!("UPDATE node SET state = 'dead' WHERE session <> {}", third.link.session()));
    let gained = look(&third).gained.unwrap();
    assert!(gained.parts.contains(part) && !gained.rested.iter().any(|asked| asked.part == part));
}

#[test]
fn a_node_with_a_fault_has_parts_only_where_all_have_one() {
    let database = Database::new();
    database.begin();
    let stores = [database.take_over(), database.join()];
    let say = |store: &PostgresStore, is_unfit: bool, released: PartSet| {
        let to_others = ToOthers { is_unfit, released: released.iter().collect(), ..ToOthers::default() };
        store.apply(Batch { to_others, ..Batch::default() }).unwrap();
    };
    let count = |look: Look| (look.held.len(), look.unwanted.len());
    let all = usize::from(Part::COUNT);
    let [first, second] = &stores;
    say(first, true, PartSet::default());
    assert_eq!(count(look(first)), (all, all), "another is there");
    say(first, true, look(first).unwanted);
    assert_eq!((count(look(first)), count(look(second))), ((0, 0), (all, 0)));
    // All have a fault: each has its share, and looks whether it is over.
    say(second, true, PartSet::default());
    let share = look(second).unwanted;
    assert!((400..600).contains(&share.len()), "{}", share.len());
    say(second, true, share);
    assert_eq!((look(first).held, look(second).unwanted), (share, PartSet::default()));
    // The first is over it.
    say(first, false, PartSet::default());
    assert_eq!(count(look(first)), (share.len(), 0));
    assert_eq!(count(look(second)), (all - share.len(), all - share.len()));
}

/// Regression: nodes that began a crawl at the same time with other domain keys each stored its own, and all went on.
#[test]
fn of_nodes_that_begin_a_crawl_together_one_stores_its_settings_and_the_others_hear_of_it() {
    let database = Database::new();
    database.begin();
    let (first, second) = (database.take_over(), database.join());
    let settings = |text: &str| BTreeMap::from([("domain_key".to_owned(), text.to_owned())]);
    assert_eq!(first.begin_settings(&settings("one")).unwrap(), None);
    assert_eq!(second.begin_settings(&settings("other")).unwrap(), Some(settings("one")));
    assert_eq!(database.sql("SELECT settings FROM crawl"), r#"{"domain_key":"one"}"#);
    database.sql("UPDATE node SET state = 'dead'");
    assert!(first.begin_settings(&settings("one")).is_err());
}

/// Regression: a seed that came within a quarter of a second after the end was told as queued, and lost.
#[test]
fn whoever_waits_for_what_comes_after_the_end_is_told_that_it_is_not_stored() {
    let database = Database::new();
    database.begin();
    let store = database.take_over();
    let session = store.link.session();
    let mut frontier = frontier_over(store);
    frontier.set_idle(true);
    frontier.commit(Checkpoint::default(), Instant::now());
    while database.sql("SELECT ends FROM crawl") == "0" {}
    frontier.set_idle(false);
    frontier.remember(&Domain::new("e.org"), DomainHistory::default());
    let ticket = frontier.acknowledge();
    frontier.commit(Checkpoint::default(), Instant::now());
    let news = news_until(&mut frontier, |news| matches!(news, StoreNews::Stored(_) | StoreNews::TooLate(_)));
    assert!(matches!(news, StoreNews::TooLate(late) if late == ticket), "{news:?}");
    assert_eq!(database.sql(&format!("SELECT commits FROM node WHERE session = {session}")), "1");
}

/// Regression: a seed for another node was told as not stored. The try whose answer was lost had stored it, the other
/// has crawled it, and the crawl has ended by that.
#[test]
fn a_seed_of_an_idle_node_that_was_stored_without_an_answer_is_not_told_as_too_late() {
    let database = Database::new();
    database.begin();
    let store = database.take_over();
    say_idle(&store, 1).unwrap();
    database.sql("UPDATE node SET commits = 2; UPDATE crawl SET state = 'ended', ends = ends + 1");
    let send = || {
        let request = Request::parse("http://e.org/").unwrap();
        let (part, fingerprint) = (Part::of(&Domain::new("e.org")), request.fingerprint());
        let sent = vec![Sent { part, fingerprint, request }];
        store.apply(Batch { to_others: ToOthers { sent, idle: Some(1), ..ToOthers::default() }, ..Batch::default() })
    };
    send().unwrap();
    assert_eq!(database.sql("SELECT count(*) FROM inbox"), "0", "it is not stored again");
    assert!(matches!(send(), Err(Error::Ended)), "that was not stored");
}

/// Regression: a node that had said it was idle, and has got parts since, stored into a crawl that had ended.
#[test]
fn a_node_that_got_parts_after_it_was_idle_finds_that_the_crawl_has_ended() {
    let database = Database::new();
    database.begin();
    let (first, second) = (database.take_over(), database.join());
    say_idle(&second, look(&second).gains).unwrap();
    database.sql(&format!("UPDATE node SET state = 'left' WHERE session = {}", first.link.session()));
    // Its look takes all parts; the crawl ends at the same time.
    database.sql("UPDATE crawl SET state = 'ended', ends = ends + 1");
    assert!(!look(&second).gained.unwrap().parts.is_empty());
    assert!(matches!(second.apply(admission(1)), Err(Error::Ended)));
}

/// Regression: nodes were read before parts, so the parts were taken from a node that had joined in between.
#[test]
fn no_parts_are_taken_from_a_node_that_joins_while_another_looks() {
    let database = Database::new();
    database.begin();
    let (first, second) = (database.take_over(), database.join());
    database.sql(&format!("UPDATE node SET state = 'left' WHERE session = {}", first.link.session()));
    let joins = Background::new().unwrap();
    let mut other = joins.block_on(database.place().server().connect()).unwrap();
    let session = random_number();
    std::thread::scope(|scope| {
        let transaction = joins.block_on(other.client.transaction()).unwrap();
        joins.block_on(transaction.batch_execute("LOCK TABLE part IN ACCESS EXCLUSIVE MODE")).unwrap();
        std::thread::sleep(Duration::from_millis(6));
        let looking = scope.spawn(move || (second.look().unwrap(), second));
        // It has come to the parts.
        while database.sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'part'::regclass") == "0" {}
        let sql = format!(
            "INSERT INTO node (session, name, version, term) VALUES ({session}, 'test', {VERSION}, 10000); UPDATE part SET owner = {session}"
        );
        joins.block_on(transaction.batch_execute(&sql)).unwrap();
        joins.block_on(transaction.commit()).unwrap();
        let (look, _second) = looking.join().unwrap();
        assert!(look.held.is_empty(), "they are another's by then");
    });
    assert_eq!(database.sql(&format!("SELECT count(*) FROM part WHERE owner <> {session}")), "0");
}

/// Regression: parts that were to be given away, and whose next owner ended before it had them, were never asked again.
#[test]
fn parts_whose_next_owner_ends_before_it_has_them_stay() {
    let database = Database::new();
    database.begin();
    let (first, second, domain) = with_a_part_that_moves(&database);
    let (part, mut frontier) = (Part::of(&domain), frontier_over(first));
    let request = Request::parse(&format!("http://{}/", domain.as_str())).unwrap();
    frontier.offer(&domain, request.fingerprint(), request, Instant::now());
    news_until(&mut frontier, |news| matches!(news, StoreNews::Leaving));
    assert!(!frontier.may_ask(&domain) && frontier.holds(&domain));
    database.sql(&format!("UPDATE node SET state = 'left' WHERE session = {}", second.link.session()));
    let mut has_arrived = false;
    let news = news_until(&mut frontier, |news| {
        has_arrived |= matches!(news, StoreNews::Arrived(arrived) if *arrived == domain);
        matches!(news, StoreNews::Stays(_))
    });
    assert!(matches!(news, StoreNews::Stays(parts) if parts.contains(part)) && has_arrived);
    assert!(frontier.may_ask(&domain) && matches!(frontier.lease(&domain, Instant::now()), Next::Leased(_)));
}

/// Regression: a seed whose owner had dropped it, under another scope or since its domain was cancelled, was not sent
/// again.
#[test]
fn a_seed_for_the_domain_of_another_is_sent_each_time_and_a_link_once() {
    let database = Database::new();
    database.begin();
    let (_first, second) = (database.take_over(), database.join());
    let (mut frontier, domain, now) = (frontier_over(second), Domain::new("e.org"), Instant::now());
    for (depth, sent) in [(0, "2"), (1, "3")] {
        for _ in 0..2 {
            let mut request = Request::parse(&format!("http://e.org/{depth}")).unwrap();
            request.depth = depth;
            assert_eq!(frontier.offer(&domain, request.fingerprint(), request, now), Offered::Sent);
        }
        let ticket = frontier.acknowledge();
        frontier.commit(Checkpoint::default(), now);
        news_until(&mut frontier, |news| matches!(news, StoreNews::Stored(stored) if *stored == ticket));
        assert_eq!(database.sql("SELECT count(*) FROM inbox"), sent);
    }
}

/// It once stayed given up for ever, with all that waited in it.
#[test]
fn a_part_that_comes_back_before_its_loss_was_told_is_lost_first_and_then_gained() {
    let database = Database::new();
    database.begin();
    let (first, second) = (database.take_over(), database.join());
    let domain = domain_that_falls_to(&second, &first);
    let part = Part::of(&domain);
    let released = ToOthers { released: vec![part], ..ToOthers::default() };
    first.apply(Batch { to_others: released, ..waiting(domain.as_str(), 7) }).unwrap();
    database.sql(&format!("UPDATE node SET state = 'left' WHERE session = {}", second.link.session()));
    std::thread::sleep(Duration::from_millis(10));
    let look = first.look().unwrap();
    assert!(!look.held.contains(part) && look.lost.contains(part));
    std::thread::sleep(Duration::from_millis(10));
    let look = first.look().unwrap();
    assert!(look.held.contains(part) && look.gained.unwrap().waiting.contains(&(domain.clone(), 7)));
}

#[test]
fn a_part_goes_over_by_a_commit_of_its_owner_and_whoever_has_it_not_writes_nothing_to_it() {
    let database = Database::new();
    database.begin();
    let (first, second) = (database.take_over(), database.join());
    let domain = domain_that_falls_to(&second, &first);
    let (part, name) = (Part::of(&domain), domain.as_str());
    first.apply(waiting(name, 7)).unwrap();
    assert!(!second.look().unwrap().held.contains(part), "its owner has it");
    assert!(second.apply(waiting(name, 8)).unwrap_err().to_string().contains("belongs to another node"));
    std::thread::sleep(Duration::from_millis(10));
    assert!(first.look().unwrap().unwanted.contains(part));
    let released = ToOthers { released: vec![part], ..ToOthers::default() };
    first.apply(Batch { to_others: released, ..waiting(name, 9) }).unwrap();
    assert!(!first.look().unwrap().held.contains(part));
    assert!(first.apply(waiting(name, 10)).is_err());
    std::thread::sleep(Duration::from_millis(10));
    let look = second.look().unwrap();
    assert!(look.held.contains(part) && look.gained.unwrap().waiting.contains(&(domain.clone(), 9)));
}

#[test]
fn a_crawl_ends_when_nothing_is_left_on_any_node_and_in_no_inbox_and_is_not_begun_again_by_what_comes_late() {
    let database = Database::new();
    database.begin();
    let [first, second] = [database.take_over(), database.join()];
    let look = |store: &PostgresStore| {
        std::thread::sleep(Duration::from_millis(6));
        store.look().unwrap()
    };
    let say = |store: &PostgresStore, idle: Option<u64>| {
        store.apply(Batch { to_others: ToOthers { idle, ..ToOthers::default() }, ..Batch::default() })
    };
    let has_ended = |store: &PostgresStore| look(store).others.unwrap().state == CrawlState::Ended;
    say(&first, Some(1)).unwrap();
    assert!(!has_ended(&first), "the other has said nothing");
    let part = look(&first).held.iter().next().unwrap().number();
    let gains = look(&second).gains;
    database.sql(&format!("INSERT INTO inbox (part, request) VALUES ({part}, '{{\"url\":\"http://e.org/\"}}')"));
    say(&second, Some(gains)).unwrap();
    let arrived = look(&first).arrived;
    assert!(!has_ended(&second) && arrived.len() == 1, "a request is on its way");
    let settled = arrived.iter().map(|arrived| arrived.id).collect();
    let to_others = ToOthers { settled, idle: Some(1), ..ToOthers::default() };
    first.apply(Batch { to_others, ..Batch::default() }).unwrap();
    assert!(has_ended(&first) && has_ended(&second));
    assert!(matches!(say(&first, None), Err(Error::Ended)), "a seed that comes late");
    assert_eq!(database.sql("SELECT state, ends FROM crawl"), "ended\t1");
}

#[test]
fn a_limit_is_drawn_on_by_all_and_what_the_dead_had_not_used_comes_back() {
    let database = Database::new();
    database.begin();
    let stores = [database.take_over(), database.join(), database.join()];
    let limits = Allowance { pages: Some(100), requests: None };
    let commit = |store: &PostgresStore, pages: u64| {
        let mut counters = Counters::default();
        counters.checkpoint.counts.insert(Count::PAGES.to_string(), pages);
        let to_others = ToOthers { is_hungry: true, limits, ..ToOthers::default() };
        store.apply(Batch { counters: Some(counters), to_others, ..Batch::default() }).unwrap();
    };
    let drawn = |store: &PostgresStore| store.look().unwrap().others.map_or(0, |others| others.drawn.pages);
    let mut has = [0; 3];
    for _ in 0..40 {
        for (store, has) in stores.iter().zip(&mut has) {
            commit(store, 0);
            *has += drawn(store);
        }
    }
    assert_eq!(has.iter().sum::<u64>(), 100, "{has:?}");
    assert!(has.iter().all(|has| *has > 10), "{has:?}");
    let [first, second, _third] = stores;
    commit(&second, has[1] - 1);
    database.sql(&format!("UPDATE node SET state = 'dead' WHERE session = {}", second.link.session()));
    commit(&first, has[0]);
    assert_eq!(drawn(&first), 1);
}

#[test]
fn a_commit_of_which_nothing_was_heard_is_found_out_about_and_neither_lost_nor_done_twice() {
    let database = Database::new();
    database.begin();
    let store = database.take_over();
    store.apply(admission(1)).unwrap();
    // The commit of number 2 has come through, and its answer has not: the store does not know of it.
    let joined = Joined {
        session: store.link.session(),
        ends: 0,
        stops: 0,
        look_interval: Duration::from_secs(9),
        joins_others: false,
    };
    let other = PostgresStore::open(database.place(), Arc::new(Term::boundless(Instant::now())), joined);
    other.unwrap().apply(admission(2)).unwrap();
    store.apply(Batch { changes: vec![Change::Unsee(Fingerprint::from_bytes([1; 16]))], ..Batch::default() }).unwrap();
    assert_eq!(database.sql("SELECT at FROM seen ORDER BY at"), "1\n2", "the same number is committed once");
    // A connection that is lost before anything is committed costs nothing.
    database.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'actix-crawler' \
                  AND datname = current_database()",
    );
    store.apply(admission(3)).unwrap();
    assert_eq!(database.sql("SELECT at FROM seen ORDER BY at"), "1\n2\n3");
}

#[test]
fn tables_of_another_version_and_names_that_are_none_are_refused_with_what_to_do() {
    let database = Database::new();
    database.begin();
    for (version, advice) in [(VERSION + 1, "update actix-crawler"), (0, "drop it, and begin again")] {
        database.sql(&format!("UPDATE crawl SET version = {version}"));
        let refused = Background::new().unwrap().block_on(async {
            let place = database.place();
            let mut connection = place.server().connect().await.unwrap();
            place.ensure(&mut connection.client).await.unwrap_err().to_string()
        });
        assert!(refused.contains(advice), "{refused}");
    }
    for name in ["", "Big", "a b", "a\"b", &"x".repeat(49)] {
        let refused = CrawlPlace::of("postgres://me:sekret@localhost/d", name).err().unwrap().to_string();
        assert!(refused.contains("no name of a crawl") && !refused.contains("sekret"), "{refused}");
    }
}

/// Each table that the planner could spread over servers has its part as the first column, and of its key too.
#[test]
fn every_table_of_the_crawls_own_data_is_keyed_by_its_part_first() {
    let database = Database::new();
    database.begin();
    let without = "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indrelid \
                   JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0] \
                   WHERE relnamespace = 'crawl_test'::regnamespace AND attname <> 'part' AND indisprimary ORDER BY relname";
    assert_eq!(database.sql(without), "crawl\nnode");
}

fn random_text(length: usize) -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(length).collect()
}

/// Regression: an index has no room for a long URL, so the commit was refused, again by each node that took the crawl
/// over.
#[test]
fn what_is_too_long_to_be_found_by_fails_no_commit_and_a_name_of_a_domain_is_refused_with_what_to_do() {
    let database = Database::new();
    database.begin();
    let store = database.take_over();
    let file = StoredRobotsFile { body: "User-agent: *".into(), fetched_at_ms: 1 };
    let url = Url::parse(&format!("https://{}.test/", random_text(4_000))).unwrap();
    let robots = |origin: String| Change::Robots { origin, file: file.clone() };
    let changes = vec![
        Change::Include(url),
        Change::Include(Url::parse("https://e.test/").unwrap()),
        robots(format!("https://{}", random_text(4_000))),
        robots("https://e.test".to_owned()),
    ];
    store.apply(Batch { changes, ..Batch::default() }).unwrap();
    assert_eq!(database.sql("SELECT url, origin FROM included, robots"), "https://e.test/\thttps://e.test");
    let long = Batch { waiting: [(Domain::new(&random_text(4_000)), 1)].into(), ..Batch::default() };
    let refused = store.apply(long).unwrap_err().to_string();
    assert!(refused.contains("domain_key") && refused.contains("shorter names"), "{refused}");
}

/// Regression: the numbers of nodes began at one again, so a node of the crawl before could commit into the new one.
#[test]
fn a_node_of_a_crawl_that_was_dropped_and_begun_again_commits_nothing_into_the_new_one() {
    let database = Database::new();
    database.begin();
    let before = database.take_over();
    database.sql("DROP SCHEMA crawl_test CASCADE");
    let refused = before.apply(admission(1)).unwrap_err().to_string();
    assert!(refused.contains("it was dropped"), "{refused}");
    database.begin();
    let after = database.take_over();
    assert!(before.apply(admission(2)).is_err());
    after.apply(admission(3)).unwrap();
    assert_eq!(database.sql("SELECT at FROM seen"), "3");
}

#[test]
fn a_store_whose_connection_the_server_has_closed_since_it_was_idle_goes_on_with_another() {
    let database = Database::new();
    database.begin();
    database.sql(&format!("ALTER DATABASE {} SET idle_session_timeout = '200ms'", database.name));
    let store = database.take_over();
    store.apply(admission(1)).unwrap();
    let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'actix-crawler' \
                AND datname = current_database()";
    while database.sql(open) != "0" {}
    store.apply(admission(2)).unwrap();
    assert_eq!(database.sql("SELECT at FROM seen ORDER BY at"), "1\n2");
}
