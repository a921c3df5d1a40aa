//! Uploads: what a feed's description says of a bucket. Makes no requests.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Feed, target::Target};
use crate::error::Error;

/// How long an upload is tried: longer than the pauses of busy stores, and shorter than a pipeline's time-out.
const UPLOAD_WITHIN: Duration = Duration::from_secs(120);

impl Feed {
    /// Sets the folder in which objects are gathered until they are uploaded: a file for each. By default it is in the folder
    /// of the crawl's state, or a new one for temporary files.
    #[must_use]
    pub fn spool(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spool = Some(folder.into());
        self
    }

    /// Sets how long an object store that is busy or silent is asked again, for each request of an upload; by default two
    /// minutes. Then the crawl fails, also if that was all that was left to do, and what is not uploaded stays in the spool: the
    /// next run with the crawl's state uploads it. A pipeline's time-out is the bound for an upload in all.
    #[must_use]
    pub fn upload_within(mut self, time: Duration) -> Self {
        self.upload_within = Some(time);
        self
    }

    /// Returns the folder of what is to be uploaded.
    ///
    /// # Errors
    /// A temporary one cannot be made.
    pub(super) fn spool_folder(&self) -> crate::Result<PathBuf> {
        self.spool.clone().map_or_else(temporary_folder, Ok)
    }

    /// Gathers what is uploaded in the folder of a crawl's state, if it has one and no other folder is set.
    pub(crate) fn gathered_in(&self, state: Option<&Path>) -> Self {
        let folder = state.filter(|_| self.spool.is_none() && self.is_uploaded());
        Self { spool: folder.map(|folder| folder.join("spool")).or_else(|| self.spool.clone()), ..self.clone() }
    }

    /// Tells whether it goes to a bucket.
    pub(super) fn is_uploaded(&self) -> bool {
        !self.is_path && matches!(Target::of(&self.to), Ok(Target::Bucket(_)))
    }

    /// Returns how long an upload is tried.
    pub(super) fn upload_time(&self) -> Duration {
        self.upload_within.unwrap_or(UPLOAD_WITHIN)
    }
}

/// Makes a folder for this feed alone, which nobody else can read.
fn temporary_folder() -> crate::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("actix-crawler-{:032x}", fastrand::u128(..)));
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder).map_err(|source| Error::file(&folder, source))?;
    Ok(folder)
}
