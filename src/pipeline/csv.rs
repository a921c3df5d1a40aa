//! CSV: one item a record, its cells under the columns that they are named for. Knows rows, and nothing of what is in
//! them.

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

/// Writes each item as one CSV record (RFC 4180). Items are structs or maps of plain values and lists of them; a list
/// stands in one cell, with ` | ` between its values.
///
/// The columns are those of [`Csv::columns`], of the file that is added to, or of the first item, in this order. Every
/// cell stands under its name. A field that an item does not have leaves its cell empty. A field without a column is
/// refused: before anything is fetched if [`Csv::columns`] names it and the file has no such column, else with the item.
///
/// When the file cannot be written any more, the crawl stops as failed.
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
    /// The columns that hold now: a restart goes on with them.
    known: Shared,
}

/// The columns of a file, and whether they stand in a file that an earlier run wrote.
#[derive(Clone, Debug)]
struct Columns {
    names: Arc<[String]>,
    are_older: bool,
}

type Shared = Arc<Mutex<Option<Columns>>>;

impl Csv {
    /// Writes to a file that is created, or emptied. A crawl that resumes its state keeps the records of the runs
    /// before, cuts off a last record that is not whole, and adds to them.
    pub fn create(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), append: false, escape_formulas: false, given: None, known: Shared::default() }
    }

    /// Writes to the end of a file, which is created if it is not there. A last record that is not whole is cut off.
    pub fn append(path: impl Into<PathBuf>) -> Self {
        Self { append: true, ..Self::create(path) }
    }

    /// Names the columns. The header is then written at the start; without it, with the first item.
    #[must_use]
    pub fn columns<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.given = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Puts a `'` before texts that a spreadsheet would take for a formula: those that begin with `=`, `+`, `-`, `@`, a
    /// tab or a line end. Numbers stay as they are. For files that people open in a spreadsheet: see
    /// [CSV injection](https://owasp.org/www-community/attacks/CSV_Injection) at OWASP.
    #[must_use]
    pub fn escape_formulas(mut self) -> Self {
        self.escape_formulas = true;
        self
    }

    /// Opens the file, checks or writes its header, and notes the columns.
    fn open(&self, start: &Start) -> Result<Records, Error> {
        let path = &self.path;
        let wrong = |source| Error::file(path, source);
        if start.restarts() > 0 {
            // Its last line may be the middle of a record that the writer before still writes.
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
                // Noted once the header is written.
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

    /// Puts each cell under its name.
    fn in_columns(&self, fields: Vec<(String, Cell)>, columns: &Columns) -> Result<Vec<Cell>, PipelineError> {
        let mut cells = vec![Cell::default(); columns.names.len()];
        for (index, (name, cell)) in fields.into_iter().enumerate() {
            // Items of one type have their fields at the same places.
            let is_here = columns.names.get(index).is_some_and(|column| *column == name);
            let place = if is_here { Some(index) } else { columns.names.iter().position(|column| *column == name) };
            let Some(place) = place.and_then(|place| cells.get_mut(place)) else {
                let path = self.path.display();
                let why = format!("{path} has no column `{name}`; name all columns with Csv::columns");
                // The file of an earlier run will not have it for the next item either, whose page would be lost.
                let error = if columns.are_older { PipelineError::broken } else { PipelineError::refused };
                return Err(error(why));
            };
            *place = cell;
        }
        Ok(cells)
    }

    /// Writes a record, after the header if there is one to be written: both or neither.
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

/// Quotes where that is needed, and ends the line.
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
