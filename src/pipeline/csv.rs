//! CSV: one item a record, with a header from the fields of the first.

use std::{
    fs::{File, OpenOptions},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use actix::{Actor, ArbiterHandle, Context, Handler};
use serde::Serialize;

use super::{CrawlEnded, Pipeline, PipelineError, Running, Scraped};
use crate::error::Error;

/// Writes each item as one CSV record (RFC 4180). Items are structs of plain fields.
pub struct Csv {
    path: PathBuf,
    started: AtomicBool,
}

impl Csv {
    /// Writes to a file that is created, or emptied.
    pub fn create(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), started: AtomicBool::new(false) }
    }
}

impl<I: Serialize + Send + Sync + 'static> Pipeline<I> for Csv {
    fn start(&self, arbiter: &ArbiterHandle) -> Result<Running<I>, Error> {
        let again = self.started.swap(true, Ordering::Relaxed);
        let mut options = OpenOptions::new();
        options.create(true).append(again).write(true).truncate(!again);
        let file = options.open(&self.path).map_err(|source| Error::file(&self.path, source))?;
        let has_header = again && file.metadata().is_ok_and(|metadata| metadata.len() > 0);
        let writer = ::csv::WriterBuilder::new().has_headers(!has_header).from_writer(file);
        Ok(Running::start(arbiter, move || Writer(writer)))
    }
}

struct Writer(::csv::Writer<File>);

impl Actor for Writer {
    type Context = Context<Self>;
}

impl<I: Serialize + Send + Sync + 'static> Handler<Scraped<I>> for Writer {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, scraped: Scraped<I>, _: &mut Self::Context) -> Self::Result {
        self.0.serialize(&*scraped.item).map_err(PipelineError::refused)?;
        self.0.flush().map_err(PipelineError::refused)
    }
}

impl Handler<CrawlEnded> for Writer {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        self.0.flush().map_err(PipelineError::refused)
    }
}
