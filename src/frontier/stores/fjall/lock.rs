//! Lock: lets one process at a time use a directory. Does not know its content.

use std::{
    fs::{File, Metadata, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::Path,
    thread,
    time::Duration,
};

use crate::error::{Error, Result};

/// How often a held lock is tried again, and how long between. A lock may outlive its owner for a moment: a child
/// process that another thread starts has it until the child's program begins.
const LOOKS: u32 = 50;
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Locks the directory for this process. The system releases the lock when the process ends, in any way.
///
/// # Errors
/// Another process holds the lock, or the lock file is not a regular file: a link might lead to someone else's file.
pub(super) fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let mut file = open(&path)?;
    let mut looks = 1;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if looks < LOOKS => {
                looks += 1;
                thread::sleep(LOOK_EVERY);
            }
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let owner = file.read_to_string(&mut owner).map(|_| owner).unwrap_or_default();
                let why =
                    format!("process {} crawls with it; wait for its end, or name another directory", owner.trim());
                return Err(Error::store(dir, why));
            }
            Err(TryLockError::Error(source)) => return Err(Error::file(&path, source)),
        }
    }
    let write = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    write.map_err(|source| Error::file(&path, source))?;
    Ok(file)
}

/// Waits until nobody has the directory locked.
pub(super) fn wait_until_unlocked(dir: &Path) {
    // Without a lock file, or where locks are not known, there is nothing to wait for.
    let _ = File::open(dir.join("lock")).and_then(|file| file.lock_shared());
}

/// Creates or opens the lock file. Nothing is written before it is known not to be a link.
fn open(path: &Path) -> Result<File> {
    let refuse = |source| Error::file(path, source);
    let options = || {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        options
    };
    // `create_new` does not follow links, not even dangling ones.
    match options().create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        created => return created.map_err(refuse),
    }
    let not_a_file = || refuse(io::Error::other("it is a link and not the crawl's own file; remove it"));
    let named = std::fs::symlink_metadata(path).map_err(refuse)?;
    if !named.is_file() {
        return Err(not_a_file());
    }
    let file = options().open(path).map_err(refuse)?;
    // If the name became a link between the two calls, another file was opened.
    if is_same_and_only(&named, &file.metadata().map_err(refuse)?) { Ok(file) } else { Err(not_a_file()) }
}

#[cfg(unix)]
fn is_same_and_only(named: &Metadata, opened: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (named.dev(), named.ino()) == (opened.dev(), opened.ino()) && opened.nlink() == 1
}

#[cfg(not(unix))]
fn is_same_and_only(_: &Metadata, opened: &Metadata) -> bool {
    opened.is_file()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_a_link_is_refused_and_what_it_leads_to_stays_as_it_was() {
        for hard in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let (target, path) = (dir.path().join("target"), dir.path().join("lock"));
            std::fs::write(&target, "precious").unwrap();
            if hard {
                std::fs::hard_link(&target, &path).unwrap();
            } else {
                std::os::unix::fs::symlink(&target, &path).unwrap();
            }
            let refused = lock(dir.path()).unwrap_err().to_string();
            assert!(refused.contains("link"), "{refused}");
            assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
        }
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path().join("nowhere"), dir.path().join("lock")).unwrap();
        assert!(lock(dir.path()).is_err());
        assert!(!dir.path().join("nowhere").exists());
    }

    #[test]
    fn who_waits_for_a_lock_goes_on_when_it_is_free_or_where_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        wait_until_unlocked(dir.path());
        let held = lock(dir.path()).unwrap();
        let waits = {
            let dir = dir.path().to_owned();
            thread::spawn(move || wait_until_unlocked(&dir))
        };
        thread::sleep(Duration::from_millis(50));
        assert!(!waits.is_finished());
        drop(held);
        waits.join().unwrap();
    }
}
