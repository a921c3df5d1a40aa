//! A polite web crawler framework on actix: exact rates at the wire, no URL lost, safe inside a service.
//!
//! A [`Spider`] reads pages; the crawler does everything else. By default it is polite: robots.txt
//! obeyed, one request at a time and one second between two starts for each domain.
//!
//! ```no_run
//! use actix_crawler::prelude::*;
//!
//! #[derive(Extract, serde::Serialize)]
//! struct Quote {
//!     #[extract(css = ".text")]
//!     text: String,
//!     #[extract(css = ".author")]
//!     author: String,
//! }
//!
//! fn quotes(page: &Response) -> Result<Parsed<Quote>> {
//!     Ok(Parsed::of(Quote::all(page, ".quote")?).follow(page.link(".next a")?))
//! }
//!
//! fn main() -> Result<()> {
//!     let report = Crawler::new(quotes, "quotesbot/1.0 (+https://example.org/bot)")
//!         .seed("https://quotes.toscrape.com/")
//!         .pipeline(JsonLines::create("quotes.jsonl"))
//!         .run_blocking()?;
//!     println!("{report}");
//!     report.check()
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
//! | write a spider | [`Spider`], [`ItemSpider`], [`Parsed`], [`Request`], [`Response`] |
//! | crawl | [`Crawler`], [`CrawlHandle`], [`Settings`], [`Report`] |
//! | ask an API at an exact rate | [`ThrottledClient`], [`Rate`] |
//! | be polite | [`Politeness`], [`RobotsPolicy`], [`Domain`], [`Conducts`], [`Capacity`], [`Permit`] |
//! | choose what is fetched, in which order, and how often | [`Scope`], [`Within`], [`Order`], [`Retry`], [`Recrawl`] |
//! | check links | [`LinkChecker`] |
//! | take items | [`JsonLines`], [`Collect`], [`Scraped`], [`PipelineError`] |
//! | tell what went wrong | [`Result`], [`Error`], [`any_error`], [`Outcome`] |
//!
//! Modules hold what is needed more rarely:
//!
//! | module | what it has |
//! |---|---|
//! | [`prelude`] | what a spider needs, for one `use` |
//! | [`extract`] | what a page says: links, text, CSS selectors, structs that read themselves, metadata, Markdown; and what a sitemap lists |
//! | [`files`] | files that items have, downloaded beside the pages |
//! | [`form`] | forms, filled in as by a browser |
//! | [`middleware`] | code of your own around each request |
//! | [`outcome`] | how a request failed, and why a URL was dropped |
//! | [`handle`] | what a running crawl answers |
//! | [`response`] | the links of a page, and text that was made of other documents |
//! | [`sessions`] | cookies by session: accounts, log-ins, pools |
//! | [`politeness`] | what a domain is, and limits of single domains |
//! | [`recrawl`] | pages that are fetched again, and what changed |
//! | [`link_check`] | links that are broken |
//! | [`identity`] | when two requests are the same one: canonical URLs, fingerprints |
//! | [`user_agent`] | the crawler's name and contact |
//! | [`robots`] | robots files (RFC 9309) |
//! | [`jobs`] | crawls of a service, each with an id and parameters, which outlive its restarts |
//! | [`stats`], [`report`] | what a crawl has done, and how it ended |
//! | [`events`] | what happens in a crawl, as it happens |
//! | [`explain`] | where a URL stands, and why |
//! | [`frontier`] | where requests wait: stores of your own, and the laws that they keep |
//! | [`validation`] | what is asked of items, and in how many each field is |
//! | [`feed`] | where items go: files in many formats, sinks of your own, and the laws that they keep |
//! | [`pipeline`] | what takes items: feeds, actors of your own, a folder of Markdown |
//! | [`warc`] | web archives: WARC files of what was on the wire |
//! | [`transport`] | the settings of the network: deadlines, bounds, TLS, proxies, credentials |
//! | [`settings`] | the parts of [`Settings`] that are seldom named |
//! | [`client`] | the parts of [`ThrottledClient`]: builder, requests, responses |
//! | `testing` | whole crawls against a site in memory and in virtual time, with the feature of the same name |
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `csv`, `derive`, `disk` | on by default: feeds in CSV, [`#[derive(Extract)]`](derive@extract::Extract), and the frontier on disk |
//! | `cluster` | a crawl that machines share through PostgreSQL: [`Crawler::cluster`] |
//! | `sqlite`, `postgres` | feeds to tables of SQLite and PostgreSQL |
//! | `cli` | the binary, with `csv`, `sqlite`, `disk`, `cookies`, `cache`, `warc`, `readability`, `language` and `toml` |
//! | `parquet` | feeds in the Parquet format |
//! | `object-store` | feeds to S3, Google Cloud Storage and Azure, and what has their interfaces |
//! | `warc` | archives of what was on the wire, in the WARC format: [`Crawler::archive`] |
//! | `cookies`, `cache` | cookies and sessions, and a cache of responses on disk |
//! | `xpath`, `jmespath` | XPath 1.0 on pages, `Response::xpath`; JMESPath queries of JSON, `Response::jmes` |
//! | `feeds` | entries of RSS, Atom and JSON Feed: `Response::feed` |
//! | `readability` | the main content of a page: `Response::main_content`, `Markdown::main` |
//! | `language` | a guess at the language of pages that do not say theirs: `Response::language` |
//! | `testing` | tests of spiders without sockets and in virtual time; for `[dev-dependencies]` |
//! | `toml` | settings from a file: `Settings::read` |
//! | `native-roots`, `hickory` | the system's certificates, and addresses from name servers with their TTL |
//!
//! # The source
//!
//! Read `src/fetcher/visit.rs` first: one request, from its permit to its settled lease. Then `src/engine/mod.rs`,
//! whose Scheduler grants the permits, and `src/frontier/mod.rs`, where requests wait; `docs/ARCHITECTURE.md` has the
//! whole. The modules stand in `src/lib.rs` in their layers, and each uses only those above it (`tests/layers.rs`).

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

// servers that unit tests run against
#[cfg(all(test, feature = "postgres"))]
#[path = "../tests/postgres_server/mod.rs"]
mod postgres_server;
#[cfg(all(test, feature = "cluster"))]
#[path = "../tests/recorder/mod.rs"]
mod recorder;
// nouns: plain data, no actors, no I/O
mod clock;
#[cfg(test)]
mod growth;
mod threads;
mod text;
mod disk;
mod headers;
pub mod extract;
pub mod outcome;
mod error;
mod domain;
mod rate;
pub mod identity;
pub mod recrawl;
pub mod files;
pub mod sessions;
mod request;
pub mod response;
pub mod form;
mod scope;
mod order;
mod spider;
pub mod link_check;
mod sitemaps;
pub mod validation;
pub mod politeness;
pub mod user_agent;
// rules: pure functions of state and `now`
pub mod robots;
mod term;
mod retry;
mod warnings;
mod conduct;
mod capacity;
mod permit;
mod conducts;
// where machines keep what they share
#[cfg(feature = "postgres")]
mod postgres;
// what a crawl has done
pub mod stats;
pub mod report;
pub mod explain;
// where requests wait
pub mod frontier;
mod submissions;
// how bytes get here, where items go, and the actors
pub mod warc;
pub mod transport;
pub mod feed;
pub mod pipeline;
pub mod middleware;
pub mod settings;
mod file_store;
mod fetcher;
// what happens, and what is done next
pub mod events;
mod engine;
// assembly
pub mod client;
mod crawl_log;
pub mod handle;
#[cfg_attr(not(feature = "cluster"), path = "cluster/no_cluster.rs")]
mod cluster;
mod crawler;
#[cfg(feature = "disk")]
pub mod jobs;
// for the tests of programs
#[cfg(feature = "testing")]
pub mod testing;
// what benches and measuring examples reach inside for
#[doc(hidden)]
pub mod internals;
// how to do what people do every day; programs that are tests
#[cfg(all(any(doc, doctest), feature = "testing", feature = "cookies", feature = "warc", feature = "sqlite"))]
pub mod guide;

#[cfg(feature = "derive")]
#[doc(inline)]
pub use self::spider::ItemSpider;
#[doc(inline)]
pub use self::{
    capacity::Capacity,
    client::ThrottledClient,
    conducts::Conducts,
    crawler::Crawler,
    domain::Domain,
    error::{Error, Result},
    handle::CrawlHandle,
    link_check::LinkChecker,
    order::Order,
    outcome::Outcome,
    permit::Permit,
    pipeline::{Collect, JsonLines, PipelineError, Scraped},
    politeness::{Politeness, RobotsPolicy},
    rate::Rate,
    recrawl::Recrawl,
    report::Report,
    request::Request,
    response::Response,
    retry::Retry,
    scope::{Scope, Within},
    settings::Settings,
    spider::{Parsed, Spider, any_error},
};

/// What a spider needs, for one `use`.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// fn titles(page: &Response) -> Result<Parsed<String>> {
///     Ok(Parsed::of(page.title().map(str::to_owned)).follow(page.links()))
/// }
/// ```
pub mod prelude {
    pub use crate::{
        Collect, CrawlHandle, Crawler, Error, JsonLines, Outcome, Parsed, PipelineError, Rate, Request, Response,
        Result, Retry, Scraped, Settings, Spider, ThrottledClient, Within,
        feed::Feed,
        pipeline::{CrawlEnded, Steps},
        settings::DomainSettings,
    };
    #[cfg(feature = "derive")]
    pub use crate::{ItemSpider, extract::Extract};
    pub use http::Method;
}
