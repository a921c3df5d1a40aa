//! Freshness, in a build without the feature `cache`: nothing is kept to save requests.

use std::time::SystemTime;

use http::{HeaderName, HeaderValue};

use super::response_store::StoredResponse;
use crate::error::{Error, Result};

/// What a kept answer is good for.
pub enum Freshness {
    /// It answers the request.
    Fresh,
    /// The server is asked whether it still holds.
    Stale(Vec<(HeaderName, HeaderValue)>),
}

/// Refuses.
///
/// # Errors
/// Always: says how to get it.
pub fn check() -> Result<()> {
    Err(Error::setting("cache", "this build has none; build actix-crawler with the feature `cache`"))
}

/// Keeps nothing.
pub fn is_storable(_: &StoredResponse) -> bool {
    false
}

/// Asks the server.
pub fn judge(_: &StoredResponse, _: &[(String, String)], _: SystemTime) -> Freshness {
    Freshness::Stale(Vec::new())
}
