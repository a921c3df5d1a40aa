//! Who has which domains of a crawl that machines share: nodes that join one which is paused or has ended, that begin
//! with seeds of their own, and that give their domains away for a fault of their own.

#![cfg(all(feature = "cluster", target_os = "linux"))]
#![allow(clippy::disallowed_methods, reason = "it measures")]

#[path = "cluster/domains.rs"]
mod domains;
mod postgres_server;
mod recorder;

use std::{
    collections::BTreeSet,
    env,
    net::Ipv4Addr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use actix_crawler::{
    Politeness, Scope,
    politeness::DomainKey,
    prelude::*,
    report::{Ended, Report},
};
use postgres_server::PostgresServer;
use recorder::{Answer, Asked, Recorder};
use tokio::runtime::Runtime;

const TERM: Duration = Duration::from_millis(1_000);

/// The database and the seed of a process that is a node, in its environment.
const DATABASE: &str = "OWNERS_DATABASE";
const SEED: &str = "OWNERS_SEED";

/// Domains, each at an address of its own, whose pages form a chain. The first page of the first links to those of all
/// others.
struct Site(Vec<Recorder>);

impl Site {
    fn start(network: u8, domains: u8, pages: u32) -> Self {
        let at = move |domain: u8| Ipv4Addr::new(127, 0, network, domain + 1);
        let answer = move |asked: &Asked, domain: u32, port: u16| {
            let Ok(page) = asked.path.trim_start_matches('/').parse::<u32>() else { return Answer::status(404) };
            let others = (1..domains).filter(|_| domain == 0 && page == 0);
            let others = others.map(|other| format!("http://{}:{port}/0", at(other)));
            let next = (page + 1 < pages).then(|| format!("/{}", page + 1));
            // Each request needs a connection of its own.
            Answer::page(others.chain(next)).header("connection", "close")
        };
        Self(domains::start((0..domains).map(at), None, answer))
    }

    /// The pages that were requested.
    fn pages(&self) -> BTreeSet<String> {
        domains::times(&self.0).into_keys().collect()
    }

    fn smallest_gap(&self) -> Duration {
        domains::smallest_gap(&self.0)
    }
}

fn parse(page: &Response) -> Result<Parsed<String>> {
    Ok(Parsed::of(Some(page.url().to_string())).follow(page.links()))
}

fn node(database: &str) -> Crawler<impl Spider<Item = String>> {
    let crawler = Crawler::new(parse, "clusterbot/1.0 (+https://example.org/bot)").allow_private();
    crawler.spacing(Duration::from_millis(20)).threads(1).cluster(database, "owners").cluster_term(TERM)
}

fn anywhere<S: Spider>(crawler: Crawler<S>) -> Crawler<S> {
    crawler.scope(Scope { within: Within::Any, ..Scope::default() })
}

/// A database of its own.
struct Database {
    server: Arc<PostgresServer>,
    name: &'static str,
    url: String,
}

impl Database {
    fn new(name: &'static str) -> Self {
        let server = PostgresServer::shared();
        let url = server.database(name);
        Self { server, name, url }
    }

    fn sql(&self, sql: &str) -> String {
        self.server.psql(self.name, &format!("SET search_path TO crawl_owners; {sql}"))
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(40), "waited for this: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn report(crawl: &CrawlHandle) -> Arc<Report> {
    let limit = Duration::from_secs(60);
    runtime().block_on(async { tokio::time::timeout(limit, crawl.wait()).await.expect("it ends") }).unwrap()
}

/// Regression: it asked for a quarter of a second before it knew, and what was paused here went on with all others.
#[test]
fn a_node_that_joins_a_paused_crawl_asks_nobody_and_a_pause_of_one_node_is_its_own() {
    let (database, site, runtime) = (Database::new("paused"), Site::start(31, 1, 1), runtime());
    assert_eq!(report(&node(&database.url).seed(site.0[0].url("/0")).start().unwrap()).ended, Ended::Finished);
    let (asked, long) = (site.0[0].count(), 3 * TERM / 4);
    database.sql("UPDATE crawl SET paused = true");
    let crawl = node(&database.url).ignore_robots().seed(site.0[0].url("/7")).stay_open().start().unwrap();
    until("its seed waits", || database.sql("SELECT sum(requests) FROM waiting") == "1");
    thread::sleep(long);
    assert_eq!(site.0[0].count(), asked);
    runtime.block_on(crawl.resume()).unwrap();
    thread::sleep(long);
    assert_eq!(site.0[0].count(), asked, "all nodes are paused, also one that goes on by itself");
    runtime.block_on(crawl.pause()).unwrap();
    database.sql("UPDATE crawl SET paused = false");
    thread::sleep(long);
    assert_eq!(site.0[0].count(), asked, "this one is paused by itself");
    runtime.block_on(crawl.resume()).unwrap();
    until("it goes on", || site.pages().len() == 2);
    runtime.block_on(crawl.close());
    assert_eq!(report(&crawl).ended, Ended::Finished);
}

/// Regression: the crawl counted as one that runs from then on, and seeds from outside were taken that nobody crawled.
#[test]
fn a_node_that_is_refused_leaves_a_crawl_that_has_ended_as_it_is() {
    let (database, site) = (Database::new("refused"), Site::start(32, 1, 1));
    assert_eq!(report(&node(&database.url).seed(site.0[0].url("/0")).start().unwrap()).ended, Ended::Finished);
    let hosts = Politeness { domain_key: DomainKey::Host, ..Politeness::default() };
    let refused = node(&database.url).seed(site.0[0].url("/0")).politeness(hosts).start().err().unwrap();
    assert!(refused.to_string().contains("domain_key"), "{refused}");
    assert_eq!(database.sql("SELECT state, ends FROM crawl"), "ended\t1");
    assert_eq!(report(&node(&database.url).seed(site.0[0].url("/1")).start().unwrap()).ended, Ended::Finished);
    assert_eq!(database.sql("SELECT state, ends FROM crawl"), "ended\t2");
}

/// Regression: a seed that fell to a node which was begun with others was dropped there, since its host was not in the
/// scope.
#[test]
fn seeds_of_any_node_are_crawled_whosever_they_are() {
    let (database, site, runtime) = (Database::new("seeds"), Site::start(33, 24, 2), runtime());
    let seeds = |of: fn(usize) -> bool| {
        let all = site.0.iter().enumerate().skip(1).filter(move |(nth, _)| of(*nth));
        all.map(|(_, at)| at.url("/0")).collect::<Vec<_>>()
    };
    let crawls = [seeds(|nth| nth % 2 == 0), seeds(|nth| nth % 2 == 1)]
        .map(|seeds| node(&database.url).seeds(seeds).stay_open().start().unwrap());
    until("all are crawled", || site.pages().len() == 23 * 2);
    crawls.iter().for_each(|crawl| runtime.block_on(crawl.close()));
    for crawl in &crawls {
        let report = report(crawl);
        let ledger = &report.stats.ledger;
        assert_eq!((report.ended, ledger.done, ledger.dropped), (Ended::Finished, 46, 0), "{report}");
    }
}

/// Is a node of a cluster if the environment says so, and a test without anything to do else.
#[test]
fn a_process_that_is_a_node() {
    let Ok(database) = env::var(DATABASE) else { return };
    let report = anywhere(node(&database)).seed(env::var(SEED).unwrap()).spacing(SPACING).run_blocking().unwrap();
    assert_eq!(report.ended, Ended::Finished, "{report}");
}

const SPACING: Duration = Duration::from_millis(60);

/// How many files a process may have open, from now on.
fn limit_files(child: &Child, most: &str) {
    let limit = format!("--nofile={most}:");
    let status = Command::new("prlimit").args(["--pid", &child.id().to_string(), &limit]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_node_that_can_send_no_requests_gives_its_domains_away_and_gets_them_back_when_it_can() {
    let (database, site) = (Database::new("faulty"), Site::start(34, 20, 180));
    let start = || {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "a_process_that_is_a_node", "--nocapture"]);
        command.env(DATABASE, &database.url).env(SEED, site.0[0].url("/0"));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let parts = |node: &Child| {
        let sql = "SELECT count(*) FROM part JOIN node ON owner = session WHERE state = 'live' AND name LIKE '% ";
        database.sql(&format!("{sql}{}'", node.id())).parse::<u32>().unwrap()
    };
    let mut healthy = start();
    until("it crawls", || site.pages().len() > 5);
    let mut faulty = start();
    until("both have parts", || parts(&faulty) > 300 && parts(&healthy) > 300);
    limit_files(&faulty, "5");
    until("the other has all parts", || parts(&healthy) == 1_024);
    let crawled = site.pages().len();
    assert!(crawled < 20 * 180, "the crawl is not over");
    limit_files(&faulty, "1000");
    until("it has its parts again", || parts(&faulty) > 300);
    assert_eq!(healthy.wait().unwrap().code(), Some(0));
    assert_eq!(faulty.wait().unwrap().code(), Some(0));
    assert_eq!(site.pages().len(), 20 * 180);
    assert_eq!(domains::times(&site.0).values().sum::<usize>(), 20 * 180, "each is fetched once");
    assert!(site.smallest_gap() >= SPACING, "{:?}", site.smallest_gap());
}

#[test]
fn a_crawl_of_which_one_node_can_send_no_requests_to_its_end_is_ended_by_the_other() {
    let (database, site) = (Database::new("broken"), Site::start(35, 12, 60));
    let start = || {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "a_process_that_is_a_node", "--nocapture"]);
        command.env(DATABASE, &database.url).env(SEED, site.0[0].url("/0"));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let first = start();
    until("it crawls", || site.pages().len() > 3);
    let mut nodes = [first, start()];
    until("both crawl", || database.sql("SELECT count(DISTINCT owner) FROM part WHERE owner IS NOT NULL") == "2");
    limit_files(&nodes[1], "5");
    for node in &mut nodes {
        assert_eq!(node.wait().unwrap().code(), Some(0));
    }
    assert_eq!(site.pages().len(), 12 * 60);
    assert!(site.smallest_gap() >= SPACING, "{:?}", site.smallest_gap());
}

/// Regression: a node whose domains had all used up their own limits drew on that of the crawl without end, and the
/// crawl did not end.
#[test]
fn a_crawl_with_limits_of_domains_ends_before_its_own_limit_is_used_up() {
    let (database, site) = (Database::new("limits"), Site::start(38, 12, 9));
    let scope = Scope {
        within: Within::Any,
        max_pages: Some(40),
        max_requests: Some(60),
        max_pages_per_domain: Some(3),
        ..Scope::default()
    };
    let crawls = [0, 1].map(|_| node(&database.url).seed(site.0[0].url("/0")).scope(scope.clone()).start().unwrap());
    for crawl in &crawls {
        let report = report(crawl);
        assert_eq!((report.ended, report.stats.ledger.done), (Ended::Finished, 36), "{report}");
    }
    assert_eq!(site.pages().len(), 36);
}

/// Pages of a node whose output is full are crawled by another.
#[test]
fn a_node_whose_disk_is_full_ends_and_the_other_crawls_all() {
    let (database, site) = (Database::new("disk_full"), Site::start(36, 8, 150));
    let seed = site.0[0].url("/0");
    let items = tempfile::tempdir().unwrap();
    let file = items.path().join("items.jsonl");
    let healthy = anywhere(node(&database.url)).seed(&*seed).pipeline(JsonLines::create(&file)).start().unwrap();
    until("it crawls", || site.pages().len() > 4);
    let full = anywhere(node(&database.url)).seed(&*seed).pipeline(JsonLines::append(Path::new("/dev/full")));
    let full = report(&full.start().unwrap());
    assert_eq!(full.ended, Ended::Failed, "{full}");
    let report = report(&healthy);
    assert_eq!((report.ended, report.stats.ledger.done), (Ended::Finished, 8 * 150), "{report}");
    let lines = std::fs::read_to_string(&file).unwrap();
    let lines: BTreeSet<_> = lines.lines().map(|line| line.trim_matches('"').to_owned()).collect();
    assert_eq!(lines, site.pages());
}

/// Pages that wait for an output hold up no other domain for long.
#[test]
fn a_node_whose_output_does_not_keep_up_gives_its_other_domains_away_until_it_does() {
    let (database, site, may_go) = (Database::new("slow"), Site::start(37, 12, 10), Arc::new(AtomicBool::new(false)));
    let seeds = || site.0.iter().map(|at| at.url("/0"));
    let slow = {
        let may_go = may_go.clone();
        let waits = move |_: &String| {
            while !may_go.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(5));
            }
        };
        anywhere(node(&database.url)).seeds(seeds()).concurrency(1).each(waits).start().unwrap()
    };
    until("it waits for its output", || site.pages().len() == 1);
    let healthy = anywhere(node(&database.url)).seeds(seeds()).start().unwrap();
    until("all others are crawled", || site.pages().len() == 11 * 10 + 1);
    let of_slow = "SELECT count(*) FROM node WHERE unfit";
    assert_eq!(database.sql(of_slow), "1");
    may_go.store(true, Ordering::SeqCst);
    until("it keeps up again", || database.sql(of_slow) == "0");
    for report in [report(&slow), report(&healthy)] {
        assert_eq!((report.ended, report.stats.ledger.done), (Ended::Finished, 120), "{report}");
    }
    assert_eq!(site.pages().len(), 120);
}

/// Pages that are found by a long path first, and by a short one when another node has joined. Below each, one link
/// leads to another page of its domain and one to another domain; what these link to was too deep.
///
/// Regression: whoever had got a page with its domain knew nothing of what is below it, and of a page of another node
/// only a longer path.
#[test]
fn what_is_below_a_page_comes_nearer_with_it_whosever_it_is() {
    const PAIRS: u8 = 8;
    let (database, may_go) = (Database::new("depths"), Arc::new(AtomicBool::new(false)));
    let at = |domain: u8| Ipv4Addr::new(127, 0, 39, domain + 1);
    let answer = {
        let may_go = may_go.clone();
        move |asked: &Asked, domain: u32, port: u16| {
            let (domain, url) =
                (u8::try_from(domain).unwrap(), |of: u8, path: &str| format!("http://{}:{port}{path}", at(of)));
            let all = |path: &str| (1..=PAIRS).map(|pair| url(pair, path)).collect::<Vec<_>>();
            match &*asked.path {
                "/" => Answer::page([url(0, "/short"), url(1, "/long")]),
                "/long" => Answer::page(all("/longer")),
                "/longer" => Answer::page(["/page"]),
                "/short" => {
                    while !may_go.load(Ordering::SeqCst) {
                        thread::sleep(Duration::from_millis(5));
                    }
                    Answer::page(all("/page"))
                }
                "/page" => Answer::page([url(domain, "/here"), url(domain + PAIRS, "/there")]),
                "/here" | "/there" => Answer::page(["/deep"]),
                _ => Answer::page([] as [&str; 0]),
            }
        }
    };
    let site = Site(domains::start((0..=2 * PAIRS).map(at), None, answer));
    let scope = Scope { within: Within::Any, max_depth: Some(4), ..Scope::default() };
    let start = || node(&database.url).ignore_robots().seed(site.0[0].url("/")).scope(scope.clone()).start().unwrap();
    let asked = |path: &str| site.pages().iter().filter(|page| page.ends_with(path)).count();
    let one = start();
    let of_pages = usize::from(PAIRS);
    until("all is crawled but what waits for the short path", || {
        asked("/here") == of_pages && asked("/there") == of_pages
    });
    until("it is stored", || database.sql("SELECT sum(requests) FROM waiting") == "1");
    let other = start();
    let shares = "SELECT count(DISTINCT owner) FROM part JOIN node ON owner = session AND state = 'live' GROUP BY owner \
                  HAVING count(*) > 300";
    until("both have parts", || database.sql(shares) == "1\n1");
    assert_eq!(asked("/deep"), 0);
    may_go.store(true, Ordering::SeqCst);
    for report in [report(&one), report(&other)] {
        assert_eq!((report.ended, report.ledger_adds_up), (Ended::Finished, true), "{report}");
    }
    assert_eq!(asked("/deep"), 2 * of_pages);
}
