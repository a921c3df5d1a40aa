//! FileEnds: where the records of files end that a pipeline has looked at or closed, so that it reads none a second
//! time to find out. Opens nothing.

use std::{
    fs::File,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_128;

/// The files of one pipeline, by hashes of their names: about 80 bytes each. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileEnds(Arc<Mutex<HashMap<u128, KnownEnd>>>);

/// Where the records of a file end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordsEnd {
    /// Behind the last whole one, before the closing.
    pub at: u64,
    /// Whether the last one has no end of its own.
    pub lacks_end: bool,
}

#[derive(Debug)]
struct KnownEnd {
    end: RecordsEnd,
    version: FileVersion,
}

/// What is another after a change.
#[derive(Debug, PartialEq, Eq)]
struct FileVersion {
    length: u64,
    modified: SystemTime,
}

impl FileVersion {
    /// Returns that of a file; `None` where the system does not say when it was modified.
    fn of(file: &File) -> Option<Self> {
        let metadata = file.metadata().ok()?;
        Some(Self { length: metadata.len(), modified: metadata.modified().ok()? })
    }
}

impl FileEnds {
    /// Notes where the records of a file end, as it is now.
    pub fn note(&self, path: &Path, file: &File, end: RecordsEnd) {
        if let Some(version) = FileVersion::of(file) {
            self.all().insert(hash(path), KnownEnd { end, version });
        }
    }

    /// Takes what is noted of a file that is about to be written; `None` if it has changed since then.
    pub fn take(&self, path: &Path, file: &File) -> Option<RecordsEnd> {
        let known = self.all().remove(&hash(path))?;
        (Some(known.version) == FileVersion::of(file)).then_some(known.end)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u128, KnownEnd>> {
        // Nothing that is done under it panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(path: &Path) -> u128 {
    xxh3_128(path.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    #[test]
    fn what_has_changed_since_it_was_noted_is_not_known() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("items.csv");
        fs::write(&path, "a\n1\n").unwrap();
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        let (ends, end) = (FileEnds::default(), RecordsEnd { at: 4, lacks_end: false });
        assert_eq!(ends.take(&path, &file), None);
        ends.note(&path, &file, end);
        assert_eq!(ends.take(Path::new("other.csv"), &file), None);
        assert_eq!((ends.take(&path, &file), ends.take(&path, &file)), (Some(end), None), "it holds once");
        ends.note(&path, &file, end);
        file.write_all(b"2\n").unwrap();
        assert_eq!(ends.take(&path, &file), None);
        ends.note(&path, &file, end);
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(ends.take(&path, &file), None);
    }
}
