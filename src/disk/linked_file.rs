//! LinkedFile: a file that must keep its name while it is written. Knows nothing of what is in it.

use std::{
    fs::File,
    io::{self, Write},
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

    /// Removes what is in it. Pipes and devices have no content.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn clear(&self) -> io::Result<()> {
        if self.file.metadata()?.is_file() { self.file.set_len(0) } else { Ok(()) }
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

/// Tells whether a file was removed while it is open: what is written to it is lost when it is closed. Outside Unix an
/// open file cannot be removed.
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
