//! CSV: writes each item as one record, with each cell in the column of its name. Does not know what the items mean.

mod file;
mod row;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use actix::{Actor, Context, Handler};
use serde::Serialize;

use self::row::{Cell, Row};
use super::{
    CrawlEnded, Pipeline, PipelineError, Running, Scraped, Start,
    records::{Records, create_lines, open_lines},
};
use crate::error::Error;

/// Writes each item as one CSV record (RFC 4180). Items are structs or maps of plain values and lists; the values of a
/// list share one cell, separated by `
/// `.
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
pub struct Csv {
    path: PathBuf,
    append: bool,
    escape_formulas: bool,
    given: Option<Vec<String>>,
    /// The current columns, kept over a restart of the pipeline.
    known: Shared,
}

/// The columns of a file, and whether an earlier run wrote them.
#[derive(Clone, Debug)]
struct Columns {
    names: Arc<[String]>,
    are_older: bool,
}

type Shared = Arc<Mutex<Option<Columns>>>;

impl Csv {
    /// Creates or empties the file. A crawl that resumes its state instead keeps the records of earlier runs, cuts off
    /// an incomplete last record, and appends.
    pub fn create(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), append: false, escape_formulas: false, given: None, known: Shared::default() }
    }

    /// Appends to the file, creating it if necessary. An incomplete last record is cut off.
    pub fn append(path: impl Into<PathBuf>) -> Self {
        Self { append: true, ..Self::create(path) }
    }

    /// Sets the columns. The header is then written at the start; otherwise with the first item.
    #[must_use]
    pub fn columns<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.given = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Adds a `'` before texts that a spreadsheet would evaluate as a formula: those that begin with `=`, `+`, `-`,
    /// `@`, a tab or a line end. Numbers are unchanged. For files that people open in a spreadsheet: see [CSV
    /// injection](https://owasp.org/www-community/attacks/CSV_Injection) at OWASP.
    #[must_use]
    pub fn escape_formulas(mut self) -> Self {
        self.escape_formulas = true;
        self
    }

    /// Opens the file, checks or writes its header, and stores the columns.
    fn open(&self, start: &Start) -> Result<Records, Error> {
        let path = &self.path;
        let wrong = |source| Error::file(path, source);
        if start.restarts() > 0 {
            // The last line may belong to a record that the previous writer is still writing.
            return Ok(Records::file(path, open_lines(path).map_err(wrong)?));
        }
        let keep = self.append || start.resumes();
        let mut file = if keep { file::append(path) } else { create_lines(path) }.map_err(wrong)?;
        let older = file::header(&mut file).map_err(wrong)?;
        let mut records = Records::file(path, file);
        let columns = match (older, &self.given) {
            (Some(older), given) => {
                let missing = given.iter().flatten().find(|name| !older.contains(name));
                if let Some(missing) = missing {
                    let path = path.display();
                    let why = format!(
                        "{path} is added to and has no column `{missing}`; write to another file, or to columns that it has"
                    );
                    return Err(Error::setting("CSV columns", why));
                }
                Some(Columns { names: older.into(), are_older: true })
            }
            (None, Some(given)) => {
                let header = given.iter().map(String::as_bytes);
                records.write(&record(header).map_err(wrong)?).map_err(wrong)?;
                Some(Columns { names: given.as_slice().into(), are_older: false })
            }
            (None, None) => None,
        };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = columns;
        Ok(records)
    }
}

impl<I: Serialize + Send + Sync + 'static> Pipeline<I> for Csv {
    fn start(&self, start: &Start) -> Result<Running<I>, Error> {
        let writer = Writer {
            records: self.open(start)?,
            path: self.path.clone(),
            known: self.known.clone(),
            escape_formulas: self.escape_formulas,
        };
        Ok(Running::start(start, move || writer))
    }
}

struct Writer {
    records: Records,
    path: PathBuf,
    known: Shared,
    escape_formulas: bool,
}

impl Writer {
    fn add(&mut self, item: &impl Serialize) -> Result<(), PipelineError> {
        let row = Row::of(item).map_err(PipelineError::refused)?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (row, known) {
            (Row::Named(fields), Some(columns)) => {
                let cells = self.in_columns(fields, &columns)?;
                self.write(None, &cells)
            }
            (Row::Named(fields), None) => {
                let (names, cells): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
                let columns = Columns { names: names.into(), are_older: false };
                self.write(Some(&columns.names), &cells)?;
                // Stored only after the header is written.
                *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(columns);
                Ok(())
            }
            (Row::Unnamed(cells), Some(columns)) if cells.len() != columns.names.len() => {
                let (cells, columns) = (cells.len(), columns.names.len());
                Err(PipelineError::refused(format!("an item has {cells} cells, and the file {columns} columns")))
            }
            (Row::Unnamed(cells), Some(_)) => self.write(None, &cells),
            (Row::Unnamed(cells), None) => {
                self.write(None, &cells)?;
                // A file without a header has columns without names, as many as its first record has cells.
                let names = vec![String::new(); cells.len()].into();
                *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Columns { names, are_older: false });
                Ok(())
            }
        }
    }

    /// Sorts cells into the columns of their names.
    fn in_columns(&self, fields: Vec<(String, Cell)>, columns: &Columns) -> Result<Vec<Cell>, PipelineError> {
        let mut cells = vec![Cell::default(); columns.names.len()];
        for (index, (name, cell)) in fields.into_iter().enumerate() {
            // Items of one type have their fields in the same positions.
            let is_here = columns.names.get(index).is_some_and(|column| *column == name);
            let place = if is_here { Some(index) } else { columns.names.iter().position(|column| *column == name) };
            let Some(place) = place.and_then(|place| cells.get_mut(place)) else {
                let path = self.path.display();
                let why = format!("{path} has no column `{name}`; name all columns with Csv::columns");
                // A file of an earlier run will not get this column, so every further item would be refused and its
                // page lost.
                let error = if columns.are_older { PipelineError::broken } else { PipelineError::refused };
                return Err(error(why));
            };
            *place = cell;
        }
        Ok(cells)
    }

    /// Writes a record, after the header if there is one to write: both or neither.
    fn write(&mut self, header: Option<&[String]>, cells: &[Cell]) -> Result<(), PipelineError> {
        let cells: Vec<_> = cells.iter().map(|cell| cell.text(self.escape_formulas)).collect();
        let mut bytes = match header {
            Some(names) => record(names.iter().map(String::as_bytes)).map_err(PipelineError::refused)?,
            None => Vec::new(),
        };
        bytes.extend(record(cells.iter().map(|cell| cell.as_bytes())).map_err(PipelineError::refused)?);
        self.records.add(&bytes)
    }
}

/// Formats a record with its line end, quoting cells where necessary.
fn record<'a>(cells: impl Iterator<Item = &'a [u8]>) -> std::io::Result<Vec<u8>> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(cells)?;
    writer.into_inner().map_err(::csv::IntoInnerError::into_error)
}

impl Actor for Writer {
    type Context = Context<Self>;
}

impl<I: Serialize + Send + Sync + 'static> Handler<Scraped<I>> for Writer {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, scraped: Scraped<I>, _: &mut Self::Context) -> Self::Result {
        self.add(&*scraped.item)
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
mod tests;
