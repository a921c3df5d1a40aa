//! The niceness of a crawl's threads, as the system's own list of threads has it.

#![cfg(target_os = "linux")]

mod crawls;
mod recorder;

use std::{collections::BTreeMap, fs, path::Path};

use crawls::{block_on, crawl, end_of, until};
use recorder::{Answer, Recorder};

/// The name and the niceness of each thread of this process, by its path.
fn threads() -> BTreeMap<String, (String, i32)> {
    // `1234 (name) S 1 …`: the niceness is the 17th field after the name.
    let read = |path: &Path| {
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(") ")?;
        Some((path.display().to_string(), (name.to_owned(), fields.split(' ').nth(16)?.parse().ok()?)))
    };
    let paths = fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path());
    paths.filter_map(|path| read(&path)).collect()
}

#[test]
fn all_threads_of_a_nice_crawl_give_way_and_no_other_does() {
    let site = Recorder::start(|_| Answer::page(["/next"]));
    let directory = tempfile::tempdir().unwrap();
    let before = threads();
    let nice = before.values().map(|(_, niceness)| *niceness).max().unwrap().max(0) + 3;
    block_on(async {
        let crawler = crawl(&site).nice(u8::try_from(nice).unwrap()).stay_open().seed("http://a.test/");
        let handle = crawler.state(directory.path().join("state")).each(|_| ()).start().unwrap();
        until("two pages are done", async || handle.progress().await.unwrap().pages >= 2).await;
        let during = threads();
        let of_the_crawl = during.iter().filter(|(path, (name, _))| !before.contains_key(*path) && name != "recorder");
        let of_the_crawl: Vec<_> = of_the_crawl.map(|(_, thread)| thread).collect();
        assert!(of_the_crawl.len() >= 5, "{of_the_crawl:?}");
        assert!(of_the_crawl.iter().all(|(_, niceness)| *niceness == nice), "{of_the_crawl:?}");
        let is_as_before =
            |(path, before): (&String, &(String, i32))| during.get(path).is_none_or(|now| now.1 == before.1);
        assert!(before.iter().all(is_as_before), "{before:?}, {during:?}");
        handle.stop().await;
        end_of(&handle).await;
    });
}
