//! Schema: the table as PostgreSQL has it: found, made, and dropped. Knows no records.

use tokio_postgres::{Client, Error as SqlError, types::Type};

use super::{WriteFailed, kind::ColumnType};
use crate::feed::table::{
    Existing, FeedTable, MADE_BY_FEED,
    sql::{list, quoted, replacing},
};

/// A column.
#[derive(Clone, Debug)]
pub(super) struct PostgresColumn {
    pub name: String,
    pub class: Class,
    /// Its type for people, as `character varying(3)`.
    pub shown: String,
    /// Its type for a cast, without a length: a cast to a length would cut off what is longer.
    pub cast: String,
    /// Whether a feed has made it.
    pub is_of_feed: bool,
    fills_itself: bool,
}

/// What decides how values are written for a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Integer,
    Numeric,
    Float,
    Boolean,
    Text,
    Bytes,
    Json,
    Array,
    Other,
}

impl PostgresColumn {
    /// Returns a column that a feed makes.
    pub fn made(name: &str, kind: ColumnType) -> Self {
        let (class, cast) = match kind {
            ColumnType::Bigint => (Class::Integer, "int8"),
            ColumnType::Numeric => (Class::Numeric, "numeric"),
            ColumnType::Double => (Class::Float, "float8"),
            ColumnType::Text => (Class::Text, "text"),
            ColumnType::Boolean => (Class::Boolean, "bool"),
            ColumnType::Jsonb => (Class::Json, "jsonb"),
            ColumnType::Bytea => (Class::Bytes, "bytea"),
        };
        Self {
            name: name.to_owned(),
            class,
            shown: kind.name().to_owned(),
            cast: format!("pg_catalog.{cast}"),
            is_of_feed: true,
            fills_itself: false,
        }
    }

    /// Returns it as something that there is.
    pub fn existing(&self) -> Existing {
        Existing { name: self.name.clone(), fills_itself: self.fills_itself }
    }
}

/// A table that is there.
pub(super) struct FoundTable {
    pub columns: Vec<PostgresColumn>,
    is_of_feed: bool,
}

const COLUMNS: &str = "\
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), quote_ident(n.nspname) || '.' || quote_ident(t.typname), \
        b.typname::text, t.typcategory = 'A', \
        a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '', \
        coalesce(obj_description(a.attrelid, 'pg_class') = $2, false) \
    FROM pg_attribute a \
    JOIN pg_type t ON t.oid = a.atttypid \
    JOIN pg_type b ON b.oid = CASE WHEN t.typbasetype = 0 THEN t.oid ELSE t.typbasetype END \
    JOIN pg_namespace n ON n.oid = t.typnamespace \
    WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

/// Looks for the table.
///
/// # Errors
/// The server says so.
pub(super) async fn find(client: &Client, table: &FeedTable) -> Result<Option<FoundTable>, SqlError> {
    let (name, mark) = (quoted_table(table), MADE_BY_FEED);
    let rows = client.query_typed(COLUMNS, &[(&name, Type::TEXT), (&mark, Type::TEXT)]).await?;
    let mut is_of_feed = false;
    let mut columns = Vec::with_capacity(rows.len());
    for row in rows {
        is_of_feed = row.try_get(6)?;
        let (base, is_array): (String, bool) = (row.try_get(3)?, row.try_get(4)?);
        columns.push(PostgresColumn {
            name: row.try_get(0)?,
            class: class_of(&base, is_array),
            shown: row.try_get(1)?,
            cast: row.try_get(2)?,
            is_of_feed,
            fills_itself: row.try_get(5)?,
        });
    }
    Ok((!columns.is_empty()).then_some(FoundTable { columns, is_of_feed }))
}

fn class_of(base: &str, is_array: bool) -> Class {
    match base {
        _ if is_array => Class::Array,
        "int2" | "int4" | "int8" => Class::Integer,
        "numeric" => Class::Numeric,
        "float4" | "float8" => Class::Float,
        "bool" => Class::Boolean,
        "text" | "varchar" | "bpchar" => Class::Text,
        "bytea" => Class::Bytes,
        "json" | "jsonb" => Class::Json,
        _ => Class::Other,
    }
}

impl FoundTable {
    /// Drops it, for a crawl that begins anew; or tries whether that can be done, and takes it back.
    ///
    /// # Errors
    /// No feed has made it, or something depends on it.
    pub async fn drop(&self, client: &Client, table: &FeedTable, tries: bool) -> Result<(), WriteFailed> {
        if !self.is_of_feed {
            return Err(WriteFailed::Setting(table.wrong(
                "a new crawl would drop it, and no feed has made it; add to it with `append`, name another `table`, or \
                 drop it yourself",
            )));
        }
        let drop = format!("DROP TABLE {}", quoted_table(table));
        let drop = if tries { format!("BEGIN; {drop}; ROLLBACK") } else { drop };
        Ok(client.batch_execute(&drop).await?)
    }
}

/// Checks that rows can be found by the key.
///
/// # Errors
/// The table has no unique index of it.
pub(super) async fn check_key(client: &Client, table: &FeedTable) -> Result<(), WriteFailed> {
    if table.key.is_empty() {
        return Ok(());
    }
    let (name, key) = (quoted_table(table), list(&table.key));
    // Nothing is inserted; the plan already needs the index.
    let plan = format!("EXPLAIN INSERT INTO {name} ({key}) SELECT {key} FROM {name} ON CONFLICT ({key}) DO NOTHING");
    match client.batch_execute(&plan).await {
        Err(error) if error.code().is_some_and(|code| code.code() == "42P10") => {
            Err(WriteFailed::Setting(table.wrong(format!(
                "rows cannot be found by the key; add an index, as CREATE UNIQUE INDEX ON {name} ({key}), or leave \
                 `key` out"
            ))))
        }
        done => Ok(done?),
    }
}

/// Checks that the table could be made.
///
/// # Errors
/// It cannot be.
pub(super) async fn check_creation(client: &Client, table: &FeedTable) -> Result<(), WriteFailed> {
    let schema = table.name.split_once('.').map(|(schema, _)| quoted(schema));
    let sql = "SELECT coalesce(has_schema_privilege(coalesce(to_regnamespace($1)::oid, \
        to_regnamespace(quote_ident(current_schema()))::oid), 'CREATE'), false), \
        $1 IS NULL OR to_regnamespace($1) IS NOT NULL, pg_is_in_recovery()";
    let row = client.query_typed_one(sql, &[(&schema, Type::TEXT)]).await?;
    let (may, is_there, is_standby): (bool, bool, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let wrong = |why: &str| Err(WriteFailed::Setting(table.wrong(why)));
    if is_standby {
        return wrong("the server is a standby and cannot be written; name the primary one");
    }
    if !is_there {
        return wrong("there is no such schema; create it, or name another `table`");
    }
    if !may {
        return wrong(
            "the user may not make a table there; grant CREATE on the schema, or make the table and use `append`",
        );
    }
    Ok(())
}

/// Returns the statements that make the table, with columns of these types.
pub(super) fn create(table: &FeedTable, columns: &[PostgresColumn]) -> String {
    let name = quoted_table(table);
    let mut parts: Vec<_> = columns.iter().map(|column| format!("{} {}", quoted(&column.name), column.shown)).collect();
    if !table.key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", list(&table.key)));
    }
    format!("CREATE TABLE {name} ({}); COMMENT ON TABLE {name} IS '{MADE_BY_FEED}'", parts.join(", "))
}

/// Returns the statement that gives a column without values a type.
pub(super) fn retype(table: &FeedTable, column: &PostgresColumn) -> String {
    let name = quoted(&column.name);
    format!("ALTER TABLE {} ALTER COLUMN {name} TYPE {} USING NULL", quoted_table(table), column.shown)
}

/// Returns the statement that keeps everybody else from the table until the end of the transaction.
pub(super) fn lock(table: &FeedTable) -> String {
    format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", quoted_table(table))
}

/// Returns the question whether a column has any value.
pub(super) fn has_values(table: &FeedTable, column: &str) -> String {
    format!("SELECT EXISTS (SELECT FROM {} WHERE {} IS NOT NULL)", quoted_table(table), quoted(column))
}

/// Returns the statement that takes rows by COPY.
pub(super) fn copy(table: &FeedTable, columns: &[PostgresColumn]) -> String {
    format!("COPY {} ({}) FROM STDIN", quoted_table(table), list(columns.iter().map(|column| &column.name)))
}

/// Returns the statement that takes rows as a list of texts for each column, and replaces these columns of those with
/// the same key.
pub(super) fn upsert(table: &FeedTable, columns: &[PostgresColumn], replaced: &[String]) -> String {
    let names = list(columns.iter().map(|column| &column.name));
    let holes: Vec<_> = (1..=columns.len()).map(|number| format!("${number}")).collect();
    let cast = |column: &PostgresColumn| format!("{}::{}", quoted(&column.name), column.cast);
    let values: Vec<_> = columns.iter().map(cast).collect();
    format!(
        "INSERT INTO {} ({names}) SELECT {} FROM unnest({}) AS item ({names}) {}",
        quoted_table(table),
        values.join(", "),
        holes.join(", "),
        replacing(table, replaced),
    )
}

/// Returns the name of a table beside this one.
pub(super) fn beside(table: &FeedTable, name: &str) -> String {
    match table.name.split_once('.') {
        Some((schema, _)) => format!("{}.{}", quoted(schema), quoted(name)),
        None => quoted(name),
    }
}

fn quoted_table(table: &FeedTable) -> String {
    let name = table.name.split_once('.').map_or(&*table.name, |(_, name)| name);
    beside(table, name)
}
