//! Commits that wait for another session, which holds the table longer than they do.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
};

use serde_json::json;

use super::*;
use crate::{
    feed::{Feed, target::FeedTarget},
    postgres_server::PostgresServer,
};

#[test]
fn a_commit_that_waits_too_long_for_a_lock_ends_the_feed_and_nothing_of_it_comes_later() {
    let server = PostgresServer::shared();
    let url = server.database("held");
    for (name, key) in [("copied", None), ("kept", Some("n"))] {
        let table = Feed::to(&*url).table(name).key(key).table_at(&FeedTarget::of(Path::new(&url)).unwrap());
        let open = |opening| PostgresSink::open(&url, table.clone(), opening, Duration::from_millis(800)).ok().unwrap();
        let add = |sink: &mut PostgresSink, n: u32| {
            sink.write(&Record::of(&json!({"n": n}), "https://e.org/").unwrap()).unwrap();
            sink.commit()
        };
        let mut sink = open(Opening::Fresh);
        add(&mut sink, 1).unwrap();
        let mut holder = server.session("held");
        writeln!(holder.stdin.as_mut().unwrap(), "BEGIN; LOCK TABLE {name}; SELECT 'there' || 'is';").unwrap();
        let mut said = BufReader::new(holder.stdout.as_mut().unwrap()).lines();
        said.find(|line| line.as_ref().unwrap() == "thereis").unwrap().unwrap();
        let why = add(&mut sink, 2).unwrap_err();
        let SinkError::Broken(why) = &why else { panic!("{why:?}") };
        assert!(why.contains("another session holds the table; it was tried for 800ms"), "{why}");
        writeln!(holder.stdin.as_mut().unwrap(), "COMMIT;").unwrap();
        drop(holder.stdin.take());
        assert!(holder.wait().unwrap().success());
        drop(sink);
        let mut sink = open(Opening::Resumed);
        add(&mut sink, 2).unwrap();
        sink.close().unwrap();
        assert_eq!(server.psql("held", &format!("SELECT n FROM {name} ORDER BY n")), "1\n2");
    }
}
