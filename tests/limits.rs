//! Limits: how many pages and requests a crawl may have, and what counts.

mod crawls;
mod recorder;

use actix_crawler::{
    Retry, Settings,
    middleware::{Refuse, before_request},
    prelude::*,
};
use crawls::{MS, crawl, crawl_with, run};
use recorder::{Answer, Recorder};

/// Regression: if most responses were errors and redirects, ten pages took 110 requests, without a bound.
#[test]
fn a_limit_of_requests_counts_redirects_errors_and_retries() {
    let site = Recorder::start(|asked| {
        let page: u32 = asked.path.trim_start_matches('/').parse().unwrap();
        match page % 4 {
            0 => Answer::page([format!("/{}", page + 1), format!("/{}", page + 2), format!("/{}", page + 3)]),
            1 => Answer::status(404),
            2 => Answer::redirect(format!("/{}", page + 2)),
            _ => Answer::status(500),
        }
    });
    let retry = Retry { base: 10 * MS, ..Retry::default() };
    for (limit, at_once) in [(1, 1), (25, 1), (25, 8), (64, 8)] {
        let before = site.count();
        let settings = Settings { retry: retry.clone(), ..Settings::default() };
        let crawler = crawl_with(crawls::links, &site, settings).per_domain(at_once).max_requests(limit);
        let report = run(crawler.seed("http://one.test/0"));
        assert_eq!((site.count() - before) as u64, limit, "{report}");
        assert!(report.stats.get("drop/budget/requests") > 0, "{report}");
    }
}

/// Regression: what a middleware refused before it was sent used the limit up.
#[test]
fn a_limit_of_requests_does_not_count_what_is_not_sent() {
    let site = Recorder::start(|_| Answer::ok(""));
    let refuse = before_request("picky", |request, _| match request.url.path().starts_with("/no") {
        true => Err(Refuse::new("not this one")),
        false => Ok(()),
    });
    let pages = ["no1", "no2", "no3", "no4", "1", "2", "3", "4"].map(|page| format!("http://one.test/{page}"));
    let report = run(crawl(&site).per_domain(1).middleware(refuse).max_requests(3).seeds(pages));
    assert_eq!((site.count(), report.stats.get("outcome/ignored")), (3, 4), "{report}");
}

#[test]
fn a_status_that_the_spider_accepts_is_a_page_and_is_not_tried_again() {
    struct Accepts500(bool);

    impl Spider for Accepts500 {
        type Item = String;

        fn parse(&self, page: &Response) -> Result<Parsed<String>> {
            Ok(Parsed::new().item(page.status().to_string()))
        }

        fn accepts(&self, status: u16) -> bool {
            status == 200 || (self.0 && status == 500)
        }
    }
    for (accepts, requests, pages) in [(true, 1, 1), (false, 3, 0)] {
        let site = Recorder::start(|_| Answer::status(500));
        let retry = Retry { base: 10 * MS, ..Retry::default() };
        let settings = Settings { retry, ..Settings::default() };
        let items = Collect::new();
        let crawler = crawl_with(Accepts500(accepts), &site, settings).pipeline(items.clone());
        let report = run(crawler.seed("http://one.test/"));
        assert_eq!((site.count(), report.pages(), items.take().len() as u64), (requests, pages, pages), "{report}");
    }
}

/// The robots file that a page waits for redirects, and no permit is granted for the target.
#[test]
fn a_crawl_that_has_its_pages_ends_although_a_robots_file_is_on_its_way() {
    let site = Recorder::start(|asked| match (asked.host.as_str(), asked.path.as_str()) {
        ("late.test", "/robots.txt") => Answer::redirect("/moved.txt").after(300 * MS),
        (_, "/robots.txt" | "/moved.txt") => Answer::status(404),
        _ => Answer::ok(""),
    });
    let mut crawler = crawl(&site).max_pages(1).seed("http://late.test/").seed("http://one.test/");
    crawler = crawler.politeness(actix_crawler::Politeness::default());
    let report = run(crawler);
    assert_eq!((report.pages(), report.stats.get("drop/budget/pages")), (1, 1), "{report}");
}

#[test]
fn the_limit_that_ended_a_crawl_is_named_at_its_first_end() {
    let site = Recorder::start(|_| Answer::page(["/1", "/2", "/3"]));
    for (crawler, why) in [
        (crawl(&site).max_pages(2), "max_pages() of 2 is reached; 2 URLs beyond it dropped"),
        (crawl(&site).max_requests(2), "max_requests() of 2 is reached; 2 URLs beyond it dropped"),
        (crawl(&site).domain("one.test", DomainSettings::new().max_pages(2)), "max_pages of a domain"),
    ] {
        let report = run(crawler.seed("http://one.test/"));
        assert!(report.stop_reason.as_deref().is_some_and(|told| told.contains(why)), "{report}");
        assert!(report.to_string().contains(&format!("ended: {}", report.stop_reason.as_deref().unwrap())), "{report}");
        assert!(report.warnings.is_empty(), "what was asked for is no warning: {report}");
    }
    let report = run(crawl(&site).max_pages(4).seed("http://one.test/"));
    assert_eq!((report.pages(), report.stop_reason.as_deref()), (4, None), "it held nothing back: {report}");
}
