//! A service of crawls: each job is a crawl of one tenant, which outlives restarts.
//!
//! | request | what it does |
//! |---|---|
//! | `POST /alice/shop`, a URL in each line of the body | begins the job, or feeds it; tells of each URL what became of it |
//! | `GET /alice/shop` | tells how far it is, and the first URL that failed for each reason |
//! | `DELETE /alice/shop` | cancels it, and removes what it has stored |
//!
//! Run: `cargo run --example job_service -- FOLDER 127.0.0.1:8080`. Stop it with ctrl-c or SIGTERM: requests in flight end,
//! and the jobs go on with the next start.
#![allow(clippy::print_stdout, reason = "examples talk to people")]

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    net::TcpListener,
    path::PathBuf,
    time::Duration,
};

use actix_crawler::{
    prelude::*,
    stats::{FirstFailure, Progress},
};
use actix_web::{
    App, HttpResponse, HttpServer,
    error::{ErrorBadRequest, ErrorInternalServerError, ErrorNotFound},
    web::{self, Data, Path},
};
use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::Mutex;

/// Who may have jobs, and the rate of each at one domain. At a domain of both, the limits of both hold.
fn rate_of(tenant: &str) -> Option<Rate> {
    match tenant {
        "alice" => Some(Rate::per_second(20)),
        "bob" => Some(Rate::per_second(5)),
        _ => None,
    }
}

#[derive(Serialize)]
struct Page {
    url: String,
    title: Option<String>,
}

fn pages(page: &Response) -> Result<Parsed<Page>> {
    let title = page.title().map(str::to_owned);
    Ok(Parsed::of([Page { url: page.url().to_string(), title }]).follow(page.links().followable()))
}

/// How far a job is, and why pages have failed.
#[derive(Serialize)]
struct Standing {
    #[serde(flatten)]
    progress: Progress,
    first_failures: BTreeMap<String, FirstFailure>,
}

/// A tenant and the name of its job. Both are names of folders.
type Name = (String, String);

struct Jobs {
    folder: PathBuf,
    /// Whether sites of this machine may be crawled.
    allow_private: bool,
    running: Mutex<HashMap<Name, CrawlHandle>>,
}

impl Jobs {
    fn folder_of(&self, (tenant, job): &Name) -> PathBuf {
        self.folder.join(tenant).join(job)
    }

    /// Begins a job, or goes on with it where it was.
    async fn start(&self, name: &Name) -> actix_web::Result<CrawlHandle> {
        let (tenant, job) = name;
        let rate = rate_of(tenant).ok_or_else(|| ErrorNotFound("no such tenant"))?;
        if job.is_empty() || !job.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(ErrorBadRequest("the name of a job is made of letters, digits and hyphens"));
        }
        let mut running = self.running.lock().await;
        // One that has ended by itself, since its disk was full, begins again.
        if let Some(crawl) = running.get(name).filter(|crawl| crawl.report().is_none()) {
            return Ok(crawl.clone());
        }
        let folder = self.folder_of(name);
        fs::create_dir_all(&folder)?;
        let crawler = Crawler::new(pages, "jobservice/1.0 (+https://example.org/bot)")
            .rate(rate)
            .per_domain(4)
            .state(folder.join("state"))
            .pipeline(JsonLines::create(folder.join("pages.jsonl")))
            .stay_open();
        let crawler = if self.allow_private { crawler.allow_private() } else { crawler };
        // It opens files, so not on a thread that serves.
        let crawl = web::block(|| crawler.start()).await?.map_err(ErrorInternalServerError)?;
        running.insert(name.clone(), crawl.clone());
        Ok(crawl)
    }

    async fn running(&self, name: &Name) -> actix_web::Result<CrawlHandle> {
        self.running.lock().await.get(name).cloned().ok_or_else(|| ErrorNotFound("no such job"))
    }
}

async fn post(jobs: Data<Jobs>, name: Path<Name>, urls: String) -> actix_web::Result<HttpResponse> {
    let seeds = urls.lines().map(Request::parse).collect::<Result<Vec<_>>>().map_err(ErrorBadRequest)?;
    let crawl = jobs.start(&name).await?;
    Ok(HttpResponse::Accepted().json(crawl.requests(seeds).await.map_err(ErrorInternalServerError)?))
}

async fn get(jobs: Data<Jobs>, name: Path<Name>) -> actix_web::Result<HttpResponse> {
    let crawl = jobs.running(&name).await?;
    match crawl.report() {
        Some(report) => Ok(HttpResponse::Ok().json(&*report)),
        None => {
            let progress = crawl.progress().await.map_err(ErrorInternalServerError)?;
            let first_failures = crawl.first_failures().await.map_err(ErrorInternalServerError)?;
            Ok(HttpResponse::Ok().json(Standing { progress, first_failures }))
        }
    }
}

async fn delete(jobs: Data<Jobs>, name: Path<Name>) -> actix_web::Result<HttpResponse> {
    let mut running = jobs.running.lock().await;
    let crawl = running.remove(&name).ok_or_else(|| ErrorNotFound("no such job"))?;
    crawl.abort().await;
    crawl.wait().await.map_err(ErrorInternalServerError)?;
    fs::remove_dir_all(jobs.folder_of(&name))?;
    Ok(HttpResponse::NoContent().finish())
}

/// Serves until the process is asked to end. Then requests in flight have ten seconds; what waits is on disk.
pub async fn serve(folder: PathBuf, listener: TcpListener, allow_private: bool) -> actix_web::Result<()> {
    let jobs = Data::new(Jobs { folder, allow_private, running: Mutex::default() });
    for tenant in ["alice", "bob"] {
        for job in fs::read_dir(jobs.folder.join(tenant)).into_iter().flatten() {
            jobs.start(&(tenant.to_owned(), job?.file_name().to_string_lossy().into_owned())).await?;
        }
    }
    println!("serving at http://{}", listener.local_addr()?);
    let shared = jobs.clone();
    let job = || web::resource("/{tenant}/{job}");
    let app = move || {
        let routes = job().post(post).get(get).delete(delete);
        App::new().app_data(shared.clone()).service(routes)
    };
    HttpServer::new(app).workers(2).shutdown_timeout(5).listen(listener)?.run().await?;
    let running = jobs.running.lock().await;
    let stopped = join_all(running.values().map(|crawl| crawl.stop_within(Duration::from_secs(10)))).await;
    println!("{} jobs are stopped, and go on with the next start", stopped.iter().flatten().count());
    Ok(())
}

#[actix_web::main]
pub async fn main() -> actix_web::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, address] = words.as_slice() else { return Err(ErrorBadRequest("give a FOLDER and an ADDRESS")) };
    serve(folder.into(), TcpListener::bind(address)?, false).await
}
