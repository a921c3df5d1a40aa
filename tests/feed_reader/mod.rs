//! FeedReader: what other programs read in the files of feeds. Knows nothing of the crawler.

use std::{path::PathBuf, process::Command};

use serde_json::Value;

use crate::parquet_file;

/// Reads the files that are its arguments by Python's own modules, and prints a list of items for each, in JSON.
const READER: &str = r#"
import csv, gzip, io, json, sqlite3, sys
import xml.etree.ElementTree as ET
csv.field_size_limit(1 << 30)

def value(element):
    if element.get("null"): return None
    if element.get("encoding") == "json": return json.loads(element.text)
    if len(element) == 0: return element.text or ""
    if all(child.tag == "value" for child in element): return [value(child) for child in element]
    return {child.get("name", child.tag): value(child) for child in element}

def rows(path):
    database = sqlite3.connect(f"file:{path}?mode=rw", uri=True)
    database.row_factory = sqlite3.Row
    return [dict(row) for row in database.execute("SELECT * FROM items ORDER BY rowid")]

def items(path):
    if path.endswith(".sqlite"): return rows(path)
    data = open(path, "rb").read()
    name = path
    if name.endswith(".gz"):
        data, name = gzip.decompress(data), name[:-3]
    text = data.decode("utf-8")
    if name.endswith(".jsonl"): return [json.loads(line) for line in text.split("\n")[:-1]]
    if name.endswith(".json"): return json.loads(text)
    if name.endswith(".csv"): return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    if name.endswith(".xml"): return [value(item) for item in ET.fromstring(text)]

print(json.dumps([items(path) for path in sys.argv[1:]]))
"#;

/// What Python reads in files, and Parquet's own library in those of Parquet.
pub fn read(paths: &[PathBuf]) -> Vec<Vec<Value>> {
    let is_parquet = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "parquet");
    let mut python = Command::new("python3");
    let of_python = paths.iter().filter(|path| !is_parquet(path));
    let output = python.args(["-c", READER]).args(of_python).output().expect("python3 is needed for this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut of_python = serde_json::from_slice::<Vec<Vec<Value>>>(&output.stdout).unwrap().into_iter();
    let read = |path| if is_parquet(&path) { parquet_file::rows(path) } else { of_python.next().unwrap() };
    paths.iter().map(read).collect()
}
