//! KeptFile: an output whose earlier content stays until the first byte of the new one comes. Does not know what is
//! written.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use actix_crawler::internals::LinkedFile;

use super::exit::Failure;

/// A file that is open for writing, and may still have what was in it.
pub struct KeptFile {
    to: LinkedFile,
    is_begun: bool,
}

impl KeptFile {
    /// Opens a file before anything is requested, to know that it is writable.
    ///
    /// # Errors
    /// It is not; the message names the option.
    pub fn open(option: &str, path: &Path) -> Result<Self, Failure> {
        let file = File::options().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| Failure::unwritable(option, path, &error))?;
        Ok(Self { to: LinkedFile::of(file), is_begun: false })
    }

    /// Removes what was in it, unless that was done.
    fn begin(&mut self) -> io::Result<()> {
        if !self.is_begun {
            self.to.clear()?;
            self.is_begun = true;
        }
        Ok(())
    }

    /// Replaces what was in it, also by nothing.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn replace(&mut self, content: &[u8]) -> io::Result<()> {
        self.begin()?;
        self.write_all(content)?;
        self.flush()
    }
}

impl Write for KeptFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begin()?;
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
