//! Supervision: foreign code that panics, blocks or never returns fails its page, once, and nothing else is lost.
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

mod crawls;
mod recorder;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use actix::{Actor, Context, Handler, ResponseFuture};
use actix_crawler::{
    Politeness, Report, Retry, Settings,
    pipeline::{Pipeline, Running, Start},
    politeness::DomainKey,
    prelude::*,
    report::Ended,
};
use crawls::{Line, MS, block_on, crawl, crawl_with, end_of, links, run, run_logged};
use recorder::{Answer, Recorder};

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// A site of ten pages linked from the first; `/3` goes wrong.
fn site() -> Recorder {
    Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page((1..10).map(|n| format!("/{n}"))),
        _ => Answer::page(["/"]).after(5 * MS),
    })
}

const SEED: &str = "http://one.test/";

fn is_bad(url: &str) -> bool {
    url.ends_with("/3")
}

/// Settings with short time-outs.
fn short_timeouts() -> Settings {
    Settings { parse_timeout: 300 * MS, pipeline_timeout: 300 * MS, ..Settings::default() }
}

/// One page of ten has failed, once, and said why.
fn assert_only_the_bad_page_failed((report, log): &(Arc<Report>, Vec<Line>), outcome: &str, detail: &str) {
    assert_eq!((report.pages(), report.failed()), (9, 1), "{report}");
    assert_eq!(report.stats.get(&format!("outcome/{outcome}")), 1, "{report}");
    let bad: Vec<_> = log.iter().filter(|line| is_bad(&line.url)).collect();
    assert_eq!((bad.len(), bad[0].outcome.as_str(), bad[0].is_final), (1, outcome, true), "{bad:?}");
    assert!(bad[0].detail.contains(detail), "{bad:?}");
}

#[test]
fn a_panic_in_parse_fails_its_page_and_no_other() {
    let site = site();
    let spider = |page: &Response| {
        assert!(!is_bad(page.url().as_str()), "the spider cannot bear {}", page.url());
        links(page)
    };
    let ended = run_logged(crawl_with(spider, &site, Settings::default()).per_domain(4).seed(SEED));
    assert_only_the_bad_page_failed(&ended, "panic", "the spider cannot bear");
    assert_eq!(site.count(), 10, "what panics is not tried again");
}

#[test]
fn a_crawl_whose_last_page_panics_ends() {
    let site = site();
    let spider = |_: &Response| -> Result<Parsed<()>> { panic!("every page") };
    let report = run(crawl_with(spider, &site, Settings::default()).seed(SEED));
    assert_eq!((report.pages(), report.failed(), site.count()), (0, 1, 1), "{report}");
}

#[test]
fn a_parse_that_never_returns_costs_its_page_and_a_thread() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page((1..30).map(|n| format!("/{n}"))),
        _ => Answer::ok(""),
    });
    let spider = |page: &Response| {
        // Three of thirty: more than are parsed at once.
        if page.url().path().ends_with('3') {
            thread::sleep(FOR_EVER);
        }
        links(page)
    };
    let (report, log) = run_logged(crawl_with(spider, &site, short_timeouts()).per_domain(8).seed(SEED));
    assert_eq!((report.pages(), report.failed(), report.stats.get("outcome/parse")), (27, 3, 3), "{report}");
    let told = log.iter().filter(|line| line.detail == "parse did not return within 300ms").count();
    assert_eq!(told, 3, "{log:?}");
}

/// Regression: the lost thread kept its body's memory reservation for ever, until no other large body could be
/// received.
#[test]
fn a_parse_that_never_returns_leaves_the_memory_of_its_body_to_the_others() {
    let large = "x".repeat(300 << 10);
    let site = Recorder::start(move |asked| match asked.path.as_str() {
        "/" => Answer::page((1..10).map(|n| format!("/{n}"))),
        _ => Answer::ok(large.clone()),
    });
    let spider = |page: &Response| {
        if is_bad(page.url().as_str()) {
            thread::sleep(FOR_EVER);
        }
        links(page)
    };
    let mut settings = short_timeouts();
    // One large body at a time.
    settings.transport.body.max_in_flight_bytes = 1;
    settings.transport.deadlines = settings.transport.deadlines.within(3_000 * MS);
    let ended = run_logged(crawl_with(spider, &site, settings).per_domain(4).seed(SEED));
    assert_only_the_bad_page_failed(&ended, "parse", "parse did not return");
}

/// A spider whose `accepts` and errors panic too.
struct Fussy;

impl Spider for Fussy {
    type Item = String;

    fn parse(&self, page: &Response) -> Result<Parsed<String>> {
        links(page)
    }

    fn accepts(&self, status: u16) -> bool {
        assert_ne!(status, 418, "no teapots");
        status == 200
    }
}

#[test]
fn a_panic_in_what_a_spider_accepts_fails_its_page() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page((1..10).map(|n| format!("/{n}"))),
        "/3" => Answer::status(418),
        _ => Answer::ok(""),
    });
    let ended = run_logged(crawl_with(Fussy, &site, Settings::default()).per_domain(4).seed(SEED));
    assert_only_the_bad_page_failed(&ended, "panic", "no teapots");
}

#[test]
fn a_domain_key_that_panics_leaves_the_registrable_domain() {
    let site = site();
    let key = |url: &url::Url| {
        assert!(!is_bad(url.as_str()), "no name for that");
        "all".to_owned()
    };
    let politeness = Politeness { domain_key: DomainKey::By(Arc::new(key)), ..Politeness::default() };
    let report = run(crawl(&site).politeness(politeness).ignore_robots().spacing(MS).seed(SEED));
    assert_eq!((report.pages(), report.failed()), (10, 0), "{report}");
    let domains: Vec<&str> = report.stats.domains.keys().map(|domain| domain.as_str()).collect();
    assert_eq!(domains, ["all", "one.test"]);
}

/// An item that panics when it is dropped, on the network's own thread.
#[derive(Debug)]
struct Mine(bool);

impl Drop for Mine {
    fn drop(&mut self) {
        assert!(!self.0 || thread::panicking(), "a mine");
    }
}

/// Regression: the crawl learned that the last page was given back before it learned that its fetcher was free, which
/// it noticed only a minute later. What happened to such a page is unknown, so it is retried like any other, and fails
/// once after the last attempt.
#[test]
fn a_panic_in_the_fetcher_fails_its_page_after_the_last_attempt() {
    let site = site();
    let spider = |page: &Response| {
        let mine = Mine(is_bad(page.url().as_str()));
        Ok(Parsed::new().item(mine).follow(page.links()))
    };
    let (report, log) = run_logged(crawl_with(spider, &site, Settings::default()).per_domain(4).seed(SEED));
    assert_eq!((report.pages(), report.failed()), (9, 1), "{report}");
    assert_eq!((report.stats.get("fetcher/lost"), report.stats.get("outcome/panic")), (3, 1), "{report}");
    assert_eq!(site.paths().iter().filter(|path| is_bad(path)).count(), 3);
    assert_eq!(log.iter().filter(|line| is_bad(&line.url) && line.is_final && line.outcome == "panic").count(), 1);
}

#[test]
fn a_crawl_whose_last_page_panics_the_fetcher_ends() {
    let site = site();
    let settings = || Settings { retry: Retry { attempts: 1, ..Retry::default() }, ..Settings::default() };
    for _ in 0..20 {
        let spider = |_: &Response| Ok(Parsed::new().item(Mine(true)));
        let report = run(crawl_with(spider, &site, settings()).seed(SEED));
        assert_eq!((report.pages(), report.failed()), (0, 1), "{report}");
        assert!(report.stats.elapsed < Duration::from_secs(20), "{report}");
    }
}

#[test]
fn a_panic_in_a_pipeline_fails_its_page_and_the_pipeline_goes_on() {
    let site = site();
    let kept = Collect::new();
    let crawler = crawl(&site)
        .per_domain(8)
        .pipeline(kept.clone())
        .each(|url: &String| assert!(!is_bad(url), "the pipeline cannot bear it"));
    let ended = run_logged(crawler.seed(SEED));
    assert_only_the_bad_page_failed(&ended, "panic", "the pipeline panicked");
    assert_eq!(ended.0.complaints.len(), 1, "{}", ended.0);
    assert!(ended.0.complaints[0].contains("restarted"), "{}", ended.0);
    let mut kept = kept.take();
    kept.sort();
    kept.dedup();
    assert!(kept.len() >= 9, "{kept:?}");
}

/// A pipeline that misbehaves as `Bad` says on the bad item only.
#[derive(Clone)]
struct Odd {
    does: Bad,
    taken: Arc<AtomicU32>,
}

#[derive(Clone, Copy, PartialEq)]
enum Bad {
    Blocks,
    NeverAnswers,
    Refuses,
    PanicsAtTheEnd,
    NeverAnswersTheEnd,
}

impl Odd {
    fn new(does: Bad) -> Self {
        Self { does, taken: Arc::default() }
    }
}

impl Actor for Odd {
    type Context = Context<Self>;
}

impl Handler<Scraped<String>> for Odd {
    type Result = ResponseFuture<Result<(), PipelineError>>;

    fn handle(&mut self, url: Scraped<String>, _: &mut Self::Context) -> Self::Result {
        match self.does {
            Bad::Blocks if is_bad(&url) => thread::sleep(FOR_EVER),
            Bad::NeverAnswers if is_bad(&url) => return Box::pin(std::future::pending()),
            Bad::Refuses if is_bad(&url) => {
                return Box::pin(std::future::ready(Err(PipelineError::refused("no room for it"))));
            }
            _ => {}
        }
        self.taken.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Handler<CrawlEnded> for Odd {
    type Result = ResponseFuture<Result<(), PipelineError>>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        assert!(self.does != Bad::PanicsAtTheEnd, "not the end");
        if self.does == Bad::NeverAnswersTheEnd {
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

fn run_odd(does: Bad) -> ((Arc<Report>, Vec<Line>), u32) {
    let site = site();
    let odd = Odd::new(does);
    let taken = odd.taken.clone();
    let crawler = crawl_with(links, &site, short_timeouts()).per_domain(8).pipeline(move || odd.clone());
    (run_logged(crawler.seed(SEED)), taken.load(Ordering::SeqCst))
}

/// Regression: items behind the one that blocks timed out with it, and their pages failed.
#[test]
fn a_pipeline_that_blocks_fails_the_page_over_which_it_blocks_and_no_other() {
    let (ended, taken) = run_odd(Bad::Blocks);
    assert_only_the_bad_page_failed(&ended, "pipeline", "did not answer within 300ms");
    assert!(taken >= 9, "{taken}");
    assert!(ended.0.complaints[0].contains("restarted"), "{}", ended.0);
}

#[test]
fn a_pipeline_that_never_answers_fails_the_page_that_waits_for_it() {
    let (ended, taken) = run_odd(Bad::NeverAnswers);
    assert_only_the_bad_page_failed(&ended, "pipeline", "did not answer within 300ms");
    assert!(taken >= 9, "{taken}");
}

/// The cost is a few time-outs, and not one for each page.
#[test]
fn a_pipeline_that_answers_nobody_any_more_does_not_hold_up_the_end() {
    let (site, begin) = (Recorder::start(|_| Answer::ok("")), Instant::now());
    let seeds = (0..64).map(|n| format!("http://one.test/{n}/3"));
    let odd = Odd::new(Bad::NeverAnswers);
    let crawler = crawl_with(links, &site, short_timeouts()).per_domain(64).pipeline(move || odd.clone());
    let report = run(crawler.seeds(seeds));
    assert_eq!((report.failed(), report.stats.get("outcome/pipeline")), (64, 64), "{report}");
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

/// Regression: the last of many items timed out behind the others, which restarted a working pipeline.
#[test]
fn a_page_of_many_items_is_no_reason_to_give_a_slow_pipeline_up() {
    let site = Recorder::start(|_| Answer::ok(""));
    let spider = |_: &Response| Ok((0..200).fold(Parsed::new(), Parsed::item));
    let settings = Settings { pipeline_timeout: Duration::from_secs(1), ..Settings::default() };
    let kept = Collect::new();
    let crawler = crawl_with(spider, &site, settings).pipeline(kept.clone()).each(|_: &i32| thread::sleep(8 * MS));
    let report = run(crawler.seed(SEED));
    assert_eq!((report.pages(), report.failed()), (1, 0), "{report}");
    assert!(report.complaints.is_empty() && kept.take().len() == 200, "{report}");
}

/// Starts once, and then blocks for ever.
struct StartsOnce(AtomicU32);

impl Pipeline<String> for StartsOnce {
    fn start(&self, start: &Start) -> Result<Running<String>, Error> {
        if self.0.fetch_add(1, Ordering::SeqCst) > 0 {
            thread::sleep(FOR_EVER);
        }
        Ok(Running::start(start, || Odd::new(Bad::Blocks)))
    }
}

/// Regression: the start blocked the fetchers with all their requests.
#[test]
fn a_pipeline_that_cannot_be_started_again_fails_pages_and_does_not_hold_up_the_end() {
    let (site, begin) = (site(), Instant::now());
    let crawler = crawl_with(links, &site, short_timeouts()).per_domain(8).pipeline(StartsOnce(AtomicU32::new(0)));
    let handle = crawler.seed(SEED).start().unwrap();
    let report = block_on(end_of(&handle));
    assert_eq!((report.ended, report.pages() + report.failed()), (Ended::Failed, 10), "{report}");
    assert!(report.failed() >= 1 && report.failed() == report.stats.get("outcome/pipeline"), "{report}");
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

#[test]
fn an_item_that_is_refused_fails_its_page_with_the_reason() {
    let (ended, taken) = run_odd(Bad::Refuses);
    assert_only_the_bad_page_failed(&ended, "pipeline", "no room for it");
    assert_eq!(taken, 9);
    assert!(ended.0.complaints.is_empty(), "{}", ended.0);
}

#[test]
fn a_crawl_whose_pipeline_fails_at_the_end_has_failed_and_the_report_says_why() {
    for (does, why) in [(Bad::PanicsAtTheEnd, "panicked"), (Bad::NeverAnswersTheEnd, "did not answer")] {
        let (site, odd) = (site(), Odd::new(does));
        let crawler = crawl_with(links, &site, short_timeouts()).per_domain(8).pipeline(move || odd.clone());
        let handle = crawler.seed(SEED).start().unwrap();
        let report = block_on(end_of(&handle));
        assert_eq!((report.ended, report.pages(), report.failed()), (Ended::Failed, 10, 0), "{report}");
        assert!(report.failure.as_ref().is_some_and(|said| said.contains(why)), "{report}");
        assert!(report.to_string().contains(why) && report.check().is_err());
    }
}

#[test]
fn a_pipeline_that_cannot_even_be_made_fails_pages_and_the_report_says_so() {
    let site = site();
    let make = || -> Odd { panic!("no pipeline today") };
    let handle = crawl_with(links, &site, short_timeouts()).per_domain(4).pipeline(make).seed(SEED).start().unwrap();
    let report = block_on(end_of(&handle));
    assert_eq!((report.ended, report.pages(), report.failed()), (Ended::Failed, 0, 1), "{report}");
    assert!(report.failure.is_some(), "{report}");
}
