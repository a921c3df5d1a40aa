//! ResponseStore: stores responses on disk, one file each, in a folder that the user names. Knows no network, and does
//! not decide whether a stored response may be used.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use xxhash_rust::xxh3::xxh3_128;

use super::{
    body::{Bodies, Reservation},
    stored_response::StoredResponse,
};
use crate::{
    error::{Error, Result},
    report::Counted,
    request::Request,
};

/// Where responses are stored, and for which purpose. [`Crawler::cache`], [`Crawler::record`] and [`Crawler::replay`]
/// set it.
///
/// ```
/// use actix_crawler::transport::{Purpose, ResponseStoreSettings, TransportSettings};
///
/// let store = ResponseStoreSettings { max_bytes: 10 << 30, ..ResponseStoreSettings::new("site", Purpose::Record) };
/// let settings = TransportSettings { response_store: Some(store), ..TransportSettings::default() };
/// ```
///
/// [`Crawler::cache`]: crate::Crawler::cache
/// [`Crawler::record`]: crate::Crawler::record
/// [`Crawler::replay`]: crate::Crawler::replay
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseStoreSettings {
    /// The folder. It contains what servers sent, including their cookies, but none of our credentials.
    pub dir: PathBuf,
    /// The purpose.
    pub purpose: Purpose,
    /// The most bytes of all files together. 1 GiB by default: about 100,000 pages, which are stored compressed as
    /// received. A full cache removes its oldest responses, and none is stored that takes more than half of it; a full
    /// recording stores no more, and its crawl ends as [`Ended::Failed`](crate::report::Ended::Failed), with how many
    /// responses it lacks.
    #[serde(default = "default_max_bytes")]
    pub max_bytes: u64,
}

/// Why responses are stored.
///
/// ```
/// use actix_crawler::transport::{Purpose, ResponseStoreSettings};
///
/// let recorded = ResponseStoreSettings::new("site", Purpose::Record);
/// let without_network = ResponseStoreSettings::new("site", Purpose::Replay);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// As a cache, within the rules of RFC 9111. Needs the feature `cache`.
    Cache,
    /// To be replayed later: every response is stored.
    Record,
    /// To repeat a recorded crawl without the network.
    Replay,
}

/// The length of a key's name, in hexadecimal digits.
const KEY_LENGTH: usize = 32;

/// As many of its digits name the folder.
const PART_LENGTH: usize = 2;

/// One response takes no more than this part of a cache, or it would cost nearly all others their place.
const MAX_PART: u64 = 2;

/// The key of a response in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreKey(u128);

/// The store, shared by all arbiters. Files are read and written on blocking threads.
#[derive(Clone)]
pub(crate) struct ResponseStore {
    settings: Arc<ResponseStoreSettings>,
    threads: Handle,
    /// The size of all files in bytes.
    bytes: Arc<AtomicU64>,
    /// Held by the writer that removes old files.
    eviction: Arc<Mutex<()>>,
    unstored: Arc<Mutex<Unstored>>,
}

/// What this process could not store.
#[derive(Default)]
struct Unstored {
    responses: u64,
    /// Why, of the first.
    why: String,
}

fn default_max_bytes() -> u64 {
    1 << 30
}

impl ResponseStoreSettings {
    /// Stores responses in `dir` for `purpose`.
    pub fn new(dir: impl Into<PathBuf>, purpose: Purpose) -> Self {
        Self { dir: dir.into(), purpose, max_bytes: default_max_bytes() }
    }
}

impl StoreKey {
    /// Returns the key of the response to a request. `who` holds the headers that identify us, since a server may
    /// respond differently to each identity.
    pub fn new(request: &Request, who: &[u8]) -> Self {
        Self(xxh3_128(&[request.fingerprint().to_bytes().as_slice(), who].concat()))
    }

    /// Spreads the files over 256 folders, since folders with many files are slow.
    fn path(self, dir: &Path) -> PathBuf {
        let name = format!("{:0KEY_LENGTH$x}", self.0);
        let (part, rest) = name.split_at(PART_LENGTH);
        dir.join(part).join(rest)
    }
}

impl ResponseStore {
    /// Opens or creates the folder.
    ///
    /// # Errors
    /// The folder cannot be created, or does not exist and is to be replayed.
    pub fn open(settings: &ResponseStoreSettings, threads: &Handle) -> Result<Self> {
        let dir = &settings.dir;
        if settings.purpose == Purpose::Replay && !dir.is_dir() {
            let why = format!("{} is no folder; make it with a crawl that records", dir.display());
            return Err(Error::setting("replay", why));
        }
        let files = fs::create_dir_all(dir).and_then(|()| files(dir)).map_err(|error| Error::file(dir, error))?;
        let bytes = files.iter().map(|file| file.length).sum();
        Ok(Self {
            settings: settings.clone().into(),
            threads: threads.clone(),
            bytes: Arc::new(AtomicU64::new(bytes)),
            eviction: Arc::default(),
            unstored: Arc::default(),
        })
    }

    /// Returns the purpose.
    pub fn purpose(&self) -> Purpose {
        self.settings.purpose
    }

    /// Returns the folder.
    pub fn dir(&self) -> &Path {
        &self.settings.dir
    }

    /// Reads a response once `bodies` have the memory for it. `None` if there is none, or its file is damaged.
    pub async fn read(&self, key: StoreKey, url: &str, bodies: &Bodies) -> Option<(StoredResponse, Reservation)> {
        let path = key.path(self.dir());
        let open = move || {
            let file = fs::File::open(path)?;
            Ok::<_, io::Error>((file.metadata()?.len(), file))
        };
        let (length, mut file) = self.threads.spawn_blocking(open).await.ok()?.ok()?;
        let held = bodies.hold(length).await;
        // Allocated here: the allocator keeps freed memory for each thread, and the blocking threads are many.
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        let read = move || file.read_to_end(&mut bytes).map(|_| Bytes::from(bytes));
        let bytes = self.threads.spawn_blocking(read).await.ok()?.ok()?;
        Some((StoredResponse::from_file(&bytes).filter(|stored| stored.url == url)?, held))
    }

    /// Stores a response in place of the one before. Tells whether it could be written; if not, later reads find
    /// nothing. The first of these is warned of, and the report has their number.
    #[must_use = "who asks counts what could not be stored"]
    pub async fn write(&self, key: StoreKey, response: StoredResponse) -> bool {
        let this = self.clone();
        let url = response.url.clone();
        let error = match self.threads.spawn_blocking(move || this.write_now(key, &response)).await {
            Ok(Ok(())) => return true,
            // The crawl has ended without waiting for this request.
            Err(lost) if lost.is_cancelled() => return false,
            Ok(Err(error)) => error,
            Err(lost) => io::Error::other(lost),
        };
        let mut unstored = self.lock_unstored();
        unstored.responses += 1;
        if unstored.responses == 1 {
            unstored.why = error.to_string();
            tracing::warn!(%url, dir = %self.dir().display(), %error, "a response could not be stored");
        }
        false
    }

    /// Removes a response. One that cannot be removed is read again.
    pub async fn remove(&self, key: StoreKey) {
        let (this, path) = (self.clone(), key.path(self.dir()));
        let remove = move || {
            let length = fs::metadata(&path)?.len();
            fs::remove_file(&path).map(|()| this.forget(length))
        };
        // Where the crawl has ended nobody waits for it.
        drop(self.threads.spawn_blocking(remove).await);
    }

    /// Returns why a recording is not whole, if it is not: the output that was asked for is broken.
    pub fn failure(&self) -> Option<String> {
        let Unstored { responses, why } = &*self.lock_unstored();
        let (lacks, dir) = (Counted(*responses, "response"), self.dir().display());
        (self.purpose() == Purpose::Record && *responses > 0)
            .then(|| format!("the recording {dir} lacks {lacks} that could not be written: {why}"))
    }

    /// Returns what the report says of a cache that could not be written. The crawl misses nothing by that.
    pub fn warning(&self) -> Option<String> {
        let Unstored { responses, why } = &*self.lock_unstored();
        let (lacks, dir) = (Counted(*responses, "response"), self.dir().display());
        (self.purpose() == Purpose::Cache && *responses > 0)
            .then(|| format!("{lacks} could not be written to the cache {dir}: {why}"))
    }

    fn lock_unstored(&self) -> MutexGuard<'_, Unstored> {
        // Nothing that is done under it panics halfway.
        self.unstored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_now(&self, key: StoreKey, response: &StoredResponse) -> io::Result<()> {
        let path = key.path(self.dir());
        let label = response.label()?;
        let before = fs::metadata(&path).map_or(0, |file| file.len());
        let added = (label.len() + response.body.len()) as u64;
        let most = self.settings.max_bytes;
        if self.purpose() == Purpose::Record {
            if self.bytes.load(Ordering::Relaxed).saturating_sub(before) + added > most {
                return Err(io::Error::other(format!("it may have {most} bytes (max_bytes); allow it more")));
            }
        } else if added > most / MAX_PART {
            // What is there is out of date.
            if fs::remove_file(&path).is_ok() {
                self.forget(before);
            }
            let why = format!("it has {added} bytes, and one may take half of {most} (max_bytes); allow it more");
            return Err(io::Error::other(why));
        } else if self.bytes.load(Ordering::Relaxed).saturating_sub(before) + added > most {
            self.make_room(added)?;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Written under another name, then renamed: a reader sees the old response or the new one, never a part.
        let aside = path.with_extension(format!("{:x}", fastrand::u64(..)));
        let write = || {
            let mut file = fs::File::create(&aside)?;
            // Two writes, since joining head line and body would copy the body.
            file.write_all(&label).and_then(|()| file.write_all(&response.body))
        };
        write().and_then(|()| fs::rename(&aside, &path)).inspect_err(|_| {
            // If removing fails too, the file remains but is never read.
            drop(fs::remove_file(&aside));
        })?;
        self.bytes.fetch_add(added, Ordering::Relaxed);
        self.forget(before);
        Ok(())
    }

    /// Removes the oldest files until a tenth is free, so that the folder is rarely listed.
    fn make_room(&self, wanted: u64) -> io::Result<()> {
        let _eviction = self.eviction.lock().unwrap_or_else(PoisonError::into_inner);
        let most = (self.settings.max_bytes / 10 * 9).saturating_sub(wanted);
        if self.bytes.load(Ordering::Relaxed) <= most {
            return Ok(());
        }
        let mut files = files(self.dir())?;
        files.sort_by_key(|file| file.written);
        let mut left: u64 = files.iter().map(|file| file.length).sum();
        self.bytes.store(left, Ordering::Relaxed);
        for file in files {
            if left <= most {
                break;
            }
            match fs::remove_file(&file.path) {
                // Another crawl may have removed it.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => left -= file.length,
            }
            self.forget(file.length);
        }
        Ok(())
    }

    fn forget(&self, bytes: u64) {
        let less = |held: u64| Some(held.saturating_sub(bytes));
        // An update whose function always returns a value cannot fail.
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

struct StoredFile {
    path: PathBuf,
    length: u64,
    written: SystemTime,
}

/// Lists the stored responses. The folder may be one with files of the user's own: what has no name of a response is
/// neither counted nor removed.
fn files(dir: &Path) -> io::Result<Vec<StoredFile>> {
    let mut files = Vec::new();
    for part in fs::read_dir(dir)? {
        let part = part?.path();
        if !part.file_name().is_some_and(|name| is_hexadecimal(name, PART_LENGTH)) || !part.is_dir() {
            continue;
        }
        for file in fs::read_dir(part)? {
            let path = file?.path();
            let is_of_key = path.file_stem().is_some_and(|stem| is_hexadecimal(stem, KEY_LENGTH - PART_LENGTH));
            // One that was not renamed, since its writer was killed, has a random number as its extension.
            let is_ours = is_of_key && path.extension().is_none_or(|number| is_hexadecimal(number, number.len()));
            if !is_ours {
                continue;
            }
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_file() => {
                    files.push(StoredFile { path, length: metadata.len(), written: metadata.modified()? });
                }
                // Another crawl may have renamed or removed it.
                _ => {}
            }
        }
    }
    Ok(files)
}

fn is_hexadecimal(name: &OsStr, length: usize) -> bool {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    name.to_str().is_some_and(|name| name.len() == length && name.bytes().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::stored_response::tests::stored;

    fn key(url: &str) -> StoreKey {
        StoreKey::new(&Request::parse(url).unwrap(), b"")
    }

    fn store(dir: &Path, max_bytes: u64, purpose: Purpose) -> ResponseStore {
        ResponseStore::open(
            &ResponseStoreSettings { max_bytes, ..ResponseStoreSettings::new(dir, purpose) },
            &Handle::current(),
        )
        .unwrap()
    }

    #[test]
    fn settings_of_earlier_versions_are_read() {
        let told = serde_json::json!({"shelf": {"dir": "site", "purpose": "replay"}});
        let settings: crate::transport::TransportSettings = serde_json::from_value(told).unwrap();
        assert_eq!(settings.response_store, Some(ResponseStoreSettings::new("site", Purpose::Replay)));
    }

    #[tokio::test]
    async fn a_full_cache_removes_its_oldest_and_a_full_recording_stores_no_more() {
        for purpose in [Purpose::Cache, Purpose::Record] {
            let dir = tempfile::tempdir().unwrap();
            let store = store(dir.path(), 100_000, purpose);
            let urls: Vec<_> = (0..20).map(|n| format!("https://e.org/{n}")).collect();
            for url in &urls {
                let is_stored = store.write(key(url), stored(url, &[b'x'; 9_000])).await;
                assert!(is_stored || purpose == Purpose::Record, "{url}");
                assert!(files(dir.path()).unwrap().iter().map(|file| file.length).sum::<u64>() <= 100_000);
            }
            let (first, last, bodies) = (&urls[0], &urls[19], Bodies::new(0));
            assert_eq!(store.read(key(first), first, &bodies).await.is_some(), purpose == Purpose::Record);
            assert_eq!(store.read(key(last), last, &bodies).await.is_some(), purpose == Purpose::Cache);
            let failure = store.failure().unwrap_or_default();
            assert_eq!(failure.contains("lacks 10 responses"), purpose == Purpose::Record, "{failure}");
            assert!(failure.contains("may have 100000 bytes (max_bytes)") || purpose == Purpose::Cache, "{failure}");
            assert_eq!(store.warning(), None);
        }
    }

    /// Regression: it removed all others, was stored beyond the bound, and was removed again by the next.
    #[tokio::test]
    async fn a_response_that_takes_most_of_a_cache_costs_no_other_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), 100_000, Purpose::Cache);
        let urls: Vec<_> = (0..10).map(|n| format!("https://e.org/{n}")).collect();
        for (index, url) in urls.iter().enumerate() {
            assert!(store.write(key(url), stored(url, &[b'x'; 8_000])).await);
            for large in [120_000, 60_000] {
                let name = format!("https://e.org/large/{index}");
                assert!(!store.write(key(&name), stored(&name, &vec![b'x'; large])).await, "{large}");
            }
        }
        let bodies = Bodies::new(0);
        for url in &urls {
            assert!(store.read(key(url), url, &bodies).await.is_some(), "{url}");
        }
        // What was there before is out of date.
        assert!(!store.write(key(&urls[0]), stored(&urls[0], &[b'x'; 60_000])).await);
        assert!(store.read(key(&urls[0]), &urls[0], &bodies).await.is_none());
        let warning = store.warning().unwrap();
        assert!(warning.contains("21 responses") && warning.contains("max_bytes"), "{warning}");
    }

    /// A cache in a folder of pictures once removed the oldest of them.
    #[tokio::test]
    async fn a_full_cache_removes_nothing_that_it_has_not_stored() {
        let dir = tempfile::tempdir().unwrap();
        let key_name = "0".repeat(KEY_LENGTH - PART_LENGTH);
        let own = ["photos/old.jpg", "ab/notes.txt", &format!("photos/{key_name}"), &format!("ab/{key_name}.jpg")];
        for name in own {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, [b'x'; 50_000]).unwrap();
            fs::File::open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        // What a killed writer has left counts, and goes first.
        let left = dir.path().join("ab").join(format!("{key_name}.1f"));
        fs::write(&left, [b'x'; 50_000]).unwrap();
        fs::File::open(&left).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let store = store(dir.path(), 100_000, Purpose::Cache);
        for n in 0..20 {
            let url = format!("https://e.org/{n}");
            assert!(store.write(key(&url), stored(&url, &[b'x'; 9_000])).await);
        }
        assert!(own.iter().all(|name| dir.path().join(name).exists()) && !left.exists());
        let stored: u64 = files(dir.path()).unwrap().iter().map(|file| file.length).sum();
        assert!((50_000..=100_000).contains(&stored), "{stored}");
    }

    #[tokio::test]
    async fn a_response_that_is_written_again_takes_no_more_room() {
        let dir = tempfile::tempdir().unwrap();
        let url = "https://e.org/";
        let open = |dir| store(dir, 1 << 20, Purpose::Record);
        let store = open(dir.path());
        for body in [&b"first"[..], b"second"] {
            assert!(store.write(key(url), stored(url, body)).await);
        }
        assert_eq!(store.read(key(url), url, &Bodies::new(0)).await.unwrap().0.body, "second");
        let reopened = open(dir.path());
        assert_eq!(store.bytes.load(Ordering::Relaxed), reopened.bytes.load(Ordering::Relaxed));
        assert_ne!(StoreKey::new(&Request::parse(url).unwrap(), b"me"), key(url), "who asks is part of the name");
    }
}
