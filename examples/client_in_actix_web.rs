//! A web service whose handlers, on four workers, share one limit of 20 requests a second towards an upstream API.
//!
//! You will see 100 clients that come at once served within 5 s, and the upstream API requested 20 times a second.
//! Run: `cargo run --example client_in_actix_web`

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "an example prints, and measures")]

use std::{
    net::TcpListener,
    sync::Mutex,
    time::{Duration, Instant},
};

use actix_crawler::{Rate, ThrottledClient};
use actix_web::{
    App, HttpServer,
    error::ErrorBadGateway,
    web::{Data, get},
};
use futures_util::future::join_all;

struct Upstream(String);
type Arrivals = Mutex<Vec<Instant>>;

/// The service's handler: the client is shared like any other data.
async fn quote(client: Data<ThrottledClient>, upstream: Data<Upstream>) -> actix_web::Result<String> {
    let response = client.get(&upstream.0).send().await.map_err(ErrorBadGateway)?;
    Ok(format!("upstream says {}", response.body_text()))
}

/// The upstream API. Here it is another path of the same server, so that the example needs no network.
async fn api(arrivals: Data<Arrivals>) -> &'static str {
    arrivals.lock().expect("no handler panics").push(Instant::now());
    "carpe diem"
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let service = format!("http://{}", listener.local_addr()?);
    let agent = "quotes/1.0 (+https://example.org/contact)";
    let client = ThrottledClient::builder(agent).rate(Rate::per_second(20)).allow_private().build()?;
    let (client, upstream) = (Data::new(client), Data::new(Upstream(format!("{service}/api"))));
    let arrivals = Data::new(Arrivals::default());
    let noted = arrivals.clone();
    let app = move || {
        let app = App::new().app_data(client.clone()).app_data(upstream.clone()).app_data(noted.clone());
        app.route("/quote", get().to(quote)).route("/api", get().to(api))
    };
    actix_web::rt::spawn(HttpServer::new(app).workers(4).disable_signals().listen(listener)?.run());

    let visitor = awc::Client::builder().timeout(Duration::from_secs(30)).finish();
    let visits = join_all((0..100).map(|_| visitor.get(format!("{service}/quote")).send())).await;
    let served = visits.iter().flatten().filter(|answer| answer.status().is_success()).count();
    let at = arrivals.lock().map_err(|_| "the upstream API panicked")?;
    let (first, last) = (at.iter().min().ok_or("no request")?, at.iter().max().ok_or("no request")?);
    let took = last.duration_since(*first).as_secs_f64();
    println!("{served} visitors served in {took:.1} s, {:.1} upstream requests a second", 99.0 / took);
    Ok(())
}
