//! JSON Lines: one item a line, written before it is acknowledged.

use std::path::PathBuf;

use actix::{Actor, Context, Handler};
use serde::Serialize;

use super::{
    CrawlEnded, Pipeline, PipelineError, Running, Scraped, Start,
    records::{Records, append_lines, create_lines},
};
use crate::error::Error;

/// Writes each item as one line of JSON.
///
/// A line is passed to the operating system before its item is acknowledged, so a killed process loses no acknowledged
/// item. If the output can no longer be written, the crawl stops as failed.
///
/// ```
/// # use actix_crawler::prelude::*;
/// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<String>>>) {
/// let crawler = crawler.state("crawl/").pipeline(JsonLines::create("items.jsonl"));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct JsonLines {
    to: To,
}

#[derive(Clone, Debug)]
enum To {
    Stdout,
    File { path: PathBuf, append: bool },
}

impl JsonLines {
    /// Creates or empties the file. A crawl that resumes its state instead keeps the lines of earlier runs, cuts off an
    /// incomplete last line, and appends.
    pub fn create(path: impl Into<PathBuf>) -> Self {
        Self { to: To::File { path: path.into(), append: false } }
    }

    /// Appends to the file, creating it if necessary. An incomplete last line is cut off.
    pub fn append(path: impl Into<PathBuf>) -> Self {
        Self { to: To::File { path: path.into(), append: true } }
    }

    /// Writes to standard output. On a terminal, control characters are written as JSON escapes.
    pub fn stdout() -> Self {
        Self { to: To::Stdout }
    }

    fn open(&self, start: &Start) -> Result<Records, Error> {
        let To::File { path, append } = &self.to else { return Ok(Records::stdout()) };
        // Emptied once only: a restart after a panic appends.
        let keep = *append || start.resumes() || start.restarts() > 0;
        let file = if keep { append_lines(path) } else { create_lines(path) };
        Ok(Records::file(path, file.map_err(|source| Error::file(path, source))?))
    }
}

impl<I: Serialize + Send + Sync + 'static> Pipeline<I> for JsonLines {
    fn start(&self, start: &Start) -> Result<Running<I>, Error> {
        let lines = self.open(start)?;
        let on_terminal = lines.is_terminal();
        Ok(Running::start(start, move || Writer { lines, line: Vec::new(), on_terminal }))
    }
}

struct Writer {
    lines: Records,
    line: Vec<u8>,
    on_terminal: bool,
}

impl Actor for Writer {
    type Context = Context<Self>;
}

impl<I: Serialize + Send + Sync + 'static> Handler<Scraped<I>> for Writer {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, scraped: Scraped<I>, _: &mut Self::Context) -> Self::Result {
        self.line.clear();
        serde_json::to_writer(&mut self.line, &*scraped.item).map_err(PipelineError::refused)?;
        if self.on_terminal {
            escape_controls(&mut self.line);
        }
        self.line.push(b'\n');
        self.lines.add(&self.line)
    }
}

/// Writes DEL and the C1 control characters as JSON escapes: JSON allows them unescaped, and terminals interpret them.
fn escape_controls(line: &mut Vec<u8>) {
    let Ok(text) = std::str::from_utf8(line) else { return };
    if text.contains(char::is_control) {
        let escaped = text.chars().fold(String::with_capacity(text.len() + 16), |mut escaped, sign| {
            match sign {
                '\u{7f}'..='\u{9f}' => escaped.extend(format!("\\u{:04x}", u32::from(sign)).chars()),
                _ => escaped.push(sign),
            }
            escaped
        });
        *line = escaped.into_bytes();
    }
}

impl Handler<CrawlEnded> for Writer {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        // Each line was written before its item was acknowledged.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_on_a_terminal_has_no_control_character_and_says_the_same() {
        let text = "a\u{9b}31m\u{7f}\u{1b}[2J é";
        let mut line = serde_json::to_vec(text).unwrap();
        escape_controls(&mut line);
        assert!(!String::from_utf8(line.clone()).unwrap().contains(char::is_control));
        assert_eq!(serde_json::from_slice::<String>(&line).unwrap(), text);
    }
}
