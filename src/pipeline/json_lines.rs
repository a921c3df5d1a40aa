//! JSON Lines: a feed of one item a line, by a name of its own. Does not know how they are written.

use std::path::PathBuf;

use serde::Serialize;

use super::{Pipeline, Running, Start};
use crate::{
    error::Error,
    feed::{Feed, Format},
    validation::{FieldCounts, Validate},
};

/// Writes each item as one line of JSON: a [`Feed`] that names its format.
///
/// A line is passed to the operating system before its item is acknowledged, so a killed process loses no acknowledged
/// item; with a state it is on the disk by then. If the output can no longer be written, the crawl stops as failed.
///
/// ```
/// # use actix_crawler::prelude::*;
/// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<String>>>) {
/// let crawler = crawler.state("crawl/").pipeline(JsonLines::create("items.jsonl"));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct JsonLines(Feed);

impl JsonLines {
    /// Creates or empties the file. A crawl that resumes its state instead keeps the lines of earlier runs, cuts off an
    /// incomplete last line, and appends.
    pub fn create(path: impl Into<PathBuf>) -> Self {
        Self(Feed::to_path(path, Format::JsonLines))
    }

    /// Appends to the file, creating it if necessary. An incomplete last line is cut off.
    pub fn append(path: impl Into<PathBuf>) -> Self {
        Self(Feed::to_path(path, Format::JsonLines).append())
    }

    /// Writes to standard output. On a terminal, control characters are written as JSON escapes.
    pub fn stdout() -> Self {
        Self(Feed::to("-").format(Format::JsonLines))
    }
}

impl From<JsonLines> for Feed {
    fn from(lines: JsonLines) -> Self {
        lines.0
    }
}

impl<I: Serialize + Send + Sync + 'static> Pipeline<I> for JsonLines {
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
