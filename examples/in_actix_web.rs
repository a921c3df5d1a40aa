//! A crawler inside an actix-web service: one crawl that stays open, fed and watched over HTTP.
//!
//! You will see a service take a seed, crawl it, show its numbers, and end on its own:
//! `cargo run --example in_actix_web`
#![allow(clippy::print_stdout, reason = "examples talk to people")]

mod site;

use actix_crawler::prelude::*;
use actix_web::{App, HttpResponse, HttpServer, Responder, web};

fn links(page: &Response) -> Result<Parsed<String>> {
    Ok(Parsed::new().item(page.url().to_string()).follow(page.links().followable()))
}

/// `POST /seeds` with a URL as the body: the crawl goes there too.
async fn seed(crawl: web::Data<CrawlHandle>, url: String) -> impl Responder {
    match crawl.seed(&url).await {
        Ok(seeded) => HttpResponse::Accepted().json(seeded),
        Err(error) => HttpResponse::BadRequest().body(error.to_string()),
    }
}

/// `GET /stats`: what the crawl has done, as JSON.
async fn stats(crawl: web::Data<CrawlHandle>) -> impl Responder {
    crawl
        .stats()
        .await
        .map_or_else(|error| HttpResponse::Gone().body(error.to_string()), |stats| HttpResponse::Ok().json(stats))
}

#[actix_web::main]
async fn main() -> Result<()> {
    let site = site::serve(|path| {
        let page: u32 = path.trim_start_matches('/').parse().ok().filter(|page| *page <= 5)?;
        Some(format!("<a href=/{}>next</a>", page + 1))
    });
    let crawl = Crawler::new(links, "servicebot/1.0 (+https://example.org/bot)")
        .allow_private() // for this example's site only: a service leaves it out
        .rate(Rate::per_second(5))
        .each(|url| println!("crawled {url}"))
        .stay_open()
        .start()?;
    let data = web::Data::new(crawl.clone());
    let app = move || {
        App::new().app_data(data.clone()).route("/seeds", web::post().to(seed)).route("/stats", web::get().to(stats))
    };
    let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0").map_err(Error::spider)?;
    let address = server.addrs()[0];
    let server = server.run();
    let service = server.handle();
    actix_web::rt::spawn(server);

    let seeds = awc::Client::new().post(format!("http://{address}/seeds"));
    println!(
        "{}",
        seeds.send_body(site.map_err(Error::spider)? + "/1").await.map_err(|e| Error::spider(e.to_string()))?.status()
    );
    crawl.close().await; // ends when nothing is left to do
    println!("{}", crawl.wait().await?);
    service.stop(true).await;
    Ok(())
}
