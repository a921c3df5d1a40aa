//! Nodes over a real server, whose steps are made one by one; and the rule by which others are found dead.

use super::*;
use crate::postgres_server::PostgresServer;

const S: Duration = Duration::from_secs(1);
const LENGTH: TermLength = TermLength::new(Duration::from_secs(10));

fn peer(session: i64, beat: i64) -> Peer {
    Peer { session, beat, length: LENGTH }
}

#[test]
fn nobody_is_found_dead_before_its_own_term_must_have_lapsed_by_the_clock_of_whoever_looks() {
    let (now, mut watch) = (Instant::now(), Watch::default());
    let mut dead = |beats: [i64; 2], after: Duration| {
        // Regression: whoever had a shorter term by mistake took over while the other still asked. The second's is half
        // as long.
        let peers = [peer(1, beats[0]), Peer { length: TermLength::new(5 * S), ..peer(2, beats[1]) }];
        watch.dead(&peers, now + after).iter().map(|peer| peer.session).collect::<Vec<_>>()
    };
    assert!(dead([1, 1], S).is_empty(), "a beat that is seen for the first time is a sign of life");
    assert!(dead([1, 2], 7 * S).is_empty());
    assert!(dead([1, 2], 13 * S).is_empty(), "twelve seconds are not enough, nor are six");
    assert_eq!(dead([2, 2], 14 * S), [2]);
    assert_eq!(dead([2, 3], 26 * S), Vec::<i64>::new());
    assert_eq!(dead([2, 4], 27 * S), [1]);
    assert!(watch.dead(&[], now).is_empty() && watch.0.is_empty(), "those that are gone are forgotten");
}

/// A crawl in a database of its own, and the runtime that its nodes are in.
struct Shared {
    server: Arc<PostgresServer>,
    name: &'static str,
    url: String,
}

impl Shared {
    fn new(name: &'static str) -> Self {
        let server = PostgresServer::shared();
        let url = server.database(name);
        Self { server, name, url }
    }

    fn sql(&self, sql: &str) -> String {
        self.server.psql(self.name, &format!("SET search_path TO crawl_test; {sql}"))
    }

    /// A node that has joined. No timer of the system ends the tests.
    async fn node(&self, length: TermLength) -> (Node, Joined) {
        let term = Arc::new(Term::boundless(clock::now()));
        term.bind().unwrap();
        let mut node = Node::new(CrawlPlace::of(&self.url, "test").unwrap(), term, length);
        let joined = node.join().await.unwrap();
        node.watchdog = None;
        (node, joined)
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn a_silent_node_is_found_dead_unless_it_gives_a_sign_of_life_at_the_last_moment_and_then_knows() {
    let shared = Shared::new("silent");
    run(async {
        let ((mut one, _), (mut other, _)) = (shared.node(LENGTH).await, shared.node(LENGTH).await);
        one.look_after_others().await;
        let long_ago = clock::now().checked_sub(13 * S).unwrap();
        let beat = |session: i64| shared.sql(&format!("SELECT beat FROM node WHERE session = {session}"));
        let silent = |node: &mut Node, session: i64, beat: String| {
            node.watch.0.insert(session, HeartbeatWatch::new(beat.parse().unwrap(), long_ago));
        };
        silent(&mut one, other.session, beat(other.session));
        other.renew().await.unwrap();
        one.look_after_others().await;
        other.renew().await.unwrap();
        silent(&mut one, other.session, beat(other.session));
        one.look_after_others().await;
        let lost = other.renew().await.unwrap_err();
        assert!(lost.contains("has taken this one for dead"), "{lost}");
        assert!(other.term.check(clock::now()).is_ok(), "whoever holds the session ends the term");
        one.renew().await.unwrap();
        assert_eq!(shared.sql("SELECT state FROM node ORDER BY joined"), "live\ndead");
    });
}

/// Regression: its number was later that of a node of the new crawl, with which it shared the ownership.
#[test]
fn a_node_of_a_crawl_that_was_dropped_ends_and_is_none_of_the_one_that_is_begun_again() {
    let shared = Shared::new("dropped");
    run(async {
        for begun_again in [false, true] {
            let (mut node, _) = shared.node(LENGTH).await;
            shared.sql("DROP SCHEMA crawl_test CASCADE");
            if begun_again {
                shared.node(LENGTH).await;
            }
            let lost = node.renew().await.unwrap_err();
            assert!(lost.contains(if begun_again { "begun again" } else { "it was dropped" }), "{lost}");
        }
    });
}

#[test]
fn what_nodes_that_are_gone_have_done_is_kept_when_another_joins_and_their_rows_are_not() {
    let shared = Shared::new("gone");
    run(async {
        let ((first, _), (second, _)) = (shared.node(LENGTH).await, shared.node(LENGTH).await);
        let counters = |done: u64| {
            let mut counters = Counters { seen: done, ..Counters::default() };
            counters.checkpoint.ledger.done = done;
            counters.checkpoint.elapsed = S * u32::try_from(done).unwrap();
            serde_json::to_string(&counters).unwrap()
        };
        for (node, done) in [(&first, 3), (&second, 4)] {
            let set = format!("counters = '{}', pages = {done}, requests = 9", counters(done));
            shared.sql(&format!("UPDATE node SET {set} WHERE session = {}", node.session));
        }
        let session = second.session;
        first.leave().await;
        shared.sql(&format!("UPDATE node SET state = 'dead' WHERE session = {session}"));
        let (_third, joined) = shared.node(LENGTH).await;
        assert_eq!(shared.sql("SELECT session FROM node"), joined.session.to_string());
        assert_eq!(shared.sql("SELECT pages, requests, nodes, state FROM crawl"), "7\t18\t3\tnew");
        let sum: Counters = serde_json::from_str(&shared.sql("SELECT counters FROM crawl")).unwrap();
        assert_eq!((sum.checkpoint.ledger.done, sum.seen, sum.checkpoint.elapsed), (7, 7, 4 * S));
    });
}

#[test]
fn whoever_joins_after_a_failover_waits_for_all_nodes_from_before_also_for_those_that_the_replica_does_not_know() {
    let shared = Shared::new("replica");
    run(async {
        let (mut before, _) = shared.node(TermLength::new(20 * S)).await;
        // As a replica shows it whose timeline is another: its parts belong to a node of which it knows nothing.
        shared.sql("UPDATE crawl SET timeline = '0'; UPDATE node SET timeline = '0'; UPDATE part SET owner = 7");
        let lost = before.renew().await.unwrap_err();
        assert!(lost.contains("failed over"), "{lost}");
        let (mut after, joined) = shared.node(LENGTH).await;
        assert!(joined.joins_others);
        let all_others = format!("SELECT session, state, term FROM node WHERE session <> {}", joined.session);
        let said = shared.sql(&all_others);
        let (session, rest) = said.split_once('\t').unwrap();
        assert_eq!(rest, "live\t20000", "one node is in the place of all, for the longest of their terms");
        assert_eq!(shared.sql("SELECT owner, count(*) FROM part GROUP BY owner"), format!("{session}\t1024"));
        let session = session.parse().unwrap();
        let since = |ago| HeartbeatWatch::new(0, clock::now().checked_sub(ago).unwrap());
        for (ago, state) in [(24 * S, "live"), (26 * S, "dead")] {
            after.watch.0.insert(session, since(ago));
            after.look_after_others().await;
            assert_eq!(shared.sql(&all_others), format!("{session}\t{state}\t20000"));
        }
        // Who comes later finds no other timeline.
        let _third = shared.node(LENGTH).await;
        after.renew().await.unwrap();
    });
}

#[test]
fn a_term_begins_when_the_node_has_joined_and_a_node_that_has_left_asks_nobody() {
    let shared = Shared::new("leaves");
    run(async {
        let (node, _) = shared.node(LENGTH).await;
        let term = node.term.clone();
        assert!(term.check(clock::now()).is_ok());
        node.leave().await;
        assert!(term.check(clock::now()).is_err());
        assert_eq!(shared.sql("SELECT state FROM node"), "left");
    });
}

/// Regression: a node that left between the reading of the accounts and the removal of the rows lost its own.
#[test]
fn the_accounts_of_a_node_that_leaves_while_another_joins_are_kept() {
    let shared = Shared::new("leaves_meanwhile");
    run(async {
        let ((first, _), (second, _)) = (shared.node(LENGTH).await, shared.node(LENGTH).await);
        let (one, other) = (first.session, second.session);
        let mut counters = Counters::default();
        counters.checkpoint.ledger.done = 5;
        let counters = serde_json::to_string(&counters).unwrap();
        shared.sql(&format!(
            "UPDATE node SET counters = '{counters}', pages = 5; UPDATE node SET state = 'dead' WHERE session = {one}"
        ));
        // The second leaves just after the accounts of those that are gone were read.
        shared.sql(&format!(
            "CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             UPDATE crawl_test.node SET state = 'left' WHERE session = {other}; RETURN NULL; END $$; \
             CREATE TRIGGER leave AFTER UPDATE OF counters ON crawl EXECUTE FUNCTION leave()"
        ));
        let (_third, _) = shared.node(LENGTH).await;
        let sums = "SELECT sum((counters::json #>> '{progress,ledger,done}')::bigint), sum(pages) FROM \
                    (SELECT counters, pages FROM node UNION ALL SELECT counters, pages FROM crawl) AS all_nodes";
        assert_eq!(shared.sql(sums), "10\t10");
        assert_eq!(shared.sql(&format!("SELECT state FROM node WHERE session = {other}")), "left");
    });
}

/// Whoever begins a crawl has its seeds fetched again, if that is asked for. Regression: each of several nodes that
/// were started together did, and later none, where a node of the crawl before had not left yet.
#[test]
fn of_nodes_that_are_started_together_one_begins_the_crawl_also_if_one_of_the_crawl_before_is_still_there() {
    let shared = Shared::new("begins");
    run(async {
        let (first, second) = (shared.node(LENGTH).await, shared.node(LENGTH).await);
        assert!(!first.1.joins_others && second.1.joins_others);
        shared.sql("UPDATE crawl SET state = 'ended', ends = ends + 1");
        let (third, fourth) = (shared.node(LENGTH).await, shared.node(LENGTH).await);
        assert!(!third.1.joins_others && fourth.1.joins_others);
        assert_eq!(
            shared.sql("SELECT state FROM crawl"),
            "ended",
            "it goes on when the settings of a node are accepted"
        );
    });
}
