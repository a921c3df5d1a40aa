//! The first spider: quotes with their authors, page after page, into a file of JSON Lines.
//!
//! You will see the summary of a crawl of five pages, one a second, and find 15 quotes in `target/quotes.jsonl`:
//! `cargo run --example quotes`
#![allow(clippy::print_stdout, reason = "examples talk to people")]

mod site;

use actix_crawler::prelude::*;

#[derive(Extract, serde::Serialize)]
struct Quote {
    #[extract(css = ".text")]
    text: String,
    #[extract(css = ".author")]
    author: String,
}

fn quotes(page: &Response) -> Result<Parsed<Quote>> {
    Ok(Parsed::of(Quote::all(page, ".quote")?).follow(page.link(".next a")?))
}

fn main() -> Result<()> {
    let site = site::serve(quotes_page).map_err(Error::spider)?;
    let report = Crawler::new(quotes, "quotesbot/1.0 (+https://example.org/bot)")
        .seed(format!("{site}/1"))
        .allow_private()
        .pipeline(JsonLines::create("target/quotes.jsonl"))
        .run_blocking()?;
    println!("{report}");
    report.check()
}

/// Page `n` of five, with three quotes and a link to the next.
fn quotes_page(path: &str) -> Option<String> {
    let page: u32 = path.trim_start_matches('/').parse().ok().filter(|page| (1..=5).contains(page))?;
    let quote = |n: u32| {
        format!("<div class=quote><span class=text>Quote {n} of page {page}</span><b class=author>Author {n}</b></div>")
    };
    let next = if page < 5 { format!("<li class=next><a href=/{}>next</a></li>", page + 1) } else { String::new() };
    Some(format!("<title>Quotes, page {page}</title>{}{next}", (1..=3).map(quote).collect::<String>()))
}

#[test]
fn its_selectors_are_selectors() {
    Quote::check().unwrap();
}

#[test]
fn a_page_gives_its_quotes_and_leads_to_the_next() {
    let parsed = quotes(&Response::html("http://e.org/1", quotes_page("/1").unwrap())).unwrap();
    assert_eq!((parsed.items().len(), parsed.requests()[0].url.path()), (3, "/2"));
}
