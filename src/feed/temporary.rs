//! Temporary: a folder for files that nobody needs once what writes them has ended. Knows no feeds.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use crate::error::{Error, Result};

/// A folder that is decided once, and made when it is needed. Clones are the same folder, so a writer that is started
/// again finds what the one before has left there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Temporary {
    base: Arc<Base>,
    below: PathBuf,
}

/// The folder that the system's one for temporary files has.
#[derive(Debug, Default)]
struct Base(OnceLock<PathBuf>);

impl Temporary {
    /// Returns the folder of one of several writers.
    pub fn below(&self, number: usize) -> Self {
        Self { base: self.base.clone(), below: self.below.join(number.to_string()) }
    }

    /// Returns its path; it may not be there yet.
    pub fn path(&self) -> PathBuf {
        self.base.path().join(&self.below)
    }

    /// Makes it, so that nobody else can read it.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(&self) -> Result<()> {
        let base = self.base.path();
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let made = match builder.create(base) {
            // Its name is random: a writer before this one has made it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        };
        made.and_then(|()| fs::create_dir_all(self.path())).map_err(|source| Error::file(base, source))
    }

    /// Removes it, unless there are files in it.
    pub fn remove_if_empty(&self) {
        remove_if_empty(&self.path());
        let above = self.below.ancestors().skip(1);
        // Of several writers, the last one to end removes what is above them.
        let is_removed = |folder: &Path| fs::remove_dir(self.base.path().join(folder)).is_ok();
        above.take_while(|folder| is_removed(folder)).for_each(drop);
    }
}

impl Base {
    fn path(&self) -> &Path {
        self.0.get_or_init(|| std::env::temp_dir().join(format!("actix-crawler-{:032x}", fastrand::u128(..))))
    }
}

/// What was never closed leaves no empty folder.
impl Drop for Base {
    fn drop(&mut self) {
        if let Some(path) = self.0.get() {
            remove_if_empty(path);
        }
    }
}

fn remove_if_empty(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_if_empty(&entry.path());
        }
    }
    // Refused if something is in it, which is what is wanted.
    let _ = fs::remove_dir(folder);
}
