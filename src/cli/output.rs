//! Output: chooses the library's writer for the pages of `crawl`.

use std::path::Path;

use actix_crawler::{Crawler, JsonLines, PipelineError, Report, pipeline::Csv};

use super::{exit::Failure, page::PageSpider};

/// The file and format for pages.
pub enum Output {
    Lines(JsonLines),
    Csv(Csv),
}

impl Output {
    /// Chooses the writer: CSV for a name that ends in .csv, JSON Lines for all others; `None` is stdout. With
    /// `append`, pages are added to the file.
    pub fn new(path: Option<&Path>, append: bool, columns: Vec<String>, escape_formulas: bool) -> Self {
        let Some(path) = path else { return Self::Lines(JsonLines::stdout()) };
        if !path.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv")) {
            return Self::Lines(if append { JsonLines::append(path) } else { JsonLines::create(path) });
        }
        let csv = if append { Csv::append(path) } else { Csv::create(path) }.columns(columns);
        Self::Csv(if escape_formulas { csv.escape_formulas() } else { csv })
    }

    /// Adds it to a crawl as its pipeline.
    pub fn of(self, crawler: Crawler<PageSpider>) -> Crawler<PageSpider> {
        match self {
            Self::Lines(lines) => crawler.pipeline(lines),
            Self::Csv(csv) => crawler.pipeline(csv),
        }
    }
}

/// Ends quietly if the reader of the output has closed it, as in `…
/// head`.
///
/// # Errors
/// The reader has gone.
pub fn refuse_reader_gone(report: &Report) -> Result<(), Failure> {
    if report.failure.as_deref() == Some(PipelineError::ReaderGone.to_string().as_str()) {
        return Err(Failure::reader_gone());
    }
    Ok(())
}
