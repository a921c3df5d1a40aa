//! Control: what people do to a crawl that machines share, from outside of it: add seeds, pause, continue and stop it,
//! and write down what waits. Each node notices with its next look at the database.

use std::io;

use serde::Serialize;
use serde_json::Value;
use tokio_postgres::{Client, Error as SqlError, IsolationLevel, types::Type};

use super::{ClusterSettings, status::open_known};
use crate::{
    error::{Error, Result},
    frontier::part::Part,
    postgres::Connection,
    request::Request,
};

/// What a crawl is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterControl {
    /// Send no more requests, on any node, also on those that join later.
    Pause,
    /// Send requests again.
    Resume,
    /// Let requests in flight end, then end all nodes that crawl now. What waits is kept.
    Stop,
}

/// A request of the export.
#[derive(Serialize)]
struct ExportedRequest<'r> {
    part: i16,
    /// `waiting`, `tried` for one that has failed and is tried again, or `sent` for one on its way to another node.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before_ms: Option<i64>,
    request: Value,
}

/// How many rows of the export are read at once: some megabytes.
const PAGE: i32 = 10_000;

/// Tells a crawl what to do.
///
/// # Errors
/// The database cannot be reached, or there is no such crawl.
pub async fn control(settings: &ClusterSettings, control: ClusterControl) -> Result<()> {
    let (place, Connection { client, .. }) = open_known(settings).await?;
    let sql = match control {
        ClusterControl::Pause => "UPDATE crawl SET paused = true",
        ClusterControl::Resume => "UPDATE crawl SET paused = false",
        ClusterControl::Stop => "UPDATE crawl SET stops = stops + 1",
    };
    client.execute_typed(sql, &[]).await.map(drop).map_err(|error| place.unusable(&error))
}

/// Adds seeds. Their hosts extend the scope. They are admitted by the nodes, so nothing is known yet of whether they
/// were seen.
///
/// # Errors
/// A URL is none, the database cannot be reached, there is no such crawl, or it has ended; then no seed is added.
pub async fn add_seeds(settings: &ClusterSettings, urls: &[String]) -> Result<()> {
    let (mut parts, mut requests) = (Vec::new(), Vec::new());
    for url in urls {
        let request = Request::parse(url)?;
        // Whoever has this part makes a candidate of it, by the rules of the crawl, and sends it on to where it
        // belongs.
        parts.push(i16::try_from(Part::of_key(request.url.as_str().as_bytes()).number()).unwrap_or_default());
        requests.push(serde_json::to_string(&request).map_err(Error::State)?);
    }
    let (place, Connection { mut client, .. }) = open_known(settings).await?;
    let add = async {
        let transaction = client.transaction().await?;
        // The lock that the end of the crawl takes too.
        let rows = transaction.query_typed("SELECT state FROM crawl FOR UPDATE", &[]).await?;
        let state: Option<String> = rows.first().map(|row| row.try_get(0)).transpose()?;
        if state.as_deref() == Some("ended") {
            return Ok(false);
        }
        let sql = "INSERT INTO inbox (part, request) SELECT * FROM unnest($1::smallint[], $2::text[])";
        transaction.execute_typed(sql, &[(&parts, Type::INT2_ARRAY), (&requests, Type::TEXT_ARRAY)]).await?;
        transaction.commit().await?;
        Ok::<_, SqlError>(true)
    };
    match add.await {
        Ok(true) => Ok(()),
        Ok(false) => Err(place.refuse("it has ended, so nobody would crawl the seed; start a node with it")),
        Err(error) => Err(place.unusable(&error)),
    }
}

/// Writes all requests that wait, are in flight or on their way, as JSON Lines. Returns how many. All are of one
/// moment.
///
/// # Errors
/// The database cannot be reached, there is no such crawl, or the output cannot be written.
pub async fn export(settings: &ClusterSettings, mut output: impl io::Write) -> Result<u64> {
    let (place, Connection { mut client, .. }) = open_known(settings).await?;
    let unwritable = |source| Error::file("the export", source);
    let written = write_all(&mut client, &mut output).await;
    let written = written.map_err(|error| place.unusable(&error))?.map_err(unwritable)?;
    output.flush().map_err(unwritable)?;
    Ok(written)
}

async fn write_all(client: &mut Client, output: &mut impl io::Write) -> std::result::Result<io::Result<u64>, SqlError> {
    let snapshot = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let snapshot = snapshot.start().await?;
    // Whoever reads the output may be slow.
    snapshot.batch_execute("SET LOCAL idle_in_transaction_session_timeout = 0").await?;
    let sql = "SELECT part, domain, attempts, not_before, request FROM queue UNION ALL \
               SELECT part, NULL, NULL, NULL, request FROM inbox";
    let select = snapshot.prepare(sql).await?;
    let portal = snapshot.bind(&select, &[]).await?;
    let mut written = 0;
    loop {
        let rows = snapshot.query_portal(&portal, PAGE).await?;
        for row in &rows {
            let attempts: Option<i32> = row.try_get(2)?;
            let state = match attempts {
                None => "sent",
                Some(0) => "waiting",
                Some(_) => "tried",
            };
            let request = match serde_json::from_str(row.try_get(4)?) {
                Ok(request) => request,
                Err(error) => return Ok(Err(error.into())),
            };
            let line = ExportedRequest {
                part: row.try_get(0)?,
                state,
                domain: row.try_get(1)?,
                not_before_ms: row.try_get(3)?,
                request,
            };
            let line = serde_json::to_writer(&mut *output, &line).map_err(io::Error::from);
            if let Err(error) = line.and_then(|()| output.write_all(b"\n")) {
                return Ok(Err(error));
            }
            written += 1;
        }
        if rows.is_empty() {
            return Ok(Ok(written));
        }
    }
}
