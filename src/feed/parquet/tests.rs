//! Parquet feeds: the laws of sinks wherever a kill comes, columns that grow and widen, and what is refused.

use ::parquet::{
    file::{reader::FileReader as _, serialized_reader::SerializedFileReader},
    record::RowAccessor as _,
};
use serde_json::{Value as Json, json};

use super::*;
use crate::feed::{
    Feed, Roll,
    laws::{Row, Subject, check},
};

const SMALL: RowGroupSize = RowGroupSize { rows: 5, bytes: 1 << 20 };

struct InFile(PathBuf);

impl InFile {
    fn sink(&self, opening: Opening) -> ParquetSink {
        ParquetSink::open(&self.0, &[], opening, false, SMALL).unwrap()
    }

    fn folder(&self) -> PathBuf {
        PartFolder::folder_of(&self.0)
    }

    /// Does something, and leaves the folder as it was before.
    fn but_for_the_folder(&self, act: impl FnOnce()) {
        let copies: Vec<_> = fs::read_dir(self.folder())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (fs::read(&path).unwrap(), path))
            .collect();
        act();
        fs::create_dir_all(self.folder()).unwrap();
        for (bytes, path) in copies {
            fs::write(path, bytes).unwrap();
        }
    }
}

impl Subject for InFile {
    fn open(&mut self, opening: Opening) -> crate::Result<Box<dyn Sink>> {
        Ok(Box::new(self.sink(opening)))
    }

    fn read(&mut self) -> Vec<Row> {
        let mut rows = if self.0.exists() { whole(&self.0) } else { Vec::new() };
        let id = fs::read_to_string(self.folder().join("lock")).unwrap_or_default();
        if id.is_empty() || (self.0.exists() && note(&self.0).part == id) {
            return rows;
        }
        for number in 1_u64.. {
            let file = |ending: &str| self.folder().join(format!("{number}.{ending}"));
            if file("parquet").exists() {
                rows.extend(whole(&file("parquet")));
                continue;
            }
            let lines = fs::read_to_string(file("rows")).unwrap_or_default();
            let lines = lines.split_inclusive('\n').filter(|line| line.starts_with('[') && line.ends_with('\n'));
            rows.extend(lines.map(|line| {
                let (n, text) = serde_json::from_str(line).unwrap();
                Row { n, text }
            }));
            return rows;
        }
        unreachable!()
    }

    fn tear(&mut self, part: f64) {
        if !self.folder().exists() {
            return;
        }
        match part {
            // Within a line of the journal.
            ..0.2 => {
                let journal = self.sink(Opening::Restarted).part.journal();
                let torn = [fs::read(&journal).unwrap(), b"[7,\"to".to_vec()].concat();
                fs::write(journal, torn).unwrap();
            }
            // Within a row group or the whole file.
            ..0.4 => fs::write(self.folder().join("unfinished"), b"PAR1").unwrap(),
            // Before the journal of a row group is removed.
            ..0.6 => self.but_for_the_folder(|| {
                let mut sink = self.sink(Opening::Restarted);
                if sink.rows > 0 {
                    sink.end_group().unwrap();
                }
            }),
            // Before the folder of a whole file is removed.
            ..0.8 => self.but_for_the_folder(|| self.sink(Opening::Restarted).close().unwrap()),
            // While it is removed.
            _ => {
                self.but_for_the_folder(|| self.sink(Opening::Restarted).close().unwrap());
                if self.0.exists() && note(&self.0).part == fs::read_to_string(self.folder().join("lock")).unwrap() {
                    for entry in fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().path()) {
                        if entry.extension().is_some() {
                            fs::remove_file(entry).unwrap();
                        }
                    }
                }
            }
        }
    }

    fn refused(&self) -> Option<Record> {
        Some(record(&json!({"more": 1, "n": u64::MAX})))
    }
}

fn whole(path: &Path) -> Vec<Row> {
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(|row| row.unwrap());
    rows.map(|row| Row { n: row.get_long(0).unwrap() as u64, text: row.get_string(1).unwrap().clone() }).collect()
}

fn note(path: &Path) -> Note {
    whole::note_of(fs::File::open(path).unwrap()).unwrap().unwrap()
}

fn record(item: &Json) -> Record {
    Record::of(item, "https://example.org/").unwrap()
}

#[test]
fn a_parquet_feed_keeps_the_laws_of_sinks_wherever_a_kill_comes() {
    let dir = tempfile::tempdir().unwrap();
    check(&mut InFile(dir.path().join("rows.parquet")), 150);
}

/// The schema of a file, and its rows as text.
fn content(path: &Path) -> (Vec<String>, Vec<String>) {
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    let columns = note(path).schema.columns;
    let columns = columns.iter().map(|column| format!("{}: {}", column.name, column.kind)).collect();
    (columns, reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect())
}

#[test]
fn columns_come_and_widen_with_the_items_in_row_groups_that_are_written_already() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.parquet");
    let items = [
        json!({"price": 3, "stock": null, "list": [], "all": null, "sale": null}),
        json!({"price": -9_007_199_254_740_992_i64, "list": [null, null], "ids": [1, 2]}),
        json!({"price": 0.1, "stock": {"a": true}, "list": [{"b": 1}, 2.5], "ids": [0.5, null]}),
        json!({"name": "tea", "ids": []}),
    ];
    // Each in a row group of its own, after a kill, and in a file that was whole already.
    type After = fn(&mut ParquetSink);
    let ways: [(u64, After); 3] = [(1, |_| ()), (9, |_| ()), (1, |sink| sink.close().unwrap())];
    for (rows, after) in ways {
        let mut sink = ParquetSink::open(&path, &[], Opening::Fresh, false, RowGroupSize { rows, ..SMALL }).unwrap();
        for item in &items {
            sink.write(&record(item)).unwrap();
            sink.commit().unwrap();
            after(&mut sink);
            drop(sink);
            sink = ParquetSink::open(&path, &[], Opening::Resumed, false, RowGroupSize { rows, ..SMALL }).unwrap();
        }
        sink.close().unwrap();
        assert!(!PartFolder::folder_of(&path).exists());
        let (columns, rows) = content(&path);
        let fraction = "numbers with a fraction";
        let expected = [
            "all: null".to_owned(),
            "list: fields within fields or mixed lists".to_owned(),
            format!("price: {fraction}"),
            "sale: null".to_owned(),
            format!("ids: lists of {fraction}"),
            "stock.a: booleans".to_owned(),
            "name: text".to_owned(),
        ];
        assert_eq!(columns, expected);
        assert_eq!(
            rows,
            [
                r#"{all: null, list: "[]", price: 3.0, sale: null, ids: null, stock.a: null, name: null}"#,
                r#"{all: null, list: "[null,null]", price: -9.007199254740992E15, sale: null, ids: [1.0, 2.0], stock.a: null, name: null}"#,
                r#"{all: null, list: "[{"b":1},2.5]", price: 0.1, sale: null, ids: [0.5, null], stock.a: true, name: null}"#,
                r#"{all: null, list: null, price: null, sale: null, ids: [], stock.a: null, name: "tea"}"#,
            ]
        );
    }
}

#[test]
fn a_value_that_does_not_fit_its_column_is_refused_by_its_name_and_both_types() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.parquet");
    let mut sink = ParquetSink::open(&path, &[], Opening::Fresh, false, SMALL).unwrap();
    sink.write(&record(&json!({"text": "a", "whole": (1_u64 << 53) + 1, "flag": true}))).unwrap();
    for (item, why) in [
        (json!({"new": 1, "text": 1}), "the column `text` has text, and an item has whole numbers"),
        (json!({"whole": 0.5}), "`whole` has whole numbers beyond 2^53, and an item has numbers with a fraction"),
        (json!({"flag": ["a"]}), "`flag` has booleans, and an item has lists of text"),
        (json!({"whole": u64::MAX}), "`whole` cannot hold a whole number beyond 64 bits with a sign"),
    ] {
        let refused = sink.write(&record(&item)).unwrap_err();
        assert!(matches!(&refused, SinkError::Refused(said) if said.contains(why)), "{refused}");
    }
    let many: serde_json::Map<_, _> = (0..1_000).map(|n| (n.to_string(), n.into())).collect();
    let refused = sink.write(&record(&Json::Object(many))).unwrap_err().to_string();
    assert!(refused.contains("more than 1000; name those"), "{refused}");
    sink.close().unwrap();
    assert_eq!(content(&path).1, [r#"{flag: true, text: "a", whole: 9007199254740993}"#]);
}

#[test]
fn items_without_names_have_columns_and_named_columns_are_there_without_items() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.parquet");
    for (feed, items, expected) in [
        (Feed::to(&*path), vec![json!("a"), json!("b")], vec![r#"{value: "a"}"#, r#"{value: "b"}"#]),
        (Feed::to(&*path), vec![json!([1, "x"])], vec![r#"{0: 1, 1: "x"}"#]),
        (Feed::to(&*path).fields(["b", "c"]), vec![json!({"a": 1, "c": {"d": 2}})], vec![r#"{b: null, c: "{"d":2}"}"#]),
        (Feed::to(&*path).fields(["b"]), vec![], vec![]),
    ] {
        let mut sink = feed.open(Opening::Fresh).unwrap();
        for item in &items {
            sink.write(&record(item)).unwrap();
        }
        sink.close().unwrap();
        assert_eq!(content(&path).1, expected);
    }
    Feed::to(&*path).open(Opening::Fresh).unwrap().close().unwrap();
    assert!(!path.exists(), "there is no file without columns");
}

#[test]
fn what_is_no_file_of_ours_is_refused_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.parquet");
    fs::write(&path, "PAR1 or not").unwrap();
    let refused = Feed::to(&*path).append().open(Opening::Fresh).err().unwrap().to_string();
    assert!(refused.contains("write to another file"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), b"PAR1 or not");
    let mut first = Feed::to(&*path).open(Opening::Fresh).unwrap();
    let refused = Feed::to(&*path).open(Opening::Restarted).err().unwrap().to_string();
    assert!(refused.contains("another feed still writes to it"), "{refused}");
    first.close().unwrap();
    for (to, why) in [("items.parquet.gz", "leave out"), ("-", "stdout"), ("/dev/null", "pipe")] {
        let refused = Feed::to(to).format(crate::feed::Format::Parquet).open(Opening::Fresh).err().unwrap().to_string();
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn every_file_of_a_feed_becomes_whole_once_also_those_that_a_kill_left() {
    let dir = tempfile::tempdir().unwrap();
    let to = |name: &str| dir.path().join(name);
    let rows = |path: &Path| content(path).1.len();
    let item = |n: usize| Record::of(&json!({"n": n}), format!("http://www.d{}.test/", n % 100)).unwrap();

    // More domains than files that are open at once.
    let mut sink = Feed::to(to("{domain}.parquet")).open(Opening::Fresh).unwrap();
    for n in 0..400 {
        sink.write(&item(n)).unwrap();
        sink.commit().unwrap();
    }
    assert!(!to("d7.test.parquet").exists(), "it is not whole before the end");
    sink.close().unwrap();
    for n in 0..100 {
        assert_eq!(rows(&to(&format!("d{n}.test.parquet"))), 4);
        assert!(!to(&format!("d{n}.test.parquet.part")).exists());
    }

    let rolled = Feed::to(to("rolled/{batch}.parquet")).roll(Roll::items(7));
    let mut sink = rolled.open_for("bot", Opening::Fresh, true).unwrap();
    for n in 0..10 {
        sink.write(&item(n)).unwrap();
    }
    sink.commit().unwrap();
    drop(sink);
    assert!(to("rolled/00001.parquet").exists() && !to("rolled/00002.parquet").exists());
    let mut sink = rolled.open_for("bot", Opening::Resumed, true).unwrap();
    sink.write(&item(0)).unwrap();
    sink.close().unwrap();
    let counts = ["1", "2", "3"].map(|n| rows(&to(&format!("rolled/0000{n}.parquet"))));
    assert_eq!(counts, [7, 3, 1]);
}

/// A file for its owner alone was once for everybody after the next run, and a link was replaced by a file.
#[cfg(unix)]
#[test]
fn a_file_keeps_its_permissions_and_the_link_that_leads_to_it() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let (dir, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (link, file) = (dir.path().join("items.parquet"), disk.path().join("big.parquet"));
    symlink(&file, &link).unwrap();
    for opening in [Opening::Fresh, Opening::Resumed, Opening::Fresh] {
        let mut sink = crate::feed::Feed::to(&*link).open(opening).unwrap();
        sink.write(&Record::of(&serde_json::json!({"n": 1}), "https://e.org/").unwrap()).unwrap();
        sink.close().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && fs::metadata(&file).unwrap().len() > 0);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let mut sink = crate::feed::Feed::to(&*link).open(Opening::Resumed).unwrap();
    sink.write(&Record::of(&serde_json::json!({"n": 2}), "https://e.org/").unwrap()).unwrap();
    sink.close().unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 1, "the folder of what was not whole is gone");
}

/// One that was begun anew lost them when a kill came before its end, and meanwhile anybody could read its rows.
#[cfg(unix)]
#[test]
fn a_file_keeps_its_permissions_also_if_kills_come_before_its_end() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for wanted in [0o600, 0o440] {
        let file = InFile(dir.path().join(format!("{wanted}.parquet")));
        file.sink(Opening::Fresh).close().unwrap();
        fs::write(&file.0, "not begun here").unwrap();
        fs::set_permissions(&file.0, fs::Permissions::from_mode(wanted)).unwrap();
        for opening in [Opening::Fresh, Opening::Restarted, Opening::Fresh, Opening::Resumed] {
            let mut sink = file.sink(opening);
            for n in 0..4 {
                sink.write(&record(&json!({"n": n, "text": "secret"}))).unwrap();
                sink.commit().unwrap();
            }
            assert!(!file.0.exists());
            for entry in fs::read_dir(file.folder()).unwrap().map(|entry| entry.unwrap().path()) {
                assert!(entry.ends_with("lock") || mode(&entry) & 0o077 == wanted & 0o077, "{}", entry.display());
            }
        }
        file.sink(Opening::Resumed).close().unwrap();
        assert_eq!((mode(&file.0), whole(&file.0).len()), (wanted, 8));
    }
}

/// All that was in it was once removed.
#[test]
fn a_folder_of_somebody_else_that_is_named_like_a_feeds_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("items.parquet.part");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("thesis.txt"), "mine").unwrap();
    let feed = crate::feed::Feed::to(dir.path().join("items.parquet"));
    for opening in [Opening::Fresh, Opening::Resumed] {
        let refused = feed.open(opening).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("thesis.txt") && refused.contains("write to another file"), "{refused}");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    // A kill came before the lock had its content.
    fs::rename(folder.join("thesis.txt"), folder.join("1.rows")).unwrap();
    assert!(feed.open(Opening::Fresh).is_ok());
}
