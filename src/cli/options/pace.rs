//! Pace: the options of `crawl` about how politely it asks.

use std::{num::NonZeroU32, time::Duration};

use actix_crawler::{Rate, RobotsPolicy};
use clap::Args;

use super::super::values;

/// How politely pages are fetched.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "How politely")]
pub struct PaceOptions {
    /// The most requests to each domain in any window: 2/s, 30/m, 1/10s or unlimited. No more than --per-domain are in
    /// flight at once: 50/s with answers that take 0.75 s needs 50 [default: see --delay]
    #[arg(long, value_name = "RATE", value_parser = values::rate)]
    pub rate: Option<Rate>,
    /// The least time between two requests to each domain, as `250ms` or `2m`; a bare number is seconds [default: 1s,
    /// or none with --rate]
    #[arg(long, alias = "spacing", value_name = "TIME", value_parser = values::duration)]
    pub delay: Option<Duration>,
    /// The most requests in flight to each domain [default: 1]
    #[arg(long, value_name = "N", value_parser = values::positive)]
    pub per_domain: Option<NonZeroU32>,
    /// The most pages in flight in all, from the request until their items are written [default: 64]
    #[arg(long, value_name = "N", value_parser = values::positive)]
    pub concurrency: Option<NonZeroU32>,
    /// Whether to obey robots.txt, or to ignore it on sites of your own [default: obey]
    #[arg(long, value_name = "obey|ignore", value_parser = robots)]
    pub robots: Option<RobotsPolicy>,
    /// How many times to retry a request after a transient failure [default: 2]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub retries: Option<u32>,
}

fn robots(text: &str) -> Result<RobotsPolicy, String> {
    match text {
        "obey" => Ok(RobotsPolicy::Obey),
        "ignore" => Ok(RobotsPolicy::Ignore),
        _ => Err("write obey or ignore".to_owned()),
    }
}
