//! `crawl`: from URLs to a line for each page, and the summary.

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

use actix_crawler::{Crawler, report::Report, request::Request};

use super::{
    block_on,
    config::{Config, Order},
    exit::{Exit, Failure},
    now,
    options::{CrawlOptions, ProgressMode},
    output::Output,
    page::{PageSpider, columns},
    progress::Progress,
    watch::{Signals, Watch},
};

/// Crawls.
///
/// # Errors
/// It cannot run, or not to its end.
pub fn run(options: CrawlOptions) -> Result<Exit, Failure> {
    let config = options.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
    let mode = options.progress;
    block_on(crawl(config.with(options)?, mode))
}

async fn crawl(order: Order, mode: ProgressMode) -> Result<Exit, Failure> {
    let Order { seeds, user_agent, settings, select, respect_nofollow, output, summary } = order;
    let to_stdout = output.is_none();
    let (output, broken) = Output::new(output, columns(&select), settings.state.is_some());
    let summary = summary.map(SummaryFile::open).transpose()?;
    let signals = Signals::listen()?;
    let crawler = Crawler::new(PageSpider { select, respect_nofollow }, user_agent).settings(settings).pipeline(output);
    let handle = seeds.into_iter().map(Request::get).fold(crawler, Crawler::request).start()?;
    let progress = Progress::new(mode, to_stdout && io::stdout().is_terminal(), now());
    let report = Watch { progress, broken, remarks: None }.until_the_end(&handle, signals).await?;
    if let Some(summary) = summary {
        summary.write(&report)?;
    }
    tell(&report, to_stdout);
    Ok(Exit::of(&report))
}

/// Prints the summary: on stderr where stdout is for pages.
fn tell(report: &Report, pages_on_stdout: bool) {
    let told = if pages_on_stdout { writeln!(io::stderr(), "{report}") } else { writeln!(io::stdout(), "{report}") };
    // Nobody is there to be told.
    drop(told);
}

/// The file for the summary: opened before anything is fetched, written at the end.
struct SummaryFile {
    path: PathBuf,
    file: File,
}

impl SummaryFile {
    fn open(path: PathBuf) -> Result<Self, Failure> {
        // An older summary stays until there is a new one.
        let opened = OpenOptions::new().create(true).write(true).truncate(false).open(&path);
        let file = opened.map_err(|error| Failure::unwritable(&path, &error))?;
        Ok(Self { path, file })
    }

    fn write(self, report: &Report) -> Result<(), Failure> {
        let Self { path, mut file } = self;
        let mut write = || -> io::Result<()> {
            let mut json = serde_json::to_vec_pretty(report)?;
            json.push(b'\n');
            if file.metadata()?.is_file() {
                file.set_len(0)?;
            }
            file.write_all(&json)
        };
        write().map_err(|error| Failure::unwritable(&path, &error))
    }
}
