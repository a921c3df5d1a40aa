//! tmp bench
use actix_crawler::{Crawler, error::Result, prelude::*, response::Response};
#[derive(serde::Serialize)]
struct Page {
    url: String,
    title: Option<String>,
    links: usize,
}
fn parse(page: &Response) -> Result<Parsed<Page>> {
    let links: Vec<_> = page.links().cloned().collect();
    Ok(Parsed::new()
        .item(Page { url: page.url().to_string(), title: page.title().map(str::to_owned), links: links.len() })
        .follow(links))
}
fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let start = std::time::Instant::now();
    let mut c = Crawler::new(parse, "bench/1.0 (+https://example.org/)").seed(&args[1]).allow_private().ignore_robots();
    if let Some(ms) = args.get(2) {
        c = c.spacing(std::time::Duration::from_millis(ms.parse().unwrap()));
    } else {
        c = c.rate(Rate::UNLIMITED).per_domain(32);
    }
    let report = c.pipeline(JsonLines::create("/tmp/bench.jsonl")).run_blocking()?;
    println!("{report}");
    let usage = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = usage.rsplit(')').next().unwrap().split_whitespace().collect();
    let cpu = (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0;
    let hwm = std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .find(|l| l.starts_with("VmHWM"))
        .unwrap()
        .to_owned();
    println!(
        "{:.2}s cpu {cpu} s, {:.4} CPU-s/1000 pages; {hwm}",
        start.elapsed().as_secs_f64(),
        cpu * 1000.0 / report.pages() as f64
    );
    Ok(())
}
