//! Collection: the responses in a folder of WARC files, found by URL. Knows no network, and changes nothing.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use bytes::Bytes;
use hashbrown::HashMap;
use tokio::runtime::Handle;
use xxhash_rust::xxh3::xxh3_128;

use super::{
    file::OPEN,
    index::{Entry, index_of, index_of_whole, read_beside},
    reader::Reader,
    record::Record,
    url_key::canonical,
};
use crate::{error::Result, headers::http_head};

/// The archived responses of a folder. Takes about 80 bytes of memory for each.
#[derive(Clone)]
pub(crate) struct Collection {
    found: Arc<FoundFiles>,
    threads: Handle,
}

struct FoundFiles {
    path: PathBuf,
    files: Vec<PathBuf>,
    /// The response of each URL that is replayed, by a hash of it.
    by_url: HashMap<u128, (ResponseRank, RecordLocation)>,
    /// The first record with each payload, for those that refer to it.
    by_digest: HashMap<u128, RecordLocation>,
}

#[derive(Clone, Copy)]
struct RecordLocation {
    file: u32,
    offset: u64,
}

/// Which response of a URL is replayed: the latest that is an answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ResponseRank {
    is_answer: bool,
    /// In 14 digits: the names of files of several writers do not tell which is the later one.
    received: u64,
}

/// A response that is about to be read.
pub(crate) struct OpenedResponse {
    record: Record,
    reader: Reader,
    /// Where the body is, if it is another record's.
    payload: Option<Reader>,
    length: u64,
}

/// A response as it is archived.
pub(crate) struct Archived {
    /// The head and the body.
    pub block: Bytes,
    /// When it was received.
    pub date: SystemTime,
    /// The word for why it is not whole, if it is not.
    pub truncated: Option<String>,
}

impl Collection {
    /// Reads the index of a WARC file, or of those in a folder; `None` if there are none.
    ///
    /// # Errors
    /// One of them cannot be read, or is damaged.
    pub fn open(path: &Path, threads: &Handle) -> Result<Option<Self>> {
        let files = if path.is_file() { vec![path.to_owned()] } else { warcs_in(path) };
        if files.is_empty() {
            return Ok(None);
        }
        let (mut by_url, mut by_digest) = (HashMap::new(), HashMap::new());
        for (file, path) in (0..).zip(&files) {
            let entries = match read_beside(path) {
                Some(entries) => entries,
                // A kill has left it, or it is being written: what is whole of it counts.
                None if path.as_os_str().as_encoded_bytes().ends_with(OPEN.as_bytes()) => index_of_whole(path)?,
                None => index_of(path)?,
            };
            for entry in &entries {
                let location = RecordLocation { file, offset: entry.offset };
                // A payload is the same whatever it was asked for with.
                if let (Some(digest), false) = (&entry.digest, entry.mime.as_deref() == Some("warc/revisit")) {
                    by_digest.entry(xxh3_128(digest.as_bytes())).or_insert(location);
                }
                if entry.method.is_some() {
                    continue;
                }
                let key = xxh3_128(canonical(&entry.url).as_bytes());
                let rank = ResponseRank::of(entry);
                if by_url.get(&key).is_none_or(|(known, _)| *known <= rank) {
                    by_url.insert(key, (rank, location));
                }
            }
        }
        let found = FoundFiles { path: path.to_owned(), files, by_url, by_digest };
        Ok(Some(Self { found: Arc::new(found), threads: threads.clone() }))
    }

    /// Returns the folder, or the file.
    pub fn path(&self) -> &Path {
        &self.found.path
    }

    /// Looks for the latest response of a URL to GET.
    ///
    /// # Errors
    /// Its record cannot be read.
    pub async fn find(&self, url: &str) -> Result<Option<OpenedResponse>, String> {
        let key = xxh3_128(canonical(url).as_bytes());
        let Some((_, location)) = self.found.by_url.get(&key).copied() else { return Ok(None) };
        let (found, url) = (self.found.clone(), url.to_owned());
        let opened = self.threads.spawn_blocking(move || found.open(location, &url)).await;
        opened.map_err(|lost| lost.to_string())?.map_err(|error| error.to_string())
    }

    /// Reads a response that was found. Takes memory for [`OpenedResponse::length`].
    ///
    /// # Errors
    /// Its record cannot be read.
    pub async fn read(&self, opened: OpenedResponse) -> Result<Archived, String> {
        // Allocated here: the allocator keeps freed memory for each thread, and the blocking threads are many.
        let block = Vec::with_capacity(usize::try_from(opened.length()).unwrap_or(0));
        let read = self.threads.spawn_blocking(move || opened.read(block)).await;
        read.map_err(|lost| lost.to_string())?.map_err(|error| error.to_string())
    }
}

fn warcs_in(folder: &Path) -> Vec<PathBuf> {
    let is_warc = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let closed = name.strip_suffix(OPEN).unwrap_or(name);
        [".warc", ".warc.gz"].iter().any(|ending| closed.ends_with(ending)) && path.is_file()
    };
    let listed = fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    let mut files: Vec<_> = listed.filter(is_warc).collect();
    // Of two responses within a second, the later one is in the later file: names begin with the time.
    files.sort();
    files
}

impl ResponseRank {
    fn of(entry: &Entry) -> Self {
        // What a server says while it refuses is not the page's content. What is not modified has its content in the
        // record before, or in one of another archive.
        let has_content = !matches!(entry.status.as_deref(), Some("304" | "429" | "503"));
        let refers_to_nothing = entry.mime.as_deref() == Some("warc/revisit") && entry.digest.is_none();
        Self { is_answer: has_content && !refers_to_nothing, received: entry.timestamp.parse().unwrap_or(0) }
    }
}

impl FoundFiles {
    fn open(&self, location: RecordLocation, url: &str) -> Result<Option<OpenedResponse>> {
        let Some((record, reader)) = self.record_at(location)? else { return Ok(None) };
        if record.url().map(canonical) != Some(canonical(url)) {
            return Ok(None);
        }
        if record.kind() != "revisit" {
            let length = record.length();
            return Ok(Some(OpenedResponse { record, reader, payload: None, length }));
        }
        let digest = record.field("WARC-Payload-Digest").unwrap_or_default();
        let Some(location) = self.by_digest.get(&xxh3_128(digest.as_bytes())) else { return Ok(None) };
        let Some((original, payload)) = self.record_at(*location)? else { return Ok(None) };
        let length = record.length().saturating_add(original.length());
        Ok(Some(OpenedResponse { record, reader, payload: Some(payload), length }))
    }

    fn record_at(&self, location: RecordLocation) -> Result<Option<(Record, Reader)>> {
        let Some(path) = usize::try_from(location.file).ok().and_then(|file| self.files.get(file)) else {
            return Ok(None);
        };
        let mut reader = Reader::open_at(path, location.offset)?;
        Ok(reader.next_record()?.map(|record| (record, reader)))
    }
}

impl OpenedResponse {
    /// Returns the most bytes that it takes.
    pub fn length(&self) -> u64 {
        self.length
    }

    fn read(mut self, mut block: Vec<u8>) -> io::Result<Archived> {
        if let Some(mut payload) = self.payload.take() {
            let head = http_head::read(&mut self.reader)?;
            // A record that keeps no head of its own has that of the other.
            if head.ends_with(b"\n") {
                http_head::read(&mut payload)?;
                block.extend_from_slice(&head);
            }
            payload.read_to_end(&mut block)?;
        } else {
            self.reader.read_to_end(&mut block)?;
        }
        let date = self.record.field("WARC-Date").and_then(|date| humantime::parse_rfc3339_weak(date).ok());
        Ok(Archived {
            block: block.into(),
            date: date.unwrap_or(SystemTime::UNIX_EPOCH),
            truncated: self.record.field("WARC-Truncated").map(str::to_owned),
        })
    }
}
