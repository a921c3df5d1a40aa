//! Crawls: how the behaviour tests crawl a recorder's hosts, and what they check after every crawl.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::{path::Path, sync::Arc, time::Duration};

use actix_crawler::{Conducts, Report, Settings, prelude::*, report::Ended};
use tokio::time::timeout;

use crate::recorder::Recorder;

pub const MS: Duration = Duration::from_millis(1);
pub const CONTACT: &str = "behaviourtest/1.0 (+https://example.org/bot)";

/// The time-out of every crawl here, on any machine.
const TIMEOUT: Duration = Duration::from_secs(60);

pub type Links = fn(&Response) -> Result<Parsed<String>>;

/// The spider of most tests: the page's URL is its item, and every link is followed.
pub fn links(page: &Response) -> Result<Parsed<String>> {
    Ok(Parsed::new().item(page.url().to_string()).follow(page.links()))
}

/// A crawl of all links, anywhere, at full speed: each test slows down what it is about. It shares its conduct with no
/// other crawl, since the tests of one process use the same names.
pub fn crawl(site: &Recorder) -> Crawler<Links> {
    crawl_with(links as Links, site, Settings::default())
}

pub fn crawl_with<S: Spider>(spider: S, site: &Recorder, settings: Settings) -> Crawler<S> {
    Crawler::new(spider, CONTACT)
        .settings(settings)
        .conducts(&Conducts::new())
        .resolve(site.rule())
        .allow_private()
        .ignore_robots()
        .rate(Rate::UNLIMITED)
        .within(Within::Any)
        .threads(2)
}

/// Crawls to the end; checks that nothing is left and every URL is accounted for.
pub fn run<S: Spider>(crawler: Crawler<S>) -> Arc<Report> {
    let handle = crawler.start().unwrap();
    let report = block_on(end_of(&handle));
    assert_eq!(report.ended, Ended::Finished, "{report}");
    let ledger = report.stats.ledger;
    assert_eq!((ledger.queued, ledger.leased), (0, 0), "{report}");
    report
}

/// Waits for the end of a crawl, for whatever reason.
pub async fn end_of(handle: &CrawlHandle) -> Arc<Report> {
    let Ok(report) = timeout(TIMEOUT, handle.wait()).await else {
        panic!("the crawl does not end: {:?}", timeout(Duration::from_secs(5), handle.stats()).await)
    };
    let report = report.expect("the crawl's thread lives until the report is there");
    assert!(report.ledger_adds_up, "{report}");
    report
}

/// Waits until a condition holds; `what` names it in the failure message.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(5 * MS).await;
        }
    };
    timeout(TIMEOUT, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A line of the crawl log.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Line {
    pub url: String,
    pub domain: String,
    pub outcome: String,
    #[serde(default)]
    pub detail: String,
    pub status: Option<u16>,
    pub attempt: u32,
    #[serde(rename = "final")]
    pub is_final: bool,
    pub depth: u32,
    pub parent: Option<String>,
}

pub fn read_log(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Crawls as [`run`] does, and returns the crawl log too.
pub fn run_logged<S: Spider>(crawler: Crawler<S>) -> (Arc<Report>, Vec<Line>) {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.jsonl");
    let report = run(crawler.log(&log));
    (report, read_log(&log))
}
