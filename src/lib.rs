//! A polite web crawler framework on actix.
#![deny(missing_docs, unsafe_code)]

pub mod cooling;
pub mod crawl_log;
pub mod crawler;
pub mod domain;
pub mod error;
pub mod extract;
pub mod fetcher;
pub mod frontier;
pub mod handle;
pub mod outcome;
pub mod permit;
pub mod pipeline;
pub mod politeness;
pub mod rate;
pub mod report;
pub mod request;
pub mod response;
pub mod retry;
pub mod robots;
pub mod scheduler;
pub mod scope;
pub mod spider;
pub mod stats;
pub mod throttle;
pub mod transport;
pub mod user_agent;

pub use crawler::Crawler;
pub use permit::Permit;
/// What a spider needs.
pub mod prelude {
    pub use crate::{
        crawler::Crawler,
        error::{Error, Result},
        pipeline::{Collect, CrawlEnded, JsonLines, PipelineError, Scraped},
        rate::Rate,
        request::Request,
        response::Response,
        scope::Within,
        spider::{Parsed, Spider},
    };
}
