//! CSV: a feed of one item a line, by a name of its own. Does not know how they are written.

use std::path::PathBuf;

use serde::Serialize;

use super::{Pipeline, Running, Start};
use crate::{
    error::Error,
    feed::{Feed, Format},
    validation::{FieldCounts, Validate},
};

/// Writes each item as one CSV record (RFC 4180): a [`Feed`] that names its format. Fields within fields have columns
/// of their own, as `price.amount`; the values of a list share one cell, separated by <code> | </code>.
///
/// The columns are those of [`Csv::columns`], of the existing file, or of the first item, in this order of priority.
/// Every cell is written in the column of its name. A missing field leaves its cell empty. A field without a column is
/// refused: before anything is fetched if it is in [`Csv::columns`] and not in the file, else with the item.
///
/// If the file can no longer be written, the crawl stops as failed.
///
/// ```
/// # use actix_crawler::{pipeline::Csv, prelude::*};
/// # #[derive(serde::Serialize)]
/// # struct Quote { text: String, author: String }
/// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<Quote>>>) {
/// let quotes = Csv::create("quotes.csv").columns(["text", "author"]).escape_formulas();
/// let crawler = crawler.state("crawl/").pipeline(quotes);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Csv(Feed);

impl Csv {
    /// Creates or empties the file. A crawl that resumes its state instead keeps the records of earlier runs, cuts off
    /// an incomplete last record, and appends.
    pub fn create(path: impl Into<PathBuf>) -> Self {
        Self(Feed::to_path(path, Format::Csv))
    }

    /// Appends to the file, creating it if necessary. An incomplete last record is cut off; one that has all its cells
    /// and no line end, as another program may leave it, is kept.
    pub fn append(path: impl Into<PathBuf>) -> Self {
        Self(Feed::to_path(path, Format::Csv).append())
    }

    /// Sets the columns. The header is then written at the start; otherwise with the first item.
    #[must_use]
    pub fn columns<T: Into<String>>(self, names: impl IntoIterator<Item = T>) -> Self {
        Self(self.0.columns(names.into_iter().map(Into::into).collect()))
    }

    /// Adds a `'` before texts that a spreadsheet would evaluate as a formula: see [`Feed::escape_formulas`].
    #[must_use]
    pub fn escape_formulas(self) -> Self {
        Self(self.0.escape_formulas())
    }
}

impl From<Csv> for Feed {
    fn from(csv: Csv) -> Self {
        csv.0
    }
}

impl<I: Serialize + Send + Sync + 'static> Pipeline<I> for Csv {
    fn check(&self, start: &Start) -> Result<(), Error> {
        Pipeline::<I>::check(&self.0, start)
    }

    fn start(&self, start: &Start) -> Result<Running<I>, Error> {
        self.0.start(start)
    }

    fn max_unacknowledged(&self) -> usize {
        self.0.batched().items
    }

    fn fields(&self) -> Option<Box<dyn Validate<I>>> {
        Some(Box::new(FieldCounts))
    }
}
