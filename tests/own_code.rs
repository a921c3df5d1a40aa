//! Code of a user's own that the scheduler runs, a frontier or an identity: where it blocks, the crawl can be ended,
//! and where it panics, the crawl ends with a report.
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

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

use actix_crawler::{
    Domain, Report, Settings,
    files::Files,
    frontier::{
        Drained, Frontier, LeaseId, MemoryFrontier, Next, Offered,
        durable::{Opened, Opening},
    },
    identity::{CanonicalUrl, Fingerprint, Identity},
    prelude::*,
    report::Ended,
};
use crawls::{Links, MS, block_on, crawl, until};
use recorder::{Answer, Recorder};
use url::Url;

const SEED: &str = "http://one.test/";

/// What "at once" means.
const AT_ONCE: Duration = Duration::from_secs(1);

fn site() -> Recorder {
    Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page((1..10).map(|n| format!("/{n}"))),
        _ => Answer::ok("").after(5 * MS),
    })
}

/// Never returns.
fn block() -> ! {
    loop {
        thread::park();
    }
}

/// The methods of a frontier, but for those without which nothing is ever asked of it.
const METHODS: [&str; 10] =
    ["offer", "has_seen", "lease", "ready_at", "settle", "give_back", "has_waiting", "queued", "leased", "queued_of"];

/// A frontier in memory, one of whose methods misbehaves once it is armed.
struct Odd {
    inner: MemoryFrontier,
    method: &'static str,
    blocks: bool,
    is_armed: Arc<AtomicBool>,
}

impl Odd {
    fn meet(&self, method: &str) {
        if method == self.method && self.is_armed.load(Ordering::SeqCst) {
            assert!(self.blocks, "no {method} today");
            // It tells so that it blocks.
            self.is_armed.store(false, Ordering::SeqCst);
            block();
        }
    }
}

impl Frontier for Odd {
    fn offer(&mut self, domain: &Domain, fingerprint: Fingerprint, request: Request, now: Instant) -> Offered {
        self.meet("offer");
        self.inner.offer(domain, fingerprint, request, now)
    }

    fn has_seen(&self, fingerprint: &Fingerprint, now: Instant) -> bool {
        self.meet("has_seen");
        self.inner.has_seen(fingerprint, now)
    }

    fn lease(&mut self, domain: &Domain, now: Instant) -> Next {
        self.meet("lease");
        self.inner.lease(domain, now)
    }

    fn ready_at(&mut self, domain: &Domain, now: Instant) -> Option<Instant> {
        self.meet("ready_at");
        self.inner.ready_at(domain, now)
    }

    fn settle(&mut self, id: LeaseId) -> bool {
        self.meet("settle");
        self.inner.settle(id)
    }

    fn give_back(&mut self, id: LeaseId, not_before: Option<Instant>, attempted: bool) -> Option<Domain> {
        self.meet("give_back");
        self.inner.give_back(id, not_before, attempted)
    }

    fn drain(&mut self, domain: &Domain, max: usize) -> Drained {
        self.inner.drain(domain, max)
    }

    fn domains(&self) -> Box<dyn Iterator<Item = &Domain> + '_> {
        self.inner.domains()
    }

    fn has_waiting(&self, domain: &Domain) -> bool {
        self.meet("has_waiting");
        self.inner.has_waiting(domain)
    }

    fn queued(&self) -> u64 {
        self.meet("queued");
        self.inner.queued()
    }

    fn queued_of(&self, domain: &Domain) -> u64 {
        self.meet("queued_of");
        self.inner.queued_of(domain)
    }

    fn leased(&self) -> u64 {
        self.meet("leased");
        self.inner.leased()
    }
}

/// A crawl over a frontier one of whose methods panics, or blocks, once the switch is on.
fn over_odd(site: &Recorder, method: &'static str, blocks: bool) -> (Crawler<Links>, Arc<AtomicBool>) {
    let is_armed = Arc::new(AtomicBool::new(false));
    let arm = is_armed.clone();
    let crawler = crawl(site).spacing(20 * MS).seed(SEED).frontier(move |Opening { recrawl, now, .. }: Opening| {
        Ok(Opened::from(Odd { inner: MemoryFrontier::new(recrawl, now), method, blocks, is_armed: arm }))
    });
    (crawler, is_armed)
}

/// Waits for the report, as a user does.
async fn report_of(handle: &CrawlHandle) -> Arc<Report> {
    let report = tokio::time::timeout(Duration::from_secs(20), handle.wait()).await;
    report.expect("there is an end").expect("there is a report")
}

#[test]
fn a_frontier_that_panics_ends_the_crawl_with_a_report_that_adds_up() {
    let site = site();
    let mut ended = Vec::new();
    for method in METHODS {
        let (crawler, is_armed) = over_odd(&site, method, false);
        let kept = Collect::new();
        let report = block_on(async {
            let handle = crawler.pipeline(kept.clone()).stay_open().start().unwrap();
            until("a few pages", async || handle.progress().await.is_ok_and(|progress| progress.pages > 2)).await;
            is_armed.store(true, Ordering::SeqCst);
            if matches!(method, "offer" | "has_seen" | "queued_of") {
                // They are asked where something new comes.
                let _ = handle.seed("http://two.test/").await;
            }
            handle.close().await;
            report_of(&handle).await
        });
        assert!(report.ledger_adds_up && report.pages() > 2, "{method}: {report}");
        if report.ended == Ended::Failed {
            let failure = report.failure.as_deref().unwrap_or_default();
            assert!(failure.contains(&format!("panicked: no {method} today")), "{method}: {failure}");
            ended.push(method);
        }
        assert!(kept.take().len() as u64 >= report.pages(), "{method}: what was fetched was delivered");
    }
    // Some are asked only in crawls of another kind.
    let asked = ["offer", "has_seen", "lease", "ready_at", "settle", "queued", "leased"];
    assert!(asked.iter().all(|method| ended.contains(method)), "{ended:?}");
}

#[test]
fn a_frontier_that_panics_when_it_is_opened_or_first_asked_is_an_error_of_the_start() {
    let site = site();
    let opened = crawl(&site).seed(SEED).frontier(|_| panic!("no frontier today")).start();
    let said = opened.err().expect("it has not started").to_string();
    assert!(said.contains("panicked: no frontier today"), "{said}");
    let (crawler, is_armed) = over_odd(&site, "offer", false);
    is_armed.store(true, Ordering::SeqCst);
    let said = crawler.start().err().expect("it has not started").to_string();
    assert!(said.contains("panicked: no offer today"), "{said}");
}

#[test]
fn a_frontier_that_blocks_does_not_hold_up_an_abort() {
    let site = site();
    for method in ["lease", "settle", "queued", "ready_at"] {
        let (crawler, is_armed) = over_odd(&site, method, true);
        block_on(async {
            let handle = crawler.start().unwrap();
            until("a few pages", async || handle.progress().await.is_ok_and(|progress| progress.pages > 2)).await;
            is_armed.store(true, Ordering::SeqCst);
            until("it blocks", async || !is_armed.load(Ordering::SeqCst)).await;
            let begun = Instant::now();
            handle.abort().await;
            let report = report_of(&handle).await;
            assert!(begun.elapsed() < AT_ONCE, "{method}: {:?}", begun.elapsed());
            assert_eq!(report.ended, Ended::Aborted, "{method}: {report}");
            assert!(report.ledger_adds_up && report.pages() > 2, "{method}: {report}");
            assert!(report.complaints.iter().any(|said| said.contains("given up")), "{method}: {report}");
            // What is asked of a crawl that has ended so is answered too.
            assert_eq!(handle.progress().await.unwrap().pages, report.pages());
            assert!(handle.seed("http://two.test/").await.is_err());
            handle.stop().await;
            handle.abort().await;
        });
    }
}

/// A start that blocks has no handle yet; what waits for it can go on with other things, and stop waiting.
#[test]
fn a_frontier_that_blocks_when_it_is_opened_blocks_no_runtime() {
    let site = site();
    let crawler = crawl(&site).seed(SEED).frontier(|_| block());
    let waited = block_on(async { tokio::time::timeout(300 * MS, crawler.run()).await });
    assert!(waited.is_err(), "it has not begun");
}

/// Panics on the URLs that contain a word, where the scheduler asks for a fingerprint.
#[derive(Debug)]
struct Fussy;

impl Identity for Fussy {
    fn name(&self) -> &str {
        "fussy/1"
    }

    fn canonicalize(&self, url: &mut Url) {
        assert!(url.path() != "/bad", "no name for {url}");
        CanonicalUrl::default().canonicalize(url);
    }

    fn fingerprint(&self, method: &http::Method, url: &Url, body: &[u8]) -> Fingerprint {
        let on_scheduler = thread::current().name() == Some("crawler");
        assert!(!(on_scheduler && url.path() == "/3"), "no print of {url}");
        Fingerprint::of(method, url, body)
    }
}

#[test]
fn an_identity_that_panics_fails_its_page_its_seed_or_ends_the_crawl_and_says_so() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page(["/bad-links", "/good"]),
        "/bad-links" => Answer::page(["/bad"]),
        _ => Answer::ok(""),
    });
    let report = crawls::run(crawl(&site).identity(Fussy).seed(SEED));
    assert_eq!((report.pages(), report.failed(), report.stats.get("outcome/panic")), (2, 1, 1), "{report}");

    let said = crawl(&site).identity(Fussy).seed("http://one.test/bad").start().err().expect("a bad seed").to_string();
    assert!(said.contains("panicked: no name for"), "{said}");

    block_on(async {
        let handle = crawl(&site).identity(Fussy).stay_open().start().unwrap();
        let said = handle.seed("http://one.test/bad").await.unwrap_err().to_string();
        assert!(said.contains("panicked: no name for"), "{said}");
        handle.seed("http://one.test/good").await.unwrap();
        handle.close().await;
        assert_eq!(report_of(&handle).await.ended, Ended::Finished);
    });

    // With a largest depth the scheduler asks for the print of a page when it is leased.
    let site = self::site();
    let report = block_on(async {
        let handle = crawl(&site).identity(Fussy).max_depth(3).seed(SEED).start().unwrap();
        report_of(&handle).await
    });
    assert_eq!(report.ended, Ended::Failed, "{report}");
    assert!(report.failure.as_deref().is_some_and(|why| why.contains("panicked: no print of")), "{report}");
    assert!(report.ledger_adds_up, "{report}");
}

/// Regression: `PendingFiles` had been asked for the other file too, which nobody requested, and two pages waited for
/// it for ever.
#[test]
fn an_identity_that_panics_on_a_file_fails_its_page_and_no_page_waits_for_ever() {
    #[derive(Debug)]
    struct NoBadFile;
    impl Identity for NoBadFile {
        fn name(&self) -> &str {
            "no-bad-file/1"
        }

        fn canonicalize(&self, url: &mut Url) {
            CanonicalUrl::default().canonicalize(url);
        }

        fn fingerprint(&self, method: &http::Method, url: &Url, body: &[u8]) -> Fingerprint {
            assert!(url.path() != "/bad.svg", "no print of {url}");
            Fingerprint::of(method, url, body)
        }
    }
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/good.svg" => Answer::ok("<svg xmlns='http://www.w3.org/2000/svg'/>").header("content-type", "image/svg+xml"),
        _ => Answer::ok(""),
    });
    let spider = |page: &Response| {
        let files = if page.url().path() == "/2" { vec!["/good.svg"] } else { vec!["/good.svg", "/bad.svg"] };
        Ok(Parsed::<()>::new().download(files.into_iter().map(|file| page.url().join(file).unwrap())))
    };
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { files: Files::to(folder.path()), ..Settings::default() };
    let crawler = crawls::crawl_with(spider, &site, settings).identity(NoBadFile);
    let report = crawls::run(crawler.seeds(["http://one.test/1", "http://one.test/2"]));
    assert_eq!((report.pages(), report.failed()), (1, 1), "{report}");
    assert_eq!(report.stats.get("files/downloaded"), 1, "{report}");
}

/// A state is left as it was last stored, and the crawl goes on from there.
#[cfg(feature = "disk")]
#[test]
fn a_crawl_that_ended_by_a_panic_is_resumed() {
    let (site, dir) = (site(), tempfile::tempdir().unwrap());
    let begin = || crawl(&site).max_depth(3).state(dir.path()).seed(SEED);
    let first = block_on(async { report_of(&begin().identity(Fussy).start().unwrap()).await });
    assert_eq!(first.ended, Ended::Failed, "{first}");
    #[derive(Debug)]
    struct Mild;
    impl Identity for Mild {
        fn name(&self) -> &str {
            "fussy/1"
        }

        fn canonicalize(&self, url: &mut Url) {
            CanonicalUrl::default().canonicalize(url);
        }
    }
    let second = crawls::run(begin().identity(Mild));
    assert_eq!(second.pages(), 10, "{second}");
}
