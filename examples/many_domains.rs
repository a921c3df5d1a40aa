//! Many domains: what a queued domain weighs and what a permit costs, from a thousand domains to a million.
//!
//! You will see a table that grows with the logarithm of its first column; nothing is fetched:
//! `cargo run --release --example many_domains`
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement prints, and reads clocks")]

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use actix_crawler::{Request, internals::Engine};

const URLS_PER_DOMAIN: u32 = 10;

fn main() {
    println!("{:>9}  {:>13}  {:>11}", "domains", "bytes/domain", "µs/permit");
    for domains in [1_000_u32, 10_000, 100_000, 1_000_000] {
        actix_rt::System::new().block_on(async move { measure(domains) });
    }
}

fn measure(domains: u32) {
    let urls = if domains < 1_000_000 { URLS_PER_DOMAIN } else { 1 };
    let (before, now) = (resident(), Instant::now());
    let mut engine = Engine::new(NonZeroU32::MAX, now);
    for n in 0..domains {
        let of_domain = (0..urls).filter_map(|page| Request::parse(&format!("http://d{n}.test/{page}")).ok());
        engine.admit(of_domain, now);
    }
    let bytes = resident().saturating_sub(before) / u64::from(domains);
    let cpu = Instant::now();
    // Each tick grants one permit to each domain: the default is one request in flight.
    engine.grant(now);
    let micros = cpu.elapsed().as_secs_f64() * 1e6 / f64::from(domains);
    println!("{domains:>9}  {bytes:>13}  {micros:>11.2}   ({urls} URLs a domain)");
}

/// Resident memory of this process in bytes, from /proc/self/statm in pages of 4 KiB.
fn resident() -> u64 {
    std::thread::sleep(Duration::from_millis(50));
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}
