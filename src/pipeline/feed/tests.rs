//! Feeds of several files as pipelines: what is refused in one of them is written once in the others.

use std::{path::Path, sync::Arc, time::Duration};

use actix_rt::System;
use futures_util::future::join_all;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::super::*;
use crate::feed::{Batch, Feed, Roll};

/// Delivers items of these URLs in one batch, and returns the answers.
fn deliver(feed: Feed, items: &[(&str, Value)]) -> Vec<Result<(), PipelineError>> {
    System::new().block_on(async {
        let feed = feed.batch(Batch::of(items.len(), Duration::from_secs(30)));
        let supervisor = Supervisor::start(Box::new(feed), CrawlStart::default(), Duration::from_secs(30)).unwrap();
        let scraped = |(url, item): &(&str, Value)| Scraped { item: Arc::new(item.clone()), url: (*url).into() };
        let answers = join_all(items.iter().map(|item| supervisor.deliver(scraped(item)))).await;
        supervisor.close().await.unwrap();
        answers
    })
}

fn rows(path: &Path) -> Vec<i64> {
    let database = Connection::open(path).unwrap();
    let mut select = database.prepare("SELECT n FROM items ORDER BY n").unwrap();
    select.query_map([], |row| row.get(0)).unwrap().map(|row| row.unwrap()).collect()
}

/// To SQLite, `n` and `N` are one column. The rows of the other file were once written twice.
#[test]
fn a_row_that_is_refused_in_one_file_is_written_once_in_the_others() {
    let good = ("https://a.org/", json!({"n": 1}));
    let bad = ("https://b.org/", json!({"n": 1, "N": 2}));
    for bad_at in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let mut items = vec![good.clone(), good.clone()];
        items.insert(bad_at, bad.clone());
        let answers = deliver(Feed::to(dir.path().join("shop-{domain}.sqlite")), &items);
        for (at, answer) in answers.iter().enumerate() {
            assert_eq!(matches!(answer, Err(PipelineError::Refused(_))), at == bad_at, "{answers:?}");
        }
        assert_eq!(rows(&dir.path().join("shop-a.org.sqlite")), [1, 1], "the bad one came as number {bad_at}");
    }
}

/// What a file had refused when it rolled was once acknowledged.
#[test]
fn rows_that_a_file_refuses_when_it_rolls_are_given_again_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let url = "https://a.org/";
    let items = [(url, json!({"n": 1, "N": 2})), (url, json!({"n": 2})), (url, json!({"n": 3}))];
    let answers = deliver(Feed::to(dir.path().join("{batch}.sqlite")).roll(Roll::items(2)), &items);
    assert!(matches!(answers[0], Err(PipelineError::Refused(_))), "{answers:?}");
    assert_eq!((&answers[1], &answers[2]), (&Ok(()), &Ok(())));
    assert_eq!(rows(&dir.path().join("00002.sqlite")), [2, 3]);
}

/// The next owner of a crawl in a cluster did not find what a killed one had gathered, and fetched none of it again.
#[cfg(feature = "object-store")]
#[test]
fn a_bucket_of_a_crawl_that_goes_on_needs_a_folder_that_survives() {
    System::new().block_on(async {
        let crawl = CrawlStart { has_state: true, ..CrawlStart::default() };
        let to = Feed::to("s3://no-such-bucket-is-asked/a.jsonl.gz");
        for (feed, says) in [(to.clone(), "set `spool`"), (to.spool("spool"), "write {time}")] {
            let started = Supervisor::<Value>::start(Box::new(feed), crawl.clone(), Duration::from_secs(30));
            let refused = started.err().unwrap().to_string();
            assert!(refused.contains(says), "{refused}");
        }
    });
}
