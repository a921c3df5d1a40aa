//! The content of a CSV file after items of various shapes, restarts and kills.

use std::{
    fs::{self, File},
    path::Path,
};

use serde_json::json;

use super::*;

fn start() -> Start {
    Start::new(actix_rt::System::new().block_on(async { actix::Arbiter::current() }))
}

fn open(csv: &Csv, start: &Start) -> Result<Writer, Error> {
    let records = csv.open(start)?;
    let (path, known) = (csv.path.clone(), csv.known.clone());
    Ok(Writer { records, path, known, escape_formulas: csv.escape_formulas })
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[derive(Serialize)]
struct Item {
    name: &'static str,
    n: f32,
}

#[test]
fn the_header_comes_with_the_first_record_that_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.csv");
    let mut writer = open(&Csv::create(&path), &start()).unwrap();
    let records = std::mem::replace(&mut writer.records, Records::file(&path, File::open(&path).unwrap()));
    let error = writer.add(&Item { name: "lost", n: 0.0 }).unwrap_err();
    assert!(error.stops_the_crawl() && error.to_string().contains("items.csv cannot be written"), "{error}");
    writer.records = records;
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
    let mut writer = open(&Csv::create(&path), &start()).unwrap();
    writer.add(&Shape::Quote { text: "t", author: "a" }).unwrap();
    writer.add(&Shape::Author { author: "b" }).unwrap();
    let refused = writer.add(&Shape::Other { more: 1 }).unwrap_err();
    assert!(matches!(&refused, PipelineError::Refused(why) if why.contains("no column `more`")), "{refused}");
    assert_eq!(read(&path), "text,author\nt,a\n,b\n");
    let mut writer = open(&Csv::create(&path).columns(["more", "author", "text"]), &start()).unwrap();
    writer.add(&Shape::Other { more: 1 }).unwrap();
    writer.add(&Shape::Quote { text: "t", author: "a" }).unwrap();
    assert_eq!(read(&path), "more,author,text\n1,,\n,a,t\n");
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
    let mut writer = open(&Csv::create(&path), &start()).unwrap();
    writer.add(&Shape::Pair(1, 2)).unwrap();
    for other in [Shape::Three(1, 2, 3), Shape::Plain(1), Shape::Named { text: 1 }] {
        let refused = writer.add(&other).unwrap_err();
        assert!(matches!(refused, PipelineError::Refused(_)), "{refused}");
    }
    writer.add(&Shape::Pair(3, 4)).unwrap();
    assert_eq!(read(&path), "1,2\n3,4\n");
}

#[test]
fn a_resumed_file_keeps_its_columns_or_the_crawl_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.csv");
    fs::write(&path, "n,name\n1,a\n2,\"b\nhal").unwrap();
    let resuming = start().resuming(true);
    let refused = open(&Csv::create(&path).columns(["name", "more"]), &resuming).err().unwrap().to_string();
    assert!(refused.contains("no column `more`"), "{refused}");
    let mut writer = open(&Csv::create(&path), &resuming).unwrap();
    writer.add(&Item { name: "c", n: 3.0 }).unwrap();
    let broken = writer.add(&json!({"name": "d", "more": 1})).unwrap_err();
    assert!(broken.stops_the_crawl(), "its page would be lost: {broken}");
    assert_eq!(read(&path), "n,name\n1,a\n3.0,c\n", "the torn record is cut off whole");
    open(&Csv::create(&path), &start()).unwrap();
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
        super::file::append(&path).unwrap();
        assert_eq!(read(&path), after, "{before:?}");
    }
}

#[test]
fn a_text_that_a_spreadsheet_would_calculate_is_escaped_where_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.csv");
    let item = json!({"a": "=1+1", "b": -5, "c": "-5", "d": ["@x", "y"], "e": "a=b", "f": "\tx"});
    open(&Csv::create(&path), &start()).unwrap().add(&item).unwrap();
    assert_eq!(read(&path).lines().nth(1), Some("=1+1,-5,-5,@x | y,a=b,\tx"));
    open(&Csv::create(&path).escape_formulas(), &start()).unwrap().add(&item).unwrap();
    assert_eq!(read(&path).lines().nth(1), Some("'=1+1,-5,'-5,'@x | y,a=b,'\tx"));
}

#[test]
fn an_item_is_a_struct_a_map_a_tuple_or_a_plain_value() {
    #[derive(Serialize)]
    enum Kind {
        One(Item),
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.csv");
    let add = |item: &dyn Fn(&mut Writer) -> Result<(), PipelineError>| {
        let added = item(&mut open(&Csv::create(&path), &start()).unwrap());
        added.map(|()| read(&path)).map_err(|error| error.to_string())
    };
    assert_eq!(add(&|writer| writer.add(&("a", 1, None::<u8>))).unwrap(), "a,1,\n");
    assert_eq!(add(&|writer| writer.add(&"plain")).unwrap(), "plain\n");
    assert_eq!(add(&|writer| writer.add(&Kind::One(Item { name: "a", n: 2.5 }))).unwrap(), "name,n\na,2.5\n");
    let nested = add(&|writer| writer.add(&json!({"a": 1, "b": {"c": 2}}))).unwrap_err();
    assert!(nested.contains("`b` has fields of its own"), "{nested}");
}
