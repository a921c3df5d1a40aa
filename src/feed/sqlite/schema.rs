//! Schema: the table as SQLite has it: found, made, and dropped. Knows no records.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{OpenError, value::Affinity};
use crate::feed::table::{
    Existing, FeedTable, MADE_BY_FEED,
    sql::{list, quoted, replacing},
};

/// A table that is there.
pub(super) struct SqliteTable {
    is_of_feed: bool,
    columns: Vec<SqliteColumn>,
}

struct SqliteColumn {
    name: String,
    declared: String,
    fills_itself: bool,
}

/// Looks for the table.
///
/// # Errors
/// It is a view, or the database cannot be read.
pub(super) fn find(connection: &Connection, table: &FeedTable) -> Result<Option<SqliteTable>, OpenError> {
    let there = connection
        .query_row(
            "SELECT type, sql FROM sqlite_master WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')",
            [&table.name],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?.unwrap_or_default())),
        )
        .optional()?;
    let Some((kind, sql)) = there else { return Ok(None) };
    if kind != "table" {
        return Err(table.wrong("it is a view; name another `table`").into());
    }
    let mut columns = connection
        .prepare("SELECT name, type, dflt_value IS NOT NULL OR hidden > 0, pk FROM pragma_table_xinfo(?1)")?;
    let columns = columns
        .query_map(params![table.name], |row| {
            Ok((
                SqliteColumn { name: row.get(0)?, declared: row.get(1)?, fills_itself: row.get(2)? },
                row.get::<_, u32>(3)? > 0,
            ))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let of_key = columns.iter().filter(|(_, is_of_key)| *is_of_key).count();
    let columns = columns.into_iter().map(|(column, is_of_key)| {
        // An `INTEGER PRIMARY KEY` is an alias of the row number.
        let is_row_id = is_of_key && of_key == 1 && column.declared.eq_ignore_ascii_case("integer");
        SqliteColumn { fills_itself: column.fills_itself || is_row_id, ..column }
    });
    Ok(Some(SqliteTable { is_of_feed: sql.contains(MADE_BY_FEED), columns: columns.collect() }))
}

/// Tells whether the table is there.
///
/// # Errors
/// The database cannot be read.
pub(super) fn is_there(connection: &Connection, table: &FeedTable) -> rusqlite::Result<bool> {
    // Asked by a statement: `table_exists` answers from what the connection knew of the schema, and another may have
    // made it.
    let there = "SELECT count(*) FROM sqlite_master WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')";
    connection.query_row(there, [&table.name], |row| row.get::<_, u32>(0)).map(|count| count > 0)
}

impl SqliteTable {
    /// Returns its columns.
    pub fn existing(&self) -> Vec<Existing> {
        let existing =
            |column: &SqliteColumn| Existing { name: column.name.clone(), fills_itself: column.fills_itself };
        self.columns.iter().map(existing).collect()
    }

    /// Returns what its columns make of values.
    pub fn affinities(&self) -> Vec<(String, Affinity)> {
        let of = |column: &SqliteColumn| (column.name.clone(), Affinity::of(&column.declared));
        let all: Vec<_> = self.columns.iter().map(of).collect();
        if all.iter().all(|(_, affinity)| *affinity == Affinity::None) { Vec::new() } else { all }
    }

    /// Checks that it may be dropped.
    ///
    /// # Errors
    /// No feed has made it.
    pub fn check_drop(&self, table: &FeedTable) -> Result<(), OpenError> {
        if !self.is_of_feed {
            return Err(table
                .wrong(
                    "a new crawl would drop it, and no feed has made it; add to it with `append`, name another \
                     `table`, or drop it yourself",
                )
                .into());
        }
        Ok(())
    }

    /// Drops it, for a crawl that begins anew.
    ///
    /// # Errors
    /// No feed has made it.
    pub fn drop(&self, connection: &Connection, table: &FeedTable) -> Result<(), OpenError> {
        self.check_drop(table)?;
        Ok(connection.execute_batch(&format!("DROP TABLE {}", quoted(&table.name)))?)
    }
}

/// Checks that rows can be found by the key.
///
/// # Errors
/// The table has no unique index of it.
pub(super) fn check_key(connection: &Connection, table: &FeedTable) -> Result<(), OpenError> {
    if table.key.is_empty() {
        return Ok(());
    }
    let (name, key) = (quoted(&table.name), list(&table.key));
    let holes = vec!["?"; table.key.len()].join(", ");
    let statement = format!("INSERT INTO {name} ({key}) VALUES ({holes}) ON CONFLICT ({key}) DO NOTHING");
    match connection.prepare(&statement) {
        Ok(_) => Ok(()),
        Err(error) if error.to_string().contains("ON CONFLICT") => Err(table
            .wrong(format!(
                "rows cannot be found by the key; add an index, as CREATE UNIQUE INDEX of_key ON {name} ({key}), or \
                 leave `key` out"
            ))
            .into()),
        Err(error) => Err(error.into()),
    }
}

/// Returns the statement that makes the table. Its columns have no types, so SQLite keeps each value as it is; a column
/// with a type would make a number of the text `007`, and a float of an integer beyond 64 bits.
pub(super) fn create(table: &FeedTable, names: &[String]) -> String {
    let column = |name: &String| {
        let is_of_key = table.key.contains(name);
        format!("{}{}", quoted(name), if is_of_key { " NOT NULL" } else { "" })
    };
    let mut parts: Vec<_> = names.iter().map(column).collect();
    if !table.key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", list(&table.key)));
    }
    format!("CREATE TABLE {} (/* {MADE_BY_FEED} */ {})", quoted(&table.name), parts.join(", "))
}

/// Returns the statement that writes a row, or replaces these columns of one with the same key.
pub(super) fn insert(table: &FeedTable, names: &[String], replaced: &[String]) -> String {
    let holes = vec!["?"; names.len()].join(", ");
    let insert = format!("INSERT INTO {} ({}) VALUES ({holes})", quoted(&table.name), list(names));
    if table.key.is_empty() {
        return insert;
    }
    format!("{insert} {}", replacing(table, replaced))
}
