//! Crawls the benchmark's site with the crate spider: `spider-peer URL FILE`.

use std::{
    fs::File,
    io::{BufWriter, Write},
};

use spider::website::Website;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let mut website = Website::new(&arguments[1]);
    website.with_delay(0).with_respect_robots_txt(false).with_concurrency_limit(Some(64)).with_return_page_links(true);
    // A subscriber that is behind loses pages, so the channel holds all.
    let mut pages = website.subscribe(32_768);
    let mut lines = BufWriter::new(File::create(&arguments[2])?);
    let written = tokio::spawn(async move {
        while let Ok(page) = pages.recv().await {
            let html = page.get_html_cow();
            let title = html.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
            let title = title.map(|(title, _)| title);
            let links = page.page_links.as_ref().map_or(0, |links| links.len());
            let line = serde_json::json!({ "url": page.get_url(), "title": title, "links": links });
            writeln!(lines, "{line}")?;
        }
        lines.flush()
    });
    website.crawl().await;
    // Closes the channel.
    website.unsubscribe();
    drop(website);
    Ok(written.await??)
}
