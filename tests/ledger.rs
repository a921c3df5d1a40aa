//! Ledger: every discovered URL is accounted for, once, in the report and in the crawl log.

mod crawls;
mod recorder;

use std::collections::BTreeMap;

use actix_crawler::{Retry, Scope, Settings, prelude::*, settings::Traps};
use crawls::{Line, MS, block_on, crawl, crawl_with, end_of, links, run, run_logged};
use recorder::{Answer, Recorder};

/// How often each outcome, with its details, was the end of a URL.
fn ends(log: &[Line]) -> BTreeMap<(String, String), usize> {
    let mut ends = BTreeMap::new();
    for line in log.iter().filter(|line| line.is_final) {
        *ends.entry((line.outcome.clone(), line.detail.clone())).or_default() += 1;
    }
    ends
}

#[test]
fn each_reason_to_drop_is_counted_once_for_each_url_however_often_it_is_linked() {
    let long = format!("/docs/{}", "x".repeat(200));
    let site = Recorder::start(move |asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok("user-agent: *\ndisallow: /docs/private"),
        // Every other page repeats all of it.
        path => Answer::page([
            "/docs/a",
            "/docs/b#part",
            "ftp://one.test/no-link-to-a-page",
            "mailto:someone@one.test",
            "http://elsewhere.test/docs/",
            "/blog/1",
            "/blog/2",
            "/docs/old/1",
            "/docs/x/x/x/x/x",
            "/docs/calendar?day=1",
            "/docs/calendar?day=2",
            "/docs/calendar?day=3",
            "/docs/private/1",
            &long,
            if path == "/docs/a" { "/docs/deeper" } else { "/docs/b" },
            if path == "/docs/deeper" { "/docs/too-deep" } else { "/docs/b" },
        ]),
    });
    let scope = Scope {
        within: Within::Host,
        paths: vec!["/docs/".into()],
        deny: vec!["/old/".parse().unwrap()],
        max_depth: Some(2),
        max_url_length: 100,
        traps: Traps { max_queries_per_path: 2, ..Traps::default() },
        ..Scope::default()
    };
    let politeness = actix_crawler::Politeness::default();
    let crawler = crawl(&site).politeness(politeness).spacing(MS).scope(scope).seed("http://one.test/docs/");
    let (report, log) = run_logged(crawler);
    let dropped: Vec<_> = report.stats.counts.iter().filter(|(key, _)| key.starts_with("drop/")).collect();
    let expected = [
        ("robots/disallowed", 1),
        ("scope/depth", 1),
        ("scope/host", 1),
        ("scope/path", 2),
        ("scope/rule", 1),
        ("scope/url_length", 1),
        ("trap/repeating_path", 1),
        ("trap/too_many_queries", 1),
    ]
    .map(|(key, count)| (format!("drop/{key}"), count));
    assert_eq!(dropped, expected.iter().map(|(key, count)| (key, count)).collect::<Vec<_>>(), "{report}");
    let ledger = report.stats.ledger;
    assert_eq!((ledger.done, ledger.dropped, ledger.discovered), (6, 9, 15), "{report}");
    let logged = log.iter().filter(|line| line.is_final && line.attempt == 0);
    let logged: Vec<String> = logged.map(|line| format!("{}/{}", line.outcome, line.detail)).collect();
    for (key, count) in &expected {
        assert_eq!(logged.iter().filter(|key_of| key.ends_with(*key_of)).count() as u64, *count, "{key}: {logged:?}");
    }
}

#[test]
fn one_page_has_one_url_however_it_is_written() {
    let site = Recorder::start(|_| {
        Answer::page([
            "/a",
            "/a#part",
            "/a?",
            "/./a",
            "/b/../a",
            "/%61",
            "a",
            "//one.test/a",
            "HTTP://ONE.test:80/a",
            "http://one.test/a#",
            " /a ",
            "/A",
            "/a/",
            "/a?x",
        ])
    });
    let report = run(crawl(&site).per_domain(4).seeds(["http://one.test", "http://one.test/", "http://one.test/#top"]));
    // An empty query is a query (RFC 3986 §6.2.3).
    let expected = ["/", "/A", "/a", "/a/", "/a?", "/a?x"].map(|path| format!("http://one.test{path}"));
    // `/a/a` is reached from `/a/`, and is another page.
    let urls: Vec<String> = site.sorted_urls().into_iter().filter(|url| !url.ends_with("/a/a")).collect();
    assert_eq!(urls, expected, "{report}");
    assert_eq!(report.stats.ledger.discovered, site.count() as u64);
}

#[test]
fn what_asks_not_to_be_filtered_is_fetched_each_time_and_counted_each_time() {
    let site = Recorder::start(|_| Answer::page(["/"]));
    let again = || Request::parse("http://one.test/").unwrap().dont_filter();
    let crawler = crawl(&site).seed("http://one.test/").request(again()).request(again()).seed("http://one.test/");
    let report = run(crawler);
    assert_eq!(site.count(), 3);
    let ledger = report.stats.ledger;
    assert_eq!((ledger.discovered, ledger.done), (3, 3), "{report}");
}

#[test]
fn requests_that_differ_in_method_or_body_are_different() {
    let site = Recorder::start(|_| Answer::ok(""));
    let url = || "http://one.test/form".parse::<url::Url>().unwrap();
    let crawler = crawl(&site)
        .request(Request::get(url()))
        .request(Request::post(url(), "a=1"))
        .request(Request::post(url(), "a=2"))
        .request(Request::post(url(), "a=1"));
    run(crawler);
    let mut asked: Vec<_> = site.asked().into_iter().map(|asked| (asked.method, asked.body)).collect();
    asked.sort();
    let expected = [("GET", ""), ("POST", "a=1"), ("POST", "a=2")];
    assert_eq!(asked, expected.map(|(method, body)| (method.to_owned(), body.as_bytes().to_vec())));
}

/// A site of 200 URLs on which everything happens that can: each URL has one last line in the log, and the log's sums
/// equal the ledger's.
#[test]
fn the_crawl_log_has_one_last_line_for_each_url_and_says_what_the_ledger_says() {
    let site = Recorder::start(|asked| match (asked.path.as_str(), asked.time) {
        ("/robots.txt", _) => Answer::ok("user-agent: *\ndisallow: /forbidden"),
        ("/", _) => Answer::page((0..20).flat_map(|n| {
            ["page", "gone", "fails", "recovers", "dies", "redirect", "loop", "forbidden", "panic", "refused-item"]
                .map(|what| format!("/{what}/{n}"))
        })),
        (path, time) => match path[1..].split_once('/').unwrap() {
            ("gone", _) => Answer::status(404),
            ("fails", _) => Answer::status(500),
            ("recovers", _) if time == 1 => Answer::status(502),
            ("dies", _) => Answer::hang_up(),
            ("redirect", n) => Answer::redirect(format!("/page/{n}")),
            ("loop", n) => Answer::redirect(format!("/loop/{n}")),
            ("page", "7") if time == 1 => Answer::status(429).header("retry-after", 1),
            _ => Answer::page(["/", "/page/0", "http://outside.test/", "mailto:someone@one.test"]),
        },
    });
    let spider = |page: &Response| {
        assert!(!page.url().path().starts_with("/panic"), "a page that panics");
        links(page)
    };
    let retry = Retry { attempts: 2, base: 5 * MS, ..Retry::default() };
    let crawler = crawl_with(spider, &site, Settings { retry, ..Settings::default() })
        .politeness(actix_crawler::Politeness::default())
        .rate(Rate::UNLIMITED)
        .per_domain(8)
        .within(Within::Host)
        .pipeline(Picky::default)
        .seed("http://one.test/");
    let (report, log) = run_logged(crawler);
    let (robots, log): (Vec<_>, Vec<_>) = log.into_iter().partition(|line| line.outcome.starts_with("robots/"));
    assert_eq!(robots.iter().map(|line| line.url.as_str()).collect::<Vec<_>>(), ["http://one.test/robots.txt"]);

    let mut urls: Vec<&str> = log.iter().filter(|line| line.is_final).map(|line| line.url.as_str()).collect();
    urls.sort_unstable();
    let ended = urls.len();
    urls.dedup();
    assert_eq!(urls.len(), ended, "a URL has ended twice");
    let ledger = report.stats.ledger;
    assert_eq!(ended as u64, ledger.discovered, "{report}");

    let ends = ends(&log);
    let of = |outcome: &str| -> u64 {
        ends.iter().filter(|((known, _), _)| known == outcome).map(|(_, count)| *count as u64).sum()
    };
    assert_eq!((of("ok"), of("redirect")), (41, 20), "{ends:?}");
    assert_eq!(of("ok") + of("redirect"), ledger.done, "{ends:?}");
    assert_eq!((of("robots"), of("scope")), (20, 1), "{ends:?}");
    assert_eq!(of("robots") + of("scope"), ledger.dropped, "{ends:?}");
    assert_eq!((of("status"), of("redirect_loop"), of("panic"), of("pipeline")), (40, 20, 20, 20), "{ends:?}");
    assert_eq!(ended as u64 - ledger.done - ledger.dropped, ledger.failed, "{ends:?}");
    let dead = ledger.failed - 40 - 20 - 20 - 20;
    assert_eq!(dead, 20, "those whose connection dies: {ends:?}");

    // Each attempt but the last has a line too: 20 + 20 that fail at first, 20 lost connections, one refusal.
    let tries = log.iter().filter(|line| !line.is_final).count() as u64;
    assert_eq!(tries, report.stats.get("retry") + 1, "{report}");
    assert_eq!(report.stats.get("retry"), 60, "{report}");
    let sent = log.iter().filter(|line| line.attempt > 0).count();
    let pages_asked = site.paths().iter().filter(|path| *path != "/robots.txt").count();
    assert!(sent <= pages_asked && pages_asked <= sent + 40, "{sent} lines for {pages_asked} requests");
    assert!(log.iter().all(|line| line.parent.is_some() || line.url == "http://one.test/"), "where each was found");
}

/// Refuses the items of some pages.
#[derive(Default)]
struct Picky;

impl actix::Actor for Picky {
    type Context = actix::Context<Self>;
}

impl actix::Handler<Scraped<String>> for Picky {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, url: Scraped<String>, _: &mut Self::Context) -> Self::Result {
        if url.contains("/refused-item/") { Err(PipelineError::refused("not this one")) } else { Ok(()) }
    }
}

impl actix::Handler<CrawlEnded> for Picky {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

/// A page first found too deep, then by a shorter path, is fetched; it was dropped before it was queued.
#[test]
fn a_page_that_a_shorter_way_makes_up_for_is_no_longer_dropped() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/near" => Answer::page(["/target"]).after(300 * MS),
        "/far" => Answer::page(["/further"]),
        "/further" => Answer::page(["/target"]),
        _ => Answer::ok(""),
    });
    let crawler = crawl(&site).per_domain(2).max_depth(1).seeds(["http://one.test/near", "http://one.test/far"]);
    let (report, log) = run_logged(crawler);
    assert_eq!(report.stats.ledger.done, 4, "{report}");
    assert_eq!((report.stats.ledger.dropped, report.stats.get("drop/scope/depth")), (0, 0), "{report}");
    let last = log.iter().rfind(|line| line.url == "http://one.test/target").unwrap();
    assert_eq!((last.outcome.as_str(), last.depth), ("ok", 1), "the last line of a URL is its end");
}

/// Links beyond the bounds of a page vanished: no reason, "adds up", exit 0.
#[test]
fn links_beyond_the_bounds_of_a_page_are_dropped_with_a_reason() {
    let long = format!("/{}", "x".repeat(5_000));
    let site = Recorder::start(move |asked| match asked.path.as_str() {
        "/" => Answer::page((0..8).map(|n| format!("/{n}")).chain([long.clone(), long.clone(), format!("{long}y")])),
        "/1" => Answer::page((0..9).map(|n| format!("/more/{n}")).chain(["/more/8".into(), "/more/0#top".into()])),
        _ => Answer::ok(""),
    });
    let (report, log) = run_logged(crawl(&site).max_links_per_page(5).seed("http://one.test/"));
    let dropped = |key: &str| report.stats.get(&format!("drop/{key}"));
    assert_eq!(
        (dropped("budget/links_per_page"), dropped("scope/url_length")),
        (3 + 4, 2),
        "each once a page: {report}"
    );
    let ledger = report.stats.ledger;
    assert_eq!((ledger.discovered, ledger.done, ledger.dropped), (1 + 5 + 5 + 9, 11, 9), "{report}");
    assert!(report.to_string().contains("budget/links_per_page"), "{report}");
    let lines = |what: &str| -> Vec<_> {
        let said = log.iter().filter(|line| line.outcome == what && !line.is_final && line.attempt == 0);
        said.map(|line| (line.url.as_str(), line.detail.as_str())).collect()
    };
    let of_one = ("http://one.test/1", "links_per_page, 4 links of this page");
    assert_eq!(lines("budget"), [("http://one.test/", "links_per_page, 3 links of this page"), of_one]);
    assert_eq!(lines("scope"), [("http://one.test/", "url_length, 2 links of this page")]);
}

#[test]
fn what_a_spider_did_not_ask_for_is_not_missed() {
    let site = Recorder::start(|_| Answer::page((0..8).map(|n| format!("/{n}"))));
    let spider = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)).follow(page.link("a")?));
    let crawler = crawl_with(spider, &site, Settings { max_links_per_page: 5, ..Settings::default() });
    let report = run(crawler.seed("http://one.test/"));
    assert_eq!((report.stats.ledger.discovered, report.stats.ledger.dropped), (2, 0), "{report}");
}

/// The scope takes longer URLs than a page is read for by default, so they are read.
#[test]
fn urls_are_as_long_as_the_scope_allows() {
    let paths = [2_040, 2_075, 2_900, 3_100].map(|length| format!("/{}", "x".repeat(length)));
    let links = paths.clone();
    let site = Recorder::start(move |asked| if asked.path == "/" { Answer::page(&links) } else { Answer::ok("") });
    for (max_url_length, taken) in [(100, 0), (2_083, 1), (3_000, 3)] {
        let before = site.count();
        let scope = Scope { max_url_length, within: Within::Any, ..Scope::default() };
        let report = run(crawl(&site).scope(scope).seed("http://one.test/"));
        assert_eq!(site.count() - before, 1 + taken, "{report}");
        assert_eq!(report.stats.get("drop/scope/url_length"), 4 - taken as u64, "{report}");
    }
}

/// A base that is too long is no reason to ask for other URLs than the page means.
#[test]
fn links_below_a_base_that_is_too_long_are_counted() {
    let base = format!("<base href='/{}/'>", "x".repeat(3_000));
    let page = format!("{base}<a href=below>x</a><a href=?q>x</a><a href=/top>x</a><a href=http://two.test/>x</a>");
    let site = Recorder::start(move |asked| match asked.path.as_str() {
        "/" if asked.host == "one.test" => Answer::ok(page.clone()).header("content-type", "text/html"),
        _ => Answer::ok(""),
    });
    let report = run(crawl(&site).seed("http://one.test/"));
    assert_eq!(site.sorted_urls(), ["http://one.test/", "http://one.test/top", "http://two.test/"]);
    assert_eq!(report.stats.get("drop/scope/url_length"), 2, "{report}");
}

/// It was once lost without a word.
#[cfg(unix)]
#[test]
fn a_log_that_is_removed_while_the_crawl_runs_is_an_error_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    let removed = log.clone();
    let site = Recorder::start(move |_| {
        drop(std::fs::remove_file(&removed));
        Answer::ok("")
    });
    let handle = crawl(&site).seed("http://one.test/").log(&log).start().unwrap();
    let report = block_on(end_of(&handle));
    let why = report.failure.as_deref().unwrap_or_default();
    assert!(why.contains("log.jsonl") && why.contains("was removed"), "{report}");
}
