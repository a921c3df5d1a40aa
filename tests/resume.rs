//! A crawl that keeps its state is killed again and again and loses nothing; its servers see no more than they should.

#![cfg(feature = "disk")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use actix_crawler::{prelude::*, response::Response};

/// A site over many addresses, each a domain of its own, that notes when it was asked for what.
struct Site {
    port: u16,
    domains: u8,
    asked: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Clone, Debug)]
struct Asked {
    at: Instant,
    domain: String,
    path: String,
}

/// Pages of each domain.
const PAGES: u32 = 12;

impl Site {
    fn start(domains: u8) -> Self {
        let first = TcpListener::bind((address(0), 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let rest = (1..domains).map(|domain| TcpListener::bind((address(domain), port)).unwrap());
        let site = Self { port, domains, asked: Arc::default() };
        for listener in std::iter::once(first).chain(rest) {
            let asked = site.asked.clone();
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let asked = asked.clone();
                    thread::spawn(move || serve(stream, domains, &asked));
                }
            });
        }
        site
    }

    fn seed(&self) -> String {
        format!("http://{}:{}/0", address(0), self.port)
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn pages(&self) -> BTreeSet<String> {
        let of = |domain| (0..PAGES).map(move |page| format!("http://{}:{}/{page}", address(domain), self.port));
        (0..self.domains).flat_map(of).collect()
    }
}

fn address(domain: u8) -> std::net::Ipv4Addr {
    std::net::Ipv4Addr::new(127, 0, 7, domain + 1)
}

/// Each page links to the next two of its domain; the first of each domain links to those of two other domains too.
fn serve(mut stream: TcpStream, domains: u8, asked: &Mutex<Vec<Asked>>) {
    let here = stream.local_addr().unwrap();
    let SocketAddr::V4(address_here) = here else { unreachable!() };
    let domain = address_here.ip().octets()[3] - 1;
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(head)) = lines.next() {
        let at = Instant::now();
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        asked.lock().unwrap().push(Asked { at, domain: here.ip().to_string(), path: path.clone() });
        let page = path.trim_start_matches('/').parse::<u32>().ok().filter(|page| *page < PAGES);
        let (status, body) = match page {
            None => ("404 Not Found", String::new()),
            Some(page) => {
                let mut links: Vec<String> = [2 * page + 1, 2 * page + 2].map(|next| format!("/{next}")).into();
                links.retain(|link| link[1..].parse::<u32>().unwrap() < PAGES);
                if page == 0 {
                    for other in [2 * u32::from(domain) + 1, 2 * u32::from(domain) + 2] {
                        if other < u32::from(domains) {
                            let other = address(u8::try_from(other).unwrap());
                            links.push(format!("http://{other}:{}/0", here.port()));
                        }
                    }
                }
                ("200 OK", links.iter().map(|link| format!("<a href=\"{link}\">x</a>")).collect())
            }
        };
        // So long that most kills hit pages in flight.
        thread::sleep(Duration::from_millis(fastrand::u64(0..100)));
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

#[derive(serde::Serialize)]
struct Page {
    url: String,
}

fn parse(page: &Response) -> Result<Parsed<Page>> {
    let links: Vec<_> = page.links().cloned().collect();
    Ok(Parsed::new().item(Page { url: page.url().to_string() }).follow(links))
}

/// Not a test: what the tests run as a process of its own, to be killed.
#[test]
#[ignore = "the other tests run it"]
fn child() {
    let Ok(seed) = std::env::var("RESUME_SEED") else { return };
    let dir = PathBuf::from(std::env::var("RESUME_DIR").unwrap());
    let spacing = std::env::var("RESUME_SPACING").unwrap().parse().unwrap();
    let report = Crawler::new(parse, "resume/1.0 (+https://example.org/)")
        .seed(seed)
        .allow_private()
        .within(Within::Any)
        .spacing(Duration::from_millis(spacing))
        .threads(1)
        .state(dir.join("state"))
        .pipeline(JsonLines::append(dir.join("items.jsonl")))
        .run_blocking();
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
    command.args(["--exact", "child", "--ignored", "--nocapture"]);
    command.env("RESUME_SEED", site.seed()).env("RESUME_DIR", dir);
    command.env("RESUME_SPACING", spacing.as_millis().to_string());
    command
}

fn spawn(site: &Site, dir: &Path, spacing: Duration) -> Child {
    spawn_command(site, dir, spacing).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// As [`spawn`], in a world where no file can grow beyond 60 KiB: to the store, a disk that is full.
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
    text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["url"].as_str().unwrap().to_owned()).collect()
}

/// The least time between two requests to one domain, whichever process made them.
fn smallest_gap(asked: &[Asked]) -> Duration {
    let mut last: BTreeMap<&str, Instant> = BTreeMap::new();
    let gaps = asked.iter().filter_map(|asked| last.insert(&asked.domain, asked.at).map(|before| asked.at - before));
    gaps.min().unwrap_or(Duration::MAX)
}

#[test]
fn a_crawl_that_is_killed_again_and_again_loses_nothing_and_hurries_nobody() {
    const KILLS: usize = 20;
    let spacing = Duration::from_millis(150);
    let (site, dir) = (Site::start(25), tempfile::tempdir().unwrap());
    let mut kills = 0;
    loop {
        let mut child = spawn(&site, dir.path(), spacing);
        let wait = Duration::from_millis(fastrand::u64(30..700));
        if kills < KILLS {
            thread::sleep(wait);
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
                continue;
            }
        }
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        break;
    }
    let (report, items, pages) = (report(dir.path()), items(dir.path()), site.pages());
    assert_eq!(report["ended"], "finished", "{report}");
    assert_eq!(report["ledger_adds_up"], true, "{report}");
    assert_eq!(report["ledger"]["done"], pages.len(), "{report}");
    assert_eq!(items.iter().cloned().collect::<BTreeSet<_>>(), pages, "every page's item is there");
    let asked = site.asked();
    let mut times: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for asked in asked.iter().filter(|asked| asked.path != "/robots.txt") {
        *times.entry((&asked.domain, &asked.path)).or_default() += 1;
    }
    let again: usize = times.values().map(|times| times - 1).sum();
    assert!(times.values().all(|times| *times <= 1 + kills), "{times:?}");
    // A kill costs what was in flight, one page a domain, and what the store's thread had not taken up yet.
    assert!(again <= kills * site.domains as usize / 2, "{again} pages were fetched again after {kills} kills");
    let gap = smallest_gap(&asked);
    assert!(gap >= spacing * 7 / 10, "{gap:?} between two requests to one domain");
    println!("{kills} kills, {again} pages fetched again, smallest gap {gap:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_ends_the_crawl_and_not_its_state() {
    let spacing = Duration::from_millis(20);
    let (site, dir) = (Site::start(20), tempfile::tempdir().unwrap());
    let mut first = spawn(&site, dir.path(), spacing);
    while site.asked().len() < 10 {
        assert!(first.try_wait().unwrap().is_none());
        thread::yield_now();
    }
    first.kill().unwrap();
    first.wait().unwrap();
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
fn a_second_process_is_told_who_holds_the_state() {
    let (site, dir) = (Site::start(2), tempfile::tempdir().unwrap());
    let mut first = spawn(&site, dir.path(), Duration::from_secs(3));
    while site.asked().is_empty() {
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
