//! What waits: a changed scope, depths in any order of responses, bounds, and a user's own parts.

mod recorder;

use std::{sync::Arc, time::Duration};

use actix_crawler::{
    Report, Retry,
    frontier::{MemoryFrontier, durable::Opened, laws},
    identity::{CanonicalUrl, Identity},
    prelude::*,
};
use recorder::{Answer, Recorder};

#[cfg(feature = "disk")]
use actix_crawler::Scope;

fn follow_all(page: &Response) -> Result<Parsed<()>> {
    let links: Vec<_> = page.links().collect();
    Ok(Parsed::new().follow(links))
}

type FollowAll = fn(&Response) -> Result<Parsed<()>>;

fn crawler(recorder: &Recorder) -> Crawler<FollowAll> {
    Crawler::new(follow_all as FollowAll, "frontier/1.0 (+https://example.org/)")
        .seed(recorder.url("/"))
        .allow_private()
        .ignore_robots()
        .rate(Rate::UNLIMITED)
        .per_domain(8)
        .threads(1)
}

fn count(report: &Report, key: &str) -> u64 {
    report.stats.counts.get(key).copied().unwrap_or(0)
}

fn sorted_paths(recorder: &Recorder) -> Vec<String> {
    let mut paths = recorder.paths();
    paths.sort();
    paths
}

/// Two URLs by the URL standard and RFC 3986 §6.2.3; browsers request each as it is linked. Scrapy and Heritrix take
/// them for one.
#[test]
fn a_url_with_an_empty_query_is_another_and_is_requested_as_it_is_linked() {
    let recorder = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page(["/a", "/a?", "/a?#top", "/a?", "/b?", "/c#?"]),
        "/b?" => Answer::redirect("/d?"),
        _ => Answer::page([""; 0]),
    });
    let report = crawler(&recorder).run_blocking().unwrap();
    assert_eq!(sorted_paths(&recorder), ["/", "/a", "/a?", "/b?", "/c", "/d?"]);
    assert_eq!((report.pages(), report.ledger_adds_up), (5, true), "{report}");
}

#[cfg(feature = "disk")]
#[test]
fn a_changed_scope_holds_for_what_waits() {
    let recorder = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page(["/p1", "/p2", "/p3", "/p4"]),
        _ => Answer::page([""; 0]),
    });
    let dir = tempfile::tempdir().unwrap();
    let crawl = |scope: Scope| crawler(&recorder).per_domain(1).state(dir.path()).scope(scope).run_blocking().unwrap();
    let first = crawl(Scope { max_pages: Some(2), ..Scope::default() });
    assert_eq!((first.pages(), first.stats.ledger.queued), (2, 3));
    let denied = || Scope { deny: vec!["/p[34]$".parse().unwrap()], ..Scope::default() };
    // A third process with the same scope applies it too, whatever the second has left.
    crawl(Scope { max_pages: Some(2), ..denied() });
    let last = crawl(denied());
    assert_eq!(sorted_paths(&recorder), ["/", "/p1", "/p2"]);
    assert_eq!((last.pages(), count(&last, "drop/scope/rule"), last.ledger_adds_up), (3, 2, true));
    assert_eq!(last.stats.ledger.queued, 0);
}

/// The tree of the issue: `/`→slow→hub→leaf→below and `/`→quick→mid→hub. The leaf is three links from the seed, and
/// `below` four.
fn answer_late(path: &str, time: usize, late: &str, fails: bool) -> Answer {
    let page = match path {
        "/" => Answer::page(["/slow", "/quick"]),
        "/slow" => Answer::page(["/hub"]),
        "/quick" => Answer::page(["/mid"]),
        "/mid" => Answer::page(["/hub"]),
        "/hub" => Answer::page(["/leaf"]),
        "/leaf" => Answer::page(["/below"]),
        _ => Answer::page([""; 0]),
    };
    match (path == late && time == 1, fails) {
        (true, true) => Answer::status(500),
        (true, false) => page.after(Duration::from_millis(400)),
        _ => page,
    }
}

#[test]
fn which_pages_are_too_deep_does_not_depend_on_which_answer_comes_first() {
    for (late, fails) in [("/slow", false), ("/slow", true), ("/quick", false), ("/hub", false), ("nothing", false)] {
        let recorder = Recorder::start(move |asked| answer_late(&asked.path, asked.time, late, fails));
        let retry = Retry { base: Duration::from_millis(300), ..Retry::default() };
        let mut settings = actix_crawler::Settings { retry, ..Default::default() };
        settings.transport.guard.allow_private = true;
        settings.scope.max_depth = Some(3);
        let crawler = crawler(&recorder).settings(settings).ignore_robots().rate(Rate::UNLIMITED).per_domain(8);
        let report = crawler.run_blocking().unwrap();
        let mut expected = vec!["/", "/hub", "/leaf", "/mid", "/quick", "/slow"];
        if fails {
            expected.push("/slow");
        }
        assert_eq!(sorted_paths(&recorder), expected, "{late} is late");
        assert_eq!((count(&report, "drop/scope/depth"), report.ledger_adds_up), (1, true), "{late} is late: {report}");
        assert_eq!((report.pages(), report.stats.ledger.discovered), (6, 7), "{late} is late");
    }
}

#[test]
fn one_endless_domain_leaves_room_for_others() {
    let recorder = Recorder::start(|asked| match (asked.host.as_str(), asked.path.as_str()) {
        ("trap.test", path) => Answer::page((0..50).map(|n| format!("{path}{n}/"))),
        (_, "/") => Answer::page((0..20).map(|n| format!("/{n}"))),
        _ => Answer::page([""; 0]),
    });
    let crawl = || {
        Crawler::new(follow_all as FollowAll, "frontier/1.0 (+https://example.org/)")
            .seeds(["http://trap.test/", "http://other.test/"])
            .resolve(recorder.rule())
            .allow_private()
            .ignore_robots()
            .rate(Rate::UNLIMITED)
            .max_depth(3)
    };
    let bounded = crawl().max_queued_per_domain(30).run_blocking().unwrap();
    let others = recorder.by_host()["other.test"].len();
    assert_eq!(others, 21, "the other domain has all its pages");
    assert!(count(&bounded, "drop/budget/domain_queue_full") > 0, "{bounded}");
    assert_eq!((count(&bounded, "drop/budget/queue_full"), bounded.ledger_adds_up), (0, true));
    let in_bytes = crawl().max_queued_bytes(20_000).run_blocking().unwrap();
    assert!(count(&in_bytes, "drop/budget/queue_full") > 0, "{in_bytes}");
    assert!(in_bytes.ledger_adds_up);
}

/// `/item/7/any-title` and `/item/7` are one page.
#[derive(Debug)]
struct ByItem;

impl Identity for ByItem {
    fn name(&self) -> &str {
        "by-item/1"
    }

    fn canonicalize(&self, url: &mut url::Url) {
        CanonicalUrl::default().canonicalize(url);
        let path: Vec<_> = url.path().split('/').take(3).collect();
        let path = path.join("/");
        url.set_path(&path);
    }
}

#[test]
fn a_user_brings_an_identity_and_a_frontier() {
    let recorder = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page(["/item/7/a", "/item/7/b", "/item/8/c#part"]),
        "/item/8" => Answer::redirect("/item/9/moved"),
        _ => Answer::page([""; 0]),
    });
    let opened = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = opened.clone();
    let report = crawler(&recorder)
        .identity(ByItem)
        .frontier(move |opening| {
            counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Ok(Opened::from(MemoryFrontier::new(opening.recrawl, opening.now)))
        })
        .run_blocking()
        .unwrap();
    assert_eq!(sorted_paths(&recorder), ["/", "/item/7", "/item/8", "/item/9"]);
    assert_eq!((report.pages(), opened.load(std::sync::atomic::Ordering::SeqCst)), (3, 1));
}

/// Regression: the log was emptied, since only a state's folder counted as one.
#[cfg(feature = "disk")]
#[test]
fn the_log_of_a_durable_frontier_of_ones_own_goes_on() {
    let recorder = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page(["/a", "/b"]),
        _ => Answer::page([""; 0]),
    });
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("crawl.log");
    for pages in [1, 9] {
        let store = folder.path().join("store");
        let crawler =
            crawler(&recorder).frontier(move |opening| actix_crawler::frontier::stores::fjall::open(&store, opening));
        crawler.log(&log).max_pages(pages).run_blocking().unwrap();
    }
    let log = std::fs::read_to_string(&log).unwrap();
    let url = |path: &str| format!("\"url\":\"{}\"", recorder.url(path));
    let done = |path: &str| log.lines().filter(|line| line.contains(&url(path))).count();
    assert_eq!([done("/"), done("/a"), done("/b")], [1, 1, 1], "{log}");
}

#[test]
fn the_laws_are_a_helper_for_tests_of_other_crates() {
    laws::check(|recrawl, now| MemoryFrontier::new(recrawl.clone(), now));
}

#[cfg(feature = "disk")]
#[test]
fn a_state_is_refused_with_another_identity() {
    let recorder = Recorder::start(|_| Answer::page([""; 0]));
    let dir = tempfile::tempdir().unwrap();
    crawler(&recorder).state(dir.path()).identity(ByItem).run_blocking().unwrap();
    crawler(&recorder).state(dir.path()).identity(ByItem).run_blocking().unwrap();
    let refused = crawler(&recorder).state(dir.path()).run_blocking().unwrap_err().to_string();
    assert!(refused.contains("by-item/1") && refused.contains("canonical-url"), "{refused}");
}
