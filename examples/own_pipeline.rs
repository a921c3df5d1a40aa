//! A pipeline of your own: an actor with its own state, which is told when the crawl ends and prints what it counted.
//!
//! You will see how often each word occurs in the titles of a site of 50 pages, printed once, at the end:
//! `cargo run --example own_pipeline`
#![allow(clippy::print_stdout, reason = "examples talk to people")]

mod site;

use std::collections::BTreeMap;

use actix::{Actor, Context, Handler};
use actix_crawler::prelude::*;

/// Counts words. If it panicked, its page would fail, and the crawl would start a new one.
#[derive(Default)]
struct Words(BTreeMap<String, u32>);

impl Actor for Words {
    type Context = Context<Self>;
}

impl Handler<Scraped<String>> for Words {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, title: Scraped<String>, _: &mut Self::Context) -> Self::Result {
        for word in title.split_whitespace() {
            *self.0.entry(word.to_owned()).or_default() += 1;
        }
        Ok(()) // the acknowledgement: the page is done only now
    }
}

impl Handler<CrawlEnded> for Words {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        println!("{:?}", self.0); // the report waits for this
        Ok(())
    }
}

fn titles(page: &Response) -> Result<Parsed<String>> {
    Ok(Parsed::of(page.title().map(str::to_owned)).follow(page.links()))
}

fn main() -> Result<()> {
    let site = site::serve(|path| {
        let page: u32 = path.trim_start_matches('/').parse().ok().filter(|page| *page <= 50)?;
        let word = if page.is_multiple_of(3) { "three" } else { "other" };
        Some(format!("<title>Page with {word}</title><a href=/{}>next</a>", page + 1))
    });
    Crawler::new(titles, "wordbot/1.0 (+https://example.org/bot)")
        .seed(site.map_err(Error::spider)? + "/1")
        .allow_private()
        .rate(Rate::per_second(50))
        .pipeline(Words::default)
        .run_blocking()?;
    Ok(())
}
