//! Upgrade: how tables of an earlier version become those of this one, while nobody crawls. Knows no requests.
//!
//! A node of an older program would go on to write as it knows the tables, so none may live: one that gives signs of
//! life refuses the upgrade, and one that is silent is waited for, as whoever takes its parts over does. One that
//! joins while the tables are changed has looked at their version before. Its row lacks what the new tables ask for, so
//! it is refused.

use std::{
    result::Result as StdResult,
    time::{Duration, Instant},
};

use hashbrown::HashMap;
use tokio::time::sleep;
use tokio_postgres::{Client, Error as SqlError, GenericClient, Row, types::Type};

use crate::{
    clock,
    term::{HeartbeatWatch, TermLength},
};

/// Makes tables of the version before into those of version `to`.
struct Migration {
    to: i32,
    sql: &'static str,
}

/// All of them in order, each to the version that follows the one before. A new one also belongs into `schema.sql`, and
/// it raises the least `node.version`, so that no older program can join any more.
const MIGRATIONS: [Migration; 4] = [
    Migration { to: 2, sql: include_str!("migrations/2.sql") },
    Migration { to: 3, sql: include_str!("migrations/3.sql") },
    Migration { to: 4, sql: include_str!("migrations/4.sql") },
    Migration { to: 5, sql: include_str!("migrations/5.sql") },
];

/// The version that this program reads and writes.
#[allow(clippy::indexing_slicing, reason = "the compiler sees that there are some")]
pub(crate) const VERSION: i32 = MIGRATIONS[MIGRATIONS.len() - 1].to;

/// The first version. What is below is none of this program's.
#[allow(clippy::indexing_slicing, reason = "the compiler sees that there are some")]
pub(super) const OLDEST: i32 = MIGRATIONS[0].to - 1;

/// The term of nodes whose row does not tell it: that of version 1.
const OLD_TERM_MS: i64 = 10_000;

/// A node that may crawl, as tables of any version show it.
#[derive(Clone, Debug)]
pub(super) struct LiveNode {
    session: i64,
    beat: i64,
    length: TermLength,
    /// The name of its machine, and the number of its process.
    pub name: String,
    /// For how many seconds nothing was seen of it.
    pub silent: f64,
}

impl LiveNode {
    /// Tells whether its term may not have lapsed yet, by the clock of the database.
    pub fn may_ask(&self) -> bool {
        self.silent < self.length.silence().as_secs_f64()
    }
}

/// What ends an upgrade.
pub(super) enum UpgradeError {
    Sql(SqlError),
    /// These nodes give signs of life.
    Live(Vec<String>),
}

impl From<SqlError> for UpgradeError {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

/// The nodes that were seen, each with its first sign of life and how long it has been silent.
#[derive(Default)]
struct Watch(HashMap<i64, HeartbeatWatch>);

/// Locks the tables of the crawl of this name against everybody who makes or upgrades them, until the transaction ends.
pub(super) async fn lock(client: &impl GenericClient, name: &str) -> StdResult<(), SqlError> {
    let lock = "SELECT pg_advisory_xact_lock(hashtext('actix-crawler'), hashtext($1))";
    client.query_typed(lock, &[(&name, Type::TEXT)]).await.map(drop)
}

/// Returns the version of the tables.
pub(super) async fn version(client: &impl GenericClient) -> StdResult<i32, SqlError> {
    let rows = client.query_typed("SELECT version FROM crawl", &[]).await?;
    rows.first().map_or(Ok(0), |row| row.try_get(0))
}

/// Returns the nodes that have neither left nor been found dead.
///
/// # Errors
/// The database refuses.
pub(super) async fn live_nodes(client: &impl GenericClient) -> StdResult<Vec<LiveNode>, SqlError> {
    // Versions 1 and 2 say `dead`, and version 1 no term.
    let sql = "SELECT session, beat, coalesce((fields ->> 'term')::bigint, $1), name, \
               extract(epoch FROM now() - seen)::double precision \
               FROM (SELECT node.*, to_jsonb(node) AS fields FROM node) AS node \
               WHERE coalesce(fields ->> 'state', CASE fields ->> 'dead' WHEN 'false' THEN 'live' END) = 'live' ORDER BY name";
    let rows = client.query_typed(sql, &[(&OLD_TERM_MS, Type::INT8)]).await?;
    let node = |row: &Row| {
        let length = TermLength::new(Duration::from_millis(row.try_get::<_, i64>(2)?.unsigned_abs()));
        Ok(LiveNode {
            session: row.try_get(0)?,
            beat: row.try_get(1)?,
            length,
            name: row.try_get(3)?,
            silent: row.try_get(4)?,
        })
    };
    rows.iter().map(node).collect()
}

impl Watch {
    /// Returns the names of those that have given a sign of life, or have joined, since the first look.
    fn awake(&mut self, live: &[LiveNode], now: Instant) -> Vec<String> {
        let is_first = self.0.is_empty();
        let mut is_awake = |node: &&LiveNode| {
            let is_new = !is_first && !self.0.contains_key(&node.session);
            let first = HeartbeatWatch::new(node.beat, now);
            is_new || self.0.entry(node.session).or_insert(first).beat() != node.beat
        };
        live.iter().filter(|node| is_awake(node)).map(|node| node.name.clone()).collect()
    }

    /// Tells whether the terms of all must have lapsed.
    fn are_dead(&self, live: &[LiveNode], now: Instant) -> bool {
        let is_dead = |node: &LiveNode| self.0.get(&node.session).is_some_and(|watch| watch.is_death(now, node.length));
        live.iter().all(is_dead)
    }
}

/// Brings the tables of the crawl of this name to this program's version, one version after the other.
///
/// # Errors
/// The database refuses, or a node crawls; then the tables are of the version that was reached.
pub(super) async fn upgrade(client: &mut Client, name: &str) -> StdResult<(), UpgradeError> {
    let mut watch = Watch::default();
    loop {
        let live = live_nodes(client).await?;
        let now = clock::now();
        // By another process, whose node may live by now.
        if version(client).await? >= VERSION {
            return Ok(());
        }
        let awake = watch.awake(&live, now);
        if !awake.is_empty() {
            return Err(UpgradeError::Live(awake));
        }
        if watch.are_dead(&live, now) {
            if take_step(client, name, &live).await? {
                return Ok(());
            }
            continue;
        }
        let names: Vec<_> = live.iter().map(|node| &*node.name).collect();
        tracing::info!(crawl = name, nodes = ?names, "the tables are upgraded when these nodes are silent for long enough");
        let shortest = live.iter().map(|node| node.length.renewal()).min();
        sleep(shortest.unwrap_or_default()).await;
    }
}

/// Goes on by one version, if nobody lives but these, which must have ended. Tells whether the last one is reached.
async fn take_step(client: &mut Client, name: &str, ended: &[LiveNode]) -> StdResult<bool, UpgradeError> {
    let transaction = client.transaction().await?;
    lock(&transaction, name).await?;
    let version = version(&transaction).await?;
    let Some(Migration { to, sql }) = MIGRATIONS.iter().find(|migration| migration.to > version) else {
        return Ok(true);
    };
    // Nobody joins, gives a sign of life or commits until the end.
    transaction.batch_execute("LOCK TABLE node IN ACCESS EXCLUSIVE MODE").await?;
    let is_ended = |node: &LiveNode| ended.iter().any(|it| (it.session, it.beat) == (node.session, node.beat));
    let live = live_nodes(&transaction).await?;
    let awake: Vec<_> = live.into_iter().filter(|node| !is_ended(node)).map(|node| node.name).collect();
    if !awake.is_empty() {
        return Err(UpgradeError::Live(awake));
    }
    if version > 2 {
        transaction.batch_execute("UPDATE node SET state = 'dead' WHERE state = 'live'").await?;
    }
    transaction.batch_execute(sql).await?;
    transaction.execute_typed("UPDATE crawl SET version = $1", &[(to, Type::INT4)]).await?;
    transaction.commit().await?;
    tracing::warn!(crawl = name, from = version, to, "the tables are upgraded");
    Ok(*to == VERSION)
}
