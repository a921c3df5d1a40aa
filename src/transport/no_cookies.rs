//! Cookies, in a build that has none.

use http::{HeaderMap, HeaderValue};
use url::Url;

use crate::error::{Error, Result};

/// There are none.
pub enum Cookies {}

impl Cookies {
    /// Cannot create any.
    ///
    /// # Errors
    /// Always.
    pub fn new() -> Result<Self> {
        Err(Error::setting("cookies", "this build keeps none; build with the feature cookies"))
    }

    /// Takes nothing in.
    pub fn take_in(&self, _: &Url, _: Option<u64>, _: &HeaderMap) -> bool {
        match *self {}
    }

    /// Returns nothing.
    pub fn header(&self, _: &Url, _: Option<u64>) -> Option<HeaderValue> {
        match *self {}
    }
}
