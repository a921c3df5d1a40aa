//! The scan of a page for its links beside a parse into a tree, in the same run. Fails where the scan is not at least
//! twice as fast: `cargo bench --bench scan [FILES…]`, of pages that it makes itself where no files are given.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement prints, and reads clocks")]

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};

use actix_crawler::extract::{self, Document};
use scraper::Html;
use url::Url;

/// Each is measured so often, in turns; the medians count.
const TURNS: usize = 7;

/// How much faster the scan has to be.
const AT_LEAST: f64 = 2.0;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let files: Vec<_> = env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let read = |file: &String| fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let pages: Vec<String> = if files.is_empty() {
        (0..200).map(page).collect()
    } else {
        files.iter().map(read).collect::<Result<_, _>>()?
    };
    let url: Url = "https://example.org/docs/".parse()?;
    let [mut scans, mut trees, mut parses] = [const { Vec::new() }; 3];
    for _ in 0..TURNS {
        scans.push(timed(&pages, |page| drop(black_box(extract::scan(page, &url)))));
        trees.push(timed(&pages, |page| drop(black_box(Document::parse(page)))));
        parses.push(timed(&pages, |page| drop(black_box(Html::parse_document(page)))));
    }
    let bytes: usize = pages.iter().map(String::len).sum();
    println!("{} pages of {} bytes on average", pages.len(), bytes / pages.len().max(1));
    let [scan, tree, parse] = [&mut scans, &mut trees, &mut parses].map(|times| median(times));
    for (name, time) in [("scan", scan), ("Document::parse", tree), ("html5ever's tree (scraper)", parse)] {
        println!("{name:<28} {:>8.1} µs a page", time.as_secs_f64() * 1e6 / pages.len() as f64);
    }
    let times = parse.as_secs_f64() / scan.as_secs_f64();
    println!("the scan is {times:.1} times as fast as the parse");
    Ok(if times >= AT_LEAST { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn timed(pages: &[String], read: impl Fn(&str)) -> Duration {
    let began = Instant::now();
    pages.iter().for_each(|page| read(black_box(page)));
    began.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// A page with navigation, text and forty links.
fn page(number: usize) -> String {
    let mut html = format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><title>Page {number}</title></head><body><nav><ul>"
    );
    // Writing to a String cannot fail.
    for link in 0..15 {
        let _ =
            write!(html, "<li class=\"item level-1\"><a class=nav href=\"/section/{link}/\">Section {link}</a></li>");
    }
    html.push_str("</ul></nav><main>");
    for link in 0..25 {
        let text = "words to read, with <em>some</em> of them &amp; more, ".repeat(6);
        let _ = write!(html, "<p id=p{link}>{text}<a href=\"page{}.html?from={number}#top\">on</a></p>", number + link);
    }
    html + "</main><footer>Imprint</footer></body></html>"
}
