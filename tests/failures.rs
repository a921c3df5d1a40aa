//! What a spider hears of URLs that end without a page and without a request of their own: each once, in agreement with
//! log and ledger.
#![cfg(feature = "testing")]

mod crawls;
mod recorder;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use actix_crawler::{
    Outcome, Scope, Settings,
    outcome::DropReason,
    prelude::*,
    testing::{Answer as Page, Crawled, Run, Site},
};
use crawls::{CONTACT, Line, MS, crawl_with, read_log, run_logged};
use recorder::{Answer, Recorder};

/// Takes each failure for an item: the URL and the word of its outcome.
struct LinkChecker;

type Failed = (String, &'static str);

impl Spider for LinkChecker {
    type Item = Failed;

    fn parse(&self, page: &Response) -> Result<Parsed<Failed>> {
        Ok(Parsed::new().follow(page.links()))
    }

    fn failed(&self, request: &Request, outcome: &Outcome) -> Parsed<Failed> {
        assert_ne!(request.url.path(), "/worse", "over this failure");
        let mut heard = Parsed::new().item((request.url.to_string(), outcome.key()));
        heard.count("heard");
        if request.url.path() == "/mirrored" { heard.follow(request.url.join("/mirror").ok()) } else { heard }
    }
}

/// Crawls a site, with a log.
fn crawl_logged<S: Spider>(site: &Site, crawler: Crawler<S>) -> (Run<Crawled<S::Item>>, Vec<Line>) {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.jsonl");
    let run = site.crawl(crawler.log(&log)).unwrap();
    assert!(run.report().ledger_adds_up, "{}", run.report());
    (run, read_log(&log))
}

/// Checks that what was heard is what the log says of all URLs that ended without a page, each once.
fn agree<'a>(heard: impl IntoIterator<Item = &'a Failed>, log: &[Line]) -> BTreeMap<String, String> {
    let ended = log.iter().filter(|line| line.is_final && line.outcome != "ok");
    let mut expected: Vec<_> = ended.map(|line| (line.url.clone(), line.outcome.clone())).collect();
    let mut heard: Vec<_> = heard.into_iter().map(|(url, word)| (url.clone(), (*word).to_owned())).collect();
    expected.sort();
    heard.sort();
    assert_eq!(heard, expected);
    let by_url: BTreeMap<_, _> = heard.iter().cloned().collect();
    assert_eq!(by_url.len(), heard.len(), "each once");
    by_url
}

#[test]
fn a_link_checker_hears_of_dead_hosts_unknown_names_and_disallowed_pages_each_once_as_the_log_and_the_ledger_say() {
    let site = Site::new("https://example.org")
        .robots("User-agent: *\nDisallow: /hidden\nDisallow: /mirrored")
        .page(
            "/",
            "<a href=/hidden>1</a> <a href=/mirrored>2</a> <a href=/gone>3</a> <a href=/fine>4</a>
             <a href=https://dead.test/a>5</a> <a href=https://dead.test/b>6</a> <a href=https://nowhere.test/>7</a>",
        )
        .page("/fine", "fine")
        .page("/mirror", "a mirror")
        .unreachable("https://dead.test/");
    let crawler = Crawler::new(LinkChecker, CONTACT).seed("https://example.org/").within(Within::Any);
    let (run, log) = crawl_logged(&site, crawler);
    let heard = agree(run.items(), &log);
    let (connect, dns) = ("connect".to_owned(), &heard["https://nowhere.test/"]);
    assert_eq!((&heard["https://dead.test/a"], &heard["https://dead.test/b"]), (&connect, &connect));
    assert_eq!(dns, "dns", "{heard:?}");
    assert_eq!((&*heard["https://example.org/hidden"], &*heard["https://example.org/gone"]), ("robots", "status"));
    run.assert_asked("/mirror", 1);
    run.assert_never_asked("/hidden");
    run.assert_never_asked("https://dead.test/a");
    let (report, stats) = (run.report(), &run.report().stats);
    assert_eq!((report.pages(), stats.ledger.failed, stats.ledger.dropped), (3, 4, 2), "{report}");
    assert_eq!((stats.items, stats.get("spider/heard"), stats.get("drop/robots/disallowed")), (6, 6, 2), "{report}");
}

#[test]
fn a_spider_that_panics_over_a_page_that_was_not_asked_for_costs_no_more_than_its_items() {
    let site = Site::new("https://example.org")
        .robots("User-agent: *\nDisallow: /worse\nDisallow: /hidden")
        .page("/", "<a href=/worse>1</a> <a href=/hidden>2</a>");
    let (run, log) = crawl_logged(&site, Crawler::new(LinkChecker, CONTACT).seed("https://example.org/"));
    assert_eq!(run.items(), [&("https://example.org/hidden".to_owned(), "robots")]);
    assert_eq!(run.report().stats.get("spider/failed_did_not_return"), 1, "{}", run.report());
    assert_eq!(run.report().stats.ledger.dropped, 2);
    assert!(log.iter().any(|line| line.url.ends_with("/worse") && line.outcome == "robots"), "{log:?}");
}

#[test]
fn each_of_two_thousand_that_wait_when_their_domain_is_given_up_is_heard_of_and_others_go_on() {
    let url = |n: u32| format!("https://busy.test/{n}");
    let site = Site::new("https://example.org")
        .respond("https://busy.test/", |_| Page::status(503).with_header("retry-after", "1"))
        .respond("/", |_| "fine".into());
    let crawler = Crawler::new(LinkChecker, CONTACT)
        .ignore_robots()
        .seeds((0..2_000).map(url))
        .seeds((0..100).map(|n| format!("https://example.org/{n}")));
    let (run, log) = crawl_logged(&site, crawler);
    let heard = agree(run.items(), &log);
    assert_eq!(heard.keys().cloned().collect::<BTreeSet<_>>(), (0..2_000).map(url).collect());
    assert!(heard.values().all(|word| word == "refused"), "{heard:?}");
    let report = run.report();
    assert_eq!((report.pages(), report.failed(), report.stats.items), (100, 2_000, 2_000), "{report}");
    let late = run.gaps("example.org").into_iter().filter(|gap| *gap > Duration::from_millis(1_010)).count();
    assert_eq!(late, 0, "{:?}", run.gaps("example.org"));
}

#[test]
fn what_waits_for_a_later_attempt_is_heard_of_too_when_its_domain_is_given_up() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let site = Recorder::start(|_| Answer::ok(""));
    let dead = (0..2_000).map(|n| format!("http://dead.test/{n}"));
    let items = Collect::new();
    let crawler =
        crawl_with(LinkChecker, &site, Settings::default()).spacing(10 * MS).resolve(format!("dead.test:{closed}"));
    let (report, log) = run_logged(crawler.pipeline(items.clone()).seeds(dead).seed("http://fine.test/"));
    let heard = agree(&items.take(), &log);
    assert_eq!((heard.len(), report.pages(), report.failed()), (2_000, 1, 2_000), "{report}");
    assert!(heard.values().all(|word| word == "connect"), "{heard:?}");
}

/// Asks for the other host, again and again.
struct Mirrors;

impl Spider for Mirrors {
    type Item = String;

    fn parse(&self, page: &Response) -> Result<Parsed<String>> {
        Ok(Parsed::of([page.url().to_string()]))
    }

    fn failed(&self, request: &Request, _: &Outcome) -> Parsed<String> {
        let other = if request.url.host_str() == Some("one.test") { "two" } else { "one" };
        let mirror = Request::parse(&format!("https://{other}.test/")).map(Request::dont_filter);
        Parsed::of([request.url.to_string()]).follow(mirror.ok())
    }
}

/// They would lead to each other without end, and with no request in between that takes its time.
#[test]
fn dead_hosts_that_are_asked_for_in_place_of_each_other_come_to_an_end() {
    let site = Site::new("https://example.org").unreachable("https://one.test").unreachable("https://two.test");
    let (run, _) = crawl_logged(&site, Crawler::new(Mirrors, CONTACT).seed("https://one.test/").within(Within::Any));
    let of = |url: &str| run.items().into_iter().filter(|item| *item == url).count();
    assert_eq!((of("https://one.test/"), of("https://two.test/")), (1, 1), "{}", run.report());
}

#[test]
fn what_the_user_leaves_out_is_no_failure() {
    let site = Site::new("https://example.org").respond("/", |_| "fine".into());
    let seeds = || (0..10).map(|n| format!("https://example.org/{n}"));
    let scope = Scope { max_pages: Some(3), ..Scope::default() };
    let (run, _) = crawl_logged(&site, Crawler::new(LinkChecker, CONTACT).scope(scope).seeds(seeds()));
    assert_eq!((run.items().len(), run.report().stats.ledger.dropped), (0, 7), "{}", run.report());
    let run = site.run(|| async {
        let handle = Crawler::new(LinkChecker, CONTACT).seeds(seeds()).start()?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        handle.domain("example.org").cancel().await?;
        handle.wait().await
    });
    let report = run.unwrap().into_output().unwrap();
    let cancelled = report.stats.count(actix_crawler::stats::Count::Dropped(DropReason::Cancelled));
    assert!(cancelled > 0 && report.stats.get("spider/heard") == 0 && report.ledger_adds_up, "{report}");
}
