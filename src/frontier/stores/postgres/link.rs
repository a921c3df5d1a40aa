//! Link: the store's connection, which survives its loss, and what only a live node may do by it. Knows no rows.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;
use tokio_postgres::{
    Client, Error as SqlError, Row, Transaction,
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

/// Where the crawl is, which node this is, and until when it may do anything.
pub(super) struct Link {
    place: CrawlPlace,
    term: Arc<Term>,
    session: i64,
}

/// What ends an attempt.
pub(super) enum Failed {
    Sql(SqlError),
    /// Another node has found this one dead, or the database has failed over.
    Lost,
    /// What the database holds cannot be.
    Damaged(String),
    /// The crawl has ended meanwhile.
    Ended,
}

impl From<SqlError> for Failed {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

/// The tries of one statement or commit.
pub(super) struct Tries {
    begun: Instant,
    wait: Duration,
}

/// What a commit is besides its rows.
pub(super) struct Commit {
    /// Its number, counted by this node.
    pub number: i64,
    /// Whether nothing is left to do here.
    pub is_idle: bool,
    /// Whether the parts of this node should be another's.
    pub is_unfit: bool,
    /// Set where the last commit was idle and this is not: the crawl may have ended since, and does not begin again by
    /// this. The number of its ends that is known.
    pub wakes_from: Option<i64>,
}

impl Link {
    /// Creates a link that is not connected yet.
    pub fn new(place: CrawlPlace, term: Arc<Term>, session: i64) -> Self {
        Self { place, term, session }
    }

    /// Returns where the crawl is.
    pub fn place(&self) -> &CrawlPlace {
        &self.place
    }

    /// Returns the number of this node.
    pub fn session(&self) -> i64 {
        self.session
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

    /// Stores settings: the crawl begins, or goes on. If `only_first` and another node has stored some meanwhile,
    /// returns those.
    ///
    /// # Errors
    /// As [`Link::rows`], or another node has found this one dead.
    pub async fn keep_settings(
        &self,
        live: &mut Option<Connection>,
        settings: &str,
        only_first: bool,
    ) -> Result<Option<String>> {
        let sql = "UPDATE crawl SET settings = $1, state = 'running' WHERE (settings IS NULL OR NOT $3) \
                   AND EXISTS (SELECT FROM node WHERE session = $2 AND state = 'live') RETURNING one";
        let parameters: [Parameter<'_>; 3] =
            [(&settings, Type::TEXT), (&self.session, Type::INT8), (&only_first, Type::BOOL)];
        if !self.rows(live, sql, &parameters).await?.is_empty() {
            return Ok(None);
        }
        let sql = "SELECT settings FROM crawl WHERE $2 AND settings IS NOT NULL \
                   AND EXISTS (SELECT FROM node WHERE session = $1 AND state = 'live')";
        let of_another = self.rows(live, sql, &[(&self.session, Type::INT8), (&only_first, Type::BOOL)]).await?;
        let of_another = of_another.first().ok_or_else(|| self.lost())?.try_get(0);
        of_another.map_err(|error| self.place.unusable(&error))
    }

    /// Commits rows.
    ///
    /// If the connection is lost meanwhile, the next try waits for the lost transaction, since both change the row of
    /// this node first. Then it finds out whether that one was committed.
    ///
    /// # Errors
    /// As [`Link::rows`], or another node has found this one dead, or the crawl has ended; then nothing is stored.
    pub async fn commit(&self, live: &mut Option<Connection>, rows: &Rows, commit: &Commit) -> Result<()> {
        let mut tries = Tries::begin();
        loop {
            match self.try_commit(live, rows, commit).await {
                Ok(()) => return Ok(()),
                Err(failed) => self.try_again(live, failed, &mut tries).await?,
            }
        }
    }

    async fn try_commit(
        &self,
        live: &mut Option<Connection>,
        rows: &Rows,
        commit: &Commit,
    ) -> std::result::Result<(), Failed> {
        let client = self.client(live).await?;
        let transaction = client.transaction().await?;
        if let Some(ends) = commit.wakes_from
            && locked_ends(&transaction).await? != Some(ends)
        {
            transaction.rollback().await?;
            // What an earlier try has stored may have been done by others since, and the crawl has ended by that.
            return if self.has_committed(client, commit.number).await? { Ok(()) } else { Err(Failed::Ended) };
        }
        let own = "UPDATE node SET commits = $2, idle = $3, counters = COALESCE($4, counters), pages = COALESCE($5, pages), \
                   requests = COALESCE($6, requests), pages_drawn = pages_drawn - $7, \
                   requests_drawn = requests_drawn - $8, hungry = $9, unfit = $10 \
                   WHERE session = $1 AND state = 'live' AND timeline = timeline() AND commits = $2 - 1";
        let (pages, requests, unused) =
            (rows.used.map(|used| used.pages), rows.used.map(|used| used.requests), rows.unused);
        let parameters: [Parameter<'_>; 10] = [
            (&self.session, Type::INT8),
            (&commit.number, Type::INT8),
            (&commit.is_idle, Type::BOOL),
            (&rows.counters, Type::TEXT),
            (&pages, Type::INT8),
            (&requests, Type::INT8),
            (&unused.pages, Type::INT8),
            (&unused.requests, Type::INT8),
            (&rows.is_hungry, Type::BOOL),
            (&commit.is_unfit, Type::BOOL),
        ];
        // Sent before the other statements. If it changes no row, another node has found this one dead, the database
        // has failed over, or the commit was made before, and all are rolled back.
        let owned = transaction.execute_typed(own, &parameters);
        // The parts that are written to are this node's: it alone gives them away while it is live.
        let foreign = "SELECT part FROM part WHERE part = ANY($1) AND owner IS DISTINCT FROM $2";
        let written = rows.parts();
        let foreign_parameters: [Parameter<'_>; 2] = [(&written, Type::INT2_ARRAY), (&self.session, Type::INT8)];
        let foreign = transaction.query_typed(foreign, &foreign_parameters);
        let (owned, foreign, written) = tokio::join!(biased; owned, foreign, statements::write(&transaction, rows));
        if owned? == 0 {
            transaction.rollback().await?;
            return if self.has_committed(client, commit.number).await? { Ok(()) } else { Err(Failed::Lost) };
        }
        if let Some(row) = foreign?.first() {
            let part: i16 = row.try_get(0)?;
            return Err(Failed::Damaged(format!("part {part} belongs to another node than the one that writes to it")));
        }
        written?;
        Ok(transaction.commit().await?)
    }

    /// Tells whether an earlier try of the commit of this number has come through.
    async fn has_committed(&self, client: &Client, number: i64) -> std::result::Result<bool, SqlError> {
        let sql = "SELECT EXISTS (SELECT FROM node WHERE session = $1 AND commits = $2)";
        let rows = client.query_typed(sql, &[(&self.session, Type::INT8), (&number, Type::INT8)]).await?;
        rows.first().map_or(Ok(false), |row| row.try_get(0))
    }

    /// Returns the number of this node's last commit.
    ///
    /// # Errors
    /// As [`Link::keep_settings`].
    pub async fn commits(&self, live: &mut Option<Connection>) -> Result<i64> {
        let sql = "SELECT commits FROM node WHERE session = $1 AND state = 'live'";
        let rows = self.rows(live, sql, &[(&self.session, Type::INT8)]).await?;
        let commits = rows.first().ok_or_else(|| self.lost())?.try_get(0);
        commits.map_err(|error| self.place.unusable(&error))
    }

    pub(super) async fn client<'l>(
        &self,
        live: &'l mut Option<Connection>,
    ) -> std::result::Result<&'l mut Client, SqlError> {
        let current = match live.take().filter(|live| !live.client.is_closed()) {
            Some(current) => current,
            None => self.place.server().connect().await?,
        };
        Ok(&mut live.insert(current).client)
    }

    /// Waits for another try.
    pub(super) async fn try_again(
        &self,
        live: &mut Option<Connection>,
        failed: Failed,
        tries: &mut Tries,
    ) -> Result<()> {
        let error = match failed {
            Failed::Lost => return Err(self.lost()),
            Failed::Ended => return Err(Error::Ended),
            Failed::Damaged(why) => return Err(self.place.damaged(&why)),
            Failed::Sql(error) => error,
        };
        // Whatever is said twice, and what the rows of a node that was found dead meet.
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
        self.place.refuse(
            "other nodes have taken this one for dead, or the database has failed over to a replica; what this node had not \
             committed is crawled again",
        )
    }
}

/// Locks the crawl's row, and returns how often it has ended.
pub(super) async fn locked_ends(transaction: &Transaction<'_>) -> std::result::Result<Option<i64>, SqlError> {
    let rows = transaction.query_typed("SELECT ends FROM crawl FOR UPDATE", &[]).await?;
    rows.first().map(|row| row.try_get(0)).transpose()
}

impl Tries {
    pub fn begin() -> Self {
        Self { begun: clock::now(), wait: FIRST_WAIT }
    }
}
