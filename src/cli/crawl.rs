//! `crawl`: writes a line or record for each page found from the given URLs, and the summary.

use std::io::{self, Write};

use actix_crawler::{
    Crawler, Report, Request,
    transport::{Purpose, ResponseStoreSettings},
};

use super::{
    block_on,
    config::{Config, Order},
    exit::{Exit, Failure, in_options},
    now,
    options::{CrawlOptions, ProgressMode},
    output::{Output, refuse_reader_gone},
    page::{PageSpider, columns},
    progress_view::ProgressView,
    summary::SummaryFile,
    terminal,
    watch::{self, Watch},
};

/// Runs the command.
///
/// # Errors
/// The crawl cannot start, or cannot finish.
pub fn run(options: CrawlOptions) -> Result<Exit, Failure> {
    let config = options.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
    let mode = options.progress;
    block_on(crawl(config.with(options)?, mode))
}

async fn crawl(order: Order, mode: ProgressMode) -> Result<Exit, Failure> {
    let Order { seeds, user_agent, settings, select, respect_nofollow, output, escape_formulas, summary } = order;
    let to_stdout = output.is_none();
    let store = settings.transport.response_store.as_ref();
    let named = [
        ("-o", output.clone()),
        ("--log", settings.log.clone()),
        ("--state", settings.state.clone()),
        (store.map_or("", option_of), store.map(|store| store.dir.clone())),
    ];
    let pages_to = output.clone();
    let pages = Output::new(output.as_deref(), settings.state.is_some(), columns(&select), escape_formulas);
    let summary = summary.map(SummaryFile::open).transpose()?;
    let signals = watch::listen()?;
    let max_pages = settings.scope.max_pages;
    let crawler = pages.of(Crawler::new(PageSpider { select, respect_nofollow }, user_agent).settings(settings));
    let handle = seeds.into_iter().map(Request::get).fold(crawler, Crawler::request).start();
    let handle = handle.map_err(|error| Failure::naming(error, &named))?;
    let progress = ProgressView::new(mode, terminal::is_terminal(pages_to.as_deref()), max_pages, now());
    let report = Watch { progress, remarks: None }.until_the_end(&handle, signals).await?;
    refuse_reader_gone(&report)?;
    if let Some(summary) = summary {
        summary.write(&report)?;
    }
    tell(&report, to_stdout);
    Ok(Exit::of(&report))
}

/// Returns the option that set the purpose of stored responses.
fn option_of(store: &ResponseStoreSettings) -> &'static str {
    match store.purpose {
        Purpose::Cache => "--cache",
        Purpose::Record => "--record",
        Purpose::Replay => "--replay",
    }
}

/// Prints the summary: on stderr if stdout is for pages.
fn tell(report: &Report, pages_on_stdout: bool) {
    let text = in_options(&report.to_string());
    let text = terminal::escape(&text);
    let told = if pages_on_stdout { writeln!(io::stderr(), "{text}") } else { writeln!(io::stdout(), "{text}") };
    // The reader of the summary has gone, so the failure cannot be reported.
    drop(told);
}
