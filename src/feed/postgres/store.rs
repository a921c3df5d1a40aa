//! TableStore: the connection to a database, and commits that survive its loss. Does not know what a record is.

use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt as _;
use hashbrown::HashSet;
use tokio::time::{sleep, timeout};
use tokio_postgres::{
    Transaction,
    types::{ToSql, Type},
};

use super::{
    cell,
    failed::{Remedy, WriteFailed},
    kind::ColumnType,
    marks::Marks,
    schema::{self, Class, PostgresColumn},
};
use crate::{
    clock,
    error::Error,
    feed::{
        Opening, SinkError, Value,
        table::{Existing, FeedTable},
    },
    postgres::{Connection, Server},
};

/// The waits before each further try, in milliseconds; together a minute.
const WAITS: [u64; 17] =
    [0, 50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 7_500, 7_500, 7_500];

/// The table in its database.
pub(super) struct TableStore {
    table: FeedTable,
    server: Server,
    /// How long a commit is tried.
    give_up_after: Duration,
    live: Option<Connection>,
    /// Those of the table; `None` while there is none.
    columns: Option<Vec<PostgresColumn>>,
    /// Whether they may be others by now.
    is_stale: bool,
    /// Text columns known to hold values; they are not retyped.
    mixed: HashSet<String>,
    marks: Option<Marks>,
    /// The number of the last commit.
    commits: i64,
}

/// What one commit writes.
pub(super) struct CommitRows<'r> {
    /// The names of the columns.
    pub names: &'r [String],
    /// Those that are replaced in a row which has the key of another.
    pub replaced: &'r [String],
    /// The values of each row, in the order of the names.
    pub values: &'r [Vec<Value>],
}

/// How far a commit has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CommitState {
    /// Nothing of it is there.
    Nothing,
    /// It may be there or not.
    Unknown,
}

impl TableStore {
    /// Creates a store that is not connected yet.
    pub fn new(table: FeedTable, server: Server, give_up_after: Duration) -> Self {
        Self {
            table,
            server,
            give_up_after,
            live: None,
            columns: None,
            is_stale: false,
            mixed: HashSet::new(),
            marks: None,
            commits: 0,
        }
    }

    /// Connects, and looks at the table. Returns its columns if it is there and stays.
    ///
    /// # Errors
    /// The server cannot be reached, or the table cannot be used.
    pub async fn open(&mut self, opening: Opening) -> Result<Option<Vec<Existing>>, Error> {
        self.begin(opening).await.map_err(|failed| failed.into_error(&self.table))?;
        Ok(self.columns.as_ref().map(|columns| columns.iter().map(PostgresColumn::existing).collect()))
    }

    /// Checks that it can be opened, and changes nothing. Returns the columns of the table if it is there and stays.
    ///
    /// # Errors
    /// As [`TableStore::open`].
    pub async fn check(&mut self, opening: Opening) -> Result<Option<Vec<Existing>>, Error> {
        let columns = self.look(opening, true).await.map_err(|failed| failed.into_error(&self.table))?;
        Ok(columns.map(|columns| columns.iter().map(PostgresColumn::existing).collect()))
    }

    async fn begin(&mut self, opening: Opening) -> Result<(), WriteFailed> {
        let columns = self.look(opening, false).await?;
        let Self { table, server, live, .. } = &mut *self;
        let client = &connected(live, server).await?.client;
        // With a key, a commit that is repeated changes nothing.
        let marks = if table.key.is_empty() { Marks::begin(client, table).await? } else { None };
        (self.columns, self.marks) = (columns, marks);
        Ok(())
    }

    /// Looks at the table. One that does not stay is dropped, unless that is only tried.
    async fn look(&mut self, opening: Opening, tries: bool) -> Result<Option<Vec<PostgresColumn>>, WriteFailed> {
        let Self { table, server, live, .. } = &mut *self;
        let client = &connected(live, server).await?.client;
        let found = schema::find(client, table).await?;
        let columns = match found {
            Some(found) if opening.keeps() => {
                let lacks = |name: &&String| !found.columns.iter().any(|column| column.name == **name);
                // `Placing` reports a key without a column.
                if !table.key.iter().any(|name| lacks(&name)) {
                    schema::check_key(client, table).await?;
                }
                Some(found.columns)
            }
            found => {
                if let Some(found) = found {
                    found.drop(client, table, tries).await?;
                }
                schema::check_creation(client, table).await?;
                None
            }
        };
        Ok(columns)
    }

    /// Tells whether the table is there.
    pub fn exists(&self) -> bool {
        self.columns.is_some()
    }

    /// Writes rows in one transaction. If the server goes away meanwhile, it is waited for.
    ///
    /// # Errors
    /// [`SinkError::Refused`] if a row does not fit; else nothing more can be written.
    pub async fn commit(&mut self, rows: &CommitRows<'_>) -> Result<(), SinkError> {
        self.commits += 1;
        let mut progress = CommitState::Nothing;
        let mut waits = WAITS.iter();
        let (begun, mut has_looked) = (clock::now(), false);
        loop {
            let left = self.give_up_after.saturating_sub(clock::now().saturating_duration_since(begun));
            let attempt = timeout(left, self.attempt(rows, &mut progress)).await;
            let Err(failed) = attempt.unwrap_or(Err(WriteFailed::Late)) else { return Ok(()) };
            let (remedy, at) = (failed.remedy(), self.table.at());
            let why = failed.why();
            // Someone else may have given a column its type; so may the commit of which nothing was heard.
            self.is_stale |= progress == CommitState::Unknown || failed.is_of_types();
            match remedy {
                Remedy::Refuse if failed.is_of_types() && !has_looked => has_looked = true,
                Remedy::Refuse => return Err(SinkError::refused(format!("{at}: {why}"))),
                Remedy::End => return Err(SinkError::broken(format!("{at} cannot be written: {why}"))),
                Remedy::Reconnect => self.live = None,
                Remedy::Retry => {}
            }
            if progress == CommitState::Unknown && self.table.key.is_empty() && self.marks.is_none() {
                return Err(SinkError::broken(format!(
                    "{at} was lost during a commit, and whether its rows are there is not known: {why}; set a `key`, or \
                     let the user make tables, and this is found out"
                )));
            }
            let is_late = clock::now().saturating_duration_since(begun) > self.give_up_after;
            let Some(wait) = waits.next().filter(|_| !is_late) else {
                let tried = humantime::format_duration(self.give_up_after);
                return Err(SinkError::broken(format!("{at} cannot be written: {why}; it was tried for {tried}")));
            };
            tracing::warn!(at, why, "the database is tried again");
            sleep(Duration::from_millis(*wait)).await;
        }
    }

    async fn attempt(&mut self, rows: &CommitRows<'_>, progress: &mut CommitState) -> Result<(), WriteFailed> {
        let Self { table, server, live, columns, is_stale, mixed, marks, commits, .. } = self;
        let client = &mut connected(live, server).await?.client;
        if (columns.is_none() || *is_stale)
            && let Some(found) = schema::find(client, table).await?
        {
            // The commit whose answer was lost has made the table, or another program has.
            *columns = Some(found.columns);
            *is_stale = false;
            mixed.clear();
        }
        let transaction = client.transaction().await?;
        let written = async {
            if let Some(marks) = marks
                && !marks.note(&transaction, *commits).await?
            {
                return Ok(None);
            }
            let written = columns_of(&transaction, table, columns.as_deref(), mixed, rows).await?;
            write(&transaction, table, &written, rows).await?;
            Ok(Some(written))
        };
        let written: Result<_, WriteFailed> = written.await;
        match written {
            Ok(Some(written)) => {
                *progress = CommitState::Unknown;
                transaction.commit().await.inspect_err(|error| {
                    if error.code().is_some() {
                        *progress = CommitState::Nothing;
                    }
                })?;
                let columns = columns.get_or_insert_default();
                for column in written {
                    match columns.iter_mut().find(|known| known.name == column.name) {
                        Some(known) => *known = column,
                        None => columns.push(column),
                    }
                }
                Ok(())
            }
            Ok(None) => Ok(transaction.rollback().await?),
            Err(failed) => {
                // Awaited, so that the server holds no locks until the next commit.
                transaction.rollback().await?;
                Err(failed)
            }
        }
    }

    /// Takes leave of the server. What was committed is there in any case.
    pub async fn close(&mut self) {
        let Some(Connection { client, task }) = self.live.take() else { return };
        if let Some(marks) = self.marks.take()
            && let Err(error) = marks.end(&client).await
        {
            tracing::debug!(%error, at = self.table.at(), "the row of a feed stays");
        }
        drop(client);
        if task.await.is_err() {
            tracing::debug!(at = self.table.at(), "the connection has panicked");
        }
    }
}

/// Returns the connection, a new one if there is none.
async fn connected<'l>(live: &'l mut Option<Connection>, server: &Server) -> Result<&'l mut Connection, WriteFailed> {
    if let Some(current) = live.take().filter(|live| !live.client.is_closed()) {
        return Ok(live.insert(current));
    }
    let new = server.connect().await?;
    // A transaction that this process is cut off from holds its locks no longer than that.
    new.client.batch_execute("SET idle_in_transaction_session_timeout = '30s'").await?;
    Ok(live.insert(new))
}

/// Returns the columns that are written, in their order; makes the table, and gives a type to columns that had no
/// values.
async fn columns_of(
    transaction: &Transaction<'_>,
    table: &FeedTable,
    known: Option<&[PostgresColumn]>,
    mixed: &mut HashSet<String>,
    rows: &CommitRows<'_>,
) -> Result<Vec<PostgresColumn>, WriteFailed> {
    let CommitRows { names, values: rows, .. } = *rows;
    let cells = |index: usize| rows.iter().filter_map(move |row| row.get(index));
    let Some(known) = known else {
        let made = |(index, name): (usize, &String)| PostgresColumn::made(name, ColumnType::of_all(cells(index)));
        let columns: Vec<_> = names.iter().enumerate().map(made).collect();
        return match transaction.batch_execute(&schema::create(table, &columns)).await {
            Ok(()) => Ok(columns),
            // 23505: of the catalog.
            Err(error) if error.code().is_some_and(|code| matches!(code.code(), "42P07" | "23505")) => {
                Err(WriteFailed::MadeMeanwhile)
            }
            Err(error) => Err(error.into()),
        };
    };
    let mut columns = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let column = known.iter().find(|column| column.name == *name).cloned();
        let mut column = column.ok_or_else(|| WriteFailed::Misfit(format!("there is no column `{name}`")))?;
        let kind = ColumnType::of_all(cells(index).filter(|value| **value != Value::Null));
        let has_text = cells(index).any(|value| matches!(value, Value::Text(_)));
        if column.is_of_feed
            && column.class == Class::Text
            && !has_text
            && kind != ColumnType::Text
            && !mixed.contains(name)
        {
            // Else another feed could write a value between the question and the change.
            transaction.batch_execute(&schema::lock(table)).await?;
            if transaction.query_typed_one(&schema::has_values(table, name), &[]).await?.try_get(0)? {
                mixed.insert(name.clone());
            } else {
                column = PostgresColumn::made(name, kind);
                transaction.batch_execute(&schema::retype(table, &column)).await?;
            }
        }
        columns.push(column);
    }
    Ok(columns)
}

async fn write(
    transaction: &Transaction<'_>,
    table: &FeedTable,
    columns: &[PostgresColumn],
    rows: &CommitRows<'_>,
) -> Result<(), WriteFailed> {
    let CommitRows { values: rows, replaced, .. } = *rows;
    let text = |(value, column): (&Value, &PostgresColumn)| {
        cell::text(value, column).map_err(|why| WriteFailed::Misfit(format!("the column `{}` {why}", column.name)))
    };
    let row = |row: &Vec<Value>| row.iter().zip(columns).map(text).collect::<Result<Vec<_>, _>>();
    let rows = rows.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    if table.key.is_empty() {
        let mut lines = Vec::new();
        for row in &rows {
            cell::copy_row(row.iter().map(Option::as_deref), &mut lines);
        }
        let copying = transaction.copy_in(&schema::copy(table, columns)).await?;
        let mut copying = std::pin::pin!(copying);
        copying.send(Bytes::from(lines)).await?;
        copying.finish().await?;
        return Ok(());
    }
    let is_of_key: Vec<_> = columns.iter().map(|column| table.key.contains(&column.name)).collect();
    let key = |row: &[Option<String>]| {
        let parts = row.iter().zip(&is_of_key).filter(|(_, is_of_key)| **is_of_key);
        parts.map(|(part, _)| part.clone()).collect::<Vec<_>>()
    };
    // The last of each key: a statement replaces no row twice.
    let mut seen = HashSet::new();
    let mut last: Vec<_> = rows.into_iter().rev().filter(|row| seen.insert(key(row))).collect();
    last.reverse();
    let mut lists: Vec<Vec<Option<String>>> = vec![Vec::with_capacity(last.len()); columns.len()];
    for row in last {
        for (list, text) in lists.iter_mut().zip(row) {
            list.push(text);
        }
    }
    let parameters: Vec<_> = lists.iter().map(|list| (list as &(dyn ToSql + Sync), Type::TEXT_ARRAY)).collect();
    transaction.execute_typed(&schema::upsert(table, columns, replaced), &parameters).await?;
    Ok(())
}
