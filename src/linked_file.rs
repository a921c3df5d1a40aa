//! LinkedFile: a file that must keep its name while it is written, and have it on the disk. Knows nothing of what is in it.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

/// A file that is written. A flush fails once it was removed, since what is written to it then is lost.
pub struct LinkedFile {
    file: File,
    /// Whether it had a name when it was opened.
    is_named: bool,
}

impl LinkedFile {
    /// Takes an open file.
    pub fn of(file: File) -> Self {
        let is_named = !is_removed(&file).unwrap_or(true);
        Self { file, is_named }
    }
}

impl Write for LinkedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()?;
        if self.is_named && is_removed(&self.file)? { Err(removed()) } else { Ok(()) }
    }
}

/// Tells whether a file was removed while it is open: what is written to it is lost when it is closed. Outside Unix an open
/// file cannot be removed.
///
/// # Errors
/// The system does not say.
pub(crate) fn is_removed(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    #[cfg(unix)]
    let is_removed = metadata.is_file() && std::os::unix::fs::MetadataExt::nlink(&metadata) == 0;
    #[cfg(not(unix))]
    let is_removed = metadata.is_dir();
    Ok(is_removed)
}

/// The error of writing to a removed file.
pub(crate) fn removed() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "it was removed while it was written")
}

/// Puts the name of a new file on the disk, as is done for its content.
///
/// # Errors
/// The disk does not take it.
pub(crate) fn sync_name(path: &Path) -> io::Result<()> {
    sync_folder(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Puts the names of a folder's files on the disk. Outside Unix a folder cannot be opened as a file; the file system looks after
/// its names itself.
///
/// # Errors
/// The disk does not take them.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        // Some file systems have no such thing.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}
