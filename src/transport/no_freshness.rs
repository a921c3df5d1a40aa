//! Freshness, in a build without the feature `cache`: no response is ever fresh.

use std::time::SystemTime;

use http::{HeaderName, HeaderValue};

use super::stored_response::StoredResponse;
use crate::error::{Error, Result};

/// How a stored response may be used.
pub enum Freshness {
    /// It may be used without asking the server.
    #[allow(dead_code, reason = "without a cache nothing is ever fresh")]
    Fresh,
    /// The server must be asked.
    Stale(Vec<(HeaderName, HeaderValue)>),
}

/// Refuses.
///
/// # Errors
/// Always; the message says how to get a cache.
pub fn check() -> Result<()> {
    Err(Error::setting("cache", "this build has none; build actix-crawler with the feature `cache`"))
}

/// Stores nothing.
pub fn is_storable(_: &StoredResponse) -> bool {
    false
}

/// Always asks the server.
pub fn judge(_: &StoredResponse, _: &[(String, String)], _: SystemTime) -> Freshness {
    Freshness::Stale(Vec::new())
}
