//! The memory for many large bodies at once: the peak of a crawl in a separate process.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

mod network;

use std::{
    fs,
    io::{Read, Write},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use actix_crawler::prelude::*;
use network::{Server, settings};

const BODIES: usize = 32;
const LENGTH: usize = 9 << 20;

/// The test that crawls and measures in the child process.
const MEASURER: &str = "thirty_two_hostile_bodies_at_once_stay_under_the_memory_that_is_promised";

#[test]
fn thirty_two_hostile_bodies_at_once_stay_under_the_memory_that_is_promised() {
    if let Ok(address) = std::env::var("BODIES_AT") {
        return measure(&address);
    }
    let sent = AtomicUsize::new(0);
    let server = Server::start(move |mut stream, _| {
        let mut head = [0; 4096];
        let _ = stream.read(&mut head);
        let piece = vec![b'x'; 64 << 10];
        let mut send = || -> std::io::Result<()> {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n")?;
            (1..LENGTH / piece.len()).try_for_each(|_| stream.write_all(&piece))?;
            sent.fetch_add(1, Relaxed);
            // No body ends before all have come as far as they may.
            let began = Instant::now();
            while sent.load(Relaxed) < BODIES && began.elapsed() < Duration::from_secs(2) {
                thread::sleep(Duration::from_millis(10));
            }
            sent.fetch_add(BODIES, Relaxed);
            stream.write_all(&piece)
        };
        // The client may go.
        let _ = send();
    });
    let folder = tempfile::tempdir().unwrap();
    for purpose in ["record", "replay"] {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", MEASURER, "--nocapture"])
            .env("BODIES_AT", server.address.to_string())
            .env("BODIES_IN", folder.path())
            .env("BODIES_FOR", purpose)
            .output()
            .unwrap();
        let output = String::from_utf8(child.stdout).unwrap();
        let measured = output.lines().find_map(|line| line.split_once("measured ")).expect(&output).1;
        let (mebibytes, pages) = measured.split_once(' ').unwrap();
        println!("{purpose}: {mebibytes} MiB for {pages} bodies");
        assert_eq!(pages, BODIES.to_string(), "each comes in the end");
        assert!(mebibytes.parse::<u64>().unwrap() < 200, "{purpose}: {mebibytes} MiB");
    }
}

/// The child's part of the test.
fn measure(address: &str) {
    let sizes = Collect::new();
    let spider = |page: &Response| Ok(Parsed::new().item(page.body().len()));
    let crawler = Crawler::new(spider, "memorytest/1.0 (+https://example.org/bot)")
        .settings(settings())
        .resolve(format!("*.test:{address}"))
        .seeds((0..BODIES).map(|site| format!("http://site{site}.test/")))
        .allow_private()
        .ignore_robots()
        .pipeline(sizes.clone());
    let folder = std::env::var("BODIES_IN").unwrap();
    let crawler = match std::env::var("BODIES_FOR").as_deref() {
        Ok("replay") => crawler.replay(folder),
        _ => crawler.record(folder),
    };
    let report = crawler.run_blocking().unwrap();
    let whole = sizes.take().into_iter().filter(|length| *length == LENGTH).count();
    assert!(report.ledger_adds_up, "{report}");
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kibibytes: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    println!("\nmeasured {} {whole}", kibibytes >> 10);
}
