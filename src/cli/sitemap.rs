//! `sitemap`: prints the pages that a sitemap, or all sitemaps of a site, list. It is a crawl that reads sitemaps and
//! requests no page.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use actix_crawler::{
    Crawler, Politeness, Report, Request, Settings, Spider,
    extract::sitemap::SitemapEntry,
    prelude::{Parsed, Response, Result as CrawlResult},
    report::Ended,
    settings::Sitemaps,
    transport::TransportSettings,
};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use super::{
    block_on,
    config::refuse_private,
    console::tell,
    exit::{Exit, Failure, in_options},
    once::with_contact,
    options::SitemapOptions,
    terminal, watch,
};

/// Runs the command.
///
/// # Errors
/// The crawl cannot start or finish, or stdout cannot be written.
pub fn run(options: &SitemapOptions) -> Result<Exit, Failure> {
    let url = Request::parse(&options.url)?.url;
    let transport = options.network.over(TransportSettings::default())?;
    refuse_private(std::slice::from_ref(&url), &transport.guard)?;
    let user_agent = with_contact(options.identity.user_agent(std::slice::from_ref(&url))?);
    let sitemaps = Sitemaps { since: options.since, ..Sitemaps::default() };
    let politeness = Politeness { spacing: options.delay, ..Politeness::default() };
    let settings = Settings { transport, sitemaps, politeness, ..Settings::default() };
    block_on(list(Crawler::new(NoPages, user_agent).settings(settings).sitemap(&url), options.json))
}

async fn list(crawler: Crawler<NoPages>, as_json: bool) -> Result<Exit, Failure> {
    let output = Arc::new(Output { failure: Mutex::default(), failed: Notify::new(), as_json });
    let signals = watch::listen()?;
    let handle = crawler
        .sitemap_rule({
            let output = output.clone();
            move |entry| {
                output.print(entry);
                None
            }
        })
        .start()?;
    let mut signals = signals;
    let report = loop {
        tokio::select! {
            report = handle.wait() => break report?,
            () = output.failed.notified() => handle.abort().await,
            _ = signals.next() => handle.abort().await,
        }
    };
    if let Some(error) = output.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(Failure::unprintable(&error));
    }
    for line in summary(&report) {
        tell(in_options(&line));
    }
    Ok(match report.ended {
        Ended::Finished if report.stats.get("sitemaps/read") > 0 && report.failed() == 0 => Exit::Well,
        Ended::Stopped | Ended::Aborted => Exit::Interrupted,
        Ended::Failed => Exit::NotRun,
        _ => Exit::FailedPages,
    })
}

/// Requests no page, since the rule leaves all out.
struct NoPages;

impl Spider for NoPages {
    type Item = ();

    fn parse(&self, _: &Response) -> CrawlResult<Parsed<()>> {
        Ok(Parsed::new())
    }
}

/// Stdout, for the threads that read sitemaps.
struct Output {
    failure: Mutex<Option<io::Error>>,
    failed: Notify,
    as_json: bool,
}

impl Output {
    fn print(&self, entry: &SitemapEntry) {
        let line = if self.as_json { as_json(entry).to_string() } else { entry.url.to_string() };
        let line = if terminal::is_terminal(None) { terminal::escape(&line) } else { line };
        // Stdout writes whole lines.
        if let Err(error) = writeln!(io::stdout().lock(), "{line}") {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            self.failed.notify_one();
        }
    }
}

/// Returns what was read, and what was not and why.
fn summary(report: &Report) -> Vec<String> {
    let stats = &report.stats;
    let mut lines =
        vec![format!("pages listed: {}, sitemaps read: {}", stats.get("sitemaps/urls"), stats.get("sitemaps/read"))];
    if report.ended == Ended::Failed {
        lines.extend(report.failure.iter().map(|why| format!("error: {why}")));
    } else if report.ended != Ended::Finished {
        lines.push("interrupted: there may be more".to_owned());
    } else if stats.get("sitemaps/read") == 0 && report.failed() == 0 {
        lines.push("robots.txt names no sitemap, and none is at /sitemap.xml or another usual place".to_owned());
    }
    for (reason, count) in stats.counts_below("failed") {
        let first = stats.first_failures.get(reason);
        let first = first.map(|first| format!(", first {}: {}", first.url, first.detail)).unwrap_or_default();
        lines.push(format!("{count} failed: {reason}{first}"));
    }
    for (reason, count) in stats.counts_below("drop") {
        // That is what the rule leaves out, since it was printed.
        if reason != "sitemap/rule" {
            lines.push(format!("{count} left out: {reason}"));
        }
    }
    let unreadable = stats.get("sitemaps/unreadable");
    if unreadable > 0 {
        lines.push(format!("{unreadable} left out: no URL that can be read"));
    }
    lines
}

fn as_json(entry: &SitemapEntry) -> Value {
    let mut line = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() && value != json!([]) {
            line.insert(name.to_owned(), value);
        }
    };
    put("url", json!(entry.url));
    put("lastmod", json!(entry.lastmod.map(|date| date.to_string())));
    put("changefreq", json!(entry.change_frequency.map(|frequency| frequency.to_string())));
    // As it was written: a 32-bit number has digits of its own as a 64-bit one.
    put("priority", json!(entry.priority.and_then(|priority| priority.to_string().parse::<f64>().ok())));
    put("alternates", json!(entry.alternates));
    put("images", json!(entry.images.iter().map(|image| &image.url).collect::<Vec<_>>()));
    let video = |video: &actix_crawler::extract::sitemap::Video| json!({ "title": video.title, "thumbnail": video.thumbnail, "content": video.content, "player": video.player });
    put("videos", json!(entry.videos.iter().map(video).collect::<Vec<_>>()));
    if let Some(news) = &entry.news {
        let published = news.published.map(|date| date.to_string());
        put("news", json!({ "title": news.title, "publication": news.publication, "published": published }));
    }
    line.into()
}
