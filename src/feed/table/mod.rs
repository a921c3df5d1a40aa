//! FeedTable: the table of a database that a feed writes to: its name, its key and its columns. Knows no database.

#![cfg_attr(not(any(feature = "sqlite", feature = "postgres")), allow(dead_code, reason = "there is no database"))]

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod float;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod placing;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) mod sql;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) use self::{
    float::is_exact,
    placing::{Existing, Placing},
};
use super::{
    Feed, Format,
    target::{self, FeedTarget},
};
use crate::error::Error;

/// The table of a feed without a name for one.
const ITEMS: &str = "items";

/// Marks a table that a feed has made: a new crawl drops no other.
pub(super) const MADE_BY_FEED: &str = "of a feed of actix-crawler";

/// The table of a feed, as its description says.
#[derive(Clone, Debug)]
pub(super) struct FeedTable {
    at: String,
    /// Its name.
    pub name: String,
    /// The columns by which a row is found again; none where each item is a row of its own.
    pub key: Vec<String>,
    /// The columns, if the feed's fields are chosen.
    pub given: Option<Vec<String>>,
}

impl FeedTable {
    /// Returns what it is called in errors.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// Creates the error about it.
    pub fn wrong(&self, why: impl Into<String>) -> Error {
        Error::setting(self.at.clone(), why.into())
    }
}

impl Feed {
    /// Returns its table at a target.
    pub(super) fn table_at(&self, target: &FeedTarget) -> FeedTable {
        let name = self.table.clone().unwrap_or_else(|| ITEMS.to_owned());
        let given = (!self.fields.is_empty()).then(|| self.fields.clone());
        FeedTable { at: format!("{target}, table `{name}`"), name, key: self.key.clone(), given }
    }

    /// Checks what is set about a table.
    ///
    /// # Errors
    /// It is not for such a feed, or the feed is for no database; the message says what to write.
    pub(super) fn check_table(&self) -> Result<(), Error> {
        let wrong = |why: &str| Err(Error::setting(target::shown(&self.to), why));
        let is_url = !self.is_path && target::is_postgres(&self.to);
        let format = self.written_as()?;
        match format {
            Format::Postgres if !is_url => {
                return wrong("PostgreSQL is no file; write it like postgres://user@host/database");
            }
            Format::Sqlite if !is_url && self.to.as_os_str() == "-" => {
                return wrong("a database cannot be written to stdout; write a name such as items.sqlite");
            }
            Format::Sqlite | Format::Postgres => {}
            _ if is_url => return wrong("a table of PostgreSQL has no other format; leave `format` out"),
            _ if self.table.is_some() => {
                return wrong("it has no tables; leave `table` out, or write to a database such as items.sqlite");
            }
            _ if !self.key.is_empty() => {
                return wrong(
                    "it cannot replace what it has written; leave `key` out, drop duplicates before it \
                     (Steps::unique_by), or write to a database such as items.sqlite",
                );
            }
            _ => return Ok(()),
        }
        if self.compressed_by().is_some() {
            return wrong("a database cannot be compressed; leave .gz or .zst and `compression` out");
        }
        if is_url && self.roll.is_set() {
            return wrong("a table does not go on in new files; leave `roll` out");
        }
        if self.table.as_ref().is_some_and(|name| name.trim().is_empty() || name.contains('\0')) {
            return wrong("that is no name of a table; write it like table = \"items\"");
        }
        if let Some(strange) = self.key.iter().find(|name| !self.fields.is_empty() && !self.fields.contains(name)) {
            let fields = self.fields.join("`, `");
            return wrong(&format!(
                "the key `{strange}` is no column; add it to `fields`, or make the key of those there: `{fields}`"
            ));
        }
        without_feature(is_url).map_or(Ok(()), wrong)
    }
}

/// Says which feature a database needs, in a build that does not have it.
pub(super) const fn without_feature(is_postgres: bool) -> Option<&'static str> {
    match is_postgres {
        true if !cfg!(feature = "postgres") => Some("a table of PostgreSQL needs the feature `postgres`"),
        false if !cfg!(feature = "sqlite") => Some("it needs the feature `sqlite`"),
        _ => None,
    }
}
