//! Submit: a caller hands a running crawl one page and waits for its items, whatever lies between.

mod crawls;
mod recorder;

use std::time::Duration;

use actix_crawler::{Politeness, Retry, Scope, Settings, Within, handle::Submitted, outcome::DropReason, prelude::*};
use crawls::{Links, MS, block_on, crawl, crawl_with, end_of, links, until};
use futures_util::future::join_all;
use recorder::{Answer, Recorder};

#[cfg(feature = "disk")]
use actix_crawler::handle::Seeded;

fn request(url: &str) -> Request {
    Request::parse(url).unwrap()
}

/// The items of [`crawls::links`] are the URLs of pages.
async fn submit(handle: &CrawlHandle, request: Request) -> Submitted<String> {
    let submitted = tokio::time::timeout(Duration::from_secs(30), handle.submit(request)).await;
    submitted.expect("it is answered").unwrap()
}

fn items(submitted: &Submitted<String>) -> Vec<&str> {
    let Submitted::Page { items, .. } = submitted else { panic!("{submitted:?}") };
    items.iter().map(|item| item.as_str()).collect()
}

#[test]
fn a_submitted_page_gives_its_items_whatever_redirects_and_retries_lie_between() {
    let directory = tempfile::tempdir().unwrap();
    for state in [None, Some(directory.path().join("state"))] {
        let site = Recorder::start(|asked| match (asked.path.as_str(), asked.time) {
            ("/start", _) => Answer::redirect("/next"),
            ("/next", 1) => Answer::status(500),
            ("/next", 2) => Answer::status(429).header("retry-after", 1),
            ("/next" | "/led", _) => Answer::redirect("http://other.test/end"),
            _ => Answer::page(["/linked"]),
        });
        let retry = Retry { base: MS, ..Retry::default() };
        let settings = Settings { retry, state, ..Settings::default() };
        let crawler = crawl_with(links as Links, &site, settings).stay_open();
        block_on(async {
            let handle = crawler.start().unwrap();
            let submitted = submit(&handle, request("http://one.test/start")).await;
            let Submitted::Page { url, .. } = &submitted else { panic!("{submitted:?}") };
            assert_eq!((&**url, items(&submitted)), ("http://other.test/end", vec!["http://other.test/end"]));
            let seen = submit(&handle, request("http://one.test/start")).await;
            assert!(matches!(seen, Submitted::AlreadySeen), "{seen:?}");
            let forced = submit(&handle, request("http://other.test/end").dont_filter()).await;
            assert_eq!(items(&forced), ["http://other.test/end"]);
            let forced = submit(&handle, request("http://one.test/start").dont_filter()).await;
            assert_eq!(items(&forced), ["http://other.test/end"], "with all that it redirects to");
            let led = submit(&handle, request("http://one.test/led")).await;
            assert!(matches!(led, Submitted::AlreadySeen), "{led:?}");
            until("its links are followed", async || site.paths().iter().any(|path| path == "/linked")).await;
            handle.close().await;
            end_of(&handle).await;
        });
    }
}

#[test]
fn a_submitted_page_that_fails_or_is_dropped_says_why() {
    let site = Recorder::start(|asked| match (asked.host.as_str(), asked.path.as_str()) {
        ("one.test", "/robots.txt") => Answer::ok("user-agent: *\ndisallow: /hidden"),
        (_, "/robots.txt" | "/gone") => Answer::status(404),
        (_, "/away") => Answer::redirect("/denied"),
        (_, "/round") => Answer::redirect("/round"),
        _ => Answer::ok(""),
    });
    let politeness = Politeness { rate: Some(Rate::UNLIMITED), ..Politeness::default() };
    let scope = Scope { within: Within::Domain, deny: vec!["/denied".parse().unwrap()], ..Scope::default() };
    block_on(async {
        let handle = crawl(&site).politeness(politeness).scope(scope).stay_open().start().unwrap();
        let gone = submit(&handle, request("http://one.test/gone")).await;
        assert!(matches!(gone, Submitted::Failed(Outcome::Status(404))), "{gone:?}");
        let round = submit(&handle, request("http://one.test/round")).await;
        assert!(matches!(round, Submitted::Failed(Outcome::RedirectLoop(_))), "{round:?}");
        for (path, reason) in
            [("/denied", DropReason::Rule), ("/away", DropReason::Rule), ("/hidden", DropReason::Robots)]
        {
            let dropped = submit(&handle, request(&format!("http://one.test{path}"))).await;
            assert!(matches!(dropped, Submitted::Dropped(why) if why == reason), "{path}: {dropped:?}");
        }
        handle.domain("two.test").cancel().await.unwrap();
        let cancelled = submit(&handle, request("http://two.test/")).await;
        assert!(matches!(cancelled, Submitted::Dropped(DropReason::Cancelled)), "{cancelled:?}");
        let wrong = handle.submit::<u32>(request("http://one.test/")).await.unwrap_err().to_string();
        assert!(wrong.contains("String") && wrong.contains("u32"), "{wrong}");
        assert_eq!(site.paths().iter().filter(|path| *path == "/").count(), 0);
        handle.close().await;
        end_of(&handle).await;
    });
}

#[test]
fn many_submit_at_once_and_each_gets_its_own() {
    let site = Recorder::start(|_| Answer::ok(""));
    block_on(async {
        let handle = crawl(&site).per_domain(8).stay_open().start().unwrap();
        let urls: Vec<_> = (0..200).map(|n| format!("http://h{}.test/{n}", n % 10)).collect();
        let pages = join_all(urls.iter().map(|url| submit(&handle, request(url)))).await;
        for (url, page) in urls.iter().zip(&pages) {
            assert_eq!(items(page), [url]);
        }
        handle.close().await;
        assert_eq!(end_of(&handle).await.pages(), 200);
    });
}

#[test]
fn a_crawl_that_ends_first_says_so_and_who_stops_waiting_changes_nothing() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/slow" => Answer::ok("").after(300 * MS),
        _ => Answer::ok(""),
    });
    block_on(async {
        let handle = crawl(&site).stay_open().start().unwrap();
        let abandoned = handle.submit::<String>(request("http://one.test/slow"));
        assert!(tokio::time::timeout(100 * MS, abandoned).await.is_err());
        until("it is fetched all the same", async || handle.progress().await.unwrap().pages == 1).await;
        handle.domain("one.test").pause().await.unwrap();
        let waiting = handle.clone();
        let waiting = tokio::spawn(async move { waiting.submit::<String>(request("http://one.test/paused")).await });
        until("it waits", async || handle.progress().await.unwrap().ledger.queued == 1).await;
        handle.stop().await;
        assert!(matches!(waiting.await.unwrap(), Err(Error::Ended)));
        end_of(&handle).await;
        assert!(matches!(handle.submit::<String>(request("http://one.test/late")).await, Err(Error::Ended)));
    });
}

#[test]
#[cfg(feature = "disk")]
fn a_url_that_has_failed_says_how_to_whoever_seeds_or_submits_it_again_also_in_a_later_run() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page(["/linked", "/gone", "/flaky"]),
        path if path.starts_with("/away") => Answer::redirect("/gone"),
        "/flaky" => Answer::status(500),
        "/gone" => Answer::status(404),
        _ => Answer::ok(""),
    });
    let directory = tempfile::tempdir().unwrap();
    let retry = Retry { base: MS, ..Retry::attempts(3) };
    let open = || {
        let settings =
            Settings { retry: retry.clone(), state: Some(directory.path().join("state")), ..Settings::default() };
        crawl_with(links as Links, &site, settings).stay_open().start().unwrap()
    };
    for run in 1..=2 {
        block_on(async {
            let handle = open();
            let first = handle.seed("http://one.test/").await.unwrap();
            if run == 1 {
                assert_eq!(first, Seeded::Queued);
                until("all", async || handle.progress().await.unwrap().ledger.failed == 2).await;
            }
            let Seeded::FailedBefore(gone) = handle.seed("http://one.test/gone#part").await.unwrap() else { panic!() };
            assert_eq!((&*gone.outcome, &*gone.detail), ("status", "404"));
            // The last failure counts: in the second run, that of the seed which was forced in the first.
            assert_eq!(gone.found_on.as_deref(), (run == 1).then_some("http://one.test/"));
            let Submitted::FailedBefore(flaky) = submit(&handle, request("http://one.test/flaky")).await else {
                panic!()
            };
            // An earlier run's attempts are not stored.
            assert_eq!(flaky.attempts, if run == 1 { 3 } else { 0 }, "{flaky}");
            assert!(flaky.to_string().starts_with("status, 500"), "{flaky}");
            let away = submit(&handle, request(&format!("http://one.test/away?{run}"))).await;
            assert!(matches!(&away, Submitted::FailedBefore(end) if end.detail == "404"), "{away:?}");
            assert_eq!(handle.seed("http://one.test/linked").await.unwrap(), Seeded::AlreadySeen, "it was fetched");
            let again = submit(&handle, request("http://one.test/gone").dont_filter()).await;
            assert!(matches!(again, Submitted::Failed(Outcome::Status(404))), "{again:?}");
            handle.close().await;
            end_of(&handle).await;
        });
    }
    let gone = site.paths().iter().filter(|path| *path == "/gone").count();
    assert_eq!(gone, 3, "once when it was found, and when it was forced; nothing else has changed");
}
