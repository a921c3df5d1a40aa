//! Tests of archives: what is written is read back, whatever happened to the writer; and what is hostile is refused
//! within bounds.

use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use flate2::{Compression, write::GzEncoder};
use tokio::runtime::Handle;

use super::*;
use crate::error::Error;

fn exchange(url: &str, body: &[u8]) -> Exchange {
    Exchange {
        url: url.to_owned(),
        began: SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456),
        server: Some(IpAddr::from([127, 0, 0, 1])),
        request: b"GET / HTTP/1.1\r\nhost: e.org\r\n\r\n".to_vec(),
        head: b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n".to_vec(),
        body: bytes::Bytes::copy_from_slice(body),
        truncated: None,
        notes: vec![("via", "https://e.org/\r\nfrom: x".to_owned())],
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn warcs(dir: &Path) -> Vec<PathBuf> {
    files(dir).into_iter().filter(|path| path.to_string_lossy().ends_with(".warc.gz")).collect()
}

/// The kinds of all records, with their blocks.
fn records(path: &Path) -> Vec<(Record, Vec<u8>)> {
    let mut reader = Reader::open(path).unwrap();
    let mut records = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        let mut block = Vec::new();
        reader.read_to_end(&mut block).unwrap();
        assert_eq!(block.len() as u64, record.length());
        records.push((record, block));
    }
    records
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn record_of(block: &str) -> String {
    format!("WARC/1.0\r\nWARC-Type: resource\r\nContent-Length: {}\r\n\r\n{block}\r\n\r\n", block.len())
}

/// Reads a file of these bytes to its end; returns the blocks, or why it cannot be read.
fn read(bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let mut reader = Reader::open(file.path()).unwrap();
    let mut blocks = Vec::new();
    loop {
        match reader.next_record() {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(blocks),
            Err(error) => {
                let text = error.to_string();
                assert!(text.starts_with(&*file.path().to_string_lossy()) && text.contains(", offset "), "{text}");
                assert!(reader.next_record().is_err(), "nothing follows damage");
                return Err(text.split_once(": ").unwrap().1.to_owned());
            }
        }
        let mut block = String::new();
        if reader.by_ref().take(1 << 20).read_to_string(&mut block).is_ok() {
            blocks.push(block);
        }
    }
}

/// Each page in flight once had a thread at work with an encoder, which was most of the memory of a crawl with an
/// archive.
#[test]
fn many_pages_at_once_are_archived_by_few_threads() {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let started = Arc::new(AtomicUsize::new(0));
    let counting = started.clone();
    let count = move || {
        counting.fetch_add(1, Ordering::SeqCst);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().on_thread_start(count).build().unwrap();
    let (dir, pages) = (tempfile::tempdir().unwrap(), 32 * processors);
    runtime.block_on(async {
        let archive = Archive::open(&Warc::to(dir.path()), &Handle::current()).unwrap();
        let write = |n: usize| {
            let body: Vec<u8> = (0..200_000_usize).map(|at| ((at * at * (n + 7)) >> 5).to_le_bytes()[0]).collect();
            archive.write(exchange(&format!("https://e.org/{n}"), &body))
        };
        let written = futures_util::future::join_all((0..pages).map(write).collect::<Vec<_>>()).await;
        assert!(written.into_iter().all(|written| written.is_ok()));
        assert_eq!(archive.close().await, Vec::<String>::new());
    });
    let [file] = &warcs(dir.path())[..] else { panic!("one") };
    assert_eq!(records(file).iter().filter(|(record, _)| record.kind() == "response").count(), pages);
    // A thread that has just ended its work may not be free yet.
    let started = started.load(Ordering::SeqCst);
    assert!(started <= 8 * processors, "{started} threads for {pages} pages, on {processors} processors");
}

#[tokio::test]
async fn an_exchange_is_three_records_after_the_one_about_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(&Warc::to(dir.path()).info("operator", "me"), &Handle::current()).unwrap();
    archive.introduce("testbot/1.0");
    archive.write(exchange("https://e.org/", b"body")).await.unwrap();
    assert!(warcs(dir.path()).is_empty(), "a file has its name when it is whole");
    assert_eq!(archive.close().await, Vec::<String>::new());
    let late = archive.write(exchange("https://e.org/late", b"body")).await;
    assert!(late.unwrap_err().ends_with("cannot be written any more: it is closed"));

    let [file] = &warcs(dir.path())[..] else { panic!("one") };
    let records = records(file);
    let kinds: Vec<_> = records.iter().map(|(record, _)| record.kind()).collect();
    assert_eq!(kinds, ["warcinfo", "response", "request", "metadata"]);
    let info = String::from_utf8(records[0].1.clone()).unwrap();
    assert!(info.contains("http-header-user-agent: testbot/1.0\r\n") && info.contains("operator: me\r\n"), "{info}");
    assert_eq!(records[0].0.field("warc-filename"), file.file_name().and_then(|name| name.to_str()));
    let (response, block) = &records[1];
    assert!(block.ends_with(b"\r\n\r\nbody"));
    assert_eq!(response.field("WARC-Date"), Some("2023-11-14T22:13:20.123456Z"));
    assert_eq!(response.field("WARC-IP-Address"), Some("127.0.0.1"));
    let id = response.field("WARC-Record-ID").unwrap();
    assert!(id.starts_with("<urn:uuid:") && id.len() == "<urn:uuid:>".len() + 36 && &id[24..25] == "4", "{id}");
    assert!(records[2..].iter().all(|(record, _)| record.field("WARC-Concurrent-To") == Some(id)));
    assert_eq!(records[3].1, b"via: https://e.org/  from: x\r\n", "no value makes a field of its own");
    assert_eq!(verify(file).unwrap(), Verified { records: 4, compared: 4, problems: Vec::new() });
}

#[tokio::test]
async fn a_payload_that_was_archived_is_referred_to_and_found_in_a_replay() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(&Warc::to(dir.path()), &Handle::current()).unwrap();
    let long = "a payload of some length, ".repeat(20);
    let mut cut = exchange("https://e.org/cut", long.as_bytes());
    cut.truncated = Some(Truncated::Disconnect);
    for exchange in [
        exchange("https://e.org/1", long.as_bytes()),
        exchange("https://e.org/2", long.as_bytes()),
        cut,
        exchange("https://e.org/3", b"short"),
        exchange("https://e.org/4", b"short"),
    ] {
        archive.write(exchange).await.unwrap();
    }
    archive.close().await;
    let [file] = &warcs(dir.path())[..] else { panic!("one") };
    let all = records(file);
    let of = |path: &str| {
        let is_it = |(record, _): &&(Record, Vec<u8>)| {
            record.url().is_some_and(|url| url.ends_with(path)) && ["response", "revisit"].contains(&record.kind())
        };
        all.iter().find(is_it).unwrap()
    };
    let (revisit, block) = of("/2");
    assert_eq!((revisit.kind(), revisit.field("WARC-Refers-To-Target-URI")), ("revisit", Some("https://e.org/1")));
    assert_eq!(revisit.field("WARC-Refers-To"), of("/1").0.field("WARC-Record-ID"));
    assert!(block.ends_with(b"\r\n\r\n"), "it has a head of its own");
    assert_eq!((of("/cut").0.kind(), of("/cut").0.field("WARC-Truncated")), ("response", Some("disconnect")));
    assert_eq!((of("/3").0.kind(), of("/4").0.kind()), ("response", "response"));

    for with_index in [true, false] {
        if !with_index {
            fs::remove_file(index::beside(file)).unwrap();
        }
        let replay = Collection::open(dir.path(), &Handle::current()).unwrap().unwrap();
        let opened = replay.find("https://e.org/2").await.unwrap().unwrap();
        let Archived { block, truncated, .. } = replay.read(opened).await.unwrap();
        assert!(block.ends_with(long.as_bytes()) && block.starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert_eq!(truncated, None);
        assert!(replay.find("https://e.org/none").await.unwrap().is_none());
    }
}

/// An older answer was once replayed, since the name of its file came later.
#[tokio::test]
async fn the_latest_answer_is_replayed_whatever_its_file_is_called_and_no_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let hour = Duration::from_secs(3_600);
    for (name, hours, status, body) in [
        ("c", 0, "200 OK", "first"),
        ("b", 2, "200 OK", "latest"),
        ("a", 1, "200 OK", "second"),
        ("d", 3, "304 Not Modified", ""),
        ("e", 4, "503 Service Unavailable", "later"),
    ] {
        let warc = Warc::to(dir.path()).file_name(format!("{name}-{{time}}-{{serial}}.warc.gz"));
        let archive = Archive::open(&warc, &Handle::current()).unwrap();
        let of = exchange("https://e.org/", body.as_bytes());
        let head = format!("HTTP/1.1 {status}\r\n\r\n").into_bytes();
        archive.write(Exchange { began: of.began + hours * hour, head, ..of }).await.unwrap();
        archive.close().await;
    }
    let replay = Collection::open(dir.path(), &Handle::current()).unwrap().unwrap();
    let opened = replay.find("https://e.org/").await.unwrap().unwrap();
    assert!(replay.read(opened).await.unwrap().block.ends_with(b"latest"));
}

/// Of two indexes, one with times in another spelling once made the older answer the later one.
#[tokio::test]
async fn the_latest_answer_is_replayed_however_an_index_spells_its_time() {
    // The times of the first index and the second; the second is an hour later.
    for (older, newer) in [("20231114221320", "2023-11-14T23:13:20Z"), ("20231114221320123", "20231114231320")] {
        let dir = tempfile::tempdir().unwrap();
        for (name, body, time) in [("b", "older", older), ("a", "newer", newer)] {
            let block = format!("HTTP/1.1 200 OK\r\n\r\n{body}");
            let head = "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://e.org/\r\n";
            let fields = format!("WARC-Date: 2023-11-14T22:13:20Z\r\nContent-Length: {}", block.len());
            let record = format!("{head}{fields}\r\n\r\n{block}\r\n\r\n");
            let path = dir.path().join(format!("{name}.warc.gz"));
            fs::write(&path, gzip(record.as_bytes())).unwrap();
            let index = write_index(&path).unwrap();
            let line = fs::read_to_string(&index).unwrap();
            assert!(line.contains(" 20231114221320 "), "{line}");
            fs::write(&index, line.replace(" 20231114221320 ", &format!(" {time} "))).unwrap();
        }
        let replay = Collection::open(dir.path(), &Handle::current()).unwrap().unwrap();
        let opened = replay.find("http://e.org/").await.unwrap().unwrap();
        assert!(replay.read(opened).await.unwrap().block.ends_with(b"newer"), "{older} {newer}");
    }
}

/// The page was once not found, since the record that has its body is the answer to a form.
#[tokio::test]
async fn a_payload_that_a_form_was_answered_with_is_found_for_the_page_that_refers_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(&Warc::to(dir.path()), &Handle::current()).unwrap();
    let long = "no results, ".repeat(40);
    let form = Exchange {
        request: b"POST / HTTP/1.1\r\nhost: e.org\r\n\r\n".to_vec(),
        ..exchange("https://e.org/search", long.as_bytes())
    };
    archive.write(form).await.unwrap();
    archive.write(exchange("https://e.org/page", long.as_bytes())).await.unwrap();
    archive.close().await;
    let replay = Collection::open(dir.path(), &Handle::current()).unwrap().unwrap();
    let opened = replay.find("https://e.org/page").await.unwrap().expect("it is in the archive");
    assert!(replay.read(opened).await.unwrap().block.ends_with(long.as_bytes()));
    assert!(replay.find("https://e.org/search").await.unwrap().is_none(), "nobody has asked for it by GET");
}

/// The last file of a crawl that was killed was once passed over.
#[tokio::test]
async fn a_file_that_a_kill_has_left_open_is_replayed_as_far_as_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(&Warc::to(dir.path()), &Handle::current()).unwrap();
    let url = |n: usize| format!("https://e.org/{n}");
    let mut ends = Vec::new();
    for n in 0..3 {
        let form = if n == 2 { &b"POST / HTTP/1.1\r\nhost: e.org\r\n\r\n"[..] } else { b"GET / HTTP/1.1\r\n\r\n" };
        archive.write(Exchange { request: form.to_vec(), ..exchange(&url(n), b"body") }).await.unwrap();
        ends.push(fs::metadata(&files(dir.path())[0]).unwrap().len());
    }
    let [open] = &files(dir.path())[..] else { panic!("one") };
    assert!(open.to_string_lossy().ends_with(".warc.gz.open"), "{open:?}");
    let bytes = fs::read(open).unwrap();
    for cut in ends[1]..=ends[2] {
        let killed = tempfile::tempdir().unwrap();
        fs::write(killed.path().join(open.file_name().unwrap()), &bytes[..usize::try_from(cut).unwrap()]).unwrap();
        let replay = Collection::open(killed.path(), &Handle::current()).unwrap().expect("it is an archive");
        for n in 0..2 {
            let opened = replay.find(&url(n)).await.unwrap().unwrap_or_else(|| panic!("{n} of {cut} bytes"));
            assert!(replay.read(opened).await.unwrap().block.ends_with(b"body"));
        }
        assert!(
            replay.find(&url(2)).await.unwrap().is_none(),
            "it was asked for by POST, which may be torn off: {cut}"
        );
    }
    drop(archive);
}

#[tokio::test]
async fn a_full_file_gets_its_index_while_the_next_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Warc::to(dir.path()).max_bytes(8_000).file_name("a-{serial}.warc.gz");
    let archive = Archive::open(&settings, &Handle::current()).unwrap();
    for n in 0..40 {
        let noise: Vec<u8> = (0..500).map(|_| fastrand::u8(..)).collect();
        archive.write(exchange(&format!("https://e.org/{}", 99 - n), &noise)).await.unwrap();
    }
    assert!(archive.close().await.is_empty());
    let files = warcs(dir.path());
    assert!(files.len() > 3 && files[0].ends_with("a-00000.warc.gz"), "{files:?}");
    let mut urls = 0;
    for file in &files {
        assert!(fs::metadata(file).unwrap().len() <= 8_000);
        assert_eq!(records(file)[0].0.kind(), "warcinfo");
        let lines = fs::read_to_string(index::beside(file)).unwrap();
        let lines: Vec<_> = lines.lines().collect();
        assert!(lines.is_sorted());
        let entries = index_of(file).unwrap();
        assert_eq!(index::read_beside(file).unwrap().len(), entries.len());
        for (line, entry) in lines.iter().zip(&entries) {
            assert_eq!(format!("{line}\n"), entry.line(&file.file_name().unwrap().to_string_lossy()));
            let mut reader = Reader::open_at(file, entry.offset).unwrap();
            assert_eq!(reader.next_record().unwrap().unwrap().url(), Some(&*entry.url));
            assert_eq!(reader.next_record().unwrap().unwrap().offset(), entry.offset + entry.length);
            urls += 1;
        }
    }
    assert_eq!(urls, 40);
}

/// As if the process had been killed at each byte of the last exchange.
#[tokio::test]
async fn a_file_that_was_left_open_is_cut_to_its_last_whole_record_and_closed() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Warc::to(dir.path()).file_name("a-{serial}.warc.gz");
    let open = || Archive::open(&settings, &Handle::current()).unwrap();
    let archive = open();
    for path in ["1", "2"] {
        archive.write(exchange(&format!("https://e.org/{path}"), b"body")).await.unwrap();
    }
    archive.close().await;
    let whole = fs::read(&warcs(dir.path())[0]).unwrap();
    let ends: Vec<_> = records(&warcs(dir.path())[0]).iter().map(|(record, _)| record.offset()).collect();
    for length in (0..whole.len()).step_by(97).chain([whole.len()]) {
        for file in files(dir.path()) {
            fs::remove_file(file).unwrap();
        }
        fs::write(dir.path().join("a-00000.warc.gz.open"), &whole[..length]).unwrap();
        drop(open());
        let records_left =
            ends.iter().skip(1).filter(|end| **end <= length as u64).count() + usize::from(length == whole.len());
        match &warcs(dir.path())[..] {
            [] => assert!(records_left < 2, "{length}"),
            [file] => {
                assert_eq!(records(file).len(), records_left, "{length}");
                assert!(index::beside(file).exists());
            }
            more => panic!("{more:?}"),
        }
        assert!(
            files(dir.path()).iter().all(|file| !file.to_string_lossy().ends_with(".open")),
            "an empty one is removed"
        );
    }
}

#[tokio::test]
async fn a_file_that_is_being_written_is_left_alone_and_one_that_is_damaged_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Warc::to(dir.path()).file_name("a-{serial}.warc.gz");
    let first = Archive::open(&settings, &Handle::current()).unwrap();
    first.write(exchange("https://e.org/1", b"body")).await.unwrap();
    let second = Archive::open(&settings, &Handle::current()).unwrap();
    second.write(exchange("https://e.org/2", b"body")).await.unwrap();
    first.write(exchange("https://e.org/3", b"body")).await.unwrap();
    assert!(first.close().await.is_empty() && second.close().await.is_empty());
    let counts: Vec<_> = warcs(dir.path()).iter().map(|file| records(file).len()).collect();
    assert_eq!(counts, [7, 4]);

    let (file, left) = (&warcs(dir.path())[0], dir.path().join("b.warc.gz.open"));
    fs::rename(file, &left).unwrap();
    OpenOptions::new().append(true).open(&left).unwrap().write_all(b"<html>\nno record").unwrap();
    drop(Archive::open(&settings, &Handle::current()).unwrap());
    assert_eq!(records(&dir.path().join("b.warc.gz")).len(), 7);
    assert_eq!(fs::read(dir.path().join("b.warc.gz.damaged")).unwrap(), b"<html>\nno record");
}

#[test]
fn files_of_other_writers_are_read() {
    let (one, two) = (record_of("one"), record_of("two"));
    let both = Ok(vec!["one".to_owned(), "two".to_owned()]);
    assert_eq!(read(format!("{one}{two}").as_bytes()), both, "plain");
    assert_eq!(read(&gzip(format!("{one}{two}").as_bytes())), both, "both in one member");
    assert_eq!(read(&[gzip(one.as_bytes()), gzip(b""), gzip(two.as_bytes())].concat()), both, "an empty member");
    assert_eq!(read(format!("\r\n{one}\n\n{two}").as_bytes()), both, "lines between them");
    // Each once took a frame of the stack.
    assert_eq!(read(&[gzip(one.as_bytes()), gzip(b"").repeat(100_000), gzip(two.as_bytes())].concat()), both);
    let folded = "WARC/0.18\nContent-Length : 1\nX: a\n b\n\nx";
    assert_eq!(read(folded.as_bytes()), Ok(vec!["x".to_owned()]));
    assert_eq!(read(b""), Ok(Vec::new()));
}

/// Their offsets are one, so the first record was taken for each.
#[test]
fn records_that_are_compressed_together_are_listed_but_not_indexed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.warc.gz");
    let info = "WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 0\r\n\r\n\r\n\r\n";
    let response =
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://e.org/\r\nContent-Length: 0\r\n\r\n\r\n\r\n";
    fs::write(&path, gzip(format!("{info}{response}").as_bytes())).unwrap();
    assert_eq!(records(&path).len(), 2);
    let refused = index_of(&path).unwrap_err().to_string();
    assert!(refused.contains("recompress"), "{refused}");
    fs::write(&path, [gzip(info.as_bytes()), gzip(response.as_bytes())].concat()).unwrap();
    assert_eq!(index_of(&path).unwrap().len(), 1);
}

#[tokio::test]
async fn a_url_is_found_however_another_writer_has_spelt_it_and_in_its_own_file() {
    let dir = tempfile::tempdir().unwrap();
    let response = |url: &str, body: &str| {
        let block = format!("HTTP/1.1 200 OK\r\n\r\n{body}");
        let head =
            format!("WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nContent-Length: {}", block.len());
        format!("{head}\r\n\r\n{block}\r\n\r\n")
    };
    let plain = response("HTTP://E.org", "home") + &response("http://e.org/a b?q=é#part", "odd");
    fs::write(dir.path().join("a.warc"), plain).unwrap();
    fs::write(dir.path().join("a.warc.gz"), gzip(response("http://e.org/other", "other").as_bytes())).unwrap();
    // The index beside both is of one of them.
    write_index(dir.path().join("a.warc.gz")).unwrap();
    let entries = index_of(dir.path().join("a.warc")).unwrap();
    assert!(entries.iter().any(|entry| entry.is_of("http://e.org/a%20b?q=%C3%A9")), "{entries:?}");
    let replay = Collection::open(dir.path(), &Handle::current()).unwrap().unwrap();
    for (url, body) in
        [("http://e.org/", "home"), ("http://e.org/a%20b?q=%C3%A9", "odd"), ("http://e.org/other", "other")]
    {
        let opened = replay.find(url).await.unwrap().unwrap_or_else(|| panic!("{url}"));
        assert!(replay.read(opened).await.unwrap().block.ends_with(body.as_bytes()), "{url}");
    }
}

#[test]
fn what_is_no_archive_is_refused_with_its_place_and_within_bounds() {
    let member = gzip(record_of("block").as_bytes());
    let mut wrong_checksum = member.clone();
    *wrong_checksum.iter_mut().rev().nth(6).unwrap() ^= 1;
    let endless = |line: &str| format!("WARC/1.0\r\n{}", line.repeat((2 << 20) / line.len()));
    for (bytes, why) in [
        (b"<html>".to_vec(), "begins with WARC/"),
        (b"WAR".to_vec(), "ends within a record"),
        (b"filedesc://a.arc 0.0.0.0 20200101000000 text/plain 76\n".to_vec(), "an ARC file"),
        (b"<html>\n".to_vec(), "begins with WARC/"),
        (b"WARC/1.0\r\nWARC-Type: resource\r\n\r\n".to_vec(), "without a Content-Length"),
        (b"WARC/1.0\r\nContent-Length: -1\r\n\r\n".to_vec(), "Content-Length is no length"),
        (b"WARC/1.0\r\nnothing\r\n\r\n".to_vec(), "without a colon"),
        (b"WARC/1.0\r\nContent-Length: 18446744073709551615\r\n\r\nblock".to_vec(), "ends within a record"),
        (endless("a: b\r\n").into_bytes(), "more than 1000 fields"),
        (endless("a").into_bytes(), "more than a MiB"),
        (gzip(&vec![b'a'; 64 << 20]), "begins with WARC/"),
        (gzip(&[&b"WARC/1.0"[..], &vec![b'a'; 64 << 20]].concat()), "more than a MiB"),
        (gzip(&vec![b'\n'; 64 << 20]), "empty lines without end"),
        (wrong_checksum, "checksum"),
        ([&member[..], b"\0\0\0"].concat(), ""),
        (member[..member.len() - 9].to_vec(), "ends within a record"),
    ] {
        let refused = read(&bytes).unwrap_err();
        assert!(refused.contains(why), "{refused}, not: {why}");
    }
    assert!(matches!(Reader::open("/nowhere"), Err(Error::File { .. })));
}

#[test]
fn damage_at_any_byte_is_told_or_harmless() {
    let whole = [gzip(record_of("one").as_bytes()), gzip(record_of("two").as_bytes())].concat();
    for at in 0..whole.len() {
        let _ = read(&whole[..at]);
        for flip in [1, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            if let Ok(blocks) = read(&damaged) {
                assert!(blocks.iter().all(|block| block == "one" || block == "two"), "{at} {blocks:?}");
            }
        }
    }
}

#[test]
fn a_digest_that_is_wrong_is_told_with_its_place() {
    let block = "HTTP/1.1 200 OK\r\n\r\nbody";
    let record = format!(
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: <http://e.org/>\r\nContent-Type: application/http\r\n\
         WARC-Payload-Digest: sha1:2222222222222222\r\nContent-Length: {}\r\n\r\n{block}\r\n\r\n",
        block.len()
    );
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(record.as_bytes()).unwrap();
    let Verified { compared, problems, .. } = verify(file.path()).unwrap();
    assert_eq!(compared, 1);
    assert!(
        problems[0].ends_with("offset 0: the payload digest of the response of http://e.org/ is another"),
        "{problems:?}"
    );
}

#[test]
fn settings_that_name_no_file_are_refused() {
    for name in ["a.warc.gz", "a-{serial}.warc", "../a-{serial}.warc.gz", "a-{serial}-{x}.warc.gz", ""] {
        let refused = Warc::to("d").file_name(name).check().unwrap_err().to_string();
        assert!(refused.starts_with("transport.archive.file_name: write a name with {serial}"), "{refused}");
    }
    assert!(Warc::to("d").check().is_ok() && Warc::to("d").info("is part of", "x").check().is_err());
}
