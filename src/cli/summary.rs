//! SummaryFile: the summary as JSON. The file is opened before anything is fetched, and written at the end.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
};

use serde::Serialize;

use super::exit::Failure;

/// A file that is open for writing.
pub struct SummaryFile {
    path: PathBuf,
    file: File,
}

impl SummaryFile {
    /// Opens the file. An older summary stays in it until the new one is written.
    ///
    /// # Errors
    /// It cannot be opened for writing.
    pub fn open(path: PathBuf) -> Result<Self, Failure> {
        let opened = OpenOptions::new().create(true).write(true).truncate(false).open(&path);
        let file = opened.map_err(|error| Failure::unwritable("--summary", &path, &error))?;
        Ok(Self { path, file })
    }

    /// Writes the summary in place of an older one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(self, summary: &impl Serialize) -> Result<(), Failure> {
        let Self { path, mut file } = self;
        let mut write = || -> io::Result<()> {
            let mut json = serde_json::to_vec_pretty(summary)?;
            json.push(b'\n');
            if file.metadata()?.is_file() {
                file.set_len(0)?;
            }
            file.write_all(&json)
        };
        write().map_err(|error| Failure::unwritable("--summary", &path, &error))
    }
}
