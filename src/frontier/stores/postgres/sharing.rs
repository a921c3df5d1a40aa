//! Sharing: what a node reads of the others, takes from them, and agrees on with them. Knows no requests of its own.

use std::{
    collections::BTreeMap,
    result::Result as StdResult,
    time::{Duration, Instant},
};

use hashbrown::HashSet;
use tokio_postgres::{Client, Error as SqlError, Row, Transaction, types::Type};
use url::Url;

use super::{
    Joined,
    gained::{begin_with_gained, horizon, read_gained, read_new_depths},
    link::{Failed, Link, Parameter, Tries, locked_ends},
    rows::{number_of, part_numbered, signed},
    shares::parts_of,
};
use crate::{
    clock,
    error::Result,
    frontier::{
        durable::Checkpoint,
        part::{Part, PartSet},
        shared::{Allowance, Arrived, ArrivedId, CrawlState, Others, ToOthers},
        windowed::store::{Counters, Gained, Look},
    },
    identity::Fingerprint,
    postgres::Connection,
    request::Request,
};

/// What a node knows of the others, and what it has told its frontier of them.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct NodeView {
    /// The parts that the frontier knows to be its own.
    held: PartSet,
    /// Those of them that should be another's.
    unwanted: PartSet,
    gains: u64,
    /// Requests that were handed to the frontier and are not settled.
    handed: HashSet<ArrivedId>,
    /// Rows of `included` by transactions before this one were read.
    horizon: Option<String>,
    /// Rows of `depth` by transactions before this one were read; `None` if nobody needs them.
    pub depth_horizon: Option<String>,
    /// How often the crawl had ended, and was stopped, when this node joined.
    pub ends: i64,
    stops: i64,
    /// What the node's row says was drawn of the limits, as far as the frontier knows.
    drawn: Allowance<i64>,
    limits: Allowance<Option<u64>>,
    is_hungry: bool,
    /// Whether the last commit said that nothing is left to do, and no part was gained since.
    pub is_idle: bool,
    /// Whether it said so, whatever was gained since.
    pub has_said_idle: bool,
    is_unfit: bool,
    /// When nodes and parts are looked at next, and how often.
    next_full: Instant,
    full_interval: Duration,
    others: Others,
    /// Whether all accounts were read since the crawl has ended.
    has_seen_end: bool,
    /// What was seen and not told yet: a look that fails is made again.
    look: Look,
}

/// The most requests from others that the frontier has at a time: some megabytes.
const MAX_HANDED: usize = 4_000;

/// How often a node looks for requests from others, at the least.
const LOOK: Duration = Duration::from_millis(250);

/// How many renewals a term has, between each of which nodes and parts are looked at.
const RENEWALS: u32 = 5;

/// Each node draws such a part of what is left of a limit, divided by the number of nodes: so all draw often only near
/// its end.
const DRAWN_PART: i64 = 2;

impl NodeView {
    /// Begins to know others.
    pub fn new(Joined { ends, stops, look_interval, joins_others, .. }: Joined) -> Self {
        Self {
            held: PartSet::default(),
            unwanted: PartSet::default(),
            gains: 0,
            handed: HashSet::new(),
            horizon: None,
            depth_horizon: None,
            ends,
            stops,
            drawn: Allowance::default(),
            limits: Allowance::default(),
            is_hungry: false,
            is_idle: false,
            has_said_idle: false,
            is_unfit: false,
            next_full: clock::now(),
            full_interval: look_interval,
            others: Others { term: RENEWALS * look_interval, ..Others::default() },
            has_seen_end: false,
            look: Look { joins_others, ..Look::default() },
        }
    }

    /// Returns how often to look.
    pub fn interval(&self) -> Duration {
        self.full_interval.min(LOOK)
    }

    /// Tells whether a commit that says so is idle: it must know of all parts of this node.
    pub fn is_idle_by(&self, said: &ToOthers) -> bool {
        said.idle == Some(self.gains)
    }

    /// Takes note of what a commit has said.
    pub fn committed(&mut self, said: Said) {
        (self.is_idle, self.has_said_idle) = (said.is_idle, said.is_idle);
        for id in said.settled {
            self.handed.remove(&id);
        }
        self.drawn.pages -= signed(said.unused.pages);
        self.drawn.requests -= signed(said.unused.requests);
        (self.limits, self.is_hungry) = (said.limits, said.is_hungry);
        if said.has_released || said.is_unfit != self.is_unfit {
            self.is_unfit = said.is_unfit;
            self.next_full = clock::now();
        }
    }
}

/// What is kept of a commit until it is made.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Said {
    pub is_idle: bool,
    settled: Vec<ArrivedId>,
    unused: Allowance<u64>,
    limits: Allowance<Option<u64>>,
    is_hungry: bool,
    is_unfit: bool,
    has_released: bool,
}

impl Said {
    /// Copies what is to be known after the commit.
    pub fn of(to_others: &ToOthers, is_idle: bool) -> Self {
        Self {
            is_idle,
            settled: to_others.settled.clone(),
            unused: to_others.unused,
            limits: to_others.limits,
            is_hungry: to_others.is_hungry,
            is_unfit: to_others.is_unfit,
            has_released: !to_others.released.is_empty(),
        }
    }
}

/// Looks at the others.
///
/// # Errors
/// As [`Link::rows`], or others have found this node dead.
pub(super) async fn look(link: &Link, live: &mut Option<Connection>, known: &mut NodeView) -> Result<Look> {
    let mut tries = Tries::begin();
    loop {
        match try_look(link, live, known).await {
            Ok(look) => return Ok(look),
            Err(failed) => link.try_again(live, failed, &mut tries).await?,
        }
    }
}

async fn try_look(link: &Link, live: &mut Option<Connection>, known: &mut NodeView) -> StdResult<Look, Failed> {
    let client = link.client(live).await?;
    if known.is_hungry {
        let drawn = draw(client, link.session(), known.limits).await?;
        known.is_hungry = drawn == 0;
    }
    if known.is_idle {
        end_if_nothing_is_left(client, link.session(), known.ends).await?;
    }
    let is_changed = read_control(client, link.session(), known).await?;
    let ends = known.others.state == CrawlState::Ended && !known.has_seen_end;
    let is_full = ends || known.next_full <= clock::now();
    if is_full {
        take_parts(client, link.session(), known).await?;
        known.next_full = clock::now() + known.full_interval;
        known.has_seen_end |= ends;
    }
    read_inbox(client, known).await?;
    // After the inbox: whose host a request needs in the scope is there by then.
    let included = read_included(client, known).await?;
    let mut look = std::mem::take(&mut known.look);
    (look.held, look.gains) = (known.held, known.gains);
    look.unwanted = known.unwanted;
    if is_full || is_changed || !included.is_empty() {
        look.others = Some(Others { included, ..known.others.clone() });
        known.others.drawn = Allowance::default();
    }
    Ok(look)
}

/// Reads what people have asked for, and what is used of the limits. Tells whether anything has changed.
async fn read_control(client: &Client, session: i64, known: &mut NodeView) -> StdResult<bool, Failed> {
    let sql = "SELECT crawl.ends, stops, paused, crawl.pages + used.pages, crawl.requests + used.requests, \
               coalesce(own.pages_drawn, 0), coalesce(own.requests_drawn, 0), used.are_hungry, used.machines \
               FROM crawl, (SELECT coalesce(sum(pages), 0)::bigint AS pages, coalesce(sum(requests), 0)::bigint AS requests, \
               coalesce(bool_or(hungry AND state = 'live' AND session <> $1), false) AS are_hungry, \
               count(*) FILTER (WHERE state = 'live') AS machines FROM node) AS used \
               LEFT JOIN node AS own ON own.session = $1";
    let rows = client.query_typed(sql, &[(&session, Type::INT8)]).await?;
    let row = rows.first().ok_or_else(|| Failed::Damaged("its table `crawl` is empty".to_owned()))?;
    let (ends, stops): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let used = Allowance { pages: row.try_get::<_, i64>(3)?, requests: row.try_get::<_, i64>(4)? };
    let drawn = Allowance { pages: row.try_get::<_, i64>(5)?, requests: row.try_get::<_, i64>(6)? };
    let is_used_up = |limit: Option<u64>, used: i64| limit.is_some_and(|limit| used >= signed(limit));
    let others = &mut known.others;
    let before = (others.state, others.used_up, others.are_hungry);
    others.state = match row.try_get(2)? {
        _ if ends != known.ends => CrawlState::Ended,
        _ if stops != known.stops => CrawlState::Stopped,
        true => CrawlState::Paused,
        false => CrawlState::Running,
    };
    others.used_up = Allowance {
        pages: is_used_up(known.limits.pages, used.pages),
        requests: is_used_up(known.limits.requests, used.requests),
    };
    let more = |now: i64, then: i64| u64::try_from(now.saturating_sub(then)).unwrap_or_default();
    others.drawn.pages += more(drawn.pages, known.drawn.pages);
    others.drawn.requests += more(drawn.requests, known.drawn.requests);
    others.are_hungry = row.try_get(7)?;
    others.machines = usize::try_from(row.try_get::<_, i64>(8)?).unwrap_or(1);
    known.drawn = drawn;
    let now = (others.state, others.used_up, others.are_hungry);
    Ok(now != before || others.are_hungry || others.drawn != Allowance::default())
}

/// Draws from the limits of the whole crawl what this node may use, and tells how much. Nodes that are gone have used
/// what they have committed.
async fn draw(client: &mut Client, session: i64, limits: Allowance<Option<u64>>) -> StdResult<i64, Failed> {
    let transaction = client.transaction().await?;
    let rows = transaction.query_typed("SELECT pages, requests FROM crawl FOR UPDATE", &[]).await?;
    let gone = rows.first().ok_or_else(|| Failed::Damaged("its table `crawl` is empty".to_owned()))?;
    let sql = "SELECT coalesce(sum(CASE WHEN state = 'live' THEN greatest(pages_drawn, pages) ELSE pages END), 0)::bigint, \
               coalesce(sum(CASE WHEN state = 'live' THEN greatest(requests_drawn, requests) ELSE requests END), 0)::bigint, \
               count(*) FILTER (WHERE state = 'live') FROM node";
    let rows = transaction.query_typed(sql, &[]).await?;
    let Some(nodes) = rows.first() else { return Ok(0) };
    let live: i64 = nodes.try_get(2)?;
    let share = |limit: Option<u64>, index: usize| {
        let Some(limit) = limit else { return Ok(0) };
        let left = signed(limit) - gone.try_get::<_, i64>(index)? - nodes.try_get::<_, i64>(index)?;
        Ok::<_, SqlError>(if left <= 0 { 0 } else { (left / (DRAWN_PART * live.max(1))).max(1) })
    };
    let (pages, requests) = (share(limits.pages, 0)?, share(limits.requests, 1)?);
    let sql = "UPDATE node SET pages_drawn = CASE WHEN $2 > 0 THEN greatest(pages_drawn, pages) + $2 ELSE pages_drawn END, \
               requests_drawn = CASE WHEN $3 > 0 THEN greatest(requests_drawn, requests) + $3 ELSE requests_drawn END, \
               hungry = hungry AND $2 + $3 = 0 WHERE session = $1 AND state = 'live'";
    let parameters: [Parameter<'_>; 3] = [(&session, Type::INT8), (&pages, Type::INT8), (&requests, Type::INT8)];
    transaction.execute_typed(sql, &parameters).await?;
    transaction.commit().await?;
    Ok(pages + requests)
}

/// Ends the crawl if nothing is left to do anywhere. Nothing can come meanwhile: requests come only from nodes that
/// have some, and seeds and nodes that begin or go on again take the same lock.
async fn end_if_nothing_is_left(client: &mut Client, session: i64, ends: i64) -> StdResult<(), Failed> {
    let transaction = client.transaction().await?;
    if locked_ends(&transaction).await? == Some(ends) {
        // Only a node of this crawl: one that was dropped may have had the same name.
        let sql = "UPDATE crawl SET state = 'ended', ends = ends + 1 WHERE NOT EXISTS (SELECT FROM inbox) \
                   AND EXISTS (SELECT FROM node WHERE session = $1 AND state = 'live' AND timeline = timeline()) \
                   AND NOT EXISTS (SELECT FROM node WHERE state = 'live' AND NOT idle) \
                   AND NOT EXISTS (SELECT FROM waiting JOIN part USING (part) WHERE owner IS NULL \
                   OR NOT EXISTS (SELECT FROM node WHERE session = owner AND state = 'live'))";
        transaction.execute_typed(sql, &[(&session, Type::INT8)]).await?;
    }
    Ok(transaction.commit().await?)
}

/// Looks at nodes and parts, and takes the parts that fall to this node and belong to nobody who lives.
///
/// The row of this node stays locked until the end, so nobody finds it dead meanwhile. After a failover it takes none:
/// a replica may not know whose they are. What it has taken without hearing of it, it finds as its own the next time.
async fn take_parts(client: &mut Client, session: i64, known: &mut NodeView) -> StdResult<(), Failed> {
    let transaction = client.transaction().await?;
    let sql = "SELECT commits FROM node WHERE session = $1 AND state = 'live' AND timeline = timeline() FOR UPDATE";
    if transaction.query_typed(sql, &[(&session, Type::INT8)]).await?.is_empty() {
        return Err(Failed::Lost);
    }
    // In this order: an owner that is not among the living by then is gone for good. One that joined in between would
    // not be among them in the other order, and its parts be taken from it.
    let owners = read_owners(&transaction).await?;
    let Nodes { live, fit, accounts } = read_nodes(&transaction, session).await?;
    // Where all have a fault of their own, each goes on trying.
    let fall_to_me = parts_of(session, if fit.is_empty() { &live } else { &fit });
    let is_free = |owner: &Option<i64>| owner.is_none_or(|owner| !live.contains(&owner));
    // What the frontier still has it must hear of first: it is taken the next time.
    let may_take = |part: Part| fall_to_me.contains(part) && !known.held.contains(part);
    let free: Vec<_> = owners.iter().filter(|(part, owner)| is_free(owner) && may_take(**part)).collect();
    let mut held: PartSet =
        owners.iter().filter(|(_, owner)| **owner == Some(session)).map(|(part, _)| *part).collect();
    // Of a part that belonged to anybody when it is taken, nobody knows what that one has asked since.
    let given: PartSet = free.iter().filter(|(_, owner)| owner.is_none()).map(|(part, _)| **part).collect();
    if !free.is_empty() {
        let (parts, before): (Vec<_>, Vec<_>) =
            free.into_iter().map(|(part, owner)| (number_of(*part), *owner)).unzip();
        // Another node may have taken some since. It is the former owner that is compared, since that never lives
        // again.
        let sql = "UPDATE part SET owner = $1 FROM unnest($2::smallint[], $3::bigint[]) AS free (part, owner) \
                   WHERE part.part = free.part AND part.owner IS NOT DISTINCT FROM free.owner RETURNING part.part";
        let parameters: [Parameter<'_>; 3] =
            [(&session, Type::INT8), (&parts, Type::INT2_ARRAY), (&before, Type::INT8_ARRAY)];
        for row in transaction.query_typed(sql, &parameters).await? {
            if let Some(part) = part_numbered(row.try_get(0)?) {
                held.insert(part);
            }
        }
    }
    let new = held.without(&known.held);
    let begun = if new.is_empty() { None } else { Some(begin_with_gained(&transaction, session, &new).await?) };
    transaction.commit().await?;
    // Without the lock, which the signs of life of this node need: nobody else writes to its parts. If it fails, it is
    // read again.
    let gained = match begun {
        Some((numbers, mut rested)) => {
            rested.retain(|asked| given.contains(asked.part));
            let gained = read_gained(client, &new).await?;
            let depths = read_new_depths(client, &mut known.depth_horizon).await?;
            Some(Gained { rested, depths, numbers, ..gained })
        }
        None => None,
    };
    known.look.lost.extend(&known.held.without(&held));
    if let Some(mut gained) = gained {
        known.gains += 1;
        known.is_idle = false;
        if let Some(before) = known.look.gained.take() {
            gained.parts.extend(&before.parts);
            gained.waiting.extend(before.waiting);
            gained.histories.extend(before.histories);
            gained.rested.extend(before.rested);
            gained.depths.extend(before.depths);
        }
        known.look.gained = Some(gained);
    }
    known.handed.retain(|id| held.contains(id.part));
    (known.held, known.unwanted) = (held, held.without(&fall_to_me));
    known.others.accounts = accounts;
    Ok(())
}

/// The nodes.
#[derive(Default)]
struct Nodes {
    live: Vec<i64>,
    /// Those of them that have no fault of their own.
    fit: Vec<i64>,
    /// The sum of the accounts of all but this one.
    accounts: Checkpoint,
}

async fn read_nodes(transaction: &Transaction<'_>, session: i64) -> StdResult<Nodes, Failed> {
    let sql = "SELECT session, state = 'live', unfit, CASE WHEN session <> $1 THEN counters END FROM node \
               UNION ALL SELECT NULL, false, false, counters FROM crawl";
    let mut nodes = Nodes::default();
    for row in transaction.query_typed(sql, &[(&session, Type::INT8)]).await? {
        let (is_live, is_unfit): (bool, bool) = (row.try_get(1)?, row.try_get(2)?);
        let live = row.try_get::<_, Option<i64>>(0)?.filter(|_| is_live);
        nodes.live.extend(live);
        nodes.fit.extend(live.filter(|_| !is_unfit));
        if let Some(counters) = row.try_get::<_, Option<&str>>(3)? {
            nodes.accounts.add(&read_counters(counters)?.checkpoint);
        }
    }
    Ok(nodes)
}

/// Reads counters as a row has them.
pub(super) fn read_counters(text: &str) -> StdResult<Counters, Failed> {
    serde_json::from_str(text).map_err(|error| Failed::Damaged(error.to_string()))
}

async fn read_owners(transaction: &Transaction<'_>) -> StdResult<BTreeMap<Part, Option<i64>>, Failed> {
    let mut owners = BTreeMap::new();
    for row in transaction.query_typed("SELECT owner, array_agg(part) FROM part GROUP BY owner", &[]).await? {
        let owner: Option<i64> = row.try_get(0)?;
        let parts: Vec<i16> = row.try_get(1)?;
        owners.extend(parts.into_iter().filter_map(part_numbered).map(|part| (part, owner)));
    }
    Ok(owners)
}

async fn read_inbox(client: &Client, known: &mut NodeView) -> StdResult<(), Failed> {
    let room = MAX_HANDED.saturating_sub(known.handed.len());
    if room == 0 || known.held.is_empty() {
        return Ok(());
    }
    let parts: Vec<_> = known.held.iter().map(number_of).collect();
    let handed: Vec<_> = known.handed.iter().map(|id| id.number).collect();
    // Not `<> ALL`, which the server compares with each before version 15.
    let sql = "SELECT part, number, fingerprint, request FROM inbox WHERE part = ANY($1) AND NOT EXISTS \
               (SELECT FROM unnest($2::bigint[]) AS handed (number) WHERE handed.number = inbox.number) \
               ORDER BY number LIMIT $3";
    let room = signed(room as u64);
    let parameters: [Parameter<'_>; 3] = [(&parts, Type::INT2_ARRAY), (&handed, Type::INT8_ARRAY), (&room, Type::INT8)];
    for row in client.query_typed(sql, &parameters).await? {
        let arrived = arrived_in(&row)?;
        known.handed.insert(arrived.id);
        known.look.arrived.push(arrived);
    }
    Ok(())
}

fn arrived_in(row: &Row) -> StdResult<Arrived, Failed> {
    let part = part_numbered(row.try_get(0)?).ok_or_else(|| Failed::Damaged("there is no such part".to_owned()))?;
    let fingerprint: Option<&[u8]> = row.try_get(2)?;
    let fingerprint = fingerprint.map(|bytes| bytes.try_into().map(Fingerprint::from_bytes)).transpose();
    let fingerprint = fingerprint.map_err(|_| Failed::Damaged("a fingerprint has not 16 bytes".to_owned()))?;
    let request: Request = serde_json::from_str(row.try_get(3)?).map_err(|error| Failed::Damaged(error.to_string()))?;
    Ok(Arrived { id: ArrivedId { part, number: row.try_get(1)? }, request, fingerprint })
}

/// Reads which hosts have come into the scope. A transaction that was open when this was last read may have added some
/// since.
async fn read_included(client: &Client, known: &mut NodeView) -> StdResult<Vec<Url>, Failed> {
    let horizon = horizon(client).await?;
    let sql = "SELECT url FROM included WHERE added >= coalesce($1, '0')::text::xid8";
    let rows = client.query_typed(sql, &[(&known.horizon, Type::TEXT)]).await?;
    known.horizon = horizon;
    let urls = rows.iter().map(|row| row.try_get(0).map(|url: &str| Url::parse(url).ok()));
    Ok(urls.collect::<StdResult<Vec<_>, _>>()?.into_iter().flatten().collect())
}
