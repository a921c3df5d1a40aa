//! SyncedFolder: puts the names in a folder on the disk, as a sync of a file does with its content. Knows no files.

use std::{io, path::Path};

/// Puts the name of a file or of a folder on the disk.
///
/// # Errors
/// The folder that it is in cannot be synced.
pub(crate) fn sync_name(path: &Path) -> io::Result<()> {
    sync_folder(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Puts the names in a folder on the disk.
///
/// # Errors
/// It cannot be synced.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    match std::fs::File::open(folder)?.sync_all() {
        // Some file systems have no such thing.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// Elsewhere a folder cannot be opened as a file; the file system looks after its entries itself.
///
/// # Errors
/// There are none.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
