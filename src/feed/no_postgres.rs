//! PostgreSQL without the feature `postgres`: refused. Knows no network.

use super::{Opening, Sink, table::Table};
use crate::error::Error;

/// Why there is none.
pub(super) const MISSING: Option<&str> = Some("a table of PostgreSQL needs the feature `postgres`");

/// Refuses it.
///
/// # Errors
/// Always.
pub(super) fn check(url: &str, table: Table, opening: Opening) -> Result<(), Error> {
    open(url, table, opening).map(drop)
}

/// Refuses to open it.
///
/// # Errors
/// Always.
pub(super) fn open(_: &str, table: Table, _: Opening) -> Result<Box<dyn Sink>, Error> {
    Err(Error::setting(table.at(), MISSING.unwrap_or_default()))
}
