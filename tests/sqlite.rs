//! Items in a SQLite database as Python's own module reads them: their types, at every moment, in a database that has
//! other tables too; and what is refused.

#![cfg(feature = "sqlite")]

mod crawls;
mod hard;
mod recorder;

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use actix_crawler::{
    Settings,
    feed::{Feed, Opening, Record, Sink, SinkError},
    prelude::*,
};
use crawls::{crawl_with, run};
use hard::{Nested, TEXT, long};
use recorder::{Answer, Recorder};
use serde::Serialize;
use serde_json::{Value, json};

/// What Python's module reads, as JSON; with the types of SQLite where it is asked for them.
fn read(path: &Path, sql: &str) -> Value {
    const READ: &str = "import json, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
rows = database.execute(sys.argv[2]).fetchall()
print(json.dumps([[cell.hex() if isinstance(cell, bytes) else cell for cell in row] for row in rows]))";
    let output = Command::new("python3").args(["-c", READ]).arg(path).arg(sql).output().expect("python3 is needed");
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn execute(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn add(sink: &mut dyn Sink, item: &impl Serialize) -> Result<(), SinkError> {
    sink.write(&Record::of(item, "https://example.org/")?)?;
    sink.commit()
}

fn wrong(opened: Result<Box<dyn Sink>>) -> String {
    opened.err().expect("it must not open").to_string()
}

struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

#[derive(Serialize)]
struct Hard {
    odd: u64,
    most: u64,
    least: i128,
    float: f32,
    nan: f64,
    whole: f64,
    yes: bool,
    date: &'static str,
    null: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<u8>,
    zeros: &'static str,
    text: String,
    long: String,
    bytes: Bytes,
    list: Vec<&'static str>,
    nested: Nested,
}

#[test]
fn values_keep_their_types_as_python_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.sqlite");
    let hard = Hard {
        odd: (1 << 53) + 1,
        most: u64::MAX,
        least: i128::MIN,
        float: 0.1,
        nan: f64::NAN,
        whole: 3.0,
        yes: true,
        date: "2026-11-29T12:00:00Z",
        null: None,
        missing: None,
        zeros: "007",
        text: TEXT.to_owned(),
        long: long(),
        bytes: Bytes(vec![0, 255]),
        list: vec!["one", "two\nlines"],
        nested: Nested::LARGE,
    };
    let mut sink = Feed::to(&*path).open(Opening::Fresh).unwrap();
    add(&mut sink, &hard).unwrap();
    let cells = "odd, most, least, float, nan, whole, yes, date, \"null\", zeros, text, bytes, list, \"nested.amount\", \
                 \"nested.currency\"";
    assert_eq!(
        read(&path, &format!("SELECT {cells} FROM items")),
        json!([[
            hard.odd,
            u64::MAX.to_string(),
            i128::MIN.to_string(),
            0.1,
            Value::Null,
            3.0,
            1,
            hard.date,
            Value::Null,
            "007",
            TEXT,
            "00ff",
            "[\"one\",\"two\\nlines\"]",
            1e21,
            "€"
        ]])
    );
    let types = cells.split(", ").map(|name| format!("typeof({})", name.trim())).collect::<Vec<_>>().join(", ");
    assert_eq!(
        read(&path, &format!("SELECT {types} FROM items")),
        json!([[
            "integer", "text", "text", "real", "null", "real", "integer", "text", "null", "text", "text", "blob",
            "text", "real", "text"
        ]])
    );
    assert_eq!(read(&path, "SELECT long FROM items"), json!([[hard.long]]));
    let missing = read(&path, "SELECT count(*) FROM pragma_table_info('items') WHERE name = 'missing'");
    assert_eq!(missing, json!([[0]]), "a field that no item has is no column");
}

#[test]
fn a_key_replaces_the_feeds_own_columns_of_a_row_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    let prices = Feed::to(&*path).table("prices").key(["ean", "shop"]);
    let mut sink = prices.open(Opening::Fresh).unwrap();
    sink.write(&Record::of(&json!({"ean": 1, "shop": "a", "price": 3.5}), "https://example.org/").unwrap()).unwrap();
    sink.write(&Record::of(&json!({"ean": 1, "shop": "b", "price": 3.6}), "https://example.org/").unwrap()).unwrap();
    sink.write(&Record::of(&json!({"ean": 1, "shop": "a", "price": 3.4}), "https://example.org/").unwrap()).unwrap();
    sink.commit().unwrap();
    for without in [json!({"ean": null, "shop": "a", "price": 1}), json!({"shop": "a", "price": 1})] {
        let refused = add(&mut sink, &without).unwrap_err();
        assert!(matches!(&refused, SinkError::Refused(why) if why.contains("`ean`")), "{refused:?}");
    }
    sink.close().unwrap();
    execute(&path, "ALTER TABLE prices ADD COLUMN note; UPDATE prices SET note = 'mine'");
    let mut sink = prices.clone().fields(["ean", "shop", "price"]).open(Opening::Resumed).unwrap();
    add(&mut sink, &json!({"ean": 1, "shop": "b", "price": null, "more": 1})).unwrap();
    drop(sink);
    let rows = json!([[1, "a", 3.4, "mine"], [1, "b", null, "mine"]]);
    assert_eq!(read(&path, "SELECT ean, shop, price, note FROM prices ORDER BY shop"), rows);
    // Which columns are its own was once not known in the next run, and all others became null.
    let mut sink = prices.open(Opening::Resumed).unwrap();
    add(&mut sink, &json!({"ean": 1, "shop": "b"})).unwrap();
    add(&mut sink, &json!({"ean": 1, "shop": "a", "price": 4})).unwrap();
    drop(sink);
    let rows = json!([[1, "a", 4, "mine"], [1, "b", null, "mine"]]);
    assert_eq!(read(&path, "SELECT ean, shop, price, note FROM prices ORDER BY shop"), rows);
}

#[test]
fn a_new_crawl_drops_the_table_of_an_earlier_one_and_never_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.sqlite");
    execute(
        &path,
        "CREATE TABLE own (id INTEGER PRIMARY KEY, n REAL); INSERT INTO own VALUES (1, 1); CREATE VIEW seen AS SELECT 1",
    );
    let mut sink = Feed::to(&*path).open(Opening::Fresh).unwrap();
    add(&mut sink, &json!({"n": 1})).unwrap();
    sink.close().unwrap();
    let mut sink = Feed::to(&*path).open(Opening::Fresh).unwrap();
    add(&mut sink, &json!({"other": 2})).unwrap();
    sink.close().unwrap();
    assert_eq!(read(&path, "SELECT * FROM items"), json!([[2]]));
    assert_eq!(read(&path, "PRAGMA journal_mode"), json!([["delete"]]), "as it was before");

    let refused = wrong(Feed::to(&*path).table("own").open(Opening::Fresh));
    assert!(refused.contains("no feed has made it") && refused.contains("`append`"), "{refused}");
    let refused = wrong(Feed::to(&*path).table("SEEN").append().open(Opening::Fresh));
    assert!(refused.contains("view"), "{refused}");
    // Its id is left to the database, and its type to the values that it has.
    let mut sink = Feed::to(&*path).table("own").append().open(Opening::Fresh).unwrap();
    add(&mut sink, &json!({"n": 2})).unwrap();
    let refused = add(&mut sink, &json!({"n": (1_i64 << 53) + 1})).unwrap_err();
    assert!(matches!(&refused, SinkError::Refused(why) if why.contains("9007199254740993")), "{refused:?}");
    assert_eq!(read(&path, "SELECT * FROM own"), json!([[1, 1.0], [2, 2.0]]));
}

#[test]
fn a_constraint_refuses_one_item_and_the_others_of_its_commit_are_written() {
    let (site, dir) = (Recorder::start(|_| Answer::ok("")), tempfile::tempdir().unwrap());
    let path = dir.path().join("shop.sqlite");
    execute(&path, "CREATE TABLE items (path TEXT NOT NULL CHECK (path <> '/3'))");
    let spider = |page: &Response| Ok(Parsed::of([json!({"path": page.url().path()})]));
    let crawler = crawl_with(spider, &site, Settings::default()).seeds((0..9).map(|n| format!("http://a.test/{n}")));
    let report = run(crawler.per_domain(9).pipeline(Feed::to(&*path).append()));
    assert_eq!((report.pages(), report.failed()), (8, 1), "{report}");
    assert_eq!(read(&path, "SELECT count(*), count(DISTINCT path) FROM items"), json!([[8, 8]]));
}

#[test]
fn columns_are_checked_before_anything_is_fetched_and_items_by_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.sqlite");
    let mut sink = Feed::to(&*path).open(Opening::Fresh).unwrap();
    let unnamed = add(&mut sink, &"only a text").unwrap_err();
    assert!(matches!(&unnamed, SinkError::Refused(_)), "{unnamed:?}");
    let twice = add(&mut sink, &json!({"name": 1, "Name": 2})).unwrap_err();
    assert!(matches!(&twice, SinkError::Refused(why) if why.to_lowercase().contains("name")), "{twice:?}");
    add(&mut sink, &json!({"url": "a", "price": {"amount": 1}})).unwrap();
    let more = add(&mut sink, &json!({"url": "b", "more": 1})).unwrap_err();
    assert!(matches!(&more, SinkError::Refused(why) if why.contains("`more`")), "{more:?}");
    sink.close().unwrap();
    assert_eq!(read(&path, "SELECT url, \"price.amount\" FROM items"), json!([["a", 1]]));

    let refused = wrong(Feed::to(&*path).fields(["url", "stock"]).open(Opening::Resumed));
    assert!(refused.contains("`stock`"), "{refused}");
    let refused = wrong(Feed::to(&*path).key(["url"]).open(Opening::Resumed));
    assert!(refused.contains("CREATE UNIQUE INDEX"), "{refused}");
    // Every further item would be refused, and its page lost.
    let mut sink = Feed::to(&*path).open(Opening::Resumed).unwrap();
    let more = add(&mut sink, &json!({"url": "b", "more": 1})).unwrap_err();
    assert!(matches!(&more, SinkError::Broken(why) if why.contains("`more`")), "{more:?}");
}

#[test]
fn what_is_no_database_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("letter.db");
    fs::write(&path, "Dear reader, this is no database. ".repeat(100)).unwrap();
    let refused = wrong(Feed::to(&*path).open(Opening::Fresh));
    assert!(refused.contains("no SQLite database"), "{refused}");
    assert!(fs::read_to_string(&path).unwrap().starts_with("Dear reader"));
    let refused = wrong(Feed::to(dir.path().join("missing/items.db")).open(Opening::Fresh));
    assert!(refused.contains("missing"), "{refused}");
}

#[test]
fn settings_that_fit_no_database_say_what_to_write() {
    for (feed, why) in [
        (Feed::to("a.sqlite.gz"), "cannot be compressed"),
        (Feed::to("a.csv").table("items"), "leave `table` out"),
        (Feed::to("a.jsonl").key(["ean"]), "Steps::unique_by"),
        (Feed::to("a.db").fields(["url"]).key(["ean"]), "add it to `fields`"),
        (Feed::to("a.db").table(" "), "table = \"items\""),
        (Feed::to("-").format(actix_crawler::feed::Format::Sqlite), "stdout"),
        (Feed::to("a.db").format(actix_crawler::feed::Format::Postgres), "postgres://"),
    ] {
        let refused = feed.check().unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
}

/// Reads the database again and again until its input ends, and says how often and how much it saw.
const WATCH: &str = "import select, sqlite3, sys
looks, most = 0, 0
while not select.select([sys.stdin], [], [], 0.001)[0]:
    database = sqlite3.connect(sys.argv[1])
    try:
        rows = database.execute('SELECT n, length(text) FROM items ORDER BY rowid').fetchall()
    except sqlite3.OperationalError as error:
        assert 'no such table' in str(error), error
        continue
    finally:
        database.close()
    assert len(rows) % 7 == 0, f'{len(rows)} rows are no whole commits'
    assert len(rows) >= most and rows == [(n, 900) for n in range(len(rows))], rows
    looks, most = looks + 1, len(rows)
    if looks == 1: print('begun', flush=True)
print(looks, most)";

#[test]
fn whoever_reads_it_while_it_is_written_sees_whole_commits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.sqlite");
    let mut sink = Feed::to(&*path).open(Opening::Fresh).unwrap();
    let mut watch = Command::new("python3");
    watch.args(["-c", WATCH]).arg(&path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut watch = watch.spawn().unwrap();
    let mut said = BufReader::new(watch.stdout.take().unwrap());
    let mut line = String::new();
    let mut commits = 0;
    let mut commit = |sink: &mut Box<dyn Sink>| {
        for n in commits * 7..(commits + 1) * 7 {
            let row = json!({"n": n, "text": "x".repeat(900)});
            sink.write(&Record::of(&row, "https://example.org/").unwrap()).unwrap();
        }
        sink.commit().unwrap();
        commits += 1;
    };
    commit(&mut sink);
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    for round in 0..300 {
        commit(&mut sink);
        if round == 150 {
            // As after a kill.
            drop(sink);
            sink = Feed::to(&*path).open(Opening::Restarted).unwrap();
        }
    }
    watch.stdin.take().unwrap().write_all(b"enough").unwrap();
    line.clear();
    said.read_line(&mut line).unwrap();
    assert!(watch.wait().unwrap().success());
    let (looks, _) = line.trim().split_once(' ').unwrap();
    assert!(looks.parse::<u32>().unwrap() > 1, "{line}");
    sink.close().unwrap();
    drop(sink);
    // One file remains.
    let files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["items.sqlite"]);
}

#[test]
fn two_feeds_share_a_database_with_each_other_and_with_other_programs() {
    let (site, dir) = (Recorder::start(|_| Answer::ok("")), tempfile::tempdir().unwrap());
    let path = dir.path().join("shop.sqlite");
    let spider = |page: &Response| Ok(Parsed::of([json!({"path": page.url().path()})]));
    let crawler = crawl_with(spider, &site, Settings::default()).seeds((0..40).map(|n| format!("http://a.test/{n}")));
    let crawler = crawler
        .per_domain(9)
        .pipeline(Feed::to(&*path).table("a"))
        .pipeline(Feed::to(&*path).table("b").key(["path"]))
        .pipeline(Feed::to(&*path).table("c").only(|item: &Value| item["path"].as_str() < Some("/2")))
        .pipeline(Feed::to(&*path).table("c").only(|item: &Value| item["path"].as_str() >= Some("/2")))
        .pipeline(Feed::to(dir.path().join("{domain}.db")));
    // Another program writes too, and is waited for.
    let other = rusqlite::Connection::open(&path).unwrap();
    other.busy_timeout(Duration::from_secs(20)).unwrap();
    let handle = crawler.start().unwrap();
    other.execute_batch("CREATE TABLE own (a); BEGIN IMMEDIATE; INSERT INTO own VALUES (1)").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    other.execute_batch("COMMIT").unwrap();
    let report = crawls::block_on(crawls::end_of(&handle));
    assert_eq!((report.pages(), report.failed()), (40, 0), "{report}");
    let counts = "SELECT (SELECT count(*) FROM a), (SELECT count(DISTINCT path) FROM b), \
                  (SELECT count(*) FROM c), (SELECT count(*) FROM own)";
    assert_eq!(read(&path, counts), json!([[40, 40, 40, 1]]));
    assert_eq!(read(&dir.path().join("a.test.db"), "SELECT count(*) FROM items"), json!([[40]]));
}
