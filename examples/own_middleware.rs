//! Middleware of your own asks again for pages that are not ready; one that is ready-made notices a block that says
//! nothing. You will see five titles, and in the summary what each middleware did under its name:
//! `cargo run --example own_middleware`
#![allow(clippy::print_stdout, reason = "examples talk to people")]

mod site;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use actix_crawler::{
    middleware::{Attempt, Decision, Middleware, Received, SoftBlock},
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

fn page(path: &str) -> Option<String> {
    static FIRST: [AtomicBool; 2] = [AtomicBool::new(true), AtomicBool::new(true)];
    let title = match path {
        "/3" if FIRST[0].swap(false, Relaxed) => "Being made",
        "/4" if FIRST[1].swap(false, Relaxed) => "Are you a robot?",
        "/1" | "/2" | "/3" | "/4" | "/5" => "A page",
        _ => return None,
    };
    Some(format!("<title>{title}</title><a href=/2>2</a> <a href=/3>3</a> <a href=/4>4</a> <a href=/5>5</a>"))
}

fn main() -> Result<()> {
    let report = Crawler::new(titles, "signbot/1.0 (+https://example.org/bot)")
        .seed(site::serve(page).map_err(Error::spider)? + "/1")
        .allow_private()
        .rate(Rate::per_second(50))
        .middleware(Unready)
        .middleware(SoftBlock::new().body("Are you a robot")?.rest(Duration::from_secs(1)))
        .each(|title| println!("{title}"))
        .run_blocking()?;
    println!("{report}");
    Ok(())
}
