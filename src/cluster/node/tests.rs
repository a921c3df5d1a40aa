//! Nodes over a real server, whose looks are made one by one; and the rule of whoever waits.

use super::*;
use crate::postgres_server::PostgresServer;

const S: Duration = Duration::from_secs(1);
const LENGTH: TermLength = TermLength::new(Duration::from_secs(10));

fn sight(owner: Option<i64>, token: i64, beat: Option<i64>) -> Sight {
    Sight { is_finished: false, owner, token, beat, length: LENGTH }
}

#[test]
fn whoever_waits_takes_what_nobody_owns_and_buries_nobody_too_soon() {
    let (now, mut watch) = (Instant::now(), Watch::default());
    let mut step = |owner, token, beat, after: Duration| watch.step(&sight(owner, token, beat), 7, now + after);
    assert_eq!(step(None, 3, None, S), Step::Take { token: 3 });
    assert_eq!(step(Some(1), 4, Some(1), S), Step::Wait);
    assert_eq!(step(Some(1), 4, Some(1), 13 * S), Step::Wait, "twelve seconds are not enough");
    assert_eq!(step(Some(1), 4, Some(2), 14 * S), Step::Wait, "a sign of life");
    assert_eq!(step(Some(1), 4, Some(2), 26 * S), Step::Wait);
    assert_eq!(step(Some(1), 4, Some(2), 27 * S), Step::Bury { session: 1, beat: 2 });
    assert_eq!(step(Some(2), 5, Some(2), 27 * S), Step::Wait, "another owner has time of its own");
    assert_eq!(step(Some(2), 5, None, 28 * S), Step::Take { token: 5 }, "somebody else has found it dead");
    assert_eq!(step(Some(7), 6, Some(0), 28 * S), Step::Take { token: 6 }, "what was only read is no ownership");
}

#[test]
fn a_crawl_that_was_finished_before_begins_again_and_one_that_is_finished_meanwhile_ends_the_waiting() {
    let (now, mut watch) = (Instant::now(), Watch::default());
    let finished = Sight { is_finished: true, ..sight(None, 3, None) };
    assert_eq!(watch.step(&finished, 7, now), Step::Take { token: 3 });
    assert_eq!(watch.step(&sight(Some(1), 4, Some(1)), 7, now), Step::Wait);
    let finished = Sight { token: 4, ..finished };
    assert_eq!(watch.step(&finished, 7, now), Step::End);
}

/// Regression: whoever had a shorter term by mistake took over while the owner still asked.
#[test]
fn whoever_waits_goes_by_the_term_of_the_owner() {
    let shared = Shared::new("lengths");
    run(async {
        let short = TermLength::new(Duration::from_millis(500));
        let (mut owner, mut waits) = (shared.node(LENGTH).await, shared.node(short).await);
        look(&mut owner, &mut Watch::default()).await.unwrap();
        let seen = clock::now();
        let mut watch = Watch::default();
        assert!(look(&mut waits, &mut watch).await.is_none());
        // As if it had been looked at for longer than its own term asks for.
        let (token, beat) =
            (shared.sql("SELECT token FROM crawl"), shared.sql("SELECT beat FROM node JOIN crawl ON session = owner"));
        let since = seen.checked_sub(2 * S).unwrap();
        watch.silence = Some((token.parse().unwrap(), Silence::new(beat.parse().unwrap(), since)));
        assert!(look(&mut waits, &mut watch).await.is_none(), "the owner may ask for seven seconds yet");
        let since = seen.checked_sub(13 * S).unwrap();
        watch.silence = Some((token.parse().unwrap(), Silence::new(beat.parse().unwrap(), since)));
        let owned = look(&mut waits, &mut watch).await.unwrap();
        waits.leave(owned.token, false).await;
    });
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
    async fn node(&self, length: TermLength) -> Node {
        let term = Arc::new(Term::boundless(clock::now()));
        term.bind().unwrap();
        let mut node = Node::new(CrawlPlace::of(&self.url, "test").unwrap(), term, length);
        node.join().await.unwrap();
        node
    }
}

/// Looks once.
async fn look(node: &mut Node, watch: &mut Watch) -> Option<Owned> {
    node.look(watch).await.unwrap().map(|owned| owned.unwrap())
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// Regression: a node that had been found dead, or whose row was gone, took the crawl; it counted as dead from the first, so another
/// took it too, and both asked.
#[test]
fn a_node_without_a_live_row_joins_anew_before_it_owns_the_crawl_and_no_other_owns_it_then() {
    let shared = Shared::new("rows");
    run(async {
        for loses_its_row in ["UPDATE node SET dead = true WHERE", "DELETE FROM node WHERE"] {
            let (mut first, mut second, mut third) =
                (shared.node(LENGTH).await, shared.node(LENGTH).await, shared.node(LENGTH).await);
            let [mut of_first, mut of_second, mut of_third] = [(); 3].map(|()| Watch::default());
            let owned = look(&mut first, &mut of_first).await.unwrap();
            assert!(look(&mut second, &mut of_second).await.is_none());
            let session = second.session;
            shared.sql(&format!("{loses_its_row} session = {session}"));
            first.leave(owned.token, false).await;
            let state = "SELECT count(*) FROM node JOIN crawl ON session = owner AND NOT dead";
            // Between its look and its take, too.
            let token = shared.sql("SELECT token FROM crawl").parse().unwrap();
            assert!(second.take(token).await.unwrap().is_none());
            let owned = look(&mut second, &mut of_second).await.unwrap();
            assert!(second.session != session && shared.sql(state) == "1");
            assert!(look(&mut third, &mut of_third).await.is_none(), "two would own it");
            second.leave(owned.token, false).await;
            shared.sql("DELETE FROM node");
        }
    });
}

/// A node has taken the crawl without hearing of it, and takes it again at the moment at which another buries it.
#[test]
fn whoever_takes_the_crawl_gives_a_sign_of_life_with_it() {
    let shared = Shared::new("signs");
    run(async {
        let mut node = shared.node(LENGTH).await;
        let seen = shared.sql("SELECT beat FROM node");
        look(&mut node, &mut Watch::default()).await.unwrap();
        let bury =
            format!("UPDATE node SET dead = true WHERE session = {} AND beat = {seen} RETURNING 1", node.session);
        assert_eq!(shared.sql(&bury), "");
    });
}

/// Regression: it waited for ever, and its number was later that of a node of the new crawl, with which it shared the ownership.
#[test]
fn a_node_that_waits_ends_when_the_crawl_is_dropped_and_is_a_newcomer_where_it_is_begun_again() {
    let shared = Shared::new("dropped");
    run(async {
        let begun_again = "a node before it looks";
        for then in ["nothing", begun_again] {
            let (mut owner, mut waits) = (shared.node(LENGTH).await, shared.node(LENGTH).await);
            let mut of_waits = Watch::default();
            look(&mut owner, &mut Watch::default()).await.unwrap();
            assert!(look(&mut waits, &mut of_waits).await.is_none());
            shared.sql("DROP SCHEMA crawl_test CASCADE");
            let before = waits.session;
            if then == begun_again {
                let mut new = shared.node(LENGTH).await;
                look(&mut new, &mut Watch::default()).await.unwrap();
                assert!(look(&mut waits, &mut of_waits).await.is_none() && waits.session != before);
                let lost = owner.renew().await.unwrap_err();
                assert!(lost.contains("begun again"), "{lost}");
            } else {
                let refused = waits.wait(&mut of_waits).await.unwrap_err().to_string();
                assert!(refused.contains("it was dropped"), "{refused}");
            }
        }
    });
}

/// Regression: the timer was set to the end of a term that was over, and the system ended the process at once. It would end this
/// one, the test.
#[test]
fn an_answer_to_a_takeover_that_comes_too_late_gains_nothing_and_ends_nobody() {
    let shared = Shared::new("late");
    run(async {
        let length = TermLength::new(Duration::from_millis(600));
        let mut node = shared.node(length).await;
        node.killer = Some(Killer::new().unwrap());
        let lock =
            "SET search_path TO crawl_test; BEGIN; UPDATE crawl SET commits = commits; SELECT pg_sleep(2); COMMIT";
        let (server, name) = (shared.server.clone(), shared.name);
        let locked = std::thread::spawn(move || server.psql(name, lock));
        while shared.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") != "1" {}
        let mut watch = Watch::default();
        assert!(look(&mut node, &mut watch).await.is_none());
        assert!(node.term.check(clock::now()).is_err(), "it may ask nobody yet");
        let owned = loop {
            if let Some(owned) = look(&mut node, &mut watch).await {
                break owned;
            }
        };
        // A busy machine may take longer for the rest.
        node.killer = None;
        locked.join().unwrap();
        node.leave(owned.token, false).await;
    });
}
