//! Schema: a crawl's place in a database, its tables, and their version. Knows no rows.

use std::hash::{BuildHasher as _, RandomState};

use tokio_postgres::{Client, types::Type};

use crate::{
    clock,
    error::{Error, Result},
    frontier::part::Part,
    postgres::{Server, said},
};

/// Incremented when data of earlier versions can no longer be read.
const VERSION: i32 = 4;

const TABLES: &str = include_str!("schema.sql");

/// How long the server waits for the rest of a transaction whose client is silent, and how long a name of a schema may
/// be.
const OPTIONS: &str = "-c idle_in_transaction_session_timeout=5s";

/// The longest name of a crawl: PostgreSQL's names have 63 bytes.
const MAX_NAME: usize = 48;

/// A crawl in a database.
#[derive(Clone)]
pub(crate) struct CrawlPlace {
    server: Server,
    name: String,
}

impl CrawlPlace {
    /// Reads the URL of a database and the name of a crawl.
    ///
    /// # Errors
    /// One of them is invalid; the message shows no password.
    pub fn of(url: &str, name: &str) -> Result<Self> {
        let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if !(1..=MAX_NAME).contains(&name.len()) || !name.chars().all(is_known) {
            let why = format!(
                "`{name}` is no name of a crawl: write up to {MAX_NAME} lower-case letters, digits, `_` and `-`"
            );
            return Err(Error::setting("cluster", why));
        }
        let server = Server::of(url, &format!("crawl `{name}`"), &|why| Error::setting("cluster", why))?;
        // In quotation marks, since names may have a hyphen. All statements find their tables by it.
        let server = server.with_options(&format!("-c search_path=\"crawl_{name}\" {OPTIONS}"));
        Ok(Self { server, name: name.to_owned() })
    }

    /// Returns the server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Returns the crawl's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Creates an error about the crawl's data.
    pub fn refuse(&self, why: impl Into<String>) -> Error {
        Error::Cluster { name: self.name.clone(), why: why.into() }
    }

    /// Creates the error for what is stored and cannot be read.
    pub fn damaged(&self, error: &dyn std::fmt::Display) -> Error {
        self.refuse(format!("it is damaged: {error}; nothing but actix-crawler may write to its tables"))
    }

    /// Creates the error for what the database reports.
    pub fn unusable(&self, error: &tokio_postgres::Error) -> Error {
        let why = said(error);
        self.refuse(if error.as_db_error().is_none() {
            format!("the database cannot be reached: {why}; see that PostgreSQL runs there and lets this machine in")
        } else {
            format!("the database refuses: {why}")
        })
    }

    /// Creates the tables unless they are there. Of several that do so at once, one creates them.
    ///
    /// # Errors
    /// The database refuses, or the tables are of another version.
    pub async fn ensure(&self, client: &mut Client) -> Result<()> {
        let version = self.try_ensure(client).await.map_err(|error| self.unusable(&error))?;
        self.is_known(version)
    }

    /// Checks that this program knows the version of the tables.
    ///
    /// # Errors
    /// It does not, or the database refuses.
    pub async fn check_version(&self, client: &Client) -> Result<()> {
        let rows = client.query_typed("SELECT version FROM crawl", &[]).await;
        let version = rows.and_then(|rows| rows.first().map_or(Ok(0), |row| row.try_get(0)));
        self.is_known(version.map_err(|error| self.unusable(&error))?)
    }

    fn is_known(&self, version: i32) -> Result<()> {
        match version {
            VERSION => Ok(()),
            later if later > VERSION => Err(self.refuse(format!(
                "its tables are of version {later}, and this program knows {VERSION}; update actix-crawler"
            ))),
            earlier => Err(self.refuse(format!(
                "its tables are of version {earlier}, which this program cannot read; end the crawl with the program \
                 that began it"
            ))),
        }
    }

    async fn try_ensure(&self, client: &mut Client) -> std::result::Result<i32, tokio_postgres::Error> {
        let transaction = client.transaction().await?;
        // The lock ends with the transaction.
        let lock = "SELECT pg_advisory_xact_lock(hashtext('actix-crawler'), hashtext($1))";
        transaction.query_typed(lock, &[(&self.name, Type::TEXT)]).await?;
        if !exists(&transaction.query_typed(EXISTS, &[(&self.schema(), Type::TEXT)]).await?)? {
            transaction.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS \"{}\";\n{TABLES}", self.schema())).await?;
            transaction.execute_typed("INSERT INTO crawl (version) VALUES ($1)", &[(&VERSION, Type::INT4)]).await?;
            let sql = "INSERT INTO part (part) SELECT generate_series(0, $1 - 1)";
            transaction.execute_typed(sql, &[(&i32::from(Part::COUNT), Type::INT4)]).await?;
            // Nobody was asked yet.
            let sql = "INSERT INTO rested (part, domain, ages) SELECT part, '', '{}' FROM part";
            transaction.execute_typed(sql, &[]).await?;
        }
        let rows = transaction.query_typed("SELECT version FROM crawl", &[]).await?;
        let version = rows.first().map(|row| row.try_get(0)).transpose()?;
        transaction.commit().await?;
        Ok(version.unwrap_or_default())
    }

    /// Tells whether the crawl is there.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn is_there(&self, client: &Client) -> Result<bool> {
        let rows = client.query_typed(EXISTS, &[(&self.schema(), Type::TEXT)]).await;
        rows.and_then(|rows| exists(&rows)).map_err(|error| self.unusable(&error))
    }

    /// Removes the crawl with all that it has.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn drop_tables(&self, client: &Client) -> Result<()> {
        let dropped = client.batch_execute(&format!("DROP SCHEMA IF EXISTS \"{}\" CASCADE", self.schema())).await;
        dropped.map_err(|error| self.unusable(&error))
    }

    fn schema(&self) -> String {
        format!("crawl_{}", self.name)
    }
}

/// Returns a number that no other process has, nor this one a second time. From the system: machines that were copied
/// begin with the same memory.
pub(crate) fn random_number() -> i64 {
    // Half of what there is, so that it can be counted on from.
    i64::try_from(RandomState::new().hash_one(clock::now()) >> 2).unwrap_or_default()
}

/// Tells whether the tables of a crawl are gone.
pub(crate) fn is_dropped(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| matches!(code.code(), "42P01" | "3F000"))
}

const EXISTS: &str = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'crawl')";

fn exists(rows: &[tokio_postgres::Row]) -> std::result::Result<bool, tokio_postgres::Error> {
    rows.first().map_or(Ok(false), |row| row.try_get(0))
}
