//! Control: a running crawl is fed, paused, cancelled, retuned and stopped by its handle; judged by what its server
//! sees.

#![allow(clippy::disallowed_methods, reason = "time is measured here")]

mod crawls;
mod recorder;

use std::time::{Duration, Instant};

use actix_crawler::{
    Politeness, Scope, Within, handle::Seeded, outcome::DropReason, prelude::*, report::Ended, stats::Progress,
};
use crawls::{Links, MS, block_on, crawl, end_of, read_log, run, until};
use recorder::{Answer, Arrivals, Asked, Recorder};

const S: Duration = Duration::from_secs(1);

/// A site without end: each page has a link to the next.
fn endless(asked: &Asked) -> Answer {
    let n: u32 = asked.path[1..].parse().unwrap_or(0);
    Answer::page([format!("/{}", n + 1)])
}

fn of_host(site: &Recorder, host: &str) -> Vec<Asked> {
    site.by_host().remove(host).unwrap_or_default()
}

fn open(site: &Recorder) -> Crawler<Links> {
    crawl(site).stay_open()
}

#[test]
fn each_seed_is_told_what_became_of_it_also_if_a_link_to_it_was_dropped_before() {
    let site = Recorder::start(|asked| match asked.url().as_str() {
        "http://one.test/" => Answer::page(["/seen", "http://other.test/", "http://other.test/2"]),
        _ => Answer::ok(""),
    });
    let scope = Scope { within: Within::Domain, deny: vec!["/denied".parse().unwrap()], ..Scope::default() };
    block_on(async {
        let handle = open(&site).scope(scope).start().unwrap();
        assert_eq!(handle.seed("http://one.test/").await.unwrap(), Seeded::Queued);
        until("both pages", async || handle.progress().await.unwrap().pages == 2).await;
        let urls = ["http://one.test/seen", "http://one.test/denied", "http://one.test/new", "http://one.test/new"];
        let denied = Seeded::Dropped(DropReason::Rule);
        let told = [Seeded::AlreadySeen, denied.clone(), Seeded::Queued, Seeded::AlreadySeen];
        assert_eq!(handle.seeds(urls).await.unwrap(), told);
        assert_eq!(handle.seed("http://one.test/denied").await.unwrap(), denied);
        assert!(handle.seeds(["http://one.test/3", "nonsense"]).await.is_err());
        let again = Request::parse("http://one.test/seen").unwrap().dont_filter();
        assert_eq!(handle.request(again).await.unwrap(), Seeded::Queued);
        // Its host was outside the scope, and is inside from now on.
        assert_eq!(handle.seed("http://other.test/").await.unwrap(), Seeded::Queued);
        handle.close().await;
        let report = end_of(&handle).await;
        assert_eq!((report.pages(), report.stats.counts["drop/scope/host"]), (5, 1), "{report}");
        assert_eq!(report.stats.counts["drop/scope/rule"], 1, "{report}");
        assert!(handle.seed("http://one.test/4").await.is_err());
    });
    assert_eq!(site.sorted_urls().iter().filter(|url| url.ends_with("/seen")).count(), 2);
}

#[test]
fn a_paused_domain_gets_no_request_while_the_others_go_on_and_goes_on_where_it_was() {
    let site = Recorder::start(endless);
    block_on(async {
        let handle = crawl(&site).spacing(20 * MS).seeds(["http://a.test/0", "http://b.test/0"]).start().unwrap();
        until("both are asked", async || site.by_host().values().filter(|asked| asked.len() >= 5).count() == 2).await;
        let a = handle.domain("a.test");
        a.pause().await.unwrap();
        // What was on its way.
        tokio::time::sleep(100 * MS).await;
        let (before, others) = (of_host(&site, "a.test").len(), of_host(&site, "b.test").len());
        assert_eq!(handle.seed("http://a.test/seeded").await.unwrap(), Seeded::Queued);
        tokio::time::sleep(S).await;
        assert_eq!(of_host(&site, "a.test").len(), before);
        let why = handle.explain("http://a.test/seeded").await.unwrap().to_string();
        assert!(why.contains("its domain is paused"), "{why}");
        assert!(of_host(&site, "b.test").len() >= others + 20);
        a.resume().await.unwrap();
        until("it goes on", async || of_host(&site, "a.test").len() >= before + 5).await;
        handle.stop().await;
        end_of(&handle).await;
    });
    for host in ["a.test", "b.test"] {
        assert!(Arrivals::of(&of_host(&site, host)).smallest_gap() >= 20 * MS, "{host}");
    }
    assert!(of_host(&site, "a.test").iter().any(|asked| asked.path == "/seeded"));
}

#[test]
fn a_pattern_pauses_all_that_it_matches_and_one_of_them_may_go_on() {
    let site = Recorder::start(endless);
    block_on(async {
        let handle = open(&site).spacing(20 * MS).start().unwrap();
        handle.domain("*").pause().await.unwrap();
        handle.domain("b.test").resume().await.unwrap();
        handle.seeds(["http://a.test/0", "http://b.test/0"]).await.unwrap();
        until("the one goes on", async || of_host(&site, "b.test").len() >= 10).await;
        assert!(of_host(&site, "a.test").is_empty());
        for wrong in ["", "*.", "http://a.test/", "www.a.test", "a.test:80"] {
            let said = [handle.domain(wrong).pause().await, handle.domain(wrong).set_spacing(S).await];
            let names_it =
                |said: Result<()>| said.unwrap_err().to_string().starts_with(&format!("domain(\"{wrong}\"): "));
            assert!(said.into_iter().all(names_it), "{wrong}");
        }
        handle.domain("B.Test.").set_per_domain(2).await.unwrap();
        handle.stop().await;
        assert_eq!(end_of(&handle).await.ended, Ended::Stopped);
    });
}

/// The crawl begins without limits, so a quiet domain is forgotten at once; the new law counts its start all the same.
#[test]
fn a_lowered_rate_holds_from_then_on_also_where_the_domain_was_quiet_and_is_never_broken() {
    const FAST: Duration = Duration::from_millis(10);
    const SLOW: Duration = Duration::from_millis(400);
    let site = Recorder::start(|asked| if asked.host == "quiet.test" { Answer::ok("") } else { endless(asked) });
    block_on(async {
        let handle = open(&site).spacing(FAST).start().unwrap();
        handle.seeds(["http://all.test/0", "http://own.test/0", "http://quiet.test/0"]).await.unwrap();
        until("they are asked", async || site.by_host().values().filter(|asked| asked.len() >= 10).count() == 2).await;
        handle.set_spacing(SLOW).await.unwrap();
        handle.domain("own.test").set_spacing(FAST).await.unwrap();
        let changed = Instant::now();
        assert_eq!(handle.seed("http://quiet.test/1").await.unwrap(), Seeded::Queued);
        tokio::time::sleep(5 * SLOW / 2).await;
        handle.set_rate(Rate::per_second(1)).await.unwrap();
        let lowered = Instant::now();
        tokio::time::sleep(2 * S).await;
        handle.stop().await;
        end_of(&handle).await;
        let gaps = |host: &str, after: Instant| -> Vec<Duration> {
            let asked = of_host(&site, host);
            let pairs = asked.windows(2).filter(|pair| pair[1].at > after);
            pairs.map(|pair| pair[1].at - pair[0].at).collect()
        };
        let own = gaps("own.test", changed);
        assert!(own.len() > 30 && own.iter().all(|gap| *gap >= FAST), "{own:?}");
        // Its override took its spacing over, and the default rate does not concern it.
        for (host, least) in [("all.test", 3), ("quiet.test", 1)] {
            let gaps = gaps(host, changed);
            assert!(gaps.len() >= least && gaps.iter().all(|gap| *gap >= SLOW), "{host}: {gaps:?}");
        }
        let lowered = gaps("all.test", lowered + 5 * MS);
        assert!(!lowered.is_empty() && lowered.iter().all(|gap| *gap >= S), "{lowered:?}");
    });
}

#[test]
fn a_raised_rate_and_concurrency_hold_at_once() {
    let site = Recorder::start(|asked| {
        let n: u32 = asked.path[1..].parse().unwrap_or(0);
        Answer::page((3 * n + 1..=3 * n + 3).map(|child| format!("/{child}"))).after(50 * MS)
    });
    block_on(async {
        let handle = open(&site).spacing(60 * S).start().unwrap();
        handle.seed("http://a.test/0").await.unwrap();
        until("the first", async || site.count() == 1).await;
        handle.set_spacing(MS).await.unwrap();
        until("more", async || site.count() >= 10).await;
        assert!(site.asked().iter().all(|asked| asked.in_flight == 1));
        handle.domain("a.test").set_per_domain(8).await.unwrap();
        until("more at once", async || site.asked().iter().any(|asked| asked.in_flight == 8)).await;
        handle.set_concurrency(2).await.unwrap();
        until("what was in flight has ended", async || handle.progress().await.unwrap().ledger.leased <= 2).await;
        let before = site.count();
        until("fewer at once", async || site.count() >= before + 20).await;
        assert!(site.asked()[before..].iter().all(|asked| asked.in_flight <= 2));
        handle.stop().await;
        end_of(&handle).await;
    });
}

#[test]
fn a_cancelled_domain_gets_nothing_more_and_its_urls_are_in_the_ledger_and_the_log() {
    let site = Recorder::start(|asked| {
        let n: u32 = asked.path[1..].parse().unwrap_or(0);
        Answer::page((3 * n + 1..=3 * n + 3).map(|child| format!("/{child}")))
    });
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.jsonl");
    block_on(async {
        let crawler = open(&site).spacing(10 * MS).log(&log);
        let handle = crawler.seeds(["http://a.test/0", "http://b.test/0"]).start().unwrap();
        until("both are asked", async || site.by_host().values().filter(|asked| asked.len() >= 5).count() == 2).await;
        handle.domain("a.test").cancel().await.unwrap();
        tokio::time::sleep(100 * MS).await;
        let before = of_host(&site, "a.test").len();
        let cancelled = Seeded::Dropped(DropReason::Cancelled);
        assert_eq!(handle.seed("http://a.test/seeded").await.unwrap(), cancelled);
        tokio::time::sleep(300 * MS).await;
        assert_eq!(of_host(&site, "a.test").len(), before);
        handle.domain("a.test").resume().await.unwrap();
        assert_eq!(handle.seed("http://a.test/resumed").await.unwrap(), Seeded::Queued);
        until("it goes on", async || of_host(&site, "a.test").iter().any(|asked| asked.path == "/resumed")).await;
        handle.stop_within(10 * S).await.unwrap();
        let report = end_of(&handle).await;
        let dropped = report.stats.counts["drop/cancelled/domain"];
        let lines = read_log(&log);
        let logged = lines.iter().filter(|line| line.is_final && line.detail == "domain").count();
        assert!(dropped >= 10 && logged as u64 == dropped, "{dropped}, {logged}: {report}");
        assert_eq!((report.ended, report.stats.ledger.leased), (Ended::Stopped, 0), "{report}");
    });
}

/// Pages that wait for a robots file are on lease, and not in a queue.
#[test]
fn a_domain_is_cancelled_and_paused_also_while_its_pages_wait_for_a_robots_file() {
    let site = Recorder::start(|_| Answer::ok("").after(500 * MS));
    let politeness = Politeness { rate: Some(Rate::UNLIMITED), ..Politeness::default() };
    block_on(async {
        let handle = open(&site).politeness(politeness).start().unwrap();
        let seeds = (0..6).map(|n| format!("http://{}.test/{n}", if n % 2 == 0 { "cancelled" } else { "paused" }));
        handle.seeds(seeds).await.unwrap();
        until("both files are asked for", async || site.count() == 2).await;
        handle.domain("cancelled.test").cancel().await.unwrap();
        handle.domain("paused.test").pause().await.unwrap();
        until("all are dropped", async || handle.progress().await.unwrap().ledger.dropped == 3).await;
        tokio::time::sleep(S).await;
        assert_eq!(site.paths(), ["/robots.txt", "/robots.txt"]);
        handle.domain("*").resume().await.unwrap();
        handle.close().await;
        let report = end_of(&handle).await;
        assert_eq!((report.pages(), report.stats.ledger.dropped), (3, 3), "{report}");
    });
    assert!(site.asked().iter().all(|asked| asked.path == "/robots.txt" || asked.host == "paused.test"));
}

#[test]
fn a_changed_scope_holds_for_what_waits_and_for_what_is_found_again() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/0" => Answer::page(["/old/1", "/old/2", "/new/1", "/a/b"]),
        "/a/b" => Answer::page(["/a/b/c", "/old/1", "/new/1", "/new/2"]),
        _ => Answer::page(["/new/1", "/new/2", "/old/3"]),
    });
    let denied = |pattern: &str, max_depth| Scope {
        within: Within::Any,
        deny: vec![pattern.parse().unwrap()],
        max_depth,
        ..Scope::default()
    };
    block_on(async {
        let handle = open(&site).scope(denied("/new/", Some(1))).spacing(5_000 * MS).start().unwrap();
        handle.seed("http://a.test/0").await.unwrap();
        until("the first page is read", async || handle.progress().await.unwrap().ledger.queued >= 2).await;
        let mut scope = handle.scope().await.unwrap();
        assert_eq!(scope.max_depth, Some(1));
        scope.canonical.sort_query = true;
        assert!(handle.set_scope(scope).await.unwrap_err().to_string().starts_with("scope.canonical: "));
        handle.set_scope(denied("/old/", None)).await.unwrap();
        handle.set_spacing(MS).await.unwrap();
        handle.close().await;
        let report = end_of(&handle).await;
        let paths = site.paths();
        assert!(["/new/1", "/new/2", "/a/b/c"].iter().all(|path| paths.iter().any(|asked| asked == path)), "{paths:?}");
        assert!(!paths.iter().any(|path| path.starts_with("/old/")), "{paths:?}");
        assert!(report.ledger_adds_up, "{report}");
    });
}

/// What waited was dropped as outside the scope, since nobody had given the seed again.
#[test]
fn the_host_of_a_seed_that_a_handle_gave_belongs_to_the_scope_of_the_next_run_too() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/0" => Answer::page((1..=20).map(|n| format!("/{n}"))),
        _ => Answer::ok(""),
    });
    let directory = tempfile::tempdir().unwrap();
    let crawler = || open(&site).within(Within::Host).state(directory.path().join("state"));
    block_on(async {
        let handle = crawler().spacing(100 * MS).start().unwrap();
        assert_eq!(handle.seed("http://a.test/0").await.unwrap(), Seeded::Queued);
        until("the first page is read", async || handle.progress().await.unwrap().pages >= 2).await;
        handle.stop().await;
        assert!(end_of(&handle).await.stats.ledger.queued > 10);
        let handle = crawler().start().unwrap();
        handle.close().await;
        let report = end_of(&handle).await;
        assert_eq!((report.pages(), report.stats.ledger.dropped), (21, 0), "{report}");
    });
}

/// A page hangs, so that the crawl does not end by itself; the next run fetches it, and all that waited.
#[test]
fn a_stop_that_takes_too_long_is_an_abort_and_with_a_state_loses_nothing() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/0" => Answer::page((1..=20).map(|n| format!("/{n}"))),
        "/3" if asked.time == 1 => Answer::ok("").after(20 * S),
        _ => Answer::ok(""),
    });
    let directory = tempfile::tempdir().unwrap();
    let crawler = || crawl(&site).state(directory.path().join("state")).spacing(20 * MS).per_domain(2);
    block_on(async {
        let handle = crawler().seed("http://a.test/0").start().unwrap();
        until("the page hangs", async || site.paths().iter().any(|path| path == "/4")).await;
        let begun = Instant::now();
        let report = handle.stop_within(500 * MS).await.unwrap();
        assert!(begun.elapsed() >= 500 * MS && begun.elapsed() < 2 * S, "{:?}", begun.elapsed());
        assert_eq!(report.ended, Ended::Aborted, "{report}");
        assert!(report.ledger_adds_up && report.stats.ledger.queued > 0, "{report}");
    });
    let report = run(crawler().seed("http://a.test/0"));
    assert_eq!(report.pages(), 21, "{report}");
    let urls = site.sorted_urls();
    assert_eq!(urls.len(), 22, "only what hung was fetched again: {urls:?}");
}

#[test]
fn a_stop_that_is_quick_enough_lets_what_is_in_flight_end() {
    let site = Recorder::start(|asked| endless(asked).after(200 * MS));
    block_on(async {
        let handle = crawl(&site).seed("http://a.test/0").start().unwrap();
        until("it is asked", async || site.count() == 2).await;
        let report = handle.stop_within(30 * S).await.unwrap();
        assert_eq!((report.ended, report.pages()), (Ended::Stopped, 2), "{report}");
        assert_eq!((handle.stop_within(S).await.unwrap().ended, report.complaints.len()), (Ended::Stopped, 0));
    });
}

/// Regression: a job's numbers were an error as soon as it had ended.
#[test]
fn what_a_handle_tells_has_the_same_shape_and_numbers_after_the_end() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page((0..20).map(|n| format!("/gone/{n}"))),
        _ => Answer::status(404),
    });
    block_on(async {
        let handle = open(&site).seed("http://one.test/").start().unwrap();
        until("all have failed", async || handle.progress().await.unwrap().ledger.failed == 20).await;
        let told = async || {
            let progress = handle.progress().await.unwrap();
            let (first, failures) = (handle.first_failures().await.unwrap(), handle.failures(3).await.unwrap());
            let progress = serde_json::to_value(Progress { elapsed: Duration::ZERO, domains_active: 0, ..progress });
            (progress.unwrap(), serde_json::to_value(first).unwrap(), serde_json::to_value(failures).unwrap())
        };
        let before = told().await;
        assert_eq!(before.1["status/404"]["url"], "http://one.test/gone/0");
        assert_eq!(before.2[0]["url"], "http://one.test/gone/19", "the last one first");
        assert_eq!((before.2.as_array().unwrap().len(), &before.2[0]["reason"]), (3, &"status/404".into()));
        handle.close().await;
        let report = end_of(&handle).await;
        assert_eq!(told().await, before);
        assert_eq!((handle.failures(100).await.unwrap().len(), handle.stats().await.unwrap().ledger.failed), (20, 20));
        assert_eq!(handle.progress().await.unwrap().elapsed, report.stats.elapsed);
    });
}
