//! Logs in through a form with a CSRF token, crawls the pages behind it, and logs in again when the session has
//! expired.
//!
//! You will see twelve orders, although the shop ends a session after five pages, and in the summary how often it was
//! refused and logged in again: `cargo run --example log_in --features cookies`
#![allow(clippy::print_stdout, reason = "examples talk to people")]

pub mod shop;

use std::sync::Arc;

use actix_crawler::{Report, client::Login, prelude::*, sessions::Sessions};

/// The items: one for each order.
fn orders(page: &Response) -> Result<Parsed<String>> {
    Ok(Parsed::of(page.select(".order")?.iter().map(|order| order.text())).follow(page.links()))
}

/// Fills in the form as a browser would, hidden fields included.
async fn log_in(login: Login, shop: String, password: &str) -> Result<()> {
    let page = login.get(format!("{shop}/login")).send().await?.into_page();
    let form = page.form("#login")?.set("user", "alice")?.set("password", password)?;
    let next = login.request(form.submit()?).send().await?.error_for_status()?.into_page();
    match next.select(".error")?.first() {
        // Who has a wrong password gets the form again, with a 200.
        Some(error) => Err(Error::spider(error.text())),
        None => Ok(()),
    }
}

/// Crawls the orders of a shop.
pub fn crawl(shop: &str, password: &'static str) -> Result<Arc<Report>> {
    let at = shop.to_owned();
    Crawler::new(orders, "orderbot/1.0 (+https://example.org/bot)")
        .seed(format!("{shop}/orders"))
        .allow_private()
        .rate(Rate::per_second(50))
        // An expired session is sent to the log-in.
        .sessions(Sessions::new().blocked_at("/login").rest(std::time::Duration::from_millis(100)))
        .log_in(move |login| log_in(login, at.clone(), password))
        .each(|order| println!("{order}"))
        .run_blocking()
}

fn main() -> Result<()> {
    let shop = shop::Shop::open().map_err(Error::spider)?;
    println!("{}", crawl(&shop.url, "s3cret")?);
    Ok(())
}
