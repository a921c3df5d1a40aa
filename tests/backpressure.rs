//! Back-pressure: a slow pipeline means fewer requests, and memory does not grow with the crawl.

mod crawls;
mod recorder;

use std::{sync::Arc, time::Duration};

use actix::{Actor, Context, Handler, ResponseFuture};
use actix_crawler::{Settings, prelude::*};
use crawls::{MS, block_on, crawl, crawl_with, end_of, links, run, until};
use recorder::{Answer, Recorder};
use tokio::sync::Semaphore;

/// A pipeline that acknowledges only as many items as the test allows.
struct Slow(Arc<Semaphore>);

impl Actor for Slow {
    type Context = Context<Self>;
}

impl<I: 'static> Handler<Scraped<I>> for Slow {
    type Result = ResponseFuture<Result<(), PipelineError>>;

    fn handle(&mut self, _: Scraped<I>, _: &mut Self::Context) -> Self::Result {
        let gate = self.0.clone();
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            Ok(())
        })
    }
}

impl Handler<CrawlEnded> for Slow {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

#[test]
fn a_pipeline_that_does_not_answer_means_no_more_requests() {
    const AT_ONCE: usize = 8;
    let site = Recorder::start(|_| Answer::ok(""));
    let gate = Arc::new(Semaphore::new(0));
    let pipeline = gate.clone();
    let seeds = (0..200).map(|n| format!("http://d{}.test/{n}", n % 20));
    block_on(async {
        let crawler = crawl(&site).concurrency(AT_ONCE as u32).per_domain(4).seeds(seeds);
        let handle = crawler.pipeline(move || Slow(pipeline.clone())).start().unwrap();
        let mut answered = 0;
        for more in [0, 1, 5, 40] {
            gate.add_permits(more);
            answered += more;
            until("as many pages more", async || site.count() == answered + AT_ONCE).await;
            tokio::time::sleep(150 * MS).await;
            assert_eq!(site.count(), answered + AT_ONCE, "each place is one page, from its permit to its last item");
            let ledger = handle.progress().await.unwrap().ledger;
            assert_eq!((ledger.done, ledger.leased), (answered as u64, AT_ONCE as u64));
        }
        gate.add_permits(200);
        assert_eq!(end_of(&handle).await.pages(), 200);
    });
}

/// 200 MB of pages are available faster than the pipeline accepts them.
#[test]
fn memory_does_not_grow_with_what_a_slow_pipeline_has_not_taken() {
    const PAGES: u32 = 800;
    const PAGE: usize = 256 * 1024;
    let body = "x".repeat(PAGE);
    let site = Recorder::start(move |_| Answer::ok(body.clone()).header("content-type", "text/plain"));
    let gate = Arc::new(Semaphore::new(8));
    let (pipeline, feed) = (gate.clone(), gate.clone());
    std::thread::spawn(move || {
        for _ in 0..PAGES {
            std::thread::sleep(Duration::from_millis(3));
            feed.add_permits(1);
        }
    });
    let before = memory("VmRSS");
    let spider = |page: &Response| Ok(Parsed::new().item(page.body().clone()));
    let seeds = (0..PAGES).map(|n| format!("http://one.test/{n}"));
    let crawler = crawl_with(spider, &site, Settings::default()).concurrency(16).per_domain(16).seeds(seeds);
    let report = run(crawler.pipeline(move || Slow(pipeline.clone())));
    assert_eq!((report.pages(), report.stats.bytes), (u64::from(PAGES), u64::from(PAGES) * PAGE as u64), "{report}");
    let grown = memory("VmHWM").saturating_sub(before);
    // Sixteen pages in flight, each buffered a few times: 30 MB. All unaccepted pages would be 150 MB.
    assert!(grown < 80 << 20, "{} MiB", grown >> 20);
}

/// A line of this process's status, in bytes.
fn memory(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn a_frontier_that_is_full_drops_and_says_so() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page((0..500).map(|n| format!("/{n}"))),
        _ => Answer::ok(""),
    });
    let settings = Settings { max_queued: 100, ..Settings::default() };
    let report = run(crawl_with(links, &site, settings).seed("http://one.test/"));
    let ledger = report.stats.ledger;
    assert_eq!((ledger.discovered, ledger.done, ledger.dropped), (501, 101, 400), "{report}");
    assert_eq!(report.stats.get("drop/budget/queue_full"), 400);
}
