//! Feeds in several files: what is acknowledged when one of them fails, and which folders are looked into.

use std::fs;

use serde_json::json;

use super::{super::*, MAX_OPEN_FILES};

fn row(n: u32, url: &str) -> Record {
    Record::of(&json!({ "n": n }), url).unwrap()
}

/// A crawl once settled the pages of items that a full disk had not taken.
#[test]
fn a_file_that_cannot_be_closed_when_it_rolls_acknowledges_nothing() {
    for name in ["{batch}.jsonl", "{batch}.json", "{batch}.jsonl.gz", "{batch}.xml"] {
        let dir = tempfile::tempdir().unwrap();
        let feed = Feed::to(dir.path().join(name)).roll(Roll::items(2));
        let mut sink = feed.open(Opening::Fresh).unwrap();
        (0..2).for_each(|n| sink.write(&row(n, "https://example.org/")).unwrap());
        fs::remove_file(dir.path().join(name.replace("{batch}", "00001"))).unwrap();
        let lost = sink.write(&row(2, "https://example.org/")).unwrap_err();
        assert_eq!(sink.commit(), Err(lost.clone()), "{name}");
        assert_eq!(sink.write(&row(3, "https://example.org/")), Err(lost.clone()));
        assert_eq!((sink.commit(), sink.close()), (Err(lost.clone()), Err(lost)));
    }
}

#[test]
fn a_file_that_cannot_be_closed_to_save_open_ones_acknowledges_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = Feed::to(dir.path().join("{domain}.jsonl")).open(Opening::Fresh).unwrap();
    let url = |n: usize| format!("https://example{n}.org/");
    (0..MAX_OPEN_FILES).for_each(|n| sink.write(&row(0, &url(n))).unwrap());
    fs::remove_file(dir.path().join("example0.org.jsonl")).unwrap();
    assert!(sink.write(&row(0, &url(MAX_OPEN_FILES))).is_err());
    assert!(sink.commit().is_err());
}
