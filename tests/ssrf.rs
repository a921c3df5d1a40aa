//! SSRF: a crawler inside a service never connects to a private address, however a URL leads there.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use actix_crawler::{
    Report, Scope, Settings,
    prelude::*,
    transport::{AddressGuard, TransportSettings},
};

/// A listener that counts connections.
struct Door {
    at: SocketAddr,
    visitors: Arc<AtomicUsize>,
    closed: Arc<AtomicBool>,
}

impl Door {
    /// Listens on `port`, or on a free one for 0; `None` if the address or port is not available.
    fn open(ip: impl Into<IpAddr>, port: u16, answer: impl Into<String>) -> Option<Self> {
        let listener = TcpListener::bind((ip.into(), port)).ok()?;
        let door = Self { at: listener.local_addr().unwrap(), visitors: Arc::default(), closed: Arc::default() };
        let (visitors, closed) = (door.visitors.clone(), door.closed.clone());
        let answer = answer.into();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                visitors.fetch_add(1, Ordering::SeqCst);
                let Ok(mut stream) = stream else { continue };
                drop(stream.read(&mut [0; 4096]));
                drop(stream.write_all(answer.as_bytes()));
            }
        });
        Some(door)
    }

    fn visitors(&self) -> usize {
        self.visitors.load(Ordering::SeqCst)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        drop(std::net::TcpStream::connect(self.at));
    }
}

fn secret(ip: impl Into<IpAddr>, port: u16) -> Option<Door> {
    Door::open(ip, port, "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecret")
}

fn html(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

/// Crawls, follows every link, and returns the report and the lines of the crawl log.
fn crawl(seeds: &[String], resolve: &[String], guard: AddressGuard) -> (Arc<Report>, Vec<serde_json::Value>) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let settings = Settings {
        transport: TransportSettings { guard, resolve: resolve.to_vec(), ..TransportSettings::default() },
        scope: Scope { within: Within::Any, ..Scope::default() },
        log: Some(log.path().to_owned()),
        ..Settings::default()
    };
    let follow = |page: &Response| Ok(Parsed::<()>::new().follow(page.links().collect::<Vec<_>>()));
    let report = Crawler::new(follow, "ssrfbot/1.0 (+https://example.org/bot)")
        .conducts(&actix_crawler::Conducts::new())
        .settings(settings)
        .rate(Rate::UNLIMITED)
        .per_domain(8)
        .ignore_robots()
        .seeds(seeds)
        .run_blocking()
        .unwrap();
    let lines = std::fs::read_to_string(log.path()).unwrap();
    (report, lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn only(network: &str) -> AddressGuard {
    AddressGuard { allow: vec![network.parse().unwrap()], ..AddressGuard::default() }
}

/// Every URL ended once, without a retry, with a line that says what to do about it.
fn all_are_refused(report: &Report, lines: &[serde_json::Value], urls: usize) {
    assert_eq!(lines.len(), urls, "{lines:#?}");
    for line in lines {
        assert_eq!(line["outcome"], "private_address", "{line}");
        let detail = line["detail"].as_str().unwrap();
        assert!(detail.contains("allow_private()") && detail.contains("--allow-private"), "{detail}");
    }
    assert_eq!(report.failed(), urls as u64);
    assert!(report.ledger_adds_up);
}

#[test]
fn no_way_of_writing_an_address_reaches_a_private_listener() {
    let four = secret(Ipv4Addr::LOCALHOST, 0).unwrap();
    let port = four.at.port();
    // Also on IPv6, if available, so that `localhost` and `[::1]` would reach it.
    let doors: Vec<Door> = secret(Ipv6Addr::LOCALHOST, port).into_iter().chain([four]).collect();
    let hosts = [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "0",
        "0.0.0.0",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "127。0。0。1",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "a.localhost",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "user:password@127.0.0.1",
    ];
    // Different spellings canonicalize to one URL; the paths keep them distinct.
    let urls: Vec<_> = hosts.iter().enumerate().map(|(n, host)| format!("http://{host}:{port}/{n}")).collect();
    let links: String = urls.iter().map(|url| format!("<a href='{url}'>x</a>")).collect();
    let linking = Door::open([127, 0, 0, 36], 0, html(&format!("<meta charset=utf-8>{links}"))).unwrap();
    let (report, mut lines) = crawl(&[format!("http://{}/", linking.at)], &[], only("127.0.0.36/32"));
    lines.retain(|line| line["outcome"] != "ok");
    all_are_refused(&report, &lines, hosts.len());
    for url in &urls {
        let refused = titles().seed(url).start().err().expect(url).to_string();
        assert!(refused.contains("allow_private()") && !refused.contains("password"), "{url}: {refused}");
    }
    for door in doors {
        assert_eq!(door.visitors(), 0, "{} was connected to", door.at);
    }
}

fn titles() -> Crawler<impl Spider<Item = String>> {
    let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
    Crawler::new(titles, "ssrfbot/1.0 (+https://example.org/bot)")
}

/// A crawl of a private site began, and its seed failed as a page that cannot be had.
#[test]
fn a_seed_with_a_private_address_is_refused_with_what_to_change_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("titles.jsonl");
    for url in ["http://192.168.0.9/", "http://localhost:9/", "https://[fd00::1]/"] {
        let refused = titles().seed(url).pipeline(JsonLines::create(&output)).run_blocking().expect_err(url);
        let (says, why) = (refused.to_string(), "allow_private(), or --allow-private on the command line");
        assert!(says.starts_with(&format!("`{url}` is not a URL")) && says.contains(why), "{says}");
    }
    assert!(!output.exists());
}

#[test]
fn names_that_resolve_to_private_addresses_are_refused() {
    let door = secret([127, 0, 0, 31], 0).unwrap();
    let port = door.at.port();
    let rules = [
        format!("plain.test:127.0.0.31:{port}"),
        format!("*.wild.test:127.0.0.31:{port}"),
        format!("two.test:[::1],127.0.0.31:{port}"),
        format!("mapped.test:[::ffff:127.0.0.31]:{port}"),
        "metadata.test:169.254.169.254".to_owned(),
        "lan.test:10.0.0.1,192.168.1.1,[fd00::1]".to_owned(),
    ];
    let seeds = ["plain", "a.wild", "two", "mapped", "metadata", "lan"].map(|name| format!("http://{name}.test/"));
    let (report, lines) = crawl(&seeds, &rules, AddressGuard::default());
    all_are_refused(&report, &lines, seeds.len());
    assert_eq!(door.visitors(), 0);
}

#[test]
fn redirects_and_links_from_an_allowed_address_reach_no_other() {
    let door = secret([127, 0, 0, 33], 0).unwrap();
    let (private, port) = (door.at, door.at.port());
    let redirecting = Door::open(
        [127, 0, 0, 32],
        0,
        format!(
            "HTTP/1.1 302 Found\r\nlocation: http://{private}/hop\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        ),
    )
    .unwrap();
    let linking = Door::open(
        [127, 0, 0, 32],
        0,
        html(&format!(
            "<a href='http://{private}/a'>a</a> <a href='//127.33:{port}/b'>b</a> <a href='http://x.test/'>c</a>"
        )),
    )
    .unwrap();
    let seeds = [format!("http://{}/", redirecting.at), format!("http://{}/", linking.at)];
    let rules = [format!("x.test:{private}")];
    let (report, lines) = crawl(&seeds, &rules, only("127.0.0.32/32"));
    assert_eq!(door.visitors(), 0, "the private listener was connected to");
    assert_eq!((redirecting.visitors(), linking.visitors()), (1, 1), "the allowed address is crawled");
    let count = |outcome: &str| lines.iter().filter(|line| line["outcome"] == outcome).count();
    assert_eq!((count("ok"), count("redirect"), count("private_address")), (1, 1, 4), "{lines:#?}");
    assert!(report.ledger_adds_up);
}

#[test]
fn of_several_addresses_only_the_allowed_one_is_connected_to() {
    let private = secret([127, 0, 0, 35], 0).unwrap();
    let port = private.at.port();
    let rules = [format!("both.test:127.0.0.35,[::1],127.0.0.34:{port}")];
    let Ok(listener) = TcpListener::bind(("127.0.0.34", port)) else { return };
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(html("hi").as_bytes()).unwrap();
    });
    let (report, _) = crawl(&["http://both.test/".to_owned()], &rules, only("127.0.0.34/32"));
    served.join().unwrap();
    assert_eq!(report.pages(), 1);
    assert_eq!(private.visitors(), 0);
}
