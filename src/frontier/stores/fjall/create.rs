//! Create: a new store, made aside and then given its name, so that a kill at any instant leaves a whole one or none.

use std::{fs, io, path::Path};

use super::{FjallStore, Store as _};
use crate::error::{Error, Result};

/// The folder of the store in a state's directory.
pub(super) const STORE: &str = "store";

/// The folder of a store that is being made. One that is found was left by a process that was killed over it.
const UNFINISHED: &str = "store.new";

/// Makes a store where none is. The caller holds the directory's lock.
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
    // Closed first: the store goes by the names of its files.
    drop(store);
    fs::rename(&unfinished, &finished).map_err(|source| Error::file(&finished, source))
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::file(dir, source)),
        _ => Ok(()),
    }
}
