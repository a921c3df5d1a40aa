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

/// Each start once cut the last line of any file of such a name, and a `tsconfig.json` kept the crawl from going on.
#[test]
fn a_feed_by_domain_touches_no_file_that_it_has_not_written() {
    for (ending, whole, torn, foreign) in [
        ("jsonl", "{\"n\":1}\n", "{\"n\":", "no JSON"),
        ("json", "[\n{\"n\":1}\n]\n", ",\n{\"", "{\"compilerOptions\":{}}"),
        #[cfg(feature = "csv")]
        ("csv", "n\n1\n", "\"2", "x,y\n1,2\n3"),
        (
            "xml",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<items>\n<item><n>1</n></item>\n</items>\n",
            "\n<item>",
            "<a/>",
        ),
    ] {
        let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let feed = Feed::to(dir.path().join(format!("{{domain}}.{ending}"))).fields(["n"]);
        let feed = feed.noted_in(Some(state.path().join("files")));
        let mut sink = feed.open_for("bot", Opening::Fresh, true).unwrap();
        sink.write(&row(1, "https://example.org/")).unwrap();
        sink.commit().unwrap();
        drop(sink);
        let own = dir.path().join(format!("example.org.{ending}"));
        assert_eq!(fs::read_to_string(&own).unwrap(), whole);
        let closing =
            ["\n]\n", "\n</items>\n"].into_iter().find(|closing| whole.ends_with(closing)).unwrap_or_default();
        fs::write(&own, format!("{}{torn}", whole.strip_suffix(closing).unwrap())).unwrap();
        let notes = dir.path().join(format!("notes.{ending}"));
        fs::write(&notes, foreign).unwrap();
        // A kill may have torn the notes as well.
        let noted = fs::read(state.path().join("files")).unwrap();
        fs::write(state.path().join("files"), [&noted[..], b"torn"].concat()).unwrap();
        for opening in [Opening::Resumed, Opening::Restarted] {
            let mut sink = feed.open_for("bot", opening, true).unwrap();
            assert_eq!(fs::read_to_string(&own).unwrap(), whole, "{ending}: what a kill has torn is whole again");
            sink.close().unwrap();
            assert_eq!(fs::read_to_string(&notes).unwrap(), foreign, "{ending}: another's stays as it is");
        }
        assert_eq!(fs::read(state.path().join("files")).unwrap(), noted);
    }
}
