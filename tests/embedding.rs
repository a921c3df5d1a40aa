//! Embedding: a crawl runs the same within every runtime and without one, and outlives its caller's runtime.

mod crawls;
mod recorder;

use std::{sync::Arc, thread};

use actix_crawler::{Report, prelude::*};
use actix_web::{App, HttpServer, web};
use crawls::{Links, MS, block_on, crawl, end_of, until};
use recorder::{Answer, Asked, Recorder};

const PAGES: u32 = 30;

fn pages(asked: &Asked) -> Answer {
    let n: u32 = asked.path[1..].parse().unwrap_or(0);
    Answer::page((3 * n + 1..=3 * n + 3).filter(|child| *child < PAGES).map(|child| format!("/{child}"))).after(2 * MS)
}

fn crawler(site: &Recorder) -> actix_crawler::Crawler<Links> {
    crawl(site).per_domain(4).seed("http://one.test/0")
}

fn assert_whole(report: &Result<Arc<Report>>, site: &Recorder) {
    let report = report.as_ref().unwrap();
    assert_eq!((report.pages(), site.count()), (u64::from(PAGES), PAGES as usize), "{report}");
    assert!(report.ledger_adds_up);
}

#[test]
fn a_crawl_runs_within_an_actix_system() {
    let site = Recorder::start(pages);
    assert_whole(&actix_rt::System::new().block_on(crawler(&site).run()), &site);
}

#[test]
fn a_crawl_runs_within_a_tokio_runtime_of_one_thread_or_of_many() {
    for builder in [tokio::runtime::Builder::new_current_thread, tokio::runtime::Builder::new_multi_thread] {
        let site = Recorder::start(pages);
        let runtime = builder().enable_all().build().unwrap();
        // Spawned, so that the future must be `Send`.
        let crawl = crawler(&site);
        assert_whole(&runtime.block_on(async { tokio::spawn(crawl.run()).await.unwrap() }), &site);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_crawl_runs_within_tokios_own_main() {
    let site = Recorder::start(pages);
    assert_whole(&crawler(&site).run().await, &site);
}

#[actix_web::test]
async fn a_crawl_runs_within_actix_webs_own_main() {
    let site = Recorder::start(pages);
    assert_whole(&crawler(&site).run().await, &site);
}

#[test]
fn a_crawl_runs_without_any_runtime() {
    let site = Recorder::start(pages);
    let crawl = crawler(&site);
    assert_whole(&thread::spawn(move || crawl.run_blocking()).join().unwrap(), &site);
}

#[tokio::test]
async fn blocking_within_a_runtime_is_refused_with_what_to_do() {
    let site = Recorder::start(pages);
    let error = crawler(&site).run_blocking().err().unwrap();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("run().await"), "{error}");
    assert_eq!(site.count(), 0);
}

/// Each request to the service is one crawl, four at a time, on a service of one thread.
#[actix_web::test]
async fn a_service_crawls_while_it_serves() {
    let site = Arc::new(Recorder::start(pages));
    let data = web::Data::from(site.clone());
    let handler = |site: web::Data<Recorder>, name: web::Path<String>| async move {
        let report = crawl(&site).per_domain(2).seed(format!("http://{name}.test/0")).run().await;
        report.map_or_else(|error| error.to_string(), |report| report.pages().to_string())
    };
    let app = move || App::new().app_data(data.clone()).route("/{name}", web::get().to(handler));
    let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let service = server.handle();
    actix_web::rt::spawn(server);
    let client = awc::Client::builder().disable_timeout().finish();
    let ask = |n: u32| {
        let request = client.get(format!("http://{address}/service{n}")).send();
        async move { request.await.unwrap().body().await.unwrap() }
    };
    for answer in futures_util::future::join_all((0..4).map(ask)).await {
        assert_eq!(answer, PAGES.to_string());
    }
    assert_eq!(site.count(), 4 * PAGES as usize);
    service.stop(true).await;
}

#[test]
fn a_crawl_outlives_the_system_that_started_it() {
    let site = Recorder::start(|asked| pages(asked).after(20 * MS));
    let crawl = crawler(&site);
    let started = thread::spawn(move || {
        let system = actix_rt::System::new();
        let handle = system.block_on(async { crawl.start().unwrap() });
        actix_rt::System::current().stop();
        system.run().unwrap();
        handle
    });
    let handle = started.join().unwrap();
    assert!(site.count() < PAGES as usize, "it is still under way");
    assert_whole(&Ok(block_on(end_of(&handle))), &site);
}

#[test]
fn a_caller_that_stops_waiting_changes_nothing() {
    let site = Recorder::start(|asked| pages(asked).after(10 * MS));
    let crawl = crawler(&site);
    block_on(async { tokio::time::timeout(30 * MS, crawl.run()).await }).unwrap_err();
    block_on(until("it goes on to its end", async || site.count() == PAGES as usize));
}

#[test]
fn several_crawls_of_one_process_know_nothing_of_each_other() {
    let sites: Vec<Recorder> = (0..4).map(|_| Recorder::start(pages)).collect();
    let handles: Vec<CrawlHandle> = sites.iter().map(|site| crawler(site).start().unwrap()).collect();
    block_on(handles[0].stop());
    for (site, handle) in sites.iter().zip(&handles).skip(1) {
        assert_whole(&Ok(block_on(end_of(handle))), site);
    }
    block_on(end_of(&handles[0]));
}
