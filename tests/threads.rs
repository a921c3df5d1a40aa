//! Threads: a finished crawl leaves none behind. Alone in its process, so that only the crawl's threads are counted.
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

mod crawls;
mod recorder;

use std::{
    thread,
    time::{Duration, Instant},
};

use actix_crawler::{
    pipeline::{Pipeline, Running, Start},
    prelude::*,
};
use crawls::{MS, block_on, crawl, end_of, run, until};
use recorder::{Answer, Recorder};

/// The names of the threads of this process, but for the recorder's.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.ok()?.path().join("comm")).ok();
    let mut names: Vec<String> = tasks.filter_map(name).map(|name| name.trim().to_owned()).collect();
    names.retain(|name| name != "recorder");
    names.sort();
    names
}

/// A pipeline that is found to be impossible when the ones before it are running.
struct StartsNever;

impl Pipeline<String> for StartsNever {
    fn start(&self, _: &Start) -> Result<Running<String>> {
        Err(Error::Ended)
    }
}

#[test]
fn no_thread_is_left_behind_however_a_crawl_ends() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page((0..20).map(|n| format!("/{n}"))),
        "/hangs" => Answer::ok("").after(Duration::from_secs(20)),
        _ => Answer::ok(""),
    });
    let log = tempfile::tempdir().unwrap();
    let before = threads();
    for ends in ["finished", "pipeline panicked", "stopped", "aborted", "could not start"] {
        let crawler = crawl(&site).per_domain(4).threads(3).log(log.path().join("log.jsonl")).seed("http://one.test/");
        match ends {
            "finished" => drop(run(crawler.pipeline(Collect::new()))),
            "pipeline panicked" => drop(run(crawler.each(|url| assert!(!url.ends_with("/7"))))),
            "could not start" => {
                assert!(crawler.pipeline(JsonLines::create("/no/such/folder")).start().is_err());
                for _ in 0..5 {
                    let crawler = crawl(&site).log(log.path().join("log.jsonl")).seed("http://one.test/");
                    let started = crawler.pipeline(Collect::new()).each(|_| {}).pipeline(StartsNever).start();
                    assert!(started.is_err());
                }
            }
            _ => block_on(async {
                let asked = site.count();
                let hangs = if ends == "aborted" { "http://hangs.test/hangs" } else { "http://hangs.test/0" };
                let handle = crawler.seed(hangs).stay_open().start().unwrap();
                assert!(threads().len() > before.len(), "what is looked for can be seen");
                until("all is asked for", async || site.count() == asked + 22).await;
                if ends == "aborted" {
                    handle.abort().await
                } else {
                    handle.stop().await
                }
                end_of(&handle).await;
            }),
        }
        let begin = Instant::now();
        while threads().len() > before.len() {
            assert!(begin.elapsed() < Duration::from_secs(10), "{ends}: {before:?} became {:?}", threads());
            thread::sleep(10 * MS);
        }
    }
}
