//! Typed state: the purpose of a page is stored with its request, as an enum that the spider matches on.
//!
//! You will see each book with the shelf that it was found on, although its own page does not say it:
//! `cargo run --example typed_state`
#![allow(clippy::print_stdout, reason = "examples talk to people")]

mod site;

use actix_crawler::prelude::*;
use serde::{Deserialize, Serialize};

/// The kind of a page. It is stored with the request, so it survives a restart.
#[derive(Serialize, Deserialize)]
enum Step {
    Shelf { name: String },
    Book { shelf: String },
}

fn books(page: &Response) -> Result<Parsed<String>> {
    let mut parsed = Parsed::new();
    match page.state()? {
        None => {
            for link in page.select("a")? {
                let Some(url) = link.url() else { continue };
                parsed.visit(Request::get(url).with_state(&Step::Shelf { name: link.text() })?);
            }
        }
        Some(Step::Shelf { name }) => {
            for link in page.links() {
                parsed.visit(Request::from(link).with_state(&Step::Book { shelf: name.clone() })?);
            }
        }
        Some(Step::Book { shelf }) => parsed.push(format!("{} ({shelf})", page.text_of("h1")?)),
    }
    Ok(parsed)
}

fn main() -> Result<()> {
    let site = site::serve(library).map_err(Error::spider)?;
    Crawler::new(books, "bookbot/1.0 (+https://example.org/bot)")
        .seed(&site)
        .allow_private()
        .rate(Rate::per_second(10))
        .each(|book| println!("{book}"))
        .run_blocking()?;
    Ok(())
}

fn library(path: &str) -> Option<String> {
    match path.trim_matches('/').split('/').collect::<Vec<_>>()[..] {
        [""] => Some("<a href=/poetry>Poetry</a> <a href=/travel>Travel</a>".to_owned()),
        [shelf] if shelf != "robots.txt" => Some((1..=3).map(|n| format!("<a href=/{shelf}/{n}>{n}</a>")).collect()),
        [_, number] => Some(format!("<h1>Book number {number}</h1>")),
        _ => None,
    }
}
