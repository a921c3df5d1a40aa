//! FileStore: the folder of a crawl's files: whole files under safe names, and an index of what is there. Knows no
//! requests.
//!
//! ```text
//! DIR/full/<sha256>.jpg   the files
//! DIR/.part/              what is being written; renamed when it is whole and synced
//! DIR/.index/ab/….json    an entry for each URL: path, checksum, ETag, date
//! ```

pub mod pending_files;
mod index;
mod media_type;
mod name;
mod part;
mod writer;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use url::Url;

pub use self::{
    index::Entry,
    writer::{Declared, FileWriter, NotWritten},
};
use crate::{
    disk::synced_folder::{sync_folder, sync_name},
    error::{Error, Result},
    files::{File, FileStatus, Files},
};

/// The folder, shared by all arbiters.
#[derive(Clone)]
pub struct FileStore(Arc<SharedStore>);

struct SharedStore {
    settings: Files,
    dir: PathBuf,
    /// When it was opened, in milliseconds since 1970: what was fetched since is of this run.
    begun: u64,
    /// Held while a file gets its name, so that no two get the same.
    naming: Mutex<()>,
}

/// Which file is wanted. The same URL under another name is another file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Where it is.
    pub url: Url,
    /// The name that it was given.
    pub name: Option<String>,
}

/// A whole file that is about to get its name.
struct Whole<'a> {
    wanted: &'a Wanted,
    hash: &'a str,
    size: u64,
    extension: &'a str,
}

/// For so long a file is not asked for again in one run, whatever its settings say: several pages want it. A crawl may
/// go on for months.
pub const A_RUN: Duration = Duration::from_secs(24 * 3_600);

/// A larger file is known again by its size: to read it may take longer than a step has.
const MAX_COMPARED: u64 = 64 << 20;

/// The parts of a checksum that make a taken name another one.
const HASH_IN_NAME: usize = 12;

impl FileStore {
    /// Opens the folder, if there is to be one, and removes what killed processes left half written.
    ///
    /// # Errors
    /// It cannot be made or written to.
    pub fn open(settings: &Files, now: SystemTime) -> Result<Option<Self>> {
        let Some(dir) = settings.dir.clone() else { return Ok(None) };
        let parts = dir.join(part::DIR);
        fs::create_dir_all(&parts).map_err(|source| Error::file(&dir, source))?;
        part::remove_abandoned(&parts).map_err(|source| Error::file(&parts, source))?;
        let shared = SharedStore { settings: settings.clone(), dir, begun: milliseconds(now), naming: Mutex::new(()) };
        Ok(Some(Self(shared.into())))
    }

    /// Returns the settings.
    pub fn settings(&self) -> &Files {
        &self.0.settings
    }

    /// Returns what the index has of a file that is still there, and whether it need not be asked for again.
    pub fn look_up(&self, wanted: &Wanted, now: SystemTime) -> Option<(Entry, bool)> {
        let entry = self.entry(wanted)?;
        let is_there =
            fs::metadata(self.0.dir.join(&entry.path)).is_ok_and(|at| at.is_file() && at.len() == entry.size);
        let is_of_this_run = entry.fetched_ms >= self.0.begun;
        let expires = self.0.settings.expires;
        let limit = if is_of_this_run { expires.max(A_RUN) } else { expires };
        let age = milliseconds(now).checked_sub(entry.fetched_ms).map(Duration::from_millis);
        // One from the future was made by a clock that was wrong.
        let is_fresh = age.map_or(is_of_this_run, |age| age < limit);
        // The settings may have been others.
        let settings = &self.0.settings;
        let is_wanted =
            settings.wants(entry.media_type.as_deref().unwrap_or_default()) && entry.size <= settings.max_size;
        (is_there && is_wanted).then_some((entry, is_fresh))
    }

    /// Records that a file that is there is still the same as on the server.
    ///
    /// # Errors
    /// The entry cannot be written.
    pub fn renew(&self, wanted: &Wanted, entry: &Entry, now: SystemTime) -> io::Result<()> {
        index::write(&self.0.dir, wanted, &Entry { fetched_ms: milliseconds(now), ..entry.clone() })
    }

    /// Gives a whole file its name. Returns its path in the folder.
    fn place(&self, part: part::Part, whole: &Whole<'_>) -> io::Result<String> {
        let Whole { wanted, hash, size, extension } = *whole;
        part.sync()?;
        let path = name::of(&self.0.settings.name, wanted, hash, extension);
        // Nothing that is done under it panics.
        let _naming = self.0.naming.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = self.entry(wanted).filter(|entry| entry.path == path);
        let target = self.0.dir.join(&path);
        let may_have_name = match fs::symlink_metadata(&target) {
            Ok(at) if at.is_file() => {
                // A path that does not say the content is of one URL: a newer version replaces its file, and no
                // other's.
                let may_be_same = at.len() == size && (entry.is_some() || path.contains(hash));
                if may_be_same && part::hash_of(&target)? == hash {
                    return Ok(path);
                }
                // If it was away for a while, another may have taken its place.
                match entry {
                    Some(entry) if entry.size != at.len() => false,
                    Some(_) if at.len() > MAX_COMPARED => true,
                    Some(entry) => checksum(&part::hash_of(&target)?) == entry.checksum,
                    None => false,
                }
            }
            Ok(_) => false,
            Err(error) => error.kind() != io::ErrorKind::InvalidFilename,
        };
        if !may_have_name {
            return self.move_apart(part, &path, hash);
        }
        match self.make_folder(&path) {
            Ok(()) => self.move_to(part, path),
            // A file has the name that this one has for a folder.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists) => {
                self.move_apart(part, &path, hash)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives a file another name than the one that is taken. A page may give its files any names and knows what is in
    /// them, so the other ones may be those of folders; but the last it cannot know, and it is short enough for every
    /// file system.
    fn move_apart(&self, part: part::Part, path: &str, hash: &str) -> io::Result<String> {
        let mark = hash.get(..HASH_IN_NAME).unwrap_or(hash);
        let apart = name::apart(path, mark);
        let is_usable = |path: &String| {
            let there = fs::symlink_metadata(self.0.dir.join(path));
            let is_free = there.map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |at| at.is_file());
            is_free && self.make_folder(path).is_ok()
        };
        let flat = name::without_folders(&apart);
        let usable = [apart, flat].into_iter().find(is_usable);
        self.move_to(part, usable.unwrap_or_else(|| name::unforeseeable(path, mark)))
    }

    /// Returns the folder.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Makes the folder of a path, if it is not there.
    fn make_folder(&self, path: &str) -> io::Result<()> {
        let target = self.0.dir.join(path);
        let Some(folder) = target.parent().filter(|folder| !folder.is_dir()) else { return Ok(()) };
        fs::create_dir_all(folder)?;
        // Each may be new in the one above it.
        let above = folder.ancestors().skip(1).take_while(|above| above.starts_with(&self.0.dir));
        above.into_iter().try_for_each(sync_folder)
    }

    fn move_to(&self, part: part::Part, path: String) -> io::Result<String> {
        let target = self.0.dir.join(&path);
        part.move_to(&target)?;
        // So that a file that an item names is there after the machine has lost its power.
        sync_name(&target)?;
        Ok(path)
    }

    fn entry(&self, wanted: &Wanted) -> Option<Entry> {
        index::read(&self.0.dir, wanted)
    }
}

impl Entry {
    /// Returns the file of the entry.
    pub fn file(&self, status: FileStatus) -> File {
        let mut file = File::at(self.url.clone());
        file.status = status;
        file.path = Some(self.path.clone());
        file.checksum = Some(self.checksum.clone());
        file.size = Some(self.size);
        file.media_type.clone_from(&self.media_type);
        file
    }
}

impl Wanted {
    /// Returns which file an item wants.
    pub fn of(file: &File) -> Self {
        Self { url: file.url.clone(), name: file.name.clone() }
    }

    /// Returns the file, which could not be had.
    pub fn failed(&self, why: String) -> File {
        let mut file = File::at(self.url.clone());
        (file.status, file.error) = (FileStatus::Failed, Some(why));
        file
    }
}

/// Returns the checksum of a hash, as items and entries have it.
fn checksum(hash: &str) -> String {
    format!("sha256:{hash}")
}

fn milliseconds(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
