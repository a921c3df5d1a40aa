//! Postgres: a feed to a table of a PostgreSQL database. Knows no SQL (`schema`), and not how a commit survives the
//! loss of its connection (`store`).

mod cell;
mod failed;
mod kind;
mod marks;
mod schema;
mod store;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::{
    failed::WriteFailed,
    store::{CommitRows, TableStore},
};
use super::{
    Opening, Record, Sink, SinkError, Value,
    table::{FeedTable, Placing},
};
use crate::{
    error::Error,
    postgres::{Background, Server},
};

/// How long a commit waits for a server that cannot be reached, or for other sessions: as long as a restart takes, and
/// well below the five minutes that a pipeline has for an item.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// The longest name of a column in bytes; the server would cut off the rest.
const MAX_NAME: usize = 63;

/// Opens the table.
///
/// # Errors
/// The server cannot be reached, or the table cannot be used.
pub(super) fn open(url: &str, table: FeedTable, opening: Opening) -> Result<Box<dyn Sink>, Error> {
    Ok(Box::new(PostgresSink::open(url, table, opening, GIVE_UP_AFTER)?))
}

/// Checks that the table can be opened. Changes nothing.
///
/// # Errors
/// As [`open`].
pub(super) fn check(url: &str, table: FeedTable, opening: Opening) -> Result<(), Error> {
    let (background, mut store, mut placing) = prepared(url, table, GIVE_UP_AFTER)?;
    let found = background.block_on(store.check(opening))?;
    background.block_on(store.close());
    found.map_or(Ok(()), |existing| placing.exists(existing, opening))
}

fn prepared(url: &str, table: FeedTable, give_up_after: Duration) -> Result<(Background, TableStore, Placing), Error> {
    let server = Server::of(url, table.at(), &|why| table.wrong(why))?;
    let background = Background::new().map_err(Error::Start)?;
    if let Some(name) = table.given.iter().flatten().find(|name| !is_name(name)) {
        return Err(table.wrong(not_a_name(name)));
    }
    let placing = Placing::new(table.clone());
    Ok((background, TableStore::new(table, server, give_up_after), placing))
}

/// The rows of a table. Those since the last commit are in memory.
struct PostgresSink {
    background: Background,
    store: TableStore,
    placing: Placing,
    pending: Vec<Vec<Value>>,
}

impl PostgresSink {
    fn open(url: &str, table: FeedTable, opening: Opening, give_up_after: Duration) -> Result<Self, Error> {
        let (background, mut store, mut placing) = prepared(url, table, give_up_after)?;
        let found = background.block_on(store.open(opening))?;
        if let Some(existing) = found {
            placing.exists(existing, opening)?;
        }
        Ok(Self { background, store, placing, pending: Vec::new() })
    }
}

impl Sink for PostgresSink {
    fn write(&mut self, record: &Record) -> Result<(), SinkError> {
        self.pending.push(self.placing.row(record, row)?);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let (names, replaced) = (self.placing.names().unwrap_or_default(), self.placing.replaced());
        let rows = CommitRows { names, replaced: &replaced, values: &self.pending };
        let stored = self.background.block_on(self.store.commit(&rows));
        self.pending.clear();
        if stored.is_err() && !self.store.exists() {
            self.placing.forget();
        }
        stored
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.commit()?;
        self.background.block_on(self.store.close());
        Ok(())
    }
}

fn row(placing: &Placing, cells: Vec<&Value>) -> Result<Vec<Value>, SinkError> {
    let (names, at) = (placing.names().unwrap_or_default(), placing.table().at());
    for (name, value) in names.iter().zip(&cells) {
        if !is_name(name) {
            return Err(SinkError::refused(format!("{at}: {}", not_a_name(name))));
        }
        if cell::has_nul(value) {
            let why = "has a NUL character, which PostgreSQL cannot store; take it out, or drop such items";
            return Err(SinkError::refused(format!("{at}: `{name}` {why}")));
        }
    }
    Ok(cells.into_iter().cloned().collect())
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && !name.contains('\0')
}

fn not_a_name(name: &str) -> String {
    format!("`{name}` is no name of a column: it may have {MAX_NAME} bytes; name the `fields`, or rename this one")
}
