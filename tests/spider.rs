//! What a spider can say beside items and links: it hears of failures, asks for another attempt, counts, and stops the
//! crawl.
#![allow(clippy::disallowed_methods, reason = "time is measured here")]

mod crawls;
mod recorder;

use std::{collections::BTreeSet, time::Duration};

use actix::{Actor, Context, Handler};
use actix_crawler::{Retry, Settings, any_error, prelude::*, report::Ended};
use crawls::{MS, block_on, crawl_with, end_of, run, run_logged};
use recorder::{Answer, Recorder};

const SEED: &str = "http://one.test/";

fn quick(attempts: u32) -> Settings {
    Settings { retry: Retry { attempts, base: MS, max: MS }, ..Settings::default() }
}

/// Takes each failed request for an item, and follows a link of its own from it.
struct LinkChecker;

impl Spider for LinkChecker {
    type Item = String;

    fn parse(&self, page: &Response) -> Result<Parsed<String>> {
        assert_ne!(page.url().path(), "/panics", "over this page");
        Ok(Parsed::new().follow(page.links()))
    }

    fn failed(&self, request: &Request, outcome: &Outcome) -> Parsed<String> {
        assert_ne!(request.url.path(), "/worse", "over this failure");
        let parent = request.parent.as_deref().unwrap_or("-");
        let parsed = Parsed::new().item(format!("{} {} from {parent}", request.url.path(), outcome.key()));
        if request.url.path() == "/gone" { parsed.follow(request.url.join("/instead").ok()) } else { parsed }
    }
}

#[test]
fn a_spider_hears_once_of_each_request_that_brought_no_page_and_its_links_are_followed() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page(["/gone", "/busy", "/moved", "/panics", "/dead", "/fine", "/worse"]),
        "/gone" => Answer::status(404),
        "/worse" => Answer::status(410),
        "/busy" => Answer::status(502),
        "/moved" => Answer::redirect("/"),
        "/dead" => Answer::hang_up(),
        _ => Answer::ok(""),
    });
    let items = Collect::new();
    let (report, log) = run_logged(crawl_with(LinkChecker, &site, quick(2)).pipeline(items.clone()).seed(SEED));
    let mut heard = items.take();
    heard.sort();
    let dead = heard.iter().find(|item| item.starts_with("/dead")).cloned().unwrap();
    assert_eq!(
        heard,
        [
            "/busy status from http://one.test/",
            dead.as_str(),
            "/gone status from http://one.test/",
            "/moved redirect from http://one.test/",
            "/panics panic from http://one.test/",
        ]
    );
    let paths: BTreeSet<String> = site.paths().into_iter().collect();
    assert!(paths.contains("/instead"), "{paths:?}");
    assert_eq!(site.paths().iter().filter(|path| *path == "/busy").count(), 2, "it was told after the last attempt");
    assert_eq!((report.pages(), report.failed(), report.stats.items), (3, 5, 5), "{report}");
    assert_eq!(report.stats.get("spider/failed_did_not_return"), 1, "{report}");
    let gone = log.iter().find(|line| line.url.ends_with("/gone")).unwrap();
    assert_eq!((gone.outcome.as_str(), gone.is_final), ("status", true), "it keeps its outcome");
}

/// Follows a link from each redirect: the target of the redirect decides whether it was seen, and not the link.
struct FromRedirects(&'static str);

impl Spider for FromRedirects {
    type Item = String;

    fn parse(&self, page: &Response) -> Result<Parsed<String>> {
        Ok(Parsed::new().follow(page.links()))
    }

    fn failed(&self, request: &Request, _: &Outcome) -> Parsed<String> {
        Parsed::new().follow(request.url.join(self.0).ok())
    }
}

#[test]
fn what_a_spider_follows_from_a_redirect_changes_nothing_about_its_target() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page(["/seen", "/to-seen", "/to-new"]),
        "/to-seen" => Answer::redirect("/seen").after(50 * MS),
        "/to-new" => Answer::redirect("/new").after(50 * MS),
        _ => Answer::ok(""),
    });
    // A link that is new, and one that was seen.
    for (link, pages) in [("/another", 4), ("/seen", 3)] {
        let (report, log) = run_logged(crawl_with(FromRedirects(link), &site, quick(1)).seed(SEED));
        assert_eq!(report.pages(), pages, "{link}: {report}");
        assert_eq!(report.stats.get("redirects/already_seen"), 1, "{link}: {report}");
        let targets: Vec<_> = report.stats.redirects_to_seen.iter().map(|target| target.url.as_str()).collect();
        assert_eq!(targets, ["http://one.test/seen"], "{link}: {report}");
        let told =
            |path: &str| log.iter().find(|line| line.url.ends_with(path)).unwrap().detail.contains("already seen");
        assert_eq!((told("/to-seen"), told("/to-new")), (true, false), "{link}: {log:?}");
    }
}

#[test]
fn a_spider_that_asks_for_another_attempt_gets_it_until_they_are_used_up() {
    let site = Recorder::start(|asked| match (asked.path.as_str(), asked.time) {
        ("/", 1) => Answer::ok("not yet"),
        ("/", _) => Answer::page(["/never"]),
        _ => Answer::ok("not yet"),
    });
    let spider = |page: &Response| -> Result<Parsed<String>> {
        if page.body_text() == "not yet" {
            let mut again = Parsed::retry(150 * MS, "it is not ready").item("lost".to_owned());
            again.count("not_yet");
            return Ok(again);
        }
        Ok(Parsed::new().item("page".to_owned()).follow(page.links()))
    };
    let items = Collect::new();
    let report = run(crawl_with(spider, &site, quick(3)).pipeline(items.clone()).seed(SEED));
    assert_eq!(site.paths(), ["/", "/", "/never", "/never", "/never"]);
    let asked = site.asked();
    assert!(asked[1].at - asked[0].at >= 150 * MS && asked[4].at - asked[3].at >= 150 * MS, "{asked:?}");
    assert_eq!(items.take(), ["page"], "what comes with a retry is dropped");
    assert_eq!((report.stats.get("failed/retry"), report.stats.get("spider/not_yet")), (1, 4), "{report}");
    assert!(report.to_string().contains("spider: it is not ready"), "{report}");
}

#[test]
fn a_spider_stops_the_crawl_and_the_report_says_why() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page((1..100).map(|n| format!("/{n}"))),
        _ => Answer::ok("").after(MS),
    });
    let spider = |page: &Response| -> Result<Parsed<String>> {
        let mut parsed = Parsed::new().item(page.url().to_string()).follow(page.links());
        if page.url().path() == "/5" {
            parsed.stop("the fifth is enough");
        }
        Ok(parsed)
    };
    let handle = crawl_with(spider, &site, Settings::default()).per_domain(1).seed(SEED).start().unwrap();
    let report = block_on(end_of(&handle));
    assert_eq!(
        (report.ended, report.stop_reason.as_deref()),
        (Ended::Stopped, Some("the spider says: the fifth is enough")),
        "{report}"
    );
    assert!(report.pages() >= 6 && report.stats.ledger.queued > 50, "{report}");
    assert!(report.to_string().contains("stopped: the spider says: the fifth is enough"), "{report}");
}

#[test]
fn a_spider_counts_by_names_of_its_own_and_made_up_names_are_bounded() {
    let site = Recorder::start(|_| Answer::ok(""));
    let spider = |page: &Response| -> Result<Parsed<()>> {
        let mut parsed = Parsed::new();
        parsed.count("no_price");
        for n in 0..40 {
            parsed.count(format!("{} {n}", page.url().path()).leak());
        }
        Ok(parsed)
    };
    let report = run(crawl_with(spider, &site, Settings::default()).seeds((0..50).map(|n| format!("{SEED}{n}"))));
    assert_eq!(report.stats.get("spider/no_price"), 50, "{report}");
    let names = report.stats.counts_below("spider");
    assert_eq!(names.iter().map(|(_, count)| count).sum::<u64>(), 50 * 41, "none is lost");
    assert!(names.len() <= 1_001 && report.stats.get("spider/others") > 0, "{}", names.len());
}

/// Leaves out every item that it has seen.
#[derive(Default)]
struct Distinct(BTreeSet<u32>);

impl Actor for Distinct {
    type Context = Context<Self>;
}

impl Handler<Scraped<u32>> for Distinct {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, item: Scraped<u32>, _: &mut Self::Context) -> Self::Result {
        if self.0.insert(*item) { Ok(()) } else { Err(PipelineError::dropped("it was seen")) }
    }
}

impl Handler<CrawlEnded> for Distinct {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

#[test]
fn an_item_that_a_pipeline_leaves_out_is_counted_and_harms_no_page() {
    let site = Recorder::start(|_| Answer::ok(""));
    let spider = |_: &Response| -> Result<Parsed<u32>> { Ok(Parsed::of([1, 2, 2, 3])) };
    let all = Collect::new();
    let crawler = crawl_with(spider, &site, Settings::default()).pipeline(Distinct::default).pipeline(all.clone());
    let report = run(crawler.seed(SEED));
    assert_eq!((report.pages(), report.failed()), (1, 0), "{report}");
    assert_eq!((report.stats.items, report.stats.get("items/dropped")), (3, 1), "{report}");
    assert_eq!(all.take(), [1, 2, 2, 3], "other pipelines have it");
}

#[test]
fn errors_of_any_type_fail_their_page() {
    let site = Recorder::start(|_| Answer::ok("three"));
    type Any = Box<dyn std::error::Error + Send + Sync>;
    let spider = |page: &Response| -> Result<Parsed<u32>, Any> { Ok(Parsed::of([page.body_text().parse()?])) };
    let (report, log) = run_logged(crawl_with(any_error(spider), &site, Settings::default()).seed(SEED));
    assert_eq!((report.failed(), log[0].outcome.as_str()), (1, "parse"), "{report}");
    assert!(log[0].detail.contains("invalid digit"), "{log:?}");

    let number = |page: &Response| -> Result<Parsed<u32>> { Ok(Parsed::of([page.body_text().parse::<u32>()?])) };
    let report = run(crawl_with(number, &site, Settings::default()).seed(SEED));
    assert_eq!(report.failed(), 1, "{report}");
}

#[test]
fn a_duration_of_a_retry_is_bounded_by_a_day() {
    let retry = Retry { attempts: 2, ..Retry::default() };
    let asked = Outcome::Retry { by: "spider", why: String::new(), after: Duration::MAX };
    assert_eq!(retry.after(&asked, 1, 0.0), Some(Duration::from_secs(86_400)));
    assert_eq!(retry.after(&asked, 2, 0.0), None);
}
