//! Files that are there and were not written here: what is added to, and what is refused and left as it is.

use std::fs;

use super::{
    super::{files::codec::Codec, *},
    content, record,
};

#[test]
fn a_file_that_was_not_written_here_is_never_cut() {
    let dir = tempfile::tempdir().unwrap();
    for (name, foreign) in [
        ("a.json", "{\n  \"a\": [\n    1,\n    2,\n    3,\n    4\n  ]\n}\n"),
        ("b.json", "{\"a\":1}\n"),
        ("c.xml", "<?xml version=\"1.0\"?>\n<other>\n<a/>\n<b/>\n<c/>\n<d/>\n</other>\n"),
        ("d.xml", "<?xml version=\"1.0\"?>\n<other>\n</items>\n"),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, foreign).unwrap();
        let refused = Feed::to(&*path).append().open_for("bot", Opening::Fresh, false).err();
        assert!(refused.is_some_and(|error| error.to_string().contains("write to another file")), "{name}");
        assert_eq!(content(&path), foreign);
    }
    let gzip = Codec::Gzip.member(b"{\"a\":1}\n{\"a\":\n2}\n").unwrap();
    let lines = "{\"a\":1}\n".repeat(100).into_bytes();
    let and_lines = [gzip.clone(), lines.clone()].concat();
    for (name, foreign, compression) in [
        ("e.jsonl", &lines, Some(Compression::Gzip)),
        ("f.jsonl.gz", &lines, None),
        ("g.jsonl.gz", &and_lines, None),
        ("h.json", &b"[1]\n".to_vec(), Some(Compression::Zstd)),
        ("i.jsonl", &gzip, None),
        ("j.json", &gzip, None),
        ("k.jsonl", &Codec::Zstd.member(b"x\n").unwrap(), None),
        ("l.jsonl.zst", &gzip, None),
        ("n.xml", &b"<items><item/></items>\n".to_vec(), None),
        // Its end is within the one member that it has.
        ("o.json.gz", &Codec::Gzip.member(b"[\n{\"a\":1}\n]\n").unwrap(), None),
        ("p.json.zst", &Codec::Zstd.member(b"[\n{\"a\":1}\n]\n").unwrap(), None),
        (
            "q.xml.gz",
            &Codec::Gzip.member(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<items>\n</items>\n").unwrap(),
            None,
        ),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, foreign).unwrap();
        let feed = Feed::to(&*path).append();
        let feed = if let Some(compression) = compression { feed.compression(compression) } else { feed };
        let refused = feed.open_for("bot", Opening::Fresh, false).err().map(|error| error.to_string());
        assert!(refused.is_some_and(|error| error.contains("write to another file")), "{name}");
        assert_eq!(fs::read(&path).unwrap(), *foreign, "{name}");
    }
    // Whoever wrote this array, it is one.
    for (name, empty) in [("empty.json", "[]"), ("spaces.json", " [ ]\n"), ("empty.xml", "")] {
        let path = dir.path().join(name);
        fs::write(&path, empty).unwrap();
        assert!(Feed::to(&*path).append().open_for("bot", Opening::Fresh, false).is_ok(), "{name}");
    }
}

/// The end of a list within the last item was once taken for the end of the array, and what stood behind it was cut
/// off.
#[test]
fn an_array_of_another_program_has_all_its_items_after_one_is_added() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("array.json");
    for array in [
        "[\n  1,\n  2\n]\n",
        "[{\"a\":1}]",
        "[\n  {\n    \"tags\": [\n      \"a\"\n    ]\n  }\n]",
        "[\n  [\n    1\n  ]\n]",
        "[\n[\n\"a\"\n]\n]",
        " [ 1 , [ 2 ] ] \n\n",
        "[\n{\n\"a\": [\n1\n]\n}\n]\n",
    ] {
        fs::write(&path, array).unwrap();
        let before: Vec<serde_json::Value> = serde_json::from_str(array).unwrap();
        for n in [7, 8] {
            let mut sink = Feed::to(&*path).append().open_for("bot", Opening::Fresh, false).unwrap();
            sink.write(&record(&n)).unwrap();
            sink.close().unwrap();
        }
        let after: Vec<serde_json::Value> = serde_json::from_str(&content(&path)).unwrap();
        assert_eq!(after, [before, vec![7.into(), 8.into()]].concat(), "{array}");
    }
    // Nobody knows where the items of such a file end.
    for broken in ["[\n{\n\"a\": [\n\"b\"\n]\n}\n] // the end", "[\n  {\n    \"tags\": [\n      \"a\"\n    ]\n"] {
        fs::write(&path, broken).unwrap();
        let refused = Feed::to(&*path).append().open_for("bot", Opening::Fresh, false).err();
        assert!(refused.is_some_and(|error| error.to_string().contains("write to another file")), "{broken}");
        assert_eq!(content(&path), broken);
    }
    let path = dir.path().join("items.xml");
    let begin = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<items>\n";
    for items in ["<item>\n<a/></item></items>", "  <item>\n    <a>1</a>\n  </item>\n</items>"] {
        fs::write(&path, format!("{begin}{items}")).unwrap();
        let mut sink = Feed::to(&*path).append().open_for("bot", Opening::Fresh, false).unwrap();
        sink.write(&record(&3)).unwrap();
        sink.close().unwrap();
        let kept = items.strip_suffix("</items>").unwrap().trim_end();
        assert_eq!(content(&path), format!("{begin}{kept}\n<item>3</item>\n</items>\n"));
    }
}

/// A file of one line without an end was once emptied.
#[test]
fn a_last_line_that_another_program_has_not_ended_is_kept_if_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.jsonl");
    let long = format!("[{}1]", "1,".repeat(100_000));
    for (before, kept) in [
        ("{\"a\":1}", "{\"a\":1}\n"),
        ("1\n[2]", "1\n[2]\n"),
        (&long, &format!("{long}\n")),
        ("\"text\"", "\"text\"\n"),
        ("1\n2\n3", "1\n2\n3\n"),
        ("1\nnull", "1\nnull\n"),
        // What a kill leaves.
        ("1\n{\"a\":", "1\n"),
        ("1\n12,", "1\n"),
        ("1\n\0\0", "1\n"),
    ] {
        fs::write(&path, before).unwrap();
        let mut sink = Feed::to(&*path).append().open_for("bot", Opening::Fresh, false).unwrap();
        (3..5).for_each(|n| sink.write(&record(&n)).unwrap());
        sink.close().unwrap();
        assert_eq!(content(&path), format!("{kept}3\n4\n"));
    }
    // A crawl that goes on has written it itself, and it may be the beginning of 123.
    fs::write(&path, "1\n12").unwrap();
    Feed::to(&*path).open_for("bot", Opening::Resumed, false).unwrap();
    assert_eq!(content(&path), "1\n");
    for foreign in ["[\n  1\n  ]", "some text", "<a/>"] {
        let text = format!("{foreign}\n  }}");
        fs::write(&path, &text).unwrap();
        let refused = Feed::to(&*path).append().open_for("bot", Opening::Fresh, false).err();
        assert!(refused.is_some_and(|error| error.to_string().contains("write to another file")), "{foreign}");
        assert_eq!(content(&path), text);
    }
}

/// The run that was first ended before it had an item; the next one took the user's last row for one that a kill has
/// torn.
#[test]
fn a_last_line_of_another_program_is_kept_also_by_the_run_after_one_that_wrote_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for (name, before) in [("a.csv", "a,b\n1,2"), ("header.csv", "a,b"), ("a.jsonl", "1\n2")] {
        let path = dir.path().join(name);
        fs::write(&path, before).unwrap();
        let feed = Feed::to(&*path).append();
        for opening in [Opening::Fresh, Opening::Restarted, Opening::Resumed] {
            drop(feed.open_for("bot", opening, true).unwrap());
            assert_eq!(content(&path), format!("{before}\n"), "{name}");
        }
    }
}
