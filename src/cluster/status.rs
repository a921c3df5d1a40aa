//! Status: what people ask about a crawl that machines share, and its end for good.

use std::fmt;

use super::ClusterSettings;
use crate::{
    error::Result,
    frontier::{stores::postgres::schema::CrawlPlace, windowed::store::Counters},
    postgres::Connection,
    report::numbers::Counted,
};

/// A crawl that machines share, as its tables show it.
#[derive(Debug)]
pub struct ClusterStatus {
    /// The crawl's name.
    pub name: String,
    /// `new`, `running`, `stopped` or `finished`.
    pub state: String,
    /// How many owners it has had.
    pub owners: i64,
    /// How many commits were made.
    pub commits: i64,
    /// How many requests wait or are in flight.
    pub waiting: i64,
    /// How many domains those are of.
    pub domains: i64,
    /// How many pages are done, and how many requests failed or were dropped.
    pub ended: (u64, u64, u64),
    /// The nodes: a name, whether it owns the crawl, whether it was found dead, and for how many seconds nothing was seen of it.
    pub nodes: Vec<(String, bool, bool, f64)>,
}

/// Reads the status of a crawl.
///
/// # Errors
/// The database cannot be reached, or there is no such crawl.
pub async fn status(settings: &ClusterSettings) -> Result<ClusterStatus> {
    let (place, Connection { client, .. }) = open(settings).await?;
    let read = async {
        let sql = "SELECT state, owners, commits, counters, (SELECT coalesce(sum(requests), 0)::bigint FROM waiting), \
                   (SELECT count(*) FROM waiting) FROM crawl";
        let crawl = client.query_typed(sql, &[]).await?;
        let sql = "SELECT name, session = owner AND owner IS NOT NULL, dead, \
                   extract(epoch FROM now() - seen)::double precision FROM node, crawl ORDER BY joined, session";
        let nodes = client.query_typed(sql, &[]).await?;
        Ok::<_, tokio_postgres::Error>((crawl, nodes))
    };
    let (crawl, nodes) = read.await.map_err(|error| place.unusable(&error))?;
    let row = crawl.first().ok_or_else(|| place.refuse("its table `crawl` is empty; drop it, and begin again"))?;
    let node = |row: &tokio_postgres::Row| {
        Ok::<_, tokio_postgres::Error>((
            row.try_get(0)?,
            row.try_get::<_, Option<bool>>(1)?.unwrap_or_default(),
            row.try_get(2)?,
            row.try_get(3)?,
        ))
    };
    let counters: Option<&str> = row.try_get(3).map_err(|error| place.unusable(&error))?;
    let counters = counters.map(serde_json::from_str::<Counters>).transpose();
    // There are none before the first commit.
    let counters = counters.map_err(|error| place.damaged(&error))?.unwrap_or_default();
    let ledger = &counters.checkpoint.ledger;
    let read = || -> std::result::Result<_, tokio_postgres::Error> {
        Ok(ClusterStatus {
            name: place.name().to_owned(),
            state: row.try_get(0)?,
            owners: row.try_get(1)?,
            commits: row.try_get(2)?,
            waiting: row.try_get(4)?,
            domains: row.try_get(5)?,
            ended: (ledger.done, ledger.failed, ledger.dropped),
            nodes: nodes.iter().map(node).collect::<std::result::Result<_, _>>()?,
        })
    };
    read().map_err(|error| place.unusable(&error))
}

/// Removes a crawl with all that it has. Whoever crawls it gives up at the next renewal.
///
/// # Errors
/// The database cannot be reached, or there is no such crawl.
pub async fn drop_crawl(settings: &ClusterSettings) -> Result<()> {
    let (place, connection) = open(settings).await?;
    place.drop_tables(&connection.client).await
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

impl fmt::Display for ClusterStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (done, failed, dropped) = self.ended;
        let of = |number: i64| number.unsigned_abs();
        writeln!(f, "crawl {}: {}", self.name, self.state)?;
        writeln!(f, "  {done} done, {failed} failed, {dropped} dropped")?;
        let (waiting, domains) = (Counted(of(self.waiting), "request"), Counted(of(self.domains), "domain"));
        writeln!(f, "  {waiting} of {domains} waiting or in flight")?;
        writeln!(f, "  {} so far, {}", Counted(of(self.owners), "owner"), Counted(of(self.commits), "commit"))?;
        for (name, is_owner, is_dead, silent) in &self.nodes {
            let does = match (is_dead, is_owner) {
                (true, _) => "dead",
                (false, true) => "crawls",
                (false, false) => "waits",
            };
            writeln!(f, "  {name}: {does}, seen {silent:.1} s ago")?;
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
        assert_eq!(ask().unwrap().ended, (0, 0, 0), "nothing is committed yet");
        server.psql("status", "UPDATE crawl_test.crawl SET counters = '{\"checkpoint\": 7}'");
        let error = ask().unwrap_err().to_string();
        assert!(error.contains("it is damaged"), "{error}");
    }
}
