//! A polite web crawler framework on actix: exact rates at the wire, no URL lost, safe inside a service.
//!
//! A [`Spider`] reads pages; the crawler does everything else. By default it is polite: robots.txt
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
//! A Scheduler actor issues per-domain [`Permit`]s on a timer tick to a supervised pool of Fetcher actors, which send
//! results to [`Pipeline`](pipeline::Pipeline) actors. Every request uses one permit of its domain, and only the crate
//! itself can make permits.
//!
//! # The map
//!
//! What a program uses daily is here, at the root:
//!
//! | to | there is |
//! |---|---|
//! | write a spider | [`Spider`], [`Parsed`], [`Request`], [`Response`] |
//! | crawl | [`Crawler`], [`CrawlHandle`], [`Settings`], [`Report`], [`Ended`] |
//! | ask an API at an exact rate | [`ThrottledClient`], [`Rate`] |
//! | be polite | [`Politeness`], [`RobotsPolicy`], [`Domain`], [`DomainKey`], [`Conducts`], [`Permit`] |
//! | choose what is fetched, and how often | [`Scope`], [`Within`], [`Retry`], [`Recrawl`] |
//! | take items | [`JsonLines`], [`Collect`], [`Scraped`], [`CrawlEnded`], [`PipelineError`] |
//! | tell what went wrong | [`Error`], [`Outcome`], [`FetchError`], [`LocalFault`], [`DropReason`] |
//!
//! Modules hold what is needed more rarely:
//!
//! | module | what it has |
//! |---|---|
//! | [`prelude`] | what a spider needs, for one `use` |
//! | [`extract`] | what a page says: links, text, CSS selectors, metadata, Markdown; and what a sitemap lists |
//! | [`form`] | forms, filled in as by a browser |
//! | [`middleware`] | code of your own around each request |
//! | [`identity`] | when two requests are the same one: canonical URLs, fingerprints |
//! | [`user_agent`] | the crawler's name and contact |
//! | [`robots`] | robots files (RFC 9309) |
//! | [`stats`], [`report`] | what a crawl has done, and how it ended |
//! | [`frontier`] | where requests wait: stores of your own, and the laws that they keep |
//! | [`pipeline`] | where items go: actors of your own, CSV |
//! | [`transport`] | the settings of the network: deadlines, bounds, TLS, proxies, credentials |
//! | [`settings`] | the parts of [`Settings`] that are seldom named |
//! | [`client`] | the parts of [`ThrottledClient`]: builder, requests, responses |
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `csv`, `disk` | on by default: the CSV pipeline, and the frontier on disk |
//! | `cli` | the binary, with `csv`, `disk`, `cookies` and `cache` |
//! | `cookies`, `cache` | a cookie jar, and a cache of responses on disk |
//! | `native-roots`, `hickory` | the system's certificates, and addresses from name servers with their TTL |
//!
//! # The source
//!
//! Read `src/fetcher/visit.rs` first: one page from start to finish. Then `src/engine/mod.rs` and `docs/ARCHITECTURE.md`.
//! The modules stand in `src/lib.rs` in their layers, and each uses only those above it (`tests/layers.rs`).

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
mod clock;
mod duration_text;
pub mod extract;
mod local_fault;
mod outcome;
mod error;
mod domain;
mod rate;
mod limits;
pub mod identity;
mod request;
mod response;
pub mod form;
mod spider;
mod scope;
mod boundary;
mod politeness;
pub mod user_agent;
// rules: pure functions of state and `now`
pub mod robots;
mod throttle;
mod cooling;
mod quota;
mod adaptive;
mod retry;
mod suspicion;
mod recrawl;
mod warnings;
mod conduct;
mod permit;
mod conducts;
// what a crawl has done
mod count;
pub mod stats;
pub mod report;
// where requests wait, and where items go
pub mod frontier;
pub mod pipeline;
// how bytes get here, and the actors
pub mod transport;
pub mod middleware;
mod fetcher;
// what happens, and what is done next
mod event;
mod engine;
// assembly
mod crawl_log;
mod handle;
mod crawler;
pub mod client;
// what benches and measuring examples reach inside for
#[doc(hidden)]
pub mod internals;

#[doc(inline)]
pub use self::{
    client::ThrottledClient,
    conducts::Conducts,
    crawler::{Crawler, Settings},
    domain::{Domain, DomainKey},
    error::{Error, Result},
    handle::CrawlHandle,
    local_fault::LocalFault,
    outcome::{DropReason, FetchError, Outcome, Phase, RedirectBy},
    permit::Permit,
    pipeline::{Collect, CrawlEnded, JsonLines, PipelineError, Scraped},
    politeness::{Politeness, RobotsPolicy},
    rate::Rate,
    recrawl::Recrawl,
    report::{Ended, Report},
    request::Request,
    response::Response,
    retry::Retry,
    scope::{Scope, Within},
    spider::{Parsed, Spider, any_error},
};

/// Settings that are parts of others, and bounds. A program names them only to fill in [`Politeness`], [`Scope`] or
/// [`Rate`] by hand.
///
/// ```
/// use actix_crawler::{Politeness, Rate, Scope, settings::{Override, Pattern}};
///
/// let slow = Override { domain: "*.slow.example".into(), rate: Some(Rate::per_minute(10)), ..Override::default() };
/// let politeness = Politeness { overrides: vec![slow], ..Politeness::default() };
/// politeness.check()?;
///
/// let deny: Pattern = r"/print/".parse()?;
/// let scope = Scope { deny: vec![deny], ..Scope::default() };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub mod settings {
    pub use crate::{
        politeness::{DEFAULT_SPACING, Override},
        rate::{LONGEST_WINDOW, MAX_IN_A_WINDOW, Window},
        scope::{Pattern, Traps},
    };
}

/// What a spider needs, for one `use`.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// fn titles(page: &Response) -> Result<Parsed<String>> {
///     Ok(Parsed::of(page.title().map(str::to_owned)).follow(page.links().cloned()))
/// }
/// ```
pub mod prelude {
    pub use crate::{
        Collect, CrawlEnded, CrawlHandle, Crawler, Error, JsonLines, Outcome, Parsed, PipelineError, Rate, Request,
        Response, Result, Scraped, Spider, Within,
    };
}
