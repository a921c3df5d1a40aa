//! Unique: the keys of items, each of which counts once. Knows no items.

use std::{
    fs::File,
    io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hashbrown::{HashMap, HashSet};
use tokio::sync::watch;
use xxhash_rust::xxh3::xxh3_128;

use super::super::PipelineError;
use crate::{
    disk::replaced_file::replace,
    error::{Error, Result},
    feed::{Outputs, Value, check_writable},
};

/// The keys of items that were acknowledged, and of those that are on their way.
#[derive(Default)]
pub(super) struct Keys {
    table: Mutex<KeyTable>,
    /// By which they are found again in the state; without it, by their place among the steps.
    name: Option<String>,
}

struct KeyTable {
    /// The most keys of a generation.
    most: usize,
    /// Two generations, of which the older one is forgotten when the younger one is full.
    younger: HashSet<u128>,
    older: HashSet<u128>,
    pending: HashMap<u128, watch::Receiver<()>>,
    /// Counts the starts of the pipeline. Claims of an earlier start no longer count.
    start: u64,
    stored: Option<KeyFile>,
}

/// The file that keys are added to.
struct KeyFile {
    file: File,
    path: PathBuf,
    /// How many it has.
    keys: usize,
}

impl Default for KeyTable {
    fn default() -> Self {
        let (younger, older, pending) = Default::default();
        Self { most: MAX_KEYS, younger, older, pending, start: 0, stored: None }
    }
}

/// The most keys of a generation.
const MAX_KEYS: usize = 1_000_000;

/// A file with as many keys for each that is remembered is written anew.
const STORED: usize = 2;

/// The length of a stored key.
const LENGTH: usize = 16;

/// A key that an item has claimed. If the claim is dropped, the item was not acknowledged, and another may have the
/// key.
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
    Duplicate,
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
        let mut table = self.lock();
        (table.younger, table.older, table.stored) = Default::default();
        let Some(path) = file else { return Ok(()) };
        let wrong = |source| Error::file(&path, source);
        if resumes {
            table.load(&path).map_err(wrong)?;
        }
        table.stored = Some(table.store(&path).map_err(wrong)?);
        Ok(())
    }

    /// Checks that keys can be stored, and by no other step in the same file. Changes nothing.
    ///
    /// # Errors
    /// They cannot be.
    pub fn check(&self, file: Option<&Path>, outputs: &Outputs) -> Result<()> {
        let Some(path) = file else { return Ok(()) };
        check_writable(&new(path)).map_err(|source| Error::file(path, source))?;
        outputs.take(path).map_err(|error| match &self.name {
            Some(name) => {
                Error::setting(format!("keys `{name}`"), "another step has keys of this name; name them otherwise")
            }
            None => error,
        })
    }

    /// Forgets the claims: the items that made them are sent again.
    pub fn begin_again(&self) {
        let mut table = self.lock();
        table.start += 1;
        table.pending.clear();
    }

    /// Claims a key for an item.
    pub fn claim(self: &Arc<Self>, key: &Value) -> Claimed {
        if matches!(key, Value::Null) || matches!(key, Value::Float(number) if number.is_nan()) {
            return Claimed::Keyless;
        }
        // JSON writes numbers that are not finite alike, and bytes as a list.
        let key = xxh3_128(format!("{key:?}").as_bytes());
        let mut table = self.lock();
        if table.has(key) {
            return Claimed::Duplicate;
        }
        if let Some(pending) = table.pending.get(&key) {
            return Claimed::Pending(EndOfClaim(pending.clone()));
        }
        let (end, ended) = watch::channel(());
        table.pending.insert(key, ended);
        Claimed::Now(Claim { keys: self.clone(), key, start: table.start, _end: end })
    }

    /// Returns the name of their file in the folder of a state: that of their own, or `by_place`.
    pub fn file_name(&self, by_place: String) -> String {
        // Any text may be a name, and no other is the same file.
        self.name.as_ref().map_or(by_place, |name| format!("keys-{:032x}", xxh3_128(name.as_bytes())))
    }

    /// Creates those of a name.
    pub fn named(name: String) -> Self {
        Self { name: Some(name), ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, KeyTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    fn keep(self) -> Result<(), PipelineError> {
        self.keys.lock().add(self.key)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut table = self.keys.lock();
        if table.start == self.start {
            table.pending.remove(&self.key);
        }
    }
}

impl KeyTable {
    fn has(&self, key: u128) -> bool {
        self.younger.contains(&key) || self.older.contains(&key)
    }

    fn remember(&mut self, key: u128) {
        if self.younger.len() >= self.most {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(key);
    }

    fn add(&mut self, key: u128) -> Result<(), PipelineError> {
        self.remember(key);
        let Some(stored) = &mut self.stored else { return Ok(()) };
        let added = stored.file.write_all(&key.to_le_bytes());
        stored.keys += 1;
        let added = if added.is_ok() && stored.keys > STORED * 2 * self.most {
            let path = stored.path.clone();
            self.store(&path).map(|anew| self.stored = Some(anew))
        } else {
            added
        };
        let at = self.stored.as_ref().map_or(Path::new(""), |stored| &stored.path);
        added.map_err(|error| PipelineError::broken(format!("{} cannot be written: {error}", at.display())))
    }

    /// Reads the last keys of a file, as many as are remembered. Returns how many bytes were read.
    fn load(&mut self, path: &Path) -> io::Result<usize> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            file => file?,
        };
        // The last one may be torn.
        let keys = file.metadata()?.len() / LENGTH as u64;
        let last = keys.min(2 * self.most as u64);
        file.seek(SeekFrom::Start((keys - last) * LENGTH as u64))?;
        let mut file = BufReader::new(file);
        let mut key = [0; LENGTH];
        for _ in 0..last {
            file.read_exact(&mut key)?;
            self.remember(u128::from_le_bytes(key));
        }
        Ok(usize::try_from(last).unwrap_or(0) * LENGTH)
    }

    /// Writes what is known to a new file, which is added to from now on.
    fn store(&self, path: &Path) -> io::Result<KeyFile> {
        let part = new(path);
        let bytes: Vec<u8> = self.older.iter().chain(&self.younger).flat_map(|key| key.to_le_bytes()).collect();
        let mut file = File::create(&part)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        replace(&part, path)?;
        Ok(KeyFile { file, path: path.to_owned(), keys: bytes.len() / LENGTH })
    }
}

/// Returns the file that is written before it takes the place of another.
fn new(path: &Path) -> PathBuf {
    path.with_extension("new")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_differ_are_told_apart_also_where_json_does_not() {
        let keys = Arc::new(Keys::default());
        let mut claims = Vec::new();
        for key in [
            Value::Float(f64::INFINITY),
            Value::Float(f64::NEG_INFINITY),
            Value::Bytes(vec![1]),
            Value::List(vec![Value::Integer(1)]),
            Value::Text("[1]".to_owned()),
        ] {
            match keys.claim(&key) {
                Claimed::Now(claim) => claims.push(claim),
                _ => panic!("{key:?} is taken for another"),
            }
            assert!(matches!(keys.claim(&key), Claimed::Pending(_)), "{key:?}");
        }
        for none in [Value::Null, Value::Float(f64::NAN)] {
            assert!(matches!(keys.claim(&none), Claimed::Keyless), "{none:?}");
        }
    }

    /// A file of a hundred million keys was once read whole, to keep the last two million.
    #[test]
    fn no_more_keys_are_read_and_stored_than_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let few = || KeyTable { most: 100, ..KeyTable::default() };
        let mut table = few();
        table.stored = Some(table.store(&path).unwrap());
        for key in 0..10_000 {
            table.add(key).unwrap();
            let stored = std::fs::metadata(&path).unwrap().len() / 16;
            assert!(stored <= 400, "{stored} keys are stored after {key}");
        }
        let bytes: Vec<u8> = (0..3_000_u128).flat_map(u128::to_le_bytes).collect();
        std::fs::write(&path, [&bytes[..], b"torn"].concat()).unwrap();
        let mut table = few();
        assert_eq!(table.load(&path).unwrap(), 200 * 16);
        assert!((2_800..3_000).all(|key| table.has(key)) && !table.has(2_799));
    }
}
