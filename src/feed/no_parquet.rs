//! Parquet without the feature `parquet`: refused. Knows no file system.

use std::path::Path;

use super::{Opening, Sink};
use crate::error::Error;

/// Refuses.
///
/// # Errors
/// Always.
pub(super) fn open(path: &Path, _: &[String], _: Opening, _: bool) -> Result<Box<dyn Sink>, Error> {
    Err(Error::setting(path.display().to_string(), "it needs the feature `parquet`"))
}

/// Refuses.
///
/// # Errors
/// Always.
pub(super) fn check(path: &Path, opening: Opening) -> Result<(), Error> {
    open(path, &[], opening, false).map(drop)
}

/// Tells whether a file is not whole yet: none is.
pub(super) fn is_unfinished(_: &Path) -> bool {
    false
}
