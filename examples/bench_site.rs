//! The site that crawlers are measured on: pages of 14 KiB with 30 links each, which count how often they are
//! requested.
//!
//! You will see its address; the pages begin at `/0`, and `/counts` there says how many pages were requested, how often
//! together, and how many more than once. `benches/peers/run` starts it for each crawler:
//! `cargo run --release --example bench_site [PAGES]`. With `PAGES bare URL FILE` it is the least that a crawl can
//! cost: a loop of awc that knows all URLs before it starts.
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::{
    error::Error,
    fmt::Write as _,
    fs::File,
    io::BufWriter,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use actix_crawler::extract;
use actix_web::{App, HttpResponse, HttpServer, web};
use futures_util::{StreamExt, stream};

const IN_FLIGHT: usize = 64;
const LINKS: usize = 30;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let pages = arguments.get(1).and_then(|pages| pages.parse().ok()).unwrap_or(20_000);
    match &arguments[..] {
        [_, pages, role, url, file] if role == "bare" => {
            actix_web::rt::System::new().block_on(bare(pages.parse()?, url, file))
        }
        _ => actix_web::rt::System::new().block_on(serve(pages)),
    }
}

async fn serve(pages: usize) -> Result<(), Box<dyn Error>> {
    let requested: web::Data<Vec<AtomicU32>> = web::Data::new((0..pages).map(|_| AtomicU32::new(0)).collect());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(requested.clone())
            .route("/counts", web::get().to(counts))
            .route("/{n}", web::get().to(async |n: web::Path<usize>, counts| page(*n, counts)))
    });
    let server = server.workers(1).bind("127.0.0.1:0")?;
    println!("http://{}", server.addrs()[0]);
    Ok(server.run().await?)
}

type Requested = web::Data<Vec<AtomicU32>>;

async fn counts(requested: Requested) -> HttpResponse {
    let counts: Vec<u32> = requested.iter().map(|count| count.load(Relaxed)).collect();
    HttpResponse::Ok().json(serde_json::json!({
        "pages": counts.iter().filter(|count| **count > 0).count(),
        "requests": counts.iter().sum::<u32>(),
        "more_than_once": counts.iter().filter(|count| **count > 1).count(),
    }))
}

/// Page `n` of a tree in which each page leads to ten others, and to as many anywhere as make thirty.
fn page(n: usize, requested: Requested) -> HttpResponse {
    let pages = requested.len();
    let Some(count) = requested.get(n) else { return HttpResponse::NotFound().finish() };
    count.fetch_add(1, Relaxed);
    let children = (1..=10).map(|child| 10 * n + child).filter(|child| *child < pages);
    let anywhere = (1..=LINKS).map(|nth| n.wrapping_mul(0x9e37_79b9).wrapping_add(nth * 7_919) % pages);
    let mut html = format!("<!doctype html><head><title>Page {n}</title></head><body><h1>Page {n}</h1>");
    let words = "words to read, and more of them ".repeat(14);
    for link in children.chain(anywhere).take(LINKS) {
        let _ = writeln!(html, "<p>{words}<a href=\"/{link}\">page {link}</a></p>");
    }
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html)
}

async fn bare(pages: usize, url: &str, file: &str) -> Result<(), Box<dyn Error>> {
    let (client, base) = (awc::Client::new(), url.parse()?);
    let mut lines = BufWriter::new(File::create(file)?);
    let fetch = async |page: usize| (page, client.get(format!("{url}/{page}")).send().await);
    let mut answers = stream::iter(0..pages).map(fetch).buffer_unordered(IN_FLIGHT);
    while let Some((page, answer)) = answers.next().await {
        let body = answer.map_err(|error| error.to_string())?.body().await?;
        let scan = extract::scan(&String::from_utf8_lossy(&body), &base);
        let (address, links) = (format!("{url}/{page}"), scan.links.len());
        serde_json::to_writer(&mut lines, &serde_json::json!({ "url": address, "title": scan.title, "links": links }))?;
        std::io::Write::write_all(&mut lines, b"\n")?;
    }
    Ok(())
}
