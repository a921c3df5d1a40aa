//! Parquet: a feed in a file of columns, which is there when it is whole. Knows no names of feeds.
//!
//! A Parquet file has no records before its end is written. So rows are committed to a journal beside it, in the folder
//! `items.parquet.part`; when they are many they become a row group, a file of its own. When the feed closes, the row
//! groups are put together, and the whole file takes its place by a rename. After a kill, the next run continues from
//! these files.

mod buffer;
mod kind;
mod part;
mod row;
mod schema;
#[cfg(test)]
mod tests;
mod whole;

use std::{
    fs, io,
    io::BufRead as _,
    path::{Path, PathBuf},
};

use self::{
    part::PartFolder,
    row::RowCells,
    schema::{Note, ParquetSchema},
};
use super::{
    Opening, Record, Sink, SinkError,
    files::records::{Records, append_lines},
    outputs::check_writable,
};
use crate::{
    disk::{file_identity::followed, synced_folder::sync_name},
    error::Error,
};

/// How much becomes a row group: enough that readers skip few and compress well, and little enough for memory.
#[derive(Clone, Copy, Debug)]
struct RowGroupSize {
    rows: u64,
    /// In the journal.
    bytes: u64,
}

const GROUP: RowGroupSize = RowGroupSize { rows: 131_072, bytes: 32 << 20 };

/// What is held before it goes to the journal, at the most.
const MAX_PENDING: usize = 4 << 20;

/// Opens the sink of a file. Its columns are those that are named, or those of all records.
///
/// # Errors
/// It cannot be written, or is there and was not written here.
pub(super) fn open(path: &Path, named: &[String], opening: Opening, syncs: bool) -> Result<Box<dyn Sink>, Error> {
    let sink = ParquetSink::open(path, named, opening, syncs, GROUP);
    Ok(Box::new(sink.map_err(|error| wrong(path, error))?))
}

/// Checks that the sink of a file can be opened. Changes nothing.
///
/// # Errors
/// As [`open`].
pub(super) fn check(path: &Path, opening: Opening) -> Result<(), Error> {
    let look = || {
        look(path, opening)?;
        if is_unfinished(path) { PartFolder::check(path) } else { check_writable(&PartFolder::folder_of(path)) }
    };
    look().map_err(|error| wrong(path, error))
}

fn wrong(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData => Error::setting(path.display().to_string(), error.to_string()),
        _ => Error::file(path, error),
    }
}

/// What is there.
struct ExistingFile {
    /// Whether there is a file.
    is_there: bool,
    /// What it says of itself, if it goes on.
    note: Option<Note>,
}

/// Looks at the file that is there.
///
/// # Errors
/// It cannot go on, or not be read.
fn look(path: &Path, opening: Opening) -> io::Result<ExistingFile> {
    let foreign = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let is_there = match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            return Err(foreign("a Parquet file is written at its end, so it cannot go to a pipe or a folder"));
        }
        Ok(metadata) => metadata.len() > 0,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    if !opening.keeps() || !is_there {
        return Ok(ExistingFile { is_there, note: None });
    }
    let other = "it was not written here, so nothing is added; write to another file";
    // What it says of itself may be anything.
    let note = whole::note_of(fs::File::open(path)?).map_err(|_| foreign(other))?;
    Ok(ExistingFile { is_there, note: Some(note.ok_or_else(|| foreign(other))?) })
}

/// Tells whether a file is not whole yet, as one that a kill has left.
pub(super) fn is_unfinished(path: &Path) -> bool {
    PartFolder::folder_of(path).is_dir()
}

struct ParquetSink {
    path: PathBuf,
    named: Vec<String>,
    schema: ParquetSchema,
    part: PartFolder,
    journal: Records,
    /// Lines for the journal.
    pending: Vec<u8>,
    /// Those of the journal, with the pending ones.
    rows: u64,
    /// Whether the journal has the schema.
    is_noted: bool,
    /// The size of what was written before: of the file, and of the row groups.
    older: u64,
    /// Whether the file is there and goes on.
    goes_on: bool,
    group: RowGroupSize,
    syncs: bool,
    /// Nothing is acknowledged any more once something was lost.
    broken: Option<SinkError>,
}

impl ParquetSink {
    fn open(path: &Path, named: &[String], opening: Opening, syncs: bool, group: RowGroupSize) -> io::Result<Self> {
        let ExistingFile { is_there, note } = look(path, opening)?;
        let path = &*followed(path);
        let goes_on = note.is_some();
        let part = PartFolder::take(path, opening.keeps(), note.as_ref().map(|note| &*note.part), syncs)?;
        if !opening.keeps() && is_there {
            fs::remove_file(path)?;
        }
        let mut schema = match part.groups().last() {
            Some(last) => whole::note_of(fs::File::open(last)?)?.map(|note| note.schema),
            None => note.map(|note| note.schema),
        }
        .unwrap_or_default();
        let (journal, rows) = journal(&part, &mut schema, syncs)?;
        schema.add(named);
        let mut older = if goes_on { fs::metadata(path)?.len() } else { 0 };
        for group in part.groups() {
            older += fs::metadata(group)?.len();
        }
        Ok(Self {
            path: path.to_owned(),
            named: named.to_owned(),
            schema,
            part,
            journal: journal.synced(syncs),
            pending: Vec::new(),
            rows,
            is_noted: false,
            older,
            goes_on,
            group,
            syncs,
            broken: None,
        })
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut added = self.journal.add(&self.pending);
        self.pending.clear();
        if added.is_ok() && (self.rows >= self.group.rows || self.journal.bytes() >= self.group.bytes) {
            added = self.end_group().map_err(|error| self.broken(&error));
        }
        added.inspect_err(|error| self.broken = Some(error.clone()))
    }

    fn broken(&self, error: &io::Error) -> SinkError {
        SinkError::broken(format!("{} cannot be written any more: {error}", self.path.display()))
    }

    /// Makes a row group of the journal.
    fn end_group(&mut self) -> io::Result<()> {
        let (journal, note) = (self.part.journal(), self.note(self.schema.clone()));
        self.part.add_group(|file| whole::write_group(&journal, &note, file))?;
        if let Some(group) = self.part.groups().last() {
            self.older += fs::metadata(group)?.len();
        }
        let (journal, _) = self::journal(&self.part, &mut self.schema, self.syncs)?;
        (self.journal, self.rows, self.is_noted) = (journal.synced(self.syncs), 0, false);
        Ok(())
    }

    fn note(&self, schema: ParquetSchema) -> Note {
        Note { part: self.part.id().to_owned(), schema }
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.rows > 0 {
            self.end_group()?;
        }
        let schema = self.schema.visible(&self.named);
        // A file without columns is none that others read.
        let is_due = self.part.has_groups() || !self.goes_on;
        if is_due && !schema.columns.is_empty() {
            let older = self.goes_on.then(|| self.path.clone());
            let parts: Vec<_> = older.into_iter().chain(self.part.groups()).collect();
            let note = self.note(schema);
            self.part.write_whole(&self.path, |file| whole::write_whole(&parts, &note, file))?;
        }
        Ok(())
    }
}

/// Opens the journal, without the line that a kill has torn. Returns its number of rows; `schema` becomes that of its
/// last.
fn journal(part: &PartFolder, schema: &mut ParquetSchema, syncs: bool) -> io::Result<(Records, u64)> {
    let path = part.journal();
    let file = append_lines(&path)?;
    part.protect(&file);
    if syncs {
        sync_name(&path)?;
    }
    let (mut rows, mut line) = (0, Vec::new());
    let mut lines = io::BufReader::with_capacity(1 << 16, fs::File::open(&path)?);
    while lines.read_until(b'\n', &mut line)? > 0 {
        if line.starts_with(b"{") {
            *schema = serde_json::from_slice(&line)?;
        } else {
            rows += 1;
        }
        line.clear();
    }
    Ok((Records::file(&path, file), rows))
}

impl Sink for ParquetSink {
    fn write(&mut self, record: &Record) -> Result<(), SinkError> {
        let placed = self.schema.place(record, &self.named)?;
        let before = self.pending.len();
        let columns = placed.schema.as_ref().unwrap_or(&self.schema);
        let line = |to: &mut Vec<u8>| {
            if placed.schema.is_some() || !self.is_noted {
                serde_json::to_writer(&mut *to, columns)?;
                to.push(b'\n');
            }
            serde_json::to_writer(&mut *to, &RowCells { columns: &columns.columns, cells: &placed.cells })?;
            to.push(b'\n');
            Ok::<_, serde_json::Error>(())
        };
        if let Err(error) = line(&mut self.pending) {
            self.pending.truncate(before);
            return Err(SinkError::refused(error));
        }
        if let Some(schema) = placed.schema {
            self.schema = schema;
        }
        self.is_noted = true;
        self.rows += 1;
        if self.pending.len() >= MAX_PENDING { self.flush() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        self.flush()
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.flush()?;
        self.finish().map_err(|error| self.broken(&error))?;
        self.part.remove().map_err(|error| self.broken(&error))
    }

    fn bytes(&self) -> u64 {
        self.older + self.journal.bytes() + self.pending.len() as u64
    }
}
