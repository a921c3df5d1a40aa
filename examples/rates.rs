//! Measures high rates at the wire: 1,000 and 5,000 requests a second against a fast local server, by the arrival times
//! that the kernel noted there.
//!
//! You will see the rate that was reached, and the most requests in any second, which is never over the rate; with
//! `gaps` also the time between each two requests, in ms.
//! Run: `cargo run --release --example rates [gaps] [RATE…]`

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "an example prints, and measures")]

#[path = "../tests/recorder/mod.rs"]
mod recorder;

use std::time::Duration;

use actix_crawler::{Rate, Result, ThrottledClient};
use futures_util::StreamExt;
use recorder::{Answer, Recorder};

#[tokio::main]
async fn main() -> Result<()> {
    let mut rates: Vec<u32> = std::env::args().skip(1).filter_map(|rate| rate.parse().ok()).collect();
    if rates.is_empty() {
        rates = vec![1_000, 5_000];
    }
    let has_gaps = std::env::args().any(|word| word == "gaps");
    let seconds = if has_gaps { 20 } else { 5 };
    for rate in rates {
        let api = Recorder::start(|_| Answer::ok("{}"));
        let agent = "ratesbot/1.0 (+https://example.org/bot)";
        let client = ThrottledClient::builder(agent).rate(Rate::per_second(rate)).allow_private().build()?;
        let urls = (0..rate * seconds).map(|_| api.url("/"));
        let done = client.execute(urls, |response| async move { Ok(response.status()) }).unordered();
        let good = done.filter(|done| std::future::ready(matches!(done.result, Ok(200)))).count().await;
        let (reached, fullest) = (api.arrivals().rate(), api.arrivals().fullest(Duration::from_secs(1)));
        let percent = 100.0 * reached / f64::from(rate);
        println!(
            "{rate}/s asked for: {reached:.0}/s reached ({percent:.1} %), at most {fullest} in a second, {good} good"
        );
        if has_gaps {
            let mut arrivals = api.arrivals().0;
            arrivals.sort();
            let gaps = arrivals.windows(2).map(|two| format!(" {:.2}", (two[1] - two[0]).as_secs_f64() * 1e3));
            println!("gaps in ms:{}", gaps.collect::<String>());
        }
    }
    Ok(())
}
