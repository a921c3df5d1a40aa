//! Collection, in a build without the feature `warc`: WARC files are not read.

use std::{convert::Infallible, path::Path, time::SystemTime};

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::error::{Error, Result};

/// There is none.
#[derive(Clone)]
pub(crate) struct Collection(Infallible);

/// There is none.
pub(crate) struct OpenedResponse(Infallible);

/// A response as it is archived.
pub(crate) struct Archived {
    /// The head and the body.
    pub block: Bytes,
    /// When it was received.
    pub date: SystemTime,
    /// The word for why it is not whole, if it is not.
    pub truncated: Option<String>,
}

impl Collection {
    /// Finds none in a folder.
    ///
    /// # Errors
    /// A WARC file is named; the message names the feature.
    pub fn open(path: &Path, _: &Handle) -> Result<Option<Self>> {
        if path.is_file() {
            let why = "this build reads no WARC files; build actix-crawler with the feature `warc`";
            return Err(Error::setting("replay", why));
        }
        Ok(None)
    }

    /// Cannot be called.
    pub fn path(&self) -> &Path {
        match self.0 {}
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    #[allow(clippy::unused_async, reason = "as with the feature")]
    pub async fn find(&self, _: &str) -> Result<Option<OpenedResponse>, String> {
        match self.0 {}
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    #[allow(clippy::unused_async, reason = "as with the feature")]
    pub async fn read(&self, _: OpenedResponse) -> Result<Archived, String> {
        match self.0 {}
    }
}

impl OpenedResponse {
    /// Cannot be called.
    pub fn length(&self) -> u64 {
        match self.0 {}
    }
}
