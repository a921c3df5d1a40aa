//! Output: the feeds and folders for the pages of `crawl`.

use std::path::{Path, PathBuf};

use actix_crawler::{
    Crawler, Error, PipelineError, Report, Settings,
    feed::{Feed, Format},
    pipeline::{MarkdownFolder, Pipeline, Running, Start},
};

use super::{
    exit::Failure,
    folder_name::is_folder,
    page::{PageItem, PageSpider},
};

/// Where pages go.
#[derive(Debug)]
pub struct PageOutputs(Vec<Feed>);

impl PageOutputs {
    /// Takes the outputs of the options, or else those of the file; without any, pages go to stdout. One that both name
    /// is as the file describes it.
    pub fn new(given: Vec<PathBuf>, settings: &mut Settings) -> Self {
        let (output, mut feeds) = (settings.pages.output.take(), std::mem::take(&mut settings.feeds));
        if !given.is_empty() {
            let described = |to: PathBuf| {
                let feed = feeds.iter().position(|feed| feed.destination() == to);
                feed.map_or_else(|| Feed::from(to), |at| feeds.swap_remove(at))
            };
            return Self(given.into_iter().map(described).collect());
        }
        feeds.splice(0..0, output.map(Feed::from));
        if feeds.is_empty() {
            feeds.push(Feed::to("-"));
        }
        Self(feeds)
    }

    /// Writes these fields alone, in this order, if there are any: in each output that is no folder.
    ///
    /// # Errors
    /// Pages do not have one of them, one is named twice, or all outputs are folders.
    pub fn with_fields(self, fields: Vec<String>, columns: &[String]) -> Result<Self, Failure> {
        if fields.is_empty() {
            return Ok(self);
        }
        let fields: Vec<_> = fields.iter().map(|name| name.trim()).collect();
        if let Some(name) = fields.iter().find(|name| !columns.iter().any(|column| column == *name)) {
            return Err(Failure::usage(format!(
                "--fields names `{name}`, which pages do not have; add --select {name}=CSS, or name some of {}",
                columns.join(", ")
            )));
        }
        if let Some((_, name)) =
            fields.iter().enumerate().find(|(at, name)| fields.iter().take(*at).any(|one| one == *name))
        {
            return Err(Failure::usage(format!("--fields names `{name}` twice; name each field once")));
        }
        if self.0.iter().all(|feed| is_folder(feed.destination())) {
            return Err(Failure::usage("--fields is for files, and all pages go to folders of Markdown; leave it out"));
        }
        let selected =
            |feed: Feed| if is_folder(feed.destination()) { feed } else { feed.fields(fields.iter().copied()) };
        Ok(Self(self.0.into_iter().map(selected).collect()))
    }

    /// Returns the files and folders.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let files = self.0.iter().filter(|feed| format_of(feed) != Some(Format::Postgres));
        files.map(Feed::destination).filter(|path| path.as_os_str() != "-")
    }

    /// Checks their names, before anything is opened.
    ///
    /// # Errors
    /// A name says something unknown, or two outputs would be one.
    pub fn check(&self) -> Result<(), Failure> {
        if self.0.iter().filter(|feed| feed.destination().as_os_str() == "-").count() > 1 {
            return Err(Failure::usage("two outputs cannot both be stdout; name a file for one"));
        }
        let mut files = self.0.iter().filter(|feed| !is_folder(feed.destination()));
        Ok(files.try_for_each(Feed::check)?)
    }

    /// Checks that pages have the fields that they name.
    ///
    /// # Errors
    /// Names the one that pages do not have.
    pub fn check_fields(&self, fields: &[String]) -> Result<(), Failure> {
        Ok(self.0.iter().try_for_each(|feed| feed.check_for(fields))?)
    }

    /// Tells whether stdout is one of them.
    pub fn has_stdout(&self) -> bool {
        self.0.iter().any(|feed| feed.destination().as_os_str() == "-")
    }

    /// Tells whether pages become files of a folder.
    pub fn has_folder(&self) -> bool {
        self.paths().any(is_folder)
    }

    /// Tells whether one of them is CSV.
    pub fn has_csv(&self) -> bool {
        self.0.iter().any(|feed| !is_folder(feed.destination()) && format_of(feed) == Some(Format::Csv))
    }

    /// Adds pages to what is there.
    pub fn appending(self) -> Self {
        let append = |feed: Feed| if is_folder(feed.destination()) { feed } else { feed.append() };
        Self(self.0.into_iter().map(append).collect())
    }

    /// Adds them to a crawl as its pipelines. The columns of
    /// CSV and of tables are those of the spider's fields, unless the file names others.
    pub fn of(self, crawler: Crawler<PageSpider>, settings: &Settings, columns: &[String]) -> Crawler<PageSpider> {
        self.0.into_iter().fold(crawler, |crawler, mut feed| {
            if is_folder(feed.destination()) {
                return crawler.pipeline(MarkdownFolder::create(feed.destination()));
            }
            let has_columns = matches!(format_of(&feed), Some(Format::Csv | Format::Sqlite | Format::Postgres));
            if has_columns && !feed.has_fields() {
                feed = feed.fields(columns.iter().cloned());
            }
            crawler.pipeline(OfPages(if settings.pages.escape_formulas { feed.escape_formulas() } else { feed }))
        })
    }
}

/// A feed of pages. In how many of them each field is says nothing, since few pages have all that a page may have; what
/// was selected of them is counted by its schema.
struct OfPages(Feed);

impl Pipeline<PageItem> for OfPages {
    fn check(&self, start: &Start) -> Result<(), Error> {
        Pipeline::<PageItem>::check(&self.0, start)
    }

    fn start(&self, start: &Start) -> Result<Running<PageItem>, Error> {
        self.0.start(start)
    }

    fn max_unacknowledged(&self) -> usize {
        Pipeline::<PageItem>::max_unacknowledged(&self.0)
    }

    fn max_open_files(&self) -> usize {
        Pipeline::<PageItem>::max_open_files(&self.0)
    }
}

fn format_of(feed: &Feed) -> Option<Format> {
    feed.written_as().ok()
}

/// Ends quietly if the reader of the output has closed it, as in `… | head`.
///
/// # Errors
/// The reader has gone.
pub fn refuse_reader_gone(report: &Report) -> Result<(), Failure> {
    if report.failure.as_deref() == Some(PipelineError::ReaderGone.to_string().as_str()) {
        return Err(Failure::reader_gone());
    }
    Ok(())
}
