//! CSV: one record a line, with each cell in the column of its name (RFC 4180). Knows no file system.

mod file;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read},
};

use super::{layout::Layout, streams::Streamed};
use crate::feed::{Record, SinkError, Value, columns::Columns};

/// One record a line, below a header.
pub(crate) struct CsvLayout {
    /// The file, for errors.
    at: String,
    /// The names that were given.
    given: Option<Vec<String>>,
    /// The columns in force; without them the first record sets them.
    columns: Option<Columns>,
    escape_formulas: bool,
    last: Last,
    /// What follows has no header, although no record is known.
    is_headless: bool,
}

/// The last record of the file that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Ended,
    /// It may be another program's, which has not ended it: RFC 4180 allows that.
    MayLackEnd,
    LacksEnd,
}

impl CsvLayout {
    /// Creates the layout of a file named `at`. With `may_lack_end`, its last record may be another program's, which
    /// has not ended it.
    pub fn new(at: String, given: Option<Vec<String>>, escape_formulas: bool, may_lack_end: bool) -> Self {
        let columns = given.clone().map(Columns::new);
        let last = if may_lack_end { Last::MayLackEnd } else { Last::Ended };
        Self { at, given, columns, escape_formulas, last, is_headless: false }
    }

    fn row(&self, columns: &Columns, record: &Record, to: &mut Vec<u8>) -> Result<(), SinkError> {
        let cells = columns.place(record, &self.at)?;
        line(cells.into_iter().map(|value| self.cell(value)), to);
        Ok(())
    }

    /// Writes the names, which may be a page's as well as the cells are.
    fn header(&self, names: &[String], to: &mut Vec<u8>) {
        line(names.iter().map(|name| self.escaped_name(name)), to);
    }

    fn cell<'v>(&self, value: &'v Value) -> Cow<'v, str> {
        if is_number(value) { value.to_cell() } else { self.escaped(value.to_cell()) }
    }

    fn escaped<'c>(&self, cell: Cow<'c, str>) -> Cow<'c, str> {
        if self.escape_formulas && cell.starts_with(BEGIN_FORMULAS) { Cow::Owned(format!("'{cell}")) } else { cell }
    }

    /// Returns a name as it is in the header: as [`CsvLayout::escaped`], and so that no two become one.
    fn escaped_name<'n>(&self, name: &'n str) -> Cow<'n, str> {
        if self.escape_formulas && is_formula(name) { Cow::Owned(format!("'{name}")) } else { Cow::Borrowed(name) }
    }

    /// Returns a name as it was before [`CsvLayout::escaped_name`].
    fn unescaped_name(&self, name: String) -> String {
        match name.strip_prefix('\'') {
            Some(rest) if self.escape_formulas && is_formula(rest) => rest.to_owned(),
            _ => name,
        }
    }
}

/// Tells whether a name is a formula, or that behind what escapes one.
fn is_formula(name: &str) -> bool {
    name.trim_start_matches('\'').starts_with(BEGIN_FORMULAS)
}

/// Tells whether a value is a number, or several: none is a formula.
fn is_number(value: &Value) -> bool {
    match value {
        Value::Integer(_) | Value::Float(_) => true,
        Value::List(values) => values.iter().all(is_number),
        _ => false,
    }
}

impl Layout for CsvLayout {
    fn beginning(&self) -> Vec<u8> {
        let mut header = Vec::new();
        if let Some(names) = &self.given {
            self.header(names, &mut header);
        }
        header
    }

    fn encode(&mut self, record: &Record, to: &mut Vec<u8>) -> Result<(), SinkError> {
        if let Some(columns) = &self.columns {
            return self.row(columns, record, to);
        }
        let columns = Columns::of(record);
        if columns.are_named() && !self.is_headless {
            self.header(columns.names(), to);
        }
        self.row(&columns, record, to)?;
        self.columns = Some(columns);
        Ok(())
    }

    fn end_of_records(&mut self, file: &mut File) -> io::Result<u64> {
        let found = file::end_of_records(file)?;
        let without_end = found.without_end.filter(|_| self.last == Last::MayLackEnd);
        self.last = if without_end.is_some() { Last::LacksEnd } else { Last::Ended };
        Ok(without_end.unwrap_or(found.whole))
    }

    fn go_on_after_line(&mut self) {
        self.last = Last::LacksEnd;
    }

    fn missing_end(&self) -> &'static [u8] {
        if self.last == Last::LacksEnd { b"\n" } else { b"" }
    }

    fn go_on(&mut self, content: &mut dyn Read, is_older: bool) -> io::Result<()> {
        let Some(header) = file::header(content)? else { return Ok(()) };
        let header: Vec<_> = header.into_iter().map(|name| self.unescaped_name(name)).collect();
        let missing = self.given.iter().flatten().find(|name| !header.contains(name));
        if let Some(missing) = missing {
            let why = format!(
                "it is added to and has no column `{missing}`; write to another file, or to columns that it has"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        self.columns = Some(if is_older { Columns::older(header) } else { Columns::new(header) });
        Ok(())
    }

    fn go_on_unseen(&mut self, streamed: Option<Streamed>) {
        match streamed {
            Some(Streamed { columns, .. }) => self.columns = columns.map(Columns::new),
            None => self.is_headless = true,
        }
    }

    fn streamed(&self) -> Streamed {
        let names = |columns: &Columns| columns.names().to_vec();
        Streamed { columns: self.columns.as_ref().map(names), ..Streamed::default() }
    }
}

/// The first characters that make a spreadsheet evaluate a cell as a formula (OWASP, CSV injection), and their
/// full-width forms.
const BEGIN_FORMULAS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Appends a line of cells, which are quoted where necessary.
fn line<'c>(cells: impl Iterator<Item = Cow<'c, str>>, to: &mut Vec<u8>) {
    let begin = to.len();
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            to.push(b',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            to.push(b'"');
            to.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
            to.push(b'"');
        } else {
            to.extend_from_slice(cell.as_bytes());
        }
    }
    if to.len() == begin {
        // An empty line is no record.
        to.extend_from_slice(b"\"\"");
    }
    to.push(b'\n');
}
