//! Signals and the longest time of a crawl: both stop it as `stop` does, and the report says why.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, reason = "time is measured here")]

mod crawls;
mod recorder;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use actix_crawler::{Politeness, politeness::DomainKey, report::Ended};
use crawls::{MS, block_on, crawl, end_of, until};
use nix::sys::signal::{Signal, raise};
use recorder::{Answer, Recorder};

const SEED: &str = "http://one.test/";

/// One test, since a signal reaches the whole process.
#[test]
fn a_first_signal_drains_and_a_second_ends_at_once() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page((1..50).map(|n| format!("/{n}"))).after(300 * MS),
        _ => Answer::ok(""),
    });
    let handle = crawl(&site).stop_on_signals().seed(SEED).start().unwrap();
    let report = block_on(async {
        until("the first request", async || site.count() > 0).await;
        raise(Signal::SIGTERM).unwrap();
        end_of(&handle).await
    });
    assert_eq!(
        (report.ended, report.pages(), site.count()),
        (Ended::Stopped, 1, 1),
        "what was in flight ended: {report}"
    );
    assert_eq!(report.stop_reason.as_deref(), Some("the process got SIGTERM"));
    assert_eq!(report.stats.ledger.queued, 49, "{report}");

    let hangs = Recorder::start(|_| Answer::ok("").after(Duration::from_secs(30)));
    let handle = crawl(&hangs).stop_on_signals().seed(SEED).start().unwrap();
    let begun = Instant::now();
    let report = block_on(async {
        until("the first request", async || hangs.count() > 0).await;
        raise(Signal::SIGINT).unwrap();
        tokio::time::sleep(200 * MS).await;
        assert!(handle.report().is_none(), "it waits for what is in flight");
        raise(Signal::SIGINT).unwrap();
        end_of(&handle).await
    });
    assert_eq!(report.ended, Ended::Aborted, "{report}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());

    // Also where code of one's own blocks the scheduler, which then hears nothing.
    let site = Recorder::start(|asked| Answer::page([format!("/{}", asked.index + 1)]));
    let is_blocked = Arc::new(AtomicBool::new(false));
    let blocked = is_blocked.clone();
    let blocks = move |url: &url::Url| {
        if url.path() == "/5" {
            blocked.store(true, Ordering::SeqCst);
            loop {
                thread::park();
            }
        }
        "all".to_owned()
    };
    let politeness = Politeness { domain_key: DomainKey::By(Arc::new(blocks)), ..Politeness::default() };
    let crawler = crawl(&site).politeness(politeness).ignore_robots().spacing(MS);
    let handle = crawler.stop_on_signals().seed(SEED).start().unwrap();
    let report = block_on(async {
        until("the scheduler is blocked", async || is_blocked.load(Ordering::SeqCst)).await;
        raise(Signal::SIGINT).unwrap();
        tokio::time::sleep(200 * MS).await;
        assert!(handle.report().is_none(), "the first is not the second");
        let begun = Instant::now();
        raise(Signal::SIGINT).unwrap();
        let report = end_of(&handle).await;
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        report
    });
    assert_eq!((report.ended, report.pages()), (Ended::Aborted, 4), "{report}");
}

#[test]
fn a_crawl_stops_after_its_longest_time_and_says_so() {
    let site = Recorder::start(|asked| Answer::page([format!("/{}", asked.index + 1)]));
    let handle = crawl(&site).spacing(20 * MS).max_time(500 * MS).seed(SEED).start().unwrap();
    let report = block_on(end_of(&handle));
    assert_eq!(
        (report.ended, report.stop_reason.as_deref()),
        (Ended::Stopped, Some("it has run for 500ms")),
        "{report}"
    );
    assert!(report.pages() >= 2 && report.stats.elapsed < Duration::from_secs(5), "{report}");
}
