//! Archive, in a build without the feature `warc`: there is none.

use std::convert::Infallible;

use tokio::runtime::Handle;

use super::{Exchange, Warc};
use crate::error::{Error, Result};

/// There is none.
#[derive(Clone)]
pub(crate) struct Archive(Infallible);

impl Archive {
    /// Refuses.
    ///
    /// # Errors
    /// Always; the message names the feature.
    pub fn open(_: &Warc, _: &Handle) -> Result<Self> {
        Err(Error::setting("archive", "this build has none; build actix-crawler with the feature `warc`"))
    }

    /// Cannot be called.
    pub fn introduce(&self, _: &str) {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn keeps_credentials(&self) -> bool {
        match self.0 {}
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    #[allow(clippy::unused_async, reason = "as with the feature")]
    pub async fn write(&self, _: Exchange) -> Result<(), String> {
        match self.0 {}
    }

    /// Cannot be called.
    #[allow(clippy::unused_async, reason = "as with the feature")]
    pub async fn close(&self) -> Vec<String> {
        match self.0 {}
    }
}
