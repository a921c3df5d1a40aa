//! The memory that feeds take for far more items than they hold at once, measured on this process.

#![cfg(all(target_os = "linux", feature = "csv", feature = "parquet"))]

mod peak;
#[cfg(feature = "postgres")]
mod postgres_server;

use actix_crawler::feed::{Feed, Opening, Record, Sink};
use peak::{MIB, Peak};
use serde::Serialize;

#[derive(Serialize)]
struct Product {
    url: String,
    name: String,
    price: f64,
    tags: [&'static str; 2],
    text: String,
}

fn product(n: u64) -> Product {
    Product {
        url: format!("https://shop.example/products/{n}"),
        name: format!("Product number {n}"),
        price: n as f64 / 100.0,
        tags: ["tea", "green"],
        text: format!("A description of {n}, with a line\nand another. ").repeat(12),
    }
}

/// Writes so many items, those of a busy crawl together, and returns the most memory that was taken meanwhile.
fn taken_by(feed: &Feed, items: u64) -> u64 {
    let peak = Peak::begin();
    let mut sink = feed.open(Opening::Fresh).unwrap();
    let commit = feed.compressed_by().map_or(16, |_| 1_000);
    for n in 1..=items {
        sink.write(&Record::of(&product(n), "https://shop.example/").unwrap()).unwrap();
        if n.is_multiple_of(commit) {
            sink.commit().unwrap();
        }
    }
    sink.close().unwrap();
    peak.taken()
}

#[test]
fn the_memory_for_a_feed_does_not_grow_with_its_items() {
    // By hand with more, and optimised: FEED_ITEMS=1000000 cargo test --release --all-features --test feed_memory.
    let items = std::env::var("FEED_ITEMS").map_or(30_000, |items| items.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let names = ["a.jsonl", "a.json", "a.csv", "a.xml", "a.jsonl.gz", "a.jsonl.zst", "a.json.gz", "a.xml.zst"];
    // A row group is in memory: 32 MiB as they come, and what they are encoded to.
    let parquet = (Feed::to(dir.path().join("a.parquet")), 128);
    #[cfg(feature = "sqlite")]
    let sqlite = [(Feed::to(dir.path().join("a.sqlite")), 16), (Feed::to(dir.path().join("b.db")).key(["url"]), 16)];
    #[cfg(not(feature = "sqlite"))]
    let sqlite = [];
    #[cfg(feature = "postgres")]
    let server = postgres_server::PostgresServer::start();
    #[cfg(feature = "postgres")]
    let postgres = [(Feed::to(server.database("memory")).table("a"), 16)];
    #[cfg(not(feature = "postgres"))]
    let postgres = [];
    let texts = names.map(|name| (Feed::to(dir.path().join(name)), 16));
    for (feed, most) in texts.into_iter().chain([parquet]).chain(sqlite).chain(postgres) {
        // What every feed takes once.
        taken_by(&feed, 1_000);
        let taken = taken_by(&feed, items);
        println!("{:>8} KiB for {items} items in {:?}", taken / 1_024, feed.written_as().unwrap());
        assert!(taken < most * MIB, "{} MiB for {items} items: {feed:?}", taken / MIB);
    }
}
