//! A service of crawls: each job is a crawl of one tenant, which outlives restarts.
//!
//! | request | what it does |
//! |---|---|
//! | `POST /alice/jobs`, with a URL as the body | takes a job, and tells its id; one with an `Idempotency-Key` is taken once |
//! | `GET /alice/jobs?after=ID` | tells how far each is, a hundred at once |
//! | `GET /alice/jobs/ID` | tells how far it is, and the first URL that failed for each reason |
//! | `GET /alice/jobs/ID/pages` | what it has found so far, as JSON Lines |
//! | `DELETE /alice/jobs/ID` | cancels it; what it has found stays |
//!
//! Run: `cargo run --example job_service -- FOLDER 127.0.0.1:8080`. Stop it with ctrl-c or SIGTERM: requests in flight
//! end, and the jobs go on with the next start.
#![allow(clippy::print_stdout, reason = "examples talk to people")]

use std::{
    fs::File,
    io::{self, Read},
    net::TcpListener,
    path::PathBuf,
    time::Duration,
};

use actix_crawler::{jobs::Job, prelude::*};
use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    error::{
        ErrorBadRequest, ErrorConflict, ErrorInternalServerError, ErrorNotFound, ErrorServiceUnavailable,
        ErrorTooManyRequests,
    },
    web::{self, Bytes, Data, Path, Query},
};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};

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

/// Says by its status whose fault an error is.
fn refusal(error: Error) -> actix_web::Error {
    match error {
        Error::NoSuchJob { .. } => ErrorNotFound(error),
        Error::JobNotRunning { .. } => ErrorConflict(error),
        Error::TooManyJobs { .. } => ErrorTooManyRequests(error),
        Error::JobsStopped => ErrorServiceUnavailable(error),
        Error::Setting { .. } | Error::Url { .. } => ErrorBadRequest(error),
        error => ErrorInternalServerError(error),
    }
}

async fn post(
    jobs: Data<Jobs>,
    tenant: Path<String>,
    asked: HttpRequest,
    url: String,
) -> actix_web::Result<HttpResponse> {
    rate_of(&tenant)?;
    Request::parse(&url).map_err(ErrorBadRequest)?;
    let key = asked.headers().get("idempotency-key").map(|key| key.to_str()).transpose().map_err(ErrorBadRequest)?;
    let job = match key {
        Some(key) => jobs.start_once(&tenant, key, url).await,
        None => jobs.start(&tenant, url).await,
    };
    Ok(HttpResponse::Accepted().json(job.map_err(refusal)?))
}

#[derive(Deserialize)]
struct Paging {
    #[serde(default)]
    after: u64,
}

async fn list(jobs: Data<Jobs>, tenant: Path<String>, page: Query<Paging>) -> actix_web::Result<HttpResponse> {
    Ok(HttpResponse::Ok().json(jobs.list_page(&tenant, page.after, 100).await.map_err(refusal)?))
}

async fn get(jobs: Data<Jobs>, job: Path<(String, u64)>) -> actix_web::Result<HttpResponse> {
    Ok(HttpResponse::Ok().json(jobs.status(&job.0, job.1).await.map_err(refusal)?))
}

async fn get_pages(jobs: Data<Jobs>, job: Path<(String, u64)>) -> actix_web::Result<HttpResponse> {
    let path = jobs.file(&job.0, job.1, "pages.jsonl").await.map_err(refusal)?;
    let file = web::block(|| File::open(path)).await?.map_err(ErrorNotFound)?;
    let length = file.metadata()?.len();
    // It may grow meanwhile.
    Ok(HttpResponse::Ok().content_type("application/jsonl").no_chunking(length).streaming(pieces(file.take(length))))
}

/// Reads a file piece by piece: those of large jobs do not fit into memory.
fn pieces(file: impl Read + Send + 'static) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(file, async |mut file| {
        let read = web::block(move || {
            let mut piece = vec![0; 64 << 10];
            let length = file.read(&mut piece)?;
            piece.truncate(length);
            Ok((length > 0).then(|| (Bytes::from(piece), file)))
        });
        read.await.map_err(io::Error::other)?
    })
}

async fn delete(jobs: Data<Jobs>, job: Path<(String, u64)>) -> actix_web::Result<HttpResponse> {
    Ok(HttpResponse::Ok().json(jobs.cancel(&job.0, job.1).await.map_err(refusal)?))
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
