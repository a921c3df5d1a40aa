//! Node: this process among those that share a crawl: how it joins, renews its term, finds others dead, and leaves.
//! Knows no crawl that runs.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use hashbrown::HashMap;
use tokio::time::{sleep, timeout};
use tokio_postgres::{
    Client, Error as SqlError, Row, Transaction,
    types::{ToSql, Type},
};

use super::watchdog::{BootTime, Watchdog};
use crate::{
    clock,
    error::{Error, Result},
    frontier::{
        stores::postgres::{
            Joined,
            schema::{CrawlPlace, VERSION, is_dropped, random_number},
        },
        windowed::store::Counters,
    },
    postgres::{Connection, said},
    term::{HeartbeatWatch, Term, TermLength},
};

/// This process. It is a row of the table `node`.
pub(super) struct Node {
    place: CrawlPlace,
    term: Arc<Term>,
    length: TermLength,
    session: i64,
    live: Option<Connection>,
    watchdog: Option<Watchdog>,
    /// When the last successful renewal was sent.
    renewed: Instant,
    watch: Watch,
}

/// How long a write may take that had passed its gate when the crawl was aborted. The timer is set until then.
const LAST_WRITES: Duration = Duration::from_millis(50);

/// Another live node, as the database shows it.
struct Peer {
    session: i64,
    beat: i64,
    /// How long its term is: by that it asks, whatever this process has.
    length: TermLength,
}

/// How long each of the other nodes is silent.
#[derive(Default)]
struct Watch(HashMap<i64, HeartbeatWatch>);

/// Whether a renewal came.
enum Renewal {
    Renewed,
    /// The database did not answer, or not in time.
    Missed(String),
    /// Another process has found this one dead, the database has failed over, or the crawl is gone.
    Lost(String),
}

impl Watch {
    /// Returns the nodes whose term must have lapsed, after a look that had ended at `now`.
    fn dead<'s>(&mut self, peers: &'s [Peer], now: Instant) -> Vec<&'s Peer> {
        self.0.retain(|session, _| peers.iter().any(|peer| peer.session == *session));
        let mut is_dead = |peer: &Peer| {
            let silence = self.0.entry(peer.session).or_insert_with(|| HeartbeatWatch::new(peer.beat, now));
            silence.note(peer.beat, now);
            silence.is_death(now, peer.length)
        };
        peers.iter().filter(|peer| is_dead(peer)).collect()
    }
}

impl Node {
    /// Creates a node that has not joined yet.
    pub fn new(place: CrawlPlace, term: Arc<Term>, length: TermLength) -> Self {
        let (renewed, watch) = (clock::now(), Watch::default());
        Self { place, term, length, session: 0, live: None, watchdog: None, renewed, watch }
    }

    /// Returns the name of the crawl.
    pub fn crawl(&self) -> &str {
        self.place.name()
    }

    /// Returns how long to wait between two signs of life.
    pub fn pause(&self) -> Duration {
        self.length.renewal()
    }

    /// Joins, and begins the term. The tables are made unless they are there.
    ///
    /// # Errors
    /// The database cannot be reached, or it refuses.
    pub async fn join(&mut self) -> Result<Joined> {
        self.watchdog = Some(Watchdog::new().map_err(Error::Start)?);
        let place = self.place.clone();
        let client = self.client().await.map_err(|error| place.unusable(&error))?;
        place.ensure(client).await?;
        let joined = self.begin_session().await.map_err(|error| place.unusable(&error))?;
        self.session = joined.session;
        self.renewed = clock::now();
        self.renew().await.map_err(|why| place.refuse(why))?;
        tracing::info!(crawl = self.crawl(), session = joined.session, "this node takes part");
        Ok(joined)
    }

    /// Adds a row for this process. The accounts of nodes that are gone move to the crawl's row.
    async fn begin_session(&mut self) -> std::result::Result<Joined, SqlError> {
        let term = i64::try_from(self.length.end().as_millis()).unwrap_or(i64::MAX);
        let look_interval = self.pause();
        let transaction = self.client().await?.transaction().await?;
        // Locks the crawl: it neither ends meanwhile, nor does another node come. It goes on when the node's settings
        // are accepted.
        let sql = "UPDATE crawl SET nodes = nodes + 1 RETURNING ends, stops, counters, timeline <> timeline()";
        let rows = transaction.query_typed(sql, &[]).await?;
        let (ends, stops, counters, has_failed_over): (i64, i64, Option<String>, bool) = match rows.first() {
            Some(row) => (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?),
            None => (0, 0, None, false),
        };
        if has_failed_over {
            void_all(&transaction, term).await?;
        }
        // One that has not left since the crawl has ended crawls no more.
        let sql = "SELECT FROM node WHERE state = 'live' AND ends = $1 LIMIT 1";
        let live = transaction.query_typed(sql, &[(&ends, Type::INT8)]).await?;
        let sql = "SELECT counters, pages, requests, session FROM node WHERE state <> 'live'";
        let gone = transaction.query_typed(sql, &[]).await?;
        let (mut pages, mut requests, mut of_gone) = (0, 0, vec![counters]);
        let mut sessions: Vec<i64> = Vec::new();
        for row in &gone {
            sessions.push(row.try_get(3)?);
            of_gone.push(row.try_get(0)?);
            pages += row.try_get::<_, i64>(1)?;
            requests += row.try_get::<_, i64>(2)?;
        }
        // Counters that cannot be read stay where they are, and whoever opens the crawl is told.
        if let Some(sum) = sum_of(of_gone.iter().flatten()).filter(|_| !gone.is_empty()) {
            let sql = "UPDATE crawl SET counters = $1, pages = pages + $2, requests = requests + $3";
            let parameters: [(&(dyn ToSql + Sync), Type); 3] =
                [(&sum, Type::TEXT), (&pages, Type::INT8), (&requests, Type::INT8)];
            transaction.execute_typed(sql, &parameters).await?;
            // Only those that were added: another may have gone meanwhile.
            let sql = "DELETE FROM node WHERE session = ANY($1)";
            transaction.execute_typed(sql, &[(&sessions, Type::INT8_ARRAY)]).await?;
        }
        let (name, session) = (format!("{} {}", host_name(), std::process::id()), random_number());
        let sql = "INSERT INTO node (session, name, version, term, ends) VALUES ($1, $2, $3, $4, $5)";
        let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
            (&session, Type::INT8),
            (&name, Type::TEXT),
            (&VERSION, Type::INT4),
            (&term, Type::INT8),
            (&ends, Type::INT8),
        ];
        transaction.execute_typed(sql, &parameters).await?;
        transaction.commit().await?;
        if has_failed_over {
            tracing::warn!(crawl = self.crawl(), "the database has failed over; the nodes from before are waited for");
        }
        Ok(Joined { session, ends, stops, look_interval, joins_others: !live.is_empty() })
    }

    /// Looks whether other nodes are silent for so long that they must have ended, and says so, unless they give a sign
    /// of life at the last moment. What fails is tried again the next time.
    pub async fn look_after_others(&mut self) {
        let limit = self.pause();
        let looked = match timeout(limit, self.bury_the_dead()).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => said(&error),
            Err(_) => format!("no answer within {limit:?}"),
        };
        tracing::warn!(crawl = self.crawl(), why = looked, "the other nodes could not be looked at");
        self.live = None;
    }

    async fn bury_the_dead(&mut self) -> std::result::Result<(), SqlError> {
        let me = self.session;
        let sql = "SELECT session, beat, term FROM node WHERE state = 'live' AND session <> $1";
        let rows = self.client().await?.query_typed(sql, &[(&me, Type::INT8)]).await?;
        let peer = |row: &Row| {
            let length = TermLength::new(Duration::from_millis(row.try_get::<_, i64>(2)?.unsigned_abs()));
            Ok(Peer { session: row.try_get(0)?, beat: row.try_get(1)?, length })
        };
        let peers = rows.iter().map(peer).collect::<std::result::Result<Vec<_>, SqlError>>()?;
        for Peer { session, beat, .. } in self.watch.dead(&peers, clock::now()) {
            let sql = "UPDATE node SET state = 'dead' WHERE session = $1 AND beat = $2 AND state = 'live'";
            let client = self.client().await?;
            if client.execute_typed(sql, &[(session, Type::INT8), (beat, Type::INT8)]).await? > 0 {
                tracing::warn!(crawl = self.crawl(), session, "a node is silent, and is taken for dead");
            }
        }
        Ok(())
    }

    /// Renews the term, in the time that is left of it.
    ///
    /// # Errors
    /// It has lapsed, or another process has found this one dead; the text says why.
    pub async fn renew(&mut self) -> std::result::Result<(), String> {
        loop {
            let left = (self.renewed + self.length.open()).saturating_duration_since(clock::now());
            let why = match self.try_renew(left.min(self.pause())).await {
                Renewal::Renewed => return Ok(()),
                Renewal::Lost(why) => return Err(why),
                Renewal::Missed(why) => why,
            };
            if clock::now() >= self.renewed + self.length.open() {
                return Err(format!("the database did not answer in time: {why}"));
            }
            tracing::warn!(crawl = self.crawl(), why, "the term could not be renewed, and is tried again");
            self.live = None;
            sleep(self.pause() / 10).await;
        }
    }

    async fn try_renew(&mut self, limit: Duration) -> Renewal {
        let (asked, asked_by_system, me) = (clock::now(), BootTime::now(), self.session);
        let renewing = async {
            let sql = "UPDATE node SET beat = beat + 1, seen = now() \
                       WHERE session = $1 AND state = 'live' AND timeline = timeline()";
            self.client().await?.execute_typed(sql, &[(&me, Type::INT8)]).await
        };
        match timeout(limit, renewing).await {
            Ok(Ok(0)) => Renewal::Lost(
                "another node has taken this one for dead, the database has failed over to a replica, or the crawl was dropped \
                 and begun again"
                    .to_owned(),
            ),
            Ok(Err(error)) if is_dropped(&error) => Renewal::Lost("it was dropped".to_owned()),
            Ok(Err(error)) => Renewal::Missed(error.to_string()),
            Err(_) => Renewal::Missed(format!("no answer within {limit:?}")),
            Ok(Ok(_)) => match self.renewed(asked, asked_by_system) {
                Ok(()) => Renewal::Renewed,
                Err(error) => Renewal::Lost(format!("the system refuses the timer: {error}")),
            },
        }
    }

    /// Records a renewal that was sent at `asked`. Sets the system's timer before the term, so that no gate opens
    /// without the timer.
    fn renewed(&mut self, asked: Instant, asked_by_system: io::Result<BootTime>) -> io::Result<()> {
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.set(asked_by_system?, self.length)?;
        }
        self.term.renew(asked, self.length);
        self.renewed = asked;
        Ok(())
    }

    /// Creates the error of a crawl whose term is lost.
    pub fn given_up(&self, why: &str) -> Error {
        self.place.refuse(format!("{why}; this node has given it up, and the others go on"))
    }

    /// Ends the term: no more requests may be sent. The system's timer stays set.
    pub fn lose(&self) {
        self.term.end();
    }

    /// Leaves the crawl, so that other nodes take the parts of this one at once. The term ends first, so no new write
    /// begins. Writes that had passed their gate get a moment to end before another node can know.
    pub async fn leave(mut self) {
        self.term.end();
        sleep(LAST_WRITES).await;
        let (me, crawl) = (self.session, self.crawl().to_owned());
        // The timer is still set; end before it fires.
        let limit = (self.renewed + self.length.open()).saturating_duration_since(clock::now());
        let left = async {
            let sql = "UPDATE node SET state = 'left' WHERE session = $1 AND state = 'live'";
            self.client().await?.execute_typed(sql, &[(&me, Type::INT8)]).await
        };
        match timeout(limit, left).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(crawl, %error, "the parts of this node are taken over only when it is found dead");
            }
            Err(_) => {
                tracing::warn!(crawl, "the database does not answer; the parts of this node are taken over later");
            }
        }
        // The timer is dropped with `self`: no write is left for it to prevent.
    }

    async fn client(&mut self) -> std::result::Result<&mut Client, SqlError> {
        let current = match self.live.take().filter(|live| !live.client.is_closed()) {
            Some(current) => current,
            None => self.place.server().connect().await?,
        };
        Ok(&mut self.live.insert(current).client)
    }
}

/// Makes all nodes void that joined before the database failed over, and gives all parts to one in their place, which
/// is silent. The replica may know neither all of them nor whose the parts were, and each may ask until its term
/// lapses. So the parts are taken over as those of any node that is not heard of any more. When they were asked before
/// it is not known either.
async fn void_all(transaction: &Transaction<'_>, term: i64) -> std::result::Result<(), SqlError> {
    transaction
        .batch_execute("UPDATE crawl SET timeline = timeline(); UPDATE node SET state = 'dead' WHERE state = 'live'; DELETE FROM rested")
        .await?;
    let before = random_number();
    // The longest term of those that are known.
    let sql = "INSERT INTO node (session, name, version, term, ends) \
               SELECT $1, 'all nodes from before the failover', $3, greatest($2, max(term)), \
               (SELECT CASE WHEN state = 'ended' THEN -1 ELSE ends END FROM crawl) FROM node";
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&before, Type::INT8), (&term, Type::INT8), (&VERSION, Type::INT4)];
    transaction.execute_typed(sql, &parameters).await?;
    transaction.execute_typed("UPDATE part SET owner = $1", &[(&before, Type::INT8)]).await.map(drop)
}

/// Returns the sum of counters as rows have them; `None` if one of them cannot be read.
fn sum_of<'c>(counters: impl Iterator<Item = &'c String>) -> Option<String> {
    let mut sum = Counters::default();
    for text in counters {
        let of_node: Counters = serde_json::from_str(text).ok()?;
        sum.checkpoint.add(&of_node.checkpoint);
        sum.seen += of_node.seen;
    }
    serde_json::to_string(&sum).ok()
}

/// What people know the machine by.
fn host_name() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = read.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    name.map_or_else(|| "a machine".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests;
