//! The bench: a site of 20,000 pages of 12 KiB, crawled without politeness, beside a bare awc loop in the same run, and
//! the same loop through the crawler's transport, each request under a permit.
//!
//! You will see pages a second, CPU seconds for 1,000 pages and peak memory of each; the site runs in a process of its
//! own, so none of its cost is counted: `cargo run --release --example bench [PAGES [TURNS]]`. With several turns, all
//! three take turns, and the medians follow; CPU seconds vary less with what else the machine does than pages a second.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench prints, and reads clocks")]

use std::{
    error::Error,
    fmt::Write as _,
    fs::File,
    io::{BufRead, BufReader, BufWriter},
    process::{Child, Command, Stdio},
    time::Instant,
};

use actix_crawler::{extract, internals::LocalFetch, prelude::*};
use actix_web::{App, HttpResponse, HttpServer, web};
use futures_util::{StreamExt, stream};

const IN_FLIGHT: usize = 32;

#[derive(serde::Serialize)]
struct Page {
    url: String,
    title: Option<String>,
    links: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let pages: u64 = arguments.get(1).and_then(|pages| pages.parse().ok()).unwrap_or(20_000);
    if arguments.get(2).is_some_and(|role| role == "serve") {
        return serve(pages);
    }
    let turns = arguments.get(2).and_then(|turns| turns.parse().ok()).unwrap_or(1_usize).max(1);
    std::fs::create_dir_all("target")?;
    let mut site =
        Site(Command::new(&arguments[0]).args([&pages.to_string(), "serve"]).stdout(Stdio::piped()).spawn()?);
    let mut address = String::new();
    BufReader::new(site.0.stdout.take().ok_or("no address")?).read_line(&mut address)?;
    let address = address.trim();
    let (mut bare, mut transport, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..turns {
        bare.push(measured("bare awc", || bare_awc(address, pages))?);
        transport.push(measured("our transport", || our_transport(address, pages))?);
        ours.push(measured("actix-crawler", || crawl(address))?);
    }
    println!("medians of {turns}, beside bare awc:");
    for (name, costs) in [("our transport", &transport), ("the crawler", &ours)] {
        let speed = median(costs, |cost| cost.pages_per_second) / median(&bare, |cost| cost.pages_per_second);
        let cpu = median(costs, |cost| cost.cpu_seconds) / median(&bare, |cost| cost.cpu_seconds);
        println!("{name}: {:.0} % of the pages/s, {cpu:.2} times the CPU", 100.0 * speed);
    }
    Ok(())
}

/// What a run cost.
struct Cost {
    pages_per_second: f64,
    /// For 1,000 pages.
    cpu_seconds: f64,
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let mut all: Vec<f64> = costs.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Kills the site when the bench ends, in any way.
struct Site(Child);

impl Drop for Site {
    fn drop(&mut self) {
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

fn crawl(address: &str) -> Result<u64, Box<dyn Error>> {
    let spider = |page: &Response| {
        let links: Vec<_> = page.links().collect();
        let item = Page { url: page.url().to_string(), title: page.title().map(str::to_owned), links: links.len() };
        Ok(Parsed::new().item(item).follow(links))
    };
    let report = Crawler::new(spider, "bench/1.0 (+https://example.org/)")
        .seed(format!("{address}/0"))
        .allow_private()
        .ignore_robots()
        .rate(Rate::UNLIMITED)
        .per_domain(IN_FLIGHT as u32)
        .pipeline(JsonLines::create("target/bench.jsonl"))
        .run_blocking()?;
    println!("{report}");
    Ok(report.pages())
}

/// The best that awc can do, with the same scan of each page and one JSON line.
fn bare_awc(address: &str, pages: u64) -> Result<u64, Box<dyn Error>> {
    actix_rt::System::new().block_on(async {
        let client = awc::Client::new();
        let mut lines = BufWriter::new(File::create("target/bare.jsonl")?);
        let fetch = |page: u64| client.get(format!("{address}/{page}")).send();
        let mut answers = stream::iter(0..pages).map(fetch).buffer_unordered(IN_FLIGHT);
        while let Some(answer) = answers.next().await {
            let body = answer.map_err(|error| error.to_string())?.body().await?;
            note(&body, address, &mut lines)?;
        }
        Ok(pages)
    })
}

/// The same loop through the crawler's transport: permits, gate, wire, guards and deadlines, without the layers above.
fn our_transport(address: &str, pages: u64) -> Result<u64, Box<dyn Error>> {
    actix_rt::System::new().block_on(async {
        let transport = &LocalFetch::new("bench/1.0")?;
        let mut lines = BufWriter::new(File::create("target/transport.jsonl")?);
        let fetch = async |page: u64| transport.get(&format!("{address}/{page}")).await;
        let mut answers = stream::iter(0..pages).map(fetch).buffer_unordered(IN_FLIGHT);
        while let Some(answer) = answers.next().await {
            note(&answer?, address, &mut lines)?;
        }
        Ok(pages)
    })
}

fn note(body: &[u8], address: &str, lines: &mut BufWriter<File>) -> Result<(), Box<dyn Error>> {
    let scan = extract::scan(&String::from_utf8_lossy(body), &address.parse()?);
    serde_json::to_writer(lines, &Page { url: address.to_owned(), title: scan.title, links: scan.links.len() })?;
    Ok(())
}

/// Serves page `n` of a tree in which each page leads to ten others and to thirty anywhere.
fn serve(pages: u64) -> Result<(), Box<dyn Error>> {
    actix_web::rt::System::new().block_on(async {
        let page =
            move |n: web::Path<u64>| async move { HttpResponse::Ok().content_type("text/html").body(page(*n, pages)) };
        let server = HttpServer::new(move || App::new().route("/{n}", web::get().to(page))).workers(1);
        let server = server.bind("127.0.0.1:0")?;
        println!("http://{}", server.addrs()[0]);
        server.run().await
    })?;
    Ok(())
}

fn page(n: u64, pages: u64) -> String {
    let mut html = format!("<!doctype html><head><title>Page {n}</title></head><body><h1>Page {n}</h1>");
    let children = (1..=10).map(|child| 10 * n + child).filter(|child| *child < pages);
    let anywhere = (1..=30).map(|nth| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(nth * 7_919) % pages);
    for link in children.chain(anywhere) {
        let _ = writeln!(
            html,
            "<p>{} <a href=\"/{link}\">page {link}</a></p>",
            "words to read, and more of them ".repeat(8)
        );
    }
    html
}

/// Runs `work`, and prints what it cost this process.
fn measured(name: &str, work: impl FnOnce() -> Result<u64, Box<dyn Error>>) -> Result<Cost, Box<dyn Error>> {
    let (cpu, start) = (cpu_seconds()?, Instant::now());
    let pages = work()? as f64;
    let (cpu, seconds) = (cpu_seconds()? - cpu, start.elapsed().as_secs_f64());
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("?").trim();
    let cost = Cost { pages_per_second: pages / seconds, cpu_seconds: 1000.0 * cpu / pages };
    let Cost { pages_per_second, cpu_seconds } = cost;
    println!("{name}: {pages_per_second:.0} pages/s, {cpu_seconds:.3} CPU-s per 1,000 pages, peak {peak}\n");
    Ok(cost)
}

/// User and system time of this process, from fields 14 and 15 of /proc/self/stat, in ticks of 10 ms.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}
