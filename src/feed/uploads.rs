//! Uploads: what a feed's description says of a bucket. Makes no requests.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Feed, Record, Sink, SinkError, Temporary, names::Placeholder, target::FeedTarget};
use crate::error::Error;

/// How long an upload is tried: longer than the pauses of busy stores, and shorter than a pipeline's time-out.
const UPLOAD_WITHIN: Duration = Duration::from_secs(120);

impl Feed {
    /// Sets the folder in which objects are gathered until they are uploaded: a file for each. By default it is in the
    /// folder of the crawl's state, or a new one for temporary files, which is removed at the end. A crawl whose state
    /// is in no folder, as one in a cluster, needs it, on a disk that the next run on the machine finds, and `{time}`
    /// in the name.
    #[must_use]
    pub fn spool(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spool = Some(folder.into());
        self
    }

    /// Sets how long an object store that is busy or silent is asked again, for each request of an upload; by default
    /// two minutes. Then the crawl fails, also if that was all that was left to do, and what is not uploaded stays in
    /// the spool: the next run with the crawl's state uploads it. A pipeline's time-out is the bound for an upload in
    /// all.
    #[must_use]
    pub fn upload_within(mut self, time: Duration) -> Self {
        self.upload_within = Some(time);
        self
    }

    /// Returns the feed as a crawl has it: what is uploaded is gathered in the folder of the crawl's state, or in a
    /// temporary one that the crawl has for this feed. A folder that was set stays. Tells also whether it is the
    /// temporary one.
    ///
    /// # Errors
    /// The crawl goes on after a kill and its state is in no folder: what is gathered would not be found, or overwrite
    /// what another machine has written.
    pub(crate) fn gathered(
        &self,
        state: Option<&Path>,
        goes_on: bool,
        temporary: &Path,
    ) -> crate::Result<(Self, bool)> {
        if !self.is_uploaded() {
            return Ok((self.clone(), false));
        }
        if state.is_none() && goes_on {
            let refuse = |why: &str| Err(Error::setting(self.to.display().to_string(), why));
            // What is fetched is never fetched again, so what is not uploaded yet must survive a kill.
            if self.spool.is_none() {
                return refuse(
                    "this crawl's state is in no folder; set `spool`, a folder that the next run here finds",
                );
            }
            // Another machine may have gone on meanwhile: it does not see this one's spool, and begins objects of its
            // own.
            if !self.names()?.is_some_and(|names| names.has(Placeholder::Time)) {
                return refuse(
                    "this crawl may go on at another machine, which would overwrite its object; write {time} in the name",
                );
            }
        }
        let (spool, is_temporary) = match (&self.spool, state) {
            (Some(spool), _) => (spool.clone(), false),
            (None, Some(folder)) => (folder.join("spool"), false),
            (None, None) => (temporary.to_owned(), true),
        };
        Ok((Self { spool: Some(spool), ..self.clone() }, is_temporary))
    }

    /// Tells whether it goes to a bucket.
    pub(super) fn is_uploaded(&self) -> bool {
        !self.is_path && matches!(FeedTarget::of(&self.to), Ok(FeedTarget::Bucket(_)))
    }

    /// Returns how long an upload is tried.
    pub(super) fn upload_time(&self) -> Duration {
        self.upload_within.unwrap_or(UPLOAD_WITHIN)
    }
}

/// A sink that gathers in a temporary folder, which is removed when all is uploaded.
pub(crate) struct Spooled {
    pub sink: Box<dyn Sink>,
    pub temporary: Temporary,
}

impl Sink for Spooled {
    fn write(&mut self, record: &Record) -> Result<(), SinkError> {
        self.sink.write(record)
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        self.sink.commit()
    }

    fn stored(&mut self) -> Vec<bool> {
        self.sink.stored()
    }

    fn close(&mut self) -> Result<(), SinkError> {
        let closed = self.sink.close();
        self.temporary.remove_if_empty();
        closed
    }

    fn bytes(&self) -> u64 {
        self.sink.bytes()
    }
}
