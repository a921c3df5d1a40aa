//! Middleware: code around each request. One signs requests, one asks again for pages that are not ready, and one
//! notices when a site blocks us without saying so.
//!
//! You will see five titles, and in the summary what each middleware did under its name:
//! `cargo run --example own_middleware`
#![allow(clippy::print_stdout, reason = "examples talk to people")]

mod site;

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use actix_crawler::{
    middleware::{Attempt, Decision, Middleware, Received, SoftBlock, before_request},
    prelude::*,
};

/// Asks again for pages that are still being made.
struct Unready;

impl Middleware for Unready {
    fn name(&self) -> &'static str {
        "unready"
    }

    fn after(&self, _: &Request, received: &Received, attempt: &Attempt) -> Decision {
        match received.page() {
            Ok(page) if page.title() == Some("Being made") => {
                Decision::retry(Duration::from_millis(200), format!("unready at attempt {}", attempt.number))
            }
            _ => Decision::Pass,
        }
    }
}

fn titles(page: &Response) -> Result<Parsed<String>> {
    Ok(Parsed::of(page.title().map(str::to_owned)).follow(page.links()))
}

/// `/3` and `/4` answer with another page at first.
static FIRST: [AtomicBool; 2] = [AtomicBool::new(true), AtomicBool::new(true)];

fn page(path: &str) -> Option<String> {
    let n: usize = path.trim_start_matches('/').parse().ok().filter(|n| *n <= 5)?;
    let title = match n.checked_sub(3).and_then(|first| FIRST.get(first)?.swap(false, Relaxed).then_some(first)) {
        Some(0) => "Being made".to_owned(),
        Some(_) => "Are you a robot?".to_owned(),
        None => format!("Page {n}"),
    };
    Some(format!("<title>{title}</title><a href=/{}>next</a>", n + 1))
}

fn main() -> Result<()> {
    let sign = before_request("sign", |request, attempt| {
        let seconds = attempt.time.duration_since(std::time::UNIX_EPOCH)?.as_secs();
        request.set_header("x-signature", format!("{seconds}:{}", request.url.path().len()));
        Ok(())
    });
    let report = Crawler::new(titles, "signbot/1.0 (+https://example.org/bot)")
        .seed(site::serve(page).map_err(Error::spider)? + "/1")
        .allow_private()
        .rate(Rate::per_second(50))
        .header("accept-language", "en")
        .middleware(sign)
        .middleware(Unready)
        .middleware(SoftBlock::new().body("Are you a robot")?.rest(Duration::from_secs(1)))
        .each(|title| println!("{title}"))
        .run_blocking()?;
    println!("{report}");
    Ok(())
}
