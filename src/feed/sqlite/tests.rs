//! The laws of sinks, on SQLite: with and without a key, read by a connection of its own at every moment.

use std::{fs, path::PathBuf};

use rusqlite::Connection;

use crate::{
    error::Result,
    feed::{
        Feed, Opening, Record, Sink,
        laws::{Row, Subject, check},
    },
};

/// A table, with another one of the user's beside it.
struct InTable {
    feed: Feed,
    path: PathBuf,
}

impl InTable {
    fn new(feed: impl Fn(Feed) -> Feed) -> (tempfile::TempDir, Self) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.sqlite");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE own (a); INSERT INTO own VALUES (1)").unwrap();
        (dir, Self { feed: feed(Feed::to(&*path)), path })
    }
}

impl Subject for InTable {
    fn open(&mut self, opening: Opening) -> Result<Box<dyn Sink>> {
        self.feed.open(opening)
    }

    fn read(&mut self) -> Vec<Row> {
        let connection = Connection::open(&self.path).unwrap();
        let own: u32 = connection.query_row("SELECT count(*) FROM own", [], |row| row.get(0)).unwrap();
        assert_eq!(own, 1, "a table of the user's is his own");
        let Ok(mut select) = connection.prepare("SELECT n, text FROM items ORDER BY rowid") else { return Vec::new() };
        let rows = select
            .query_map([], |row| Ok(Row { n: row.get::<_, i64>(0)?.cast_unsigned(), text: row.get(1)? }))
            .unwrap();
        rows.map(|row| row.unwrap()).collect()
    }

    /// A kill within a commit leaves the beginning of what was written ahead.
    fn tear(&mut self, part: f64) {
        let (wal, before) = (self.path.with_extension("sqlite-wal"), self.path.with_extension("before"));
        let mut sink = self.feed.open(Opening::Restarted).unwrap();
        fs::copy(&self.path, &before).unwrap();
        sink.write(&record(&Row { n: 99, text: "torn\n".repeat(900) })).unwrap();
        sink.commit().unwrap();
        let bytes = fs::read(&wal).unwrap();
        drop(sink);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let cut = (bytes.len() as f64 * part * 0.5) as usize;
        fs::rename(&before, &self.path).unwrap();
        fs::write(&wal, &bytes[..cut]).unwrap();
    }

    fn refused(&self) -> Option<Record> {
        Some(record(&"an item without fields"))
    }
}

fn record(item: &impl serde::Serialize) -> Record {
    Record::of(item, "https://example.org/").unwrap()
}

#[test]
fn a_table_keeps_the_laws_of_sinks() {
    let (_dir, mut subject) = InTable::new(|feed| feed);
    check(&mut subject, 60);
}

#[test]
fn a_table_with_given_columns_and_a_key_keeps_them_too() {
    let (_dir, mut subject) = InTable::new(|feed| feed.fields(["n", "text"]).key(["n"]));
    check(&mut subject, 60);
}
