//! Output: the pipeline that writes pages to a file or to stdout, as JSON Lines or CSV. When that cannot be written to
//! any more, it says so once, and the crawl ends.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use actix::{Actor, ArbiterHandle, Context, Handler};
use actix_crawler::{
    error::Error,
    pipeline::{CrawlEnded, Pipeline, PipelineError, Running, Scraped, append_lines, create_lines},
};
use tokio::sync::watch;

use super::{exit::Failure, page::Page};

/// Where pages go.
pub struct Output {
    /// `None` is stdout.
    path: Option<PathBuf>,
    columns: Vec<String>,
    begun: AtomicBool,
    broken: watch::Sender<Option<Broken>>,
}

/// Why the output cannot be written to any more.
#[derive(Clone, Debug)]
pub struct Broken {
    path: Option<PathBuf>,
    kind: io::ErrorKind,
    why: String,
}

impl Output {
    /// Creates the pipeline, and where it tells that it broke.
    /// With `append`, pages are added to what is in the file.
    pub fn new(path: Option<PathBuf>, columns: Vec<String>, append: bool) -> (Self, watch::Receiver<Option<Broken>>) {
        let (broken, tells) = watch::channel(None);
        (Self { path, columns, begun: AtomicBool::new(append), broken }, tells)
    }

    fn is_csv(&self) -> bool {
        self.path.as_ref().and_then(|path| path.extension()).is_some_and(|end| end.eq_ignore_ascii_case("csv"))
    }
}

impl Pipeline<Page> for Output {
    fn start(&self, arbiter: &ArbiterHandle) -> Result<Running<Page>, Error> {
        // Emptied once; a restart after a panic goes on where the lines end.
        let again = self.begun.swap(true, Ordering::Relaxed);
        let mut is_empty = !again;
        let to: Box<dyn Write + Send> = match &self.path {
            None => Box::new(io::stdout()),
            Some(path) => {
                let file = if again { append_lines(path) } else { create_lines(path) }
                    .map_err(|source| Error::file(path, source))?;
                is_empty = file.metadata().is_ok_and(|metadata| metadata.len() == 0);
                Box::new(file)
            }
        };
        let mut writer =
            Writer { to, csv: self.is_csv(), line: Vec::new(), path: self.path.clone(), broken: self.broken.clone() };
        if writer.csv && is_empty {
            // What cannot be written is told with the first page too.
            drop(writer.write(|line| csv_record(line, self.columns.iter())));
        }
        Ok(Running::start(arbiter, move || writer))
    }
}

struct Writer {
    to: Box<dyn Write + Send>,
    csv: bool,
    line: Vec<u8>,
    path: Option<PathBuf>,
    broken: watch::Sender<Option<Broken>>,
}

impl Writer {
    /// Writes one line whole, before its page is acknowledged.
    fn write(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Result<(), PipelineError> {
        self.line.clear();
        fill(&mut self.line).map_err(PipelineError::refused)?;
        self.to.write_all(&self.line).and_then(|()| self.to.flush()).map_err(|error| {
            let broken = Broken { path: self.path.clone(), kind: error.kind(), why: error.to_string() };
            self.broken.send_replace(Some(broken));
            PipelineError::refused(error)
        })
    }
}

fn json_line(line: &mut Vec<u8>, page: &Page) -> io::Result<()> {
    serde_json::to_writer(&mut *line, page)?;
    line.push(b'\n');
    Ok(())
}

fn csv_record<T: AsRef<[u8]>>(line: &mut Vec<u8>, cells: impl Iterator<Item = T>) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(line);
    writer.write_record(cells)?;
    writer.flush()
}

impl Actor for Writer {
    type Context = Context<Self>;
}

impl Handler<Scraped<Page>> for Writer {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, page: Scraped<Page>, _: &mut Self::Context) -> Self::Result {
        if self.csv {
            self.write(|line| csv_record(line, page.cells()))
        } else {
            self.write(|line| json_line(line, &page))
        }
    }
}

impl Handler<CrawlEnded> for Writer {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        match (broken.kind, broken.path) {
            // `… | head`: who reads has seen enough.
            (io::ErrorKind::BrokenPipe, None) => Self::reader_gone(),
            (_, path) => {
                let name = path.map_or_else(|| "stdout".to_owned(), |path| path.display().to_string());
                Self::not_run(format!("{name} cannot be written any more: {}; the crawl was stopped", broken.why))
            }
        }
    }
}
