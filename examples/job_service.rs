//! A service of crawls: each job is a crawl of one tenant, which outlives restarts.
//!
//! | request | what it does |
//! |---|---|
//! | `POST /alice/jobs`, with a URL as the body | takes a job, and tells its id |
//! | `GET /alice/jobs` | tells how far each is |
//! | `GET /alice/jobs/ID` | tells how far it is, and the first URL that failed for each reason |
//! | `GET /alice/jobs/ID/pages` | what it has found so far, as JSON Lines |
//! | `DELETE /alice/jobs/ID` | cancels it; what it has found stays |
//!
//! Run: `cargo run --example job_service -- FOLDER 127.0.0.1:8080`. Stop it with ctrl-c or SIGTERM: requests in flight end,
//! and the jobs go on with the next start.
#![allow(clippy::print_stdout, reason = "examples talk to people")]

use std::{fs, net::TcpListener, path::PathBuf, time::Duration};

use actix_crawler::{jobs::Job, prelude::*};
use actix_web::{
    App, HttpResponse, HttpServer,
    error::{ErrorBadRequest, ErrorInternalServerError, ErrorNotFound},
    web::{self, Data, Path},
};
use serde::Serialize;

/// Jobs that are asked for a URL to begin at.
type Jobs = actix_crawler::jobs::Jobs<String>;

/// The rate of a tenant at one domain, of those who may have jobs. At a domain of both, the limits of both hold.
fn rate_of(tenant: &str) -> actix_web::Result<Rate> {
    match tenant {
        "alice" => Ok(Rate::per_second(20)),
        "bob" => Ok(Rate::per_second(5)),
        _ => Err(ErrorNotFound("no such tenant")),
    }
}

#[derive(Extract, Serialize)]
struct Page {
    #[extract(page_url)]
    url: String,
    #[extract(css = "title")]
    title: Option<String>,
}

fn pages(page: &Response) -> Result<Parsed<Page>> {
    Ok(Parsed::new().item(Page::extract(page)?).follow(page.links().followable()))
}

/// Makes the crawl of a job, at its beginning and when it goes on.
fn crawler(job: &Job<String>) -> Crawler<impl Spider + use<>> {
    Crawler::new(pages, "jobservice/1.0 (+https://example.org/bot)")
        .seed(job.params())
        .rate(rate_of(job.tenant()).unwrap_or(Rate::per_second(1)))
        .per_domain(4)
        .pipeline(JsonLines::create(job.file("pages.jsonl")))
}

async fn post(jobs: Data<Jobs>, tenant: Path<String>, url: String) -> actix_web::Result<HttpResponse> {
    rate_of(&tenant)?;
    Request::parse(&url).map_err(ErrorBadRequest)?;
    Ok(HttpResponse::Accepted().json(jobs.start(&tenant, url).await.map_err(ErrorInternalServerError)?))
}

async fn list(jobs: Data<Jobs>, tenant: Path<String>) -> actix_web::Result<HttpResponse> {
    Ok(HttpResponse::Ok().json(jobs.list(&tenant).await.map_err(ErrorInternalServerError)?))
}

async fn get(jobs: Data<Jobs>, job: Path<(String, u64)>) -> actix_web::Result<HttpResponse> {
    Ok(HttpResponse::Ok().json(jobs.status(&job.0, job.1).await.map_err(ErrorNotFound)?))
}

async fn get_pages(jobs: Data<Jobs>, job: Path<(String, u64)>) -> actix_web::Result<HttpResponse> {
    let file = jobs.file(&job.0, job.1, "pages.jsonl").await.map_err(ErrorNotFound)?;
    Ok(HttpResponse::Ok().body(web::block(|| fs::read(file)).await??))
}

async fn delete(jobs: Data<Jobs>, job: Path<(String, u64)>) -> actix_web::Result<HttpResponse> {
    Ok(HttpResponse::Ok().json(jobs.cancel(&job.0, job.1).await.map_err(ErrorNotFound)?))
}

/// Serves until the process is asked to end. Then requests in flight have ten seconds; what waits is on disk.
pub async fn serve(folder: PathBuf, listener: TcpListener, allow_private: bool) -> actix_web::Result<()> {
    let of_job = move |job: &Job<String>| if allow_private { crawler(job).allow_private() } else { crawler(job) };
    let jobs = Jobs::open(folder, of_job).map_err(ErrorInternalServerError)?;
    println!("serving at http://{}", listener.local_addr()?);
    let data = Data::new(jobs.clone());
    let app = move || {
        App::new()
            .app_data(data.clone())
            .service(web::resource("/{tenant}/jobs").post(post).get(list))
            .service(web::resource("/{tenant}/jobs/{id}").get(get).delete(delete))
            .service(web::resource("/{tenant}/jobs/{id}/pages").get(get_pages))
    };
    HttpServer::new(app).workers(2).shutdown_timeout(5).listen(listener)?.run().await?;
    let stopped = jobs.stop_within(Duration::from_secs(10)).await.map_err(ErrorInternalServerError)?;
    println!("{stopped} jobs are stopped, and go on with the next start");
    Ok(())
}

#[actix_web::main]
pub async fn main() -> actix_web::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, address] = words.as_slice() else { return Err(ErrorBadRequest("give a FOLDER and an ADDRESS")) };
    serve(folder.into(), TcpListener::bind(address)?, false).await
}
