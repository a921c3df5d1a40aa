//! ResponseStore: stores responses on disk, one file each, in a folder that the user names. Knows no network, and does
//! not decide whether a stored response may be used.

mod folder;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::runtime::Handle;

pub(crate) use self::folder::StoreKey;
use self::folder::files;
pub use self::settings::{Purpose, ResponseStoreSettings};
use super::{
    body::{Bodies, Reservation},
    stored_response::StoredResponse,
};
use crate::{
    error::{Error, Result},
    report::Counted,
};

/// One response takes no more than this part of a cache, or it would cost nearly all others their place.
const MAX_PART: u64 = 2;

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
