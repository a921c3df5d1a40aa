//! Rows: a batch as rows of tables, the last change of each. Knows no connection.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    domain::Domain,
    error::{Error, Result},
    frontier::{
        part::Part,
        shared::{Allowance, ArrivedId, LastAsked, Sent, ToOthers},
        windowed::{
            entry::{Entry, QueuePosition},
            store::{Batch, Change},
        },
    },
    stats::count::{Count, requests_in},
};
use serde::{Deserialize, Serialize};

/// The longest text that a row is found by, in bytes: an index of PostgreSQL has room for 2,700. A name in the DNS has
/// 253.
const MAX_KEY: usize = 1_024;

/// Returns the part of a row, by what it is found by.
pub(super) fn part_of(key: &[u8]) -> i16 {
    number_of(Part::of_key(key))
}

/// Returns the number of a part, as a row has it.
pub(super) fn number_of(part: Part) -> i16 {
    i16::try_from(part.number()).unwrap_or_default()
}

/// Returns the part of this number in a row.
pub(super) fn part_numbered(number: i16) -> Option<Part> {
    Part::numbered(u16::try_from(number).ok()?)
}

/// The rows that a batch changes. `None` removes a row.
#[derive(Default)]
pub(super) struct Rows {
    pub queue: BTreeMap<QueueKey, Option<Queued>>,
    pub waiting: BTreeMap<String, Option<i64>>,
    pub seen: BTreeMap<Vec<u8>, Option<i64>>,
    pub past: BTreeMap<String, Option<String>>,
    pub included: Vec<String>,
    pub dead: BTreeMap<i64, Option<String>>,
    pub depth: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    pub visit: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    pub robots: BTreeMap<String, Option<Vec<u8>>>,
    pub counters: Option<String>,
    /// What was used of the limits, as the counters say.
    pub used: Option<Allowance<i64>>,
    /// What is given back of them.
    pub unused: Allowance<i64>,
    pub is_hungry: bool,
    pub sent: Vec<SentRow>,
    pub settled: Vec<ArrivedId>,
    pub released: Vec<i16>,
    /// The ages, by part and name.
    pub rested: BTreeMap<(i16, String), String>,
}

/// How long ago requests were sent, in milliseconds: rounded down, so that nobody is asked too soon.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Ages {
    /// The last one; `None` for never.
    last: Option<u64>,
    starts: Vec<u64>,
    more: bool,
}

fn ages_of(asked: &LastAsked) -> Ages {
    let millis = |age: &Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    let starts = asked.starts.iter().map(millis).collect();
    Ages { last: asked.ago.as_ref().map(millis), starts, more: asked.has_more }
}

/// Reads what a row of `rested` says; `None` if it cannot be read.
pub(super) fn last_asked(part: i16, domain: &str, ages: &str) -> Option<LastAsked> {
    let Ages { last, starts, more } = serde_json::from_str(ages).ok()?;
    Some(LastAsked {
        part: part_numbered(part)?,
        domain: (!domain.is_empty()).then(|| Domain::new(domain)),
        ago: last.map(Duration::from_millis),
        starts: starts.into_iter().map(Duration::from_millis).collect(),
        has_more: more,
    })
}

/// A request for another node.
pub(super) struct SentRow {
    pub part: i16,
    pub fingerprint: Vec<u8>,
    pub request: String,
}

/// What a request is found by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueueKey {
    pub domain: String,
    pub rank: i64,
    pub age: i64,
}

/// A request that waits.
pub(super) struct Queued {
    pub attempts: i32,
    pub not_before: Option<i64>,
    pub request: String,
}

impl Rows {
    /// Arranges a batch.
    ///
    /// # Errors
    /// Something cannot be written as text that PostgreSQL can store.
    pub fn of(batch: Batch) -> Result<Self> {
        let mut rows = Self::default();
        for change in batch.changes {
            rows.add(change)?;
        }
        for (domain, requests) in batch.waiting {
            rows.waiting.insert(name_of(&domain)?, (requests > 0).then(|| signed(requests)));
        }
        rows.counters = batch.counters.as_ref().map(to_json).transpose()?;
        rows.used = batch.counters.as_ref().map(|counters| {
            let counts = &counters.checkpoint.counts;
            let pages = counts.get(&Count::PAGES.to_string()).copied().unwrap_or(0);
            Allowance { pages: signed(pages), requests: signed(requests_in(counts)) }
        });
        let ToOthers { sent, settled, released, rested, unused, is_hungry, .. } = batch.to_others;
        rows.unused = Allowance { pages: signed(unused.pages), requests: signed(unused.requests) };
        rows.is_hungry = is_hungry;
        for Sent { part, fingerprint, request } in sent {
            let request = to_json(&request)?;
            rows.sent.push(SentRow { part: number_of(part), fingerprint: fingerprint.to_bytes().into(), request });
        }
        rows.settled = settled;
        rows.released = released.into_iter().map(number_of).collect();
        for asked in &rested {
            let name = asked.domain.as_ref().map(|domain| name_of(domain).unwrap_or_default());
            // A name without letters is that of all others, and some cannot be stored: nothing is known of the part
            // then.
            let is_known = name.as_ref().is_none_or(|name| !name.is_empty());
            let ages = if is_known { ages_of(asked) } else { Ages { last: Some(0), more: true, ..Ages::default() } };
            rows.rested.insert((number_of(asked.part), name.unwrap_or_default()), to_json(&ages)?);
        }
        Ok(rows)
    }

    /// Returns the parts of the rows that only their owner writes to.
    pub fn parts(&self) -> Vec<i16> {
        let domains = self.queue.keys().map(|key| &key.domain).chain(self.waiting.keys()).chain(self.past.keys());
        let written = domains.map(|domain| part_of(domain.as_bytes())).chain(self.released.iter().copied());
        written.collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn add(&mut self, change: Change) -> Result<()> {
        match change {
            Change::Put { domain, entry, not_before } => {
                self.queue.insert(QueueKey::of(&domain, entry.place)?, Some(Queued::of(&entry, not_before)?));
            }
            Change::Remove { domain, place } => drop(self.queue.insert(QueueKey::of(&domain, place)?, None)),
            Change::See(fingerprint, at) => drop(self.seen.insert(fingerprint.to_bytes().into(), Some(at.into()))),
            Change::Unsee(fingerprint) => drop(self.seen.insert(fingerprint.to_bytes().into(), None)),
            Change::Remember { domain, history } => {
                self.past.insert(name_of(&domain)?, Some(to_json(&history)?));
            }
            Change::Forget { domain } => drop(self.past.insert(name_of(&domain)?, None)),
            // No server has a longer name: nothing is fetched from there.
            Change::Include(url) => self.included.extend(Some(url.into()).filter(|url: &String| url.len() <= MAX_KEY)),
            Change::Bury { number, dead } => drop(self.dead.insert(signed(number), Some(to_json(&dead)?))),
            Change::Unbury { number } => drop(self.dead.insert(signed(number), None)),
            Change::Depth(fingerprint, known) => {
                let known = known.and_then(|known| known.to_bytes());
                self.depth.insert(fingerprint.to_bytes().into(), known);
            }
            Change::Visit(fingerprint, visit) => {
                self.visit.insert(fingerprint.to_bytes().into(), Some(visit.to_bytes()));
            }
            Change::Robots { origin, file } if origin.len() <= MAX_KEY => {
                self.robots.insert(origin, Some(file.to_bytes()));
            }
            // Its file is asked for again after a restart.
            Change::Robots { .. } => {}
        }
        Ok(())
    }
}

impl QueueKey {
    /// Creates the key of a place in a domain's queue.
    pub fn of(domain: &Domain, place: QueuePosition) -> Result<Self> {
        Ok(Self { domain: name_of(domain)?, rank: place.rank.into(), age: signed(place.age) })
    }
}

impl Queued {
    fn of(entry: &Entry, not_before: Option<u64>) -> Result<Self> {
        let attempts = i32::try_from(entry.attempts).unwrap_or(i32::MAX);
        Ok(Self { attempts, not_before: not_before.map(signed), request: to_json(&*entry.request)? })
    }
}

/// Returns a domain's name.
fn name_of(domain: &Domain) -> Result<String> {
    let name = domain.as_str();
    if name.contains('\0') {
        let why = "it makes a name with a NUL character, which PostgreSQL cannot store; let it make names without";
        return Err(Error::setting("domain_key", why));
    }
    if name.len() > MAX_KEY {
        let why = format!(
            "it makes a name of {} bytes, and a row in PostgreSQL is found by {MAX_KEY} at the most; let it make shorter names",
            name.len()
        );
        return Err(Error::setting("domain_key", why));
    }
    Ok(name.to_owned())
}

/// Numbers of entries and milliseconds since 1970 are far below the bound.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::State)
}
