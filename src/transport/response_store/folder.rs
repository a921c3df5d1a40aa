//! The folder of stored responses: the name of each file, and which files there are. Knows no contents.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use xxhash_rust::xxh3::xxh3_128;

use crate::request::Request;

/// The key of a response in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreKey(u128);

/// The length of a key's name, in hexadecimal digits.
pub(super) const KEY_LENGTH: usize = 32;

/// As many of its digits name the folder.
pub(super) const PART_LENGTH: usize = 2;

impl StoreKey {
    /// Returns the key of the response to a request. `who` holds the headers that identify us, since a server may
    /// respond differently to each identity.
    pub fn new(request: &Request, who: &[u8]) -> Self {
        Self(xxh3_128(&[request.fingerprint().to_bytes().as_slice(), who].concat()))
    }

    /// Spreads the files over 256 folders, since folders with many files are slow.
    pub(super) fn path(self, dir: &Path) -> PathBuf {
        let name = format!("{:0KEY_LENGTH$x}", self.0);
        let (part, rest) = name.split_at(PART_LENGTH);
        dir.join(part).join(rest)
    }
}

/// The file of a stored response.
pub(super) struct StoredFile {
    pub path: PathBuf,
    pub length: u64,
    pub written: SystemTime,
}

/// Lists the stored responses. The folder may be one with files of the user's own: what has no name of a response is
/// neither counted nor removed.
pub(super) fn files(dir: &Path) -> io::Result<Vec<StoredFile>> {
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
