//! FileWriter: takes the bytes of one file as they come: decodes, measures, checks its type, writes. Blocks, so it
//! works off the network's threads; knows no network.

use std::{
    io::{self, Write},
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG, LAST_MODIFIED},
};
use ring::digest::{Context, SHA256};

use super::{
    Entry, FileStore, Wanted, Whole, checksum, index,
    media_type::{self, LOOKED_AT},
    milliseconds, name,
    part::{self, Part},
};
use crate::{
    files::{File, FileStatus},
    headers::field_text::text_of,
    outcome::FetchError,
    text::hexadecimal::hexadecimal,
    transport::body::{self, BodyDecoder, BodyLimits, Coding},
};

/// What a response says of its file.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    media_type: Option<String>,
    etag: Option<String>,
    last_modified: Option<String>,
    codings: Vec<Coding>,
}

/// Why a file is not there.
#[derive(Debug)]
pub enum NotWritten {
    /// It is of a type that is not wanted.
    Type(String),
    /// Its content coding is broken, or it is too large.
    Body(FetchError),
    /// The disk does not take it.
    Disk(io::Error),
}

/// One file that is being written.
pub struct FileWriter {
    store: FileStore,
    wanted: Arc<Wanted>,
    declared: Declared,
    decoder: Option<BodyDecoder>,
    /// The first bytes, until they have told the type.
    first: Option<Vec<u8>>,
    media_type: Option<String>,
    /// Whether its bytes say what it is.
    is_sniffed: bool,
    part: Option<Part>,
    digest: Context,
    size: u64,
}

/// How much coded input is decoded at once: a bomb makes a thousand times as much of it.
const DECODED_AT_ONCE: usize = 4 << 10;

impl Declared {
    /// Reads the head of a response.
    ///
    /// # Errors
    /// Its content coding is unknown.
    pub fn of(headers: &HeaderMap) -> Result<Self, FetchError> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let media_type = headers.get(CONTENT_TYPE).map(text_of);
        let media_type =
            media_type.map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        let media_type = media_type.filter(|value| value.contains('/'));
        let codings = body::codings(headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes))?;
        // As in browsers: some servers call the type of an archive its coding.
        let is_archive = media_type.as_deref().is_some_and(|of| of.ends_with("/gzip") || of.ends_with("/x-gzip"));
        let codings = if is_archive { Vec::new() } else { codings };
        Ok(Self { media_type, etag: text(ETAG), last_modified: text(LAST_MODIFIED), codings })
    }
}

impl FileWriter {
    /// Begins a file. Nothing is on the disk before its first bytes are.
    pub fn new(store: FileStore, wanted: Arc<Wanted>, declared: Declared, limits: BodyLimits) -> Self {
        // The time that the body takes to come is no time of decoding.
        let limits = BodyLimits { max_bytes: store.settings().max_size, max_time: Duration::MAX, ..limits };
        let decoder = (!declared.codings.is_empty()).then(|| BodyDecoder::new(declared.codings.clone(), limits));
        let (part, media_type, digest) = (None, None, Context::new(&SHA256));
        Self {
            store,
            wanted,
            declared,
            decoder,
            first: Some(Vec::new()),
            media_type,
            is_sniffed: false,
            part,
            digest,
            size: 0,
        }
    }

    /// Takes the next bytes from the wire.
    ///
    /// # Errors
    /// The file is not wanted, broken, or cannot be written. Nothing of it is left when the writer is dropped.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), NotWritten> {
        if self.decoder.is_none() {
            return self.take(bytes);
        }
        for piece in bytes.chunks(DECODED_AT_ONCE) {
            let Some(decoder) = &mut self.decoder else { return Ok(()) };
            decoder.write(piece).map_err(NotWritten::Body)?;
            let bytes = decoder.take();
            self.take(&bytes)?;
        }
        Ok(())
    }

    /// Ends the file: it has its name now, and is on the disk. Tells also whether the server gave it another type.
    ///
    /// # Errors
    /// As [`FileWriter::write`].
    pub fn finish(mut self, now: SystemTime) -> Result<(File, bool), NotWritten> {
        if let Some(mut decoder) = self.decoder.take() {
            decoder.finish().map_err(NotWritten::Body)?;
            let bytes = decoder.take();
            self.take(&bytes)?;
        }
        self.judge()?;
        let part = match self.part.take() {
            Some(part) => part,
            None => Part::create(&self.store.0.dir.join(part::DIR)).map_err(NotWritten::Disk)?,
        };
        let hash = hexadecimal(self.digest.finish().as_ref());
        // Many servers say of all that they do not know that it is text.
        let of_type = self.media_type.as_deref().and_then(media_type::ending).unwrap_or_default();
        let extension = if self.is_sniffed || !name::has_ending(&self.wanted) { of_type } else { "" };
        let whole = Whole { wanted: &self.wanted, hash: &hash, size: self.size, extension };
        let path = self.store.place(part, &whole).map_err(NotWritten::Disk)?;
        let Declared { media_type: said, etag, last_modified, .. } = self.declared;
        let is_other = matches!((&said, &self.media_type), (Some(said), Some(found)) if said != found);
        let entry = Entry {
            url: self.wanted.url.clone(),
            name: self.wanted.name.clone(),
            path,
            checksum: checksum(&hash),
            size: self.size,
            media_type: self.media_type,
            etag,
            last_modified,
            fetched_ms: milliseconds(now),
        };
        index::write(&self.store.0.dir, &self.wanted, &entry).map_err(NotWritten::Disk)?;
        Ok((entry.file(FileStatus::Downloaded), is_other))
    }

    /// Takes decoded bytes.
    fn take(&mut self, bytes: &[u8]) -> Result<(), NotWritten> {
        self.size += bytes.len() as u64;
        let most = self.store.settings().max_size;
        if self.size > most {
            return Err(NotWritten::Body(FetchError::TooLarge(format!("over {most} bytes"))));
        }
        let Some(first) = &mut self.first else { return self.put(bytes) };
        first.extend_from_slice(bytes);
        if first.len() < LOOKED_AT { Ok(()) } else { self.judge() }
    }

    /// Decides about the type, and writes what was held back for that.
    fn judge(&mut self) -> Result<(), NotWritten> {
        let Some(first) = self.first.take() else { return Ok(()) };
        let said = self.declared.media_type.as_deref();
        let start = first.get(..LOOKED_AT).unwrap_or(&first);
        (self.media_type, self.is_sniffed) = (media_type::of(said, start), media_type::by_bytes(start).is_some());
        let found = self.media_type.as_deref().unwrap_or_default();
        if !self.store.settings().wants(found) {
            let found = if found.is_empty() { "of no known type" } else { found };
            let said = said.map(|said| format!(", declared as {said}")).unwrap_or_default();
            return Err(NotWritten::Type(format!("it is {found}{said}")));
        }
        self.put(&first)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), NotWritten> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.digest.update(bytes);
        let part = match &mut self.part {
            Some(part) => part,
            none => none.insert(Part::create(&self.store.0.dir.join(part::DIR)).map_err(NotWritten::Disk)?),
        };
        part.write_all(bytes).map_err(NotWritten::Disk)
    }
}
