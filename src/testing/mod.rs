//! Tests of spiders and of whole crawls: without sockets, and in virtual time. Needs the feature `testing`.
//!
//! ```toml
//! [dev-dependencies]
//! actix-crawler = { version = "0.1", features = ["testing"] }
//! ```
//!
//! # One page
//!
//! A spider is a function of a page, and pages can be written down. This needs no feature:
//!
//! ```
//! use actix_crawler::prelude::*;
//!
//! fn prices(page: &Response) -> Result<Parsed<f64>> {
//!     Ok(Parsed::of([page.parse_of::<f64>(".price")?]).follow(page.link(".next")?))
//! }
//!
//! let page = Response::html("https://shop.example/1", "<p class=price>3 €</p> <a class=next href=/2>next</a>");
//! let parsed = prices.parse(&page)?;
//! assert_eq!(parsed.items(), [3.0]);
//! assert_eq!(parsed.requests()[0].url.path(), "/2");
//! # Ok::<(), Error>(())
//! ```
//!
//! There are also `Response::json_text`, `plain_text` and `bytes`; `with_status`, `with_header`, `with_state` and
//! `with_request` change what the page is.
//!
//! A real page is saved by `actix-crawler fetch URL --contact me@example.org --save tests/pages/`, or by a crawl with
//! [`Crawler::record`](crate::Crawler::record), and read by [`Response::saved`](crate::Response::saved).
//!
//! # A whole crawl
//!
//! A [`Site`] is a map of pages, with redirects, failures, delays, robots files and several domains. [`Site::crawl`]
//! runs a crawl against it: the whole crawler as it is, down to the HTTP on its connections, but for the sockets. So
//! what arrives at the site is what would arrive at a server, and when. An hour of politeness, 3,600 pages, passes in a
//! second or two.
//!
//! ```
//! use std::time::Duration;
//!
//! use actix_crawler::{prelude::*, testing::{Answer, Site}};
//!
//! fn prices(page: &Response) -> Result<Parsed<f64>> {
//!     Ok(Parsed::of([page.parse_of::<f64>(".price")?]).follow(page.links()))
//! }
//!
//! let site = Site::new("https://shop.example")
//!     .robots("User-agent: *\nDisallow: /admin")
//!     .page("/", "<p class=price>3 €</p> <a href=/2>next</a> <a href=/admin/>admin</a>")
//!     .answers("/2", [Answer::status(503), "<p class=price>4 €</p>".into()]);
//!
//! let crawler = Crawler::new(prices, "shopbot/1.0 (+https://example.org/bot)").seed("https://shop.example/");
//! let run = site.crawl(crawler)?;
//!
//! assert_eq!(run.items(), [&3.0, &4.0]);
//! run.assert_visited(["/", "/2", "/2"]);
//! run.assert_never_asked("/admin");
//! run.assert_spaced("shop.example", Duration::from_secs(1));
//! # Ok::<(), Error>(())
//! ```
//!
//! An assert that fails shows what happened instead:
//!
//! ```text
//! a URL was asked for that begins with /admin:
//!     2.004 s  GET https://shop.example/admin/ → 404
//!
//! of all requests:
//!     0.000 s  GET https://shop.example/robots.txt → 404
//!     1.002 s  GET https://shop.example/ → 200
//!     2.004 s  GET https://shop.example/admin/ → 404
//! ```
//!
//! # Clients, and crawls that are controlled
//!
//! Within [`Site::run`] everything meets the site and virtual time: a [`ThrottledClient`](crate::ThrottledClient),
//! several crawls, a [`CrawlHandle`](crate::CrawlHandle) that pauses its crawl after ten minutes. `tokio::time::sleep`
//! takes no time there. What is made within it shares its politeness, and nothing with the rest of the process.
//!
//! # Answers of your own
//!
//! The site is also where the network is mocked: [`Site::respond`] takes a function from an [`Arrival`], a request with
//! its method, headers and body, to an [`Answer`]. It sees what the wire would see, and never a permit, which only the
//! crate itself makes.
//!
//! # How time passes
//!
//! A run has one thread, and all actors are on it. Its time stands still while anything is done and jumps to the next
//! timer when nothing is left to do, in whole milliseconds. Two runs of the same crawl see the same requests at the
//! same times; they begin on 1 January 2030, and the waits before retries are drawn from the same seed.
//!
//! * `parse`, blocking middleware and pipelines take no virtual time. A `parse` that never returns is given up after
//!   `parse_timeout` of real time; a pipeline that blocks holds up the whole run.
//! * Times are those of the crawler's law: two starts at a spacing of a second are 1.002 s apart, since 2 ms are added
//!   for the network.
//! * What waits for other threads or sockets, such as a pipeline that asks a database without blocking, is not waited
//!   for: time goes on meanwhile. A state on disk is refused for this reason.
//! * Addresses are checked as in a crawl: `http://10.0.0.1/` needs `allow_private()`. Names are not looked up; proxies
//!   and TLS settings have no effect; signals are not heard.

mod answer;
mod arrival;
mod network;
mod pages;
mod run;
mod saved;
mod served;
mod server;
mod simulation;
mod site;

pub use self::{
    answer::Answer,
    arrival::Arrival,
    run::{Crawled, Run},
    site::Site,
};
