//! A crawl that several processes share: one crawls, another waits and takes over. Owners are killed and stopped at random,
//! and judged by what the servers saw.

#![cfg(all(feature = "cluster", target_os = "linux"))]
#![allow(clippy::disallowed_methods, reason = "it measures")]

mod postgres_server;
mod recorder;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
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

use actix_crawler::{Conducts, Error, Politeness, Scope, politeness::DomainKey, prelude::*};
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

const TERM: Duration = Duration::from_millis(1_000);
const SPACING: Duration = Duration::from_millis(60);

/// The exit code of a node that waited until another had finished the crawl.
const FINISHED_ELSEWHERE: i32 = 7;

/// A site on many addresses, each a domain of its own.
struct Site(Vec<Recorder>);

const DOMAINS: u8 = 20;
const PAGES: u32 = 50;

impl Site {
    fn start() -> Self {
        let first = TcpListener::bind((address(0), 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let rest = (1..DOMAINS).map(|domain| TcpListener::bind((address(domain), port)).unwrap());
        let listeners = std::iter::once(first).chain(rest).zip(0..);
        Self(listeners.map(|(at, domain)| Recorder::at(at, move |asked| answer(asked, domain, port))).collect())
    }

    fn pages(&self) -> BTreeSet<String> {
        self.0.iter().flat_map(|at| (0..PAGES).map(|page| at.url(&format!("/{page}")))).collect()
    }

    fn times(&self) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for recorder in &self.0 {
            for asked in recorder.asked().iter().filter(|asked| asked.path != "/robots.txt") {
                *times.entry(recorder.url(&asked.path)).or_default() += 1;
            }
        }
        times
    }

    fn smallest_gap(&self) -> Duration {
        self.0.iter().map(|recorder| recorder.arrivals().smallest_gap()).min().unwrap()
    }
}

fn address(domain: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 19, domain + 1)
}

/// Each page links to two others of its domain; the first of each domain also links to those of two other domains.
fn answer(asked: &Asked, domain: u8, port: u16) -> Answer {
    let Some(page) = asked.path.trim_start_matches('/').parse::<u32>().ok().filter(|page| *page < PAGES) else {
        return Answer::status(404);
    };
    let here = [2 * page + 1, 2 * page + 2].into_iter().filter(|page| *page < PAGES).map(|page| format!("/{page}"));
    let others = [2 * domain + 1, 2 * domain + 2].into_iter().filter(|other| page == 0 && *other < DOMAINS);
    Answer::page(here.chain(others.map(|other| format!("http://{}:{port}/0", address(other)))))
        .after(Duration::from_millis(fastrand::u64(0..60)))
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
        .spacing(SPACING)
        .threads(2)
        .stop_on_signals()
        .cluster(database, "site")
        .cluster_term(env::var(TERM_MS).map_or(TERM, |ms| Duration::from_millis(ms.parse().unwrap())))
        .pipeline(JsonLines::append(env::var(ITEMS).unwrap()));
    match crawler.run_blocking() {
        Ok(report) if report.ended == actix_crawler::report::Ended::Finished => {}
        Ok(report) => {
            eprintln!("{report}");
            std::process::exit(8);
        }
        Err(Error::FinishedElsewhere { .. }) => std::process::exit(FINISHED_ELSEWHERE),
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
    ended_by_system: usize,
    gave_up: usize,
}

/// Two nodes at a time; the owner is killed or stopped at random for `long`, then left alone. Longer with
/// `ACTIX_CRAWLER_TEST_LONGER`.
#[test]
fn a_crawl_whose_owners_are_killed_and_stopped_at_random_loses_nothing_and_hurries_nobody() {
    let is_longer = env::var_os("ACTIX_CRAWLER_TEST_LONGER").is_some();
    let long = Duration::from_secs(if is_longer { 120 } else { 15 });
    let (server, site, dir) = (PostgresServer::shared(), Site::start(), tempfile::tempdir().unwrap());
    let (name, database) = ("random", server.database("random"));
    let (seed, begun) = (site.0[0].url("/0"), Instant::now());
    let mut started = 0;
    let mut start = || {
        started += 1;
        node(&database, &seed, &dir.path().join(format!("{started}.jsonl")))
    };
    let mut nodes = vec![start(), start()];
    let mut fates = Fates::default();
    let mut finished = false;
    while !finished {
        assert!(begun.elapsed() < long + Duration::from_secs(60), "{fates:?}, {} requests", site.times().len());
        thread::sleep(Duration::from_millis(fastrand::u64(150..900)));
        if begun.elapsed() < long {
            let owner =
                server.try_psql(name, "SELECT name FROM crawl_site.node, crawl_site.crawl WHERE session = owner");
            let owner = owner.and_then(|owner| owner.rsplit(' ').next()?.parse::<u32>().ok());
            if let Some(owner) = nodes.iter().find(|node| Some(node.id()) == owner) {
                // Each at least once, and then at random.
                if fates.killed == 0 || (fates.stopped > 0 && fastrand::bool()) {
                    fates.killed += 1;
                    signal(owner, Signal::SIGKILL);
                } else {
                    fates.stopped += 1;
                    signal(owner, Signal::SIGSTOP);
                    thread::sleep(TERM * fastrand::u32(10..300) / 100);
                    signal(owner, Signal::SIGCONT);
                }
            }
        }
        nodes.retain_mut(|node| {
            let Some(status) = node.try_wait().unwrap() else { return true };
            match (status.code(), status.signal()) {
                (Some(0 | FINISHED_ELSEWHERE), _) => finished = true,
                (Some(code), _) => {
                    assert!(matches!(code, 3 | 8), "a node gives up, if its system does not end it before: {code}");
                    fates.gave_up += 1;
                }
                (None, Some(signal)) => {
                    assert_eq!(signal, Signal::SIGKILL as i32);
                    fates.ended_by_system += 1;
                }
                (None, None) => unreachable!(),
            }
            false
        });
        while !finished && nodes.len() < 2 {
            nodes.push(start());
        }
    }
    for mut node in nodes {
        let status = node.wait().unwrap();
        assert!(matches!(status.code(), Some(0 | FINISHED_ELSEWHERE)), "{status}");
    }
    fates.ended_by_system = fates.ended_by_system.saturating_sub(fates.killed);
    let (pages, times, gap) = (site.pages(), site.times(), site.smallest_gap());
    let again: usize = times.values().map(|times| times - 1).sum();
    println!("{fates:?}, {started} nodes, {again} of {} pages again, smallest gap {gap:?}", pages.len());
    assert!(gap >= SPACING, "{gap:?} between two requests to one domain: {fates:?}");
    assert_eq!(times.keys().cloned().collect::<BTreeSet<_>>(), pages, "every page was requested");
    let counted = |what: &str| server.psql(name, &format!("SELECT {what} FROM crawl_site.crawl"));
    let ledger = |key: &str| counted(&format!("counters::json #>> '{{progress,ledger,{key}}}'"));
    assert_eq!(
        (counted("state"), ledger("done"), ledger("discovered")),
        ("finished".into(), pages.len().to_string(), pages.len().to_string())
    );
    assert_eq!(server.psql(name, "SELECT count(*) FROM crawl_site.queue"), "0");
    assert_eq!(server.psql(name, "SELECT count(*) FROM crawl_site.seen"), pages.len().to_string());
    let items: BTreeSet<_> = (1..=started)
        .filter_map(|nth| std::fs::read_to_string(dir.path().join(format!("{nth}.jsonl"))).ok())
        .flat_map(|text| {
            text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).collect::<Vec<_>>()
        })
        .map(|item| item["url"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(items, pages, "every page's item is in the file of some node");
    assert!(fates.killed > 0 && fates.stopped > 0, "{fates:?}");
}

#[test]
fn whoever_waits_goes_on_at_once_where_another_leaves_and_ends_when_another_has_finished() {
    let (server, site, dir) = (PostgresServer::shared(), Site::start(), tempfile::tempdir().unwrap());
    let (name, database) = ("leaves", server.database("leaves"));
    let seed = site.0[0].url("/0");
    let start = |nth: u32| node(&database, &seed, &dir.path().join(format!("{nth}.jsonl")));
    let owners = || server.try_psql(name, "SELECT owners FROM crawl_site.crawl").unwrap_or_default();
    let until = |is_so: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(30));
            thread::sleep(Duration::from_millis(20));
        }
    };
    let mut first = start(1);
    until(&|| site.times().len() > 20);
    let mut second = start(2);
    until(&|| server.psql(name, "SELECT count(*) FROM crawl_site.node") == "2");
    assert_eq!(owners(), "1");
    signal(&first, Signal::SIGTERM);
    assert_eq!(first.wait().unwrap().code(), Some(8), "it has stopped, and says so");
    until(&|| owners() == "2");
    assert_eq!(server.psql(name, "SELECT dead FROM crawl_site.node"), "f", "nobody had to be found dead for that");
    let at = site.times().len();
    until(&|| site.times().len() > at + 5);
    let mut third = start(3);
    assert_eq!(second.wait().unwrap().code(), Some(0));
    assert_eq!(third.wait().unwrap().code(), Some(FINISHED_ELSEWHERE));
    assert_eq!(
        (owners().as_str(), server.psql(name, "SELECT state FROM crawl_site.crawl").as_str()),
        ("2", "finished")
    );
    assert!(site.smallest_gap() >= SPACING);
    // One more begins a crawl that was finished, and finds nothing left to do.
    assert_eq!(start(4).wait().unwrap().code(), Some(0));
    assert_eq!(owners(), "3");
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

/// Forwards to the server until it is cut, and then keeps all connections open without a word.
fn cuttable(server: &PostgresServer, is_cut: Arc<AtomicBool>) -> u16 {
    let (listener, address) = (TcpListener::bind("127.0.0.1:0").unwrap(), server.address());
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let upstream = TcpStream::connect(address).unwrap();
            let pairs = [(client.try_clone().unwrap(), upstream.try_clone().unwrap()), (upstream, client)];
            for (mut from, mut to) in pairs {
                let is_cut = is_cut.clone();
                thread::spawn(move || {
                    let mut buffer = [0; 8192];
                    while let Ok(read @ 1..) = from.read(&mut buffer) {
                        while is_cut.load(Ordering::SeqCst) {
                            thread::park();
                        }
                        if to.write_all(&buffer[..read]).is_err() {
                            break;
                        }
                    }
                    let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
                });
            }
        }
    });
    port
}

/// Regression: the store waited for an answer, so the crawl was ended as one that was aborted, without a word of the database.
#[test]
fn a_node_that_is_cut_off_from_its_database_fails_and_says_so() {
    let (server, site, dir) = (PostgresServer::shared(), Site::start(), tempfile::tempdir().unwrap());
    server.database("cut");
    let is_cut = Arc::new(AtomicBool::new(false));
    let database = server.url_at(cuttable(&server, is_cut.clone()), "cut");
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
    let crawler = || Crawler::new(parse, "clusterbot/1.0 (+https://example.org/bot)").seed("http://127.0.0.1:9/");
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

/// Regression: an empty queue counted as the end of the crawl, so those that waited ended, and no node was left.
#[test]
fn whoever_waits_takes_over_from_a_service_that_is_stopped_while_it_has_nothing_to_do_and_from_one_that_could_not_begin()
 {
    let server = PostgresServer::shared();
    let database = server.database("idle");
    let service = || {
        let crawler = Crawler::new(parse, "clusterbot/1.0 (+https://example.org/bot)").stay_open();
        crawler.allow_private().cluster(&database, "idle").cluster_term(TERM)
    };
    let sql = |sql: &str| server.psql("idle", &format!("SET search_path TO crawl_idle; {sql}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = service().start().unwrap();
    let waiting = |crawler: Crawler<_>| {
        let waits = thread::spawn(move || crawler.start());
        let begun = Instant::now();
        while sql("SELECT count(*) FROM node") != "2" {
            assert!(begun.elapsed() < Duration::from_secs(30));
            thread::sleep(Duration::from_millis(20));
        }
        // It looks, and sees an owner.
        let seen = sql("SELECT max(seen) FROM node WHERE session <> (SELECT owner FROM crawl)");
        while sql("SELECT max(seen) FROM node WHERE session <> (SELECT owner FROM crawl)") == seen {
            assert!(begun.elapsed() < Duration::from_secs(30));
        }
        waits
    };
    let second = waiting(service());
    runtime.block_on(async {
        first.stop().await;
        first.wait().await.unwrap();
    });
    let second = second.join().unwrap().unwrap();
    // One takes over and cannot begin: its domains have other names.
    let hosts = Politeness { domain_key: DomainKey::Host, ..Politeness::default() };
    let third = waiting(service().politeness(hosts));
    runtime.block_on(async {
        second.stop().await;
        second.wait().await.unwrap();
    });
    assert!(third.join().unwrap().err().unwrap().to_string().contains("domain_key"));
    assert_eq!((sql("SELECT state FROM crawl"), sql("SELECT owners FROM crawl")), ("stopped".into(), "3".into()));
    // A service that is closed is finished.
    let last = service().start().unwrap();
    runtime.block_on(async {
        last.close().await;
        last.wait().await.unwrap();
    });
    assert_eq!(sql("SELECT state FROM crawl"), "finished");
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

/// Regression: the whole URL was stored to remember its host, which the database refuses if it is long. The page was in the same
/// commit, so each node that took the crawl over failed at it too.
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
    assert_eq!(hosts, format!("http://{}:9/\nhttp://{}:9/", address(100), address(101)));
}

#[cfg(feature = "cli")]
#[test]
fn the_command_shares_a_crawl_shows_it_and_drops_it() {
    let (server, site, dir) = (PostgresServer::shared(), Site::start(), tempfile::tempdir().unwrap());
    let database = server.database("command");
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_actix-crawler")).args(arguments).current_dir(dir.path()).output();
        let output = output.unwrap();
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), text.concat())
    };
    let seed = site.0[0].url("/0");
    let crawl = ["crawl", &seed, "--allow-private", "--delay", "10ms", "-o", "pages.jsonl"];
    let shared = [&crawl[..], &["--cluster", &database, "--crawl", "site"]].concat();
    let (code, said) = run(&shared);
    assert_eq!(code, Some(0), "{said}");
    let lines = || std::fs::read_to_string(dir.path().join("pages.jsonl")).unwrap().lines().count();
    assert_eq!(lines(), PAGES as usize);
    let (code, said) = run(&["cluster", "status", &database, "site"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("crawl site: finished") && said.contains("50 done") && said.contains("1 owner"), "{said}");
    // One that waits says so, and for whom.
    server.psql(
        "command",
        "SET search_path TO crawl_site; INSERT INTO node (session, name, term) VALUES (7, 'there 1', 700); \
         UPDATE crawl SET owner = 7, token = token + 1",
    );
    let (code, said) = run(&shared);
    assert!(code == Some(0) && said.contains("this node waits while another crawls"), "{said}");
    assert!(said.contains("there 1") && said.contains("this node owns the crawl"), "{said}");
    // The same command goes on, and adds to its file.
    assert_eq!(run(&shared).0, Some(0));
    assert_eq!(lines(), PAGES as usize);
    assert_eq!(run(&["cluster", "drop", &database, "site"]), (Some(0), "crawl site is dropped\n".to_owned()));
    for task in ["status", "drop"] {
        let (code, said) = run(&["cluster", task, &database, "site"]);
        assert!(code == Some(1) && said.contains("there is none of this name"), "{said}");
    }
    assert_eq!(
        run(&crawl[..crawl.len() - 2].iter().chain(&["--cluster", &database]).copied().collect::<Vec<_>>()).0,
        Some(2)
    );
}
