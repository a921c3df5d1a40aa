//! A web service whose handlers, on four workers, share one limit of 20 requests a second towards an upstream API.
//!
//! You will see 100 visitors, who come all at once, served in 5 s, and the upstream API asked 20 times a second.
//! Run: `cargo run --example client_in_actix_web`

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use actix_crawler::{ThrottledClient, rate::Rate};
use actix_web::{
    App, HttpServer,
    error::ErrorBadGateway,
    web::{self, ServiceConfig},
};
use futures_util::future::join_all;

/// The service's handler: the client is shared like any other data.
async fn quote(client: web::Data<ThrottledClient>, upstream: web::Data<String>) -> actix_web::Result<String> {
    let response = client.get(upstream.as_str()).send().await.map_err(ErrorBadGateway)?;
    Ok(format!("upstream says {}", response.text()))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arrivals = web::Data::new(Mutex::new(Vec::new()));
    let upstream = serve(1, {
        let arrivals = arrivals.clone();
        move |app| {
            app.app_data(arrivals.clone()).route("/", web::get().to(api));
        }
    });
    let agent = "quotes/1.0 (+https://example.org/contact)";
    let client = ThrottledClient::builder(agent).rate(Rate::per_second(20)).allow_private().build()?;
    let (client, upstream) = (web::Data::new(client), web::Data::new(upstream));
    let service = serve(4, move |app| {
        app.app_data(client.clone()).app_data(upstream.clone()).route("/quote", web::get().to(quote));
    });

    let visitor = awc::Client::builder().timeout(Duration::from_secs(30)).finish();
    let started = Instant::now();
    let visits = join_all((0..100).map(|_| visitor.get(format!("{service}/quote")).send())).await;
    let served = visits.iter().filter(|visit| visit.as_ref().is_ok_and(|answer| answer.status().is_success())).count();
    let arrivals = arrivals.lock().map_err(|_| "the upstream API panicked")?;
    let (first, last) = (arrivals.iter().min().ok_or("no request")?, arrivals.iter().max().ok_or("no request")?);
    println!("{served} visitors served in {:.1} s", started.elapsed().as_secs_f64());
    println!("the upstream API was asked {:.1} times a second", 99.0 / (*last - *first).as_secs_f64());
    Ok(())
}

async fn api(arrivals: web::Data<Mutex<Vec<Instant>>>) -> &'static str {
    arrivals.lock().expect("no handler panics").push(Instant::now());
    "carpe diem"
}

/// Serves beside everything else.
fn serve(workers: usize, configure: impl Fn(&mut ServiceConfig) + Send + Sync + 'static) -> String {
    let configure = Arc::new(configure);
    let app = move || { let configure = configure.clone(); App::new().configure(move |app| configure(app)) };
    let server = HttpServer::new(app).workers(workers).disable_signals().bind("127.0.0.1:0").expect("a free port");
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    format!("http://{address}")
}
