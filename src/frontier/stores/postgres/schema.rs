//! Schema: a crawl's place in a database, its tables, and their version. Knows no rows.

use std::hash::{BuildHasher as _, RandomState};

use tokio_postgres::{Client, types::Type};

pub(crate) use super::upgrade::VERSION;
use super::upgrade::{self, LiveNode, OLDEST, UpgradeError, live_nodes};
use crate::{
    clock,
    error::{Error, Result},
    frontier::part::Part,
    postgres::{Server, said},
};

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

    /// Creates the tables unless they are there, and brings those of an earlier version to this one. Of several that do
    /// so at once, one does it.
    ///
    /// # Errors
    /// The database refuses, the tables are of a version that cannot be read, or nodes of an older program crawl.
    pub async fn ensure(&self, client: &mut Client) -> Result<()> {
        let version = self.try_ensure(client).await.map_err(|error| self.unusable(&error))?;
        if (OLDEST..VERSION).contains(&version) {
            return upgrade::upgrade(client, &self.name).await.map_err(|error| match error {
                UpgradeError::Sql(error) => self.unusable(&error),
                UpgradeError::Live(nodes) => self.refuse(format!(
                    "its tables are of version {version}, and are not upgraded to {VERSION} while nodes of an older \
                     program crawl: {}; stop them with their program, as by `cluster stop`, and start this one again",
                    nodes.join(", ")
                )),
            });
        }
        self.is_known(version)
    }

    /// Checks that the tables are of this program's version.
    ///
    /// # Errors
    /// They are not, or the database refuses.
    pub async fn check_version(&self, client: &Client) -> Result<()> {
        let version = upgrade::version(client).await;
        self.is_known(version.map_err(|error| self.unusable(&error))?)
    }

    fn is_known(&self, version: i32) -> Result<()> {
        match version {
            VERSION => Ok(()),
            later if later > VERSION => Err(self.refuse(format!(
                "its tables are of version {later}, and this program knows {VERSION}; update actix-crawler"
            ))),
            OLDEST..VERSION => Err(self.refuse(format!(
                "its tables are of version {version}, and this program knows {VERSION}; stop all nodes with their program, \
                 make a backup, and start one node of this program, which upgrades the tables"
            ))),
            _ => Err(self.refuse(format!(
                "its tables are of version {version}, and the oldest that can be upgraded is {OLDEST}; drop it, and begin again"
            ))),
        }
    }

    async fn try_ensure(&self, client: &mut Client) -> std::result::Result<i32, tokio_postgres::Error> {
        let transaction = client.transaction().await?;
        upgrade::lock(&transaction, &self.name).await?;
        if !exists(&transaction.query_typed(EXISTS, &[(&self.schema(), Type::TEXT)]).await?)? {
            transaction.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS \"{}\";\n{TABLES}", self.schema())).await?;
            transaction.execute_typed("INSERT INTO crawl (version) VALUES ($1)", &[(&VERSION, Type::INT4)]).await?;
            let sql = "INSERT INTO part (part) SELECT generate_series(0, $1 - 1)";
            transaction.execute_typed(sql, &[(&i32::from(Part::COUNT), Type::INT4)]).await?;
            // Nobody was asked yet.
            let sql = "INSERT INTO rested (part, domain, ages) SELECT part, '', '{}' FROM part";
            transaction.execute_typed(sql, &[]).await?;
        }
        let version = upgrade::version(&transaction).await?;
        transaction.commit().await?;
        Ok(version)
    }

    /// Tells whether the crawl is there.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn is_there(&self, client: &Client) -> Result<bool> {
        let rows = client.query_typed(EXISTS, &[(&self.schema(), Type::TEXT)]).await;
        rows.and_then(|rows| exists(&rows)).map_err(|error| self.unusable(&error))
    }

    /// Removes the crawl with all that it has, whatever the version of its tables.
    ///
    /// # Errors
    /// The database refuses, or nodes may crawl it, and nothing is to be forced.
    pub async fn drop_tables(&self, client: &mut Client, by_force: bool) -> Result<()> {
        let live = self.try_drop(client, by_force).await.map_err(|error| self.unusable(&error))?;
        if live.is_empty() {
            return Ok(());
        }
        let nodes = live.iter().map(|LiveNode { name, silent, .. }| format!("{name}, seen {silent:.1} s ago"));
        Err(self.refuse(format!(
            "nodes crawl it: {}; stop them first, as by `cluster stop`, or drop it with `--force`",
            nodes.collect::<Vec<_>>().join("; ")
        )))
    }

    /// Returns the nodes that may crawl; then nothing is dropped.
    async fn try_drop(
        &self,
        client: &mut Client,
        by_force: bool,
    ) -> std::result::Result<Vec<LiveNode>, tokio_postgres::Error> {
        let transaction = client.transaction().await?;
        upgrade::lock(&transaction, &self.name).await?;
        if !by_force {
            // Nobody joins until the end.
            transaction.batch_execute("LOCK TABLE node IN ACCESS EXCLUSIVE MODE").await?;
            let live: Vec<_> = live_nodes(&transaction).await?.into_iter().filter(LiveNode::may_ask).collect();
            if !live.is_empty() {
                return Ok(live);
            }
        }
        transaction.batch_execute(&format!("DROP SCHEMA IF EXISTS \"{}\" CASCADE", self.schema())).await?;
        transaction.commit().await?;
        Ok(Vec::new())
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
