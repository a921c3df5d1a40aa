//! The frontier on disk, in a build without fjall.

use std::path::Path;

use crate::{
    error::{Error, Result},
    frontier::durable::{Opened, Opening},
};

/// Fails.
///
/// # Errors
/// Always; the message names the feature.
pub fn open(_: &Path, _: Opening) -> Result<Opened> {
    Err(Error::setting("state", "this build keeps none; build actix-crawler with the feature `disk`"))
}
