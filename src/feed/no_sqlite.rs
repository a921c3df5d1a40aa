//! SQLite without the feature `sqlite`: refused. Knows no file system.

use std::path::Path;

use super::{Opening, Sink, table::Table};
use crate::error::Error;

/// Why there is none.
pub(super) const MISSING: Option<&str> = Some("it needs the feature `sqlite`");

/// Refuses it.
///
/// # Errors
/// Always.
pub(super) fn check(path: &Path, table: &Table, opening: Opening) -> Result<(), Error> {
    open(path, table.clone(), opening, false).map(drop)
}

/// Refuses to open it.
///
/// # Errors
/// Always.
pub(super) fn open(_: &Path, table: Table, _: Opening, _: bool) -> Result<Box<dyn Sink>, Error> {
    Err(Error::setting(table.at(), MISSING.unwrap_or_default()))
}
