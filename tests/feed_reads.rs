//! What feeds read of their own files, counted by the system for this process: none is read again and again.

#![cfg(all(target_os = "linux", feature = "csv", feature = "disk"))]

mod crawls;
mod recorder;

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
};

use actix_crawler::{
    Settings,
    feed::{Feed, Opening, Record, Sink},
    prelude::*,
};
use crawls::{crawl_with, run};
use recorder::{Answer, Recorder};
use serde::Serialize;

/// How many bytes this process has read so far.
fn read() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

#[derive(Serialize)]
struct Row {
    url: String,
    text: String,
}

const MIB: u64 = 1 << 20;

/// One test, since the count is of the process. Each file that was closed to save open ones was read from its beginning
/// when more came for it, so that the work grew with the square of its length; and one that a crawl goes on with was
/// read twice.
#[test]
fn what_a_feed_has_written_is_not_read_again_and_a_file_that_goes_on_once() {
    const DOMAINS: usize = 80;
    const ROUNDS: usize = 30;
    let dir = tempfile::tempdir().unwrap();
    let mut sink = Feed::to(dir.path().join("{domain}.csv")).open(Opening::Fresh).unwrap();
    let before = read();
    for n in 0..DOMAINS * ROUNDS {
        let url = format!("https://www.d{}.test/{n}", n % DOMAINS);
        sink.write(&Record::of(&Row { url: url.clone(), text: "x,\n".repeat(1_300) }, url).unwrap()).unwrap();
        sink.commit().unwrap();
    }
    sink.close().unwrap();
    let taken = (read() - before) / MIB;
    let files = fs::read_dir(dir.path()).unwrap();
    let written: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    // The header of each, and what is buffered of it; all of each would be more than 100 MiB.
    assert!(written > 8 * MIB && taken < 40, "{taken} MiB are read for {} MiB that are written", written / MIB);

    let (site, dir) = (Recorder::start(|_| Answer::ok("")), tempfile::tempdir().unwrap());
    let page = |page: &Response| Ok(Parsed::of([Row { url: page.url().to_string(), text: "\"\n".repeat(9) }]));
    let at = dir.path().join("items.csv");
    let crawl = |seed: &str| {
        let crawler = crawl_with(page, &site, Settings::default()).state(dir.path().join("state")).seed(seed);
        run(crawler.pipeline(Feed::to(&*at)))
    };
    crawl("http://a.test/");
    let mut file = OpenOptions::new().append(true).open(&at).unwrap();
    let line = format!("http://a.test/1,\"{}\"\n", "x,\n".repeat(300));
    for _ in 0..8 * MIB as usize / line.len() {
        file.write_all(line.as_bytes()).unwrap();
    }
    // As a kill leaves it.
    file.write_all(b"http://a.test/2,\"half").unwrap();
    drop(file);
    let before = read();
    crawl("http://a.test/2");
    let taken = (read() - before) / MIB;
    assert!((8..14).contains(&taken), "{taken} MiB are read of a file of 8 MiB");
    let text = fs::read_to_string(&at).unwrap();
    let last = format!("{line}http://a.test/2,\"{}\"\n", "\"\"\n".repeat(9));
    assert!(text.ends_with(&last), "the half is cut off");
}
