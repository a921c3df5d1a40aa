//! Status: what people ask about a crawl that machines share, and its end for good.

use std::fmt;

use tokio_postgres::IsolationLevel;

use super::ClusterSettings;
use crate::{
    error::Result,
    frontier::{durable::Checkpoint, part::Part, stores::postgres::schema::CrawlPlace, windowed::store::Counters},
    postgres::Connection,
    report::numbers::Counted,
    stats::Ledger,
};

/// A crawl that machines share, as its tables show it.
#[derive(Debug)]
pub struct ClusterStatus {
    /// The crawl's name.
    pub name: String,
    /// `new`, `running`, `paused`, `stopped` (nobody crawls it, and it has not ended) or `ended`.
    pub state: String,
    /// How many nodes have joined so far.
    pub joined: i64,
    /// How many requests wait or are in flight, of how many domains.
    pub waiting: (i64, i64),
    /// How many requests are on their way from one node to another.
    pub sent: i64,
    /// How many parts belong to nobody who is there.
    pub free_parts: i64,
    /// The sum of the accounts of all nodes.
    pub accounts: Checkpoint,
    /// The nodes that are there, and those that have gone lately.
    pub nodes: Vec<NodeStatus>,
}

/// A node of a crawl.
#[derive(Debug)]
pub struct NodeStatus {
    /// The name of its machine, and the number of its process.
    pub name: String,
    /// `live`, `left` or `dead`.
    pub state: String,
    /// How many parts it has.
    pub parts: i64,
    /// How many pages it has crawled.
    pub pages: i64,
    /// How many commits it has made.
    pub commits: i64,
    /// Whether nothing is left to do for it.
    pub is_idle: bool,
    /// Whether it has a fault of its own or is about to leave, so that its parts should be another's.
    pub is_unfit: bool,
    /// For how many seconds nothing was seen of it.
    pub silent: f64,
}

/// Reads the status of a crawl.
///
/// # Errors
/// The database cannot be reached, or there is no such crawl.
pub async fn status(settings: &ClusterSettings) -> Result<ClusterStatus> {
    let (place, Connection { mut client, .. }) = open_known(settings).await?;
    let read = async {
        // All is of one moment, so that it adds up.
        let snapshot = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let snapshot = snapshot.start().await?;
        let sql = "SELECT CASE WHEN state <> 'running' THEN state \
                   WHEN NOT EXISTS (SELECT FROM node WHERE node.state = 'live') THEN 'stopped' \
                   WHEN paused THEN 'paused' ELSE state END, nodes, \
                   (SELECT coalesce(sum(requests), 0)::bigint FROM waiting), (SELECT count(*) FROM waiting), \
                   (SELECT count(*) FROM inbox), (SELECT count(*) FROM part WHERE owner IS NULL \
                   OR owner NOT IN (SELECT session FROM node WHERE node.state = 'live')) FROM crawl";
        let crawl = snapshot.query_typed(sql, &[]).await?;
        let sql = "SELECT name, state, (SELECT count(*) FROM part WHERE owner = session), pages, commits, idle, unfit, \
                   extract(epoch FROM now() - seen)::double precision FROM node ORDER BY joined, session";
        let nodes = snapshot.query_typed(sql, &[]).await?;
        let sql = "SELECT counters FROM node UNION ALL SELECT counters FROM crawl";
        let counters = snapshot.query_typed(sql, &[]).await?;
        Ok::<_, tokio_postgres::Error>((crawl, nodes, counters))
    };
    let (crawl, nodes, counters) = read.await.map_err(|error| place.unusable(&error))?;
    let row = crawl.first().ok_or_else(|| place.refuse("its table `crawl` is empty; drop it, and begin again"))?;
    let mut accounts = Checkpoint::default();
    for row in &counters {
        let text: Option<&str> = row.try_get(0).map_err(|error| place.unusable(&error))?;
        let counters = text.map(serde_json::from_str::<Counters>).transpose();
        // There are none before the first commit.
        accounts.add(&counters.map_err(|error| place.damaged(&error))?.unwrap_or_default().checkpoint);
    }
    let node = |row: &tokio_postgres::Row| {
        Ok::<_, tokio_postgres::Error>(NodeStatus {
            name: row.try_get(0)?,
            state: row.try_get(1)?,
            parts: row.try_get(2)?,
            pages: row.try_get(3)?,
            commits: row.try_get(4)?,
            is_idle: row.try_get(5)?,
            is_unfit: row.try_get(6)?,
            silent: row.try_get(7)?,
        })
    };
    let read = || -> std::result::Result<_, tokio_postgres::Error> {
        Ok(ClusterStatus {
            name: place.name().to_owned(),
            state: row.try_get(0)?,
            joined: row.try_get(1)?,
            waiting: (row.try_get(2)?, row.try_get(3)?),
            sent: row.try_get(4)?,
            free_parts: row.try_get(5)?,
            nodes: nodes.iter().map(node).collect::<std::result::Result<_, _>>()?,
            accounts,
        })
    };
    read().map_err(|error| place.unusable(&error))
}

/// Removes a crawl with all that it has. With force whoever crawls it gives up at the next renewal.
///
/// # Errors
/// The database cannot be reached, there is no such crawl, or nodes crawl it and there is no force.
pub async fn drop_crawl(settings: &ClusterSettings, by_force: bool) -> Result<()> {
    let (place, Connection { mut client, .. }) = open(settings).await?;
    place.drop_tables(&mut client, by_force).await
}

async fn open(settings: &ClusterSettings) -> Result<(CrawlPlace, Connection)> {
    let place = CrawlPlace::of(&settings.url, &settings.name)?;
    let connection = place.server().connect().await.map_err(|error| place.unusable(&error))?;
    if place.is_there(&connection.client).await? {
        Ok((place, connection))
    } else {
        Err(place.refuse("there is none of this name; it is made when a node first crawls it"))
    }
}

/// Connects to a crawl whose tables this program knows.
///
/// # Errors
/// The database cannot be reached, there is no such crawl, or its tables are of another version.
pub(super) async fn open_known(settings: &ClusterSettings) -> Result<(CrawlPlace, Connection)> {
    let (place, connection) = open(settings).await?;
    place.check_version(&connection.client).await?;
    Ok((place, connection))
}

impl fmt::Display for ClusterStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |number: i64| number.unsigned_abs();
        writeln!(f, "crawl {}: {}", self.name, self.state)?;
        let Ledger { discovered, done, failed, dropped, .. } = self.accounts.ledger;
        let (waiting, domains) = (of(self.waiting.0), of(self.waiting.1));
        writeln!(
            f,
            "  {discovered} discovered = {done} done + {failed} failed + {dropped} dropped + {waiting} waiting"
        )?;
        writeln!(f, "  waiting or in flight for {}; {} on their way", Counted(domains, "domain"), self.sent)?;
        writeln!(f, "  {} of {} parts belong to nobody", self.free_parts, Part::COUNT)?;
        writeln!(f, "  {} joined so far", Counted(of(self.joined), "node"))?;
        for NodeStatus { name, state, parts, pages, commits, is_idle, is_unfit, silent } in &self.nodes {
            let does = match (state.as_str(), is_unfit, is_idle) {
                ("live", true, _) => "gives its parts away",
                ("live", false, true) => "has nothing left to do",
                ("live", false, false) => "crawls",
                (state, ..) => state,
            };
            let (parts, pages) = (Counted(of(*parts), "part"), Counted(of(*pages), "page"));
            let commits = Counted(of(*commits), "commit");
            writeln!(f, "  {name}: {does}, {parts}, {pages}, {commits}, seen {silent:.1} s ago")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres_server::PostgresServer;

    /// Regression: what could not be read was shown as a crawl that has done nothing.
    #[test]
    fn counts_that_cannot_be_read_are_an_error_and_not_zero() {
        let server = PostgresServer::shared();
        let settings = ClusterSettings::new(server.database("status"), "test".to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let place = CrawlPlace::of(&settings.url, &settings.name).unwrap();
            let mut connection = place.server().connect().await.unwrap();
            place.ensure(&mut connection.client).await.unwrap();
        });
        let ask = || runtime.block_on(status(&settings));
        assert_eq!(ask().unwrap().accounts.ledger, Ledger::default(), "nothing is committed yet");
        server.psql("status", "UPDATE crawl_test.crawl SET counters = '{\"checkpoint\": 7}'");
        let error = ask().unwrap_err().to_string();
        assert!(error.contains("it is damaged"), "{error}");
    }
}
