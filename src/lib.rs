//! A polite web crawler framework on actix: exact rates at the wire, no URL lost, safe inside a service.
//!
//! A [`Spider`](spider::Spider) reads pages; the crawler does everything else. By default it is polite: robots.txt
//! obeyed, one request at a time and one second between two starts for each domain.
//!
//! ```no_run
//! use actix_crawler::prelude::*;
//!
//! #[derive(serde::Serialize)]
//! struct Quote {
//!     text: String,
//!     author: String,
//! }
//!
//! fn quotes(page: &Response) -> Result<Parsed<Quote>> {
//!     let mut parsed = Parsed::new();
//!     for quote in page.select(".quote")? {
//!         parsed.push(Quote { text: quote.text_of(".text")?, author: quote.text_of(".author")? });
//!     }
//!     Ok(parsed.follow(page.link(".next a")?))
//! }
//!
//! fn main() -> Result<()> {
//!     let report = Crawler::new(quotes, "quotesbot/1.0 (+https://example.org/bot)")
//!         .seed("https://quotes.toscrape.com/")
//!         .pipeline(JsonLines::create("quotes.jsonl"))
//!         .run_blocking()?;
//!     println!("{report}");
//!     Ok(())
//! }
//! ```
//!
//! # The flow
//!
//! ```text
//! seeds ─→ Admission ─→ Frontier ─→ Scheduler ──Permit──→ Fetcher ─→ Spider::parse ─→ Pipeline actors
//!              ▲                   (timer tick)       (supervised pool)    │
//!              └───────────────────────────── links ──────────────────────┘
//! ```
//!
//! A [`Scheduler`](engine::Scheduler) actor issues per-domain [`Permit`]s on a timer tick to a supervised pool of
//! [`Fetcher`](fetcher::Fetcher) actors, which send results to [`Pipeline`](pipeline::Pipeline) actors. The file to
//! read first is `fetcher/visit.rs`: one page from start to finish.
//!
//! # The map
//!
//! A module uses only modules above it in the list below (`tests/layers.rs` holds it to that).

#![deny(missing_docs, unsafe_code)]
#![warn(clippy::pedantic)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(
    test,
    allow(
        clippy::pedantic,
        clippy::disallowed_methods,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        reason = "tests may"
    )
)]
#![allow(clippy::module_name_repetitions, clippy::must_use_candidate, clippy::doc_markdown)]

// nouns: plain data, no actors, no I/O
pub mod clock;
pub mod duration_text;
pub mod extract;
pub mod local_fault;
pub mod outcome;
pub mod error;
pub mod domain;
pub mod rate;
pub mod limits;
pub mod identity;
pub mod request;
pub mod response;
pub mod form;
pub mod spider;
pub mod scope;
pub mod boundary;
pub mod politeness;
pub mod user_agent;
// rules: pure functions of state and `now`
pub mod robots;
pub mod throttle;
pub mod cooling;
pub mod quota;
pub mod adaptive;
pub mod retry;
pub mod suspicion;
pub mod recrawl;
pub mod warnings;
pub mod conduct;
pub mod permit;
pub mod conducts;
// what a crawl has done
pub mod count;
pub mod stats;
pub mod report;
// where requests wait, and where items go
pub mod frontier;
pub mod pipeline;
// how bytes get here, and the actors
pub mod transport;
pub mod middleware;
pub mod fetcher;
// what happens, and what is done next
pub mod event;
pub mod engine;
// assembly
pub mod crawl_log;
pub mod handle;
pub mod crawler;
pub mod client;
#[doc(hidden)]
pub mod internals;

pub use client::ThrottledClient;
pub use crawler::Crawler;
pub use permit::Permit;

/// What a spider needs.
pub mod prelude {
    pub use crate::{
        crawler::Crawler,
        error::{Error, Result},
        handle::CrawlHandle,
        outcome::Outcome,
        pipeline::{Collect, CrawlEnded, JsonLines, PipelineError, Scraped},
        rate::Rate,
        request::Request,
        response::Response,
        scope::Within,
        spider::{Parsed, Spider},
    };
}
