//! Many domains: what a queued domain weighs and what a permit costs, from a thousand domains to a million.
//!
//! You will see a table that grows with the logarithm of its first column; nothing is fetched:
//! `cargo run --release --example many_domains`
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement prints, and reads clocks")]

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, Context, Handler};
use actix_crawler::{
    DomainKey, Politeness, Recrawl, Request, Retry, RobotsPolicy, Scope, Within,
    frontier::{Leased, MemoryFrontier},
    identity::CanonicalUrl,
    internals,
    internals::{
        Admission, Budget, Candidate, Crawl, CrawlParts, Granted, OwnArbiter, Pool, Returned, RobotsFiles, SeenCache,
        SitemapFiles,
    },
};

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
    let mut crawl = crawl();
    for n in 0..domains {
        let of_domain = (0..urls).filter_map(|page| Request::parse(&format!("http://d{n}.test/{page}")).ok());
        crawl.seed(of_domain.map(|request| Candidate::new(request, &CanonicalUrl::default())).collect(), None, now);
    }
    let bytes = resident().saturating_sub(before) / u64::from(domains);
    let cpu = Instant::now();
    // Each tick grants one permit to each domain: the default is one request in flight.
    crawl.turn(now);
    let micros = cpu.elapsed().as_secs_f64() * 1e6 / f64::from(domains);
    println!("{domains:>9}  {bytes:>13}  {micros:>11.2}   ({urls} URLs a domain)");
}

/// A crawl whose fetchers drop what they are given.
fn crawl() -> Crawl {
    let politeness = Arc::new(Politeness {
        concurrency: NonZeroU32::MAX,
        robots: RobotsPolicy::Ignore,
        domain_key: DomainKey::Host,
        ..Politeness::default()
    });
    let hire = Box::new(|| {
        let arbiter = OwnArbiter::new();
        let hole = Hole::start_in_arbiter(&arbiter.handle(), |_| Hole);
        (arbiter, hole.recipient())
    });
    let scope = Scope { within: Within::Any, ..Scope::default() };
    Crawl::new(CrawlParts {
        retry: Retry::default(),
        frontier: Box::new(MemoryFrontier::new(Recrawl::default(), Instant::now())),
        admission: Admission::new(scope, DomainKey::Host, Arc::new(SeenCache::new(&Recrawl::default()))),
        budget: Budget::new(None, None),
        domains: internals::domains(politeness.clone()),
        robots: RobotsFiles::new("bench"),
        sitemaps: SitemapFiles::default(),
        pool: Pool::new(1, hire),
        returned: Arc::new(Hole),
        log: false,
        streams: Arc::default(),
        politeness: tokio::sync::watch::Sender::new(politeness),
    })
}

struct Hole;

impl Actor for Hole {
    type Context = Context<Self>;
}

impl Handler<Granted> for Hole {
    type Result = ();
    fn handle(&mut self, _: Granted, _: &mut Self::Context) {}
}

impl Returned for Hole {
    fn returned(&self, _: Leased) {}
}

/// Resident memory of this process in bytes, from /proc/self/statm in pages of 4 KiB.
fn resident() -> u64 {
    std::thread::sleep(Duration::from_millis(50));
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}
