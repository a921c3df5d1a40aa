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

use actix_crawler::{Crawler, stats::Ledger};
use crawls::{Links, crawl, run};
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
