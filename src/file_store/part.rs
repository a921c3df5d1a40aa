//! Part: a file while it is being written. It is removed unless it gets its name, also after a kill by the next crawl.

use std::{
    fs, io,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use ring::digest::{Context, SHA256};

use crate::{disk::file_lock::is_held, text::hexadecimal::hexadecimal};

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

/// So much is written before the disk is waited for: a disk of a few MiB a second takes it well within the time that a step off
/// the network's threads has, and the last step has no more left.
const SYNC_EVERY: u64 = 32 << 20;

impl Part {
    /// Creates an empty one.
    pub fn create(dir: &Path) -> io::Result<Self> {
        let path = dir.join(format!("{:016x}", fastrand::u64(..)));
        let file = fs::File::options().write(true).create_new(true).open(&path)?;
        let part = Self { path, file, unsynced: 0, is_placed: false };
        // Some file systems have no locks; there, another crawl may only start while this one writes nothing.
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
        let is_written = fs::File::options().write(true).open(&path).is_ok_and(|file| is_held(&file.try_lock()));
        if !is_written {
            // Another crawl may have removed it meanwhile.
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

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
