//! Latency: how much later a service with four workers answers while a crawl of 200 pages a second runs inside it.
//!
//! You will see the 50th and the 99th percentile of a service's answers alone, beside a crawl, and beside one whose
//! threads are nice, in turns; the service, the site and the callers are processes of their own:
//! `cargo run --release --example latency [TURNS]`
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench prints, and reads clocks")]

use std::{
    error::Error,
    fmt::Write as _,
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use actix_crawler::prelude::*;
use actix_web::{App, HttpResponse, HttpServer, web};
use futures_util::future::join_all;

/// Requests a second to the service, sent at their times whatever has been answered.
const CALLS: u32 = 400;
const SECONDS: u32 = 8;
const PAGES: u32 = 200;

type Done<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Done {
    let arguments: Vec<String> = std::env::args().collect();
    let argument = |at: usize| arguments.get(at).map(String::as_str);
    match (argument(1), argument(2)) {
        (Some("site"), _) => site(),
        (Some("service"), how) => service(how, argument(3)),
        (turns, _) => compare(turns.map_or(Ok(5), str::parse)?),
    }
}

fn compare(turns: usize) -> Done {
    let (_site, address) = start(&["site"])?;
    let ways: [(&str, &[&str]); 3] =
        [("alone", &[]), ("beside a crawl", &["0", &address]), ("beside a nice crawl", &["10", &address])];
    let mut seen: [Vec<f64>; 3] = Default::default();
    for turn in 1..=turns {
        for ((name, arguments), seen) in ways.iter().zip(&mut seen) {
            let (_service, address) = start(&[&["service"], *arguments].concat())?;
            let (half, most) = actix_rt::System::new().block_on(percentiles(&address))?;
            println!("turn {turn}, {name}: p50 {half:.2} ms, p99 {most:.2} ms");
            seen.push(most);
        }
    }
    let medians = seen.map(|mut seen| {
        seen.sort_by(f64::total_cmp);
        seen[seen.len() / 2]
    });
    for ((name, _), median) in ways.iter().zip(medians) {
        println!("{name}: median p99 {median:.2} ms, {:+.0} %", 100.0 * (median / medians[0] - 1.0));
    }
    Ok(())
}

/// Asks the service at fixed times. The latency counts from then, so a late answer makes no later one look better.
async fn percentiles(address: &str) -> Done<(f64, f64)> {
    let client = awc::Client::new();
    // The crawl and the connections begin.
    actix_rt::time::sleep(Duration::from_secs(1)).await;
    let begin = Instant::now();
    let call = |nth: u32| {
        let client = client.clone();
        async move {
            let due = begin + Duration::from_secs(1) / CALLS * nth;
            actix_rt::time::sleep_until(due.into()).await;
            let mut answer = client.get(address).send().await.map_err(|error| error.to_string())?;
            answer.body().await.map_err(|error| error.to_string())?;
            Ok::<_, String>(due.elapsed().as_secs_f64() * 1e3)
        }
    };
    let mut latencies = join_all((0..CALLS * SECONDS).map(call)).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    latencies.sort_by(f64::total_cmp);
    Ok((latencies[latencies.len() / 2], latencies[latencies.len() * 99 / 100]))
}

/// Kills a process when the bench is done with it.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Starts this program in another role, which says its address in its first line.
fn start(arguments: &[&str]) -> Done<(Started, String)> {
    let mut child = Started(Command::new(std::env::current_exe()?).args(arguments).stdout(Stdio::piped()).spawn()?);
    let mut address = String::new();
    let output: ChildStdout = child.0.stdout.take().ok_or("no address")?;
    BufReader::new(output).read_line(&mut address)?;
    Ok((child, address.trim().to_owned()))
}

/// Four workers, and a crawl beside them.
fn service(nice: Option<&str>, site: Option<&str>) -> Done {
    let spider = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)).follow(page.links()));
    let crawl = |site: &str| {
        Crawler::new(spider, "bench/1.0 (+https://example.org/)")
            .seed(site)
            .allow_private()
            .ignore_robots()
            .rate(Rate::per_second(PAGES))
            .per_domain(16)
            .nice(nice.and_then(|nice| nice.parse().ok()).unwrap_or(0))
            .each(|_| ())
            .start()
    };
    let _crawl = site.map(crawl).transpose()?;
    serve(4, |app| {
        app.route("/", web::get().to(answer));
    })
}

/// Computes for a tenth of a millisecond.
async fn answer() -> String {
    let begun = Instant::now();
    let mut number = 0_u64;
    while begun.elapsed() < Duration::from_micros(100) {
        number = std::hint::black_box(number.wrapping_mul(31).wrapping_add(7));
    }
    number.to_string()
}

fn site() -> Done {
    serve(1, |app| {
        app.route("/", web::get().to(async || page(0)))
            .route("/{n}", web::get().to(async |n: web::Path<u64>| page(*n)));
    })
}

/// Page `n` of a site without end, of 12 KiB and 30 links.
fn page(n: u64) -> HttpResponse {
    let mut html = format!("<!doctype html><title>Page {n}</title><h1>Page {n}</h1>");
    for nth in 1..=30 {
        let link = n.wrapping_mul(31).wrapping_add(nth) % 1_000_000;
        let words = "words to read, and more of them ".repeat(11);
        let _ = writeln!(html, "<p>{words} <a href=\"/{link}\">page {link}</a></p>");
    }
    HttpResponse::Ok().content_type("text/html").body(html)
}

fn serve(workers: usize, routes: fn(&mut web::ServiceConfig)) -> Done {
    actix_web::rt::System::new().block_on(async {
        let server = HttpServer::new(move || App::new().configure(routes)).workers(workers).bind("127.0.0.1:0")?;
        println!("http://{}/", server.addrs()[0]);
        server.run().await
    })?;
    Ok(())
}
