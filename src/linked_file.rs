//! LinkedFile: whether an open file still has a name. Knows nothing of what is in it.

use std::{fs::File, io};

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
