//! SummaryFile: the file for the JSON summary, opened before anything is fetched and written at the end.

use std::path::PathBuf;

use serde::Serialize;

use super::{exit::Failure, kept_file::KeptFile};

/// A file that is open for writing.
pub struct SummaryFile {
    path: PathBuf,
    file: KeptFile,
}

impl SummaryFile {
    /// Opens the file. Its old content is kept until the new summary is written.
    ///
    /// # Errors
    /// It cannot be opened for writing.
    pub fn open(path: PathBuf) -> Result<Self, Failure> {
        Ok(Self { file: KeptFile::open("--summary", &path)?, path })
    }

    /// Replaces the content by the summary.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(self, summary: &impl Serialize) -> Result<(), Failure> {
        let Self { path, mut file } = self;
        let mut json = serde_json::to_vec_pretty(summary).map_err(Failure::not_run)?;
        json.push(b'\n');
        file.replace(&json).map_err(|error| Failure::unwritable("--summary", &path, &error))
    }
}
