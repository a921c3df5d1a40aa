//! Termination: a crawl ends exactly when nothing is left, or when it is told to, with everything accounted for.
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

mod crawls;
mod recorder;

use std::{
    thread,
    time::{Duration, Instant},
};

use actix_crawler::{Retry, Scope, Settings, prelude::*, report::Ended};
use crawls::{MS, block_on, crawl, crawl_with, end_of, links, run, until};
use recorder::{Answer, Asked, Recorder};

const S: Duration = Duration::from_secs(1);

/// A tree of `pages` pages in which each has five children; the paths are numbers.
fn tree(pages: u32) -> impl Fn(&Asked) -> Answer {
    move |asked| {
        let n: u32 = asked.path[1..].parse().unwrap_or(0);
        Answer::page((1..=5).map(|child| 5 * n + child).filter(|child| *child < pages).map(|child| format!("/{child}")))
    }
}

#[test]
fn a_crawl_ends_when_its_last_page_has_and_not_before() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/199" => Answer::page(["/late"]).after(700 * MS),
        "/late" => Answer::ok("").after(300 * MS),
        _ => tree(200)(asked),
    });
    let report = run(crawl(&site).per_domain(8).seed("http://one.test/0"));
    let ended = Instant::now();
    assert_eq!((report.pages(), site.count()), (201, 201), "{report}");
    let last = site.asked().last().unwrap().at;
    assert!(ended - last >= 300 * MS && ended - last < 3 * S, "{:?} after the last page was asked for", ended - last);
}

/// Regression: if only a wait was left, it was forgotten, or polled for ever.
#[test]
fn a_retry_that_is_all_that_is_left_is_waited_for() {
    let site = Recorder::start(|asked| if asked.time < 4 { Answer::status(500) } else { Answer::ok("") });
    for base in [20 * MS, 300 * MS] {
        let retry = Retry { attempts: 4, base, ..Retry::default() };
        let settings = Settings { retry, ..Settings::default() };
        let report = run(crawl_with(links, &site, settings).seed(format!("http://{}.test/", base.as_millis())));
        assert_eq!((report.pages(), report.stats.get("retry")), (1, 3), "{report}");
    }
    assert_eq!(site.count(), 8);
    let settings = Settings { retry: Retry { attempts: 2, base: MS, ..Retry::default() }, ..Settings::default() };
    let report = run(crawl_with(links, &site, settings).seed("http://fails.test/"));
    assert_eq!((report.failed(), report.stats.get("retry"), site.count()), (1, 1, 10), "{report}");
}

#[test]
fn a_number_of_pages_is_met_exactly_also_when_some_fail() {
    let site = Recorder::start(|asked| {
        let n: u32 = asked.path[1..].parse().unwrap();
        if n % 3 == 2 { Answer::status(404) } else { tree(1_000)(asked).after(asked.index as u32 % 3 * MS) }
    });
    for most in [1, 20, 33] {
        let before = site.count();
        let seeds = ["a", "b"].map(|name| format!("http://{name}{most}.test/0"));
        let report = run(crawl(&site).per_domain(8).max_pages(most).seeds(seeds));
        assert_eq!(report.pages(), most, "{report}");
        assert!(report.stats.get("drop/budget/pages") > 0, "{report}");
        let answered = report.pages() + report.stats.get("outcome/status");
        assert_eq!((site.count() - before) as u64, answered, "nothing was fetched that did not count: {report}");
    }
}

#[test]
fn a_number_of_pages_of_each_domain_is_met_exactly() {
    let site = Recorder::start(|asked| match asked.host.as_str() {
        "small.test" => tree(4)(asked),
        _ => tree(500)(asked),
    });
    let scope = Scope { max_pages_per_domain: Some(7), ..Scope::default() };
    let seeds = ["big0", "big1", "big2", "small"].map(|name| format!("http://{name}.test/0"));
    let report = run(crawl(&site).per_domain(4).scope(scope).seeds(seeds));
    let of: Vec<usize> = site.by_host().values().map(Vec::len).collect();
    assert_eq!(of, [7, 7, 7, 4], "{report}");
    assert_eq!(report.pages(), 25);
}

#[test]
fn a_crawl_of_which_nothing_is_left_outside_the_scope_ends_at_once() {
    let site = Recorder::start(|_| Answer::ok(""));
    let scope = Scope { deny: vec![".".parse().unwrap()], ..Scope::default() };
    let report = run(crawl(&site).scope(scope).seeds(["http://a.test/", "http://a.test/#same", "http://b.test/"]));
    let ledger = report.stats.ledger;
    assert_eq!((ledger.discovered, ledger.dropped, site.count()), (2, 2, 0), "{report}");
}

#[test]
fn a_crawl_that_stays_open_takes_seeds_until_it_is_closed() {
    let site = Recorder::start(tree(6));
    block_on(async {
        let handle = crawl(&site).stay_open().start().unwrap();
        for round in 1..=3 {
            handle.seed(&format!("http://round{round}.test/0")).await.unwrap();
            until("its pages are there", async || handle.progress().await.unwrap().pages == 6 * round).await;
            assert!(handle.report().is_none(), "it waits for more");
        }
        handle.seed("http://last.test/0").await.unwrap();
        handle.close().await;
        let report = end_of(&handle).await;
        assert_eq!((report.pages(), report.ended), (24, Ended::Finished), "what was left was done first");
        assert!(handle.seed("http://late.test/0").await.is_err());
        assert_eq!((handle.progress().await.unwrap().pages, handle.stats().await.unwrap().pages()), (24, 24));
        assert!(handle.pause().await.is_err());
        handle.stop().await;
        handle.abort().await;
        assert_eq!(handle.report().unwrap().pages(), 24);
    });
    // An empty crawl that is closed ends too.
    block_on(async {
        let handle = crawl(&site).stay_open().start().unwrap();
        handle.close().await;
        assert_eq!(end_of(&handle).await.stats.ledger.discovered, 0);
    });
}

#[test]
fn a_paused_crawl_asks_for_nothing_until_it_goes_on() {
    let site = Recorder::start(|asked| tree(60)(asked).after(20 * MS));
    block_on(async {
        let handle = crawl(&site).per_domain(4).seed("http://one.test/0").start().unwrap();
        until("it is under way", async || site.count() > 10).await;
        handle.pause().await.unwrap();
        until("what was in flight is done", async || handle.progress().await.unwrap().ledger.leased == 0).await;
        let count = site.count();
        assert!(count < 60);
        tokio::time::sleep(300 * MS).await;
        assert_eq!(site.count(), count);
        let (progress, stats) = (handle.progress().await.unwrap(), handle.stats().await.unwrap());
        let ledger = progress.ledger;
        assert!(ledger.queued > 0 && ledger.adds_up(), "{ledger:?}");
        assert_eq!(
            (ledger, progress.pages, progress.bytes, progress.items, progress.domains_active),
            (stats.ledger, stats.pages(), stats.bytes, stats.items, stats.domains_active),
        );
        handle.resume().await.unwrap();
        let report = end_of(&handle).await;
        assert_eq!((report.pages(), site.count(), report.ended), (60, 60, Ended::Finished));
    });
}

#[test]
fn stopping_lets_what_is_in_flight_end_and_begins_nothing() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/0" => Answer::page((1..100).map(|n| format!("/{n}"))),
        _ => Answer::page(["/new"]).after(300 * MS),
    });
    block_on(async {
        let items = Collect::new();
        let handle = crawl(&site).per_domain(8).pipeline(items.clone()).seed("http://one.test/0").start().unwrap();
        until("eight are in flight", async || site.count() == 9).await;
        handle.stop().await;
        handle.resume().await.ok();
        let report = end_of(&handle).await;
        assert_eq!(report.ended, Ended::Stopped);
        let ledger = report.stats.ledger;
        assert_eq!((report.pages(), ledger.leased, site.count()), (9, 0, 9), "{report}");
        assert_eq!((ledger.queued, ledger.discovered), (92, 101), "their links came in too: {report}");
        assert_eq!(items.take().len(), 9, "what was fetched was delivered");
    });
}

#[test]
fn stopping_does_not_wait_for_what_waits() {
    // A distant retry, spacing and cooling, and a pause.
    let site = Recorder::start(|asked| match asked.host.as_str() {
        "cools.test" => Answer::status(429).header("retry-after", 3_000),
        "fails.test" => Answer::status(500),
        _ => Answer::ok(""),
    });
    let retry = Retry { base: 3_000 * S, max: 3_000 * S, ..Retry::default() };
    let seeds = ["cools", "fails", "spaced"].map(|name| [1, 2].map(|n| format!("http://{name}.test/{n}")));
    for pause in [false, true] {
        let before = site.count();
        block_on(async {
            let crawler = crawl_with(links, &site, Settings { retry: retry.clone(), ..Settings::default() });
            let handle = crawler.spacing(3_000 * S).seeds(seeds.as_flattened()).start().unwrap();
            until("each was asked once", async || site.count() == before + 3).await;
            until("and answered", async || handle.progress().await.unwrap().ledger.leased == 0).await;
            if pause {
                handle.pause().await.unwrap();
            }
            let begin = Instant::now();
            handle.stop().await;
            let report = end_of(&handle).await;
            assert!(begin.elapsed() < 5 * S, "{:?}", begin.elapsed());
            assert_eq!((report.ended, report.pages(), report.stats.ledger.queued), (Ended::Stopped, 1, 5), "{report}");
        });
    }
}

#[test]
fn a_stop_while_the_robots_file_is_asked_for_loses_no_page() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok("").after(300 * MS),
        _ => Answer::ok(""),
    });
    block_on(async {
        let politeness = actix_crawler::Politeness::default();
        let seeds = (0..20).map(|n| format!("http://one.test/{n}"));
        let handle = crawl(&site).politeness(politeness).seeds(seeds).start().unwrap();
        until("it is asked for", async || site.count() == 1).await;
        handle.stop().await;
        let report = end_of(&handle).await;
        assert_eq!((report.stats.ledger.queued, report.stats.ledger.leased, site.count()), (20, 0, 1), "{report}");
    });
}

#[test]
fn aborting_waits_for_nothing() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/0" => Answer::page((1..20).map(|n| format!("/{n}"))),
        _ => Answer::ok("").after(20 * S),
    });
    block_on(async {
        let handle = crawl(&site).per_domain(6).seed("http://one.test/0").start().unwrap();
        until("six are in flight", async || site.count() == 7).await;
        let begin = Instant::now();
        handle.abort().await;
        let report = end_of(&handle).await;
        assert!(begin.elapsed() < 5 * S, "{:?}", begin.elapsed());
        let ledger = report.stats.ledger;
        assert_eq!((report.ended, ledger.leased, ledger.done, ledger.queued), (Ended::Aborted, 6, 1, 13), "{report}");
    });
}

#[test]
fn any_number_may_wait_from_anywhere_also_after_the_end() {
    let site = Recorder::start(tree(30));
    let handle = crawl(&site).per_domain(4).seed("http://one.test/0").start().unwrap();
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let handle = handle.clone();
            thread::spawn(move || {
                block_on(async {
                    let (here, there) = tokio::join!(handle.wait(), handle.wait());
                    (here.unwrap().pages(), there.unwrap().pages())
                })
            })
        })
        .collect();
    for waiter in waiting {
        assert_eq!(waiter.join().unwrap(), (30, 30));
    }
    assert_eq!(block_on(handle.wait()).unwrap().pages(), 30);
}

#[test]
fn a_crawl_whose_handles_are_dropped_goes_on_to_its_end() {
    let site = Recorder::start(|asked| tree(40)(asked).after(5 * MS));
    drop(crawl(&site).seed("http://one.test/0").start().unwrap());
    block_on(until("all pages are fetched", async || site.count() == 40));
}

/// Regression: a link into a domain with a used-up page limit waited for ever: it was never dropped, and the crawl
/// never ended.
#[test]
fn what_comes_after_a_budget_is_used_is_dropped_and_the_crawl_ends() {
    let site = Recorder::start(|asked| match asked.host.as_str() {
        host if host.starts_with("late.") => Answer::page(["http://early.test/again"]).after(300 * MS),
        _ => Answer::page(["/more"]),
    });
    let scope = Scope { max_pages_per_domain: Some(1), ..Scope::default() };
    let crawler = crawl_with(links, &site, Settings { scope, ..Settings::default() });
    let report = run(crawler.seeds(["http://early.test/", "http://late.test/"]));
    assert_eq!((report.pages(), report.stats.get("drop/budget/pages")), (2, 2), "{report}");
}

#[test]
fn a_seed_that_comes_after_the_last_page_is_dropped() {
    let site = Recorder::start(|_| Answer::page(["/more"]));
    let report = block_on(async {
        let handle = crawl(&site).seed("http://a.test/").max_pages(1).stay_open().start().unwrap();
        until("the page is fetched", async || handle.progress().await.is_ok_and(|progress| progress.pages == 1)).await;
        handle.seed("http://b.test/").await.unwrap();
        handle.close().await;
        end_of(&handle).await
    });
    assert_eq!((report.pages(), report.stats.get("drop/budget/pages")), (1, 2), "{report}");
}
