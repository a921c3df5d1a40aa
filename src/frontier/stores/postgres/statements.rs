//! Statements: how rows get into their tables, all rows of a table at once. Knows no transaction.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use futures_util::{FutureExt, future::BoxFuture};
use tokio_postgres::{
    Error as SqlError, Transaction,
    types::{ToSql, Type},
};

use super::rows::{QueueKey, Queued, Rows, SentRow, number_of, part_of};
use crate::frontier::shared::ArrivedId;

/// A table whose rows are found by their part and one more column, and have one value.
struct KeyedTable {
    name: &'static str,
    key: (&'static str, Type),
    value: (&'static str, Type),
}

/// What a row is found by, beside its part.
trait Key: ToSql + Sync + Ord {
    fn part(&self) -> i16;
}

impl Key for String {
    fn part(&self) -> i16 {
        part_of(self.as_bytes())
    }
}

impl Key for Vec<u8> {
    fn part(&self) -> i16 {
        part_of(self)
    }
}

impl Key for i64 {
    fn part(&self) -> i16 {
        part_of(&self.to_be_bytes())
    }
}

const TEXT: Type = Type::TEXT_ARRAY;
const BYTES: Type = Type::BYTEA_ARRAY;
const NUMBER: Type = Type::INT8_ARRAY;
const SMALL: Type = Type::INT2_ARRAY;

/// Sends all changes. They go out together, and the server answers them one after the other.
///
/// # Errors
/// The connection is lost, or the server refuses.
pub(super) async fn write(transaction: &Transaction<'_>, rows: &Rows) -> Result<(), SqlError> {
    let table = |name, key, value| KeyedTable { name, key, value };
    let writes: [BoxFuture<'_, Result<(), SqlError>>; 13] = [
        write_queue(transaction, &rows.queue).boxed(),
        write_keyed(transaction, table("waiting", ("domain", TEXT), ("requests", NUMBER)), &rows.waiting).boxed(),
        write_keyed(transaction, table("seen", ("fingerprint", BYTES), ("at", NUMBER)), &rows.seen).boxed(),
        write_keyed(transaction, table("past", ("domain", TEXT), ("history", TEXT)), &rows.past).boxed(),
        write_keyed(transaction, table("dead", ("number", NUMBER), ("letter", TEXT)), &rows.dead).boxed(),
        write_depths(transaction, &rows.depth).boxed(),
        write_keyed(transaction, table("visit", ("fingerprint", BYTES), ("visit", BYTES)), &rows.visit).boxed(),
        write_keyed(transaction, table("robots", ("origin", TEXT), ("file", BYTES)), &rows.robots).boxed(),
        write_included(transaction, &rows.included).boxed(),
        write_sent(transaction, &rows.sent).boxed(),
        remove_settled(transaction, &rows.settled).boxed(),
        release(transaction, &rows.released).boxed(),
        write_rested(transaction, &rows.rested).boxed(),
    ];
    try_join_all(writes).await.map(drop)
}

/// The type of the elements of an array, as SQL names it.
fn element(array: &Type) -> &'static str {
    match *array {
        Type::TEXT_ARRAY => "text",
        Type::BYTEA_ARRAY => "bytea",
        _ => "bigint",
    }
}

async fn write_keyed<K: Key, V: ToSql + Sync>(
    transaction: &Transaction<'_>,
    table: KeyedTable,
    rows: &BTreeMap<K, Option<V>>,
) -> Result<(), SqlError> {
    let KeyedTable { name, key: (key, key_type), value: (value, value_type) } = table;
    let (keys, values): (Vec<_>, Vec<_>) =
        rows.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))).collect();
    if !keys.is_empty() {
        let parts: Vec<_> = keys.iter().map(|key| key.part()).collect();
        let (key_is, value_is) = (element(&key_type), element(&value_type));
        let sql = format!(
            "INSERT INTO {name} (part, {key}, {value}) \
             SELECT * FROM unnest($1::smallint[], $2::{key_is}[], $3::{value_is}[]) \
             ON CONFLICT (part, {key}) DO UPDATE SET {value} = EXCLUDED.{value}"
        );
        transaction.execute_typed(&sql, &[(&parts, SMALL), (&keys, key_type.clone()), (&values, value_type)]).await?;
    }
    let removed: Vec<_> = rows.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key).collect();
    if !removed.is_empty() {
        let parts: Vec<_> = removed.iter().map(|key| key.part()).collect();
        let key_is = element(&key_type);
        let sql = format!(
            "DELETE FROM {name} USING unnest($1::smallint[], $2::{key_is}[]) AS gone (part, key) \
             WHERE {name}.part = gone.part AND {name}.{key} = gone.key"
        );
        transaction.execute_typed(&sql, &[(&parts, SMALL), (&removed, key_type)]).await?;
    }
    Ok(())
}

/// Merges what is known of depths: a page keeps the least of them, and its links, whoever has found it without.
const PUT_DEPTHS: &str = "INSERT INTO depth AS before (part, fingerprint, known) \
     SELECT * FROM unnest($1::smallint[], $2::bytea[], $3::bytea[]) ON CONFLICT (part, fingerprint) DO UPDATE SET \
     changed = DEFAULT, known = CASE WHEN get_byte(before.known, 0) = 1 THEN EXCLUDED.known \
     WHEN get_byte(EXCLUDED.known, 0) = 1 THEN before.known \
     ELSE least(substring(before.known, 1, 5), substring(EXCLUDED.known, 1, 5)) || \
     substring(CASE WHEN length(EXCLUDED.known) > 5 THEN EXCLUDED.known ELSE before.known END, 6) END";

/// Forgets what was too deep and no longer is.
const REMOVE_DEPTHS: &str = "DELETE FROM depth USING unnest($1::smallint[], $2::bytea[]) AS gone (part, fingerprint) \
     WHERE depth.part = gone.part AND depth.fingerprint = gone.fingerprint AND get_byte(known, 0) = 1";

async fn write_depths(
    transaction: &Transaction<'_>,
    depths: &BTreeMap<Vec<u8>, Option<Vec<u8>>>,
) -> Result<(), SqlError> {
    let (keys, values): (Vec<_>, Vec<_>) =
        depths.iter().filter_map(|(key, known)| Some((key, known.as_ref()?))).collect();
    if !keys.is_empty() {
        let parts: Vec<_> = keys.iter().map(|key| key.part()).collect();
        let parameters: [(&(dyn ToSql + Sync), Type); 3] = [(&parts, SMALL), (&keys, BYTES), (&values, BYTES)];
        transaction.execute_typed(PUT_DEPTHS, &parameters).await?;
    }
    let removed: Vec<_> = depths.iter().filter(|(_, known)| known.is_none()).map(|(key, _)| key).collect();
    if !removed.is_empty() {
        let parts: Vec<_> = removed.iter().map(|key| key.part()).collect();
        transaction.execute_typed(REMOVE_DEPTHS, &[(&parts, SMALL), (&removed, BYTES)]).await?;
    }
    Ok(())
}

const PUT: &str = "INSERT INTO queue (part, domain, rank, age, attempts, not_before, request) \
     SELECT * FROM unnest($1::smallint[], $2::text[], $3::bigint[], $4::bigint[], $5::integer[], $6::bigint[], $7::text[]) \
     ON CONFLICT (part, domain, rank, age) DO UPDATE SET attempts = EXCLUDED.attempts, \
     not_before = EXCLUDED.not_before, request = EXCLUDED.request";

const REMOVE: &str = "DELETE FROM queue USING unnest($1::smallint[], $2::text[], $3::bigint[], $4::bigint[]) \
     AS gone (part, domain, rank, age) WHERE queue.part = gone.part AND queue.domain = gone.domain \
     AND queue.rank = gone.rank AND queue.age = gone.age";

async fn write_queue(transaction: &Transaction<'_>, rows: &BTreeMap<QueueKey, Option<Queued>>) -> Result<(), SqlError> {
    let (put, queued): (Vec<_>, Vec<_>) =
        rows.iter().filter_map(|(key, queued)| Some((key, queued.as_ref()?))).collect();
    if !put.is_empty() {
        let (parts, domains, ranks, ages) = columns(&put);
        let attempts: Vec<_> = queued.iter().map(|queued| queued.attempts).collect();
        let not_before: Vec<_> = queued.iter().map(|queued| queued.not_before).collect();
        let requests: Vec<_> = queued.iter().map(|queued| queued.request.as_str()).collect();
        let parameters: [(&(dyn ToSql + Sync), Type); 7] = [
            (&parts, SMALL),
            (&domains, TEXT),
            (&ranks, NUMBER),
            (&ages, NUMBER),
            (&attempts, Type::INT4_ARRAY),
            (&not_before, NUMBER),
            (&requests, TEXT),
        ];
        transaction.execute_typed(PUT, &parameters).await?;
    }
    let removed: Vec<_> = rows.iter().filter(|(_, queued)| queued.is_none()).map(|(key, _)| key).collect();
    if !removed.is_empty() {
        let (parts, domains, ranks, ages) = columns(&removed);
        let parameters: [(&(dyn ToSql + Sync), Type); 4] =
            [(&parts, SMALL), (&domains, TEXT), (&ranks, NUMBER), (&ages, NUMBER)];
        transaction.execute_typed(REMOVE, &parameters).await?;
    }
    Ok(())
}

type QueueColumns<'k> = (Vec<i16>, Vec<&'k str>, Vec<i64>, Vec<i64>);

fn columns<'k>(keys: &[&'k QueueKey]) -> QueueColumns<'k> {
    (
        keys.iter().map(|key| part_of(key.domain.as_bytes())).collect(),
        keys.iter().map(|key| key.domain.as_str()).collect(),
        keys.iter().map(|key| key.rank).collect(),
        keys.iter().map(|key| key.age).collect(),
    )
}

async fn write_included(transaction: &Transaction<'_>, urls: &[String]) -> Result<(), SqlError> {
    if urls.is_empty() {
        return Ok(());
    }
    let parts: Vec<_> = urls.iter().map(|url| part_of(url.as_bytes())).collect();
    let sql =
        "INSERT INTO included (part, url) SELECT * FROM unnest($1::smallint[], $2::text[]) ON CONFLICT DO NOTHING";
    transaction.execute_typed(sql, &[(&parts, SMALL), (&urls, TEXT)]).await.map(drop)
}

async fn write_sent(transaction: &Transaction<'_>, sent: &[SentRow]) -> Result<(), SqlError> {
    if sent.is_empty() {
        return Ok(());
    }
    let parts: Vec<_> = sent.iter().map(|row| row.part).collect();
    let fingerprints: Vec<_> = sent.iter().map(|row| row.fingerprint.as_slice()).collect();
    let requests: Vec<_> = sent.iter().map(|row| row.request.as_str()).collect();
    let sql = "INSERT INTO inbox (part, fingerprint, request) \
               SELECT * FROM unnest($1::smallint[], $2::bytea[], $3::text[])";
    transaction.execute_typed(sql, &[(&parts, SMALL), (&fingerprints, BYTES), (&requests, TEXT)]).await.map(drop)
}

async fn remove_settled(transaction: &Transaction<'_>, settled: &[ArrivedId]) -> Result<(), SqlError> {
    if settled.is_empty() {
        return Ok(());
    }
    let parts: Vec<_> = settled.iter().map(|id| number_of(id.part)).collect();
    let numbers: Vec<_> = settled.iter().map(|id| id.number).collect();
    let sql = "DELETE FROM inbox USING unnest($1::smallint[], $2::bigint[]) AS gone (part, number) \
               WHERE inbox.part = gone.part AND inbox.number = gone.number";
    transaction.execute_typed(sql, &[(&parts, SMALL), (&numbers, NUMBER)]).await.map(drop)
}

async fn release(transaction: &Transaction<'_>, parts: &[i16]) -> Result<(), SqlError> {
    if parts.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE part SET owner = NULL WHERE part = ANY($1)";
    transaction.execute_typed(sql, &[(&parts, SMALL)]).await.map(drop)
}

async fn write_rested(transaction: &Transaction<'_>, rested: &BTreeMap<(i16, String), String>) -> Result<(), SqlError> {
    if rested.is_empty() {
        return Ok(());
    }
    let parts: Vec<_> = rested.keys().map(|(part, _)| *part).collect();
    let domains: Vec<_> = rested.keys().map(|(_, domain)| domain.as_str()).collect();
    let ages: Vec<_> = rested.values().map(String::as_str).collect();
    let sql = "INSERT INTO rested (part, domain, ages) SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[]) \
               ON CONFLICT (part, domain) DO UPDATE SET ages = EXCLUDED.ages";
    transaction.execute_typed(sql, &[(&parts, SMALL), (&domains, TEXT), (&ages, TEXT)]).await.map(drop)
}
