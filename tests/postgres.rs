//! Items in a PostgreSQL database, as psql reads them from a real server: their types, over kills of the crawl, crashes
//! of the server and connections that are lost in the middle of a commit; and what is refused.

#![cfg(all(feature = "postgres", feature = "disk"))]

mod crawls;
mod hard;
mod kills;
mod postgres_server;
mod recorder;
mod tree;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use actix_crawler::{
    Settings,
    feed::{
        Feed, Opening, Record, Sink, SinkError,
        laws::{Row, Subject, check},
    },
    prelude::*,
    report::Ended,
};
use crawls::{block_on, crawl_with, end_of, run};
use hard::{Nested, long};
use kills::{ended_well, run_and_kill_on_its_way};
use postgres_server::{PASSWORD, PostgresServer};
use recorder::{Answer, Recorder};
use serde::Serialize;
use serde_json::{Value, json};

fn record(item: &impl Serialize) -> Record {
    Record::of(item, "https://example.org/").unwrap()
}

fn add(sink: &mut dyn Sink, item: &impl Serialize) -> Result<(), SinkError> {
    sink.write(&record(item))?;
    sink.commit()
}

fn wrong(feed: &Feed, opening: Opening) -> String {
    let error = feed.open(opening).err().expect("it must not open").to_string();
    assert!(!error.contains(PASSWORD) && !error.contains("geheim"), "{error}");
    error
}

/// The items of a table, as JSON of the server's making.
fn items(server: &PostgresServer, database: &str, table: &str) -> Vec<Value> {
    let rows = server.psql(database, &format!("SELECT to_json(t) FROM {table} t"));
    rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

struct InTable {
    server: Arc<PostgresServer>,
    database: &'static str,
    feed: Feed,
}

impl Subject for InTable {
    fn open(&mut self, opening: Opening) -> Result<Box<dyn Sink>> {
        self.feed.open(opening)
    }

    fn read(&mut self) -> Vec<Row> {
        let rows = self.server.try_psql(self.database, "SELECT to_json(t) FROM items t ORDER BY n");
        // There is no table before the first commit.
        rows.unwrap_or_default().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn refused(&self) -> Option<Record> {
        Some(record(&json!({"n": 1, "text": "a \u{0} character"})))
    }
}

#[test]
fn a_table_keeps_the_laws_of_sinks_with_a_key_and_without() {
    let server = PostgresServer::shared();
    let feed = Feed::to(server.database("laws"));
    check(&mut InTable { server: server.clone(), database: "laws", feed: feed.clone() }, 4);
    let keyed = feed.fields(["n", "text"]).key(["n"]);
    check(&mut InTable { server, database: "laws", feed: keyed }, 4);
}

struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

const TEXT: &str = "a \"quote\", a comma\r\nand\ta <tag> & ]]> \u{1b} é 洪 🦀 \u{fffe} ' \\ \\N \\. \u{85}\u{2028}end";

#[derive(Clone, Serialize)]
struct Hard {
    n: u32,
    odd: u64,
    most: u64,
    least: i128,
    float: f32,
    nan: f64,
    yes: bool,
    date: &'static str,
    null: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<u8>,
    zeros: &'static str,
    text: &'static str,
    long: String,
    list: Vec<Option<&'static str>>,
    nested: Nested,
}

#[test]
fn values_keep_their_types_as_psql_reads_them() {
    let server = PostgresServer::shared();
    let url = server.database("kinds");
    let hard = Hard {
        n: 0,
        odd: (1 << 53) + 1,
        most: u64::MAX,
        least: i128::MIN,
        float: 0.1,
        nan: f64::NAN,
        yes: true,
        date: "2026-11-29T12:00:00Z",
        null: None,
        missing: None,
        zeros: "007",
        text: TEXT,
        long: long(),
        list: vec![Some("one"), None, Some("two\nlines")],
        nested: Nested::LARGE,
    };
    for (table, key) in [("copied", None), ("kept", Some("n"))] {
        let feed = Feed::to(&*url).table(table).key(key);
        let mut sink = feed.open(Opening::Fresh).unwrap();
        add(&mut sink, &hard).unwrap();
        let items = items(
            &server,
            "kinds",
            &format!("(SELECT *, odd::text AS o, most::text AS m, least::text AS l FROM {table})"),
        );
        let item = &items[0];
        assert_eq!((&item["o"], &item["m"]), (&hard.odd.to_string().into(), &u64::MAX.to_string().into()));
        assert_eq!(item["l"], i128::MIN.to_string());
        assert_eq!((&item["float"], &item["nan"], &item["yes"]), (&0.1.into(), &"NaN".into(), &true.into()));
        assert_eq!((&item["date"], &item["null"], &item["zeros"]), (&hard.date.into(), &Value::Null, &"007".into()));
        assert_eq!((&item["text"], &item["long"]), (&TEXT.into(), &hard.long.clone().into()));
        assert_eq!(item["list"], json!(["one", null, "two\nlines"]));
        assert_eq!((&item["nested.amount"], &item["nested.currency"]), (&1e21.into(), &"€".into()));
        assert!(item.get("missing").is_none(), "a field that no item has is no column");
        let types = format!(
            "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute \
             WHERE attrelid = '{table}'::regclass AND attnum > 0"
        );
        assert_eq!(
            server.psql("kinds", &types),
            "n bigint, odd bigint, most numeric, least numeric, float double precision, nan double precision, yes boolean, \
             date text, null text, zeros text, text text, long text, list jsonb, nested.amount double precision, \
             nested.currency text"
        );
        // A column that had no value takes the type of its first; other types than a column's are refused, and nothing
        // is made another value.
        let mut next = serde_json::to_value(Hard { nan: 1.5, least: -5, ..hard.clone() }).unwrap();
        next["null"] = json!(5);
        next["long"] = json!("");
        let item = next.clone();
        add(&mut sink, &item).unwrap();
        assert_eq!(server.psql("kinds", &format!("SELECT pg_typeof(\"null\") FROM {table} LIMIT 1")), "bigint");
        for (field, value, why) in [
            ("n", json!(3.5), "3.5"),
            ("nan", json!((1_u64 << 53) + 1), "9007199254740993"),
            ("odd", json!("5"), "`odd` is bigint"),
            ("yes", json!(5), "boolean"),
            ("text", json!("a \u{0}"), "NUL"),
            ("list", json!(["\u{0}"]), "NUL"),
        ] {
            let mut item = next.clone();
            item[field] = value;
            let refused = add(&mut sink, &item).unwrap_err();
            assert!(matches!(&refused, SinkError::Refused(said) if said.contains(why)), "{field}: {refused:?}");
        }
        let mut whole = next.clone();
        whole["n"] = json!(1.0);
        whole["nan"] = json!(7);
        add(&mut sink, &whole).unwrap();
        let count = if key.is_some() { "2" } else { "3" };
        assert_eq!(server.psql("kinds", &format!("SELECT count(*) FROM {table}")), count);
    }
    let mut bytes = Feed::to(&*url).table("b").open(Opening::Fresh).unwrap();
    add(&mut bytes, &[("bytes", Bytes(vec![0, 255, b'\\']))].into_iter().collect::<std::collections::HashMap<_, _>>())
        .unwrap();
    assert_eq!(server.psql("kinds", "SELECT bytes FROM b"), "\\x00ff5c");
}

#[test]
fn a_table_that_is_there_casts_values_and_what_it_refuses_is_one_item() {
    let server = PostgresServer::shared();
    let url = server.database("own");
    server.psql(
        "own",
        "CREATE SCHEMA shop; CREATE TYPE shop.mood AS ENUM ('good', 'bad');
         CREATE TABLE shop.items (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz, price numeric(10, 2), code varchar(3),
             tags text[], mood shop.mood, flag char(1), made timestamptz DEFAULT now(), extra json, ean text UNIQUE)",
    );
    let refused = wrong(&Feed::to(&*url).table("shop.items"), Opening::Fresh);
    assert!(refused.contains("no feed has made it"), "{refused}");
    for key in [None, Some("ean")] {
        server.psql("own", "TRUNCATE shop.items RESTART IDENTITY");
        let feed = Feed::to(&*url).table("shop.items").key(key).append();
        let mut sink = feed.open(Opening::Fresh).unwrap();
        let good = json!({"at": "2026-11-29T12:00:00+01:00", "price": "12.50", "code": "abc", "tags": ["a \"b\"", null, "\\,{}"],
            "mood": "good", "flag": "x", "extra": {"a": [1]}, "ean": "4006"});
        let with = |field: &str, value: &str| {
            let mut item = good.clone();
            item["ean"] = json!(format!("{field} {value}"));
            item[field] = json!(value);
            record(&item)
        };
        // Together, as a crawl's batch; then each alone, since one is refused.
        let bad = [("at", "yesterday-ish"), ("price", "cheap"), ("code", "abcd"), ("mood", "so-so"), ("flag", "xy")];
        for (field, value) in bad {
            sink.write(&record(&good)).unwrap();
            sink.write(&with(field, value)).unwrap();
            assert!(matches!(sink.commit(), Err(SinkError::Refused(_))));
            sink.write(&with(field, value)).unwrap();
            let refused = sink.commit().unwrap_err();
            let said = matches!(&refused, SinkError::Refused(why) if why.contains(value) || why.contains("too long"));
            assert!(said, "{refused:?}");
        }
        add(&mut sink, &good).unwrap();
        sink.close().unwrap();
        let rows = items(
            &server,
            "own",
            "(SELECT id > 0 AS id, at = '2026-11-29T11:00:00Z' AS at, price::text, code, tags, mood, \
            flag, made IS NOT NULL AS made, extra, ean FROM shop.items)",
        );
        let expected = json!({"id": true, "at": true, "price": "12.50", "code": "abc", "tags": ["a \"b\"", null, "\\,{}"],
            "mood": "good", "flag": "x", "made": true, "extra": {"a": [1]}, "ean": "4006"});
        assert_eq!(rows, [expected], "with the key {key:?}");
    }
    let refused = wrong(&Feed::to(&*url).table("shop.items").key(["code"]).append(), Opening::Fresh);
    assert!(refused.contains("CREATE UNIQUE INDEX"), "{refused}");
    let refused = wrong(&Feed::to(&*url).table("shop.items").fields(["ean", "stock"]).append(), Opening::Fresh);
    assert!(refused.contains("`stock`"), "{refused}");
    let refused = wrong(&Feed::to(&*url).table("nowhere.items"), Opening::Fresh);
    assert!(refused.contains("no such schema"), "{refused}");
}

/// Regressions: a column that had no value was known by its old type until the process ended, and each item with a
/// value was refused; and a value that another had committed meanwhile was gone when the column got its type.
#[test]
fn a_column_that_another_gives_its_type_takes_values_and_none_of_them_is_lost() {
    let server = PostgresServer::shared();
    let url = server.database("two_feeds");
    let mut sink = Feed::to(&url).key(["id"]).open(Opening::Fresh).unwrap();
    add(&mut *sink, &json!({"id": 1, "price": null, "stock": null})).unwrap();
    let typed = "ALTER TABLE items ALTER price TYPE bigint USING NULL; INSERT INTO items VALUES (9, 4, NULL)";
    server.psql("two_feeds", typed);
    add(&mut *sink, &json!({"id": 2, "price": 5, "stock": null})).unwrap();

    let mut other = Feed::to(&url).key(["id"]).append().open(Opening::Fresh).unwrap();
    let mut psql = server.session("two_feeds");
    writeln!(psql.stdin.as_mut().unwrap(), "BEGIN; INSERT INTO items VALUES (3, 6, 'seven'); SELECT 'there' || 'is';")
        .unwrap();
    BufReader::new(psql.stdout.as_mut().unwrap())
        .lines()
        .find(|line| line.as_ref().unwrap() == "thereis")
        .unwrap()
        .unwrap();
    let writing = thread::spawn(move || add(&mut *other, &json!({"id": 4, "price": 8, "stock": 9})));
    let waits = "SELECT count(*) FROM pg_locks JOIN pg_database ON database = pg_database.oid \
        WHERE datname = current_database() AND NOT granted";
    while server.psql("two_feeds", waits).trim() == "0" {
        thread::sleep(Duration::from_millis(10));
    }
    writeln!(psql.stdin.as_mut().unwrap(), "COMMIT;").unwrap();
    drop(psql.stdin.take());
    assert!(psql.wait().unwrap().success());
    writing.join().unwrap().unwrap();
    let stock = server.psql("two_feeds", "SELECT string_agg(stock, ' ' ORDER BY id) FROM items WHERE price > 5");
    assert_eq!(stock.trim(), "seven 9");
}

#[test]
fn a_key_replaces_the_feeds_own_columns_of_a_row_and_no_others() {
    let server = PostgresServer::shared();
    let url = server.database("keyed");
    let feed = Feed::to(&*url).table("prices").key(["ean", "shop"]);
    let mut sink = feed.open(Opening::Fresh).unwrap();
    for (shop, price) in [("a", 3.5), ("b", 3.6), ("a", 3.4)] {
        sink.write(&record(&json!({"ean": 1, "shop": shop, "price": price}))).unwrap();
    }
    sink.commit().unwrap();
    let refused = add(&mut sink, &json!({"ean": null, "shop": "a", "price": 1})).unwrap_err();
    assert!(matches!(&refused, SinkError::Refused(why) if why.contains("`ean`")), "{refused:?}");
    sink.close().unwrap();
    server.psql("keyed", "ALTER TABLE prices ADD COLUMN note text; UPDATE prices SET note = 'mine'");
    let mut sink = feed.fields(["ean", "shop", "price"]).open(Opening::Resumed).unwrap();
    add(&mut sink, &json!({"ean": 1, "shop": "b", "price": null})).unwrap();
    sink.close().unwrap();
    let rows = server.psql("keyed", "SELECT shop, price, note FROM prices ORDER BY shop");
    assert_eq!(rows, "a\t3.4\tmine\nb\t\tmine");
}

/// Its table was once dropped before the output that could not be opened was looked at.
#[test]
fn a_crawl_that_cannot_start_leaves_the_table_of_an_earlier_one() {
    let (server, dir) = (PostgresServer::shared(), tempfile::tempdir().unwrap());
    let (feed, lines) = (Feed::to(server.database("kept")), dir.path().join("a.jsonl"));
    let mut sink = feed.open(Opening::Fresh).unwrap();
    add(&mut *sink, &json!({"n": 1})).unwrap();
    sink.close().unwrap();
    fs::write(&lines, "1\n").unwrap();
    let start = |feeds: [Feed; 3]| {
        let site = Recorder::start(|_| Answer::ok(""));
        let crawler = crawl_with(crawls::links, &site, Settings::default()).seed("http://one.test/");
        let refused = feeds.into_iter().fold(crawler, Crawler::pipeline).start().err().unwrap();
        assert_eq!(items(&server, "kept", "items"), [json!({"n": 1})], "{refused}");
        assert_eq!(fs::read_to_string(&lines).unwrap(), "1\n", "{refused}");
        refused.to_string()
    };
    let all = || [feed.clone(), Feed::to(&*lines), Feed::to(dir.path().join("no/such/folder.jsonl"))];
    start(all());
    // What would only be known when it is dropped.
    server.psql("kept", "CREATE VIEW uses AS SELECT * FROM items");
    let [feed, lines, _] = all();
    let why = start([lines, feed, Feed::to(dir.path().join("b.jsonl"))]);
    assert!(why.contains("depend"), "{why}");
}

#[test]
fn a_database_that_is_away_or_refuses_is_told_before_anything_is_fetched_and_without_its_password() {
    let server = PostgresServer::shared();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let site = Recorder::start(|_| Answer::ok(""));
    for (url, why) in [
        (server.url_at(free, "postgres"), "see that PostgreSQL runs there"),
        (server.url("nothing_of_the_kind"), "nothing_of_the_kind"),
        (server.url("postgres").replace("me:", "you:"), "authentication failed"),
        (format!("{}?sslmode=verify-full", server.url("postgres")), "UnknownIssuer"),
        (format!("{}?sslmode=verify-ca", server.url("postgres")), "sslmode=verify-full"),
        (server.url("postgres").replace("127.0.0.54:", "127.0.0.54:x"), "that is no URL of a database"),
    ] {
        let feed = Feed::to(&*url);
        let refused = wrong(&feed, Opening::Fresh);
        assert!(refused.contains(why), "{refused}");
        assert!(!format!("{feed:?}").contains("geheim"), "{feed:?}");
        let crawler =
            crawl_with(|_: &Response| Ok(Parsed::of([1])), &site, Settings::default()).seed("http://a.test/0");
        let refused = crawler.pipeline(feed).start().err().unwrap();
        assert!(!format!("{refused} {refused:?}").contains("geheim"), "{refused}");
    }
    assert_eq!(site.count(), 0);
    for other in ["mysql://me:geheim@db.test/shop", "mysql://me:geheim@db.test"] {
        assert!(!Feed::to(other).check().unwrap_err().to_string().contains("geheim"));
    }
    for feed in [
        Feed::to("postgres://h/d").roll(actix_crawler::feed::Roll::items(3)),
        Feed::to("postgres://h/d").format(actix_crawler::feed::Format::Csv),
    ] {
        assert!(feed.check().unwrap_err().to_string().contains("leave"), "{feed:?}");
    }
}

#[test]
fn a_connection_is_encrypted_if_the_server_can_and_its_certificate_is_verified_as_asked() {
    let server = PostgresServer::shared();
    let url = server.database("tls");
    let verified = format!("?sslmode=verify-full&sslrootcert={}", server.authority().display());
    for (options, is_encrypted) in [("", "t"), ("?sslmode=require", "t"), (&verified, "t"), ("?sslmode=disable", "f")] {
        let mut sink = Feed::to(format!("{url}{options}")).open(Opening::Fresh).unwrap();
        add(&mut sink, &json!({"n": 1})).unwrap();
        let sql = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                   WHERE datname = 'tls' AND application_name = 'actix-crawler'";
        assert_eq!(server.psql("tls", sql), is_encrypted, "{options}");
        sink.close().unwrap();
    }
    // The certificate is for the address, not for the name.
    let elsewhere = format!("{}{verified}&hostaddr=127.0.0.54", url.replace("127.0.0.54", "localhost"));
    let refused = wrong(&Feed::to(elsewhere), Opening::Fresh);
    assert!(refused.contains("certificate"), "{refused}");
}

/// Passes bytes on to the server, and loses every third connection in the middle of a commit: before the server has
/// heard of it, or after.
fn loses_commits(server: &PostgresServer, lost: Arc<AtomicUsize>) -> u16 {
    let (listener, address) = (TcpListener::bind("127.0.0.1:0").unwrap(), server.address());
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let commits = Arc::new(AtomicUsize::new(0));
        for client in listener.incoming().flatten() {
            let Ok(upstream) = TcpStream::connect(address) else { continue };
            let (mut from, mut to) = (upstream.try_clone().unwrap(), client.try_clone().unwrap());
            // Whether answers still pass.
            let passes = Arc::new(AtomicUsize::new(1));
            let answers = passes.clone();
            thread::spawn(move || {
                let mut buffer = [0; 8192];
                while let Ok(read @ 1..) = from.read(&mut buffer) {
                    if answers.load(Ordering::SeqCst) == 0 || to.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
                let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
            });
            let (commits, lost) = (commits.clone(), lost.clone());
            thread::spawn(move || {
                let (mut client, mut upstream, mut buffer) = (client, upstream, [0; 8192]);
                while let Ok(read @ 1..) = client.read(&mut buffer) {
                    let asked = &buffer[..read];
                    if asked.windows(7).any(|window| window == b"COMMIT\0") {
                        match commits.fetch_add(1, Ordering::SeqCst) % 5 {
                            1 => {
                                lost.fetch_add(1, Ordering::SeqCst);
                                break;
                            }
                            3 => {
                                lost.fetch_add(1, Ordering::SeqCst);
                                passes.store(0, Ordering::SeqCst);
                            }
                            _ => {}
                        }
                    }
                    if upstream.write_all(asked).is_err() {
                        break;
                    }
                }
                let _ = (client.shutdown(Shutdown::Both), upstream.shutdown(Shutdown::Both));
            });
        }
    });
    port
}

#[test]
fn a_connection_that_is_lost_in_a_commit_loses_nothing_and_doubles_nothing() {
    let server = PostgresServer::shared();
    server.database("lost");
    let lost = Arc::new(AtomicUsize::new(0));
    let port = loses_commits(&server, lost.clone());
    for (table, key) in [("copied", None), ("kept", Some("n"))] {
        let feed = Feed::to(server.url_at(port, "lost")).table(table).key(key);
        let mut sink = feed.open(Opening::Fresh).unwrap();
        let before = lost.load(Ordering::SeqCst);
        for n in 0..40 {
            sink.write(&record(&json!({"n": 2 * n}))).unwrap();
            sink.write(&record(&json!({"n": 2 * n + 1}))).unwrap();
            sink.commit().unwrap();
        }
        sink.close().unwrap();
        assert!(lost.load(Ordering::SeqCst) - before >= 10, "connections are lost on their way");
        let counts = server.psql("lost", &format!("SELECT count(*), count(DISTINCT n) FROM {table}"));
        assert_eq!(counts, "80\t80", "of {table}");
    }
    assert_eq!(
        server.psql("lost", "SELECT count(*) FROM actix_crawler_commits"),
        "0",
        "a feed that ends leaves no row"
    );
}

/// The item of the crawls that go on.
#[derive(Serialize)]
struct Page {
    path: String,
    text: String,
}

const PAGES: usize = 100;

fn site() -> Recorder {
    Recorder::start(|asked| tree::answer(asked, PAGES, 5..25))
}

fn page(page: &Response) -> Result<Parsed<Page>> {
    let path = page.url().path().to_owned();
    Ok(Parsed::of([Page { text: "line\n\"quoted\"\t\\".repeat(40), path }]).follow(page.links()))
}

#[test]
fn a_server_that_crashes_and_comes_back_costs_no_item() {
    let (server, site) = (PostgresServer::start(), site());
    let url = server.database("shop");
    let crawler = crawl_with(page, &site, Settings::default()).seed("http://a.test/0").per_domain(4);
    let crawler =
        crawler.pipeline(Feed::to(&*url).table("copied")).pipeline(Feed::to(&*url).table("kept").key(["path"]));
    let handle = crawler.start().unwrap();
    for crash in 1..=3 {
        while site.count() < crash * PAGES / 5 {
            thread::sleep(Duration::from_millis(1));
        }
        server.crash();
        thread::sleep(Duration::from_millis(300));
        server.begin();
    }
    let report = block_on(end_of(&handle));
    assert_eq!((report.ended, report.pages() as usize, report.failed()), (Ended::Finished, PAGES, 0), "{report}");
    for table in ["copied", "kept"] {
        let counts = server.psql("shop", &format!("SELECT count(*), count(DISTINCT path) FROM {table}"));
        assert_eq!(counts, format!("{PAGES}\t{PAGES}"), "in {table}");
    }
}

/// The process that is killed.
#[test]
fn child() {
    let Ok(dir) = std::env::var("POSTGRES_DIR").map(PathBuf::from) else { return };
    let url = std::env::var("POSTGRES_URL").unwrap();
    let report = Crawler::new(page, "feeds/1.0 (+https://example.org/)")
        .seed(std::env::var("POSTGRES_SEED").unwrap())
        .allow_private()
        .ignore_robots()
        .rate(Rate::UNLIMITED)
        .per_domain(6)
        .threads(1)
        .state(dir.join("state"))
        .pipeline(Feed::to(&*url).table("copied"))
        .pipeline(Feed::to(&*url).table("kept").key(["path"]))
        .run_blocking()
        .unwrap();
    fs::write(dir.join("report.json"), serde_json::to_vec(&*report).unwrap()).unwrap();
}

fn spawn(site: &Recorder, dir: &Path, url: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).env("POSTGRES_DIR", dir).env("POSTGRES_SEED", site.url("/0"));
    command.env("POSTGRES_URL", url).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn every_item_is_there_after_kills_and_none_more_often_than_its_page_was_fetched() {
    // By hand with more: FEEDS_KILLS=30.
    let most = std::env::var("FEEDS_KILLS").ok().map_or(5, |kills| kills.parse().unwrap());
    let (server, site, dir) = (PostgresServer::shared(), site(), tempfile::tempdir().unwrap());
    let url = server.database("killed");
    // The more, the sooner, or the crawl is over before.
    let some = 1..(2 * PAGES / (most + 1)).max(2);
    let kills = ended_well(run_and_kill_on_its_way(most, some, || site.count(), || spawn(&site, dir.path(), &url)));
    let times = |path: &str| site.asked().iter().filter(|asked| asked.path == path).count();
    for (table, is_once) in [("copied", false), ("kept", true)] {
        let counts =
            server.psql("killed", &format!("SELECT path, count(*), min(length(text)) FROM {table} GROUP BY path"));
        let counts: Vec<Vec<_>> = counts.lines().map(|line| line.split('\t').collect()).collect();
        assert_eq!(counts.len(), PAGES, "every page is in {table} after {kills} kills");
        for count in &counts {
            let there: usize = count[1].parse().unwrap();
            assert!(there <= if is_once { 1 } else { times(count[0]) }, "{count:?} in {table}");
            assert_eq!(count[2], "600");
        }
    }
    println!("{kills} kills, {} pages fetched again", site.count() - PAGES);
}

#[test]
fn settings_of_a_file_and_reports_show_no_password() {
    let (server, site) = (PostgresServer::shared(), site());
    let url = server.database("settings");
    let feed = Feed::to(&*url);
    let settings = Settings { feeds: vec![feed], ..Settings::default() };
    assert!(!format!("{settings:?}").contains("geheim"));
    let crawler = crawl_with(page, &site, settings).seed("http://a.test/0").max_pages(3).feeds();
    let report = run(crawler);
    assert!(!format!("{report} {report:?}").contains("geheim"), "{report}");
    assert_eq!(server.psql("settings", "SELECT count(*) FROM items"), "3");
}
