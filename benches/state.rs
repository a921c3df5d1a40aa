//! The cost of a state on disk. `cargo bench --bench state -- crawl` crawls 20,000 pages with and without one; `cargo
//! bench --bench state -- frontier 10000000 DIR [SEEN]` queues that many URLs, leases and settles a tenth of them, and
//! reopens the directory. A line for each million says what its links have cost. Of a hundred links, SEEN were seen
//! before (20 if it is left out).
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, reason = "a measurement")]

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use actix_crawler::{
    Domain, Recrawl,
    frontier::{
        Frontier, LeaseId, Next,
        durable::{Checkpoint, Listener, Opening, StoreNews},
        stores::fjall,
    },
    prelude::*,
};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve"] => serve(),
        ["frontier", urls, dir] => frontier(urls.parse().unwrap(), Path::new(dir), 20),
        ["frontier", urls, dir, seen] => frontier(urls.parse().unwrap(), Path::new(dir), seen.parse().unwrap()),
        ["crawl"] | [] => crawl(),
        other => println!("no such measurement: {other:?}"),
    }
}

const PAGES: usize = 20_000;

/// Pages of about 14 KiB, each with links to ten others, on one connection a thread.
fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("http://{}/0", listener.local_addr().unwrap());
    for stream in listener.incoming().flatten() {
        thread::spawn(move || answer(stream));
    }
}

fn answer(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(head)) = lines.next() {
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let page: usize = head.split(['/', ' ']).nth(2)?.parse().unwrap_or(0);
        let mut body = format!("<title>Page {page}</title>");
        for link in [2 * page + 1, 2 * page + 2, page / 2].into_iter().chain((1..8).map(|n| page + n * n)) {
            body += &format!("<a href=\"/{}\">a link</a> ", link % PAGES);
        }
        while body.len() < 14_000 {
            body += "<p>The same words stand here again and again, so that the page is as long as others.</p>\n";
        }
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .ok()?;
    }
    None
}

#[derive(serde::Serialize)]
struct Item {
    url: String,
    title: Option<String>,
}

fn parse(page: &Response) -> Result<Parsed<Item>> {
    let links: Vec<_> = page.links().collect();
    let item = Item { url: page.url().to_string(), title: page.title().map(str::to_owned) };
    Ok(Parsed::new().item(item).follow(links))
}

fn crawl() {
    let mut server = std::process::Command::new(std::env::current_exe().unwrap())
        .arg("serve")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut seed = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut seed).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        for state in [None, Some(dir.path().join(format!("state-{round}")))] {
            let name = if state.is_some() { "on disk" } else { "in memory" };
            let (start, cpu) = (Instant::now(), cpu_seconds());
            let mut crawler = Crawler::new(parse, "bench/1.0 (+https://example.org/)")
                .seed(seed.trim())
                .allow_private()
                .ignore_robots()
                .rate(Rate::UNLIMITED)
                .per_domain(32)
                .pipeline(JsonLines::create(dir.path().join("items.jsonl")));
            if let Some(state) = state {
                crawler = crawler.state(state);
            }
            let report = crawler.run_blocking().unwrap();
            assert_eq!((report.pages(), report.ledger_adds_up), (PAGES as u64, true));
            let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
            let rate = PAGES as f64 / seconds;
            println!("{name:<9}  {rate:>6.0} pages/s  {:>5.3} CPU-s per 1,000 pages", cpu * 1e3 / PAGES as f64);
        }
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

struct Bell(mpsc::Sender<()>);

impl Listener for Bell {
    fn notify(&self) {
        let _ = self.0.send(());
    }
}

/// The frontier as the scheduler drives it: 500 links are looked up, offered and committed with what was settled.
struct Driver {
    frontier: Box<dyn Frontier>,
    bell: mpsc::Receiver<()>,
    slowest: Duration,
}

impl Driver {
    fn open(dir: &Path) -> Self {
        let opened = fjall::open(dir, Opening::new(Recrawl::default(), Instant::now()));
        let mut frontier = opened.map(|opened| opened.frontier).unwrap();
        let (sender, bell) = mpsc::channel();
        frontier.durable().unwrap().listen(Arc::new(Bell(sender)));
        Self { frontier, bell, slowest: Duration::ZERO }
    }

    /// Performs an operation as the scheduler does, and records how long it blocked the thread.
    fn act<T>(&mut self, act: impl FnOnce(&mut dyn Frontier) -> T) -> T {
        let start = Instant::now();
        let done = act(&mut *self.frontier);
        self.slowest = self.slowest.max(start.elapsed());
        done
    }

    fn news(&mut self) -> StoreNews {
        loop {
            if let Some(news) = self.act(|frontier| frontier.durable().unwrap().news(Instant::now())) {
                assert!(!matches!(news, StoreNews::Failed(_)), "{news:?}");
                return news;
            }
            self.bell.recv_timeout(Duration::from_secs(60)).unwrap();
        }
    }

    fn offer(&mut self, links: Vec<(Domain, Request)>) {
        let mut fingerprints = links.iter().map(|(_, request)| request.fingerprint());
        if let Some(ticket) = self.act(|frontier| frontier.look_up(&mut fingerprints)) {
            while !matches!(self.news(), StoreNews::Answered(answered) if answered == ticket) {}
        }
        for (domain, request) in links {
            self.act(|frontier| frontier.offer(&domain, request.fingerprint(), request, Instant::now()));
        }
    }

    fn lease(&mut self, domain: &Domain) -> Option<LeaseId> {
        loop {
            match self.act(|frontier| frontier.lease(domain, Instant::now())) {
                Next::Leased(leased) => return Some(leased.id),
                Next::Coming => {
                    self.commit();
                    self.news();
                }
                Next::NotBefore(_) | Next::Empty => return None,
            }
        }
    }

    fn commit(&mut self) {
        self.act(|frontier| frontier.durable().unwrap().commit(Checkpoint::default(), Instant::now()));
        while self.frontier.durable().unwrap().is_behind() {
            self.news();
        }
    }

    fn close(mut self) {
        self.frontier.durable().unwrap().close().blocking_recv().unwrap().unwrap();
    }
}

fn frontier(urls: u64, dir: &Path, seen: u8) {
    let mut random = fastrand::Rng::with_seed(1);
    let mut driver = Driver::open(dir);
    let domains: Vec<Domain> = (0..100_000).map(|n| Domain::new(&format!("domain-{n}.example"))).collect();
    let zipf = |random: &mut fastrand::Rng| ((100_000_f64.powf(random.f64())) - 1.0) as usize;
    let (mut made, mut links, mut settled) = (0_u64, 0_u64, 0_u64);
    let (start, mut last, mut last_links, mut last_cpu) = (Instant::now(), Instant::now(), 0, cpu_seconds());
    let step = (urls / 10).min(1_000_000);
    let mut mark = step;
    while made < urls {
        let batch = (0..500).map(|_| {
            let number = if made > 1_000 && random.u8(..100) < seen { random.u64(..made) } else { made };
            made += u64::from(number == made);
            // A link's domain follows from its number, so that one that comes again is the same.
            let domain = zipf(&mut fastrand::Rng::with_seed(number));
            let url = format!("https://www.domain-{domain}.example/section/{:x}/page-{number}.html", number % 65_537);
            (domains[domain].clone(), Request::parse(&url).unwrap())
        });
        let batch: Vec<_> = batch.collect();
        links += batch.len() as u64;
        driver.offer(batch);
        for _ in 0..40 {
            let domain = domains[zipf(&mut random)].clone();
            if let Some(id) = driver.lease(&domain) {
                driver.act(|frontier| frontier.settle(id));
                settled += 1;
            }
        }
        driver.commit();
        if made >= mark {
            let (rate, cpu) = ((links - last_links) as f64 / last.elapsed().as_secs_f64(), cpu_seconds());
            println!(
                "{made:>9} URLs, {settled:>8} settled: {rate:>7.0} links/s, {:>5.1} µs CPU a link, scheduler's thread held {:>4.1} ms at most, {:>4} MiB, {:>4} MiB peak, {:>5.1} bytes on disk a URL",
                (cpu - last_cpu) * 1e6 / (links - last_links) as f64,
                driver.slowest.as_secs_f64() * 1e3,
                memory("VmRSS") >> 20,
                memory("VmHWM") >> 20,
                disk_bytes(dir) as f64 / made as f64,
            );
            (last, last_links, last_cpu, driver.slowest) = (Instant::now(), links, cpu, Duration::ZERO);
            mark += step;
        }
    }
    driver.close();
    println!(
        "{:.0} links/s in all; {:.1} bytes on disk a URL",
        links as f64 / start.elapsed().as_secs_f64(),
        disk_bytes(dir) as f64 / made as f64
    );
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let mut driver = Driver::open(dir);
    let (opened, cpu) = (start.elapsed(), cpu_seconds() - cpu);
    let first = driver.lease(&domains[0]).is_some();
    println!(
        "opened {} URLs in {:.2} s ({cpu:.2} s CPU), the first page lent after {:.2} s: {first}",
        driver.frontier.queued(),
        opened.as_secs_f64(),
        start.elapsed().as_secs_f64()
    );
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

fn disk_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        // Counts blocks instead of lengths, since journals are preallocated.
        Ok(metadata) => std::os::unix::fs::MetadataExt::blocks(&metadata) * 512,
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}
