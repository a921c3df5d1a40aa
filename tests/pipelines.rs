//! Pipelines that hold several items, lose their output, or block: no page hangs, no row is lost, and the crawl ends
//! when it should.
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

mod crawls;
mod recorder;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use actix::{Actor, Context, Handler, ResponseFuture};
use actix_crawler::{
    Settings,
    pipeline::{Batched, Batching, Each, Flush, Pipeline, Running, Start, Steps},
    prelude::*,
    report::Ended,
};
use crawls::{MS, block_on, crawl, crawl_with, end_of, links, run, until};
use recorder::{Answer, Recorder};
use tokio::sync::oneshot::{Sender, channel};

#[cfg(feature = "disk")]
use std::fs;

/// Commits `size` items together, and records the size of each commit.
struct Batches {
    size: usize,
    held: Vec<(String, Sender<Result<(), PipelineError>>)>,
    commits: Arc<Mutex<Vec<Vec<String>>>>,
    panic_over: Option<&'static str>,
}

impl Batches {
    fn new(size: usize, commits: &Arc<Mutex<Vec<Vec<String>>>>) -> Self {
        Self { size, held: Vec::new(), commits: commits.clone(), panic_over: None }
    }

    fn commit(&mut self) {
        let (rows, waiting): (Vec<_>, Vec<_>) = self.held.drain(..).unzip();
        assert!(!rows.iter().any(|row| self.panic_over.is_some_and(|bad| row.ends_with(bad))), "no such row");
        if !rows.is_empty() {
            self.commits.lock().unwrap().push(rows);
        }
        waiting.into_iter().for_each(|reply| drop(reply.send(Ok(()))));
    }
}

impl Actor for Batches {
    type Context = Context<Self>;
}

impl Handler<Scraped<String>> for Batches {
    type Result = ResponseFuture<Result<(), PipelineError>>;

    fn handle(&mut self, row: Scraped<String>, _: &mut Self::Context) -> Self::Result {
        let (reply, committed) = channel();
        self.held.push(((*row).clone(), reply));
        if self.held.len() >= self.size {
            self.commit();
        }
        Box::pin(async { committed.await.unwrap_or(Err(PipelineError::Panicked)) })
    }
}

impl Handler<Flush> for Batches {
    type Result = ();

    fn handle(&mut self, _: Flush, _: &mut Self::Context) {
        self.commit();
    }
}

impl Handler<CrawlEnded> for Batches {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        assert!(self.held.is_empty(), "every page waits for its items, so none is left at the end");
        Ok(())
    }
}

fn seeds(pages: usize) -> impl Iterator<Item = String> {
    (0..pages).map(|n| format!("http://d{}.test/{n}", n % 20))
}

/// Regression: only sixteen items could wait, so a batch of a hundred never filled and every page timed out.
#[test]
fn a_batch_of_a_hundred_fills_where_as_many_pages_are_in_flight() {
    let site = Recorder::start(|_| Answer::ok(""));
    let commits = Arc::default();
    let batching = Arc::clone(&commits);
    let crawler = crawl(&site).concurrency(200).per_domain(20).seeds(seeds(500));
    let report = run(crawler.pipeline(Batching::new(100, move || Batches::new(100, &batching))));
    assert_eq!((report.pages(), report.failed()), (500, 0), "{report}");
    let sizes: Vec<_> = commits.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 500);
    assert!(sizes.contains(&100), "{sizes:?}");
}

#[test]
fn a_batch_that_cannot_fill_is_committed_when_every_page_waits_for_it() {
    let (site, begin) = (Recorder::start(|_| Answer::ok("")), Instant::now());
    let commits = Arc::default();
    let batching = Arc::clone(&commits);
    let crawler = crawl(&site).concurrency(8).per_domain(8).seeds(seeds(40));
    let report = run(crawler.pipeline(Batching::new(100, move || Batches::new(100, &batching))));
    assert_eq!((report.pages(), report.failed()), (40, 0), "{report}");
    assert!(report.complaints.is_empty(), "{report}");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert!(commits.lock().unwrap().iter().all(|rows| rows.len() <= 8));
}

/// Only those of pages that were done once counted, so that fewer items were reported than were in the output.
#[test]
fn an_item_that_is_acknowledged_counts_also_where_another_of_its_page_is_refused() {
    let site = Recorder::start(|_| Answer::ok(""));
    let written = Arc::new(AtomicU64::new(0));
    let counting = written.clone();
    let three = |page: &Response| Ok(Parsed::of((1..=3).map(|n| format!("{}{n}", page.url().path()))));
    let sink = Batched::new(1, Duration::ZERO, move |items: &[Arc<String>]| {
        if *items[0] == "/32" {
            return Err(PipelineError::refused("no such row"));
        }
        counting.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let crawler = crawl_with(three, &site, Settings::default()).seeds(seeds(4)).pipeline(sink);
    let report = run(crawler.steps(Steps::of::<String>().drop_if("first", |item| item.ends_with('1'))));
    assert_eq!((report.pages(), report.failed()), (3, 1), "{report}");
    let written = written.load(Ordering::SeqCst);
    assert_eq!((report.stats.items, written, report.stats.get("items/dropped/first")), (7, 7, 4), "{report}");
}

/// Regression: items that kept coming before the flush pause could delay the first until it timed out.
#[test]
fn a_slow_crawl_commits_what_it_has_long_before_the_timeout() {
    let site = Recorder::start(|_| Answer::ok(""));
    let commits = Arc::default();
    let batching = Arc::clone(&commits);
    let settings = Settings { pipeline_timeout: Duration::from_secs(2), ..Settings::default() };
    let seeds = (0..80).map(|n| format!("http://one.test/{n}"));
    let crawler = crawl_with(links, &site, settings).concurrency(200).per_domain(100).spacing(50 * MS).seeds(seeds);
    let report = run(crawler.pipeline(Batching::new(1_000, move || Batches::new(1_000, &batching))));
    assert_eq!((report.pages(), report.failed()), (80, 0), "{report}");
    assert!(commits.lock().unwrap().len() >= 4, "{:?}", commits.lock().unwrap());
}

#[test]
fn a_panic_over_a_batch_fails_the_page_of_the_bad_item_and_no_other() {
    let site = Recorder::start(|_| Answer::ok(""));
    let commits: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let batching = Arc::clone(&commits);
    let make = move || Batches { panic_over: Some("/33"), ..Batches::new(30, &batching) };
    let crawler = crawl(&site).concurrency(60).per_domain(20).seeds(seeds(90));
    let report = run(crawler.pipeline(Batching::new(30, make)));
    assert_eq!((report.pages(), report.failed(), report.stats.get("outcome/panic")), (89, 1, 1), "{report}");
    let mut rows: Vec<_> = commits.lock().unwrap().concat();
    rows.sort();
    rows.dedup();
    assert_eq!(rows.len(), 89);
}

/// A pipeline whose output breaks after some items.
#[derive(Clone)]
struct Breaks {
    after: u64,
    taken: Arc<AtomicU64>,
}

impl Actor for Breaks {
    type Context = Context<Self>;
}

impl Handler<Scraped<String>> for Breaks {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: Scraped<String>, _: &mut Self::Context) -> Self::Result {
        match self.taken.fetch_add(1, Ordering::SeqCst) >= self.after {
            true => Err(PipelineError::broken("the database has left")),
            false => Ok(()),
        }
    }
}

impl Handler<CrawlEnded> for Breaks {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

#[test]
fn an_output_that_is_gone_stops_the_crawl_and_costs_no_page() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/hangs" => Answer::ok("").after(Duration::from_secs(60)),
        _ => Answer::ok("").after(5 * MS),
    });
    let begin = Instant::now();
    let breaks = Breaks { after: 10, taken: Arc::default() };
    let crawler = crawl(&site).per_domain(4).seed("http://slow.test/hangs").seeds(seeds(200));
    let handle = crawler.pipeline(move || breaks.clone()).start().unwrap();
    let report = block_on(end_of(&handle));
    assert_eq!(report.ended, Ended::Failed, "{report}");
    assert_eq!(report.failure.as_deref(), Some("the database has left"), "{report}");
    // Pages whose items were accepted while the crawl ended are not done either; the next run fetches them again.
    assert!(report.pages() <= 10 && report.failed() == 0, "the pages stay queued: {report}");
    assert!(begin.elapsed() < Duration::from_secs(10), "what is in flight is not waited for: {:?}", begin.elapsed());
    assert!(report.to_string().contains("the database has left"));
}

/// Panics over the first items, and cannot be opened a second time.
struct OpensOnce;

impl Pipeline<String> for OpensOnce {
    fn start(&self, start: &Start) -> Result<Running<String>, Error> {
        if start.restarts() > 0 {
            return Err(Error::setting("shop", "the server is away"));
        }
        Pipeline::start(&Each::new(|_: &String| panic!("no such item")), start)
    }
}

/// Its pages were once settled as failed, as fast as they came.
#[test]
fn an_output_that_cannot_be_opened_again_stops_the_crawl_and_its_pages_stay_queued() {
    let site = Recorder::start(|_| Answer::ok("").after(5 * MS));
    let handle = crawl(&site).per_domain(4).seeds(seeds(200)).pipeline(OpensOnce).start().unwrap();
    let report = block_on(end_of(&handle));
    assert_eq!(report.ended, Ended::Failed, "{report}");
    let why = report.failure.as_deref().unwrap_or_default();
    assert!(why.contains("could not be started again") && why.contains("the server is away"), "{report}");
    assert_eq!((report.pages(), report.failed()), (0, 0), "the pages stay queued: {report}");
}

#[cfg(feature = "disk")]
#[test]
fn an_output_that_comes_back_has_every_page_when_the_crawl_is_resumed() {
    let site = Recorder::start(|_| Answer::ok(""));
    let dir = tempfile::tempdir().unwrap();
    let taken = Arc::<AtomicU64>::default();
    for (after, ended) in [(10, Ended::Failed), (u64::MAX, Ended::Finished)] {
        let breaks = Breaks { after, taken: taken.clone() };
        let crawler = crawl(&site).per_domain(4).seeds(seeds(60)).state(dir.path().join("state"));
        let handle = crawler.pipeline(move || breaks.clone()).start().unwrap();
        let report = block_on(end_of(&handle));
        assert_eq!(report.ended, ended, "{report}");
        assert_eq!(report.failed(), 0, "{report}");
    }
    let paths: std::collections::BTreeSet<_> = site.paths().into_iter().collect();
    assert_eq!(paths.len(), 60);
}

/// Regression: `create` emptied the file of earlier runs: 40 pages were done, and 30 lines were there.
#[cfg(all(feature = "disk", feature = "csv"))]
#[test]
fn files_of_a_crawl_that_is_resumed_go_on() {
    use actix_crawler::pipeline::Csv;
    let site = Recorder::start(|_| Answer::ok(""));
    let dir = tempfile::tempdir().unwrap();
    let (lines, csv) = (dir.path().join("items.jsonl"), dir.path().join("items.csv"));
    for pages in [7, 20, 40] {
        let spider = |page: &Response| {
            Ok(Parsed::new().item(std::collections::BTreeMap::from([("url", page.url().to_string())])))
        };
        let crawler = crawl_with(spider, &site, Settings::default()).max_pages(pages).seeds(seeds(40));
        let crawler = crawler.state(dir.path().join("state"));
        let handle = crawler.pipeline(JsonLines::create(&lines)).pipeline(Csv::create(&csv)).start().unwrap();
        block_on(end_of(&handle));
        let count = |path| fs::read_to_string(path).unwrap().lines().count() as u64;
        assert_eq!((count(&lines), count(&csv)), (pages, pages + 1));
        // As if the process had been killed in the middle of a record.
        for path in [&lines, &csv] {
            use std::io::Write;
            fs::File::options().append(true).open(path).unwrap().write_all(b"\"http://ha").unwrap();
        }
    }
}

/// Never returns.
fn block() -> ! {
    loop {
        thread::park();
    }
}

/// Blocks on its first item, for ever, and says so.
struct Blocks(Arc<AtomicBool>);

impl Actor for Blocks {
    type Context = Context<Self>;
}

impl Handler<Scraped<String>> for Blocks {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: Scraped<String>, _: &mut Self::Context) -> Self::Result {
        self.0.store(true, Ordering::SeqCst);
        block()
    }
}

impl Handler<CrawlEnded> for Blocks {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

/// Regression: the end waited for the pipeline's whole time-out: 300 s.
#[test]
fn an_abort_does_not_wait_for_a_pipeline_that_blocks() {
    let site = Recorder::start(|_| Answer::ok(""));
    block_on(async {
        let blocks = Arc::new(AtomicBool::new(false));
        let blocked = blocks.clone();
        let handle = crawl(&site).seeds(seeds(20)).pipeline(move || Blocks(blocked.clone())).start().unwrap();
        until("a page that waits for the pipeline", async || blocks.load(Ordering::SeqCst)).await;
        let begin = Instant::now();
        handle.abort().await;
        let report = end_of(&handle).await;
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
        assert_eq!(report.ended, Ended::Aborted, "{report}");
        assert!(report.complaints.iter().any(|said| said.contains("given up")), "{report}");
    });
}

/// Takes every item, and never closes.
struct NeverCloses {
    blocks: bool,
    is_closing: Arc<AtomicBool>,
}

impl Actor for NeverCloses {
    type Context = Context<Self>;
}

impl Handler<Scraped<String>> for NeverCloses {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: Scraped<String>, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

impl Handler<CrawlEnded> for NeverCloses {
    type Result = ResponseFuture<Result<(), PipelineError>>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        self.is_closing.store(true, Ordering::SeqCst);
        if self.blocks {
            block();
        }
        Box::pin(std::future::pending())
    }
}

/// Regression: an abort was heard before the last page only, and then waited for the pipeline's whole time-out.
#[test]
fn an_abort_is_heard_while_a_pipeline_closes() {
    let site = Recorder::start(|_| Answer::ok(""));
    for (blocks, is_stopped) in [(true, false), (false, false), (true, true)] {
        let is_closing = Arc::new(AtomicBool::new(false));
        let never = is_closing.clone();
        let crawler = crawl(&site).seeds(seeds(5)).stay_open();
        block_on(async {
            let crawler = crawler.pipeline(move || NeverCloses { blocks, is_closing: never.clone() });
            let handle = crawler.start().unwrap();
            until("the pages", async || handle.progress().await.is_ok_and(|progress| progress.pages == 5)).await;
            if is_stopped {
                handle.stop().await;
            } else {
                handle.close().await;
            }
            until("the pipeline is asked to close", async || is_closing.load(Ordering::SeqCst)).await;
            assert!(handle.report().is_none(), "it waits for the pipeline");
            let begin = Instant::now();
            handle.abort().await;
            let report = end_of(&handle).await;
            assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
            assert_eq!((report.ended, report.pages()), (Ended::Aborted, 5), "{report}");
            assert!(report.complaints.iter().any(|said| said.contains("given up")), "{report}");
        });
    }
}
