//! A polite web crawler framework on actix.
#![deny(missing_docs, unsafe_code)]

pub mod error;
pub mod outcome;
pub mod domain;
pub mod rate;
pub mod extract;
pub mod request;
pub mod response;
pub mod spider;
pub mod scope;
pub mod politeness;
pub mod user_agent;
pub mod robots;
pub mod throttle;
pub mod cooling;
pub mod retry;
pub mod permit;
pub mod stats;
pub mod report;
pub mod frontier;
pub mod pipeline;
pub mod transport;
pub mod fetcher;
pub mod scheduler;
pub mod crawl_log;
pub mod handle;
pub mod crawler;

pub use permit::Permit;
pub use crawler::Crawler;
/// What a spider needs.
pub mod prelude {
    pub use crate::{crawler::Crawler, error::{Error, Result}, pipeline::{Collect, CrawlEnded, JsonLines, PipelineError, Scraped}, rate::Rate, request::Request, response::Response, scope::Within, spider::{Parsed, Spider}};
}
