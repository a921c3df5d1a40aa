//! JSON Lines: one item a line, written before it is acknowledged.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use actix::{Actor, ArbiterHandle, Context, Handler};
use serde::Serialize;

use super::{
    CrawlEnded, Pipeline, PipelineError, Running, Scraped,
    records::{Records, append_lines, create_lines},
};
use crate::error::Error;

/// Writes each item as one line of JSON. A line is with the operating system before its item is acknowledged, so a
/// killed process loses no acknowledged item.
pub struct JsonLines {
    path: Option<PathBuf>,
    append: AtomicBool,
}

impl JsonLines {
    /// Writes to a file that is created, or emptied.
    pub fn create(path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), append: AtomicBool::new(false) }
    }

    /// Writes to the end of a file, which is created if it is not there.
    pub fn append(path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), append: AtomicBool::new(true) }
    }

    /// Writes to standard output.
    pub fn stdout() -> Self {
        Self { path: None, append: AtomicBool::new(true) }
    }

    fn open(&self) -> Result<Records, Error> {
        let Some(path) = &self.path else { return Ok(Records::stdout()) };
        // Emptied once; a restart after a panic goes on where the lines end.
        let again = self.append.swap(true, Ordering::Relaxed);
        let file = if again { append_lines(path) } else { create_lines(path) };
        Ok(file.map_err(|source| Error::file(path, source))?.into())
    }
}

impl<I: Serialize + Send + Sync + 'static> Pipeline<I> for JsonLines {
    fn start(&self, arbiter: &ArbiterHandle) -> Result<Running<I>, Error> {
        let lines = self.open()?;
        Ok(Running::start(arbiter, move || Writer { lines, line: Vec::new() }))
    }
}

struct Writer {
    lines: Records,
    line: Vec<u8>,
}

impl Actor for Writer {
    type Context = Context<Self>;
}

impl<I: Serialize + Send + Sync + 'static> Handler<Scraped<I>> for Writer {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, scraped: Scraped<I>, _: &mut Self::Context) -> Self::Result {
        self.line.clear();
        serde_json::to_writer(&mut self.line, &*scraped.item).map_err(PipelineError::refused)?;
        self.line.push(b'\n');
        self.lines.add(&self.line).map_err(PipelineError::refused)
    }
}

impl Handler<CrawlEnded> for Writer {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        // Each line was written before its item was acknowledged.
        Ok(())
    }
}
