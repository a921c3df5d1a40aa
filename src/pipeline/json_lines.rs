//! JSON Lines: one item a line, written before it is acknowledged.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use actix::{Actor, ArbiterHandle, Context, Handler};
use serde::Serialize;

use super::{CrawlEnded, Pipeline, PipelineError, Running, Scraped};
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

    fn open(&self) -> Result<Box<dyn Write + Send>, Error> {
        let Some(path) = &self.path else { return Ok(Box::new(io::stdout())) };
        // Emptied once; a restart after a panic goes on where the lines end.
        let again = self.append.swap(true, Ordering::Relaxed);
        let file =
            if again { append_lines(path) } else { File::create(path) }.map_err(|source| Error::file(path, source))?;
        Ok(Box::new(file))
    }
}

/// Opens a file of lines to add more, and creates it if it is not there. A last line without an end is cut off: whoever
/// wrote it was killed halfway, and what it said was never acknowledged.
///
/// # Errors
/// The file cannot be read or written.
pub fn append_lines(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        // A pipe or a terminal has no past.
        return Ok(file);
    }
    let mut unfinished = metadata.len();
    let mut block = vec![0; TAIL];
    while unfinished > 0 {
        let from = unfinished.saturating_sub(TAIL as u64);
        let length = usize::try_from(unfinished - from).unwrap_or(TAIL);
        file.seek(SeekFrom::Start(from))?;
        let Some(tail) = block.get_mut(..length) else { break };
        file.read_exact(tail)?;
        if let Some(last) = tail.iter().rposition(|byte| *byte == b'\n') {
            unfinished = from + last as u64 + 1;
            break;
        }
        unfinished = from;
    }
    if unfinished < metadata.len() {
        file.set_len(unfinished)?;
    }
    Ok(file)
}

/// The end of a file is looked through in pieces of this size, larger than most lines.
const TAIL: usize = 65_536;

impl<I: Serialize + Send + Sync + 'static> Pipeline<I> for JsonLines {
    fn start(&self, arbiter: &ArbiterHandle) -> Result<Running<I>, Error> {
        let output = self.open()?;
        Ok(Running::start(arbiter, move || Writer { output, line: Vec::new() }))
    }
}

struct Writer {
    output: Box<dyn Write + Send>,
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
        self.output.write_all(&self.line).map_err(PipelineError::refused)
    }
}

impl Handler<CrawlEnded> for Writer {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        self.output.flush().map_err(PipelineError::refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_not_finished_is_cut_off_before_more_are_added() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        for (before, after) in [("", "x\n"), ("a\n", "a\nx\n"), ("a\nhal", "a\nx\n"), ("hal", "x\n")] {
            std::fs::write(&path, before).unwrap();
            append_lines(&path).unwrap().write_all(b"x\n").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        }
        let long = format!("a\n{}", "b".repeat(3 * TAIL));
        std::fs::write(&path, long).unwrap();
        append_lines(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\n");
    }
}
