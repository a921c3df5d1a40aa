//! The laws over a real server, and commits that come late or of which nothing is heard.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Instant,
};

use super::*;
use crate::{
    frontier::{
        durable::{Opening, Resumed},
        laws::{Subject, check_subject},
        windowed::{
            state::State,
            store::Change,
            testing::{Tiny, crash, tiny},
        },
    },
    postgres_server::PostgresServer,
    recrawl::Recrawl,
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
            let empty = "TRUNCATE node, queue, waiting, seen, past, included, dead, depth, visit, robots; \
                         UPDATE crawl SET commits = 0, settings = NULL, counters = NULL";
            connection.client.batch_execute(empty).await.unwrap();
        });
    }

    /// Takes the crawl over, and opens it.
    fn take_over(&self) -> PostgresStore {
        let token = self.sql("UPDATE crawl SET token = token + 1 RETURNING token").parse().unwrap();
        PostgresStore::open(self.place(), Arc::new(Term::boundless(Instant::now())), token).unwrap()
    }
}

/// Windowed frontiers with very little memory, each of which takes the crawl over from the one before.
struct OverPostgres {
    database: Database,
    recrawl: Recrawl,
}

impl Subject for OverPostgres {
    type Frontier = Tiny;

    fn open(&mut self, recrawl: &Recrawl, now: Instant) -> Tiny {
        self.recrawl = recrawl.clone();
        self.database.begin();
        tiny(self.database.take_over(), Opening::new(recrawl.clone(), now)).unwrap().0
    }

    fn kill(&mut self, frontier: Tiny, now: Instant) -> std::result::Result<(Tiny, Resumed), Tiny> {
        crash(frontier);
        Ok(tiny(self.database.take_over(), Opening::new(self.recrawl.clone(), now)).unwrap())
    }

    fn end(&mut self, frontier: Tiny) {
        crash(frontier);
        assert_eq!(State::new(self.database.take_over()).verify().unwrap().problems, Vec::<String>::new());
    }
}

/// More with `ACTIX_CRAWLER_TEST_LONGER`.
#[test]
fn a_frontier_on_postgresql_keeps_the_laws_also_across_crashes() {
    let cases = if std::env::var_os("ACTIX_CRAWLER_TEST_LONGER").is_some() { 256 } else { 24 };
    check_subject(&mut OverPostgres { database: Database::new(), recrawl: Recrawl::default() }, cases);
}

fn admission(number: u8) -> Batch {
    Batch { changes: vec![Change::See(Fingerprint::from_bytes([number; 16]), number.into())], ..Batch::default() }
}

#[test]
fn an_owner_that_was_taken_over_commits_nothing_more() {
    let database = Database::new();
    database.begin();
    let first = database.take_over();
    first.apply(admission(1)).unwrap();
    let second = database.take_over();
    let refused = first.apply(admission(2)).unwrap_err().to_string();
    assert!(refused.contains("another node has taken it over"), "{refused}");
    assert!(first.keep_settings(&BTreeMap::new()).is_err());
    second.apply(admission(3)).unwrap();
    assert_eq!(database.sql("SELECT at FROM seen ORDER BY at"), "1\n3");
    assert_eq!(database.sql("SELECT commits FROM crawl"), "2");
}

#[test]
fn a_commit_of_which_nothing_was_heard_is_found_out_about_and_neither_lost_nor_done_twice() {
    let database = Database::new();
    database.begin();
    let store = database.take_over();
    store.apply(admission(1)).unwrap();
    // The commit of number 2 has come through, and its answer has not: the store does not know of it.
    let other = PostgresStore::open(database.place(), Arc::new(Term::boundless(Instant::now())), store.link.token());
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
    for (version, advice) in [(3, "update actix-crawler"), (0, "end the crawl with the program")] {
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
                   WHERE relnamespace = 'crawl_test'::regnamespace AND attname <> 'part' ORDER BY relname";
    assert_eq!(database.sql(without), "crawl\nnode");
}

fn random_text(length: usize) -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(length).collect()
}

/// Regression: an index has no room for a long URL, so the commit was refused, again by each node that took the crawl over.
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

/// Regression: the numbers of owners began at one again, so an owner of the crawl before could commit into the new one.
#[test]
fn an_owner_of_a_crawl_that_was_dropped_and_begun_again_commits_nothing_into_the_new_one() {
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
