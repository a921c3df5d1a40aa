//! Unique: the keys of items, each of which counts once. Knows no items.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hashbrown::{HashMap, HashSet};
use tokio::sync::watch;
use xxhash_rust::xxh3::xxh3_128;

use super::super::PipelineError;
use crate::{
    error::{Error, Result},
    feed::{Value, check_writable},
};

/// The keys of items that were acknowledged, and of those that are on their way.
#[derive(Default)]
pub(super) struct Keys(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Two generations, of which the older one is forgotten when the younger one is full.
    younger: HashSet<u128>,
    older: HashSet<u128>,
    pending: HashMap<u128, watch::Receiver<()>>,
    /// Counts the starts of the pipeline. Claims of an earlier start no longer count.
    start: u64,
    stored: Option<(File, PathBuf)>,
}

/// The most keys of a generation.
const MOST: usize = 1_000_000;

/// The length of a stored key.
const LENGTH: usize = 16;

/// A key that an item has claimed. If the claim is dropped, the item was not acknowledged, and another may have the key.
pub(crate) struct Claim {
    keys: Arc<Keys>,
    key: u128,
    start: u64,
    /// Those that wait for this claim notice when it is dropped.
    _end: watch::Sender<()>,
}

/// What became of a claim.
pub(super) enum Claimed {
    /// The item has no key.
    Keyless,
    Now(Claim),
    /// An acknowledged item has it.
    Known,
    /// An item on its way has it.
    Pending(EndOfClaim),
}

/// Comes when a claim is kept or dropped.
pub(crate) struct EndOfClaim(watch::Receiver<()>);

impl EndOfClaim {
    /// Waits for it.
    pub async fn come(&mut self) {
        // The sender sends nothing: it ends with the claim.
        let _ = self.0.changed().await;
    }

    /// Tells whether it has come.
    pub fn has_come(&self) -> bool {
        self.0.has_changed().is_err()
    }
}

/// The keys that one item has claimed.
#[derive(Default)]
pub(crate) struct Claims(Vec<Claim>);

impl Claims {
    pub fn add(&mut self, claim: Claim) {
        self.0.push(claim);
    }

    /// Keeps the keys: their item was acknowledged.
    ///
    /// # Errors
    /// They cannot be stored.
    pub fn keep(self) -> Result<(), PipelineError> {
        self.0.into_iter().try_for_each(Claim::keep)
    }
}

impl Keys {
    /// Begins without keys, or with those of earlier runs, if there is a file for them.
    ///
    /// # Errors
    /// They cannot be read or stored.
    pub fn open(&self, file: Option<PathBuf>, resumes: bool) -> Result<()> {
        self.begin_again();
        let mut known = self.lock();
        (known.younger, known.older, known.stored) = Default::default();
        let Some(path) = file else { return Ok(()) };
        if resumes {
            known.load(&path).map_err(|source| Error::file(&path, source))?;
        }
        known.store(path)
    }

    /// Checks that keys can be stored. Changes nothing.
    ///
    /// # Errors
    /// They cannot be.
    pub fn check(file: Option<&Path>) -> Result<()> {
        file.map_or(Ok(()), |path| check_writable(&new(path)).map_err(|source| Error::file(path, source)))
    }

    /// Forgets the claims: the items that made them are sent again.
    pub fn begin_again(&self) {
        let mut known = self.lock();
        known.start += 1;
        known.pending.clear();
    }

    /// Claims a key for an item.
    pub fn claim(self: &Arc<Self>, key: &Value) -> Claimed {
        if *key == Value::Null {
            return Claimed::Keyless;
        }
        let key = xxh3_128(key.to_json().as_bytes());
        let mut known = self.lock();
        if known.has(key) {
            return Claimed::Known;
        }
        if let Some(pending) = known.pending.get(&key) {
            return Claimed::Pending(EndOfClaim(pending.clone()));
        }
        let (end, ended) = watch::channel(());
        known.pending.insert(key, ended);
        Claimed::Now(Claim { keys: self.clone(), key, start: known.start, _end: end })
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    fn keep(self) -> Result<(), PipelineError> {
        self.keys.lock().add(self.key)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut known = self.keys.lock();
        if known.start == self.start {
            known.pending.remove(&self.key);
        }
    }
}

impl Known {
    fn has(&self, key: u128) -> bool {
        self.younger.contains(&key) || self.older.contains(&key)
    }

    fn remember(&mut self, key: u128) {
        if self.younger.len() >= MOST {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(key);
    }

    fn add(&mut self, key: u128) -> Result<(), PipelineError> {
        self.remember(key);
        let Some((file, path)) = &mut self.stored else { return Ok(()) };
        let stored = file.write_all(&key.to_le_bytes());
        stored.map_err(|error| PipelineError::broken(format!("{} cannot be written: {error}", path.display())))
    }

    fn load(&mut self, path: &Path) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            file => file?.read_to_end(&mut bytes)?,
        };
        // The last one may be torn.
        let keys: Vec<_> =
            bytes.chunks_exact(LENGTH).filter_map(|key| Some(u128::from_le_bytes(key.try_into().ok()?))).collect();
        keys.iter().skip(keys.len().saturating_sub(2 * MOST)).for_each(|key| self.remember(*key));
        Ok(())
    }

    /// Writes what is known to a new file, and adds to it from now on.
    fn store(&mut self, path: PathBuf) -> Result<()> {
        let wrong = |source| Error::file(&path, source);
        let part = new(&path);
        let bytes: Vec<u8> = self.older.iter().chain(&self.younger).flat_map(|key| key.to_le_bytes()).collect();
        let mut file = File::create(&part).map_err(wrong)?;
        file.write_all(&bytes).and_then(|()| file.sync_data()).map_err(wrong)?;
        std::fs::rename(&part, &path).map_err(wrong)?;
        self.stored = Some((file, path));
        Ok(())
    }
}

/// Returns the file that is written before it takes the place of another.
fn new(path: &Path) -> PathBuf {
    path.with_extension("new")
}
