//! Lock: lets one writer at a time use an output, of all processes of this machine. Does not know what is written.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{clock, disk::file_lock::is_held};

/// How long an earlier writer in this process may need to end: it is dropped after its successor is asked for.
const OTHER_ENDS: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A file that is locked as long as this lives. It may hold what is needed beside the lock.
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock, making its file if it is not there.
    ///
    /// # Errors
    /// Another has it, or the file cannot be written.
    pub fn take(path: &Path) -> io::Result<Self> {
        let begun = clock::now();
        loop {
            let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
            // The one before removes it at its end.
            if !is_held(&file.try_lock()) && path.exists() {
                return Ok(Self { file, path: path.to_owned() });
            }
            if clock::now().saturating_duration_since(begun) >= OTHER_ENDS {
                return Err(io::Error::other("another feed still writes to it"));
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Returns its file.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Ends the lock, and removes its file.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}
