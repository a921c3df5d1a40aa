//! Part: a file while it is being written. It is removed unless it gets its name, also after a kill by the next crawl.

use std::{
    fs::{self, TryLockError},
    io,
    io::{Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use ring::digest::{Context, SHA256};

use crate::{clock, text::hexadecimal::hexadecimal};

/// The folder for them, within the folder of files and so on the same file system.
pub const DIR: &str = ".part";

/// A file without a name yet.
pub struct Part {
    path: PathBuf,
    /// Locked while it is being written.
    file: fs::File,
    /// How many bytes may not be on the disk yet.
    unsynced: u64,
    is_placed: bool,
}

/// So much is written before the disk is waited for: a disk of a few MiB a second takes it well within the time that a
/// step off the network's threads has, and the last step has no more left.
const SYNC_EVERY: u64 = 32 << 20;

impl Part {
    /// Creates an empty one.
    pub fn create(dir: &Path) -> io::Result<Self> {
        let path = dir.join(format!("{:016x}", fastrand::u64(..)));
        let file = fs::File::options().write(true).create_new(true).open(&path)?;
        let part = Self { path, file, unsynced: 0, is_placed: false };
        // Some file systems have no locks; there, other crawls leave it alone for as long as it is not old.
        let _ = part.file.try_lock();
        Ok(part)
    }

    /// Waits until what was written is on the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Gives it its name, in place of what had it.
    pub fn move_to(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.is_placed = true;
        Ok(())
    }
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.unsynced >= SYNC_EVERY {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        let written = self.file.write(bytes)?;
        self.unsynced += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_placed {
            // The next crawl removes it otherwise.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes what nobody writes any more.
pub fn remove_abandoned(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let opened = fs::File::options().write(true).open(&path);
        let locked = opened.map_err(TryLockError::Error).and_then(|file| file.try_lock());
        let modified = fs::symlink_metadata(&path).and_then(|metadata| metadata.modified());
        let unchanged_for = modified.ok().and_then(|modified| clock::wall().duration_since(modified).ok());
        if is_abandoned(&locked, unchanged_for.unwrap_or_default()) {
            // Another crawl may have removed it meanwhile.
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

/// Tells whether nobody writes a file any more, by the answer to a request for its lock. Without locks nobody knows:
/// then only an old one is nobody's.
fn is_abandoned(locked: &Result<(), TryLockError>, unchanged_for: Duration) -> bool {
    match locked {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => unchanged_for > OLD,
    }
}

/// No transfer has a pause of a day.
const OLD: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the SHA-256 of a file, in hexadecimal.
pub fn hash_of(path: &Path) -> io::Result<String> {
    let (mut file, mut context) = (fs::File::open(path)?, Context::new(&SHA256));
    let mut piece = vec![0; 64 << 10];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hexadecimal(context.finish().as_ref())),
            read => context.update(piece.get(..read).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a file system without locks, a crawl that started once removed the files that another was downloading.
    #[test]
    fn what_may_still_be_written_is_left_alone() {
        let without_locks = || Err(TryLockError::Error(io::ErrorKind::Unsupported.into()));
        assert!(!is_abandoned(&without_locks(), Duration::ZERO) && !is_abandoned(&without_locks(), OLD));
        assert!(is_abandoned(&without_locks(), OLD + Duration::from_secs(1)));
        assert!(is_abandoned(&Ok(()), Duration::ZERO) && !is_abandoned(&Err(TryLockError::WouldBlock), OLD * 2));
    }

    /// A file of a gibibyte once ended the crawl on a disk that did not take all of it in the time of one step.
    #[test]
    fn a_large_file_goes_to_the_disk_while_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut part = Part::create(dir.path()).unwrap();
        let piece = vec![7; 256 << 10];
        for _ in 0..300 {
            part.write_all(&piece).unwrap();
            assert!(part.unsynced <= SYNC_EVERY + piece.len() as u64, "{} bytes wait for the last step", part.unsynced);
        }
        assert_eq!(part.file.metadata().unwrap().len(), 300 * piece.len() as u64);
    }
}
