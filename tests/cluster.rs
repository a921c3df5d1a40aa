//! A crawl that several processes share, each its own domains. Nodes are killed, stopped and joined at random, and
//! judged by what the servers saw.

#![cfg(all(feature = "cluster", target_os = "linux"))]
#![allow(clippy::disallowed_methods, reason = "it measures")]

#[cfg(feature = "cli")]
#[path = "cluster/commands.rs"]
mod commands;
#[path = "cluster/costs.rs"]
mod costs;
#[path = "cluster/domains.rs"]
mod domains;
#[path = "cluster/failover.rs"]
mod failover;
#[path = "cluster/networks.rs"]
mod networks;
mod postgres_server;
mod recorder;
#[cfg(feature = "cli")]
#[path = "cluster/upgrade.rs"]
mod upgrade;
#[path = "cluster/way.rs"]
mod way;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    net::{Ipv4Addr, TcpListener},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use actix_crawler::{Conducts, Politeness, Scope, politeness::DomainKey, prelude::*};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use postgres_server::PostgresServer;
use recorder::{Answer, Asked, Recorder};

/// The database of a process that is a node, in its environment.
const DATABASE: &str = "CLUSTER_DATABASE";
const SEED: &str = "CLUSTER_SEED";
const ITEMS: &str = "CLUSTER_ITEMS";

/// The length of its term in milliseconds, if not `TERM`.
const TERM_MS: &str = "CLUSTER_TERM_MS";

/// The most pages in flight of a node, in its environment.
const CONCURRENCY: &str = "CLUSTER_CONCURRENCY";

const TERM: Duration = Duration::from_millis(1_000);
const SPACING: Duration = Duration::from_millis(60);

/// Its spacing in milliseconds, if not `SPACING`.
const SPACING_MS: &str = "CLUSTER_SPACING_MS";

/// The most pages of the whole crawl, in the environment of a node that has a limit.
const MAX_PAGES: &str = "CLUSTER_MAX_PAGES";

/// A site on many addresses, each a domain of its own.
struct Site(Vec<Recorder>, Shape);

/// The first half of the addresses of a site, how many domains it has, and how many pages each of them.
#[derive(Clone, Copy)]
struct Shape {
    network: [u8; 2],
    domains: u32,
    pages: u32,
}

const SHAPE: Shape = Shape { network: [127, 0], domains: 20, pages: 50 };
const PAGES: u32 = SHAPE.pages;

impl Shape {
    fn address(self, domain: u32) -> Ipv4Addr {
        let [first, second] = self.network;
        Ipv4Addr::new(first, second, 19, u8::try_from(domain + 1).unwrap())
    }

    /// Each page links to two others of its domain; the first of each domain also links to those of two other domains.
    fn answer(self, asked: &Asked, domain: u32, port: u16) -> Answer {
        let page = asked.path.trim_start_matches('/').parse::<u32>().ok().filter(|page| *page < self.pages);
        let Some(page) = page else { return Answer::status(404) };
        let here = [2 * page + 1, 2 * page + 2].into_iter().filter(|page| *page < self.pages);
        let others = [2 * domain + 1, 2 * domain + 2].into_iter().filter(|other| page == 0 && *other < self.domains);
        let others = others.map(|other| format!("http://{}:{port}/0", self.address(other)));
        Answer::page(here.map(|page| format!("/{page}")).chain(others))
            .after(Duration::from_millis(fastrand::u64(0..60)))
    }
}

impl Site {
    fn start() -> Self {
        Self::of(SHAPE)
    }

    fn of(shape: Shape) -> Self {
        let addresses = (0..shape.domains).map(|domain| shape.address(domain));
        Self(domains::start(addresses, None, move |asked, domain, port| shape.answer(asked, domain, port)), shape)
    }

    fn pages(&self) -> BTreeSet<String> {
        self.0.iter().flat_map(|at| (0..self.1.pages).map(|page| at.url(&format!("/{page}")))).collect()
    }

    fn times(&self) -> BTreeMap<String, usize> {
        domains::times(&self.0)
    }

    fn smallest_gap(&self) -> Duration {
        domains::smallest_gap(&self.0)
    }
}

fn address(domain: u32) -> Ipv4Addr {
    SHAPE.address(domain)
}

#[derive(serde::Serialize)]
struct Page {
    url: String,
}

fn parse(page: &Response) -> Result<Parsed<Page>> {
    let links: Vec<_> = page.links().collect();
    Ok(Parsed::of(Some(Page { url: page.url().to_string() })).follow(links))
}

/// Is a node of a cluster if the environment says so, and a test without anything to do else.
#[test]
fn a_process_that_is_a_node() {
    let Ok(database) = env::var(DATABASE) else { return };
    let crawler = Crawler::new(parse, "clusterbot/1.0 (+https://example.org/bot)")
        .seed(env::var(SEED).unwrap())
        .allow_private()
        .scope(Scope { within: Within::Any, ..Scope::default() })
        .spacing(env::var(SPACING_MS).map_or(SPACING, |ms| Duration::from_millis(ms.parse().unwrap())))
        .threads(2)
        .stop_on_signals()
        .cluster(database, "site")
        .cluster_term(env::var(TERM_MS).map_or(TERM, |ms| Duration::from_millis(ms.parse().unwrap())))
        .pipeline(JsonLines::append(env::var(ITEMS).unwrap()));
    let crawler = match env::var(MAX_PAGES) {
        Ok(pages) => crawler.max_pages(pages.parse().unwrap()),
        Err(_) => crawler,
    };
    let crawler = match env::var(CONCURRENCY) {
        Ok(pages) => crawler.concurrency(pages.parse().unwrap()),
        Err(_) => crawler,
    };
    match crawler.run_blocking() {
        Ok(report) if report.ended == actix_crawler::report::Ended::Finished => {}
        Ok(report) => {
            eprintln!("{report}");
            std::process::exit(8);
        }
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(3);
        }
    }
}

fn node(database: &str, seed: &str, items: &Path) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "a_process_that_is_a_node", "--nocapture"]);
    command.env(DATABASE, database).env(SEED, seed).env(ITEMS, items);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn signal(child: &Child, signal: Signal) {
    // It may have ended meanwhile.
    let _ = kill(Pid::from_raw(child.id().cast_signed()), signal);
}

/// What became of the nodes.
#[derive(Debug, Default)]
struct Fates {
    killed: usize,
    stopped: usize,
    left: usize,
    ended_by_system: usize,
    gave_up: usize,
}

/// A crawl in a database of its own, and the nodes that it was begun with.
struct Shared {
    server: Arc<PostgresServer>,
    name: &'static str,
    database: String,
    seed: String,
    items: tempfile::TempDir,
    max_pages: Option<u64>,
    concurrency: Option<u32>,
    spacing: Duration,
    term: Duration,
    started: usize,
    nodes: Vec<Child>,
    fates: Fates,
    /// Whether a node has ended by itself: the crawl has.
    has_ended: bool,
}

impl Shared {
    fn new(name: &'static str, site: &Site, max_pages: Option<u64>) -> Self {
        Self::at(PostgresServer::shared(), name, site, max_pages)
    }

    fn at(server: Arc<PostgresServer>, name: &'static str, site: &Site, max_pages: Option<u64>) -> Self {
        server.database(name);
        Self::of(server, name, site, max_pages)
    }

    /// The same where the database is there.
    fn of(server: Arc<PostgresServer>, name: &'static str, site: &Site, max_pages: Option<u64>) -> Self {
        let (database, seed) = (server.url(name), site.0[0].url("/0"));
        let items = tempfile::tempdir().unwrap();
        let (nodes, fates) = (Vec::new(), Fates::default());
        Self {
            server,
            name,
            database,
            seed,
            items,
            max_pages,
            concurrency: None,
            spacing: SPACING,
            term: TERM,
            started: 0,
            nodes,
            fates,
            has_ended: false,
        }
    }

    fn start(&mut self) {
        self.start_by(Command::new(env::current_exe().unwrap()));
    }

    /// Starts a node by a command that runs this program.
    fn start_by(&mut self, mut command: Command) {
        self.started += 1;
        command.args(["--exact", "a_process_that_is_a_node", "--nocapture"]);
        command.env(DATABASE, &self.database).env(SEED, &self.seed);
        command.env(ITEMS, self.items.path().join(format!("{}.jsonl", self.started)));
        command.env(SPACING_MS, self.spacing.as_millis().to_string());
        command.env(TERM_MS, self.term.as_millis().to_string());
        if let Some(pages) = self.max_pages {
            command.env(MAX_PAGES, pages.to_string());
        }
        if let Some(pages) = self.concurrency {
            command.env(CONCURRENCY, pages.to_string());
        }
        self.nodes.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    fn sql(&self, sql: &str) -> String {
        self.server.psql(self.name, &format!("SET search_path TO crawl_site; {sql}"))
    }

    /// The sum of the ledgers of all nodes.
    fn ledger(&self, key: &str) -> u64 {
        let sum = format!(
            "SELECT sum((counters::json #>> '{{progress,ledger,{key}}}')::bigint) \
             FROM (SELECT counters FROM node UNION ALL SELECT counters FROM crawl) AS all_nodes"
        );
        self.sql(&sum).parse().unwrap()
    }

    /// Takes note of nodes that have ended.
    fn reap(&mut self) {
        let (fates, has_ended) = (&mut self.fates, &mut self.has_ended);
        self.nodes.retain_mut(|node| {
            let Some(status) = node.try_wait().unwrap() else { return true };
            match (status.code(), status.signal()) {
                (Some(0), _) => *has_ended = true,
                (Some(code), _) => {
                    assert!(
                        matches!(code, 3 | 8),
                        "a node gives up or stops, if its system does not end it before: {code}"
                    );
                    fates.gave_up += 1;
                }
                // It had not begun to listen to signals.
                (None, Some(signal)) if signal == Signal::SIGTERM as i32 => {}
                (None, Some(signal)) => {
                    assert_eq!(signal, Signal::SIGKILL as i32);
                    fates.ended_by_system += 1;
                }
                (None, None) => unreachable!(),
            }
            false
        });
    }

    /// Kills, stops or ends a node at random, each at least once.
    fn harm_one(&mut self) {
        if self.nodes.is_empty() {
            return;
        }
        let node = &self.nodes[fastrand::usize(..self.nodes.len())];
        let fates = &mut self.fates;
        let what = if fates.killed == 0 {
            0
        } else if fates.stopped == 0 {
            1
        } else {
            fastrand::u8(0..5)
        };
        match what {
            0 | 3 => {
                fates.killed += 1;
                signal(node, Signal::SIGKILL);
            }
            1 | 4 => {
                fates.stopped += 1;
                signal(node, Signal::SIGSTOP);
                thread::sleep(self.term * fastrand::u32(10..300) / 100);
                signal(node, Signal::SIGCONT);
            }
            _ => {
                fates.left += 1;
                signal(node, Signal::SIGTERM);
            }
        }
    }

    /// Keeps three nodes at work and harms one now and then, for `long` at the most; then waits for the end.
    fn run(&mut self, long: Duration) {
        let begun = Instant::now();
        while !self.has_ended {
            assert!(begun.elapsed() < 3 * long + Duration::from_secs(60), "{:?}", self.fates);
            while self.nodes.len() < 3 {
                self.start();
            }
            thread::sleep(Duration::from_millis(fastrand::u64(100..700)));
            if begun.elapsed() < long {
                self.harm_one();
            }
            self.reap();
        }
        let ended = Instant::now();
        while !self.nodes.is_empty() {
            assert!(ended.elapsed() < Duration::from_secs(30), "{:?}", self.fates);
            thread::sleep(Duration::from_millis(20));
            self.reap();
        }
    }

    /// The URLs of the items that are in the files of any node.
    fn items(&self) -> BTreeSet<String> {
        let files = (1..=self.started).map(|nth| self.items.path().join(format!("{nth}.jsonl")));
        let lines = files.filter_map(|file| std::fs::read_to_string(file).ok());
        let items = lines.flat_map(|text| {
            text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).collect::<Vec<_>>()
        });
        items.map(|item| item["url"].as_str().unwrap().to_owned()).collect()
    }
}

fn until(what: &str, is_so: impl FnMut() -> bool) {
    within(Duration::from_secs(30), what, is_so);
}

fn within(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < limit, "waited for this: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

impl Shared {
    /// Whether so many nodes are alive, and each has parts.
    fn has_shared_out(&self, nodes: u64) -> bool {
        let sql = "SELECT (SELECT count(*) FROM crawl_site.node WHERE state = 'live'), count(DISTINCT owner), count(*) \
                   FROM crawl_site.part JOIN crawl_site.node ON session = owner AND state = 'live'";
        // The tables may not be there yet.
        self.server.try_psql(self.name, sql).as_deref() == Some(&*format!("{nodes}\t{nodes}\t1024"))
    }

    /// Judges a crawl of the whole site that has ended: every page was requested, its item is in the file of some node,
    /// and each is settled once; no two requests to a domain were too close.
    fn is_whole(&self, site: &Site) {
        self.is_complete(site);
        let gap = site.smallest_gap();
        assert!(gap >= self.spacing, "{gap:?} between two requests to one domain: {:?}", self.fates);
    }

    /// The same, however close the requests were.
    fn is_complete(&self, site: &Site) {
        let (pages, times, gap) = (site.pages(), site.times(), site.smallest_gap());
        let (again, fates): (usize, _) = (times.values().map(|times| times - 1).sum(), &self.fates);
        println!("{fates:?}, {} nodes, {again} of {} pages again, smallest gap {gap:?}", self.started, pages.len());
        assert_eq!(times.keys().cloned().collect::<BTreeSet<_>>(), pages, "every page was requested");
        let all = pages.len() as u64;
        let ledger = ["discovered", "done", "failed", "dropped"].map(|key| self.ledger(key));
        assert_eq!(ledger, [all, all, 0, 0], "each is settled once");
        // One that was started just after the end may have begun it again, and been killed.
        assert_ne!(self.sql("SELECT ends FROM crawl"), "0");
        let left = ["queue", "waiting", "inbox"].map(|table| self.sql(&format!("SELECT count(*) FROM {table}")));
        assert_eq!(left, ["0", "0", "0"]);
        assert_eq!(self.sql("SELECT count(*) FROM seen"), all.to_string());
        assert_eq!(self.items(), pages, "every page's item is in the file of some node");
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let _ = (node.kill(), node.wait());
        }
    }
}

/// Three nodes at a time, which are killed, stopped and ended at random and replaced, and then left alone. With
/// `ACTIX_CRAWLER_TEST_LONGER` for five minutes, over 200 domains.
#[test]
fn a_crawl_whose_nodes_are_killed_stopped_and_joined_at_random_loses_nothing_and_hurries_nobody() {
    let is_longer = env::var_os("ACTIX_CRAWLER_TEST_LONGER").is_some();
    let shape = if is_longer { Shape { domains: 200, pages: 300, ..SHAPE } } else { SHAPE };
    let site = Site::of(shape);
    let mut shared = Shared::new("random", &site, None);
    if is_longer {
        // So that it takes five minutes.
        shared.spacing = Duration::from_secs(1);
    }
    shared.run(Duration::from_secs(if is_longer { 300 } else { 12 }));
    shared.is_whole(&site);
    assert!(shared.fates.killed > 0 && shared.fates.stopped > 0, "{:?}", shared.fates);
}

#[test]
fn a_limit_on_pages_is_that_of_the_whole_crawl_and_met_exactly_whoever_dies() {
    let site = Site::of(Shape { pages: 80, ..SHAPE });
    let mut shared = Shared::new("pages", &site, Some(1_000));
    shared.run(Duration::from_secs(5));
    let fates = &shared.fates;
    assert_eq!((shared.ledger("done"), shared.ledger("failed")), (1_000, 0), "{fates:?}");
    let waiting: u64 = shared.sql("SELECT sum(requests) FROM waiting").parse().unwrap();
    assert_eq!(shared.ledger("discovered"), 1_000 + waiting, "the rest is kept");
    assert!(site.smallest_gap() >= SPACING && fates.killed > 0, "{fates:?}");
}

/// Domains that take 100 ms to answer, and nodes with eight pages in flight each. Only with
/// `ACTIX_CRAWLER_TEST_LONGER`.
#[test]
fn several_nodes_crawl_as_many_times_as_fast() {
    if env::var_os("ACTIX_CRAWLER_TEST_LONGER").is_none() {
        return;
    }
    let speed = |name: &'static str, nodes: usize| {
        let at = |domain: u8| Ipv4Addr::new(127, 0, 20, domain + 1);
        let answer = move |asked: &Asked, _, port| {
            let page = asked.path.trim_start_matches('/').parse::<u32>().unwrap_or(0);
            let others = (1..48).filter(|_| page == 0).map(|domain| format!("http://{}:{port}/1", at(domain)));
            let next = [2 * page + 1, 2 * page + 2].map(|page| format!("/{page}"));
            Answer::page(others.chain(next)).after(Duration::from_millis(100))
        };
        let site = Site(domains::start((0..48).map(at), None, answer), SHAPE);
        let mut shared = Shared::new(name, &site, None);
        shared.concurrency = Some(8);
        (0..nodes).for_each(|_| shared.start());
        let count = || site.0.iter().map(Recorder::count).sum::<usize>();
        until("all crawl", || shared.has_shared_out(nodes as u64) && count() > 500);
        thread::sleep(3 * TERM);
        let (begun, before) = (Instant::now(), count());
        thread::sleep(Duration::from_secs(8));
        let pages = (count() - before) as f64 / begun.elapsed().as_secs_f64();
        let costs = shared.sql("SELECT sum(pages), sum(commits) FROM node");
        for mut node in shared.nodes.drain(..) {
            let _ = node.kill();
            let _ = node.wait();
        }
        println!("{nodes} nodes: {pages:.0} pages/s; pages and commits so far: {costs}");
        pages
    };
    let [one, two, four] = [("speed1", 1), ("speed2", 2), ("speed4", 4)].map(|(name, nodes)| speed(name, nodes));
    assert!(two >= 1.9 * one && four >= 3.6 * one, "{one:.0} {two:.0} {four:.0}");
}

#[test]
fn nodes_share_the_domains_one_that_joins_gets_some_and_one_that_leaves_gives_its_own_back() {
    let site = Site::start();
    let mut shared = Shared::new("leaves", &site, None);
    let parts_of_each = "SELECT count(*) FROM part JOIN node ON session = owner AND state = 'live' GROUP BY owner";
    shared.start();
    until("it crawls", || site.times().len() > 20);
    assert_eq!(shared.sql(parts_of_each), "1024");
    shared.start();
    until("they share", || {
        let shares = shared.sql(parts_of_each);
        shares.lines().count() == 2 && shares.lines().all(|parts| parts.parse::<u32>().unwrap() > 300)
    });
    assert_eq!(shared.sql("SELECT count(*) FROM node WHERE state = 'dead'"), "0");
    signal(&shared.nodes[0], Signal::SIGTERM);
    assert_eq!(shared.nodes[0].wait().unwrap().code(), Some(8), "it has stopped, and says so");
    until("the other has all", || shared.sql(parts_of_each) == "1024");
    assert_eq!(
        shared.sql("SELECT state FROM node ORDER BY joined"),
        "left\nlive",
        "nobody had to be found dead for that"
    );
    shared.start();
    let _ = shared.nodes.remove(0).wait();
    shared.run(Duration::ZERO);
    assert!(site.smallest_gap() >= SPACING, "{:?}", site.smallest_gap());
    let all = site.pages().len();
    assert_eq!(site.times().values().sum::<usize>(), all, "where nobody dies nothing is fetched twice");
    assert_eq!(shared.ledger("done"), all as u64);
    // One more begins a crawl that has ended, and finds nothing left to do.
    shared.has_ended = false;
    shared.start();
    until("it has ended again", || shared.sql("SELECT ends FROM crawl") == "2");
    assert_eq!(shared.nodes[0].wait().unwrap().code(), Some(0));
    assert_eq!(site.times().values().sum::<usize>(), all);
}

#[test]
fn a_node_that_loses_its_database_gives_the_crawl_up_and_asks_nobody_any_more() {
    let (server, site, dir) = (PostgresServer::start(), Site::start(), tempfile::tempdir().unwrap());
    let database = server.database("lost");
    let mut only = node(&database, &site.0[0].url("/0"), &dir.path().join("1.jsonl"));
    let begun = Instant::now();
    while site.times().len() < 20 {
        assert!(begun.elapsed() < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(20));
    }
    server.crash();
    let crashed = Instant::now();
    let status = only.wait().unwrap();
    assert!(status.code() == Some(8) || status.signal() == Some(9), "{status}");
    assert!(crashed.elapsed() < 3 * TERM, "{:?}", crashed.elapsed());
    let last = site.0.iter().flat_map(|recorder| recorder.arrivals().0).max().unwrap();
    assert!(last < crashed + TERM, "a request {:?} after the database was lost", last - crashed);
    // It comes back, and so does another node: nothing was lost.
    server.begin();
    assert_eq!(node(&database, &site.0[0].url("/0"), &dir.path().join("2.jsonl")).wait().unwrap().code(), Some(0));
    assert_eq!(site.times().keys().cloned().collect::<BTreeSet<_>>(), site.pages());
    assert!(site.smallest_gap() >= SPACING);
}

/// Regression: the store waited for an answer, so the crawl was ended as one that was aborted, without a word of the
/// database.
#[test]
fn a_node_that_is_cut_off_from_its_database_fails_and_says_so() {
    let (server, site, dir) = (PostgresServer::shared(), Site::start(), tempfile::tempdir().unwrap());
    server.database("cut");
    let is_cut = Arc::new(AtomicBool::new(false));
    let database = server.url_at(way::to(&server, Duration::ZERO, &is_cut), "cut");
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "a_process_that_is_a_node", "--nocapture"]).env(TERM_MS, "10000");
    command.env(DATABASE, &database).env(SEED, site.0[0].url("/0")).env(ITEMS, dir.path().join("1.jsonl"));
    let only = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while site.times().len() < 20 {
        assert!(begun.elapsed() < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(20));
    }
    is_cut.store(true, Ordering::SeqCst);
    let output = only.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(8), "{said}");
    assert!(said.contains("the crawl `site` in the database: the database did not answer in time"), "{said}");
    assert!(said.contains("given it up") && !said.contains("aborted"), "{said}");
}

#[test]
fn what_cannot_be_is_told_before_anything_is_waited_for() {
    let server = PostgresServer::shared();
    let database = server.database("told");
    let crawler = || Crawler::new(parse, "clusterbot/1.0 (+https://example.org/bot)").seed("http://site.invalid/");
    let error = |crawler: Crawler<_>| crawler.run_blocking().unwrap_err().to_string();
    assert!(error(crawler().cluster(&database, "Big")).contains("no name of a crawl"));
    assert!(
        error(crawler().cluster("postgres://me@127.0.0.1:1/d?connect_timeout=1", "x")).contains("cannot be reached")
    );
    assert!(error(crawler().cluster(&database, "x").state("state")).contains("leave `state` out"));
    assert!(error(crawler().cluster(&database, "x").cluster_term(Duration::from_millis(10))).contains("too short"));
    let wrong = database.replace("geheim", "sekret");
    let refused = error(crawler().cluster(wrong, "x"));
    assert!(refused.contains("the database refuses") && !refused.contains("sekret"), "{refused}");
}

/// Regression: an empty queue counted as the end of the crawl, so the others ended, and no node was left.
#[test]
fn a_service_on_several_nodes_goes_on_where_one_of_them_is_stopped_or_could_not_begin_until_all_are_closed() {
    let server = PostgresServer::shared();
    let database = server.database("idle");
    let site = Recorder::start(|_| Answer::page(["/"]));
    let service = || {
        let crawler = Crawler::new(parse, "clusterbot/1.0 (+https://example.org/bot)").stay_open();
        crawler.allow_private().cluster(&database, "idle").cluster_term(TERM)
    };
    let sql = |sql: &str| server.psql("idle", &format!("SET search_path TO crawl_idle; {sql}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = (service().start().unwrap(), service().start().unwrap());
    let report = runtime.block_on(async {
        first.stop().await;
        first.wait().await.unwrap()
    });
    assert_eq!(report.ended, actix_crawler::report::Ended::Stopped, "{report}");
    // One cannot begin: its domains have other names.
    let hosts = Politeness { domain_key: DomainKey::Host, ..Politeness::default() };
    assert!(service().politeness(hosts).start().err().unwrap().to_string().contains("domain_key"));
    let third = service().start().unwrap();
    thread::sleep(2 * TERM);
    assert_eq!(sql("SELECT state, ends FROM crawl"), "running\t0");
    // A seed from any node is crawled, whosever it is.
    for (crawl, path) in [(&second, "/a"), (&third, "/b")] {
        runtime.block_on(crawl.seed(&site.url(path))).unwrap();
    }
    until("both are crawled", || site.asked().iter().filter(|asked| asked.path != "/robots.txt").count() >= 3);
    let reports = runtime.block_on(async {
        second.close().await;
        tokio::time::sleep(2 * TERM).await;
        assert!(second.report().is_none(), "another may get seeds that link here");
        third.close().await;
        [second.wait().await.unwrap(), third.wait().await.unwrap()]
    });
    for report in &reports {
        assert_eq!((report.ended, report.pages()), (actix_crawler::report::Ended::Finished, 3), "{report}");
        assert!(report.ledger_adds_up && report.stats.ledger.queued == 0, "{report}");
    }
    assert_eq!(sql("SELECT state, ends FROM crawl"), "ended\t1");
}

/// Regression: the first of them to end closed the gates of both, and the other crawl neither went on nor ended.
#[test]
fn two_crawls_that_machines_share_cannot_have_the_same_conducts_at_a_time() {
    let server = PostgresServer::shared();
    let (database, site, conducts) =
        (server.database("two"), Recorder::start(|_| Answer::page(["/"])), Conducts::new());
    let crawl = |name: &str| {
        let crawler = Crawler::new(parse, "clusterbot/1.0 (+https://example.org/bot)").seed(site.url("/")).stay_open();
        crawler.allow_private().cluster(&database, name).cluster_term(TERM).conducts(&conducts)
    };
    let unreachable = crawl("one").cluster("postgres://me@127.0.0.1:1/d?connect_timeout=1", "one").conducts(&conducts);
    assert!(unreachable.start().err().unwrap().to_string().contains("cannot be reached"));
    let first = crawl("one").start().unwrap();
    let refused = crawl("two").start().err().unwrap().to_string();
    assert!(refused.contains("another crawl of this process") && refused.contains("give each its own"), "{refused}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let finished = |crawl: CrawlHandle| {
        runtime.block_on(async {
            crawl.close().await;
            let report = crawl.wait().await.unwrap();
            assert_eq!((report.ended, report.pages()), (actix_crawler::report::Ended::Finished, 1), "{report}");
        });
    };
    finished(first);
    // One after the other is well.
    finished(crawl("two").start().unwrap());
}

/// Regression: the whole URL was stored to remember its host, which the database refuses if it is long. The page was in
/// the same commit, so each node that took the crawl over failed at it too.
#[test]
fn a_long_redirect_of_a_seed_and_a_long_seed_end_no_crawl() {
    let server = PostgresServer::shared();
    let database = server.database("long");
    let long: String = std::iter::repeat_with(fastrand::alphanumeric).take(4_000).collect();
    let sso = format!("http://{}:9/login?SAMLRequest={long}", address(100));
    let site = Recorder::start(move |asked| match asked.path.as_str() {
        "/" => Answer::redirect(&sso),
        _ => Answer::status(404),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let crawler = Crawler::new(parse, "clusterbot/1.0 (+https://example.org/bot)").seed(site.url("/")).stay_open();
    let crawl = crawler.allow_private().cluster(&database, "long").start().unwrap();
    let report = runtime.block_on(async {
        crawl.seed(&format!("http://{}:9/?{long}", address(101))).await.unwrap();
        crawl.close().await;
        crawl.wait().await.unwrap()
    });
    assert_eq!(report.ended, actix_crawler::report::Ended::Finished, "{report}");
    let hosts = server.psql("long", "SELECT url FROM crawl_long.included ORDER BY url");
    assert_eq!(hosts, format!("{}\nhttp://{}:9/\nhttp://{}:9/", site.url("/"), address(100), address(101)));
}
