//! WarcFile: one file of an archive while it is written, `….warc.gz.open`. It ends after a whole record at every
//! moment; closed, it has its index beside it and its name without `.open`. Does not know what the records contain.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{index::write_index_as, reader::Reader};
use crate::{
    disk::{
        file_lock::is_held,
        linked_file::{is_removed, removed},
    },
    error::{Error, Result},
};

/// What the name of a file ends with while it is written.
pub(super) const OPEN: &str = ".open";

/// An open file of an archive. No other process repairs it while it is held.
pub(super) struct WarcFile {
    file: File,
    /// The path while it is open.
    path: PathBuf,
    /// The name once it is closed.
    name: String,
    length: u64,
    /// Whether the file ends with a part of a record that could not be removed.
    torn: bool,
}

impl WarcFile {
    /// Creates the next file of a folder by a template.
    pub fn create(dir: &Path, template: &str, serial: &mut u32, now: SystemTime) -> Result<Self> {
        let digits = humantime::format_rfc3339_millis(now).to_string();
        let time: String = digits.chars().filter(char::is_ascii_digit).collect();
        loop {
            let name = template.replace("{time}", &time).replace("{serial}", &format!("{serial:05}"));
            let path = dir.join(format!("{name}{OPEN}"));
            *serial = serial.wrapping_add(1);
            if dir.join(&name).exists() {
                continue;
            }
            // Windows locks no file that is open for appending alone.
            match OpenOptions::new().read(true).append(true).create_new(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::file(&path, error)),
                Ok(file) => {
                    // Only who repairs it holds it as well, for a moment, and removes an empty one.
                    if !is_held(&file.try_lock()) && path.exists() {
                        return Ok(Self { file, path, name, length: 0, torn: false });
                    }
                }
            }
        }
    }

    /// Returns the name that it will have.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its length.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Appends whole records. Where that fails, what was written of them is removed.
    pub fn append(&mut self, records: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.length)?;
            self.torn = false;
        }
        if is_removed(&self.file)? {
            return Err(removed());
        }
        match self.file.write_all(records) {
            Ok(()) => {
                self.length += records.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.torn = self.file.set_len(self.length).is_err();
                Err(error)
            }
        }
    }

    /// Closes it: writes its index, and gives it its name. An empty one is removed.
    pub fn close(self) -> Result<()> {
        if self.torn {
            self.file.set_len(self.length).map_err(|error| Error::file(&self.path, error))?;
        }
        if self.length == 0 {
            return fs::remove_file(&self.path).map_err(|error| Error::file(&self.path, error));
        }
        self.file.sync_all().map_err(|error| Error::file(&self.path, error))?;
        finish(&self.path, &self.name)
    }
}

/// The index comes first: a file with its name has one.
fn finish(path: &Path, name: &str) -> Result<()> {
    write_index_as(path, name.as_ref())?;
    fs::rename(path, path.with_file_name(name)).map_err(|error| Error::file(path, error))
}

/// Closes the files that crawls before this one left open in a folder: cuts off what is no whole record. Those of
/// crawls that still run are left alone.
pub(super) fn repair_all(dir: &Path) -> Result<()> {
    let listed = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    for file in listed.map_err(|error| Error::file(dir, error))? {
        let path = file.path();
        let name = file.file_name().to_string_lossy().into_owned();
        if let Some(name) = name.strip_suffix(OPEN).filter(|name| name.ends_with(".warc.gz")) {
            repair(&path, name)?;
        }
    }
    Ok(())
}

fn repair(path: &Path, name: &str) -> Result<()> {
    let wrong = |error| Error::file(path, error);
    let mut file = match OpenOptions::new().read(true).append(true).open(path) {
        // Another process has repaired it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(wrong)?,
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(()),
        // Without locks nobody knows whether a crawl still writes it. It can be read as it is.
        Err(TryLockError::Error(error)) => {
            tracing::warn!(path = %path.display(), %error, "an archive stays open: its file system has no locks");
            return Ok(());
        }
    }
    let (whole, records, damage) = measure(path)?;
    let length = file.metadata().map_err(wrong)?.len();
    if length > whole {
        // A crash leaves a record that ends too early. Anything else may be of use to somebody.
        if let Some(why) = damage {
            let aside = path.with_extension("damaged");
            let mut keep = || -> io::Result<u64> {
                file.seek(SeekFrom::Start(whole))?;
                io::copy(&mut file, &mut File::create(&aside)?)
            };
            keep().map_err(|error| Error::file(&aside, error))?;
            tracing::warn!(path = %path.display(), why, kept_in = %aside.display(), "an archive is damaged from {whole} on");
        }
        file.set_len(whole).map_err(wrong)?;
    }
    file.sync_all().map_err(wrong)?;
    // Its first record is about the file itself.
    if records < 2 { fs::remove_file(path).map_err(wrong) } else { finish(path, name) }
}

/// Returns where the last whole record ends, how many there are, and what is wrong after them unless it is that the
/// file ends.
fn measure(path: &Path) -> Result<(u64, u64, Option<String>)> {
    let mut reader = Reader::open(path)?;
    let mut records = 0;
    loop {
        let whole = reader.next_record().map(|next| next.is_some());
        match whole {
            Ok(true) => match reader.finish_record() {
                Ok(()) => records += 1,
                Err(error) => return Ok((reader.whole_until(), records, damage_of(error)?)),
            },
            Ok(false) => return Ok((reader.whole_until(), records, None)),
            Err(error) => return Ok((reader.whole_until(), records, damage_of(error)?)),
        }
    }
}

fn damage_of(error: Error) -> Result<Option<String>> {
    match error {
        Error::Archive { why, .. } if why == super::reader::ENDS_TOO_EARLY => Ok(None),
        Error::Archive { why, .. } => Ok(Some(why)),
        // The system cannot read it now, which says nothing of what it contains.
        other => Err(other),
    }
}
