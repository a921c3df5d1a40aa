//! Measures embedded stores on the frontier's workload. Usage: `stores fjall|redb|sqlite URLS DIR`
//!
//! Each commit brings 500 discovered links, four in five of them new, over 100,000 domains (Zipf): a 128-bit
//! fingerprint is checked and inserted, and about 120 bytes go to the domain's queue by priority. With each commit two
//! domains' heads are read (16 entries) and 16 entries are settled. Commits are atomic; every 200 ms what was committed
//! is made durable (for the stores that can tell the two apart).

mod stores;
mod workload;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use workload::{Workload, cpu_seconds, disk_bytes, peak_memory};

fn main() {
    let mut args = std::env::args().skip(1);
    let (kind, urls, dir) = (args.next().unwrap(), args.next().unwrap().parse::<u64>().unwrap(), args.next().unwrap());
    let dir = Path::new(&dir);
    if std::env::var_os("KEEP").is_none() {
        let _ = std::fs::remove_dir_all(dir);
        std::fs::create_dir_all(dir).unwrap();
        fill(&kind, urls, dir);
    }
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let mut store = stores::open(&kind, dir);
    let heads = store.heads(7, 16).len();
    println!("{kind} open {:.2} s ({:.2} s CPU), {heads} heads", start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
}

fn fill(kind: &str, urls: u64, dir: &Path) {
    let mut store = stores::open(kind, dir);
    let mut work = Workload::new(100_000);
    let (start, mut synced) = (Instant::now(), Instant::now());
    let (mut links, mut slowest) = (0_u64, Duration::ZERO);
    let (mut last, mut last_links, mut last_cpu) = (Instant::now(), 0, 0.0);
    let step = (urls / 10).max(1);
    let mut mark = step;
    let mut leased = Vec::new();
    while work.distinct < urls {
        let commit = work.commit(500);
        links += commit.len() as u64;
        let began = Instant::now();
        let new = store.commit(&commit, &std::mem::take(&mut leased));
        assert_eq!(new as u64, work.new_in_last_commit, "the seen-set is exact");
        for _ in 0..2 {
            let domain = work.domain();
            leased.extend(store.heads(domain, 8));
        }
        if synced.elapsed() > Duration::from_millis(200) {
            store.sync();
            synced = Instant::now();
        }
        slowest = slowest.max(began.elapsed());
        if work.distinct >= mark {
            let cpu = cpu_seconds();
            println!(
                "{kind} at {:>9}: {:>7.0} links/s, {:>5.1} us CPU a link, slowest commit {:>5.0} ms, {:>4} MB peak, {:>5.1} bytes a URL",
                work.distinct,
                (links - last_links) as f64 / last.elapsed().as_secs_f64(),
                (cpu - last_cpu) * 1e6 / (links - last_links) as f64,
                slowest.as_secs_f64() * 1e3,
                peak_memory() / 1_000_000,
                disk_bytes(dir) as f64 / work.distinct as f64,
            );
            (last, last_links, last_cpu, slowest) = (Instant::now(), links, cpu, Duration::ZERO);
            mark += step;
        }
    }
    store.sync();
    drop(store);
    println!(
        "{kind} {urls}: {:.0} links/s in all, {:.1} s, {:.1} s CPU, {:.1} bytes a URL when closed",
        links as f64 / start.elapsed().as_secs_f64(),
        start.elapsed().as_secs_f64(),
        cpu_seconds(),
        disk_bytes(dir) as f64 / urls as f64
    );
}
