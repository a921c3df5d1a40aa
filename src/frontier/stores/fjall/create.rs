//! Create: makes a new store under another name and then renames it, so that a kill at any instant leaves a complete
//! store or none.

use std::{fs, io, path::Path};

use super::{FjallStore, Store as _};
use crate::{
    disk::synced_folder::sync_folder,
    error::{Error, Result},
};

/// The folder of the store in a state's directory.
pub(super) const STORE: &str = "store";

/// The folder of an unfinished store. An existing one was left by a killed process.
const UNFINISHED: &str = "store.new";

/// Creates a store if there is none. The caller holds the directory's lock.
///
/// # Errors
/// The directory cannot be written.
pub(super) fn ensure(dir: &Path) -> Result<()> {
    let (finished, unfinished) = (dir.join(STORE), dir.join(UNFINISHED));
    remove(&unfinished)?;
    if finished.exists() {
        return Ok(());
    }
    let store = FjallStore::open_database(dir, &unfinished, None)?;
    store.write_schema()?;
    store.sync()?;
    // Closed before renaming: the store refers to its files by path.
    drop(store);
    fs::rename(&unfinished, &finished).map_err(|source| Error::file(&finished, source))?;
    // Without this, a power failure may take the whole store away, although all in it was synced.
    sync_folder(dir).map_err(|source| Error::file(dir, source))
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::file(dir, source)),
        _ => Ok(()),
    }
}
