//! Recrawl: what a second run of a crawl with a state fetches again.

#![cfg(feature = "disk")]
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

mod crawls;
mod recorder;

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use actix_crawler::{Recrawl, Settings, prelude::*, recrawl::PageChange, settings::Adaptive, stats::Ledger};
use crawls::{Links, block_on, crawl, crawl_with, end_of, run};
use recorder::{Answer, Recorder};

const HOME: &str = "http://one.test/";

/// Five pages that all link to all; two are seeds. One seed has an old URL.
fn site() -> Recorder {
    Recorder::start(|asked| match asked.path.as_str() {
        "/old" => Answer::redirect("/moved"),
        _ => Answer::page(["/", "/moved", "/a", "/b", "/c"]),
    })
}

fn crawl_of(site: &Recorder, state: &Path) -> Crawler<Links> {
    // One of them is given twice, which counts once.
    crawl(site).seeds([HOME, "http://one.test/old", HOME]).state(state)
}

/// Crawls, and returns the requests of this crawl.
fn asked(site: &Recorder, crawler: Crawler<Links>, sum: &mut u64) -> Vec<String> {
    let before = site.count();
    let report = run(crawler);
    let mut asked = site.paths().split_off(before);
    asked.sort();
    *sum += asked.len() as u64;
    let Ledger { discovered, done, .. } = report.stats.ledger;
    assert_eq!((discovered, done), (*sum, *sum), "what is fetched again is discovered again: {report}");
    asked
}

const ALL: [&str; 6] = ["/", "/a", "/b", "/c", "/moved", "/old"];
const SEEDS: [&str; 3] = ["/", "/moved", "/old"];

#[test]
fn a_crawl_that_is_run_again_fetches_nothing_its_seeds_or_all_as_it_is_told() {
    let (site, dir, mut sum) = (site(), tempfile::tempdir().unwrap(), 0);
    let again = || crawl_of(&site, dir.path());
    assert_eq!(asked(&site, again(), &mut sum), ALL);
    let end = Instant::now();
    assert_eq!(asked(&site, again(), &mut sum), [""; 0]);
    assert_eq!(asked(&site, again().revisit_after(Duration::from_secs(3_600)), &mut sum), [""; 0]);
    // Longer than a crawl takes; times are whole seconds, so a page may count as seen for two more.
    let age = Duration::from_secs(3);
    thread::sleep((age + Duration::from_secs(2)).saturating_sub(end.elapsed()));
    assert_eq!(asked(&site, again().seeds_again(), &mut sum), SEEDS);
    // The seeds were just fetched: the old pages are found only if the seeds are fetched again.
    assert_eq!(asked(&site, again().revisit_after(age), &mut sum), [""; 0]);
    assert_eq!(asked(&site, again().revisit_after(age).seeds_again(), &mut sum), ALL);
    assert_eq!(asked(&site, again().revisit_after(age).seeds_again(), &mut sum), SEEDS);
}

/// Regression: a seed that waited was queued again and fetched twice in one run.
#[test]
fn a_seed_that_waits_is_not_queued_again_with_the_others() {
    let (site, dir) = (site(), tempfile::tempdir().unwrap());
    let again = || crawl_of(&site, dir.path()).seeds_again();
    run(again());
    let before = site.count();
    let report = block_on(end_of(&again().max_pages(1).start().unwrap()));
    assert!(report.stats.ledger.queued > 0, "{report}");
    assert_eq!(site.count(), before, "the pages of all runs count");
    let report = run(again());
    let mut asked = site.paths().split_off(before);
    asked.sort();
    assert_eq!(asked, SEEDS, "{report}");
}

#[test]
fn a_crawl_in_memory_visits_a_page_again_when_it_is_found_long_after() {
    let visited = AtomicBool::new(false);
    let site = Recorder::start(move |asked| match asked.path.as_str() {
        // The second time it has no links, or this would never end.
        "/" if visited.swap(true, Ordering::SeqCst) => Answer::page([""; 0]),
        "/" => Answer::page(["/1"]),
        // For four seconds a page comes every half second, each of which links home.
        path => {
            let next = path[1..].parse::<u32>().unwrap() + 1;
            Answer::page(if next <= 8 { vec!["/".into(), format!("/{next}")] } else { vec![] })
                .after(Duration::from_millis(500))
        }
    });
    let report = run(crawl(&site).seed(HOME).revisit_after(Duration::from_secs(2)));
    let home = site.asked().into_iter().filter(|asked| asked.path == "/").collect::<Vec<_>>();
    assert_eq!(home.len(), 2, "{report}");
    assert!(home[1].at - home[0].at >= Duration::from_secs(2));
    assert_eq!((report.stats.ledger.discovered, report.stats.ledger.done), (10, 10), "{report}");
}

#[test]
fn a_page_that_changes_is_fetched_again_sooner_than_one_that_does_not_and_a_spider_hears_of_it() {
    let (dir, seconds) = (tempfile::tempdir().unwrap(), Duration::from_secs);
    let story = "A story that is long enough for a date in it to change nothing of what it tells. ".repeat(20);
    let site = Recorder::start(move |asked| match asked.path.as_str() {
        "/still" => {
            Answer::ok(format!("<p>{story} Printed for the {}th time.", asked.time)).header("content-type", "text/html")
        }
        _ => {
            let words: String = (0..50).map(|n| format!("word{} ", n * asked.time)).collect();
            Answer::ok(format!("<p>Another text each time: {words}")).header("content-type", "text/html")
        }
    });
    let once = || {
        let changes = Collect::new();
        let spider = |page: &Response| Ok(Parsed::of([(page.url().path().to_owned(), page.change_since_last_visit())]));
        let adaptive = Adaptive { first: seconds(4), least: seconds(2), ..Adaptive::default() };
        let settings =
            Settings { recrawl: Recrawl { adaptive: Some(adaptive), ..Recrawl::default() }, ..Settings::default() };
        let crawler = crawl_with(spider, &site, settings).seeds(["http://one.test/still", "http://one.test/moving"]);
        let report = run(crawler.state(dir.path()).pipeline(changes.clone()));
        let mut changes = changes.take();
        changes.sort_by(|(one, _), (other, _)| one.cmp(other));
        (changes, report)
    };
    let (still, moving) = ("/still".to_owned(), "/moving".to_owned());
    assert_eq!(once().0, [(moving.clone(), None), (still.clone(), None)]);
    assert_eq!(once().0, [], "nothing is due");
    thread::sleep(seconds(5));
    let (changes, report) = once();
    let expected = [(moving.clone(), Some(PageChange::Large)), (still, Some(PageChange::Small))];
    assert_eq!(changes, expected, "{report}");
    let counts = ["first_visit", "changed", "unchanged"].map(|word| report.stats.get(&format!("recrawl/{word}")));
    assert_eq!(counts, [2, 1, 1], "{report}");
    // Now the one is due after two seconds, and the other after eight.
    thread::sleep(seconds(3));
    assert_eq!(once().0, [(moving, Some(PageChange::Large))]);
}
