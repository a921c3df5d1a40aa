//! The content of a CSV file after items of various shapes, restarts and kills.

use std::{fs, io::Read as _, path::Path};

use serde::Serialize;
use serde_json::json;

use super::CsvLayout;
use crate::{
    error::Error,
    feed::{Feed, Format, Opening, Record, Sink, SinkError, files::codec::Codec},
};

struct Writer(Box<dyn Sink>);

impl Writer {
    fn add(&mut self, item: &(impl Serialize + ?Sized)) -> Result<(), SinkError> {
        self.0.write(&Record::of(item, "https://example.org/")?)?;
        self.0.commit()
    }
}

fn csv(path: &Path) -> Feed {
    Feed::to_path(path, Format::Csv)
}

fn columns<const N: usize>(path: &Path, names: [&str; N]) -> Feed {
    csv(path).columns(names.map(str::to_owned).to_vec())
}

fn open(feed: &Feed, opening: Opening) -> Result<Writer, Error> {
    feed.open_for("bot", opening, false).map(Writer)
}

fn fresh(feed: &Feed) -> Writer {
    open(feed, Opening::Fresh).unwrap()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// Regression: the header had one name twice, and the next item's field stood in the column of another.
#[test]
fn fields_that_would_share_a_column_are_refused_by_their_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.csv");
    let mut writer = fresh(&csv(&path));
    let twice = json!({"a": {"b": 1}, "a.b": 2});
    assert!(matches!(writer.add(&twice), Err(SinkError::Refused(why)) if why.contains("`a.b`")));
    writer.add(&json!({"a.b": 3})).unwrap();
    assert!(matches!(writer.add(&twice), Err(SinkError::Refused(_))));
    assert_eq!(read(&path), "a.b\n3\n");
}

/// Regression: an untagged enum's text became a cell below the one column of its struct.
#[test]
fn a_cell_without_a_name_never_stands_below_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.csv");
    let mut writer = fresh(&csv(&path));
    writer.add(&json!({"price": 1})).unwrap();
    assert!(matches!(writer.add("text"), Err(SinkError::Refused(why)) if why.contains("named columns")));
    assert_eq!(read(&path), "price\n1\n");
    drop(writer);
    // Names that were given are those of the elements of a tuple, in their order.
    let mut writer = fresh(&columns(&path, ["one", "two"]));
    writer.add(&(1, "b")).unwrap();
    assert_eq!(read(&path), "one,two\n1,b\n");
}

#[derive(Serialize)]
struct Item {
    name: &'static str,
    n: f32,
}

#[test]
fn the_header_comes_with_the_first_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.csv");
    let mut writer = fresh(&csv(&path));
    assert_eq!(read(&path), "");
    writer.add(&Item { name: "a \"b\",\nc", n: 1.0 }).unwrap();
    writer.add(&Item { name: "d", n: 0.1 }).unwrap();
    assert_eq!(read(&path), "name,n\n\"a \"\"b\"\",\nc\",1.0\nd,0.1\n");
}

/// Regression: two shapes of an untagged enum became one-field rows under the two columns of the first.
#[test]
fn every_cell_stands_under_its_name_or_the_item_is_refused() {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Shape {
        Quote { text: &'static str, author: &'static str },
        Author { author: &'static str },
        Other { more: u32 },
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shapes.csv");
    let mut writer = fresh(&csv(&path));
    writer.add(&Shape::Quote { text: "t", author: "a" }).unwrap();
    writer.add(&Shape::Author { author: "b" }).unwrap();
    let refused = writer.add(&Shape::Other { more: 1 }).unwrap_err();
    assert!(matches!(&refused, SinkError::Refused(why) if why.contains("no column `more`")), "{refused}");
    assert_eq!(read(&path), "text,author\nt,a\n,b\n");
    drop(writer);
    let mut writer = fresh(&columns(&path, ["more", "author", "text"]));
    writer.add(&Shape::Other { more: 1 }).unwrap();
    writer.add(&Shape::Quote { text: "t", author: "a" }).unwrap();
    assert_eq!(read(&path), "more,author,text\n1,,\n,a,t\n");
}

#[test]
fn fields_within_fields_have_columns_with_dots_and_a_struct_that_is_not_there_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nested.csv");
    let mut writer = fresh(&csv(&path));
    writer.add(&json!({"a": {"b": 1, "c": {"d": [1, 2]}}, "e": [{"f": 1}], "g": []})).unwrap();
    writer.add(&json!({"a": null, "e": ["x", null, true], "g": null})).unwrap();
    let refused = writer.add(&json!({"a": {"b": 1, "z": 2}})).unwrap_err().to_string();
    assert!(refused.contains("no column `a.z`"), "{refused}");
    assert_eq!(read(&path), "a.b,a.c.d,e,g\n1,1 | 2,\"[{\"\"f\"\":1}]\",\n,,x |  | true,\n");
}

/// A header stood in the middle of the file, and records of any width below each other.
#[test]
fn an_item_of_another_shape_than_a_file_without_a_header_is_refused() {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Shape {
        Pair(u8, u8),
        Three(u8, u8, u8),
        Plain(u8),
        Named { text: u8 },
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shapes.csv");
    let mut writer = fresh(&csv(&path));
    writer.add(&Shape::Pair(1, 2)).unwrap();
    for other in [Shape::Three(1, 2, 3), Shape::Plain(1), Shape::Named { text: 1 }] {
        let refused = writer.add(&other).unwrap_err();
        assert!(matches!(refused, SinkError::Refused(_)), "{refused}");
    }
    writer.add(&Shape::Pair(3, 4)).unwrap();
    assert_eq!(read(&path), "1,2\n3,4\n");
}

#[test]
fn a_resumed_file_keeps_its_columns_or_the_crawl_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.csv");
    let before = "n,name\n1,a\n2,\"b\nhal";
    fs::write(&path, before).unwrap();
    let refused = open(&columns(&path, ["name", "more"]), Opening::Resumed).err().unwrap().to_string();
    assert!(refused.contains("no column `more`"), "{refused}");
    assert_eq!(read(&path), before, "what is refused is left as it was");
    let mut writer = open(&csv(&path), Opening::Resumed).unwrap();
    writer.add(&Item { name: "c", n: 3.0 }).unwrap();
    let broken = writer.add(&json!({"name": "d", "more": 1})).unwrap_err();
    assert!(matches!(broken, SinkError::Broken(_)), "its page would be lost: {broken}");
    assert_eq!(read(&path), "n,name\n1,a\n3.0,c\n", "the torn record is cut off whole");
    drop(writer);
    fresh(&csv(&path));
    assert_eq!(read(&path), "", "a new crawl begins anew");
}

#[test]
fn only_a_record_that_is_not_whole_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.csv");
    for (before, after) in [
        ("", ""),
        ("a,b\n", "a,b\n"),
        ("a,b\n1,2\n", "a,b\n1,2\n"),
        ("a,b\n1,", "a,b\n"),
        ("a,b\n1,\"x\n", "a,b\n"),
        ("a,b\n1,\"x\ny\"\n", "a,b\n1,\"x\ny\"\n"),
        ("a,b\n1,\"x \"\"y\n", "a,b\n"),
        ("a,b\n1,5\" pipe\n", "a,b\n1,5\" pipe\n"),
        ("a,", ""),
    ] {
        fs::write(&path, before).unwrap();
        open(&csv(&path), Opening::Resumed).unwrap();
        assert_eq!(read(&path), after, "{before:?}");
    }
}

/// Regression: the last row of a file that another program had not ended was cut off, and in compressed files the next
/// one was added to its last cell.
#[test]
fn a_last_row_that_another_program_has_not_ended_is_kept_if_it_has_all_cells() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.csv");
    for (before, kept) in [
        ("a,b\n1,2\n3,4", "a,b\n1,2\n3,4\n"),
        ("a,b\n1,\"x\ny\"", "a,b\n1,\"x\ny\"\n"),
        ("a,b", "a,b\n"),
        // What a kill or a power failure leaves.
        ("a,b\n1,2\n3", "a,b\n1,2\n"),
        ("a,b\n1,2\n3,\"4", "a,b\n1,2\n"),
        ("a,b\n1,2\n3,\0\0", "a,b\n1,2\n"),
    ] {
        fs::write(&path, before).unwrap();
        let mut writer = open(&csv(&path).append(), Opening::Fresh).unwrap();
        for n in [5, 6] {
            writer.add(&json!({"a": n, "b": n})).unwrap();
        }
        assert_eq!(read(&path), format!("{kept}5,5\n6,6\n"), "{before:?}");
    }
    // A crawl that goes on has written it itself.
    fs::write(&path, "a,b\n1,2\n3,4").unwrap();
    for opening in [Opening::Resumed, Opening::Restarted] {
        open(&csv(&path).append(), opening).unwrap();
        assert_eq!(read(&path), "a,b\n1,2\n");
    }
    for (ending, codec, before, after) in [
        ("csv.gz", Codec::Gzip, "a,b\n1,2", "a,b\n1,2\n5,5\n"),
        ("csv.zst", Codec::Zstd, "a,b\n1,2\n", "a,b\n1,2\n5,5\n"),
        ("jsonl.gz", Codec::Gzip, "{\"a\":1}", "{\"a\":1}\n{\"a\":5,\"b\":5}\n"),
        ("jsonl.zst", Codec::Zstd, "{\"a\":1}", "{\"a\":1}\n{\"a\":5,\"b\":5}\n"),
    ] {
        let path = dir.path().join(format!("items.{ending}"));
        fs::write(&path, codec.member(before.as_bytes()).unwrap()).unwrap();
        let mut writer = open(&Feed::to(&*path).append(), Opening::Fresh).unwrap();
        writer.add(&json!({"a": 5, "b": 5})).unwrap();
        let mut there = String::new();
        codec.reader(&*fs::read(&path).unwrap()).unwrap().read_to_string(&mut there).unwrap();
        assert_eq!(there, after, "{ending}");
    }
}

#[test]
fn a_text_that_a_spreadsheet_would_calculate_is_escaped_where_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.csv");
    let item = json!({"a": "=1+1", "b": -5, "c": "-5", "d": ["@x", "y"], "e": "a=b", "f": "\tx"});
    fresh(&csv(&path)).add(&item).unwrap();
    assert_eq!(read(&path).lines().nth(1), Some("=1+1,-5,-5,@x | y,a=b,\tx"));
    fresh(&csv(&path).escape_formulas()).add(&item).unwrap();
    assert_eq!(read(&path).lines().nth(1), Some("'=1+1,-5,'-5,'@x | y,a=b,'\tx"));
    // The names may be a page's too, and lists may be of numbers.
    let item = json!({"=1+1": 2, "l": [-5], "m": [-5, "x"]});
    fresh(&csv(&path).escape_formulas()).add(&item).unwrap();
    open(&csv(&path).escape_formulas(), Opening::Resumed).unwrap().add(&item).unwrap();
    assert_eq!(read(&path), "'=1+1,l,m\n2,-5,'-5 | x\n2,-5,'-5 | x\n");
}

/// A file that went on once had other columns than before, and its items none.
#[test]
fn no_two_names_are_the_same_in_a_header_where_formulas_are_escaped() {
    let layout = CsvLayout::new(String::new(), None, true, false);
    let names = ["=x", "'=x", "''=x", "'x", "x"];
    let escaped: Vec<_> = names.iter().map(|name| layout.escaped_name(name).into_owned()).collect();
    assert_eq!(escaped, ["'=x", "''=x", "'''=x", "'x", "x"]);
    for (name, escaped) in names.into_iter().zip(escaped) {
        assert_eq!(layout.unescaped_name(escaped), name);
    }

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.csv");
    let (feed, item) = (csv(&path).escape_formulas(), json!({"'=x": 1}));
    fresh(&feed).add(&item).unwrap();
    open(&feed, Opening::Resumed).unwrap().add(&item).unwrap();
    open(&columns(&path, ["'=x"]).escape_formulas(), Opening::Resumed).unwrap().add(&item).unwrap();
    assert_eq!(read(&path), "''=x\n1\n1\n1\n");
}

#[test]
fn an_item_is_a_struct_a_map_a_tuple_or_a_plain_value() {
    #[derive(Serialize)]
    enum Kind {
        One(Item),
    }
    fn written(item: &impl Serialize) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("items.csv");
        fresh(&csv(&path)).add(item).unwrap();
        read(&path)
    }
    assert_eq!(written(&("a", 1, None::<u8>)), "a,1,\n");
    assert_eq!(written(&"plain"), "plain\n");
    assert_eq!(written(&""), "\"\"\n", "an empty line would be no record");
    assert_eq!(written(&Kind::One(Item { name: "a", n: 2.5 })), "name,n\na,2.5\n");
    assert_eq!(written(&json!({"a": {"b": 1}})), "a.b\n1\n");
}

#[test]
fn a_pipeline_that_was_restarted_goes_on_below_the_header() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.csv");
    fresh(&csv(&path)).add(&Item { name: "a", n: 1.0 }).unwrap();
    let mut again = open(&csv(&path), Opening::Restarted).unwrap();
    again.add(&json!({"n": 2, "name": "b"})).unwrap();
    let refused = again.add(&json!({"more": 2})).unwrap_err();
    assert!(matches!(refused, SinkError::Refused(_)), "the columns are of this crawl: {refused}");
    assert_eq!(read(&path), "name,n\na,1.0\nb,2\n");
}
