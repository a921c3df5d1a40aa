//! Storage: saves the sessions soon after their cookies have changed. Knows no cookies.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::runtime::Handle;

use super::SharedSessions;
use crate::{
    clock,
    error::{Error, Result},
    sessions::saved::Saved,
};

/// The file of the sessions, and what of them it does not have yet.
pub struct Storage {
    path: PathBuf,
    threads: Handle,
    is_changed: AtomicBool,
    is_planned: AtomicBool,
    /// Whether its time is virtual, and `threads` the runtime that has it.
    is_virtual: bool,
    /// Held while the file is written, so that an older version never replaces a newer one.
    writing: Mutex<()>,
}

/// How long after a change the file is written: each page may change a cookie.
const DELAY: Duration = Duration::from_secs(1);

impl Storage {
    /// Creates the storage in a file, which is written on `threads`.
    pub fn new(path: PathBuf, threads: Handle) -> Self {
        Self {
            path,
            threads,
            is_changed: AtomicBool::new(false),
            is_planned: AtomicBool::new(false),
            is_virtual: clock::is_virtual(),
            writing: Mutex::default(),
        }
    }

    /// Plans to write the file, unless that is planned.
    pub fn save_soon(&self, sessions: &Arc<SharedSessions>) {
        self.is_changed.store(true, Ordering::Release);
        if self.is_planned.swap(true, Ordering::AcqRel) {
            return;
        }
        let sessions = Arc::downgrade(sessions);
        if self.is_virtual {
            // Its runtime has the time; a thread that sleeps would hold that up.
            drop(self.threads.spawn(async move {
                tokio::time::sleep(DELAY).await;
                save(&sessions);
            }));
        } else {
            drop(self.threads.spawn_blocking(move || {
                thread::sleep(DELAY);
                save(&sessions);
            }));
        }
    }

    /// Writes the file if it lacks anything.
    ///
    /// # Errors
    /// It cannot be written. It is tried again when the cookies change, and at the end.
    pub fn save_changes(&self, saved: impl FnOnce() -> Saved) -> Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Cleared before the cookies are read: what changes from here on is written next time.
        self.is_planned.store(false, Ordering::Release);
        if !self.is_changed.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        saved().write(&self.path).map_err(|source| {
            self.is_changed.store(true, Ordering::Release);
            Error::file(&self.path, source)
        })
    }
}

fn save(sessions: &Weak<SharedSessions>) {
    let Some(sessions) = sessions.upgrade() else { return };
    if let Err(error) = sessions.save_changes() {
        tracing::warn!(%error, "the cookies of sessions could not be saved");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regression: only a further change had it written, so a run could end well whose cookies were on no disk.
    #[tokio::test]
    async fn what_could_not_be_saved_is_saved_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("later/sessions.json");
        let storage = Storage::new(path.clone(), Handle::current());
        storage.is_changed.store(true, Ordering::Release);
        for _ in 0..2 {
            let error = storage.save_changes(Saved::default).unwrap_err();
            assert!(error.to_string().contains("sessions.json"), "{error}");
        }
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        storage.save_changes(Saved::default).unwrap();
        assert!(path.exists());
        std::fs::remove_file(&path).unwrap();
        storage.save_changes(Saved::default).unwrap();
        assert!(!path.exists(), "nothing has changed since");
    }
}
