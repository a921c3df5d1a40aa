//! The driver for fjall, an embedded LSM tree: a state in a directory. The only folder that names the crate.
//!
//! Three keyspaces: `queue` (domain, place → attempts, delay, request), `seen` (fingerprint → last admission) and
//! `meta` (all else, each kind of key with its own first byte). A batch is stored atomically: its changes of queues and
//! fingerprints are one row of `meta`, and those of many batches are moved to `queue` and `seen` at once, in order
//! (`latest`). Whatever a later version adds must go to `meta` too: if a process is killed while it adds a keyspace,
//! the store does not open again.

mod create;
mod failure;
mod keys;
mod latest;
mod lock;
mod merged;
mod moving;
mod options;
mod order;
mod rows;

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::BTreeMap,
    fmt,
    fs::File,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use fjall::{Database, Keyspace, PersistMode};
use serde::Serialize;
use url::Url;

use self::{
    failure::{damaged, reason, unusable},
    keys::{
        DEAD, DEPTH, HISTORY, INCLUDED, ROBOTS, VISIT, WAITING, domain_of, latest_key, meta_key, queue_key, u32_of,
        u64_of,
    },
    latest::{Latest, Latter, MAX_BYTES, QueueRow},
    lock::lock,
    order::in_order,
};
use super::super::{
    durable::{Opened, Opening, StoredRobotsFile},
    known_depth::KnownDepth,
    windowed::{
        self,
        entry::QueuePosition,
        state::State,
        store::{Batch, Change, Contents, Counters, DeadLetter, QueuePart, Store, StoredEntry},
    },
};
use crate::{
    domain::Domain,
    error::{Error, Result},
    identity::Fingerprint,
    recrawl::page_visit::PageVisit,
    text::panic_message::message_of,
};

/// Opens or creates the frontier in a directory, and returns what it contained.
///
/// # Errors
/// Another process holds the directory; it is damaged, of another version, or not writable; or a setting has changed
/// that must not.
pub fn open(dir: &Path, opening: Opening) -> Result<Opened> {
    let store = FjallStore::open(dir)?;
    store.check_whole()?;
    windowed::open(store, opening)
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
    /// The changes that were not moved to their keyspaces. All calls come from one thread.
    latest: RefCell<Latest>,
    /// What is wrong with the rows of the latest changes. A crawl refuses it; what can be read may be looked at.
    damage: OnceCell<String>,
    /// Whether the first batch has yet to say that earlier versions can no longer read what is stored.
    is_older: Cell<bool>,
    /// The lock, held while the directory is open; `None` if the caller holds it.
    _lock: Option<File>,
}

/// Incremented when earlier versions can no longer read what this one writes. 2: the latest changes have rows of their
/// own, and requests are packed.
const SCHEMA: u32 = 2;

/// The earliest schema whose data is read.
const FIRST_SCHEMA: u32 = 1;

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
        store.read_latest();
        Ok(store)
    }

    fn open_database(dir: &Path, database: &Path, lock: Option<File>) -> Result<Self> {
        let open = || -> fjall::Result<_> {
            let database = options::open(database)?;
            let queue = database.keyspace("queue", options::queue)?;
            let seen = database.keyspace("seen", options::seen)?;
            let meta = database.keyspace("meta", options::meta)?;
            Ok((database, queue, seen, meta))
        };
        // fjall asserts the consistency of its files, so damaged ones can make it panic.
        let opened = std::panic::catch_unwind(open).map_err(|panic| damaged(dir, &message_of(&*panic)))?;
        let (database, queue, seen, meta) = opened.map_err(|error| unusable(dir, &error))?;
        let latest = RefCell::new(Latest::new(MAX_BYTES));
        let (damage, is_older) = Default::default();
        Ok(Self { dir: dir.to_owned(), database, queue, seen, meta, latest, damage, is_older, _lock: lock })
    }

    fn check_schema(&self) -> Result<()> {
        match self.get::<u32>(SCHEMA_KEY)? {
            Some(SCHEMA) => Ok(()),
            Some(FIRST_SCHEMA..SCHEMA) => {
                self.is_older.set(true);
                Ok(())
            }
            None => self.write_schema(),
            Some(other) => {
                let why =
                    format!("it has schema {other}, and this version reads {SCHEMA}; use the version that wrote it");
                Err(self.refuse(why))
            }
        }
    }

    fn write_schema(&self) -> Result<()> {
        self.meta.insert(SCHEMA_KEY, to_json(&SCHEMA)?).map_err(|error| self.unusable(&error))
    }

    /// Moves the latest changes after every few batches.
    #[cfg(test)]
    pub fn moving_often(self) -> Self {
        self.latest.replace(Latest::new(2_000));
        self.read_latest();
        self
    }

    /// Moves everything to the sorted files.
    #[cfg(test)]
    pub fn flush(&self) {
        self.move_latest().unwrap();
        for keyspace in [&self.queue, &self.seen, &self.meta] {
            keyspace.rotate_memtable_and_wait().unwrap();
        }
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
        let mut waiting = BTreeMap::new();
        for entry in self.meta.prefix([WAITING]) {
            let (key, value) = entry.into_inner().map_err(|error| self.unusable(&error))?;
            waiting.insert(domain_of(&key), u64_of(&value));
        }
        waiting.extend(self.latest.borrow().waiting().iter().map(|(domain, count)| (domain.clone(), *count)));
        contents.waiting = waiting.into_iter().filter(|(_, count)| *count > 0).collect();
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
        self.check_whole()?;
        // Before the batch: if it fails, nothing of the batch is stored.
        let is_full = self.latest.borrow().is_full();
        if is_full {
            self.move_latest().map_err(|error| self.failed(&error))?;
        }
        let mut stored = self.database.batch();
        let (mut changes, others) = in_order(batch.changes)?;
        for (key, change) in others {
            match change {
                Change::Remember { history, .. } => stored.insert(&self.meta, key, to_json(&history)?),
                Change::Include(_) => stored.insert(&self.meta, key, []),
                Change::Bury { dead, .. } => stored.insert(&self.meta, key, to_json(&dead)?),
                Change::Depth(_, known) => match known.and_then(|known| known.to_bytes()) {
                    Some(known) => stored.insert(&self.meta, key, known),
                    None => stored.remove(&self.meta, key),
                },
                Change::Visit(_, visit) => stored.insert(&self.meta, key, visit.to_bytes()),
                Change::Robots { file, .. } => stored.insert(&self.meta, key, file.to_bytes()),
                Change::Unbury { .. } | Change::Forget { .. } => stored.remove(&self.meta, key),
                // These are among the latest.
                Change::Put { .. } | Change::Remove { .. } | Change::See(..) | Change::Unsee(_) => {}
            }
        }
        changes.extend(batch.waiting.into_iter().map(|(domain, count)| Latter::Waiting(domain, count)));
        let number = self.latest.borrow().next_row();
        if !changes.is_empty() {
            let mut row = Vec::with_capacity(128 * changes.len());
            for change in &changes {
                change.write(&mut row);
            }
            stored.insert(&self.meta, latest_key(number), row);
        }
        if self.is_older.get() {
            stored.insert(&self.meta, SCHEMA_KEY, to_json(&SCHEMA)?);
        }
        if let Some(counters) = batch.counters {
            stored.insert(&self.meta, COUNTERS_KEY, to_json(&counters)?);
        }
        stored.commit().map_err(|error| self.failed(&error))?;
        self.is_older.set(false);
        if !changes.is_empty() {
            self.latest.borrow_mut().take(number, changes);
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.database.persist(PersistMode::SyncData).map_err(|error| self.failed(&error))
    }

    fn queue(&self, domain: &Domain, from: QueuePosition, max: usize) -> Result<QueuePart> {
        let last = QueuePosition { rank: u32::MAX, age: u64::MAX };
        let latest = self.latest.borrow();
        let first = QueueRow { domain: domain.clone(), place: from };
        let of_domain = latest.queue_from(&first).take_while(|(row, _)| row.domain == *domain);
        let stored = self.queue.range(queue_key(domain, from)..=queue_key(domain, last));
        let rows = self.queue_rows(of_domain, stored).take(max);
        let entries = rows.map(|row| row.map(|(_, entry)| entry)).collect::<Result<Vec<_>>>()?;
        let next = if entries.len() < max { None } else { entries.last().map(|last| last.entry.place.behind()) };
        Ok(QueuePart { entries, next })
    }

    fn seen(&self, fingerprints: &[Fingerprint]) -> Result<Vec<(Fingerprint, u32)>> {
        let mut seen = Vec::new();
        let latest = self.latest.borrow();
        for fingerprint in fingerprints {
            if let Some(changed) = latest.seen(fingerprint) {
                seen.extend(changed.map(|at| (*fingerprint, at)));
                continue;
            }
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
        let latest = self.latest.borrow();
        for (fingerprint, at) in latest.all_seen() {
            if at.is_some_and(|at| visit(fingerprint, at).is_break()) {
                return Ok(());
            }
        }
        for entry in self.seen.range(from..).chain(self.seen.range(..from)) {
            let (key, value) = entry.into_inner().map_err(|error| self.unusable(&error))?;
            let bytes = (*key).try_into().map_err(|_| self.damaged(&"a fingerprint has not 16 bytes"))?;
            let fingerprint = Fingerprint::from_bytes(bytes);
            if latest.seen(&fingerprint).is_none() && visit(fingerprint, u32_of(&value)).is_break() {
                return Ok(());
            }
        }
        self.check_whole()
    }

    fn each_queued(&self, visit: &mut dyn FnMut(Domain, StoredEntry) -> ControlFlow<()>) -> Result<()> {
        let latest = self.latest.borrow();
        for row in self.queue_rows(latest.queue(), self.queue.iter()) {
            let (domain, stored) = row?;
            if visit(domain, stored).is_break() {
                return Ok(());
            }
        }
        self.check_whole()
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

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(Error::State)
}

#[cfg(test)]
mod tests;
