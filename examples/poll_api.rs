//! Polls an API that allows 50 requests a second, with responses after 0.5 to 1 s: as fast as allowed, and never
//! faster.
//!
//! You will see a line for every 100 answers, about two seconds apart, and the sum of 600 prices after 12 s.
//! Run: `cargo run --example poll_api`

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{net::TcpListener, thread, time::Duration};

use actix_crawler::{Rate, Result, ThrottledClient};
use actix_web::{App, HttpServer, web};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Item {
    id: u64,
    price: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let api = start_api();
    let client = ThrottledClient::builder("pricebot/1.0 (+https://example.org/bot)")
        .rate(Rate::per_second(50))
        .allow_private() // this API runs on this machine
        .build()?;
    let requests = (1..=600).map(|id| client.get(format!("{api}/items/{id}")));
    let items = client
        .execute(requests, |response| async move { response.error_for_status()?.json::<Item>() })
        .progress(|progress| {
            if progress.done % 100 == 0 {
                println!("{} done, {} failed", progress.done, progress.failed);
            }
        })
        .await;
    let prices: f64 = items.iter().flatten().map(|item| item.price).sum();
    println!("{} items for {prices:.2}", items.len());
    Ok(())
}

/// The API, on a thread of its own.
fn start_api() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    thread::spawn(|| {
        let app = || App::new().route("/items/{id}", web::get().to(item));
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener);
        actix_web::rt::System::new().block_on(server.expect("it listens").run())
    });
    url
}

async fn item(id: web::Path<u64>) -> web::Json<Item> {
    tokio::time::sleep(Duration::from_millis(500 + *id * 271 % 500)).await;
    web::Json(Item { id: *id, price: 9.99 })
}
