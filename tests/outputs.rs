//! Outputs of a crawl that cannot start: what earlier crawls have written is there as it was.

#![cfg(all(feature = "csv", feature = "sqlite", feature = "parquet", feature = "disk"))]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use actix_crawler::{
    feed::{Feed, Format, Opening, Record},
    pipeline::{Csv, MarkdownFolder, MarkdownPage, Steps},
    prelude::*,
};
use serde_json::{Value, json};

type Items = fn(&Response) -> Result<Parsed<Value>>;

fn crawler() -> Crawler<Items> {
    let items: Items = |page| Ok(Parsed::of([json!({"n": page.url().path()})]));
    // Nobody listens there, and nobody is asked.
    Crawler::new(items, "outputs/1.0 (+https://example.org/)").seed("http://127.0.0.1:1/").allow_private()
}

/// Writes what an earlier crawl has left.
fn write(feed: &Feed, closes: bool) {
    let mut sink = feed.open(Opening::Fresh).unwrap();
    for n in 0..3 {
        sink.write(&Record::of(&json!({ "n": n }), "https://example.org/").unwrap()).unwrap();
        sink.commit().unwrap();
    }
    if closes {
        sink.close().unwrap();
    }
}

/// Returns the bytes of all files in a folder and those below it, but for those that only a running database needs.
fn there(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(there(&path));
        } else if !path.to_string_lossy().ends_with("-shm") {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

fn refused(crawler: Crawler<Items>) -> String {
    let started = crawler.start();
    started.err().expect("it must not start").to_string()
}

/// A typo in the second output once emptied the first.
#[test]
fn a_crawl_that_cannot_start_leaves_the_files_of_its_outputs_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let closed = ["a.jsonl", "a.json", "a.csv", "a.xml", "a.jsonl.gz", "a.json.zst", "a.parquet", "a.sqlite"];
    let feeds: Vec<_> = closed.iter().map(|name| Feed::to(at(name))).collect();
    feeds.iter().for_each(|feed| write(feed, true));
    // What a kill has left of one.
    let killed = Feed::to(at("killed.parquet"));
    write(&killed, false);
    fs::write(at("other.json"), "{\"a\": 1}").unwrap();
    fs::write(at("other.sqlite"), "no database").unwrap();
    fs::write(at("log.jsonl"), "{\"url\":\"https://example.org/\"}\n").unwrap();
    let before = there(dir.path());
    let feeds: Vec<_> =
        feeds.into_iter().chain([killed, Feed::to(at("new.jsonl")), Feed::to(at("new.sqlite"))]).collect();
    let all = || feeds.iter().cloned().fold(crawler().log(at("log.jsonl")), Crawler::pipeline);
    for (second, why) in [
        (Feed::to(at("no/such/folder.jsonl")), "folder"),
        (Feed::to(at("a.jsonl")), "another output of this crawl"),
        (Feed::to(at("./a.json")), "another output of this crawl"),
        (Feed::to(at("a.parquet")), "another output of this crawl"),
        (Feed::to(at("new.jsonl")), "another output of this crawl"),
        (Feed::to(at("log.jsonl")), "another output of this crawl"),
        (Feed::to(at("other.json")).append(), "write to another file"),
        (Feed::to(at("a.csv")).format(Format::Json).append(), "another output of this crawl"),
        (Feed::to(at("other.sqlite")), "no SQLite database"),
        (Feed::to(at("a.sqlite")).append().key(["n"]), "rows cannot be found by the key"),
        (Feed::to("-").format(Format::Parquet), "cannot go to stdout"),
    ] {
        let said = refused(all().pipeline(second.clone()));
        assert!(said.contains(why), "{second:?}: {said}");
        assert_eq!(there(dir.path()), before, "{second:?}");
        // By whatever way it comes.
        let said = refused(all().pipeline(Steps::of::<Value>().to(second.clone().only(|_: &Value| true))));
        assert!(said.contains(why), "{second:?}: {said}");
        assert_eq!(there(dir.path()), before, "{second:?} behind steps");
    }
    let said = refused(all().log(at("no/such/log.jsonl")));
    assert!(said.contains("log.jsonl"), "{said}");
    let said = refused(all().pipeline(Csv::create(at("a.csv"))).pipeline(JsonLines::create(at("a.jsonl"))));
    assert!(said.contains("another output"), "{said}");
    assert_eq!(there(dir.path()), before);
    // Two tables, and several writers to what is no file.
    let shared = ["one", "two"].map(|table| Feed::to(at("new.sqlite")).table(table));
    let null = || Feed::to("/dev/null").format(Format::JsonLines);
    let crawler = shared.into_iter().chain([null(), null()]).fold(crawler(), Crawler::pipeline);
    crawler.start().unwrap();
}

/// A log that cannot be written was found out about when the outputs were open, and keys were emptied before all.
#[test]
fn a_crawl_that_cannot_start_forgets_no_keys_and_leaves_a_folder_of_pages() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    for keys in ["steps-unique-0", "pipeline-0-unique-0"] {
        fs::write(state.join(keys), [7; 32]).unwrap();
    }
    let keys = || ["steps-unique-0", "pipeline-0-unique-0"].map(|keys| fs::read(state.join(keys)).unwrap());
    let steps = || Steps::of::<Value>().unique_by(|item| item["n"].clone());
    for second in [dir.path().join("no/such/folder.jsonl"), dir.path().to_owned()] {
        let crawler = crawler().state(&state).steps(steps()).pipeline(steps().to(Feed::to(dir.path().join("a.jsonl"))));
        refused(crawler.log(second));
        assert_eq!(keys(), [[7; 32], [7; 32]]);
    }
    let pages = dir.path().join("pages");
    fs::create_dir(&pages).unwrap();
    fs::write(pages.join("notes"), "of somebody").unwrap();
    let page = |page: &Response| Ok(Parsed::of([MarkdownPage::of(page, String::new())]));
    let crawler = Crawler::new(page, "outputs/1.0 (+https://example.org/)").seed("http://127.0.0.1:1/").allow_private();
    let lines = dir.path().join("lines.jsonl");
    fs::write(&lines, "1\n").unwrap();
    let to_lines = Steps::of::<MarkdownPage>().map(|_| json!(2)).to(Feed::to(&*lines));
    let crawler = crawler.pipeline(to_lines).pipeline(MarkdownFolder::create(pages));
    assert!(crawler.start().err().unwrap().to_string().contains("not empty"));
    assert_eq!(fs::read_to_string(lines).unwrap(), "1\n");
}
