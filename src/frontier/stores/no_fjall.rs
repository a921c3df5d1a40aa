//! The frontier on disk, in a build without it.

use std::path::Path;

use crate::{
    error::{Error, Result},
    frontier::durable::{Opened, Opening},
};

/// Refuses.
///
/// # Errors
/// Always: says how to get it.
pub fn open(_: &Path, _: Opening) -> Result<Opened> {
    Err(Error::setting("state", "this build keeps none; build actix-crawler with the feature `disk`"))
}
