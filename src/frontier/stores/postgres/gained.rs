//! Gained: what a node reads with parts that it has taken. Knows nothing of how they are taken.

use std::result::Result as StdResult;

use tokio_postgres::{Client, Error as SqlError, Row, Transaction, types::Type};

use super::{
    link::{Failed, Parameter},
    rows::{last_asked, number_of},
};
use crate::{
    domain::Domain,
    frontier::{
        durable::DomainHistory, known_depth::KnownDepth, part::PartSet, shared::LastAsked, windowed::store::Gained,
    },
    identity::Fingerprint,
};

/// Says that a node which has taken parts is not idle. Returns the numbers from which it goes on, and what the former
/// owners have said of when the domains were asked: it is removed, since it is true of nobody's later.
pub(super) async fn begin_with_gained(
    transaction: &Transaction<'_>,
    session: i64,
    gained: &PartSet,
) -> StdResult<(u64, Vec<LastAsked>), Failed> {
    let sql = "UPDATE node SET idle = false WHERE session = $1";
    transaction.execute_typed(sql, &[(&session, Type::INT8)]).await?;
    let block = transaction.query_typed("SELECT nextval('block')", &[]).await?;
    let block: i64 = block.first().map(|row| row.try_get(0)).transpose()?.unwrap_or_default();
    let parts: Vec<_> = gained.iter().map(number_of).collect();
    let sql = "DELETE FROM rested WHERE part = ANY($1) RETURNING part, domain, ages";
    let mut rested = Vec::new();
    for row in transaction.query_typed(sql, &[(&parts, Type::INT2_ARRAY)]).await? {
        // What cannot be read counts as asked just now.
        rested.extend(last_asked(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    }
    Ok((block.unsigned_abs() << BLOCK_BITS, rested))
}

/// Reads what comes with parts.
pub(super) async fn read_gained(client: &Client, gained: &PartSet) -> StdResult<Gained, Failed> {
    let parts: Vec<_> = gained.iter().map(number_of).collect();
    let of_parts: [Parameter<'_>; 1] = [(&parts, Type::INT2_ARRAY)];
    let sql = "SELECT domain, requests FROM waiting WHERE part = ANY($1)";
    let waiting = client.query_typed(sql, &of_parts).await?;
    let sql = "SELECT domain, history FROM past WHERE part = ANY($1)";
    let histories = client.query_typed(sql, &of_parts).await?;
    let waits = |row: &Row| Ok((Domain::new(row.try_get(0)?), row.try_get::<_, i64>(1)?.unsigned_abs()));
    let history = |row: &Row| -> StdResult<(Domain, DomainHistory), Failed> {
        let history = serde_json::from_str(row.try_get(1)?).map_err(|error| Failed::Damaged(error.to_string()))?;
        Ok((Domain::new(row.try_get(0)?), history))
    };
    Ok(Gained {
        parts: *gained,
        waiting: waiting.iter().map(waits).collect::<StdResult<_, SqlError>>()?,
        histories: histories.iter().map(history).collect::<StdResult<_, _>>()?,
        ..Gained::default()
    })
}

/// A block has 2^40 numbers: at 10,000 a second it lasts for three years, and there are as many blocks as one node
/// could draw in a year, four in a second.
const BLOCK_BITS: u32 = 40;

/// The oldest transaction that has not ended: what is of an earlier one is seen from now on.
pub(super) const HORIZON: &str = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text";

pub(super) async fn horizon(client: &Client) -> StdResult<Option<String>, SqlError> {
    let rows = client.query_typed(HORIZON, &[]).await?;
    rows.first().map(|row| row.try_get(0)).transpose()
}

/// Reads what was stored of depths since they were last read, if they ever were. The former owner of a part has stored
/// all that it knew.
pub(super) async fn read_new_depths(
    client: &Client,
    since: &mut Option<String>,
) -> StdResult<Vec<(Fingerprint, KnownDepth)>, Failed> {
    let Some(read) = since else { return Ok(Vec::new()) };
    let horizon = horizon(client).await?;
    let sql = "SELECT fingerprint, known FROM depth WHERE changed >= $1::text::xid8";
    let rows = client.query_typed(sql, &[(read, Type::TEXT)]).await?;
    let depths = rows.iter().map(depth_in).collect::<StdResult<_, _>>()?;
    *since = horizon;
    Ok(depths)
}

/// Reads a row of `fingerprint, known`.
pub(super) fn depth_in(row: &Row) -> StdResult<(Fingerprint, KnownDepth), Failed> {
    let (fingerprint, known): (&[u8], &[u8]) = (row.try_get(0)?, row.try_get(1)?);
    let fingerprint = fingerprint.try_into().map(Fingerprint::from_bytes).ok();
    let depth = fingerprint.zip(KnownDepth::from_bytes(known));
    depth.ok_or_else(|| Failed::Damaged("a depth is cut short".to_owned()))
}
