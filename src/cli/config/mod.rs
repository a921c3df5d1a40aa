//! Config: the settings of a crawl, overridden by command line options.

mod file;
mod network;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::Path};

use actix_crawler::{
    Error, Request, Settings,
    internals::belongs_to_origin,
    settings::{PagePart, PageSettings},
    transport::{AddressGuard, Purpose, RefusedAddress, ResponseStoreSettings},
    warc::Warc,
};
use url::Url;

pub use self::file::{CheckedFile, check, read};
use super::{
    convert::Converter,
    exit::Failure,
    named_files::NamedFiles,
    options::CrawlOptions,
    output::PageOutputs,
    page::{MarkdownPart, PageSpider},
    seeds,
    select::Select,
    values,
};

/// All that `crawl` needs, checked as far as possible without the network.
#[derive(Debug)]
pub struct CheckedConfig {
    /// The seeds.
    pub seeds: Vec<Url>,
    /// The User-Agent.
    pub user_agent: String,
    /// The settings, with those of the options; the seeds are apart.
    pub settings: Settings,
    /// What is made of each page.
    pub spider: PageSpider,
    /// What makes pages of documents.
    pub convert: Vec<Converter>,
    /// Where pages go.
    pub outputs: PageOutputs,
}

/// Overrides settings by the given options.
///
/// # Errors
/// A setting is invalid or missing, or a seed is an address that must not be connected to.
pub fn with(mut settings: Settings, options: CrawlOptions) -> Result<CheckedConfig, Failure> {
    let mut seeds = parsed(&options.urls)?;
    if let Some(path) = &options.seeds {
        seeds.extend(seeds::read(path, options.skip_bad_seeds)?);
    }
    let of_settings = std::mem::take(&mut settings.seeds);
    // Seeds on the command line replace the file's, also where a file of them has none.
    if options.urls.is_empty() && options.seeds.is_none() {
        seeds = parsed(&of_settings)?;
    }
    if seeds.is_empty() {
        return Err(Failure::usage(
            "no URL to begin with; give one, as in: actix-crawler crawl https://example.org/ --contact me@example.org",
        ));
    }
    override_politeness(&mut settings, &options);
    override_pages(&mut settings.pages, &options);
    put(&mut settings.order, options.pages.order);
    put(&mut settings.retry.attempts, options.pace.retries.map(|retries| retries.saturating_add(1)));
    let recrawl = &mut settings.recrawl;
    recrawl.seeds |= options.pages.seeds_again;
    recrawl.revisit_after = options.pages.revisit_after.or(recrawl.revisit_after);
    recrawl.by_lastmod |= options.pages.revisit_modified;
    let sitemaps = &mut settings.sitemaps;
    sitemaps.read |= options.pages.sitemaps || options.pages.since.is_some() || options.pages.revisit_modified;
    sitemaps.since = options.pages.since.or(sitemaps.since);
    let scope = &mut settings.scope;
    put(&mut scope.within, options.pages.scope);
    scope.max_depth = options.pages.depth.or(scope.max_depth);
    scope.max_pages = options.pages.max_pages.or(scope.max_pages);
    scope.max_requests = options.pages.max_requests.or(scope.max_requests);
    scope.max_pages_per_domain = options.pages.max_pages_per_domain.or(scope.max_pages_per_domain);
    scope.allow.extend(options.pages.allow);
    scope.deny.extend(options.pages.deny);
    settings.priorities.splice(0..0, options.pages.priority);
    settings.transport = options.network.over(settings.transport)?;
    settings.transport.cookies |= options.cookies;
    let stores =
        [(options.cache, Purpose::Cache), (options.record, Purpose::Record), (options.replay, Purpose::Replay)];
    for (dir, purpose) in stores {
        let Some(dir) = dir else { continue };
        let new = ResponseStoreSettings::new(dir.clone(), purpose);
        let store = settings.transport.response_store.get_or_insert(new);
        (store.dir, store.purpose) = (dir, purpose);
    }
    if let Some(dir) = options.warc {
        let archive = settings.transport.archive.get_or_insert_with(|| Warc::to(&dir));
        archive.dir = dir;
    }
    refuse_private(&seeds, &settings.transport.guard)?;
    settings.headers = options.header.into_iter().fold(settings.headers, |headers, (name, value)| {
        let is_named = settings.transport.secret_headers.iter().any(|secret| secret.eq_ignore_ascii_case(&name));
        if !is_named && !belongs_to_origin(&name) {
            return headers.header(name, value);
        }
        // A secret or a `Host` does not go to what the crawl finds elsewhere.
        seeds.iter().fold(headers, |headers, seed| headers.header_for(seed.as_str(), &name, &value))
    });
    settings.headers.check()?;
    put(&mut settings.threads, options.threads.map(usize::from));
    settings.threads = settings.threads.max(1);
    put(&mut settings.max_queued, options.pages.max_queued);
    settings.max_queued_per_domain = options.pages.max_queued_per_domain.or(settings.max_queued_per_domain);
    put(&mut settings.max_queued_bytes, options.pages.max_queued_bytes);
    let max_links = options.pages.max_links_per_page.map(|links| usize::try_from(links).unwrap_or(usize::MAX));
    put(&mut settings.max_links_per_page, max_links);
    put(&mut settings.follow_refresh, options.pages.refresh);
    settings.state = options.output.state.or(settings.state);
    settings.log = options.output.log.or(settings.log);
    settings.files.dir = options.output.files.or(settings.files.dir);
    if settings.files.dir.is_none() && !options.output.files_css.is_empty() {
        return Err(Failure::usage("--files-css says which files to download, and --files where to; give it too"));
    }
    let outputs = PageOutputs::new(options.output.output, &mut settings);
    let summary = &settings.pages.summary;
    for (option, path) in [("--log", &settings.log), ("--summary", summary)] {
        refuse_stdout(option, path.as_deref())?;
    }
    let store = settings.transport.response_store.as_ref();
    let mut named = NamedFiles::default();
    named.read("--seeds", options.seeds.as_deref());
    named.read("--config", options.config.as_deref());
    outputs.paths().for_each(|path| named.written("-o", Some(path)));
    named.written("--log", settings.log.as_deref());
    named.written("--summary", summary.as_deref());
    named.written("--state", settings.state.as_deref());
    named.written("--files", settings.files.dir.as_deref());
    named.written(store.map_or("", option_of), store.map(|store| store.dir.as_path()));
    named.written("--warc", settings.transport.archive.as_ref().map(|archive| archive.dir.as_path()));
    named.check()?;
    outputs.check()?;

    for (index, Select { name, .. }) in options.output.select.iter().enumerate() {
        if options.output.select.iter().take(index).any(|other| other.name == *name) {
            return Err(Failure::usage(format!("--select {name} is given twice; give each selector its own name")));
        }
    }
    let mut select = selects(&settings.pages.select)?;
    select.retain(|from_file| options.output.select.iter().all(|given| given.name != from_file.name));
    select.extend(options.output.select);
    check_each(&settings.pages, &select, &outputs)?;
    // Of several for one type the first is used.
    let mut convert = options.output.convert;
    convert.extend(converters(&settings.pages.convert)?);
    let spider = page_spider(select, &settings, Some(&outputs));
    for query in &spider.files {
        let select =
            Select::new("files", query).map_err(|why| Failure::usage(format!("--files-css {query}: {why}")))?;
        if !select.is_plain() {
            let why = "takes the href or the src of the elements; leave out what is after their selector";
            return Err(Failure::usage(format!("--files-css {query} {why}")));
        }
    }
    let outputs = outputs.with_fields(options.output.fields, &spider.columns())?;
    outputs.check_fields(&spider.columns())?;
    let validate = std::mem::take(&mut settings.pages.validate);
    settings.pages.validate = options.validation.over(validate, &spider.columns())?;
    let identity = options.identity.or(settings.contact.take(), settings.user_agent.take());
    Ok(CheckedConfig { user_agent: identity.user_agent(&seeds)?, seeds, settings, spider, convert, outputs })
}

/// Checks what is written for each element.
///
/// # Errors
/// It is no selector, a selection needs it, or an output has one file for each page.
fn check_each(pages: &PageSettings, select: &[Select], outputs: &PageOutputs) -> Result<(), Failure> {
    let Some(each) = &pages.each else {
        return match select.iter().find(|select| select.is_of_element()) {
            Some(Select { name, .. }) => Err(Failure::usage(format!(
                "--select {name}=@… reads an attribute of the element of --each; add --each CSS, or write a selector before the @"
            ))),
            None => Ok(()),
        };
    };
    values::css(each).map_err(|why| Failure::usage(format!("pages.each: {why}")))?;
    if outputs.has_folder() {
        let why =
            "--each writes several items of a page, and a folder of Markdown has one file for each page; leave one out";
        return Err(Failure::usage(why));
    }
    Ok(())
}

fn page_spider(select: Vec<Select>, settings: &Settings, outputs: Option<&PageOutputs>) -> PageSpider {
    let pages = &settings.pages;
    PageSpider {
        items: pages.items.clone(),
        each: pages.each.clone(),
        select,
        respect_nofollow: pages.respect_nofollow,
        simhash: pages.simhash,
        language: pages.language,
        change: settings.recrawl.adaptive.is_some(),
        markdown: pages.markdown.map(MarkdownPart::from),
        as_files: outputs.is_some_and(PageOutputs::has_folder),
        files: match (&settings.files.dir, pages.files.is_empty()) {
            (None, _) => Vec::new(),
            (Some(_), true) => vec![IMAGES.to_owned()],
            (Some(_), false) => pages.files.clone(),
        },
        has_flat_files: outputs.is_some_and(PageOutputs::has_csv),
    }
}

/// What is downloaded unless something else is asked for.
const IMAGES: &str = "img";

fn converters(of_settings: &BTreeMap<String, String>) -> Result<Vec<Converter>, Failure> {
    let read = |(content_type, command): (&String, &String)| {
        let refuse = |why| Failure::usage(format!("pages.convert.{content_type:?}: {why}"));
        Converter::new(content_type, command).map_err(refuse)
    };
    of_settings.iter().map(read).collect()
}

fn parsed(urls: &[String]) -> Result<Vec<Url>, Error> {
    urls.iter().map(|seed| Request::parse(seed).map(|request| request.url)).collect()
}

fn selects(of_settings: &BTreeMap<String, String>) -> Result<Vec<Select>, Failure> {
    let read = |(name, query): (&String, &String)| {
        Select::new(name, query).map_err(|why| Failure::usage(format!("pages.select.{name}: {why}")))
    };
    of_settings.iter().map(read).collect()
}

fn override_pages(pages: &mut PageSettings, options: &CrawlOptions) {
    pages.summary = options.output.summary.clone().or(pages.summary.take());
    pages.escape_formulas |= options.output.escape_formulas;
    pages.respect_nofollow |= options.pages.respect_nofollow;
    pages.skip_near_duplicates |= options.pages.skip_near_duplicates;
    if !options.output.files_css.is_empty() {
        pages.files.clone_from(&options.output.files_css);
    }
    if !options.output.items.is_empty() {
        pages.items.clone_from(&options.output.items);
    }
    pages.each = options.output.each.clone().or(pages.each.take());
    pages.simhash |= options.output.simhash;
    pages.language |= options.output.language;
    pages.markdown = options.output.markdown.map(PagePart::from).or(pages.markdown);
}

fn override_politeness(settings: &mut Settings, options: &CrawlOptions) {
    let politeness = &mut settings.politeness;
    let has_pace = options.pace.rate.is_some() || options.pace.delay.is_some();
    if has_pace {
        // The pace on the command line replaces all of the file's, otherwise the strictest would hold.
        (politeness.rate, politeness.spacing, politeness.rest) = (options.pace.rate, options.pace.delay, None);
    }
    put(&mut politeness.per_domain, options.pace.per_domain);
    put(&mut politeness.concurrency, options.pace.concurrency);
    put(&mut politeness.robots, options.pace.robots);
    for domain in settings.domains.values_mut() {
        // Otherwise the file's settings of a domain would win over the command line's for all.
        if has_pace {
            (domain.rate, domain.spacing, domain.rest) = (None, None, None);
        }
        domain.per_domain = domain.per_domain.filter(|_| options.pace.per_domain.is_none());
        domain.robots = domain.robots.filter(|_| options.pace.robots.is_none());
        domain.max_pages = domain.max_pages.filter(|_| options.pages.max_pages_per_domain.is_none());
        domain.max_queued = domain.max_queued.filter(|_| options.pages.max_queued_per_domain.is_none());
    }
}

/// Refuses URLs whose host is an address that must not be connected to. Names are resolved later, and their addresses
/// checked then.
///
/// # Errors
/// Names the URL and the option that allows it.
pub fn refuse_private(urls: &[Url], guard: &AddressGuard) -> Result<(), Failure> {
    for url in urls {
        if let Err(RefusedAddress { address, kind, .. }) = guard.check_url(url) {
            return Err(Failure::usage(format!(
                "{url}: {address} is {kind}; add --allow-private, or --allow-address {address}, if you mean that"
            )));
        }
    }
    Ok(())
}

/// Refuses `-` for options that write files only.
///
/// # Errors
/// The path is `-`.
pub fn refuse_stdout(option: &str, path: Option<&Path>) -> Result<(), Failure> {
    match path {
        Some(path) if path.as_os_str() == "-" => Err(Failure::usage(format!(
            "{option} cannot be written to stdout, which is for the other output; name a file"
        ))),
        _ => Ok(()),
    }
}

/// Returns the option that set the purpose of stored responses.
pub fn option_of(store: &ResponseStoreSettings) -> &'static str {
    match store.purpose {
        Purpose::Cache => "--cache",
        Purpose::Record => "--record",
        Purpose::Replay => "--replay",
    }
}

fn put<T>(setting: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *setting = given;
    }
}
