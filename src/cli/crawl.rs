//! `crawl`: writes a line or record for each page found from the given URLs, and the summary.

use actix_crawler::{Crawler, Report, Request, extract::NearDuplicates, settings::PageSettings};

use super::{
    block_on,
    config::{self, CheckedConfig, option_of},
    console::{print, tell},
    convert,
    exit::{Exit, Failure, in_options},
    now,
    options::{ClusterOptions, CrawlOptions, ProgressMode},
    output::refuse_reader_gone,
    page::PageItem,
    progress_view::ProgressView,
    summary::SummaryFile,
    terminal,
    watch::{self, CrawlWatch},
};

/// Runs the command.
///
/// # Errors
/// The crawl cannot start, or cannot finish.
pub fn run(mut options: CrawlOptions) -> Result<Exit, Failure> {
    let cluster = std::mem::take(&mut options.cluster);
    let settings = config::read(options.config.as_deref())?;
    let mode = options.output.progress;
    let done = block_on(crawl(config::with(settings, options)?, cluster, mode));
    // Those of pages that were given up.
    convert::end_all();
    done
}

async fn crawl(config: CheckedConfig, cluster: ClusterOptions, mode: ProgressMode) -> Result<Exit, Failure> {
    let CheckedConfig { seeds, user_agent, settings, spider, convert: converters, outputs } = config;
    let PageSettings { validate, skip_near_duplicates, summary, .. } = settings.pages.clone();
    let judges = !spider.select.is_empty() || !validate.fields.is_empty();
    let to_stdout = outputs.has_stdout();
    let store = settings.transport.response_store.as_ref();
    let mut named: Vec<_> = outputs.paths().map(|path| ("-o", Some(path.to_owned()))).collect();
    named.extend([
        ("--log", settings.log.clone()),
        ("--state", settings.state.clone()),
        ("--files", settings.files.dir.clone()),
        (store.map_or("", option_of), store.map(|store| store.dir.clone())),
        ("--warc", settings.transport.archive.as_ref().map(|archive| archive.dir.clone())),
    ]);
    let on_terminal =
        to_stdout && terminal::is_terminal(None) || outputs.paths().any(|to| terminal::is_terminal(Some(to)));
    let columns = spider.columns();
    let summary = summary.map(SummaryFile::open).transpose()?;
    let mut signals = watch::listen()?;
    let max_pages = settings.scope.max_pages;
    let has_files = settings.files.dir.is_some();
    let shared = cluster.cluster.zip(cluster.crawl);
    // What an earlier crawl has written is part of the whole.
    let outputs = if settings.state.is_some() || shared.is_some() { outputs.appending() } else { outputs };
    let crawler = outputs.of(Crawler::new(spider, user_agent).settings(settings.clone()), &settings, &columns);
    let crawler = shared.into_iter().fold(crawler, |crawler, (url, name)| crawler.cluster(url, name));
    let crawler = if has_files { crawler.files_of(|page: &mut PageItem| &mut page.files) } else { crawler };
    let crawler = converters.into_iter().fold(crawler, |crawler, converter| {
        crawler.convert(&converter.content_type.clone(), move |document: &[u8]| converter.convert(document))
    });
    let crawler = if judges { crawler.validate(validate) } else { crawler };
    let crawler = if skip_near_duplicates { crawler.middleware(NearDuplicates::default()) } else { crawler };
    let crawler = seeds.into_iter().map(Request::get).fold(crawler, Crawler::request);
    let handle = watch::start(crawler, &mut signals, |error| Failure::naming(error, &named)).await?;
    let progress = ProgressView::new(mode, on_terminal, max_pages, now());
    let report = CrawlWatch { progress, remarks: None }.until_the_end(&handle, signals).await?;
    refuse_reader_gone(&report)?;
    // Told at the end: on a full disk neither file can be written, and only the report says what became of the crawl.
    let kept = summary.map_or(Ok(()), |summary| summary.write(&report));
    show(&report, to_stdout)?;
    let (items, each) = (&settings.pages.items, &settings.pages.each);
    let found_any = report.stats.items > 0 || report.validation.as_ref().is_some_and(|found| found.items > 0);
    if let Some(each) = each.as_ref().filter(|_| report.pages() > 0 && !found_any) {
        let of_items = if items.is_empty() { "" } else { ", whose URL matches --items," };
        tell(format!("no page{of_items} has an element that --each {each} selects, so nothing was written"));
    } else if !items.is_empty() && report.pages() > 0 && !found_any {
        let items: Vec<_> = items.iter().map(ToString::to_string).collect();
        tell(format!("no page's URL matches --items {}, so nothing was written", items.join(" or ")));
    }
    kept.map(|()| Exit::of(&report))
}

/// Shows the summary: on stderr if stdout is for pages.
///
/// # Errors
/// Stdout cannot be written.
fn show(report: &Report, pages_on_stdout: bool) -> Result<(), Failure> {
    let text = in_options(&report.to_string());
    if pages_on_stdout {
        tell(text);
        return Ok(());
    }
    print(format!("{}\n", terminal::escape(&text)).as_bytes())
}
