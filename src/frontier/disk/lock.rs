//! Lock: one process has a directory at a time. Knows nothing of what is in it.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    path::Path,
};

use crate::error::{Error, Result};

/// Holds the directory for this process. The system lets go of it when the process ends, however it does.
pub(super) fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open.map_err(|source| Error::file(&path, source))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut owner = String::new();
            let owner = file.read_to_string(&mut owner).map(|_| owner).unwrap_or_default();
            let why = format!("process {} crawls with it; wait for its end, or name another directory", owner.trim());
            return Err(Error::store(dir, why));
        }
        Err(std::fs::TryLockError::Error(source)) => return Err(Error::file(&path, source)),
    }
    let write = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    write.map_err(|source| Error::file(&path, source))?;
    Ok(file)
}
