//! CSV: one item a record, with a header from the fields of the first.

use std::{
    io,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use actix::{Actor, ArbiterHandle, Context, Handler};
use serde::Serialize;

use super::{
    CrawlEnded, Pipeline, PipelineError, Running, Scraped,
    records::{Records, create_lines, open_lines},
};
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
        // Emptied once. A restart after a panic goes on at the end: a last line may be the middle of a record.
        let again = self.started.swap(true, Ordering::Relaxed);
        let file = if again { open_lines(&self.path) } else { create_lines(&self.path) };
        let file = file.map_err(|source| Error::file(&self.path, source))?;
        let has_header = again && file.metadata().is_ok_and(|metadata| metadata.len() > 0);
        let records = Records::from(file);
        Ok(Running::start(arbiter, move || Writer { records, has_header }))
    }
}

struct Writer {
    records: Records,
    has_header: bool,
}

impl Writer {
    fn add(&mut self, item: &impl Serialize) -> io::Result<()> {
        let mut record = Vec::new();
        let mut writer = ::csv::WriterBuilder::new().has_headers(!self.has_header).from_writer(&mut record);
        writer.serialize(item)?;
        writer.flush()?;
        drop(writer);
        self.records.add(&record)?;
        self.has_header = true;
        Ok(())
    }
}

impl Actor for Writer {
    type Context = Context<Self>;
}

impl<I: Serialize + Send + Sync + 'static> Handler<Scraped<I>> for Writer {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, scraped: Scraped<I>, _: &mut Self::Context) -> Self::Result {
        self.add(&*scraped.item).map_err(PipelineError::refused)
    }
}

impl Handler<CrawlEnded> for Writer {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        // Each record was written before its item was acknowledged.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn the_header_comes_with_the_first_record_that_is_written() {
        #[derive(Serialize)]
        struct Item {
            name: &'static str,
            n: u32,
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("items.csv");
        let file = create_lines(&path).unwrap();
        let mut writer = Writer { records: File::open(&path).unwrap().into(), has_header: false };
        assert!(writer.add(&Item { name: "lost", n: 0 }).is_err(), "it is not open for writing");
        writer.records = file.into();
        writer.add(&Item { name: "a \"b\",\nc", n: 1 }).unwrap();
        writer.add(&Item { name: "d", n: 2 }).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "name,n\n\"a \"\"b\"\",\nc\",1\nd,2\n");
    }
}
