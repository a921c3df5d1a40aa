//! Feeds in several files: what is acknowledged when one of them fails, and which folders are looked into.

use std::{
    fs,
    path::{Path, PathBuf},
};

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

/// A feed once began anew at 1 where its files had been moved to another disk and linked back, and emptied them.
#[cfg(unix)]
#[test]
fn files_that_were_moved_away_and_linked_back_are_not_written_over() {
    use std::os::unix::fs::symlink;
    let (dir, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (name, link, next) in [
        ("{batch}.jsonl", "00007.jsonl", "00008.jsonl"),
        ("{domain}/{batch}.jsonl", "example.org", "example.org/00008.jsonl"),
    ] {
        let moved = archive.path().join(link);
        let file =
            if link.contains('.') && name.contains("domain") { moved.join("00007.jsonl") } else { moved.clone() };
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "{\"n\":1}\n").unwrap();
        symlink(&moved, dir.path().join(link)).unwrap();
        let feed = Feed::to(dir.path().join(name));
        let refused = feed.open(Opening::Fresh).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("files of an earlier crawl"), "{name}: {refused}");
        let mut sink = feed.open(Opening::Resumed).unwrap();
        sink.write(&row(2, "https://example.org/")).unwrap();
        sink.close().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "{\"n\":1}\n", "{name}");
        assert_eq!(fs::read_to_string(dir.path().join(next)).unwrap(), "{\"n\":2}\n", "{name}");
    }
    // Its number is taken, and nothing is made where it leads.
    symlink(archive.path().join("gone.jsonl"), dir.path().join("00009.jsonl")).unwrap();
    let mut sink = Feed::to(dir.path().join("{batch}.jsonl")).open(Opening::Resumed).unwrap();
    sink.write(&row(3, "https://example.org/")).unwrap();
    sink.close().unwrap();
    assert!(dir.path().join("00010.jsonl").is_file() && !archive.path().join("gone.jsonl").exists());
}

/// Files of another program whose last line has no end: their ending, what is in them, and what item 5 adds.
const WITHOUT_AN_END: &[(&str, &str, &str)] = &[
    #[cfg(feature = "csv")]
    ("csv", "n\n7", "5\n"),
    ("jsonl", "7", "{\"n\":5}\n"),
];

/// Returns the path of such a file, and a feed by domain in its folder.
fn feed_beside_another(dir: &Path, state: &Path, ending: &str, before: &str) -> (PathBuf, Feed) {
    let path = dir.join(format!("example.org.{ending}"));
    fs::write(&path, before).unwrap();
    let feed = Feed::to(dir.join(format!("{{domain}}.{ending}")));
    (path, feed.noted_in(Some(state.join("files"))))
}

/// A new crawl once cut the last row of another program's file, whose writer ends none.
#[test]
fn a_file_of_a_domain_that_another_program_has_left_without_an_end_keeps_its_last_line() {
    for (ending, before, added) in WITHOUT_AN_END {
        let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (path, feed) = feed_beside_another(dir.path(), state.path(), ending, before);
        for opening in [Opening::Fresh, Opening::Restarted, Opening::Resumed] {
            let mut sink = feed.open_for("bot", opening, true).unwrap();
            sink.write(&row(5, "https://example.org/")).unwrap();
            sink.close().unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{before}\n{}", added.repeat(3)), "{ending}");
    }
}

/// A file that could not be opened was once taken for one that a kill has torn: the next run cut its last row.
#[test]
fn a_file_of_another_program_that_could_not_be_opened_keeps_its_last_line() {
    for (ending, before, added) in WITHOUT_AN_END {
        let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (path, feed) = feed_beside_another(dir.path(), state.path(), ending, before);
        let held = fs::File::options().read(true).write(true).open(&path).unwrap();
        held.lock().unwrap();
        let mut sink = feed.open_for("bot", Opening::Fresh, true).unwrap();
        assert!(sink.write(&row(5, "https://example.org/")).is_err(), "{ending}: another has it");
        drop((sink, held));
        feed.open_for("bot", Opening::Resumed, true).unwrap().close().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), *before, "{ending}");
        let mut sink = feed.open_for("bot", Opening::Resumed, true).unwrap();
        sink.write(&row(5, "https://example.org/")).unwrap();
        sink.close().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{before}\n{added}"), "{ending}");
    }
}
