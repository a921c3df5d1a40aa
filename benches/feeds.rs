//! Feeds: the time for an item of 20,000 in each format, and this process's part of the processor in it. Run as
//! `cargo bench --all-features --bench feeds`; with the URL of a database in `FEEDS_POSTGRES`, of PostgreSQL too.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures and prints")]

use std::time::Instant;

use actix_crawler::feed::{Feed, Opening, Record, Sink};
use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;

const ITEMS: u32 = 20_000;

/// Items that come together, as those of busy pages do.
const COMMIT: u32 = 16;

#[derive(Serialize)]
struct Product {
    url: String,
    name: String,
    ean: u64,
    price: Price,
    tags: Vec<&'static str>,
    text: String,
    rating: Option<f64>,
}

#[derive(Serialize)]
struct Price {
    amount: f64,
    currency: &'static str,
}

fn product(n: u32) -> Product {
    Product {
        url: format!("https://shop.example/products/{n}"),
        name: format!("Product number {n}, \"new\""),
        ean: 4_006_381_000_000 + u64::from(n),
        price: Price { amount: f64::from(n % 1_000) + 0.99, currency: "EUR" },
        tags: vec!["tea", "green", "organic"],
        text: "A plain description of some length, with a line\nand another. ".repeat(5),
        rating: n.is_multiple_of(3).then_some(4.5),
    }
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let products: Vec<_> = (0..ITEMS).map(product).collect();
    println!("{:<14} {:>9} {:>9} {:>9} {:>10}", "format", "us/item", "cpu us", "of jsonl", "bytes/item");
    let mut of_lines = None;
    let mut names =
        vec!["a.jsonl", "b.jsonl", "c.json", "d.csv", "e.xml", "f.jsonl.gz", "g.jsonl.zst", "h.csv.gz", "k.parquet"];
    if cfg!(feature = "sqlite") {
        names.extend(["i.sqlite", "j-keyed.sqlite"]);
    }
    let database = std::env::var("FEEDS_POSTGRES").ok().filter(|_| cfg!(feature = "postgres"));
    names.extend(database.iter().flat_map(|_| ["postgres", "postgres-keyed"]));
    for name in names {
        let path = dir.path().join(name);
        let commit = if name.matches('.').count() > 1 { 1_000 } else { COMMIT };
        let feed = match &database {
            Some(url) if name.starts_with("postgres") => Feed::to(&**url).table(name),
            _ => Feed::to(&*path),
        };
        let feed = if name.contains("keyed") { feed.key(["url"]) } else { feed };
        let mut sink = feed.open(Opening::Fresh).unwrap();
        let (begun, used) = (Instant::now(), cpu());
        for (n, product) in (1_u32..).zip(&products) {
            sink.write(&Record::of(product, "https://shop.example/").unwrap()).unwrap();
            if n.is_multiple_of(commit) {
                sink.commit().unwrap();
            }
        }
        sink.close().unwrap();
        let each = begun.elapsed().as_secs_f64() * 1e6 / f64::from(ITEMS);
        let bytes = path.metadata().map_or(0, |metadata| metadata.len()) / u64::from(ITEMS);
        let cpu = (cpu() - used) / f64::from(ITEMS);
        // The first run warms up.
        let lines = *of_lines.insert(of_lines.filter(|_| name != "b.jsonl").unwrap_or(cpu));
        println!("{name:<14} {each:>9.2} {cpu:>9.2} {:>9.2} {bytes:>10}", cpu / lines);
    }
}

/// The time on processors so far, in microseconds.
fn cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let times = [usage.user_time(), usage.system_time()];
    times.iter().map(|time| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64).sum()
}
