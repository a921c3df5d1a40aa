//! Layout: what of a frontier stands where on the disk. The only file that names the store's crate.
//!
//! Three keyspaces: `queue` (domain, place → attempts, delay, request), `seen` (fingerprint → when it was last taken in) and
//! `meta` (all else, each kind of key with its own first byte). A batch over all three is stored whole or not at all.

mod batch;
mod keys;

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, config::CompressionPolicy};
use serde::Serialize;
use url::Url;

pub use self::batch::{Batch, Counters, DeadLetter, Write};
use self::{
    batch::in_order,
    keys::{DEAD, INCLUDED, PAST, WAITING, domain_of, meta_key, queue_key, split_queue_key, u32_of, u64_of},
};
use super::{
    lock::lock,
    queue::{Entry, Place},
};
use crate::{
    domain::Domain,
    error::{Error, Result},
    frontier::durable::Resumed,
    identity::Fingerprint,
    request::Request,
};

/// The directory, open and locked.
pub struct Layout {
    dir: PathBuf,
    database: Database,
    queue: Keyspace,
    seen: Keyspace,
    meta: Keyspace,
    /// Held as long as the directory is open.
    _lock: File,
}

/// What was read of a domain's queue.
#[derive(Debug)]
pub struct Read {
    /// The entries, in order.
    pub entries: Vec<Stored>,
    /// Where to read on; `None` at the end.
    pub next: Option<Place>,
}

/// An entry as it was stored.
#[derive(Debug)]
pub struct Stored {
    /// The entry.
    pub entry: Entry,
    /// When it may be lent, in milliseconds since 1970.
    pub not_before: Option<u64>,
}

/// What is known at the start.
pub struct Known {
    /// For the crawl.
    pub resumed: Resumed,
    /// How many entries each domain has.
    pub waiting: Vec<(Domain, u64)>,
    /// The last number given to an entry.
    pub next: u64,
    /// How many fingerprints were seen.
    pub seen: u64,
}

/// The setting that decides which queue a request stands in: it cannot change between two crawls.
pub const FIXED: &str = "domain_key";

/// Counted up when what an earlier version wrote cannot be read any more.
const SCHEMA: u32 = 1;

/// Blocks of the store that are kept in memory.
const CACHE: u64 = 48 << 20;

/// The most that each keyspace gathers in memory before it is written in order. Larger is faster, and longer to read
/// back after a crash.
const MEMTABLE: u64 = 16 << 20;

/// The most that is read back after a crash: what the store allows at least is 64 MiB.
const JOURNAL: u64 = 64 << 20;

/// Fingerprints that are forgotten in one batch: more would only take memory.
const FORGOTTEN_AT_ONCE: usize = 10_000;

/// Bytes before the JSON of a stored request: attempts, delay.
const HEADER: usize = 12;

const SCHEMA_KEY: &[u8] = b"version";
const COUNTERS_KEY: &[u8] = b"k";
const SETTINGS_KEY: &[u8] = b"s";

impl Layout {
    /// Opens the directory, or creates it.
    ///
    /// # Errors
    /// It is held by another process, damaged, of a later version, or cannot be written.
    pub fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|source| Error::file(dir, source))?;
        let lock = lock(dir)?;
        let damaged = |error: &dyn std::fmt::Display| damaged(dir, error);
        let open = || -> fjall::Result<_> {
            let database = Database::builder(dir.join("store"))
                .cache_size(CACHE)
                .max_journaling_size(JOURNAL)
                // One merges runs, and one brings full memtables to the disk meanwhile: with one alone they would grow
                // as long as a merge lasts (measured: 250 MiB, and commits that took 14 s).
                .worker_threads(2)
                .open()?;
            let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE);
            let queue = database.keyspace("queue", options)?;
            // Fingerprints cannot be compressed.
            let seen = || options().data_block_compression_policy(CompressionPolicy::disabled());
            let seen = database.keyspace("seen", seen)?;
            let meta = database.keyspace("meta", || options().max_memtable_size(MEMTABLE / 2))?;
            Ok((database, queue, seen, meta))
        };
        // The store asserts what it believes of its files; a damaged one can break that.
        let opened = std::panic::catch_unwind(open).map_err(|panic| damaged(&message_of(&*panic)))?;
        let (database, queue, seen, meta) = opened.map_err(|error| damaged(&error))?;
        let layout = Self { dir: dir.to_owned(), database, queue, seen, meta, _lock: lock };
        layout.check_schema()?;
        Ok(layout)
    }

    fn check_schema(&self) -> Result<()> {
        match self.get::<u32>(SCHEMA_KEY)? {
            Some(SCHEMA) => Ok(()),
            Some(other) => {
                let why =
                    format!("it has schema {other}, and this version reads {SCHEMA}; use the version that wrote it");
                Err(Error::store(&self.dir, why))
            }
            None => {
                let schema = serde_json::to_vec(&SCHEMA).unwrap_or_default();
                self.meta.insert(SCHEMA_KEY, schema).map_err(|error| self.damaged(&error))
            }
        }
    }

    /// Reads what is needed at the start, and stores the settings of a crawl that begins.
    ///
    /// # Errors
    /// What is stored cannot be read.
    pub fn known(&self, settings: Option<&[(&str, String)]>) -> Result<Known> {
        let counters = self.get::<Counters>(COUNTERS_KEY)?;
        let mut known = Known {
            resumed: Resumed {
                changed: settings.map_or(Ok(Vec::new()), |settings| self.changed(settings))?,
                ..Resumed::default()
            },
            waiting: Vec::new(),
            next: counters.as_ref().map_or(0, |counters| counters.next),
            seen: counters.as_ref().map_or(0, |counters| counters.seen),
        };
        known.resumed.progress = counters.map(|counters| counters.progress);
        for entry in self.meta.prefix([WAITING]) {
            let (key, value) = entry.into_inner().map_err(|error| self.damaged(&error))?;
            known.waiting.push((domain_of(&key), u64_of(&value)));
        }
        for entry in self.meta.prefix([PAST]) {
            let (key, value) = entry.into_inner().map_err(|error| self.damaged(&error))?;
            known.resumed.pasts.push((domain_of(&key), self.json(&value)?));
        }
        for entry in self.meta.prefix([INCLUDED]) {
            let key = entry.key().map_err(|error| self.damaged(&error))?;
            let url = key.get(1..).and_then(|url| std::str::from_utf8(url).ok()).and_then(|url| Url::parse(url).ok());
            known.resumed.included.extend(url);
        }
        Ok(known)
    }

    fn changed(&self, settings: &[(&str, String)]) -> Result<Vec<String>> {
        let before = self.get::<BTreeMap<String, String>>(SETTINGS_KEY)?;
        let now: BTreeMap<&str, &str> = settings.iter().map(|(part, text)| (*part, text.as_str())).collect();
        let fixed_then = before.as_ref().and_then(|before| before.get(FIXED)).map(String::as_str);
        if fixed_then.is_some() && fixed_then != now.get(FIXED).copied() {
            let why = format!("its queues were kept with the {FIXED} {}; set that", fixed_then.unwrap_or_default());
            return Err(Error::store(&self.dir, why));
        }
        self.meta.insert(SETTINGS_KEY, to_json(&now)?).map_err(|error| self.damaged(&error))?;
        let Some(before) = before else { return Ok(Vec::new()) };
        let changed = settings.iter().filter(|(part, text)| before.get(*part) != Some(text));
        Ok(changed.map(|(part, _)| (*part).to_owned()).collect())
    }

    /// Stores a batch, whole or not at all. It survives the process; for the machine see [`Layout::sync`].
    ///
    /// # Errors
    /// The disk is full or broken; nothing of the batch is stored then.
    pub fn store(&self, batch: Batch) -> Result<()> {
        let mut stored = self.database.batch();
        for (key, write) in in_order(batch.writes) {
            match write {
                Write::Put { entry, not_before, .. } => stored.insert(&self.queue, key, encode(&entry, not_before)?),
                Write::Remove { .. } => stored.remove(&self.queue, key),
                Write::See(_, at) => stored.insert(&self.seen, key, at.to_be_bytes()),
                Write::Unsee(_) => stored.remove(&self.seen, key),
                Write::Remember { past, .. } => stored.insert(&self.meta, key, to_json(&past)?),
                Write::Include(_) => stored.insert(&self.meta, key, []),
                Write::Bury { dead, .. } => stored.insert(&self.meta, key, to_json(&dead)?),
                Write::Unbury { .. } | Write::Forget { .. } => stored.remove(&self.meta, key),
            }
        }
        for (domain, count) in batch.waiting {
            let key = meta_key(WAITING, domain.as_str());
            if count == 0 {
                stored.remove(&self.meta, key);
            } else {
                stored.insert(&self.meta, key, count.to_be_bytes());
            }
        }
        if let Some(counters) = batch.counters {
            stored.insert(&self.meta, COUNTERS_KEY, to_json(&counters)?);
        }
        stored.commit().map_err(|error| self.failed(&error))
    }

    /// Makes what was stored survive a power cut.
    ///
    /// # Errors
    /// The disk is broken.
    pub fn sync(&self) -> Result<()> {
        self.database.persist(PersistMode::SyncData).map_err(|error| self.failed(&error))
    }

    /// Returns the second at which a fingerprint was last taken in.
    ///
    /// # Errors
    /// The disk is broken, or what it holds.
    pub fn seen_at(&self, fingerprint: &Fingerprint) -> Result<Option<u32>> {
        let value = self.seen.get(fingerprint.to_bytes()).map_err(|error| self.damaged(&error))?;
        Ok(value.map(|value| u32_of(&value)))
    }

    /// Returns all fingerprints, and the second at which each was last taken in.
    pub fn all_seen(&self) -> impl Iterator<Item = Result<(Fingerprint, u32)>> {
        self.seen_in(self.seen.iter())
    }

    fn seen_in(&self, entries: impl Iterator<Item = fjall::Guard>) -> impl Iterator<Item = Result<(Fingerprint, u32)>> {
        to_first_error(entries.map(|entry| {
            let (key, value) = entry.into_inner().map_err(|error| self.damaged(&error))?;
            let bytes = (*key).try_into().map_err(|_| self.damaged(&"a fingerprint has not 16 bytes"))?;
            Ok((Fingerprint::from_bytes(bytes), u32_of(&value)))
        }))
    }

    /// Forgets what is due among up to `most` fingerprints, from one on and round; the count of what was seen goes with
    /// them.
    ///
    /// # Errors
    /// The disk is broken, or what it holds.
    pub fn forget(&self, from: Fingerprint, most: usize, is_due: impl Fn(u32) -> bool) -> Result<()> {
        let from = from.to_bytes();
        let all = self.seen.range(from..).chain(self.seen.range(..from));
        let mut due = self.seen_in(all.take(most)).filter(|seen| seen.as_ref().map_or(true, |(_, at)| is_due(*at)));
        loop {
            let due = due.by_ref().take(FORGOTTEN_AT_ONCE).map(|seen| Ok(Write::Unsee(seen?.0)));
            let writes = due.collect::<Result<Vec<_>>>()?;
            if writes.is_empty() {
                return Ok(());
            }
            let mut counters = self.counters()?;
            counters.seen = counters.seen.saturating_sub(writes.len() as u64);
            self.store(Batch { writes, counters: Some(counters), ..Batch::default() })?;
        }
    }

    /// Reads up to `most` entries of a domain's queue, from a place on.
    ///
    /// # Errors
    /// The disk is broken, or what it holds.
    pub fn read(&self, domain: &Domain, from: Place, most: usize) -> Result<Read> {
        let last = Place { rank: u32::MAX, age: u64::MAX };
        let range = queue_key(domain, from)..=queue_key(domain, last);
        let mut entries = Vec::with_capacity(most);
        for entry in self.queue.range(range).take(most) {
            let (key, value) = entry.into_inner().map_err(|error| self.damaged(&error))?;
            let (_, place) = split_queue_key(&key).ok_or_else(|| self.damaged(&"a queue's key is cut short"))?;
            entries.push(self.decode(domain, place, &value)?);
        }
        let next = if entries.len() < most { None } else { entries.last().map(|last| last.entry.place.behind()) };
        Ok(Read { entries, next })
    }

    /// Goes through all entries of all queues.
    pub fn all_queued(&self) -> impl Iterator<Item = Result<(Domain, Stored)>> {
        to_first_error(self.queue.iter().map(|entry| {
            let (key, value) = entry.into_inner().map_err(|error| self.damaged(&error))?;
            let (domain, place) = split_queue_key(&key).ok_or_else(|| self.damaged(&"a queue's key is cut short"))?;
            let stored = self.decode(&domain, place, &value)?;
            Ok((domain, stored))
        }))
    }

    /// Goes through the requests that failed for good, with their numbers.
    pub fn all_dead(&self) -> impl Iterator<Item = Result<(u64, DeadLetter)>> {
        to_first_error(self.meta.prefix([DEAD]).map(|entry| {
            let (key, value) = entry.into_inner().map_err(|error| self.damaged(&error))?;
            Ok((u64_of(key.get(1..).unwrap_or_default()), self.json(&value)?))
        }))
    }

    /// Brings all that is in the journal to where it is read from.
    #[cfg(test)]
    pub fn flush(&self) {
        for keyspace in [&self.queue, &self.seen, &self.meta] {
            keyspace.rotate_memtable_and_wait().unwrap();
        }
    }

    /// Returns the counters.
    ///
    /// # Errors
    /// The disk is broken, or what it holds.
    pub fn counters(&self) -> Result<Counters> {
        Ok(self.get::<Counters>(COUNTERS_KEY)?.unwrap_or_default())
    }

    fn decode(&self, domain: &Domain, place: Place, value: &[u8]) -> Result<Stored> {
        let header = value.split_at_checked(HEADER).and_then(|(header, json)| {
            let (attempts, not_before) = header.split_at_checked(4)?;
            Some((u32::from_be_bytes(attempts.try_into().ok()?), u64_of(not_before), json))
        });
        let (attempts, not_before, json) = header.ok_or_else(|| self.damaged(&"a queue's entry is cut short"))?;
        let mut request: Request = self.json(json)?;
        request.domain = Some(domain.clone());
        let entry = Entry { place, attempts, request: Arc::new(request) };
        Ok(Stored { entry, not_before: (not_before > 0).then_some(not_before) })
    }

    fn get<T: serde::de::DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>> {
        let value = self.meta.get(key).map_err(|error| self.damaged(&error))?;
        value.map(|value| self.json(&value)).transpose()
    }

    fn json<T: serde::de::DeserializeOwned>(&self, bytes: &[u8]) -> Result<T> {
        serde_json::from_slice(bytes).map_err(|error| self.damaged(&error))
    }

    fn damaged(&self, error: &dyn std::fmt::Display) -> Error {
        damaged(&self.dir, error)
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> Error {
        Error::store(&self.dir, format!("it cannot be written any more: {error}; what was stored before is safe"))
    }
}

/// The store does not get past a damaged block, and would tell of it for ever.
fn to_first_error<T>(items: impl Iterator<Item = Result<T>>) -> impl Iterator<Item = Result<T>> {
    let mut failed = false;
    items.take_while(move |item| !std::mem::replace(&mut failed, item.is_err()))
}

fn damaged(dir: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::store(dir, format!("it is damaged: {error}; `actix-crawler state DIR --verify` tells what can be saved"))
}

/// Tells what a panic said.
pub fn message_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic in the store")
}

fn encode(entry: &Entry, not_before: Option<u64>) -> Result<Vec<u8>> {
    let mut value = Vec::with_capacity(HEADER + 160);
    value.extend(entry.attempts.to_be_bytes());
    value.extend(not_before.unwrap_or(0).to_be_bytes());
    serde_json::to_writer(&mut value, &*entry.request).map_err(Error::State)?;
    Ok(value)
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(Error::State)
}
