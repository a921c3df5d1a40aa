//! Feeds in files: the laws of sinks in each format, what is in the files, and what is refused.

mod foreign;

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{
    laws::{Row, Subject, check},
    *,
};
use crate::error::Result;

type ReadRows = fn(&str) -> Vec<Row>;

/// A feed in a file, which is read by what is not of this crate's writing.
struct InFile {
    feed: Feed,
    path: PathBuf,
    read: ReadRows,
}

impl Subject for InFile {
    fn open(&mut self, opening: Opening) -> Result<Box<dyn Sink>> {
        self.feed.open_for("bot", opening, false)
    }

    fn read(&mut self) -> Vec<Row> {
        (self.read)(&content(&self.path))
    }

    fn tear(&mut self, part: f64) {
        // What a kill leaves of a commit that adds these bytes.
        let Ok(before) = fs::read(&self.path) else { return };
        let mut sink = self.feed.open_for("bot", Opening::Restarted, false).unwrap();
        sink.write(&record(&Row { n: 99, text: "torn\n".repeat(9) })).unwrap();
        sink.commit().unwrap();
        drop(sink);
        let mut after = fs::read(&self.path).unwrap();
        let same = before.iter().zip(&after).take_while(|(before, after)| before == after).count();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let cut = same + ((after.len() - same) as f64 * part * 0.5) as usize;
        after.truncate(cut);
        after.extend(before.get(cut..).unwrap_or_default());
        fs::write(&self.path, after).unwrap();
    }
}

fn content(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let mut text = String::new();
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => flate2::read::MultiGzDecoder::new(&*bytes).read_to_string(&mut text).map(drop),
        Some("zst") => zstd::stream::read::Decoder::new(&*bytes).unwrap().read_to_string(&mut text).map(drop),
        _ => return String::from_utf8(bytes).unwrap(),
    }
    .unwrap();
    text
}

fn record(item: &impl Serialize) -> Record {
    Record::of(item, "https://example.org/").unwrap()
}

fn lines(text: &str) -> Vec<Row> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn array(text: &str) -> Vec<Row> {
    serde_json::from_str(text).unwrap()
}

#[cfg(feature = "csv")]
fn csv(text: &str) -> Vec<Row> {
    ::csv::Reader::from_reader(text.as_bytes()).deserialize().map(|row| row.unwrap()).collect()
}

fn xml(text: &str) -> Vec<Row> {
    use quick_xml::{Reader, events::Event};
    let mut reader = Reader::from_str(text);
    let (mut rows, mut field, mut depth) = (Vec::new(), String::new(), 0);
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => {
                depth += 1;
                field.clear();
                if tag.name().as_ref() == "item" {
                    rows.push(Row { n: 0, text: String::new() });
                }
            }
            Event::Text(text) => field.push_str(&text),
            Event::GeneralRef(reference) => {
                let sign = reference.resolve_char_ref().unwrap();
                field.push(sign.unwrap_or_else(|| match &*reference {
                    "amp" => '&',
                    "lt" => '<',
                    "gt" => '>',
                    "quot" => '"',
                    other => panic!("&{other};"),
                }));
            }
            Event::End(tag) => {
                depth -= 1;
                let row = rows.last_mut();
                match (tag.name().as_ref(), row) {
                    ("n", Some(row)) => row.n = field.parse().unwrap(),
                    ("text", Some(row)) => row.text.clone_from(&field),
                    _ => {}
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0, "{text}");
    rows
}

/// The formats of text, and what reads the rows of a file.
const FORMATS: &[(&str, ReadRows)] = &[
    ("jsonl", lines),
    ("json", array),
    #[cfg(feature = "csv")]
    ("csv", csv),
    ("xml", xml),
];

#[test]
fn every_file_keeps_the_laws_of_sinks_wherever_a_kill_tears_it() {
    let dir = tempfile::tempdir().unwrap();
    for (format, read) in FORMATS {
        for compression in ["", ".gz", ".zst"] {
            let path = dir.path().join(format!("rows.{format}{compression}"));
            let feed = Feed::to(&*path);
            // The columns are known beforehand: the first record of a file may be the one that is torn.
            let feed = if *format == "csv" { feed.fields(["n", "text"]) } else { feed };
            let read = *read;
            check(&mut InFile { feed, path, read }, if compression.is_empty() { 120 } else { 40 });
        }
    }
}

/// A feed in several files, read in their order.
struct InFiles {
    feed: Feed,
    dir: PathBuf,
    read: ReadRows,
}

impl InFiles {
    fn paths(&self) -> Vec<PathBuf> {
        let mut paths: Vec<_> = fs::read_dir(&self.dir).unwrap().map(|file| file.unwrap().path()).collect();
        paths.sort();
        paths
    }
}

impl Subject for InFiles {
    fn open(&mut self, opening: Opening) -> Result<Box<dyn Sink>> {
        if opening == Opening::Fresh {
            // A new crawl does not mix its files with those of an earlier one, and says so.
            assert_eq!(self.feed.open_for("bot", opening, false).is_err(), !self.paths().is_empty());
            self.paths().iter().for_each(|path| fs::remove_file(path).unwrap());
        }
        self.feed.open_for("bot", opening, false)
    }

    fn read(&mut self) -> Vec<Row> {
        self.paths().iter().flat_map(|path| (self.read)(&content(path))).collect()
    }

    fn tear(&mut self, part: f64) {
        let Some(path) = self.paths().pop() else { return };
        let feed = Feed { to: path.clone(), ..self.feed.clone() }.roll(Roll::default());
        InFile { feed, path, read: self.read }.tear(part);
    }
}

#[test]
fn a_feed_of_several_files_keeps_the_laws_of_sinks_too() {
    let compressed: [(&str, ReadRows); 1] = [("jsonl.gz", lines)];
    for (format, read) in FORMATS.iter().chain(&compressed) {
        for (name, roll) in
            [("{batch}", Roll::items(3)), ("{batch}", Roll::bytes(200)), ("{domain}-{batch}", Roll::items(1))]
        {
            let dir = tempfile::tempdir().unwrap();
            let feed = Feed::to(dir.path().join(format!("{name}.{format}"))).fields(["n", "text"]).roll(roll);
            check(&mut InFiles { feed, dir: dir.path().to_owned(), read: *read }, 30);
        }
    }
}

#[test]
fn what_no_feed_can_work_with_is_refused_before_it_is_opened() {
    let feed = || Feed::to("a-{batch}.csv");
    for (feed, why) in [
        (feed().roll(Roll::items(0)), "`roll.items` is 0"),
        (feed().roll(Roll::bytes(0)), "`roll.bytes` is 0"),
        (feed().roll(Roll::every(std::time::Duration::ZERO)), "`roll.every` is 0"),
        (feed().batch(Batch { items: 0, ..Batch::default() }), "`batch.items` is 0"),
        (feed().fields(["a", "b", "a"]), "`a` is twice"),
        (feed().fields(["a", ""]), "has no name"),
    ] {
        let refused = feed.check().unwrap_err().to_string();
        assert!(refused.starts_with("a-{batch}.csv") && refused.contains(why), "{refused}");
    }
    let known = ["url", "price"].map(str::to_owned);
    assert!(feed().fields(["url", "price.amount"]).check_for(&known).is_ok());
    for (feed, why) in [
        (feed().fields(["url", "prices"]), "no field `prices`; did you mean `price`? there are url, price"),
        (feed().types(["Product"]), "`types` names `Product`"),
        (Feed { only: [("lang".to_owned(), "en".to_owned())].into(), ..feed() }, "no field `lang`"),
    ] {
        let refused = feed.check_for(&known).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
}

/// Two crawls into one array once tore it, and the second emptied the lines of the first.
#[test]
fn a_file_has_one_writer_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    // Each refusal waits a second for a writer that is ending.
    for name in ["a.jsonl", "a.json.gz"] {
        let feed = Feed::to(dir.path().join(name)).fields(["n"]);
        let row = record(&json!({"n": 1}));
        let mut first = feed.open_for("bot", Opening::Fresh, false).unwrap();
        first.write(&row).unwrap();
        first.commit().unwrap();
        let there = content(&dir.path().join(name));
        for opening in [Opening::Fresh, Opening::Resumed] {
            let refused = feed.open_for("bot", opening, false).err().unwrap().to_string();
            assert!(refused.contains("another feed or crawl"), "{refused}");
        }
        assert_eq!(content(&dir.path().join(name)), there);
        assert!(feed.open_for("bot", Opening::Restarted, false).is_ok(), "the first may hang for ever");
        first.close().unwrap();
        assert!(feed.open_for("bot", Opening::Resumed, false).is_ok());
    }
}

/// A crawl once finished well whose file was gone.
#[cfg(unix)]
#[test]
fn what_is_written_to_a_removed_file_is_not_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.jsonl", "a.json", "a.csv", "a.xml", "a.jsonl.gz"] {
        let path = dir.path().join(name);
        let mut sink = Feed::to(&*path).open_for("bot", Opening::Fresh, false).unwrap();
        sink.write(&record(&json!({"n": 1}))).unwrap();
        sink.commit().unwrap();
        fs::remove_file(&path).unwrap();
        sink.write(&record(&json!({"n": 2}))).unwrap();
        let error = sink.commit().unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("it was removed"), "{error}");
        assert!(sink.close().is_err());
        let mut sink = Feed::to(&*path).open_for("bot", Opening::Fresh, false).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(sink.close().is_err(), "it is looked for at the end, too");
    }
}

#[test]
fn the_ending_says_the_format_and_an_unknown_one_is_refused_with_those_that_are_known() {
    let of = |name: &str| Feed::to(name).written_as();
    assert_eq!(of("a/items.JSONL").unwrap(), Format::JsonLines);
    assert_eq!(of("items.json.gz").unwrap(), Format::Json);
    assert_eq!((of("-").unwrap(), of("a.b/pipe").unwrap()), (Format::JsonLines, Format::JsonLines));
    let refused = of("items.xlsx").unwrap_err().to_string();
    assert!(refused.contains("`.xlsx`") && refused.contains(".csv, .xml"), "{refused}");
    #[cfg(not(feature = "object-store"))]
    {
        let refused =
            Feed::to("s3://bucket/items.csv").open_for("bot", Opening::Fresh, false).err().unwrap().to_string();
        assert!(refused.contains("needs the feature `object-store`"), "{refused}");
    }
    assert!(Feed::to("ftp://host/items.csv").open_for("bot", Opening::Fresh, false).is_err());
    let table: Feed = serde_json::from_value(json!({"to": "x", "format": "csv", "compression": "zst"})).unwrap();
    assert_eq!((table.written_as().unwrap(), table.compressed_by()), (Format::Csv, Some(Compression::Zstd)));
}

#[test]
fn a_url_of_a_file_is_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.jsonl");
    let mut sink = Feed::to(format!("file://{}", path.display())).open_for("bot", Opening::Fresh, true).unwrap();
    sink.write(&record(&1)).unwrap();
    assert_eq!(content(&path), "", "not committed");
    sink.close().unwrap();
    assert_eq!(content(&path), "1\n");
}

#[test]
fn given_fields_are_all_that_is_written_and_in_their_order() {
    let item = json!({"name": "tea", "price": {"amount": 3, "currency": "EUR"}, "more": 1});
    let dir = tempfile::tempdir().unwrap();
    for (name, expected) in [
        ("a.jsonl", "{\"price.amount\":3,\"price\":{\"amount\":3,\"currency\":\"EUR\"},\"name\":\"tea\"}\n"),
        #[cfg(feature = "csv")]
        ("a.csv", "price.amount,price,none,name\n3,\"{\"\"amount\"\":3,\"\"currency\"\":\"\"EUR\"\"}\",,tea\n"),
    ] {
        let path = dir.path().join(name);
        let feed = Feed::to(&*path).fields(["price.amount", "price", "none", "name"]);
        let mut sink = feed.open_for("bot", Opening::Fresh, false).unwrap();
        sink.write(&record(&item)).unwrap();
        sink.close().unwrap();
        assert_eq!(content(&path), expected);
    }
}

/// Parquet once kept the last of them.
#[test]
fn two_fields_of_one_name_are_refused_in_every_format_with_columns() {
    let twice = json!({"price": {"amount": 3}, "price.amount": 4});
    let names: &[&str] = &[
        #[cfg(feature = "csv")]
        "a.csv",
        #[cfg(feature = "sqlite")]
        "a.sqlite",
        #[cfg(feature = "parquet")]
        "a.parquet",
    ];
    for name in names {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = Feed::to(dir.path().join(name)).open(Opening::Fresh).unwrap();
        // The column is new at first, and known then.
        for _ in 0..2 {
            let refused = sink.write(&record(&twice)).unwrap_err();
            assert!(matches!(&refused, SinkError::Refused(why) if why.contains("`price.amount`")), "{name}: {refused}");
            sink.write(&record(&json!({"price": {"amount": 3}}))).unwrap();
            sink.commit().unwrap();
        }
        sink.close().unwrap();
    }
}

/// A disk that takes a part of a write and no more, as a full one does.
#[cfg(target_os = "linux")]
#[test]
fn what_a_full_disk_did_not_take_is_not_acknowledged_and_the_file_stays_whole() {
    let mut sink = Feed::to("/dev/full").format(Format::JsonLines).open_for("bot", Opening::Fresh, false).unwrap();
    sink.write(&record(&1)).unwrap();
    let error = sink.commit().unwrap_err();
    assert!(matches!(&error, SinkError::Broken(why) if why.contains("/dev/full cannot be written")), "{error}");
    sink.write(&record(&2)).unwrap();
    assert!(sink.commit().is_err(), "nothing is acknowledged after a loss");
}

#[test]
fn a_pipe_gets_the_end_of_an_array_when_the_feed_closes() {
    let (mut from, to) = std::io::pipe().unwrap();
    let path = PathBuf::from(format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&to)));
    let mut sink = Feed::to(path).format(Format::Json).open_for("bot", Opening::Fresh, true).unwrap();
    sink.write(&record(&1)).unwrap();
    sink.write(&record(&2)).unwrap();
    sink.close().unwrap();
    drop((sink, to));
    let mut text = String::new();
    from.read_to_string(&mut text).unwrap();
    assert_eq!(text, "[\n1,\n2\n]\n");
}

/// What a pipe reads after these records, with a restart of the pipeline between them.
#[cfg(unix)]
fn piped(format: Format, runs: &[&[serde_json::Value]]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let reader = std::thread::spawn({
        let path = path.clone();
        move || fs::read_to_string(path).unwrap()
    });
    let open = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let feed = Feed::to(&*path).format(format);
    for (number, records) in runs.iter().enumerate() {
        let opening = if number == 0 { Opening::Fresh } else { Opening::Restarted };
        let mut sink = feed.open_for("bot", opening, false).unwrap();
        for item in *records {
            sink.write(&record(item)).unwrap();
            sink.commit().unwrap();
        }
        // What was not committed is lost in a panic.
        if number + 1 == runs.len() {
            sink.close().unwrap();
        } else {
            sink.write(&record(&json!({"lost": 1}))).ok();
        }
    }
    drop(open);
    reader.join().unwrap()
}

/// Regression: the columns and the beginning of an array were forgotten with the sink.
#[cfg(unix)]
#[test]
fn a_pipe_goes_on_after_a_restart_as_it_has_begun() {
    let array =
        |text: String| serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap_or_else(|_| panic!("{text}"));
    assert_eq!(array(piped(Format::Json, &[&[], &[json!(1)], &[json!(2)]])), [1, 2]);
    assert_eq!(array(piped(Format::Json, &[&[], &[]])), Vec::<serde_json::Value>::new());
    #[cfg(feature = "csv")]
    {
        let (whole, part) = ([json!({"a": 1, "b": 2, "c": 3})], [json!({"a": 1, "c": 3})]);
        assert_eq!(piped(Format::Csv, &[&whole, &part, &whole]), "a,b,c\n1,2,3\n1,,3\n1,2,3\n");
        assert_eq!(piped(Format::Csv, &[&[], &part]), "a,c\n1,3\n");
    }
}
