//! Feeds as other programs read them: what stands in the files, whole at every moment, over kills, on a full disk, and
//! in as many files as were asked for.

#![cfg(all(feature = "csv", feature = "disk", feature = "parquet"))]

mod crawls;
mod feed_reader;
mod hard;
mod kills;
mod parquet_file;
mod recorder;
mod tree;

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use actix_crawler::{
    Settings,
    feed::{Feed, Format, Roll},
    pipeline::Steps,
    prelude::*,
    report::Ended,
};
use crawls::{block_on, crawl_with, end_of, run};
use feed_reader::read;
use hard::{Nested, TEXT, long};
use kills::{ended_well, kill_when, run_and_kill_on_its_way};
use recorder::{Answer, Recorder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

fn names(dir: &Path, names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(|name| dir.join(name)).collect()
}

#[derive(Clone, Serialize)]
struct Hard {
    odd: u64,
    most: u64,
    least: i128,
    float: f32,
    nan: f64,
    date: &'static str,
    null: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<u8>,
    text: String,
    long: String,
    list: Vec<&'static str>,
    nested: Nested,
}

#[test]
fn values_survive_in_every_format_as_other_programs_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let site = Recorder::start(|_| Answer::ok(""));
    let hard = Hard {
        odd: (1 << 53) + 1,
        most: u64::MAX,
        least: i128::MIN,
        float: 0.1,
        nan: f64::NAN,
        date: "2026-11-29T12:00:00Z",
        null: None,
        missing: None,
        text: TEXT.to_owned(),
        long: long(),
        list: vec!["one", "two\nlines"],
        nested: Nested::LARGE,
    };
    let spider = {
        let hard = hard.clone();
        move |_: &Response| Ok(Parsed::of([hard.clone(), hard.clone()]))
    };
    let paths = names(dir.path(), &["a.jsonl", "a.json", "a.csv", "a.xml", "a.jsonl.gz", "a.csv.gz"]);
    let crawler = crawl_with(spider, &site, Settings::default()).seed("http://a.test/");
    let report = run(paths.iter().fold(crawler, |crawler, path| crawler.pipeline(Feed::to(&**path))));
    assert_eq!((report.failed(), report.stats.items), (0, 2), "{report}");
    let read = read(&paths);
    let exact = json!({
        "odd": hard.odd, "most": hard.most, "float": 0.1, "nan": null, "date": hard.date, "null": null,
        "text": TEXT, "long": hard.long, "list": ["one", "two\nlines"], "nested": {"amount": 1e21, "currency": "€"},
    });
    let in_text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for (path, items) in paths.iter().zip(&read) {
        assert_eq!(items.len(), 2, "{}", path.display());
        let (name, item) = (path.to_str().unwrap(), items[1].as_object().unwrap());
        if name.contains(".json") {
            for (key, expected) in exact.as_object().unwrap() {
                assert_eq!(&item[key], expected, "{key} in {name}");
            }
            assert_eq!(item["least"].to_string().parse::<f64>().unwrap(), i128::MIN as f64, "{name}");
            assert!(!item.contains_key("missing"), "{name}");
            continue;
        }
        for key in ["odd", "most", "float", "date", "text", "long"] {
            assert_eq!(in_text(&item[key]), in_text(&exact[key]), "{key} in {name}");
        }
        assert_eq!(in_text(&item["least"]), i128::MIN.to_string(), "{name}");
        if name.contains(".csv") {
            assert_eq!((&item["null"], &item["nan"]), (&"".into(), &"".into()));
            assert_eq!(item["list"], "one | two\nlines");
            assert_eq!((&item["nested.amount"], &item["nested.currency"]), (&"1e21".into(), &"€".into()));
        } else {
            assert_eq!((&item["null"], &item["nan"], &item["list"]), (&Value::Null, &Value::Null, &exact["list"]));
            assert_eq!(item["nested"], json!({"amount": "1e21", "currency": "€"}));
        }
    }
}

#[test]
fn types_survive_in_parquet() {
    #[derive(Clone, Serialize)]
    struct Item {
        odd: u64,
        least: i64,
        float: f32,
        sum: f64,
        nan: f64,
        date: &'static str,
        null: Option<u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        missing: Option<u8>,
        text: &'static str,
        long: String,
        list: Vec<Option<&'static str>>,
        none: Vec<u8>,
        offers: Vec<Nested>,
        nested: Nested,
    }
    let nested = Nested::LARGE;
    let item = Item {
        odd: (1 << 53) + 1,
        least: i64::MIN,
        float: 0.1,
        sum: 0.1 + 0.2,
        nan: f64::NAN,
        date: "2026-11-29T12:00:00Z",
        null: None,
        missing: None,
        text: TEXT,
        long: long(),
        list: vec![Some("one"), None, Some("two\nlines")],
        none: vec![],
        offers: vec![nested.clone()],
        nested,
    };
    let some = Item { null: Some(1), missing: Some(2), ..item.clone() };
    let spider = {
        let items = [item.clone(), some];
        move |_: &Response| Ok(Parsed::of(items.clone()))
    };
    let (site, dir) = (Recorder::start(|_| Answer::ok("")), tempfile::tempdir().unwrap());
    let path = dir.path().join("items.parquet");
    let crawler = crawl_with(spider, &site, Settings::default()).seed("http://a.test/");
    let report = run(crawler.pipeline(Feed::to(&*path)));
    assert_eq!((report.failed(), report.stats.items), (0, 2), "{report}");
    let mut expected = json!({
        "odd": item.odd, "least": i64::MIN, "float": 0.1, "sum": 0.1 + 0.2, "nan": "NaN", "date": item.date, "null": null,
        "missing": null, "text": TEXT, "long": item.long, "list": ["one", null, "two\nlines"], "none": [],
        "offers": r#"[{"amount":1e+21,"currency":"€"}]"#, "nested.amount": 1e21, "nested.currency": "€",
    });
    for row in parquet_file::rows(&path) {
        for (name, value) in expected.as_object().unwrap() {
            assert!(row[name] == *value, "{name}");
        }
        assert_eq!(row.as_object().unwrap().len(), 15);
        expected["null"] = 1.into();
        expected["missing"] = 2.into();
    }
}

/// The item of the crawls that are killed.
#[derive(Serialize, Deserialize)]
struct Page {
    url: String,
    text: String,
}

const PAGES: usize = 120;

fn site() -> Recorder {
    Recorder::start(|asked| tree::answer(asked, PAGES, 0..20))
}

fn page(page: &Response) -> Result<Parsed<Page>> {
    let text = "line\n\"quoted\", <b>\n".repeat(page.url().path().len() * 40);
    Ok(Parsed::of([Page { url: page.url().path().to_owned(), text }]).follow(page.links()))
}

const FILES: [&str; 7] =
    ["items.jsonl", "items.json", "items.csv", "items.xml", "items.jsonl.gz", "items.json.gz", "items.csv.gz"];

/// All feeds, with the database if there is one.
fn feeds() -> Vec<&'static str> {
    let databases = if cfg!(feature = "sqlite") { &["items.sqlite"][..] } else { &[] };
    [&FILES, databases].concat()
}

/// Those that are read at the end: they are whole only then.
const AT_END: [&str; 2] = ["items.parquet", "unique.jsonl"];

/// The process that is killed. Its crawl writes all feeds at once.
#[test]
fn child() {
    let Ok(dir) = std::env::var("FEEDS_DIR").map(PathBuf::from) else { return };
    let crawler = Crawler::new(page, "feeds/1.0 (+https://example.org/)")
        .seed(std::env::var("FEEDS_SEED").unwrap())
        .allow_private()
        .ignore_robots()
        .rate(Rate::UNLIMITED)
        .per_domain(6)
        .threads(1)
        .state(dir.join("state"));
    let crawler = feeds().iter().fold(crawler, |crawler, name| crawler.pipeline(Feed::to(dir.join(name))));
    let crawler = crawler
        .pipeline(Feed::to(dir.join("rolled/{spider}-{batch}.jsonl")).roll(Roll::items(7)))
        .pipeline(Feed::to(dir.join("columns/{spider}-{batch}.parquet")).roll(Roll::items(7)))
        .pipeline(Feed::to(dir.join("items.parquet")))
        .pipeline(Steps::of::<Page>().unique_by(|page| page.url.clone()).to(Feed::to(dir.join("unique.jsonl"))));
    let report = crawler.run_blocking().unwrap();
    fs::write(dir.join("report.json"), serde_json::to_vec(&*report).unwrap()).unwrap();
}

fn spawn(site: &Recorder, dir: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).env("FEEDS_DIR", dir).env("FEEDS_SEED", site.url("/0"));
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// How often each page is in a file.
fn times(items: &[Value]) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for item in items {
        *times.entry(item["url"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    times
}

#[test]
fn every_feed_is_whole_after_kills_has_every_page_and_none_more_often_than_it_was_fetched() {
    // By hand with more: FEEDS_KILLS=30.
    let most = std::env::var("FEEDS_KILLS").ok().map_or(5, |kills| kills.parse().unwrap());
    let (site, dir) = (site(), tempfile::tempdir().unwrap());
    // The more, the sooner, or the crawl is over before.
    let some = 1..(2 * PAGES / (most + 1)).max(2);
    let kills = ended_well(run_and_kill_on_its_way(most, some, || site.count(), || spawn(&site, dir.path())));
    let fetched = {
        let mut fetched = BTreeMap::new();
        for asked in site.asked() {
            *fetched.entry(asked.path.clone()).or_insert(0_usize) += 1;
        }
        fetched
    };
    let mut paths = names(dir.path(), &feeds());
    paths.extend(names(dir.path(), &AT_END));
    let mut read_all = read(&paths);
    for (folder, first) in [("rolled", "feeds-00001.jsonl"), ("columns", "feeds-00001.parquet")] {
        let folder = dir.path().join(folder);
        let mut rolled: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        rolled.sort();
        assert!(rolled[0].ends_with(first), "{rolled:?}");
        let batches = read(&rolled);
        assert!(batches.iter().all(|items| items.len() <= 7), "a file has at most as many as were asked for");
        read_all.push(batches.concat());
        paths.push(folder);
    }
    let mut again = Vec::new();
    for (path, items) in paths.iter().zip(&read_all) {
        let times = times(items);
        assert_eq!(times.len(), PAGES, "every page is in {} after {kills} kills", path.display());
        for (page, times) in &times {
            assert!(*times <= fetched[page], "{page} is {times} times in {}", path.display());
        }
        for item in items {
            let lines = item["url"].as_str().unwrap().len() * 40;
            assert_eq!(item["text"], "line\n\"quoted\", <b>\n".repeat(lines), "in {}", path.display());
        }
        again.push(items.len() - PAGES);
    }
    println!(
        "{kills} kills, {} pages fetched again, items written again in each feed: {again:?}",
        site.count() - PAGES
    );
}

#[test]
fn whoever_reads_while_it_is_written_sees_whole_records() {
    let (site, dir) = (site(), tempfile::tempdir().unwrap());
    let paths = names(dir.path(), &FILES);
    let crawler = crawl_with(page, &site, Settings::default()).seed("http://a.test/0").per_domain(6);
    let crawler = paths.iter().fold(crawler, |crawler, path| crawler.pipeline(Feed::to(&**path)));
    let is_over = AtomicBool::new(false);
    let looks = thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut looks = [0; FILES.len()];
            while !is_over.load(Ordering::SeqCst) {
                for (path, looks) in paths.iter().zip(&mut looks) {
                    if path.metadata().is_ok_and(|metadata| metadata.len() > 0) {
                        // An array or an XML file is written over at its end; who meets that moment looks again.
                        let whole = (0..5).any(|_| is_whole(path));
                        assert!(whole, "{}", path.display());
                        *looks += 1;
                    }
                }
            }
            looks
        });
        let report = run(crawler);
        is_over.store(true, Ordering::SeqCst);
        assert_eq!(report.pages() as usize, PAGES, "{report}");
        looking.join().unwrap()
    });
    assert!(looks.iter().all(|looks| *looks > 0), "{looks:?}");
}

/// Reads a file in this process, since a Python for each look would see few moments.
fn is_whole(path: &Path) -> bool {
    let bytes = fs::read(path).unwrap();
    let name = path.to_str().unwrap();
    let text = match name.strip_suffix(".gz") {
        Some(_) => {
            let mut child = Command::new("gzip")
                .arg("-dc")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut input = child.stdin.take().unwrap();
            let writing = thread::spawn(move || input.write_all(&bytes));
            let output = child.wait_with_output().unwrap();
            let _ = writing.join();
            if !output.status.success() {
                return false;
            }
            String::from_utf8(output.stdout).unwrap()
        }
        None => String::from_utf8(bytes).unwrap(),
    };
    match name.trim_end_matches(".gz").rsplit_once('.').unwrap().1 {
        "jsonl" => {
            text.split_inclusive('\n').all(|line| !line.ends_with('\n') || serde_json::from_str::<Page>(line).is_ok())
        }
        "json" => serde_json::from_str::<Vec<Page>>(&text).is_ok(),
        "csv" => {
            csv::Reader::from_reader(text.as_bytes()).deserialize::<Page>().filter(|row| row.is_err()).count() <= 1
        }
        _ => text.starts_with("<?xml") && text.ends_with("</items>\n"),
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_ends_the_crawl_and_every_file_stays_whole() {
    let (site, dir) = (site(), tempfile::tempdir().unwrap());
    // The state is there before the disk is full.
    kill_when(spawn(&site, dir.path()), || site.count() >= 5);
    // No file may grow beyond 60 KiB.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 120; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    limited.args(["--exact", "child", "--nocapture"]).env("FEEDS_DIR", dir.path()).env("FEEDS_SEED", site.url("/0"));
    let output = limited.stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&fs::read(dir.path().join("report.json")).unwrap()).unwrap();
    assert_eq!((&report["ended"], &report["ledger_adds_up"]), (&"failed".into(), &true.into()), "{report}");
    assert!(report["failure"].as_str().unwrap().contains("cannot be written"), "{report}");
    read(&names(dir.path(), &feeds()));
    let rest = spawn(&site, dir.path()).wait_with_output().unwrap();
    assert!(rest.status.success(), "{}", String::from_utf8_lossy(&rest.stderr));
    for items in read(&names(dir.path(), &[&feeds()[..], &AT_END].concat())) {
        assert_eq!(times(&items).len(), PAGES);
    }
}

#[test]
fn a_file_that_must_not_be_written_is_refused_before_anything_is_fetched() {
    let (site, dir) = (site(), tempfile::tempdir().unwrap());
    for (to, why) in [
        ("missing/items.jsonl", "No such file"),
        ("items.xlsx", "`.xlsx`"),
        ("{tiem}.csv", "{time}"),
        ("s4://bucket/items.csv", "with file, s3, gs, az or postgres"),
        ("items.parquet.gz", "within itself"),
        #[cfg(not(feature = "sqlite"))]
        ("items.sqlite", "the feature `sqlite`"),
        #[cfg(not(feature = "postgres"))]
        ("postgres://me:sekret@db.test/shop", "the feature `postgres`"),
        #[cfg(feature = "sqlite")]
        ("missing/items.sqlite", "missing"),
    ] {
        let to = if to.contains("://") { PathBuf::from(to) } else { dir.path().join(to) };
        let crawler = crawl_with(page, &site, Settings::default()).seed("http://a.test/0");
        let refused = crawler.pipeline(Feed::to(to)).start().err().unwrap().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    let rolled = Feed::to(dir.path().join("items.jsonl")).roll(Roll::items(3));
    let crawler = crawl_with(page, &site, Settings::default()).seed("http://a.test/0");
    let refused = crawler.pipeline(rolled).start().err().unwrap().to_string();
    assert!(refused.contains("{batch}"), "{refused}");
    assert_eq!(site.count(), 0);
}

#[test]
fn feeds_of_the_settings_are_written_or_the_crawl_does_not_start() {
    let (site, dir) = (site(), tempfile::tempdir().unwrap());
    let to = dir.path().join("items.jsonl");
    let settings = Settings { feeds: vec![Feed::to(&*to)], ..Settings::default() };
    let crawler = || crawl_with(page, &site, settings.clone()).seed("http://a.test/0").max_pages(3);
    let refused = crawler().start().err().unwrap().to_string();
    assert!(refused.contains(".feeds()"), "{refused}");
    run(crawler().feeds());
    assert_eq!(fs::read_to_string(to).unwrap().lines().count(), 3);
}

#[test]
fn files_roll_by_number_and_size_and_each_domain_has_its_own() {
    let (site, dir) = (Recorder::start(|_| Answer::ok("")), tempfile::tempdir().unwrap());
    let seeds = || (0..200).map(|n| format!("http://www.d{}.test/{n}", n % 100));
    let to = |name: &str| dir.path().join(name);
    let crawler = crawl_with(page, &site, Settings::default()).concurrency(32).seeds(seeds());
    let report = run(crawler
        .pipeline(Feed::to(to("number/{batch}.json")).roll(Roll::items(30)))
        .pipeline(Feed::to(to("size/{batch}-{time}.jsonl")).roll(Roll::bytes(10_000)))
        .pipeline(Feed::to(to("domain/{domain}/{spider}.csv")))
        .pipeline(Feed::to(to("both/{domain}-{batch}.xml")).roll(Roll::items(1))));
    assert_eq!((report.pages(), report.failed()), (200, 0), "{report}");
    let files = |folder: &str| {
        let mut files = Vec::new();
        let mut folders = vec![to(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        files
    };
    let count = |folder: &str| read(&files(folder)).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(count("number"), [30, 30, 30, 30, 30, 30, 20]);
    assert!(files("number")[6].ends_with("00007.json"));
    let sizes: Vec<_> = files("size").iter().map(|path| path.metadata().unwrap().len()).collect();
    assert!(sizes.len() > 5 && sizes.iter().rev().skip(1).all(|size| (10_000..30_000).contains(size)), "{sizes:?}");
    // More than are open at once, so most were closed in between.
    assert_eq!(count("domain"), [2; 100]);
    assert!(files("domain").iter().any(|path| path.ends_with("d7.test/behaviourtest.csv")), "{:?}", files("domain"));
    assert_eq!(count("both"), [1; 200]);
    assert!(files("both").iter().any(|path| path.ends_with("d7.test-00002.xml")));

    // A new crawl would mix its items with theirs.
    let crawler = crawl_with(page, &site, Settings::default()).seed("http://a.test/0");
    let refused = crawler.pipeline(Feed::to(to("number/{batch}.json")).roll(Roll::items(30))).start();
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("00007.json") || refused.contains("00001.json"), "{refused}");
}

/// A misspelt field once left a feed empty without a word.
#[test]
fn what_a_feed_leaves_to_others_is_counted() {
    let (site, dir) = (Recorder::start(|_| Answer::ok("")), tempfile::tempdir().unwrap());
    let spider = |page: &Response| Ok(Parsed::of([json!({"url": page.url().path(), "kind": "page"})]));
    let [all, some, none] = ["all.jsonl", "some.jsonl", "none.jsonl"].map(|name| dir.path().join(name));
    let crawler = crawl_with(spider, &site, Settings::default()).seeds((0..9).map(|n| format!("http://a.test/{n}")));
    let is_three = |item: &Value| item["url"] == "/3";
    let report = run(crawler.pipeline(Feed::to(&*all)).pipeline(Feed::to(&*some).only(is_three)).pipeline(
        Steps::of::<Value>().unique_by(|item| item["url"].to_string()).to(Feed::to(&*none).only(|_: &Value| false)),
    ));
    let lines = [&all, &some, &none].map(|path| fs::read_to_string(path).unwrap().lines().count());
    assert_eq!((lines, report.stats.items), ([9, 1, 0], 9), "{report}");
    assert_eq!(report.stats.get("items/not_for_feed"), 8 + 9, "{report}");
}

#[test]
fn an_item_of_another_shape_is_refused_by_name_and_the_others_are_written() {
    let (site, dir) = (Recorder::start(|_| Answer::ok("")), tempfile::tempdir().unwrap());
    let spider = |page: &Response| {
        let path = page.url().path();
        Ok(Parsed::of([if path == "/3" { json!({"url": path, "more": 1}) } else { json!({"url": path}) }]))
    };
    let crawler = crawl_with(spider, &site, Settings::default()).seeds((0..9).map(|n| format!("http://a.test/{n}")));
    let report = run(crawler.pipeline(Feed::to(dir.path().join("items.csv"))));
    // The first item sets the columns; which one that is depends on the servers.
    assert_eq!(report.pages() + report.failed(), 9, "{report}");
    assert!(report.failed() >= 1, "{report}");
    assert_eq!(read(&names(dir.path(), &["items.csv"]))[0].len() as u64, report.pages());
}

#[cfg(unix)]
#[test]
fn a_disk_that_goes_away_ends_the_crawl_with_its_reason() {
    let site = site();
    let crawler = crawl_with(page, &site, Settings::default()).seed("http://a.test/0");
    let handle = crawler.pipeline(Feed::to("/dev/full").format(Format::Xml)).start();
    // Its beginning cannot be written.
    assert!(handle.is_err());
    let crawler = crawl_with(page, &site, Settings::default()).seed("http://a.test/0");
    let handle = crawler.pipeline(Feed::to("/dev/full")).start().unwrap();
    let report = block_on(end_of(&handle));
    assert_eq!(report.ended, Ended::Failed, "{report}");
    assert!(report.failure.as_deref().is_some_and(|why| why.contains("/dev/full")), "{report}");
}

#[derive(Serialize)]
struct Price {
    ean: &'static str,
    cents: u32,
}

fn price(_: &Response) -> Result<Parsed<Price>> {
    Ok(Parsed::new().item(Price { ean: "4006", cents: 350 }))
}

/// A misspelt name was an empty column, of which nobody heard.
#[test]
fn a_field_that_no_item_has_is_warned_of_by_its_name_also_behind_steps() {
    let (site, dir) = (Recorder::start(|_| Answer::ok("")), tempfile::tempdir().unwrap());
    let [direct, behind, right] = ["direct.csv", "behind.jsonl", "right.csv"].map(|name| dir.path().join(name));
    let report = run(crawl_with(price, &site, Settings::default())
        .pipeline(Feed::to(&*direct).fields(["ean", "centz"]))
        .pipeline(
            Steps::of::<Price>().drop_if("none", |_| false).to(Feed::to(&*behind).fields(["een", "price.amount"])),
        )
        .pipeline(Feed::to(&*right).fields(["ean", "cents"]))
        .seed("http://one.test/")
        .seed("http://two.test/"));
    let told = |path: &Path, what: &str| {
        format!("{}: {what} in none of the 2 items of this run; look for a misspelt name", path.display())
    };
    let expected = [told(&direct, "the field `centz` is"), told(&behind, "the fields `een` and `price.amount` are")];
    assert_eq!(report.warnings, expected, "{report}");
    assert_eq!(fs::read_to_string(&direct).unwrap(), "ean,centz\n4006,\n4006,\n");
    let site = Recorder::start(|_| Answer::status(404));
    let nothing = crawl_with(price, &site, Settings::default()).pipeline(Feed::to(&*direct).fields(["centz"]));
    let report = run(nothing.seed("http://one.test/"));
    assert!(report.warnings.is_empty(), "where no item came, none lacks it: {report}");
}

#[test]
fn a_csv_that_goes_on_with_other_columns_is_refused_before_anything_is_fetched() {
    let (site, dir) = (Recorder::start(|_| Answer::page(["/1", "/2"])), tempfile::tempdir().unwrap());
    let file = dir.path().join("prices.csv");
    let crawler = |fields: &[&str]| {
        crawl_with(price, &site, Settings::default())
            .state(dir.path().join("state"))
            .pipeline(Feed::to(&*file).fields(fields.iter().copied()))
            .max_pages(1)
            .seed("http://one.test/")
    };
    block_on(async { end_of(&crawler(&["ean", "cents"]).start().unwrap()).await });
    let (written, asked) = (fs::read_to_string(&file).unwrap(), site.count());
    let refused = crawler(&["ean", "cents", "currency"]).max_pages(9).start().err().unwrap().to_string();
    assert!(refused.contains("prices.csv") && refused.contains("no column `currency`"), "{refused}");
    assert_eq!((fs::read_to_string(&file).unwrap(), site.count()), (written, asked), "nothing was written or fetched");
    let report = block_on(async { end_of(&crawler(&["cents"]).max_pages(9).start().unwrap()).await });
    assert_eq!(report.failed(), 0, "{report}");
}
