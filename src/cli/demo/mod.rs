//! `demo`: crawls a dozen small sites on this machine with the default politeness, and shows what the sites saw.

mod server;
mod sites;

use std::{fmt::Write, io, time::Duration};

use actix_crawler::{Crawler, Report, settings::DEFAULT_SPACING};
use tokio::sync::mpsc;

use self::{
    server::DemoServer,
    sites::{QUIET, SITES, TIRED},
};
use super::{
    block_on,
    console::print,
    exit::{Exit, Failure},
    now,
    options::DemoOptions,
    page::PageSpider,
    paint::Paint,
    progress_view::ProgressView,
    watch::{self, CrawlWatch},
};

/// Runs the command.
///
/// # Errors
/// The system provides no port or thread, or the crawl does not end.
pub fn run(options: &DemoOptions) -> Result<Exit, Failure> {
    block_on(demo(options))
}

async fn demo(options: &DemoOptions) -> Result<Exit, Failure> {
    let paint = Paint::on(&io::stdout());
    let (remarks, remarked) = mpsc::unbounded_channel();
    let server = DemoServer::start(remarks).map_err(|error| Failure::not_run(format!("no site to show: {error}")))?;
    let signals = watch::listen()?;
    print(introduction(&server, paint).as_bytes())?;

    let spider = PageSpider::default();
    let user_agent = concat!("actix-crawler-demo/", env!("CARGO_PKG_VERSION"), " (+http://library.test/)");
    let handle = Crawler::new(spider, user_agent)
        .seeds(SITES.iter().map(|site| format!("http://{}/", site.host)))
        .resolve(format!("*.test:{}", server.address))
        .allow_private()
        .start()?;
    let progress = ProgressView::new(options.progress, false, None, now());
    let report = CrawlWatch { progress, remarks: Some(remarked) }.until_the_end(&handle, signals).await?;
    print(conclusion(&report, &server, paint).as_bytes())?;
    Ok(match Exit::of(&report) {
        // Missing pages are part of the demo.
        Exit::FailedPages => Exit::Well,
        other => other,
    })
}

fn introduction(server: &DemoServer, paint: Paint) -> String {
    let mut text = format!(
        "{}\nThey live on {}, a port of this machine: no byte leaves it. The crawler begins at the front\n\
         page of each and keeps to its defaults at every domain: robots.txt obeyed, one request at a time, a\n\
         second between two. With a dozen domains at once that is not slow; see for yourself.\n\n",
        paint.bold("A dozen small sites are about to be crawled, politely."),
        server.address,
    );
    for site in &SITES {
        let _ = writeln!(text, "  {:<17} {}", site.host, paint.dim(site.story));
    }
    text.push('\n');
    text
}

fn conclusion(report: &Report, server: &DemoServer, paint: Paint) -> String {
    let mut text = format!("\n{}\n{report}\n\n", paint.bold("What the crawler says"));
    let _ = writeln!(text, "{}", paint.bold("What the sites saw, by their own clock"));
    let _ = writeln!(text, "{:<17} requests  smallest gap  at once", "site");
    for site in &SITES {
        let seen = server.seen(site.host);
        let gap = seen.smallest_gap().map_or_else(|| "-".to_owned(), seconds);
        let (requests, at_once) = (seen.requests.len(), seen.max_at_once);
        let note = match site.host {
            "tearoom.test" => seen.gap_after(429).map(|gap| {
                format!("after its 429 (Retry-After: {}) the next came {} later", TIRED.as_secs(), seconds(gap))
            }),
            "monastery.test" => {
                let visits = seen.requests.iter().filter(|(_, path, _)| path.starts_with("/cloister/")).count();
                Some(format!("it had asked for {} s, and had {visits} visitors in /cloister/", QUIET.as_secs()))
            }
            _ => None,
        };
        let note = note.map(|note| format!("  {}", paint.dim(note))).unwrap_or_default();
        let _ = writeln!(text, "{:<17} {requests:>8}  {gap:>12}  {at_once:>7}{note}", site.host);
    }
    if SITES.iter().filter_map(|site| server.seen(site.host).smallest_gap()).any(|gap| gap < DEFAULT_SPACING) {
        let why = "A gap under a second: the request before it was sent in time, but read late by a site that a busy \
                   machine woke late.";
        let _ = writeln!(text, "{}", paint.dim(why));
    }
    let _ =
        writeln!(text, "\nYour turn: actix-crawler crawl https://example.org/ --contact me@example.org -o pages.jsonl");
    text
}

fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}
