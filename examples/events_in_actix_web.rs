//! The events of a crawl as server-sent events: a browser or `curl -N` sees what a crawl does while it does it.
//!
//! You will see each event as a line of JSON, the last one saying how the crawl ended:
//! `cargo run --example events_in_actix_web`
#![allow(clippy::print_stdout, reason = "examples talk to people")]

mod site;

use actix_crawler::{events::CrawlEvent, prelude::*};
use actix_web::{App, HttpResponse, HttpServer, Responder, dev::Server, web};
use futures_util::StreamExt;

/// `GET /events`: what happens from now on; in a browser, `new EventSource("/events")`. A reader that goes away closes
/// its stream, and one that is slow is told how many events it has missed.
async fn events(crawl: web::Data<CrawlHandle>) -> impl Responder {
    let events = crawl.events().map(|event| as_sent(&event));
    HttpResponse::Ok().content_type("text/event-stream").insert_header(("cache-control", "no-cache")).streaming(events)
}

/// Writes an event as `EventSource` reads it: its JSON has no line break.
fn as_sent(event: &CrawlEvent) -> serde_json::Result<web::Bytes> {
    Ok(format!("data: {}\n\n", serde_json::to_string(event)?).into())
}

/// Serves the events of a crawl on a free port. Returns the server and its address.
pub fn serve(crawl: CrawlHandle) -> std::io::Result<(Server, String)> {
    let crawl = web::Data::new(crawl);
    let app = move || App::new().app_data(crawl.clone()).route("/events", web::get().to(events));
    let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0")?;
    let address = server.addrs().first().map(|address| format!("http://{address}")).unwrap_or_default();
    Ok((server.run(), address))
}

fn links(page: &Response) -> Result<Parsed<String>> {
    Ok(Parsed::new().item(page.url().to_string()).follow(page.links().followable()))
}

#[actix_web::main]
pub async fn main() -> Result<()> {
    let site = site::serve(|path| {
        let page: u32 = path.trim_start_matches('/').parse().ok().filter(|page| *page <= 3)?;
        Some(format!("<a href=/{}>next</a>", page + 1))
    });
    let crawl = Crawler::new(links, "eventbot/1.0 (+https://example.org/bot)")
        .allow_private() // for this example's site only: a service leaves it out
        .rate(Rate::per_second(5))
        .stay_open()
        .start()?;
    let (server, address) = serve(crawl.clone()).map_err(Error::spider)?;
    let service = server.handle();
    actix_web::rt::spawn(server);

    // As a browser would: first the stream, then the crawl, so that nothing is missed.
    let request = awc::Client::builder().disable_timeout().finish().get(format!("{address}/events"));
    let mut sent = request.send().await.map_err(|error| Error::spider(error.to_string()))?;
    crawl.seed(&format!("{}/1", site.map_err(Error::spider)?)).await?;
    crawl.close().await; // ends when nothing is left to do
    while let Some(Ok(part)) = sent.next().await {
        print!("{}", String::from_utf8_lossy(&part));
    }
    service.stop(true).await;
    Ok(())
}
