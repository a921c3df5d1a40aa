//! The frontier on disk, in a build without it.

use std::{path::Path, time::Instant};

use super::{Frontier, durable::Resumed};
use crate::{
    error::{Error, Result},
    recrawl::Recrawl,
};

/// The setting that a state cannot be resumed without.
pub const FIXED: &str = "domain_key";

/// Refuses.
///
/// # Errors
/// Always: says how to get it.
pub fn open(_: &Path, _: &[(&str, String)], _: Recrawl, _: Instant) -> Result<(Box<dyn Frontier>, Resumed)> {
    Err(Error::setting("state", "this build keeps none; build actix-crawler with the feature `disk`"))
}
