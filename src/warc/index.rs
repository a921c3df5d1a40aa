//! Index: where in a file the record of each URL is: the lines of CDXJ, as pywb and other replay tools read them. Does
//! not decide which record is used.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{
    reader::{ENDS_TOO_EARLY, Reader},
    record::Record,
    url_key::{canonical, url_key},
};
use crate::{
    disk::replaced_file::replace,
    error::{Error, Result},
    headers::http_head,
};

/// A line of an index: one response.
///
/// ```
/// # let record = concat!(
/// #     "WARC/1.1\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:7b1e8d0c-0000-4000-8000-000000000001>\r\n",
/// #     "WARC-Date: 2026-11-29T08:30:00Z\r\nWARC-Target-URI: https://example.org/\r\n",
/// #     "Content-Type: application/http;msgtype=response\r\nContent-Length: 40\r\n\r\n",
/// #     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi\r\n\r\n",
/// # );
/// # let folder = tempfile::tempdir().unwrap();
/// # let archive = folder.path().join("crawl.warc");
/// # std::fs::write(&archive, record).unwrap();
/// let entries = actix_crawler::warc::index_of(archive)?;
/// assert_eq!((entries[0].url.as_str(), entries[0].offset), ("https://example.org/", 0));
/// assert_eq!(entries[0].status.as_deref(), Some("200"));
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The key by which lines are sorted: the URL without its scheme, with its host reversed.
    pub key: String,
    /// When it was received, in 14 digits.
    pub timestamp: String,
    /// The URL.
    pub url: String,
    /// The media type; `warc/revisit` where the body is that of another record.
    pub mime: Option<String>,
    /// The status.
    pub status: Option<String>,
    /// The digest of the body.
    pub digest: Option<String>,
    /// The length of the record in the file.
    pub length: u64,
    /// Where the record begins.
    pub offset: u64,
    /// The method, if it is not GET.
    pub method: Option<String>,
    id: String,
    /// Whether its request was found.
    has_request: bool,
}

/// How far a request may be from its response: they follow each other.
const MAX_DISTANCE: usize = 16;

/// Reads a file and makes its index, sorted.
///
/// # Errors
/// The file cannot be read, or is damaged.
pub fn index_of(path: impl AsRef<Path>) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    read_entries(path.as_ref(), &mut entries)?;
    Ok(sorted(entries))
}

/// As [`index_of`], for a file that has no end yet: of the records that are whole.
///
/// # Errors
/// The file cannot be read, or is damaged before its end.
pub(super) fn index_of_whole(path: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    match read_entries(path, &mut entries) {
        Err(Error::Archive { why, .. }) if why == ENDS_TOO_EARLY => {}
        read => read?,
    }
    // Without its request, the last one may have been asked for by another method.
    if entries.last().is_some_and(|last| !last.has_request) {
        entries.pop();
    }
    Ok(sorted(entries))
}

fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|one, other| {
        (&one.key, &one.timestamp, one.offset).cmp(&(&other.key, &other.timestamp, other.offset))
    });
    entries
}

fn read_entries(path: &Path, entries: &mut Vec<Entry>) -> Result<()> {
    let mut reader = Reader::open(path)?;
    let mut before_it = None;
    // Requests whose response has not come yet, by the two ids by which it may name them.
    let mut before: VecDeque<([String; 2], String)> = VecDeque::new();
    while let Some(record) = reader.next_record()? {
        let is_first_of_member = before_it.replace(record.offset()) != Some(record.offset());
        match record.kind() {
            "response" | "revisit" | "resource" if !is_first_of_member => {
                let why = "its records are compressed together, so none can be found by its place; write it again with a \
                           gzip member for each, as with `warcio recompress OLD NEW`";
                return Err(Error::Archive { path: path.to_owned(), offset: record.offset(), why: why.to_owned() });
            }
            "request" => {
                let head = http_head::read(&mut reader).unwrap_or_default();
                let ids = ["WARC-Concurrent-To", "WARC-Record-ID"].map(|name| id_in(&record, name));
                let response = entries.iter_mut().rev().take(MAX_DISTANCE).find(|entry| ids.contains(&entry.id));
                let Some(method) = http_head::word(&head, 0) else { continue };
                let method = Some(method).filter(|method| method != "GET");
                match (response, method) {
                    (Some(response), method) => {
                        response.has_request = true;
                        response.method = method.or_else(|| response.method.take());
                    }
                    (None, Some(method)) => before.push_back((ids, method)),
                    (None, None) => {}
                }
                if before.len() > MAX_DISTANCE {
                    before.pop_front();
                }
            }
            "response" | "revisit" | "resource" => {
                let mut entry = entry(&record, &mut reader);
                let ids = [entry.id.clone(), id_in(&record, "WARC-Concurrent-To")];
                let asked = before.iter().find(|(asked, _)| asked.iter().any(|id| !id.is_empty() && ids.contains(id)));
                entry.method = asked.map(|(_, method)| method.clone());
                reader.finish_record()?;
                entry.length = reader.whole_until().saturating_sub(entry.offset);
                entries.push(entry);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes the index of a file and writes it beside it: `crawl.cdxj` for `crawl.warc.gz`. Returns its path.
///
/// # Errors
/// The file cannot be read or is damaged, or the index cannot be written.
pub fn write_index(path: impl AsRef<Path>) -> Result<PathBuf> {
    let path = path.as_ref();
    write_index_as(path, path.file_name().unwrap_or_default())
}

/// As [`write_index`], for a file that will have another name.
pub(super) fn write_index_as(path: &Path, name: &OsStr) -> Result<PathBuf> {
    let entries = index_of(path)?;
    let index = beside(&path.with_file_name(name));
    let aside = index.with_extension("cdxj.new");
    let write = || {
        let mut file = BufWriter::new(File::create(&aside)?);
        for entry in &entries {
            file.write_all(entry.line(&name.to_string_lossy()).as_bytes())?;
        }
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        replace(&aside, &index)
    };
    write().map_err(|error| {
        // If removing fails too, the file remains but is never read.
        drop(fs::remove_file(&aside));
        Error::file(&index, error)
    })?;
    Ok(index)
}

/// Returns the path of the index of a file.
pub(super) fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = [".gz", ".warc"].iter().fold(&*name, |name, ending| name.strip_suffix(ending).unwrap_or(name));
    path.with_file_name(format!("{stem}.cdxj"))
}

/// Reads the index beside a file, if there is one that was made after the file.
pub(super) fn read_beside(path: &Path) -> Option<Vec<Entry>> {
    let index = beside(path);
    let written = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    // Files are renamed after their index is written, which does not change when they were.
    if written(&index).ok()? < written(path).ok()? {
        return None;
    }
    let name = path.file_name()?.to_str()?;
    // `a.warc` and `a.warc.gz` would have the same.
    fs::read_to_string(index).ok()?.lines().map(|line| Entry::parse(line, name)).collect()
}

fn id_in(record: &Record, name: &str) -> String {
    record.field(name).unwrap_or_default().to_owned()
}

fn entry(record: &Record, reader: &mut Reader) -> Entry {
    let url = record.url().unwrap_or_default().to_owned();
    let is_http = url.starts_with("http") && record.kind() != "resource" && record.length() > 0;
    let head = if is_http { http_head::read(reader).unwrap_or_default() } else { Vec::new() };
    let content_type = match record.kind() {
        "revisit" => Some("warc/revisit".to_owned()),
        "resource" => record.field("Content-Type").map(str::to_owned),
        _ => http_head::field(&head, "content-type"),
    };
    let media_type = |text: String| {
        let end = text.find(|char: char| char == ';' || char.is_whitespace()).unwrap_or(text.len());
        text.get(..end).unwrap_or_default().to_owned()
    };
    let date = record.field("WARC-Date").unwrap_or_default();
    Entry {
        key: url_key(&url),
        timestamp: in_14_digits(date),
        mime: content_type.map(media_type),
        status: http_head::word(&head, 1),
        digest: record.field("WARC-Payload-Digest").map(str::to_owned),
        length: 0,
        offset: record.offset(),
        method: None,
        id: id_in(record, "WARC-Record-ID"),
        has_request: false,
        url,
    }
}

/// Returns a time to the second, however its writer has spelt it: with signs between the digits, or with parts of a
/// second.
fn in_14_digits(time: &str) -> String {
    time.chars().filter(char::is_ascii_digit).take(14).collect()
}

impl Entry {
    /// Tells whether it is of a URL, however its writer spelt that.
    pub fn is_of(&self, url: &str) -> bool {
        self.url == url || canonical(&self.url) == canonical(url)
    }

    /// Returns the line of CDXJ with its line end. `file_name` is that of the file.
    pub fn line(&self, file_name: &str) -> String {
        let (length, offset) = (self.length.to_string(), self.offset.to_string());
        let fields = [
            ("url", Some(&self.url)),
            ("mime", self.mime.as_ref()),
            ("status", self.status.as_ref()),
            ("digest", self.digest.as_ref()),
            ("length", Some(&length)),
            ("offset", Some(&offset)),
            ("filename", Some(&file_name.to_owned())),
            ("method", self.method.as_ref()),
        ];
        let written = fields
            .into_iter()
            .filter_map(|(name, value)| Some(format!("\"{name}\": {}", serde_json::Value::String(value?.clone()))));
        format!("{} {} {{{}}}\n", self.key, self.timestamp, written.collect::<Vec<_>>().join(", "))
    }

    /// Reads a line about a file of this name.
    fn parse(line: &str, file_name: &str) -> Option<Self> {
        let (key, rest) = line.split_once(' ')?;
        let (timestamp, json) = rest.split_once(' ')?;
        let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).ok()?;
        let text = |name: &str| fields.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        let number = |name: &str| match fields.get(name)? {
            serde_json::Value::String(digits) => digits.parse().ok(),
            value => value.as_u64(),
        };
        if fields.get("filename").and_then(|value| value.as_str()) != Some(file_name) {
            return None;
        }
        Some(Self {
            key: key.to_owned(),
            timestamp: in_14_digits(timestamp),
            url: text("url")?,
            mime: text("mime"),
            status: text("status"),
            digest: text("digest"),
            length: number("length")?,
            offset: number("offset")?,
            method: text("method"),
            id: String::new(),
            has_request: false,
        })
    }
}
