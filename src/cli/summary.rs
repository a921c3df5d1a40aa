//! SummaryFile: the file for the JSON summary, opened before anything is fetched and written at the end.

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
    /// Opens the file. Its old content is kept until the new summary is written.
    ///
    /// # Errors
    /// It cannot be opened for writing.
    pub fn open(path: PathBuf) -> Result<Self, Failure> {
        let opened = OpenOptions::new().create(true).write(true).truncate(false).open(&path);
        let file = opened.map_err(|error| Failure::unwritable("--summary", &path, &error))?;
        Ok(Self { path, file })
    }

    /// Replaces the content by the summary.
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
