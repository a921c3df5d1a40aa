//! Node: this process among those that share a crawl: how it waits for the crawl, takes it, renews its term, and gives it back.
//! Knows no crawl that runs.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::{sleep, timeout};
use tokio_postgres::{
    Client, Error as SqlError,
    types::{ToSql, Type},
};

use super::killer::{BootTime, Killer};
use crate::{
    clock,
    error::{Error, Result},
    frontier::stores::postgres::schema::{CrawlPlace, is_dropped, random_number},
    postgres::{Connection, said},
    term::{Silence, Term, TermLength},
};

/// This process. It is a row of the table `node`.
pub(super) struct Node {
    place: CrawlPlace,
    term: Arc<Term>,
    length: TermLength,
    session: i64,
    live: Option<Connection>,
    killer: Option<Killer>,
    /// When the last successful renewal was sent.
    renewed: Instant,
}

/// How long a write may take that had passed its gate when the crawl was aborted. The timer is set until then.
const LAST_WRITES: Duration = Duration::from_millis(50);

/// The crawl belongs to this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owned {
    /// The number of this owner.
    pub token: i64,
}

/// The crawl as a waiting node sees it in the database.
struct Sight {
    is_finished: bool,
    owner: Option<i64>,
    token: i64,
    /// The owner's last sign of life; `None` if it is known to be dead, or gone.
    beat: Option<i64>,
    /// How long its term is: by that it asks, whatever this process has.
    length: TermLength,
}

/// What a waiting node does next.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Wait on.
    Wait,
    /// Nobody owns it: take it, as the successor of this owner.
    Take { token: i64 },
    /// The owner's term must have lapsed: say so, unless it gives a sign of life at the last moment.
    Bury { session: i64, beat: i64 },
    /// It is finished.
    End,
}

/// A waiting node, and what it has seen so far.
#[derive(Default)]
struct Watch {
    /// The owner that was seen last, by its number, and how long it is silent.
    silence: Option<(i64, Silence)>,
    /// The owner that was told of, by its number.
    told: Option<i64>,
    /// The failure that was told of: it is the same at each look for as long as it lasts.
    failure: Option<String>,
}

/// Whether a renewal came.
enum Renewal {
    Renewed,
    /// The database did not answer, or not in time.
    Missed(String),
    /// Another process has found this one dead, or the crawl is gone.
    Lost(String),
}

impl Watch {
    /// Decides what to do after a look, which had ended at `now`.
    fn step(&mut self, sight: &Sight, me: i64, now: Instant) -> Step {
        let take = Step::Take { token: sight.token };
        let Some(owner) = sight.owner else {
            // A crawl that was finished before this process came begins again, as a crawl with a used state directory
            // does.
            return if sight.is_finished && self.silence.is_some() { Step::End } else { take };
        };
        // If this process is the owner, it took the crawl and the answer was lost. It takes the crawl again, since its
        // term counts from a take-over that was answered.
        let Some(beat) = sight.beat.filter(|_| owner != me) else { return take };
        match &mut self.silence {
            Some((token, silence)) if *token == sight.token => silence.note(beat, now),
            other => *other = Some((sight.token, Silence::new(beat, now))),
        }
        let is_dead = self.silence.is_some_and(|(_, silence)| silence.is_death(now, sight.length));
        if is_dead { Step::Bury { session: owner, beat } } else { Step::Wait }
    }
}

impl Node {
    /// Creates a node that has not joined yet.
    pub fn new(place: CrawlPlace, term: Arc<Term>, length: TermLength) -> Self {
        Self { place, term, length, session: 0, live: None, killer: None, renewed: clock::now() }
    }

    /// Returns the name of the crawl.
    pub fn crawl(&self) -> &str {
        self.place.name()
    }

    /// Returns how long to wait between two signs of life.
    pub fn pause(&self) -> Duration {
        self.length.renewal()
    }

    /// Joins, and waits until this process owns the crawl.
    ///
    /// # Errors
    /// The database cannot be reached at first, it refuses, or another process has finished the crawl.
    pub async fn own(&mut self) -> Result<Owned> {
        self.killer = Some(Killer::new().map_err(Error::Start)?);
        self.join().await?;
        self.wait(&mut Watch::default()).await
    }

    async fn wait(&mut self, watch: &mut Watch) -> Result<Owned> {
        loop {
            match self.look(watch).await {
                Ok(Some(owned)) => return owned,
                Ok(None) => watch.failure = None,
                Err(error) if is_dropped(&error) => return Err(self.dropped()),
                Err(error) => {
                    let why = said(&error);
                    if watch.failure.as_ref() != Some(&why) {
                        tracing::warn!(crawl = self.crawl(), why, "the database cannot be asked, and is tried again");
                    }
                    watch.failure = Some(why);
                    self.live = None;
                }
            }
            sleep(self.pause()).await;
        }
    }

    /// Makes the tables unless they are there, and joins.
    async fn join(&mut self) -> Result<()> {
        let place = self.place.clone();
        let client = self.client().await.map_err(|error| place.unusable(&error))?;
        place.ensure(client).await?;
        self.begin_session().await.map_err(|error| place.unusable(&error))
    }

    /// Adds a row for this process, which is a newcomer from then on.
    async fn begin_session(&mut self) -> std::result::Result<(), SqlError> {
        let term = i64::try_from(self.length.end().as_millis()).unwrap_or(i64::MAX);
        let client = self.client().await?;
        // A node that ended while it waited is never marked as dead.
        let sql = "DELETE FROM node WHERE seen < now() - interval '1 hour' \
                   AND session NOT IN (SELECT owner FROM crawl WHERE owner IS NOT NULL)";
        client.execute_typed(sql, &[]).await?;
        let (name, session) = (format!("{} {}", host_name(), std::process::id()), random_number());
        let sql = "INSERT INTO node (session, name, term) VALUES ($1, $2, $3)";
        client.execute_typed(sql, &[(&session, Type::INT8), (&name, Type::TEXT), (&term, Type::INT8)]).await?;
        self.session = session;
        Ok(())
    }

    /// Looks whether the crawl can be taken, and does so. Shows that this process is there.
    async fn look(&mut self, watch: &mut Watch) -> std::result::Result<Option<Result<Owned>>, SqlError> {
        let sql = "UPDATE node SET seen = now() WHERE session = $1 AND NOT dead";
        let session = self.session;
        if self.client().await?.execute_typed(sql, &[(&session, Type::INT8)]).await? == 0 {
            // Another node has found this one dead, or has removed its row since nothing was seen of it for long.
            self.begin_session().await?;
        }
        let me = self.session;
        let client = self.client().await?;
        let sql = "SELECT state = 'finished', owner, token, CASE WHEN dead THEN NULL ELSE beat END, \
                   coalesce(term, 0), name \
                   FROM crawl LEFT JOIN node ON session = owner";
        let rows = client.query_typed(sql, &[]).await?;
        let Some(row) = rows.first() else {
            return Ok(Some(Err(self.dropped())));
        };
        let sight = Sight {
            is_finished: row.try_get(0)?,
            owner: row.try_get(1)?,
            token: row.try_get(2)?,
            beat: row.try_get(3)?,
            length: TermLength::new(Duration::from_millis(row.try_get::<_, i64>(4)?.unsigned_abs())),
        };
        match watch.step(&sight, me, clock::now()) {
            Step::Wait => {
                if watch.told.replace(sight.token) != Some(sight.token) {
                    let owner: Option<&str> = row.try_get(5)?;
                    tracing::info!(crawl = self.crawl(), owner, "this node waits while another crawls");
                }
                Ok(None)
            }
            Step::End => Ok(Some(Err(Error::FinishedElsewhere { name: self.crawl().to_owned() }))),
            Step::Bury { session, beat } => {
                let sql = "UPDATE node SET dead = true WHERE session = $1 AND beat = $2";
                let buried = client.execute_typed(sql, &[(&session, Type::INT8), (&beat, Type::INT8)]).await?;
                if buried == 0 {
                    return Ok(None);
                }
                tracing::warn!(crawl = self.crawl(), session, "the owner is silent, and is taken for dead");
                self.take(sight.token).await
            }
            Step::Take { token } => self.take(token).await,
        }
    }

    fn dropped(&self) -> Error {
        self.place.refuse("it was dropped while this node waited for it")
    }

    /// Takes the crawl, unless another has done so since it was looked at, or this process has no live row: whoever owns it
    /// without one counts as dead, and another would take it at once. The term begins when it was asked for.
    ///
    /// The sign of life is in the same statement. Otherwise a node that is just burying this one, as an owner that has not heard of
    /// its ownership, would succeed after the take.
    ///
    /// An answer that comes after the term has lapsed gains nothing: the next look finds this process as the owner, and takes again.
    /// Its timer would lie in the past and end the process, which has asked nobody.
    async fn take(&mut self, token: i64) -> std::result::Result<Option<Result<Owned>>, SqlError> {
        let (asked, asked_by_system) = (clock::now(), BootTime::now());
        let (me, limit) = (self.session, self.length.open());
        let sql = "WITH live AS (UPDATE node SET beat = beat + 1, seen = now() WHERE session = $1 AND NOT dead \
                   RETURNING session) \
                   UPDATE crawl SET owner = live.session, token = token + 1, owners = owners + 1, state = 'running' FROM live \
                   WHERE token = $2 RETURNING token";
        let taking = async {
            let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&me, Type::INT8), (&token, Type::INT8)];
            self.client().await?.query_typed(sql, &parameters).await
        };
        // The row may be locked for as long as the server waits for an owner that was lost in the middle of a commit.
        let Ok(rows) = timeout(limit, taking).await else {
            tracing::warn!(
                crawl = self.crawl(),
                "the database does not answer in time, and the crawl is not taken yet"
            );
            self.live = None;
            return Ok(None);
        };
        let rows = rows?;
        let Some(row) = rows.first() else { return Ok(None) };
        let is_late = asked_by_system.as_ref().is_ok_and(|asked| asked.is_over(limit)) || clock::now() >= asked + limit;
        if is_late {
            return Ok(None);
        }
        let token = row.try_get(0)?;
        if let Err(error) = self.renewed(asked, asked_by_system) {
            return Ok(Some(Err(Error::Start(error))));
        }
        tracing::info!(crawl = self.crawl(), token, "this node owns the crawl");
        Ok(Some(Ok(Owned { token })))
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
            let sql = "UPDATE node SET beat = beat + 1, seen = now() WHERE session = $1 AND NOT dead";
            self.client().await?.execute_typed(sql, &[(&me, Type::INT8)]).await
        };
        match timeout(limit, renewing).await {
            Ok(Ok(0)) => {
                Renewal::Lost("another node has taken this one for dead, or it was dropped and begun again".to_owned())
            }
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
        if let Some(killer) = &mut self.killer {
            killer.set(asked_by_system?, self.length)?;
        }
        self.term.renew(asked, self.length);
        self.renewed = asked;
        Ok(())
    }

    /// Creates the error of a crawl whose term is lost.
    pub fn given_up(&self, why: &str) -> Error {
        self.place.refuse(format!("{why}; this node has given it up, and one that waits goes on"))
    }

    /// Ends the term: no more requests may be sent. The system's timer stays set.
    pub fn lose(&self) {
        self.term.end();
    }

    /// Gives the crawl back, so that another node can own it at once. The term ends first, so no new write begins.
    /// Writes that had passed their gate get a moment to end before another node can know.
    ///
    /// Those who wait end only if the crawl is finished: if it has ended so here, and nothing waits that was kept for later. A
    /// queue that is empty is no end of a service that waits for seeds, nor of a crawl that could not begin.
    pub async fn leave(mut self, token: i64, is_finished: bool) {
        self.term.end();
        sleep(LAST_WRITES).await;
        let (me, crawl) = (self.session, self.crawl().to_owned());
        // The timer is still set; end before it fires.
        let limit = (self.renewed + self.length.open()).saturating_duration_since(clock::now());
        let left = async {
            let client = self.client().await?;
            let sql = "UPDATE crawl SET owner = NULL, state = \
                       CASE WHEN $2 AND NOT EXISTS (SELECT FROM waiting) THEN 'finished' ELSE 'stopped' END WHERE token = $1";
            client.execute_typed(sql, &[(&token, Type::INT8), (&is_finished, Type::BOOL)]).await?;
            client.execute_typed("DELETE FROM node WHERE session = $1", &[(&me, Type::INT8)]).await
        };
        match timeout(limit, left).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(crawl, %error, "the crawl is taken over only when this node is found dead");
            }
            Err(_) => tracing::warn!(crawl, "the database does not answer; the crawl is taken over later"),
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

/// What people know the machine by.
fn host_name() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = read.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    name.map_or_else(|| "a machine".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests;
