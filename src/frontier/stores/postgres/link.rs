//! Link: the store's connection, which survives its loss, and commits that only the owner of a crawl can make. Knows no
//! rows.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;
use tokio_postgres::{
    Client, Error as SqlError, Row,
    types::{ToSql, Type},
};

use super::{
    rows::Rows,
    schema::{CrawlPlace, is_dropped},
    statements,
};
use crate::{
    clock,
    error::{Error, Result},
    postgres::{Connection, is_unreachable},
    term::Term,
};

/// A parameter of a statement, with its type.
pub(super) type Parameter<'p> = (&'p (dyn ToSql + Sync), Type);

/// How long to wait for a server that cannot be reached, unless the term ends before: as long as a restart takes.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// How soon it is tried again: at first at once, then after waits that double.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Where the crawl is, and until when this process owns it.
pub(super) struct Link {
    place: CrawlPlace,
    term: Arc<Term>,
    /// The number of this owner, which no other has.
    token: i64,
}

/// What ends an attempt.
enum Failed {
    Sql(SqlError),
    /// Another process owns the crawl.
    Lost,
}

impl From<SqlError> for Failed {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

/// The tries of one statement or commit.
struct Tries {
    begun: Instant,
    wait: Duration,
}

impl Link {
    /// Creates a link that is not connected yet.
    pub fn new(place: CrawlPlace, term: Arc<Term>, token: i64) -> Self {
        Self { place, term, token }
    }

    /// Returns where the crawl is.
    pub fn place(&self) -> &CrawlPlace {
        &self.place
    }

    /// Returns the owner's number.
    #[cfg(test)]
    pub fn token(&self) -> i64 {
        self.token
    }

    /// Reads rows. A lost connection is opened again.
    ///
    /// # Errors
    /// The server refuses or stays away, or the term has lapsed.
    pub async fn rows(
        &self,
        live: &mut Option<Connection>,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>> {
        let mut tries = Tries::begin();
        loop {
            let read = async { Ok(self.client(live).await?.query_typed(sql, parameters).await?) };
            match read.await {
                Ok(rows) => return Ok(rows),
                Err(failed) => self.try_again(live, failed, &mut tries).await?,
            }
        }
    }

    /// Stores settings.
    ///
    /// # Errors
    /// As [`Link::rows`], or another process owns the crawl.
    pub async fn keep_settings(&self, live: &mut Option<Connection>, settings: &str) -> Result<()> {
        let sql = "UPDATE crawl SET settings = $1 WHERE token = $2 RETURNING token";
        let kept = self.rows(live, sql, &[(&settings, Type::TEXT), (&self.token, Type::INT8)]).await?;
        if kept.is_empty() { Err(self.lost()) } else { Ok(()) }
    }

    /// Commits rows as the crawl's commit of this number.
    ///
    /// If the connection is lost meanwhile, the next try waits for the lost transaction, since both change the same
    /// row. Then it finds out whether that one was committed.
    ///
    /// # Errors
    /// As [`Link::rows`], or another process owns the crawl; then nothing is stored.
    pub async fn commit(&self, live: &mut Option<Connection>, rows: &Rows, number: i64) -> Result<()> {
        let mut tries = Tries::begin();
        loop {
            match self.try_commit(live, rows, number).await {
                Ok(()) => return Ok(()),
                Err(failed) => self.try_again(live, failed, &mut tries).await?,
            }
        }
    }

    async fn try_commit(
        &self,
        live: &mut Option<Connection>,
        rows: &Rows,
        number: i64,
    ) -> std::result::Result<(), Failed> {
        let client = self.client(live).await?;
        let transaction = client.transaction().await?;
        let own =
            "UPDATE crawl SET commits = $2, counters = COALESCE($3, counters) WHERE token = $1 AND commits = $2 - 1";
        let parameters: [Parameter<'_>; 3] =
            [(&self.token, Type::INT8), (&number, Type::INT8), (&rows.counters, Type::TEXT)];
        // Sent before the other statements. If it changes no row, this process no longer owns the crawl or the commit
        // was made before, and all are rolled back.
        let owned = transaction.execute_typed(own, &parameters);
        let (owned, written) = tokio::join!(biased; owned, statements::write(&transaction, rows));
        if owned? == 0 {
            transaction.rollback().await?;
            let sql = "SELECT EXISTS (SELECT FROM crawl WHERE token = $1 AND commits = $2)";
            let rows = client.query_typed(sql, &[(&self.token, Type::INT8), (&number, Type::INT8)]).await?;
            let has_come_through = rows.first().map_or(Ok(false), |row| row.try_get(0))?;
            return if has_come_through { Ok(()) } else { Err(Failed::Lost) };
        }
        written?;
        Ok(transaction.commit().await?)
    }

    /// Returns the number of the last commit.
    ///
    /// # Errors
    /// As [`Link::keep_settings`].
    pub async fn commits(&self, live: &mut Option<Connection>) -> Result<i64> {
        let rows = self.rows(live, "SELECT commits FROM crawl WHERE token = $1", &[(&self.token, Type::INT8)]).await?;
        let commits = rows.first().ok_or_else(|| self.lost())?.try_get(0);
        commits.map_err(|error| self.place.unusable(&error))
    }

    async fn client<'l>(&self, live: &'l mut Option<Connection>) -> std::result::Result<&'l mut Client, SqlError> {
        let current = match live.take().filter(|live| !live.client.is_closed()) {
            Some(current) => current,
            None => self.place.server().connect().await?,
        };
        Ok(&mut live.insert(current).client)
    }

    /// Waits for another try.
    async fn try_again(&self, live: &mut Option<Connection>, failed: Failed, tries: &mut Tries) -> Result<()> {
        let error = match failed {
            Failed::Lost => return Err(self.lost()),
            Failed::Sql(error) => error,
        };
        // After an owner has changed, what this one wrote fails in many ways.
        let is_of_others = error.code().is_some_and(|code| matches!(code.code(), "40001" | "40P01" | "55P03"));
        let is_away = is_unreachable(&error);
        if is_away {
            *live = None;
        }
        let now = clock::now();
        if is_dropped(&error) {
            return Err(self.place.refuse("it was dropped while this node crawled it"));
        }
        let is_late = now.saturating_duration_since(tries.begun) > GIVE_UP_AFTER || self.term.check(now).is_err();
        if is_late || !(is_away || is_of_others) {
            return Err(self.place.unusable(&error));
        }
        tracing::warn!(crawl = self.place.name(), %error, "the database is tried again");
        sleep(tries.wait).await;
        tries.wait = MAX_WAIT.min(2 * tries.wait);
        Ok(())
    }

    fn lost(&self) -> Error {
        self.place.refuse("another node has taken it over; what this one had not committed is crawled there again")
    }
}

impl Tries {
    fn begin() -> Self {
        Self { begun: clock::now(), wait: FIRST_WAIT }
    }
}
