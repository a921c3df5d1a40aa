//! Bucket: feeds in an object store. Each object is gathered in a file of this machine, the spool, and uploaded when it
//! is closed. Does not know how records are written.

mod masked;
mod sink;
mod store;
#[cfg(test)]
mod tests;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload, path::Path as Key};
use tokio::runtime::{Builder, Runtime};

use self::{masked::masked, sink::ObjectSink};
use super::{
    Feed, Opening, Sink,
    lock::Lock,
    names::{Existing, FileNames},
    target::Location,
};
use crate::{
    disk::synced_folder::{make_synced, sync_name},
    error::Error,
};

/// A bucket, and the folder for what is uploaded to it.
pub(super) struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// Its requests are made on a thread of their own: sinks are on threads that have a runtime already.
    runtime: Mutex<RequestRuntime>,
    /// As `s3://bucket`.
    at: String,
    /// Below it, files have the keys of their objects.
    spool: PathBuf,
}

/// A smaller object is uploaded in one request. A larger one needs memory for a part of it.
const PART: usize = 8 << 20;

/// S3 takes 10,000 parts.
const MAX_PARTS: u64 = 9_000;

/// How long a bucket may need to answer before anything is fetched.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

impl Bucket {
    /// Connects to a bucket, by the credentials in the environment, and asks it for a list, so that what is wrong is
    /// known before anything is fetched.
    ///
    /// # Errors
    /// It does not answer, is not there, or does not admit us.
    pub fn open(location: &Location, spool: &Path, within: Duration) -> Result<Arc<Self>, Error> {
        let wrong = |why: String| Error::setting(location.to_string(), why);
        let explained = |error| store::explained(&error, location.scheme);
        let store = |within| store::of(location, within).map_err(|error| wrong(explained(error)));
        let bucket = Self::new(store(within)?, location, spool).map_err(|error| wrong(error.to_string()))?;
        let asked = Self { store: store(ANSWERS_WITHIN)?, runtime: bucket.runtime, ..bucket };
        // Of a name with braces, what stands before them.
        let fixed = location.key.split('{').next().unwrap_or_default();
        let folder = fixed.rsplit_once('/').map_or("", |(folder, _)| folder);
        let answered = asked.run(async |store| store.list(Some(&key(folder)?)).next().await.transpose());
        answered.map_err(|error| {
            wrong(format!("the bucket cannot be listed, so nothing is fetched: {}", explained(error)))
        })?;
        Ok(Arc::new(Self { store: store(within)?, ..asked }))
    }

    /// Uses a store.
    ///
    /// # Errors
    /// The system has no room for what it needs.
    fn new(store: Arc<dyn ObjectStore>, location: &Location, spool: &Path) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let at = format!("{}://{}", location.scheme.as_str(), location.bucket);
        let spool = spool.join(location.scheme.as_str()).join(&location.bucket);
        Ok(Self { store, runtime: Mutex::new(RequestRuntime(Some(runtime))), at, spool })
    }

    /// Returns the names of the files in the spool, for names of objects.
    ///
    /// # Errors
    /// A name has something unknown in braces.
    pub fn names(&self, key: &str) -> Result<FileNames, Error> {
        let folder = self.spool.to_string_lossy().replace('{', "{{").replace('}', "}}");
        FileNames::of(&format!("{folder}/{key}"))
    }

    /// Returns the URL of the object whose file this is.
    pub fn url(&self, file: &Path) -> String {
        format!("{}/{}", self.at, self.key_of(file))
    }

    fn key_of(&self, file: &Path) -> String {
        let below = file.strip_prefix(&self.spool).unwrap_or(file);
        let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        parts.join("/")
    }

    /// Opens the object whose file this is. Where a name goes on, an object that is there is fetched first.
    ///
    /// # Errors
    /// It cannot be fetched, or the file cannot be written.
    pub fn open_file(
        self: &Arc<Self>,
        feed: &Feed,
        file: &Path,
        opening: Opening,
        syncs: bool,
    ) -> Result<Box<dyn Sink>, Error> {
        let unusable = |source| Error::file(file, source);
        if let Some(folder) = file.parent() {
            // What is acknowledged is on the disk: so are the names that lead to it.
            let made = if syncs { make_synced(folder) } else { fs::create_dir_all(folder) };
            made.map_err(unusable)?;
        }
        let lock = Lock::take(&beside(file, "lock")).map_err(unusable)?;
        if opening.keeps() && !file.exists() && !feed.is_unfinished(file) {
            self.download(file, syncs).map_err(|why| Error::setting(self.url(file), why))?;
        }
        let sink = feed.open_file(file, opening, syncs)?;
        Ok(Box::new(ObjectSink::new(sink, lock, self.clone(), file.to_owned(), syncs)))
    }

    /// Finds the objects of these names, and the files of those that are not uploaded yet.
    ///
    /// # Errors
    /// The bucket or the folder cannot be listed.
    pub fn existing(&self, names: &FileNames, spider: &str) -> io::Result<Vec<Existing>> {
        let mut existing = names.existing(spider)?;
        let fixed = names.fixed();
        let folder = fixed.rsplit_once('/').map_or("", |(folder, _)| folder);
        let prefix = self.key_of(Path::new(folder));
        let objects = self
            .run(async |store| {
                let objects = store.list(Some(&key(&prefix)?));
                objects.map_ok(|object| (object.location, object.last_modified)).try_collect::<Vec<_>>().await
            })
            .map_err(|error| io::Error::other(masked(&error)))?;
        let pattern = names.pattern(spider)?;
        for (key, modified) in objects {
            let file = self.spool.join(key.as_ref());
            if existing.iter().all(|known| known.path != file) {
                existing.extend(pattern.existing(&file, SystemTime::from(modified)));
            }
        }
        Ok(existing)
    }

    /// Fetches the object of a file, if there is one.
    ///
    /// # Errors
    /// It cannot be fetched whole, or not be stored; the error says why.
    fn download(&self, file: &Path, syncs: bool) -> Result<(), String> {
        let unfinished = beside(file, "unfinished");
        let fetched = self.run(async |store| {
            let object = match store.get(&key(&self.key_of(file))?).await {
                Err(object_store::Error::NotFound { .. }) => return Ok(false),
                object => object?,
            };
            let mut to = fs::File::create(&unfinished).map_err(store::local)?;
            let mut content = object.into_stream();
            while let Some(piece) = content.try_next().await? {
                io::Write::write_all(&mut to, &piece).map_err(store::local)?;
            }
            to.sync_all().map_err(store::local)?;
            Ok(true)
        });
        match fetched {
            Ok(true) => {
                let renamed = fs::rename(&unfinished, file);
                let synced = renamed.and_then(|()| if syncs { sync_name(file) } else { Ok(()) });
                synced.map_err(|error| error.to_string())
            }
            Ok(false) => Ok(()),
            Err(error) => Err(format!("what an earlier crawl has written cannot be fetched: {}", masked(&error))),
        }
    }

    /// Uploads a file as its object, which readers see when it is whole.
    ///
    /// # Errors
    /// It cannot be uploaded; the error says why.
    fn upload(&self, file: &Path) -> Result<(), String> {
        let uploaded = self.run(async |store| upload(store, file, &key(&self.key_of(file))?).await);
        uploaded.map_err(|error| format!("{} cannot be written: {}", self.url(file), masked(&error)))
    }

    /// Runs requests to their end.
    fn run<T: Send>(
        &self,
        requests: impl AsyncFnOnce(&dyn ObjectStore) -> object_store::Result<T> + Send,
    ) -> object_store::Result<T> {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = || store::local(io::Error::other("the upload has ended"));
        let (runtime, store) = (runtime.0.as_ref().ok_or_else(ended)?, &*self.store);
        thread::scope(|scope| {
            let running = scope.spawn(move || runtime.block_on(requests(store)));
            running.join().unwrap_or_else(|_| Err(store::local(io::Error::other("the upload panicked"))))
        })
    }
}

/// The runtime of requests.
struct RequestRuntime(Option<Runtime>);

impl Drop for RequestRuntime {
    fn drop(&mut self) {
        // To wait for its threads is forbidden on a thread that has a runtime.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

async fn upload(store: &dyn ObjectStore, file: &Path, key: &Key) -> object_store::Result<()> {
    let mut from = fs::File::open(file).map_err(store::local)?;
    let length = from.metadata().map_err(store::local)?.len();
    if length <= PART as u64 {
        return store.put(key, part(&mut from, PART)?.into()).await.map(drop);
    }
    let size = usize::try_from(length.div_ceil(MAX_PARTS)).unwrap_or(PART).max(PART);
    let mut parts = store.put_multipart(key).await?;
    let uploaded = async {
        loop {
            let part = part(&mut from, size)?;
            if part.is_empty() {
                return parts.complete().await.map(drop);
            }
            parts.put_part(PutPayload::from(part)).await?;
        }
    };
    let uploaded = uploaded.await;
    if uploaded.is_err() {
        // Whatever it says, the first error is the one to report; the store's own rules remove parts that stay.
        parts.abort().await.ok();
    }
    uploaded
}

/// Reads the next part of a file.
fn part(file: &mut fs::File, size: usize) -> object_store::Result<bytes::Bytes> {
    let mut part = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, size as u64), &mut part).map_err(store::local)?;
    Ok(part.into())
}

/// Returns the key of a name.
///
/// # Errors
/// A key cannot be so named.
fn key(name: &str) -> object_store::Result<Key> {
    Key::parse(name).map_err(|source| object_store::Error::InvalidPath { source })
}

/// Returns the name of a file beside another.
fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}
