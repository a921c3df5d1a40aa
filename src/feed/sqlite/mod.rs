//! Sqlite: a feed to a table of a SQLite database. Does not know what its values are like there (`value`).

mod schema;
#[cfg(test)]
mod tests;
mod value;

use std::{io, path::Path, time::Duration};

use rusqlite::{Connection, Error as SqlError, ErrorCode, OpenFlags, TransactionBehavior, params_from_iter, types};

use self::{
    schema::{create, insert},
    value::Affinity,
};
use super::{
    Opening, Record, Sink, SinkError, Value,
    outputs::check_writable,
    table::{FeedTable, Placing},
};
use crate::error::Error;

/// How long another program may lock the database before that is an error: longer than an ordinary transaction, and
/// shorter than the time that a pipeline has for an item.
const BUSY: Duration = Duration::from_secs(10);

/// Opens the table. With `syncs`, what is committed is on the disk itself.
///
/// # Errors
/// The file is no database or cannot be written, or the table cannot be used.
pub(super) fn open(path: &Path, table: FeedTable, opening: Opening, syncs: bool) -> Result<Box<dyn Sink>, Error> {
    check_folder(path)?;
    let at = table.clone();
    match SqliteSink::open(path, table, opening, syncs) {
        Ok(sink) => Ok(Box::new(sink)),
        Err(why) => Err(why.of(&at)),
    }
}

/// Checks that the table can be opened. Changes nothing.
///
/// # Errors
/// As [`open`].
pub(super) fn check(path: &Path, table: &FeedTable, opening: Opening) -> Result<(), Error> {
    check_folder(path)?;
    if !path.exists() {
        return check_writable(path).map_err(|source| Error::file(path, source));
    }
    SqliteSink::check(path, table, opening).map_err(|why| why.of(table))
}

fn check_folder(path: &Path) -> Result<(), Error> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        Some(folder) => Err(Error::file(folder, io::Error::from(io::ErrorKind::NotFound))),
        None => Ok(()),
    }
}

/// Why it does not open.
enum OpenError {
    Sql(SqlError),
    Setting(Error),
}

impl OpenError {
    fn of(self, table: &FeedTable) -> Error {
        match self {
            Self::Sql(SqlError::SqliteFailure(code, _)) if code.code == ErrorCode::NotADatabase => {
                table.wrong("the file is no SQLite database, and is left as it is; write to another one")
            }
            Self::Sql(error) => table.wrong(format!("it cannot be written: {error}")),
            Self::Setting(error) => error,
        }
    }
}

impl From<SqlError> for OpenError {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        Self::Setting(error)
    }
}

/// The rows of a table. Those since the last commit are in memory, so that the database is locked by commits alone.
struct SqliteSink {
    connection: Connection,
    placing: Placing,
    /// Whether the table is there.
    exists: bool,
    /// The type affinities of the table's columns, by name; empty for a table that a feed has made.
    affinities: Vec<(String, Affinity)>,
    pending: Vec<Vec<types::Value>>,
    /// The mode of the journal that was there, if it was changed.
    journal_before: Option<String>,
}

impl SqliteSink {
    fn open(path: &Path, table: FeedTable, opening: Opening, syncs: bool) -> Result<Self, OpenError> {
        // Without the flag for URIs: a path is what it is.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        let journal_before = write_ahead(&connection)?;
        // With a log that is written ahead, `NORMAL` survives a kill, and `FULL` a power failure too.
        connection.pragma_update(None, "synchronous", if syncs { "FULL" } else { "NORMAL" })?;
        let mut placing = Placing::new(table);
        let mut affinities = Vec::new();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut found = schema::find(&transaction, placing.table())?;
        if let Some(there) = &found {
            if opening.keeps() {
                affinities = there.affinities();
                placing.exists(there.existing(), opening)?;
                schema::check_key(&transaction, placing.table())?;
            } else {
                there.drop(&transaction, placing.table())?;
                found = None;
            }
        }
        if let (None, Some(names)) = (&found, placing.names()) {
            transaction.execute_batch(&create(placing.table(), names))?;
        }
        transaction.commit()?;
        let exists = found.is_some() || placing.names().is_some();
        Ok(Self { connection, placing, exists, affinities, pending: Vec::new(), journal_before })
    }

    fn check(path: &Path, table: &FeedTable, opening: Opening) -> Result<(), OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        // Rolled back at its end; it fails if the file cannot be written.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        match schema::find(&transaction, table)? {
            Some(there) if opening.keeps() => {
                Placing::new(table.clone()).exists(there.existing(), opening)?;
                schema::check_key(&transaction, table)
            }
            Some(there) => there.check_drop(table),
            None => Ok(()),
        }
    }

    /// Writes what is pending, in one transaction.
    fn store(&mut self) -> Result<(), SqlError> {
        let names = self.placing.names().unwrap_or_default();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another feed may have made it meanwhile.
        if !self.exists && !schema::is_there(&transaction, self.placing.table())? {
            transaction.execute_batch(&create(self.placing.table(), names))?;
        }
        {
            let mut insert = transaction.prepare(&insert(self.placing.table(), names, &self.placing.replaced()))?;
            for row in &self.pending {
                insert.execute(params_from_iter(row))?;
            }
        }
        transaction.commit()
    }

    fn failed(&self, error: &SqlError) -> SinkError {
        let at = self.placing.table().at();
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
                SinkError::refused(format!("{at}: {error}"))
            }
            // A table made from the first item may have field names that SQLite does not accept.
            Some(ErrorCode::Unknown) if !self.exists => SinkError::refused(format!("{at}: {error}")),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                SinkError::broken(format!("{at} cannot be written: another program holds the database"))
            }
            _ => SinkError::broken(format!("{at} cannot be written: {error}")),
        }
    }
}

/// Makes a row, in which each value is as the table's columns would have it.
fn row(
    placing: &Placing,
    affinities: &[(String, Affinity)],
    cells: Vec<&Value>,
) -> Result<Vec<types::Value>, SinkError> {
    if affinities.is_empty() {
        return Ok(cells.into_iter().map(value::of).collect());
    }
    let names = placing.names().unwrap_or_default().iter();
    let fit = |(cell, name): (&Value, &String)| {
        let affinity = affinities.iter().find(|(column, _)| column == name);
        let affinity = affinity.map_or(Affinity::None, |(_, affinity)| *affinity);
        let refused = |why| SinkError::refused(format!("{}: the column `{name}` {why}", placing.table().at()));
        affinity.fit(value::of(cell)).map_err(refused)
    };
    cells.into_iter().zip(names).map(fit).collect()
}

/// Has changes written ahead to a log beside the file, where that can be: readers then see what is committed, whatever
/// is being written. Returns the mode that was there, if it was another.
fn write_ahead(connection: &Connection) -> Result<Option<String>, SqlError> {
    let before: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if before == "wal" {
        return Ok(None);
    }
    let now = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0));
    match now {
        Ok(now) => Ok((now == "wal").then_some(before)),
        // Someone reads it just now. In the mode that was there, a reader sees what is committed too, but may wait.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Sink for SqliteSink {
    fn write(&mut self, record: &Record) -> Result<(), SinkError> {
        let affinities = &self.affinities;
        self.pending.push(self.placing.row(record, |placing, cells| row(placing, affinities, cells))?);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let stored = self.store();
        self.pending.clear();
        match stored {
            Ok(()) => {
                self.exists = true;
                Ok(())
            }
            Err(error) => {
                let failed = self.failed(&error);
                if !self.exists {
                    self.placing.forget();
                }
                Err(failed)
            }
        }
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.commit()?;
        if let Some(before) = self.journal_before.take() {
            // One file remains, in the mode that it had. While others have it open it stays as it is, which is as good.
            let restored = self
                .connection
                .busy_timeout(Duration::ZERO)
                .and_then(|()| self.connection.pragma_update_and_check(None, "journal_mode", before, |_| Ok(())));
            if let Err(error) = restored {
                tracing::debug!(%error, at = self.placing.table().at(), "the journal's mode stays");
            }
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        let of = |pragma| self.connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        match (of("page_count"), of("page_size")) {
            (Ok(pages), Ok(size)) => u64::try_from(pages.saturating_mul(size)).unwrap_or(0),
            // Not known, as the trait has it.
            _ => 0,
        }
    }
}
