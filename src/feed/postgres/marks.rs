//! Marks: a row in the database for each feed without a key, with the number of its last commit. If a connection is
//! lost while a commit is under way, the row says whether it took place. Knows no records.

use tokio_postgres::{Client, Error as SqlError, Transaction, types::Type};

use super::schema::beside;
use crate::feed::table::FeedTable;

/// The table of the rows, in the schema of the feed's table.
const NAME: &str = "actix_crawler_commits";

/// Rows of crawls that were killed are deleted when nothing was committed for so long.
const KEPT: &str = "30 days";

/// The row of this feed.
pub(super) struct Marks {
    table: String,
    feed: String,
}

impl Marks {
    /// Adds a row for the feed, and the table if necessary. `None` if the user may not: a commit whose outcome is
    /// unknown ends the feed then.
    ///
    /// # Errors
    /// The server says so.
    pub async fn begin(client: &Client, table: &FeedTable) -> Result<Option<Self>, SqlError> {
        let marks = Self { table: beside(table, NAME), feed: format!("{:032x}", fastrand::u128(..)) };
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {} (feed text PRIMARY KEY, committed bigint NOT NULL, at timestamptz NOT NULL)",
            marks.table
        );
        // Two feeds that begin at once may make the table at once, which is an error for one of them.
        for _ in 0..3 {
            match client.batch_execute(&create).await {
                Ok(()) => break,
                Err(error) if is_of(&error, &["42501"]) => break,
                Err(error) if is_of(&error, &["23505", "42P07"]) => {}
                Err(error) => return Err(error),
            }
        }
        let delete = format!("DELETE FROM {} WHERE at < now() - interval '{KEPT}'", marks.table);
        let begun = async {
            client.batch_execute(&delete).await?;
            marks.insert(client, 0).await
        };
        match begun.await {
            Ok(()) => Ok(Some(marks)),
            Err(error) if is_of(&error, &["42501", "42P01"]) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes a commit within its transaction. Returns `false` if it has taken place already. Waits for a transaction of
    /// a lost connection that is still under way, since that has locked the row.
    ///
    /// # Errors
    /// The server says so.
    pub async fn note(&self, transaction: &Transaction<'_>, number: i64) -> Result<bool, SqlError> {
        let update = format!("UPDATE {} SET committed = $2, at = now() WHERE feed = $1 AND committed < $2", self.table);
        if transaction.execute_typed(&update, &[(&self.feed, Type::TEXT), (&number, Type::INT8)]).await? > 0 {
            return Ok(true);
        }
        let select = format!("SELECT FROM {} WHERE feed = $1", self.table);
        if transaction.query_typed_opt(&select, &[(&self.feed, Type::TEXT)]).await?.is_some() {
            return Ok(false);
        }
        // Someone has emptied the table.
        self.insert(transaction.client(), number).await.map(|()| true)
    }

    /// Deletes the row.
    ///
    /// # Errors
    /// The server says so.
    pub async fn end(&self, client: &Client) -> Result<(), SqlError> {
        let delete = format!("DELETE FROM {} WHERE feed = $1", self.table);
        client.execute_typed(&delete, &[(&self.feed, Type::TEXT)]).await.map(drop)
    }

    async fn insert(&self, client: &Client, number: i64) -> Result<(), SqlError> {
        let insert = format!("INSERT INTO {} VALUES ($1, $2, now())", self.table);
        client.execute_typed(&insert, &[(&self.feed, Type::TEXT), (&number, Type::INT8)]).await.map(drop)
    }
}

fn is_of(error: &SqlError, codes: &[&str]) -> bool {
    error.code().is_some_and(|code| codes.contains(&code.code()))
}
