//! The driver for fjall, an embedded LSM tree: a state in a directory. The only folder that names the crate.
//!
//! Three keyspaces: `queue` (domain, place → attempts, delay, request), `seen` (fingerprint → last admission) and
//! `meta` (all else, each kind of key with its own first byte). A batch over all three is stored atomically. Whatever a
//! later version adds must go to `meta` too: if a process is killed while it adds a keyspace, the store does not open
//! again.

mod create;
mod failure;
mod keys;
mod lock;
mod order;

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, config::CompressionPolicy};
use serde::Serialize;
use url::Url;

use self::{
    failure::{damaged, reason, unusable},
    keys::{
        DEAD, DEPTH, HISTORY, INCLUDED, ROBOTS, VISIT, WAITING, domain_of, meta_key, queue_key, split_queue_key,
        u32_of, u64_of,
    },
    lock::lock,
    order::in_order,
};
use super::super::{
    durable::{Opened, Opening, StoredRobotsFile},
    known_depth::KnownDepth,
    windowed::{
        self,
        entry::{Entry, QueuePosition},
        state::State,
        store::{Batch, Change, Contents, Counters, DeadLetter, QueuePart, Store, StoredEntry},
    },
};
use crate::{
    domain::Domain,
    error::{Error, Result},
    identity::Fingerprint,
    recrawl::page_visit::PageVisit,
    request::Request,
    text::panic_message::message_of,
};

/// Opens or creates the frontier in a directory, and returns what it contained.
///
/// # Errors
/// Another process holds the directory; it is damaged, of another version, or not writable; or a setting has changed
/// that must not.
pub fn open(dir: &Path, opening: Opening) -> Result<Opened> {
    windowed::open(FjallStore::open(dir)?, opening)
}

/// Opens the state in a directory that no crawl uses, to inspect or change it.
///
/// # Errors
/// There is none, a crawl uses it, or it cannot be read.
pub fn open_state(dir: &Path) -> Result<State> {
    if !dir.join(create::STORE).is_dir() {
        return Err(Error::store(dir, "there is none; name the directory that a crawl was given"));
    }
    Ok(State::new(FjallStore::open(dir)?))
}

/// Waits until no crawl uses the state in a directory: the thread of a store may outlive a crawl that was aborted.
pub fn wait_until_closed(dir: &Path) {
    lock::wait_until_unlocked(dir);
}

/// An open, locked directory.
pub(crate) struct FjallStore {
    dir: PathBuf,
    database: Database,
    queue: Keyspace,
    seen: Keyspace,
    meta: Keyspace,
    /// The lock, held while the directory is open; `None` if the caller holds it.
    _lock: Option<File>,
}

/// Incremented when data of earlier versions can no longer be read.
const SCHEMA: u32 = 1;

/// The size of the block cache.
const CACHE: u64 = 48 << 20;

/// The most that each keyspace buffers in memory before writing sorted files. More is faster, but slower to recover
/// after a crash.
const MAX_MEMTABLE: u64 = 16 << 20;

/// The most that is replayed after a crash; 64 MiB is the least that fjall allows.
const MAX_JOURNAL: u64 = 64 << 20;

/// The length of the header before the JSON of a stored request: attempts, delay.
const HEADER: usize = 12;

const SCHEMA_KEY: &[u8] = b"version";
const COUNTERS_KEY: &[u8] = b"k";
const SETTINGS_KEY: &[u8] = b"s";

impl FjallStore {
    /// Opens or creates the directory.
    ///
    /// # Errors
    /// Another process holds it, or it is damaged, of a later version, or not writable.
    pub fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|source| Error::file(dir, source))?;
        let lock = lock(dir)?;
        create::ensure(dir)?;
        let store = Self::open_database(dir, &dir.join(create::STORE), Some(lock))?;
        store.check_schema()?;
        Ok(store)
    }

    fn open_database(dir: &Path, database: &Path, lock: Option<File>) -> Result<Self> {
        let open = || -> fjall::Result<_> {
            let database = Database::builder(database)
                .cache_size(CACHE)
                .max_journaling_size(MAX_JOURNAL)
                // One thread compacts while the other flushes full memtables. With a single thread, memtables grew
                // while a compaction lasted (measured: 250 MiB, and commits that took 14 s).
                .worker_threads(2)
                .open()?;
            let options = || KeyspaceCreateOptions::default().max_memtable_size(MAX_MEMTABLE);
            let queue = database.keyspace("queue", options)?;
            // Fingerprints cannot be compressed.
            let seen = || options().data_block_compression_policy(CompressionPolicy::disabled());
            let seen = database.keyspace("seen", seen)?;
            let meta = database.keyspace("meta", || options().max_memtable_size(MAX_MEMTABLE / 2))?;
            Ok((database, queue, seen, meta))
        };
        // fjall asserts the consistency of its files, so damaged ones can make it panic.
        let opened = std::panic::catch_unwind(open).map_err(|panic| damaged(dir, &message_of(&*panic)))?;
        let (database, queue, seen, meta) = opened.map_err(|error| unusable(dir, &error))?;
        Ok(Self { dir: dir.to_owned(), database, queue, seen, meta, _lock: lock })
    }

    fn check_schema(&self) -> Result<()> {
        match self.get::<u32>(SCHEMA_KEY)? {
            Some(SCHEMA) => Ok(()),
            Some(other) => {
                let why =
                    format!("it has schema {other}, and this version reads {SCHEMA}; use the version that wrote it");
                Err(self.refuse(why))
            }
            None => self.write_schema(),
        }
    }

    fn write_schema(&self) -> Result<()> {
        self.meta.insert(SCHEMA_KEY, to_json(&SCHEMA)?).map_err(|error| self.unusable(&error))
    }

    /// Moves everything from the journal to the sorted files.
    #[cfg(test)]
    pub fn flush(&self) {
        for keyspace in [&self.queue, &self.seen, &self.meta] {
            keyspace.rotate_memtable_and_wait().unwrap();
        }
    }

    fn queued(&self, entry: fjall::Guard) -> Result<(Domain, StoredEntry)> {
        let (key, value) = entry.into_inner().map_err(|error| self.unusable(&error))?;
        let (domain, place) = split_queue_key(&key).ok_or_else(|| self.damaged(&"a queue's key is cut short"))?;
        let stored = self.decode(&domain, place, &value)?;
        Ok((domain, stored))
    }

    fn decode(&self, domain: &Domain, place: QueuePosition, value: &[u8]) -> Result<StoredEntry> {
        let header = value.split_at_checked(HEADER).and_then(|(header, json)| {
            let (attempts, not_before) = header.split_at_checked(4)?;
            Some((u32::from_be_bytes(attempts.try_into().ok()?), u64_of(not_before), json))
        });
        let (attempts, not_before, json) = header.ok_or_else(|| self.damaged(&"a queue's entry is cut short"))?;
        let mut request: Request = self.json(json)?;
        request.domain = Some(domain.clone());
        let entry = Entry { place, attempts, request: Arc::new(request) };
        Ok(StoredEntry { entry, not_before: (not_before > 0).then_some(not_before) })
    }

    fn get<T: serde::de::DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>> {
        let value = self.meta.get(key).map_err(|error| self.unusable(&error))?;
        value.map(|value| self.json(&value)).transpose()
    }

    fn json<T: serde::de::DeserializeOwned>(&self, bytes: &[u8]) -> Result<T> {
        serde_json::from_slice(bytes).map_err(|error| self.damaged(&error))
    }

    fn damaged(&self, error: &dyn fmt::Display) -> Error {
        damaged(&self.dir, error)
    }

    fn unusable(&self, error: &fjall::Error) -> Error {
        unusable(&self.dir, error)
    }

    fn failed(&self, error: &fjall::Error) -> Error {
        self.refuse(format!("it cannot be written any more: {}; what was stored before is safe", reason(error)))
    }
}

impl Store for FjallStore {
    fn load(&self) -> Result<Contents> {
        let counters = self.get::<Counters>(COUNTERS_KEY)?;
        let mut contents = Contents { counters, settings: self.get(SETTINGS_KEY)?, ..Contents::default() };
        for entry in self.meta.prefix([WAITING]) {
            let (key, value) = entry.into_inner().map_err(|error| self.unusable(&error))?;
            contents.waiting.push((domain_of(&key), u64_of(&value)));
        }
        for entry in self.meta.prefix([HISTORY]) {
            let (key, value) = entry.into_inner().map_err(|error| self.unusable(&error))?;
            contents.histories.push((domain_of(&key), self.json(&value)?));
        }
        for entry in self.meta.prefix([INCLUDED]) {
            let key = entry.key().map_err(|error| self.unusable(&error))?;
            let url = key.get(1..).and_then(|url| std::str::from_utf8(url).ok()).and_then(|url| Url::parse(url).ok());
            contents.included.extend(url);
        }
        Ok(contents)
    }

    fn keep_settings(&self, settings: &BTreeMap<String, String>) -> Result<()> {
        self.meta.insert(SETTINGS_KEY, to_json(settings)?).map_err(|error| self.unusable(&error))
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        let mut stored = self.database.batch();
        for (key, change) in in_order(batch.changes) {
            match change {
                Change::Put { entry, not_before, .. } => stored.insert(&self.queue, key, encode(&entry, not_before)?),
                Change::Remove { .. } => stored.remove(&self.queue, key),
                Change::See(_, at) => stored.insert(&self.seen, key, at.to_be_bytes()),
                Change::Unsee(_) => stored.remove(&self.seen, key),
                Change::Remember { history, .. } => stored.insert(&self.meta, key, to_json(&history)?),
                Change::Include(_) => stored.insert(&self.meta, key, []),
                Change::Bury { dead, .. } => stored.insert(&self.meta, key, to_json(&dead)?),
                Change::Unbury { .. } | Change::Forget { .. } => stored.remove(&self.meta, key),
                Change::Depth(_, known) => match known.and_then(|known| known.to_bytes()) {
                    Some(known) => stored.insert(&self.meta, key, known),
                    None => stored.remove(&self.meta, key),
                },
                Change::Visit(_, visit) => stored.insert(&self.meta, key, visit.to_bytes()),
                Change::Robots { file, .. } => stored.insert(&self.meta, key, file.to_bytes()),
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

    fn sync(&self) -> Result<()> {
        self.database.persist(PersistMode::SyncData).map_err(|error| self.failed(&error))
    }

    fn queue(&self, domain: &Domain, from: QueuePosition, max: usize) -> Result<QueuePart> {
        let last = QueuePosition { rank: u32::MAX, age: u64::MAX };
        let range = queue_key(domain, from)..=queue_key(domain, last);
        let mut entries = Vec::with_capacity(max);
        for entry in self.queue.range(range).take(max) {
            entries.push(self.queued(entry)?.1);
        }
        let next = if entries.len() < max { None } else { entries.last().map(|last| last.entry.place.behind()) };
        Ok(QueuePart { entries, next })
    }

    fn seen(&self, fingerprints: &[Fingerprint]) -> Result<Vec<(Fingerprint, u32)>> {
        let mut seen = Vec::new();
        for fingerprint in fingerprints {
            let value = self.seen.get(fingerprint.to_bytes()).map_err(|error| self.unusable(&error))?;
            seen.extend(value.map(|value| (*fingerprint, u32_of(&value))));
        }
        Ok(seen)
    }

    fn robots(&self, origin: &str) -> Result<Option<StoredRobotsFile>> {
        let value = self.meta.get(meta_key(ROBOTS, origin)).map_err(|error| self.unusable(&error))?;
        let read = |value: fjall::Slice| {
            StoredRobotsFile::from_bytes(&value).ok_or_else(|| self.damaged(&"a robots file is cut short"))
        };
        value.map(read).transpose()
    }

    fn depths(&self) -> Result<Vec<(Fingerprint, KnownDepth)>> {
        let known = |entry: fjall::Guard| {
            let (key, value) = entry.into_inner().map_err(|error| self.unusable(&error))?;
            let fingerprint = key.get(1..).and_then(|bytes| bytes.try_into().ok()).map(Fingerprint::from_bytes);
            fingerprint.zip(KnownDepth::from_bytes(&value)).ok_or_else(|| self.damaged(&"a depth is cut short"))
        };
        self.meta.prefix([DEPTH]).map(known).collect()
    }

    fn visits(&self, max: usize) -> Result<Vec<(Fingerprint, PageVisit)>> {
        let known = |entry: fjall::Guard| {
            let (key, value) = entry.into_inner().map_err(|error| self.unusable(&error))?;
            let fingerprint = key.get(1..).and_then(|bytes| bytes.try_into().ok()).map(Fingerprint::from_bytes);
            fingerprint.zip(PageVisit::from_bytes(&value)).ok_or_else(|| self.damaged(&"a visit is cut short"))
        };
        self.meta.prefix([VISIT]).take(max).map(known).collect()
    }

    fn each_seen(&self, from: Fingerprint, visit: &mut dyn FnMut(Fingerprint, u32) -> ControlFlow<()>) -> Result<()> {
        let from = from.to_bytes();
        for entry in self.seen.range(from..).chain(self.seen.range(..from)) {
            let (key, value) = entry.into_inner().map_err(|error| self.unusable(&error))?;
            let bytes = (*key).try_into().map_err(|_| self.damaged(&"a fingerprint has not 16 bytes"))?;
            if visit(Fingerprint::from_bytes(bytes), u32_of(&value)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn each_queued(&self, visit: &mut dyn FnMut(Domain, StoredEntry) -> ControlFlow<()>) -> Result<()> {
        for entry in self.queue.iter() {
            let (domain, stored) = self.queued(entry)?;
            if visit(domain, stored).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn each_dead(&self, visit: &mut dyn FnMut(u64, DeadLetter) -> ControlFlow<()>) -> Result<()> {
        for entry in self.meta.prefix([DEAD]) {
            let (key, value) = entry.into_inner().map_err(|error| self.unusable(&error))?;
            if visit(u64_of(key.get(1..).unwrap_or_default()), self.json(&value)?).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn refuse(&self, why: String) -> Error {
        Error::store(&self.dir, why)
    }
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

#[cfg(test)]
mod tests;
