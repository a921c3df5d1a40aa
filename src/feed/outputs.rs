//! Outputs: the files that the outputs of one crawl write to, so that no two write to one. Knows no formats.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hashbrown::HashSet;

use crate::{
    disk::file_identity::{FileIdentity, followed},
    error::{Error, Result},
};

/// The files of a crawl's outputs. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outputs(Arc<Mutex<TakenFiles>>);

#[derive(Debug, Default)]
struct TakenFiles {
    files: Vec<FileIdentity>,
    /// What is no file of this machine, or several files by one name.
    names: HashSet<PathBuf>,
}

impl Outputs {
    /// Takes a file for one output.
    ///
    /// # Errors
    /// Another has it.
    pub fn take(&self, path: &Path) -> Result<()> {
        if is_other(path) {
            // Several may write to a pipe.
            return Ok(());
        }
        let (file, mut taken) = (FileIdentity::of(path), self.taken());
        if taken.files.iter().any(|other| other.is(&file)) {
            return Err(twice(path));
        }
        taken.files.push(file);
        Ok(())
    }

    /// Takes what is no file of this machine, or several files by one name.
    ///
    /// # Errors
    /// Another has it.
    pub fn take_name(&self, shown: &Path, name: PathBuf) -> Result<()> {
        if self.taken().names.insert(name) { Ok(()) } else { Err(twice(shown)) }
    }

    fn taken(&self) -> MutexGuard<'_, TakenFiles> {
        // Nothing that is done under it panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn twice(shown: &Path) -> Error {
    Error::setting(shown.display().to_string(), "another output of this crawl writes to it; name another file")
}

/// Checks that a file can be written, or made if it is not there. Changes nothing.
///
/// # Errors
/// It cannot be.
pub(crate) fn check_writable(path: &Path) -> io::Result<()> {
    if is_other(path) {
        // To open a pipe waits for its reader.
        return Ok(());
    }
    match OpenOptions::new().append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => check_folder(folder_of(&followed(path))),
        opened => opened.map(drop),
    }
}

/// Checks that files can be made in a folder.
///
/// # Errors
/// They cannot be.
pub(crate) fn check_folder(folder: &Path) -> io::Result<()> {
    let trial = folder.join(format!(".actix-crawler-{:016x}", fastrand::u64(..)));
    OpenOptions::new().write(true).create_new(true).open(&trial)?;
    fs::remove_file(trial)
}

/// Checks that a folder can be made with all above it, or is there and files can be made in it.
///
/// # Errors
/// It cannot be.
pub(crate) fn check_folder_to_be(folder: &Path) -> io::Result<()> {
    let there = folder.ancestors().find(|above| above.exists()).filter(|there| !there.as_os_str().is_empty());
    check_folder(there.unwrap_or(Path::new(".")))
}

/// Tells whether something is there that is neither a file nor a folder, as a pipe.
pub(super) fn is_other(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_one_output_by_whatever_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("below")).unwrap();
        for name in ["new.jsonl", "there.jsonl"] {
            let outputs = Outputs::default();
            outputs.take(&dir.path().join(name)).unwrap();
            for other in [name, &format!("./{name}"), &format!("below/../{name}")] {
                let refused = outputs.take(&dir.path().join(other)).unwrap_err().to_string();
                assert!(refused.contains("another output"), "{refused}");
            }
            outputs.take(&dir.path().join("below").join(name)).unwrap();
            fs::write(dir.path().join("there.jsonl"), "").unwrap();
        }
        #[cfg(unix)]
        {
            let outputs = Outputs::default();
            std::os::unix::fs::symlink(dir.path().join("there.jsonl"), dir.path().join("link")).unwrap();
            outputs.take(&dir.path().join("link")).unwrap();
            assert!(outputs.take(&dir.path().join("there.jsonl")).is_err());
            // Regression: the second was refused when it was opened, after the first was emptied.
            let at = |name: &str| dir.path().join(name);
            std::os::unix::fs::symlink("not-yet.jsonl", at("dangling")).unwrap();
            fs::hard_link(at("there.jsonl"), at("hard")).unwrap();
            for (one, other) in [("dangling", "not-yet.jsonl"), ("hard", "there.jsonl")] {
                let outputs = Outputs::default();
                outputs.take(&at(one)).unwrap();
                assert!(outputs.take(&at(other)).is_err(), "{one}");
            }
            check_writable(&at("dangling")).unwrap();
            std::os::unix::fs::symlink("no/such/folder", at("nowhere")).unwrap();
            assert!(check_writable(&at("nowhere")).is_err());
            (0..2).for_each(|_| outputs.take(Path::new("/dev/null")).unwrap());
        }
    }

    #[test]
    fn what_is_checked_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        check_writable(&file).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        fs::write(&file, "text").unwrap();
        check_writable(&file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "text");
        assert!(check_writable(&dir.path().join("no/such/folder")).is_err());
        assert!(check_writable(&file.join("below")).is_err() && check_writable(dir.path()).is_err());
        check_folder_to_be(&dir.path().join("not/there/yet")).unwrap();
        assert!(check_folder_to_be(&file.join("below")).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
