//! A crawl with a state that is killed repeatedly loses nothing, and its servers see no excess of requests.

#![cfg(feature = "disk")]

mod closing;
mod kills;
mod recorder;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use actix::{Actor, Context, Handler, ResponseFuture};
use actix_crawler::{
    Scope,
    pipeline::{Batching, Flush, append_lines},
    prelude::*,
};
use closing::until_closed;
use kills::{ended_well, kill_when, run_and_kill};
use recorder::{Answer, Asked, Recorder};
use tokio::sync::oneshot;

/// A site on many addresses, each a domain of its own, which records its requests.
struct Site {
    recorders: Vec<Recorder>,
}

/// Pages of each domain.
const PAGES: u32 = 12;

impl Site {
    fn start(domains: u8) -> Self {
        let first = TcpListener::bind((address(0), 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let rest = (1..domains).map(|domain| TcpListener::bind((address(domain), port)).unwrap());
        let listeners = std::iter::once(first).chain(rest).zip(0..);
        let start = |(listener, domain)| Recorder::at(listener, move |asked| answer(asked, domain, domains, port));
        Self { recorders: listeners.map(start).collect() }
    }

    fn seed(&self) -> String {
        self.recorders[0].url("/0")
    }

    fn pages(&self) -> BTreeSet<String> {
        let of = |recorder: &Recorder| (0..PAGES).map(|page| recorder.url(&format!("/{page}"))).collect::<Vec<_>>();
        self.recorders.iter().flat_map(of).collect()
    }

    /// How often each page was requested.
    fn times(&self) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for recorder in &self.recorders {
            for asked in recorder.asked().iter().filter(|asked| asked.path != "/robots.txt") {
                *times.entry(recorder.url(&asked.path)).or_default() += 1;
            }
        }
        times
    }

    fn requests(&self) -> usize {
        self.recorders.iter().map(|recorder| recorder.asked().len()).sum()
    }

    /// The least time between two requests to one domain, over all processes.
    fn smallest_gap(&self) -> Duration {
        self.recorders.iter().map(|recorder| recorder.arrivals().smallest_gap()).min().unwrap()
    }
}

fn address(domain: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 7, domain + 1)
}

/// Each page links to two others of its domain; the first of each domain also links to those of two other domains.
fn answer(asked: &Asked, domain: u8, domains: u8, port: u16) -> Answer {
    let Some(page) = asked.path.trim_start_matches('/').parse::<u32>().ok().filter(|page| *page < PAGES) else {
        return Answer::status(404);
    };
    let here = [2 * page + 1, 2 * page + 2].into_iter().filter(|page| *page < PAGES).map(|page| format!("/{page}"));
    let others = [2 * domain + 1, 2 * domain + 2].into_iter().filter(|other| page == 0 && *other < domains);
    let links = here.chain(others.map(|other| format!("http://{}:{port}/0", address(other))));
    let body: String = links.map(|link| format!("<a href=\"{link}\">a link</a>")).collect();
    // Long enough that most kills hit pages in flight.
    Answer::ok(body).header("content-type", "text/html").after(Duration::from_millis(fastrand::u64(0..100)))
}

#[derive(serde::Serialize)]
struct Page {
    url: String,
}

fn parse(page: &Response) -> Result<Parsed<Page>> {
    let links: Vec<_> = page.links().collect();
    Ok(Parsed::new().item(Page { url: page.url().to_string() }).follow(links))
}

/// Takes pages and, where it is told to, also failures for items.
struct Hears {
    failures: bool,
}

impl Spider for Hears {
    type Item = Page;

    fn parse(&self, page: &Response) -> Result<Parsed<Page>> {
        parse(page)
    }

    fn failed(&self, request: &Request, outcome: &Outcome) -> Parsed<Page> {
        Parsed::of(self.failures.then(|| Page { url: format!("{} {}", outcome.key(), request.url) }))
    }
}

/// A table whose rows are committed `size` at a time: uncommitted rows are lost with the process.
struct Table {
    size: usize,
    rows: std::fs::File,
    held: Vec<(String, oneshot::Sender<()>)>,
}

impl Table {
    fn commit(&mut self) {
        let (rows, waiting): (Vec<_>, Vec<_>) = self.held.drain(..).unzip();
        // A kill may come during the commit, and between the commit and the acknowledgement.
        thread::sleep(Duration::from_millis(10));
        self.rows.write_all(rows.concat().as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(10));
        waiting.into_iter().for_each(|committed| committed.send(()).unwrap_or_default());
    }
}

impl Actor for Table {
    type Context = Context<Self>;
}

impl Handler<Scraped<Page>> for Table {
    type Result = ResponseFuture<Result<(), PipelineError>>;

    fn handle(&mut self, page: Scraped<Page>, _: &mut Self::Context) -> Self::Result {
        let (commit, committed) = oneshot::channel();
        self.held.push((format!("{}\n", page.item.url), commit));
        if self.held.len() >= self.size {
            self.commit();
        }
        Box::pin(async { committed.await.map_err(PipelineError::refused) })
    }
}

impl Handler<Flush> for Table {
    type Result = ();

    fn handle(&mut self, _: Flush, _: &mut Self::Context) {
        self.commit();
    }
}

impl Handler<CrawlEnded> for Table {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

/// The test that crawls in the child process.
const CRAWLER: &str = "a_second_process_is_told_who_holds_the_state";

/// The child's part of the tests, to be killed.
fn child(seed: String) {
    let dir = PathBuf::from(std::env::var("RESUME_DIR").unwrap());
    let spacing = std::env::var("RESUME_SPACING").unwrap().parse().unwrap();
    let mut scope = Scope { within: Within::Any, ..Scope::default() };
    scope.max_pages = std::env::var("RESUME_PAGES").ok().map(|pages| pages.parse().unwrap());
    let failures = std::env::var("RESUME_FAILURES").is_ok();
    let mut crawler = Crawler::new(Hears { failures }, "resume/1.0 (+https://example.org/)")
        .seed(seed)
        .allow_private()
        .scope(scope)
        .spacing(Duration::from_millis(spacing))
        .threads(1)
        .state(dir.join("state"));
    let rows = dir.join("rows");
    crawler = match std::env::var("RESUME_BATCH").ok() {
        Some(size) => {
            let size = size.parse().unwrap();
            let make = move || Table { size, rows: append_lines(&rows).unwrap(), held: Vec::new() };
            crawler.concurrency(200).pipeline(Batching::new(size, make))
        }
        None => crawler.pipeline(JsonLines::append(dir.join("items.jsonl"))),
    };
    let report = crawler.run_blocking();
    match report {
        Ok(report) => std::fs::write(dir.join("report.json"), serde_json::to_vec(&*report).unwrap()).unwrap(),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(3);
        }
    }
}

fn spawn_command(site: &Site, dir: &Path, spacing: Duration) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", CRAWLER, "--nocapture"]);
    command.env("RESUME_SEED", site.seed()).env("RESUME_DIR", dir);
    command.env("RESUME_SPACING", spacing.as_millis().to_string());
    command
}

fn spawn(site: &Site, dir: &Path, spacing: Duration) -> Child {
    spawn_command(site, dir, spacing).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Like [`spawn`], but no file can grow beyond 60 KiB, which the store sees as a full disk.
fn spawn_without_room(site: &Site, dir: &Path, spacing: Duration) -> Child {
    let unlimited = spawn_command(site, dir, spacing);
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 120; exec \"$0\" \"$@\""]);
    limited.arg(unlimited.get_program()).args(unlimited.get_args());
    limited.envs(unlimited.get_envs().filter_map(|(key, value)| Some((key, value?))));
    limited.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn report(dir: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(dir.join("report.json")).unwrap()).unwrap()
}

fn items(dir: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join("items.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["url"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_crawl_that_is_killed_again_and_again_loses_nothing_and_hurries_nobody() {
    const KILLS: usize = 20;
    let spacing = Duration::from_millis(150);
    let (site, dir) = (Site::start(25), tempfile::tempdir().unwrap());
    let kills = ended_well(run_and_kill(KILLS, 30..700, || spawn(&site, dir.path(), spacing)));
    let (report, items, pages) = (report(dir.path()), items(dir.path()), site.pages());
    assert_eq!(report["ended"], "finished", "{report}");
    assert_eq!(report["ledger_adds_up"], true, "{report}");
    assert_eq!(report["ledger"]["done"], pages.len(), "{report}");
    assert_eq!(items.iter().cloned().collect::<BTreeSet<_>>(), pages, "every page's item is there");
    let times = site.times();
    let again: usize = times.values().map(|times| times - 1).sum();
    assert!(times.values().all(|times| *times <= 1 + kills), "{times:?}");
    // A kill costs the pages in flight, one a domain, and what the store's thread had not received yet.
    assert!(again <= kills * site.recorders.len() / 2, "{again} pages were fetched again after {kills} kills");
    let gap = site.smallest_gap();
    assert!(gap >= spacing, "{gap:?} between two requests to one domain");
    println!("{kills} kills, {again} pages fetched again, smallest gap {gap:?}");
}

/// Regression: a pipeline that commits a hundred rows together had to acknowledge before its commit, since only sixteen
/// items could wait: after two kills, 605 of 730 rows were there.
#[test]
fn a_pipeline_that_commits_a_hundred_rows_at_a_time_loses_none_over_kills() {
    let spacing = Duration::from_millis(20);
    let (site, dir) = (Site::start(25), tempfile::tempdir().unwrap());
    let kills = ended_well(run_and_kill(8, 100..600, || {
        let mut command = spawn_command(&site, dir.path(), spacing);
        command.env("RESUME_BATCH", "100").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }));
    assert!(kills >= 2, "{kills}");
    let (report, pages) = (report(dir.path()), site.pages());
    assert_eq!((&report["ended"], &report["ledger"]["done"]), (&"finished".into(), &pages.len().into()), "{report}");
    let rows = std::fs::read_to_string(dir.path().join("rows")).unwrap();
    let rows: BTreeSet<_> = rows.lines().map(str::to_owned).collect();
    assert_eq!(rows, pages, "every page that is done has its row, after {kills} kills");
}

#[test]
fn what_robots_files_disallow_is_heard_of_over_kills_and_what_is_settled_not_again() {
    const HIDDEN: usize = 4_000;
    let recorder = Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok("User-agent: *\nDisallow: /hidden"),
        "/0" => Answer::page((0..HIDDEN).map(|n| format!("/hidden/{n}"))),
        _ => Answer::status(404),
    });
    let (site, dir) = (Site { recorders: vec![recorder] }, tempfile::tempdir().unwrap());
    let kills = ended_well(run_and_kill(12, 100..500, || {
        let mut command = spawn_command(&site, dir.path(), Duration::from_millis(10));
        command.env("RESUME_FAILURES", "1").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }));
    let (report, items) = (report(dir.path()), items(dir.path()));
    assert_eq!((&report["ended"], &report["ledger_adds_up"]), (&"finished".into(), &true.into()), "{report}");
    assert_eq!((&report["ledger"]["done"], &report["ledger"]["dropped"]), (&1.into(), &HIDDEN.into()), "{report}");
    let hidden: Vec<_> = items.iter().filter_map(|item| item.strip_prefix("robots ")).collect();
    let expected: BTreeSet<_> = (0..HIDDEN).map(|n| site.recorders[0].url(&format!("/hidden/{n}"))).collect();
    assert_eq!(hidden.iter().map(|url| (*url).to_owned()).collect::<BTreeSet<_>>(), expected, "after {kills} kills");
    // What the store's thread had not received yet.
    let again = hidden.len() - HIDDEN;
    assert!(again < HIDDEN * kills.max(1), "{again} were heard of again after {kills} kills");
    assert_eq!(site.recorders[0].asked().iter().filter(|asked| asked.path.starts_with("/hidden")).count(), 0);
    println!("{kills} kills, {again} heard of again");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_ends_the_crawl_and_not_its_state() {
    let spacing = Duration::from_millis(20);
    let (site, dir) = (Site::start(20), tempfile::tempdir().unwrap());
    kill_when(spawn(&site, dir.path(), spacing), || site.requests() >= 10);
    let full = spawn_without_room(&site, dir.path(), spacing).wait_with_output().unwrap();
    assert!(full.status.success(), "{}", String::from_utf8_lossy(&full.stderr));
    let failed = report(dir.path());
    assert_eq!((&failed["ended"], &failed["ledger_adds_up"]), (&"failed".into(), &true.into()), "{failed}");
    assert!(failed["failure"].as_str().unwrap().contains("cannot be written"), "{failed}");
    let third = spawn(&site, dir.path(), spacing).wait_with_output().unwrap();
    assert!(third.status.success(), "{}", String::from_utf8_lossy(&third.stderr));
    let report = report(dir.path());
    assert_eq!((&report["ended"], &report["ledger_adds_up"]), (&"finished".into(), &true.into()), "{report}");
    assert_eq!(report["ledger"]["done"], site.pages().len(), "{report}");
    assert_eq!(items(dir.path()).into_iter().collect::<BTreeSet<_>>(), site.pages());
}

#[test]
fn a_crawl_that_has_used_its_pages_goes_on_when_it_is_given_more() {
    let spacing = Duration::from_millis(10);
    let (site, dir) = (Site::start(4), tempfile::tempdir().unwrap());
    for pages in [7, 20] {
        let limited =
            spawn_command(&site, dir.path(), spacing).env("RESUME_PAGES", pages.to_string()).output().unwrap();
        assert!(limited.status.success(), "{}", String::from_utf8_lossy(&limited.stderr));
        let report = report(dir.path());
        assert_eq!((&report["ended"], &report["ledger_adds_up"]), (&"finished".into(), &true.into()), "{report}");
        assert_eq!(report["ledger"]["done"], pages, "{report}");
        assert!(report["ledger"]["queued"].as_u64().unwrap() > 0, "what the budget does not reach is kept: {report}");
    }
    let rest = spawn(&site, dir.path(), spacing).wait_with_output().unwrap();
    assert!(rest.status.success(), "{}", String::from_utf8_lossy(&rest.stderr));
    let report = report(dir.path());
    assert_eq!(report["ledger"]["done"], site.pages().len(), "{report}");
    assert_eq!(report["state"]["resumed"], true);
    assert_eq!(report["state"]["changed"], serde_json::json!(["scope"]), "a change is applied, and said");
    assert_eq!(site.times().values().sum::<usize>(), site.pages().len(), "no page was asked for twice");
}

#[test]
fn a_domain_that_asked_to_be_left_alone_is_left_alone_across_a_kill() {
    let wait = Duration::from_secs(3);
    let refused = AtomicBool::new(false);
    let recorder = Recorder::start(move |asked| match asked.path.as_str() {
        "/robots.txt" => Answer::status(404),
        _ if !refused.swap(true, Ordering::SeqCst) => Answer::status(429).header("retry-after", 3),
        _ => Answer::ok("").header("content-type", "text/html"),
    });
    let (site, dir) = (Site { recorders: vec![recorder] }, tempfile::tempdir().unwrap());
    let mut first = spawn(&site, dir.path(), Duration::from_millis(10));
    while site.requests() < 2 {
        assert!(first.try_wait().unwrap().is_none());
        thread::yield_now();
    }
    // The response has to be sent and stored; both take about 30 ms.
    thread::sleep(wait / 4);
    first.kill().unwrap();
    first.wait().unwrap();
    let second = spawn(&site, dir.path(), Duration::from_millis(10)).wait_with_output().unwrap();
    assert!(second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
    let asked = site.recorders[0].asked();
    let (refused, next) = (&asked[1], &asked[2]);
    assert!(next.at - refused.at >= wait, "asked again after {:?}", next.at - refused.at);
    assert_eq!(report(dir.path())["ledger"]["done"], 1);
}

#[test]
fn a_second_process_is_told_who_holds_the_state() {
    if let Ok(seed) = std::env::var("RESUME_SEED") {
        return child(seed);
    }
    let (site, dir) = (Site::start(2), tempfile::tempdir().unwrap());
    let mut first = spawn(&site, dir.path(), Duration::from_secs(3));
    while site.requests() == 0 {
        assert!(first.try_wait().unwrap().is_none());
        thread::yield_now();
    }
    let second = spawn(&site, dir.path(), Duration::from_secs(3)).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(3), "{said}");
    assert!(said.contains(&format!("process {} crawls with it", first.id())), "{said}");
    first.kill().unwrap();
    first.wait().unwrap();
}

/// Regression: with a limit of two, one new seed a run gave six pages in six runs: a domain without a state at the time
/// of the commit was not stored.
#[test]
fn the_pages_of_a_domain_are_counted_over_all_runs() {
    let site =
        Recorder::start(|_| Answer::ok("").header("content-type", "text/html").after(Duration::from_millis(150)));
    let dir = tempfile::tempdir().unwrap();
    for run in 0..5 {
        let scope = Scope { within: Within::Any, max_pages_per_domain: Some(2), ..Scope::default() };
        let report = Crawler::new(parse, "resume/1.0 (+https://example.org/)")
            .conducts(&actix_crawler::Conducts::new())
            .seed(site.url(&format!("/{run}")))
            .allow_private()
            .ignore_robots()
            .scope(scope)
            .rate(Rate::UNLIMITED)
            .threads(1)
            .state(dir.path().join("state"))
            .run_blocking()
            .unwrap();
        assert!(report.ledger_adds_up, "{report}");
        assert_eq!(site.count(), 2.min(run + 1), "after run {run}: {report}");
    }
}

/// A crawl as another process would make it: it shares the conduct of domains with no other run.
fn run_of(dir: &Path, seed: String) -> std::sync::Arc<actix_crawler::Report> {
    let report = Crawler::new(parse, "resume/1.0 (+https://example.org/)")
        .conducts(&actix_crawler::Conducts::new())
        .seed(seed)
        .allow_private()
        .rate(Rate::UNLIMITED)
        .threads(1)
        .state(dir.join("state"))
        .run_blocking()
        .unwrap();
    assert!(report.ledger_adds_up, "{report}");
    report
}

/// RFC 9309 §2.4: a file may be used for 24 hours. It is obeyed as before.
#[test]
fn a_robots_file_is_asked_for_once_a_day_by_all_runs_of_a_state() {
    let rules = Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok("user-agent: *\ndisallow: /secret"),
        _ => Answer::page(["/secret"]),
    });
    let none = Recorder::start(|asked| Answer::status(if asked.path == "/robots.txt" { 404 } else { 200 }));
    let dir = tempfile::tempdir().unwrap();
    for run in 0..3 {
        for site in [&rules, &none] {
            run_of(dir.path(), site.url(&format!("/{run}")));
        }
    }
    for site in [rules, none] {
        assert_eq!(site.paths(), ["/robots.txt", "/0", "/1", "/2"]);
    }
}

/// draft-ietf-httpapi-ratelimit-headers: nothing is left for two more seconds. A second process asked again at once.
#[test]
fn a_quota_that_is_used_up_is_waited_for_across_a_restart() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::status(404),
        "/used-up" => Answer::ok("").header("ratelimit-remaining", 0).header("ratelimit-reset", 2),
        _ => Answer::ok(""),
    });
    let dir = tempfile::tempdir().unwrap();
    run_of(dir.path(), site.url("/used-up"));
    run_of(dir.path(), site.url("/next"));
    let asked = site.asked();
    let at = |path| asked.iter().find(|asked| asked.path == path).unwrap().at;
    let gap = at("/next") - at("/used-up");
    assert!(gap >= Duration::from_secs(2), "{gap:?}");
}

fn crawl_to(max_depth: u32, site: &Recorder, dir: &Path) -> CrawlHandle {
    let scope = Scope { max_depth: Some(max_depth), ..Scope::default() };
    let crawler = Crawler::new(parse, "resume/1.0 (+https://example.org/)")
        .conducts(&actix_crawler::Conducts::new())
        .seed(site.url("/"))
        .allow_private()
        .ignore_robots()
        .scope(scope)
        .rate(Rate::UNLIMITED)
        .per_domain(4)
        .threads(1)
        .state(dir.join("state"));
    crawler.start().unwrap()
}

/// Regression: `/hub` was queued three links from the seed. The shorter way was found while it was in flight, and was
/// forgotten with the process: the leaf counted as too deep.
#[test]
fn a_page_that_came_nearer_while_it_was_in_flight_is_as_near_in_a_later_process() {
    let hub_is_asked = AtomicBool::new(false);
    let site = Recorder::start(move |asked| {
        let links: &[&str] = match asked.path.as_str() {
            "/" => &["/slow", "/quick"],
            "/quick" => &["/mid"],
            "/mid" => &["/hub"],
            "/slow" => {
                while !hub_is_asked.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(1));
                }
                &["/hub"]
            }
            "/hub" if !hub_is_asked.swap(true, Ordering::SeqCst) => {
                return Answer::ok("").after(Duration::from_secs(60));
            }
            "/hub" => &["/leaf"],
            _ => &[],
        };
        Answer::page(links)
    });
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(async {
        let first = crawl_to(3, &site, dir.path());
        while first.stats().await.unwrap().pages() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        first.abort().await;
        first.wait().await.unwrap();
        until_closed(&dir.path().join("state"));
        crawl_to(3, &site, dir.path()).wait().await.unwrap()
    });
    assert_eq!((report.pages(), report.stats.get("drop/scope/depth")), (6, 0), "{report}");
    assert!(site.paths().contains(&"/leaf".to_owned()), "{:?}", site.paths());
}

/// `/` leads by `/slow` to `/hub` in two links, and by `/quick` and `/mid` in three. Where the long way was taken by an
/// earlier process, that one had dropped the leaf for good: it is three links from the seed.
#[test]
fn a_page_that_comes_nearer_in_a_later_process_brings_what_was_too_deep_for_an_earlier_one() {
    let is_slow = std::sync::Arc::new(AtomicBool::new(true));
    let slow = is_slow.clone();
    let site = Recorder::start(move |asked| {
        let links: &[&str] = match asked.path.as_str() {
            "/" => &["/slow", "/quick"],
            "/slow" if slow.load(Ordering::SeqCst) => return Answer::ok("").after(Duration::from_secs(60)),
            "/quick" => &["/mid"],
            "/mid" | "/slow" => &["/hub"],
            "/hub" => &["/leaf"],
            "/leaf" => &["/beyond"],
            _ => &[],
        };
        Answer::page(links)
    });
    let dir = tempfile::tempdir().unwrap();
    let crawl = |max_depth| crawl_to(max_depth, &site, dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let first = crawl(3);
        while first.stats().await.unwrap().get("drop/scope/depth") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        first.abort().await;
        first.wait().await.unwrap();
        until_closed(&dir.path().join("state"));
        assert!(!site.paths().contains(&"/leaf".to_owned()));
        is_slow.store(false, Ordering::SeqCst);
        let report = crawl(3).wait().await.unwrap();
        assert_eq!((report.pages(), report.stats.get("drop/scope/depth")), (6, 1), "{report}");
        assert!(report.ledger_adds_up, "{report}");
        let report = crawl(4).wait().await.unwrap();
        assert_eq!((report.pages(), report.stats.get("drop/scope/depth")), (7, 0), "a larger depth: {report}");
    });
    let mut paths = site.paths();
    paths.sort();
    assert_eq!(paths, ["/", "/beyond", "/hub", "/leaf", "/mid", "/quick", "/slow", "/slow"]);
}
