//! Saved: the file that sessions are saved in. Knows no crawl.
//!
//! It contains what lets anyone act in the sessions, so on Unix only its owner may read it (mode 0600).

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::SessionCookie;

/// The sessions in a file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// The version of the form; a later version of this program may write another.
    pub version: u32,
    /// The sessions by name.
    pub sessions: BTreeMap<String, SavedSession>,
}

/// One session in a file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedSession {
    /// What tells the cookies that it was given at the start, so that others that are given later are noticed.
    #[serde(default)]
    pub given: u64,
    /// Its cookies.
    pub cookies: Vec<SessionCookie>,
}

/// The version that is written.
pub const VERSION: u32 = 1;

/// The largest file that is read: 50,000 cookies of the maximum length would take four times as much, and have none.
const MAX_BYTES: u64 = 64 << 20;

impl Saved {
    /// Parses what [`Saved::write`] wrote.
    ///
    /// # Errors
    /// It is another file, or one of a later version.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The error would quote what it does not expect, which may be a secret.
        let place = |error: serde_json::Error| {
            let (line, column) = (error.line(), error.column());
            format!("line {line}, column {column}: it is no file of sessions as this program saves them")
        };
        let saved: Self = serde_json::from_str(text).map_err(place)?;
        if saved.version > VERSION {
            return Err(format!("it has version {}, and this program reads {VERSION}", saved.version));
        }
        Ok(saved)
    }

    /// Writes the file: readers see the old one or the new one, never a part.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let aside = path.with_extension(format!("{:x}", fastrand::u64(..)));
        let write = || {
            let mut file = create_for_owner(&aside)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            file.sync_all()
        };
        write().and_then(|()| fs::rename(&aside, path)).inspect_err(|_| {
            // If removing fails too, the file remains but is never read.
            drop(fs::remove_file(&aside));
        })
    }
}

/// Reads a file of cookies of either kind as text.
///
/// # Errors
/// It cannot be read, is too large, or is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if read as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is larger than 64 MiB, and no file of cookies"));
    }
    Ok(text)
}

/// Creates a file that only its owner may read.
fn create_for_owner(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> Saved {
        let cookies = vec![SessionCookie::new("sid", "s3cret", "e.org")];
        let sessions = [("alice".to_owned(), SavedSession { given: u64::MAX, cookies })].into();
        Saved { version: VERSION, sessions }
    }

    #[test]
    fn what_is_saved_is_read_back_and_only_its_owner_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sessions.json");
        // A file that others could read is replaced, not written into.
        fs::write(&path, "{}").unwrap();
        saved().write(&path).unwrap();
        assert_eq!(Saved::parse(&read_text(&path).unwrap()).unwrap(), saved());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        assert!(saved().write(&dir.path().join("no/such/folder")).is_err());
    }

    #[test]
    fn what_is_no_such_file_is_told_without_its_secrets() {
        for text in ["", "[]", r#"{"version": 2, "sessions": {}}"#, r#"{"version": 1, "sessions": {"a": "s3cret"}}"#] {
            let why = Saved::parse(text).unwrap_err();
            assert!(why.contains("it ") && !why.contains("s3cret"), "{why}");
        }
    }
}
