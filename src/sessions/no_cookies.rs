//! Cookies, in a build without the feature `cookies`.
#![allow(clippy::unused_self, reason = "as in the build that keeps some")]

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use url::Url;

use super::SessionCookie;
use crate::error::{Error, Result};

/// Keeps none.
pub struct Cookies;

/// Counts none.
#[derive(Default)]
pub struct AllCookies;

/// Fails.
///
/// # Errors
/// Always; the message names the feature.
pub fn check_support() -> Result<()> {
    Err(Error::setting("cookies", "this build keeps none; build with the feature cookies"))
}

impl Cookies {
    /// Creates nothing.
    pub fn new(_: &Arc<AllCookies>) -> Arc<Self> {
        Arc::new(Self)
    }

    /// Does nothing.
    pub fn take_in(&self, _: &Url, _: Option<u64>, _: &HeaderMap) -> bool {
        false
    }

    /// Does nothing.
    pub fn restore(&self, _: &SessionCookie) {}

    /// Does nothing.
    pub fn add(&self, _: &SessionCookie) -> bool {
        false
    }

    /// Returns nothing.
    pub fn header(&self, _: &Url, _: Option<u64>) -> Option<HeaderValue> {
        None
    }

    /// Returns nothing.
    pub fn list(&self, _: Option<u64>) -> Vec<SessionCookie> {
        Vec::new()
    }

    /// Returns 0.
    pub fn count(&self) -> usize {
        0
    }

    /// Returns 0.
    pub fn forgotten(&self) -> u64 {
        0
    }
}
