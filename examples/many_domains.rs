//! Many domains: what a queued domain weighs and what a permit costs, from a thousand domains to a million.
//!
//! You will see a table that grows with the logarithm of its first column; nothing is fetched. Each line is measured by
//! a process of its own, since memory that was freed before would not be counted again:
//! `cargo run --release --example many_domains`
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement prints, and reads clocks")]

use std::{
    env,
    error::Error,
    num::NonZeroU32,
    process::Command,
    time::{Duration, Instant},
};

use actix_crawler::{
    Request,
    internals::{Engine, QuietDomains},
};
use nix::time::ClockId;

const URLS_PER_DOMAIN: u32 = 10;

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(domains) = env::args().nth(1) {
        match domains.parse()? {
            0 => remember(),
            domains => actix_rt::System::new().block_on(async move { measure(domains) }),
        }
        return Ok(());
    }
    println!("{:>9}  {:>13}  {:>11}", "domains", "bytes/domain", "µs/permit");
    for domains in [1_000_u32, 10_000, 100_000, 1_000_000, 0] {
        Command::new(env::current_exe()?).arg(domains.to_string()).status()?;
    }
    Ok(())
}

fn measure(domains: u32) {
    let urls = if domains < 1_000_000 { URLS_PER_DOMAIN } else { 1 };
    let (resident_before, now) = (resident(), Instant::now());
    let mut engine = Engine::new(NonZeroU32::MAX, now);
    for n in 0..domains {
        for page in 0..urls {
            // One by one: a list of them would leave holes between what stays.
            engine.admit(Request::parse(&format!("http://d{n}.test/{page}")).ok(), now);
        }
    }
    let bytes = resident().saturating_sub(resident_before) / u64::from(domains);
    let before = cpu_seconds();
    // Each tick grants one permit to each domain: the default is one request in flight.
    engine.grant(now);
    let micros = (cpu_seconds() - before) * 1e6 / f64::from(domains);
    println!("{domains:>9}  {bytes:>13}  {micros:>11.2}   ({urls} URLs a domain)");
}

/// Measures what a domain weighs that is not in use and has taught something.
fn remember() {
    const DOMAINS: u32 = 1_000_000;
    let (before, now, quiet) = (resident(), Instant::now(), QuietDomains::new());
    for n in 0..DOMAINS {
        quiet.refused(&format!("d{n}.test"), now);
    }
    let bytes = resident().saturating_sub(before) / u64::from(DOMAINS);
    println!("{DOMAINS:>9}  {bytes:>13}  {:>11}   (remembered, nothing queued)", "");
}

/// The CPU time of this process, which what else the machine does changes less than the time that passes.
fn cpu_seconds() -> f64 {
    let used = ClockId::CLOCK_PROCESS_CPUTIME_ID.now().map(Duration::from).unwrap_or_default();
    used.as_secs_f64()
}

/// Resident memory of this process in bytes, from /proc/self/statm in pages of 4 KiB.
fn resident() -> u64 {
    std::thread::sleep(Duration::from_millis(50));
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}
