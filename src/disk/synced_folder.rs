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
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    OpenFolder::open(folder)?.sync()
}

/// Makes a folder and those above it, each with its name on the disk.
///
/// # Errors
/// One of them cannot be made, or cannot be synced.
pub(crate) fn make_synced(folder: &Path) -> io::Result<()> {
    if folder.is_dir() || folder.as_os_str().is_empty() {
        return Ok(());
    }
    folder.parent().map_or(Ok(()), make_synced)?;
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made?,
    }
    sync_name(folder)
}

/// A folder whose names are to be synced: opened before they are changed, since a process that may open no more files
/// would otherwise change a name and then be unable to sync it.
pub(crate) struct OpenFolder {
    #[cfg(unix)]
    folder: std::fs::File,
}

#[cfg(unix)]
impl OpenFolder {
    /// Opens a folder.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self { folder: std::fs::File::open(folder)? })
    }

    /// Puts the names in it on the disk.
    ///
    /// # Errors
    /// They cannot be synced.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match self.folder.sync_all() {
            // Some file systems have no such thing.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
            synced => synced,
        }
    }
}

/// Elsewhere a folder cannot be opened as a file; the file system looks after its entries itself.
#[cfg(not(unix))]
impl OpenFolder {
    /// Opens nothing.
    ///
    /// # Errors
    /// There are none.
    pub(crate) fn open(_: &Path) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Does nothing.
    ///
    /// # Errors
    /// There are none.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
