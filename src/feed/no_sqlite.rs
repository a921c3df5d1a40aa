//! SQLite without the feature `sqlite`: refused. Knows no file system.

use std::path::Path;

use super::{
    Opening, Sink,
    table::{FeedTable, without_feature},
};
use crate::error::Error;

/// Refuses it.
///
/// # Errors
/// Always.
pub(super) fn check(path: &Path, table: &FeedTable, opening: Opening) -> Result<(), Error> {
    open(path, table.clone(), opening, false).map(drop)
}

/// Refuses to open it.
///
/// # Errors
/// Always.
pub(super) fn open(_: &Path, table: FeedTable, _: Opening, _: bool) -> Result<Box<dyn Sink>, Error> {
    Err(Error::setting(table.at(), without_feature(false).unwrap_or_default()))
}
