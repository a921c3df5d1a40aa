//! Shelf: answers on disk, one file each, in a folder of the user's. Knows no network, and not when an answer may be
//! used again.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::body::{Bodies, Reservation};
use crate::{
    error::{Error, Result},
    request::Request,
};

/// Where answers are kept, and what for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShelfSettings {
    /// The folder. It holds what servers sent, cookies that they set included; no credentials of ours.
    pub dir: PathBuf,
    /// What for.
    pub purpose: Purpose,
    /// The most bytes that all files have. 1 GiB by default: some 100,000 pages as they come, compressed. A cache that is
    /// full forgets its oldest answers; a recording takes no more in, and says so.
    #[serde(default = "default_max_bytes")]
    pub max_bytes: u64,
}

/// What answers are kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To save requests, as RFC 9111 allows. Needs the feature `cache`.
    Cache,
    /// To be replayed later: every answer is kept.
    Record,
    /// To crawl what was recorded, without any network.
    Replay,
}

/// An answer as it is kept, its body still encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// What was asked for.
    pub url: String,
    /// The headers it was asked with, but those that tell who we are.
    pub asked: Vec<(String, String)>,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// When it came, to the millisecond.
    pub fetched_at: SystemTime,
    /// The body.
    pub body: Bytes,
}

/// The name of an answer on the shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u128);

/// The shelf, shared by all arbiters. Files are read and written on threads that may block.
#[derive(Clone)]
pub struct Shelf {
    settings: Arc<ShelfSettings>,
    threads: Handle,
    /// Bytes of all files.
    bytes: Arc<AtomicU64>,
    /// Held by the one that makes room.
    broom: Arc<Mutex<()>>,
}

/// The first line of a file; the body follows it.
#[derive(Serialize, Deserialize)]
struct Label {
    url: String,
    asked: Vec<(String, String)>,
    status: u16,
    headers: Vec<(String, String)>,
    fetched_at_ms: u64,
    /// Of the body: the file is not flushed, so a power cut may leave half of it.
    hash: u64,
}

fn default_max_bytes() -> u64 {
    1 << 30
}

impl ShelfSettings {
    /// Keeps answers in a folder.
    pub fn new(dir: impl Into<PathBuf>, purpose: Purpose) -> Self {
        Self { dir: dir.into(), purpose, max_bytes: default_max_bytes() }
    }
}

impl Key {
    /// Names the answer to a request of somebody: what tells the server who asks may change its answer.
    pub fn new(request: &Request, who: &[u8]) -> Self {
        Self(xxh3_128(&[request.fingerprint().to_bytes().as_slice(), who].concat()))
    }

    /// A folder for each of 256 parts, since folders of many files are slow.
    fn path(self, dir: &Path) -> PathBuf {
        let name = format!("{:032x}", self.0);
        let (part, rest) = name.split_at(2);
        dir.join(part).join(rest)
    }
}

impl Shelf {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// It cannot be made, or is to be replayed and is not there.
    pub fn open(settings: &ShelfSettings, threads: &Handle) -> Result<Self> {
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
            broom: Arc::default(),
        })
    }

    /// Returns what it is for.
    pub fn purpose(&self) -> Purpose {
        self.settings.purpose
    }

    /// Returns the folder.
    pub fn dir(&self) -> &Path {
        &self.settings.dir
    }

    /// Takes an answer out, when `bodies` have the memory for it; `None` where there is none, or none that is whole.
    pub async fn read(&self, key: Key, url: &str, bodies: &Bodies) -> Option<(StoredAnswer, Reservation)> {
        let path = key.path(self.dir());
        let open = move || {
            let file = fs::File::open(path)?;
            Ok::<_, io::Error>((file.metadata()?.len(), file))
        };
        let (length, mut file) = self.threads.spawn_blocking(open).await.ok()?.ok()?;
        let held = bodies.hold(length).await;
        let read = move || {
            let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
            file.read_to_end(&mut bytes).map(|_| Bytes::from(bytes))
        };
        let bytes = self.threads.spawn_blocking(read).await.ok()?.ok()?;
        Some((StoredAnswer::from_file(&bytes).filter(|stored| stored.url == url)?, held))
    }

    /// Puts an answer in the place of the one before. What cannot be written is missing later, and a warning says so.
    pub async fn write(&self, key: Key, answer: StoredAnswer) {
        let this = self.clone();
        let url = answer.url.clone();
        let written = self.threads.spawn_blocking(move || this.write_now(key, &answer)).await;
        if let Err(error) = written.map_err(io::Error::other).and_then(|written| written) {
            tracing::warn!(%url, dir = %self.dir().display(), %error, "an answer could not be kept");
        }
    }

    fn write_now(&self, key: Key, answer: &StoredAnswer) -> io::Result<()> {
        let path = key.path(self.dir());
        let label = answer.label()?;
        let before = fs::metadata(&path).map_or(0, |file| file.len());
        let added = (label.len() + answer.body.len()) as u64;
        if self.bytes.load(Ordering::Relaxed).saturating_sub(before) + added > self.settings.max_bytes {
            if self.purpose() == Purpose::Record {
                return Err(io::Error::other("the folder is full; allow it more bytes"));
            }
            self.make_room(added)?;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Written aside and renamed: who reads sees the old answer or the new one.
        let aside = path.with_extension(format!("{:x}", fastrand::u64(..)));
        let write = || {
            let mut file = fs::File::create(&aside)?;
            // One after the other: a copy of the body would take its memory twice.
            file.write_all(&label).and_then(|()| file.write_all(&answer.body))
        };
        write().and_then(|()| fs::rename(&aside, &path)).inspect_err(|_| {
            // It is not there, or nobody reads it.
            drop(fs::remove_file(&aside));
        })?;
        self.bytes.fetch_add(added, Ordering::Relaxed);
        self.forget(before);
        Ok(())
    }

    /// Removes the oldest files until a tenth is free, so that this is seldom done.
    fn make_room(&self, wanted: u64) -> io::Result<()> {
        let _broom = self.broom.lock().unwrap_or_else(PoisonError::into_inner);
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
            fs::remove_file(&file.path)?;
            left -= file.length;
            self.forget(file.length);
        }
        Ok(())
    }

    fn forget(&self, bytes: u64) {
        let less = |held: u64| Some(held.saturating_sub(bytes));
        // The function never refuses.
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

impl StoredAnswer {
    /// Takes over what an answer that says "not modified" brings (RFC 9111 §3.2): all but what describes a body.
    pub fn renew(&mut self, headers: &HeaderMap, now: SystemTime) {
        for name in headers.keys() {
            let describes_a_body = name.as_str().starts_with("content-");
            if describes_a_body || matches!(name.as_str(), "connection" | "keep-alive" | "transfer-encoding") {
                continue;
            }
            self.headers.remove(name);
            for value in headers.get_all(name) {
                self.headers.append(name.clone(), value.clone());
            }
        }
        self.fetched_at = now;
    }

    /// Returns what stands before the body.
    fn label(&self) -> io::Result<Vec<u8>> {
        // Values are bytes; as Latin-1 each byte is a character of its own.
        let latin1 = |value: &HeaderValue| value.as_bytes().iter().copied().map(char::from).collect::<String>();
        let since_epoch = self.fetched_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let label = Label {
            url: self.url.clone(),
            asked: self.asked.clone(),
            status: self.status,
            headers: self.headers.iter().map(|(name, value)| (name.to_string(), latin1(value))).collect(),
            fetched_at_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
            hash: xxh3_64(&self.body),
        };
        let mut line = serde_json::to_vec(&label)?;
        line.push(b'\n');
        Ok(line)
    }

    fn from_file(file: &Bytes) -> Option<Self> {
        let end = memchr::memchr(b'\n', file)?;
        let label: Label = serde_json::from_slice(file.get(..end)?).ok()?;
        let body = file.slice(end + 1..);
        let mut headers = HeaderMap::with_capacity(label.headers.len());
        for (name, value) in &label.headers {
            let value: Vec<u8> = value.chars().map(|c| u8::try_from(c).ok()).collect::<Option<_>>()?;
            headers.append(name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(&value).ok()?);
        }
        let fetched_at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(label.fetched_at_ms))?;
        let Label { url, asked, status, hash, .. } = label;
        (xxh3_64(&body) == hash).then_some(Self { url, asked, status, headers, fetched_at, body })
    }
}

struct File {
    path: PathBuf,
    length: u64,
    written: SystemTime,
}

fn files(dir: &Path) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    for part in fs::read_dir(dir)? {
        let part = part?.path();
        if !part.is_dir() {
            continue;
        }
        for file in fs::read_dir(part)? {
            let file = file?;
            // Gone meanwhile: renamed, or removed by another crawl.
            let Ok(metadata) = file.metadata() else { continue };
            files.push(File { path: file.path(), length: metadata.len(), written: metadata.modified()? });
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(url: &str, body: &[u8]) -> StoredAnswer {
        let mut headers = HeaderMap::new();
        headers.append("set-cookie", HeaderValue::from_static("a=1"));
        headers.append("set-cookie", HeaderValue::from_bytes(b"b=\xff\xe9").unwrap());
        let fetched_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let asked = vec![("accept".to_owned(), "*/*".to_owned())];
        StoredAnswer {
            url: url.to_owned(),
            asked,
            status: 200,
            headers,
            fetched_at,
            body: Bytes::copy_from_slice(body),
        }
    }

    fn key(url: &str) -> Key {
        Key::new(&Request::parse(url).unwrap(), b"")
    }

    fn shelf(dir: &Path, max_bytes: u64, purpose: Purpose) -> Shelf {
        Shelf::open(&ShelfSettings { max_bytes, ..ShelfSettings::new(dir, purpose) }, &Handle::current()).unwrap()
    }

    #[test]
    fn an_answer_comes_back_as_it_was_and_a_broken_one_not_at_all() {
        let kept = answer("https://e.org/", b"\x1f\x8b\n\0 whatever");
        let file = [kept.label().unwrap(), kept.body.to_vec()].concat();
        assert_eq!(StoredAnswer::from_file(&file.clone().into()), Some(kept));
        for end in 0..file.len() {
            assert_eq!(StoredAnswer::from_file(&Bytes::copy_from_slice(&file[..end])), None, "{end}");
        }
    }

    #[tokio::test]
    async fn a_cache_forgets_its_oldest_and_a_recording_takes_no_more() {
        for purpose in [Purpose::Cache, Purpose::Record] {
            let dir = tempfile::tempdir().unwrap();
            let shelf = shelf(dir.path(), 100_000, purpose);
            let urls: Vec<_> = (0..20).map(|n| format!("https://e.org/{n}")).collect();
            for url in &urls {
                shelf.write(key(url), answer(url, &[b'x'; 9_000])).await;
                assert!(files(dir.path()).unwrap().iter().map(|file| file.length).sum::<u64>() <= 100_000);
            }
            let (first, last, bodies) = (&urls[0], &urls[19], Bodies::new(0));
            assert_eq!(shelf.read(key(first), first, &bodies).await.is_some(), purpose == Purpose::Record);
            assert_eq!(shelf.read(key(last), last, &bodies).await.is_some(), purpose == Purpose::Cache);
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_written_again_takes_no_more_room() {
        let dir = tempfile::tempdir().unwrap();
        let url = "https://e.org/";
        let shelf_of = |dir| shelf(dir, 1 << 20, Purpose::Record);
        let shelf = shelf_of(dir.path());
        for body in [&b"first"[..], b"second"] {
            shelf.write(key(url), answer(url, body)).await;
        }
        assert_eq!(shelf.read(key(url), url, &Bodies::new(0)).await.unwrap().0.body, "second");
        let reopened = shelf_of(dir.path());
        assert_eq!(shelf.bytes.load(Ordering::Relaxed), reopened.bytes.load(Ordering::Relaxed));
        assert_ne!(Key::new(&Request::parse(url).unwrap(), b"me"), key(url), "who asks is part of the name");
    }

    #[test]
    fn what_is_not_modified_keeps_its_body_and_what_describes_it() {
        let mut kept = answer("https://e.org/", b"body");
        kept.headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        let mut headers = HeaderMap::new();
        headers.insert("content-encoding", HeaderValue::from_static("br"));
        headers.insert("set-cookie", HeaderValue::from_static("c=3"));
        headers.insert("expires", HeaderValue::from_static("0"));
        let now = kept.fetched_at + Duration::from_secs(9);
        kept.renew(&headers, now);
        assert_eq!(kept.headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["c=3"]);
        assert_eq!(
            (&kept.headers["content-encoding"], &kept.headers["expires"]),
            (&"gzip".parse().unwrap(), &"0".parse().unwrap())
        );
        assert_eq!((kept.body, kept.fetched_at), ("body".into(), now));
    }
}
