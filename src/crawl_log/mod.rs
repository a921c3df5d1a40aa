//! CrawlLog: writes the lines of the crawl log to its file. Does not know what they mean.

pub mod lookup;

use std::{
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use actix::{Actor, Context, Handler, Recipient};

use crate::{
    disk::linked_file::LinkedFile,
    engine::LogLines,
    error::{self, Error},
    feed::{Outputs, check_writable},
    pipeline::{append_lines, create_lines},
    threads::own_arbiter::OwnArbiter,
};

/// The actor that writes the crawl log, as JSON Lines.
pub struct CrawlLog {
    path: PathBuf,
    output: BufWriter<LinkedFile>,
    /// Its own thread, so that a slow disk delays nothing else.
    arbiter: OwnArbiter,
}

impl CrawlLog {
    /// Checks that the file can be written, and is no other output's. Changes nothing.
    ///
    /// # Errors
    /// It cannot be, or is.
    pub fn check(path: &Path, outputs: &Outputs) -> error::Result<()> {
        check_writable(path).map_err(|source| Error::file(path, source))?;
        outputs.take(path)
    }

    /// Opens the file and starts the actor. An existing file is emptied, or continued with `append`.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn start(path: &Path, append: bool) -> error::Result<Recipient<LogLines>> {
        let file =
            if append { append_lines(path) } else { create_lines(path) }.map_err(|source| Error::file(path, source))?;
        let path = path.to_owned();
        let arbiter = OwnArbiter::new();
        let handle = arbiter.handle();
        let output = BufWriter::new(LinkedFile::of(file));
        let make = move |_: &mut Context<Self>| Self { path, output, arbiter };
        Ok(Self::start_in_arbiter(&handle, make).recipient())
    }
}

impl Actor for CrawlLog {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        self.arbiter.stop();
    }
}

impl Handler<LogLines> for CrawlLog {
    type Result = Result<(), String>;

    fn handle(&mut self, LogLines(lines): LogLines, _: &mut Self::Context) -> Self::Result {
        let mut write_all = || -> std::io::Result<()> {
            for line in &lines {
                serde_json::to_writer(&mut self.output, line)?;
                self.output.write_all(b"\n")?;
            }
            self.output.flush()
        };
        write_all().map_err(|error| format!("the crawl log {} cannot be written: {error}", self.path.display()))
    }
}
