//! PostgreSQL without the feature `postgres`: refused. Knows no network.

use super::{
    Opening, Sink,
    table::{FeedTable, without_feature},
};
use crate::error::Error;

/// Refuses it.
///
/// # Errors
/// Always.
pub(super) fn check(url: &str, table: FeedTable, opening: Opening) -> Result<(), Error> {
    open(url, table, opening).map(drop)
}

/// Refuses to open it.
///
/// # Errors
/// Always.
pub(super) fn open(_: &str, table: FeedTable, _: Opening) -> Result<Box<dyn Sink>, Error> {
    Err(Error::setting(table.at(), without_feature(true).unwrap_or_default()))
}
