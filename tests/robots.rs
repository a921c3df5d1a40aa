//! Robots files as servers see them: what is asked for, in which order, and how far apart.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use actix_crawler::{Crawler, error::Result, politeness::Politeness, prelude::*, response::Response};

/// One request, as a server noted it: when it came, and for which path.
type Arrival = (Instant, String);

/// A server on a port of its own that notes every request, and answers as it is told.
struct Site {
    address: SocketAddr,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

impl Site {
    /// `answer` gets a path and returns a status line's end, a header or none, and a body.
    fn start(answer: impl Fn(&str) -> (&'static str, String, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let (noted, answer) = (arrivals.clone(), Arc::new(answer));
        // The thread ends with the process: it waits for connections and owes nobody anything.
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (noted, answer) = (noted.clone(), answer.clone());
                thread::spawn(move || serve(connection, &noted, &*answer));
            }
        });
        Self { address, arrivals }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn paths(&self) -> Vec<String> {
        self.arrivals.lock().unwrap().iter().map(|(_, path)| path.clone()).collect()
    }

    fn gaps(&self) -> Vec<Duration> {
        let arrivals = self.arrivals.lock().unwrap();
        arrivals.iter().zip(arrivals.iter().skip(1)).map(|(a, b)| b.0 - a.0).collect()
    }
}

fn serve(
    connection: TcpStream,
    noted: &Mutex<Vec<Arrival>>,
    answer: &dyn Fn(&str) -> (&'static str, String, String),
) -> Option<()> {
    let mut writer = connection.try_clone().ok()?;
    let mut lines = BufReader::new(connection).lines();
    loop {
        let first = lines.next()?.ok()?;
        let path = first.split(' ').nth(1)?.to_owned();
        while !lines.next()?.ok()?.is_empty() {}
        noted.lock().unwrap().push((Instant::now(), path.clone()));
        let (status, header, body) = answer(&path);
        let length = body.len();
        write!(
            writer,
            "HTTP/1.1 {status}\r\n{header}content-type: text/html\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .ok()?;
    }
}

fn ok(body: impl Into<String>) -> (&'static str, String, String) {
    ("200 OK", String::new(), body.into())
}

fn to(url: &str) -> (&'static str, String, String) {
    ("301 Moved Permanently", format!("location: {url}\r\n"), String::new())
}

#[allow(clippy::unnecessary_wraps, reason = "it is a spider")]
fn follow_all(page: &Response) -> Result<Parsed<()>> {
    Ok(Parsed::new().follow(page.links().cloned().collect::<Vec<_>>()))
}

fn crawler() -> Crawler<fn(&Response) -> Result<Parsed<()>>> {
    let spider: fn(&Response) -> Result<Parsed<()>> = follow_all;
    Crawler::new(spider, "testbot/1.0 (+https://example.org/bot)").allow_private().threads(1)
}

#[test]
fn the_robots_file_comes_first_and_once_and_what_it_disallows_is_never_asked_for() {
    let site = Site::start(|path| match path {
        "/robots.txt" => ok("User-agent: TestBot\nDisallow: /no\nAllow: /no/but\n\nUser-agent: *\nDisallow: /"),
        _ => {
            ok("<a href=/a>a</a> <a href=/no/1>1</a> <a href=/no/but>but</a> <a href=/no?2>2</a> <a href=/robots.txt>")
        }
    });
    let crawl = crawler().seed(site.url("/")).rate(Rate::UNLIMITED).per_domain(8);
    let report = crawl.run_blocking().unwrap();
    let mut paths = site.paths();
    assert_eq!(paths.first().unwrap(), "/robots.txt");
    paths.sort();
    assert_eq!(
        paths,
        ["/", "/a", "/no/but", "/robots.txt", "/robots.txt"],
        "the second time as a page that was linked"
    );
    assert_eq!(report.stats.get("drop/robots/disallowed"), 2);
    assert!(report.ledger_adds_up, "{report}");
}

#[test]
fn two_origins_that_are_led_to_one_robots_file_obey_it_and_ask_once() {
    let shared = Site::start(|path| match path {
        "/shared" => ok("user-agent: *\ndisallow: /x"),
        _ => ok(""),
    });
    let robots = shared.url("/shared");
    let sites = [(); 2].map(|()| {
        let robots = robots.clone();
        Site::start(move |path| if path == "/robots.txt" { to(&robots) } else { ok("") })
    });
    let seeds = sites.iter().flat_map(|site| [site.url("/x"), site.url("/y")]);
    let report = crawler().seeds(seeds).rate(Rate::UNLIMITED).per_domain(8).run_blocking().unwrap();
    for site in &sites {
        assert_eq!(site.paths(), ["/robots.txt", "/y"]);
    }
    assert!((1..=2).contains(&shared.paths().len()), "twice only if the second came after the first was answered");
    assert!(report.ledger_adds_up, "{report}");
}

/// A domain that has nothing queued is forgotten once its throttle is as fresh; its robots file is remembered for a
/// day. The pages that came later used to go at the crawl's own pace.
#[test]
fn a_crawl_delay_holds_also_after_the_domain_was_forgotten() {
    const DELAY: Duration = Duration::from_millis(400);
    let site = Site::start(|path| match path {
        "/robots.txt" => ok("user-agent: *\ncrawl-delay: 0.4"),
        _ => ok(""),
    });
    let handle = crawler().spacing(Duration::from_millis(10)).stay_open().start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        handle.seed(&site.url("/1")).await.unwrap();
        // Until the domain is forgotten, which is when it is not counted any more.
        let forgotten = async {
            while site.paths().len() < 2 || handle.stats().await.unwrap().domains_active > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), forgotten).await.expect("the domain is forgotten in time");
        for path in ["/2", "/3", "/4"] {
            handle.seed(&site.url(path)).await.unwrap();
        }
        handle.close().await;
        handle.wait().await.unwrap();
    });
    assert_eq!(site.paths(), ["/robots.txt", "/1", "/2", "/3", "/4"]);
    let resolution = Duration::from_millis(1);
    assert!(site.gaps().iter().all(|gap| *gap + resolution >= DELAY), "{:?}", site.gaps());
}

#[test]
fn a_crawl_delay_above_the_cap_is_held_to_it_and_reported_by_its_domain() {
    let site = Site::start(|path| match path {
        "/robots.txt" => ok("user-agent: *\ncrawl-delay: 100"),
        _ => ok(""),
    });
    let politeness = Politeness { max_crawl_delay: Duration::from_millis(200), ..Politeness::default() };
    let report = crawler().politeness(politeness).rate(Rate::UNLIMITED).seed(site.url("/")).run_blocking().unwrap();
    assert_eq!(report.stats.get("robots/crawl_delay_above_cap"), 1);
    let said = report.stats.domains.values().find_map(|domain| domain.robots.clone());
    assert_eq!(said.as_deref(), Some("rules, 1m 40s between starts, held to 200ms"));
    assert!(report.to_string().contains("held to 200ms"), "{report}");
    assert!(site.gaps().iter().all(|gap| *gap >= Duration::from_millis(199)), "{:?}", site.gaps());
}

#[test]
fn a_robots_file_that_is_refused_cools_the_domain_for_as_long_as_it_says() {
    let asked = Mutex::new(0);
    let site = Site::start(move |path| {
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        match (path, *asked) {
            (_, 1) => ("503 Service Unavailable", "retry-after: 6\r\n".to_owned(), String::new()),
            _ => ok(""),
        }
    });
    let report = crawler().seed(site.url("/")).rate(Rate::UNLIMITED).run_blocking().unwrap();
    assert_eq!(site.paths(), ["/robots.txt", "/robots.txt", "/"]);
    assert!(site.gaps()[0] >= Duration::from_millis(5_990), "{:?}", site.gaps());
    assert_eq!((report.pages(), report.stats.domains.values().map(|domain| domain.refusals).sum::<u64>()), (1, 1));
}

#[test]
fn of_a_robots_file_that_does_not_end_what_counts_is_obeyed() {
    let site = Site::start(|path| match path {
        "/robots.txt" => ok(format!("User-agent: *\nDisallow: /no\n{}", "# and so on\n".repeat(1 << 20))),
        _ => ok("<a href=/no>no</a> <a href=/yes>yes</a>"),
    });
    let report = crawler().seed(site.url("/")).rate(Rate::UNLIMITED).run_blocking().unwrap();
    assert_eq!(site.paths(), ["/robots.txt", "/", "/yes"]);
    assert_eq!(report.stats.get("drop/robots/disallowed"), 1);
}
