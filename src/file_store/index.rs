//! Index: what is known of the file of a URL: one small file each, replaced as a whole. So it takes no memory, several
//! crawls may share a folder, and an entry that was lost costs one request.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Wanted, part};
use crate::text::hexadecimal::hexadecimal;

/// What is known of a file that was downloaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it came from.
    pub url: Url,
    /// The name that it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its path in the folder.
    pub path: String,
    /// The SHA-256 of its bytes, with `sha256:` before it.
    pub checksum: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The ETag that the server gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The date that the server gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// When it was downloaded, or found to be the same, in milliseconds since 1970.
    pub fetched_ms: u64,
}

/// Reads an entry; `None` if there is none, or none that can be read.
pub(super) fn read(dir: &Path, wanted: &Wanted) -> Option<Entry> {
    let entry: Entry = serde_json::from_slice(&fs::read(path(dir, wanted)).ok()?).ok()?;
    (entry.url == wanted.url && entry.name == wanted.name).then_some(entry)
}

/// Writes an entry.
pub(super) fn write(dir: &Path, wanted: &Wanted, entry: &Entry) -> io::Result<()> {
    let path = path(dir, wanted);
    fs::create_dir_all(path.parent().unwrap_or(dir))?;
    let mut part = part::Part::create(&dir.join(part::DIR))?;
    part.write_all(&serde_json::to_vec(entry)?)?;
    part.move_to(&path)
}

fn path(dir: &Path, wanted: &Wanted) -> PathBuf {
    let key = format!("{}\n{}", wanted.url, wanted.name.as_deref().unwrap_or_default());
    let key = hexadecimal(digest(&SHA256, key.as_bytes()).as_ref());
    let (folder, rest) = key.split_at(2);
    dir.join(".index").join(folder).join(format!("{}.json", rest.get(..30).unwrap_or(rest)))
}
