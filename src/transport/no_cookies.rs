//! Cookies, in a build without the feature `cookies`.

use http::{HeaderMap, HeaderValue};
use url::Url;

use crate::error::{Error, Result};

/// Has no values.
pub enum Cookies {}

impl Cookies {
    /// Fails.
    ///
    /// # Errors
    /// Always; the message names the feature.
    pub fn new() -> Result<Self> {
        Err(Error::setting("cookies", "this build keeps none; build with the feature cookies"))
    }

    /// Does nothing.
    pub fn take_in(&self, _: &Url, _: Option<u64>, _: &HeaderMap) -> bool {
        match *self {}
    }

    /// Returns nothing.
    pub fn header(&self, _: &Url, _: Option<u64>) -> Option<HeaderValue> {
        match *self {}
    }
}
