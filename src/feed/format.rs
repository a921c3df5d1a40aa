//! Format: how records are written, and how a feed's name says so. Knows no files.

use serde::{Deserialize, Serialize};

use crate::{error::Error, text::masked::masked};

/// How records are written. The ending of a feed's name says it, unless [`Feed::format`](super::Feed::format) does.
///
/// ```
/// use actix_crawler::feed::{Feed, Format};
///
/// let lines = Feed::to("-").format(Format::JsonLines);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Format {
    /// `.jsonl`, `.ndjson`, `.jl`: one JSON value a line. Readers may read it at any moment, line by line.
    #[serde(rename = "jsonl")]
    JsonLines,
    /// `.json`: one array of all records, which is closed at each commit.
    #[serde(rename = "json")]
    Json,
    /// `.csv`: a header, and a line of cells for each record. Fields within fields have columns of their own, as
    /// `price.amount`; the values of a list share a cell, separated by <code> | </code>. The columns are those of
    /// [`Feed::fields`](super::Feed::fields), of the existing file, or of the first item; an item with others is
    /// refused.
    #[serde(rename = "csv")]
    Csv,
    /// `.xml`: `<items>` with an `<item>` for each record, and in it an element for each field. Null has the attribute
    /// `null="true"`; text with characters that XML forbids is JSON, with the attribute `encoding="json"`.
    #[serde(rename = "xml")]
    Xml,
    /// `.sqlite`, `.db`: a table of a SQLite database, with columns as those of CSV. Needs the feature `sqlite`.
    #[serde(rename = "sqlite")]
    Sqlite,
    /// `postgres://user@host/database`: a table of a PostgreSQL database, with columns as those of CSV. Needs the
    /// feature `postgres`.
    #[serde(rename = "postgres")]
    Postgres,
    /// `.parquet`: columns of types in row groups, compressed by Zstandard, for DuckDB, pandas and others. The file is
    /// there when the feed closes or goes on in a new one. Needs the feature `parquet`.
    ///
    /// Fields within fields have columns of their own, as in CSV. The columns are those of
    /// [`Feed::fields`](super::Feed::fields), or those of all items: an item may add some. A column has one type, that
    /// of its values: `BOOLEAN`, `INT64`, `DOUBLE`, `STRING`, or `BYTE_ARRAY` of bytes, or a `LIST` of one of these.
    /// Lists of what has fields, and of several types, are `JSON`. Whole numbers become `DOUBLE` if some have a
    /// fraction and all are within 2^53. An item with a value that does not fit is refused, by the names of the column
    /// and of both types.
    #[serde(rename = "parquet")]
    Parquet,
}

/// How a file is compressed. The last ending of a feed's name says it, unless
/// [`Feed::compression`](super::Feed::compression) does. Each commit is a member of its own, so the file can be read at
/// any moment.
///
/// ```
/// use actix_crawler::feed::{Compression, Feed};
///
/// let feed = Feed::to("items.jsonl.gz");
/// assert_eq!(feed.compressed_by(), Some(Compression::Gzip));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Compression {
    /// `.gz`: gzip.
    #[serde(rename = "gz")]
    Gzip,
    /// `.zst`: Zstandard.
    #[serde(rename = "zst")]
    Zstd,
}

/// The endings of names, each with what it means.
const ENDINGS: [(&str, Format); 9] = [
    ("jsonl", Format::JsonLines),
    ("json", Format::Json),
    ("csv", Format::Csv),
    ("xml", Format::Xml),
    ("sqlite", Format::Sqlite),
    ("db", Format::Sqlite),
    ("parquet", Format::Parquet),
    ("ndjson", Format::JsonLines),
    ("jl", Format::JsonLines),
];

impl Compression {
    /// Returns the name without the ending of a compression, and that.
    pub(super) fn of(name: &str) -> (&str, Option<Self>) {
        for (ending, compression) in [(".gz", Self::Gzip), (".zst", Self::Zstd)] {
            if let Some(before) = name.len().checked_sub(ending.len())
                && let (Some(rest), Some(last)) = (name.get(..before), name.get(before..))
                && last.eq_ignore_ascii_case(ending)
            {
                return (rest, Some(compression));
            }
        }
        (name, None)
    }
}

impl Format {
    /// Finds the format of a name without the ending of a compression. A name without any ending, as `-` or a named
    /// pipe, is of JSON Lines.
    ///
    /// # Errors
    /// The ending is unknown; the message lists those that are known.
    pub(super) fn of(name: &str) -> Result<Self, Error> {
        let file = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let Some((_, ending)) = file.rsplit_once('.').filter(|(before, _)| !before.is_empty()) else {
            return Ok(Self::JsonLines);
        };
        let known = ENDINGS.iter().find(|(known, _)| known.eq_ignore_ascii_case(ending));
        known.map(|(_, format)| *format).ok_or_else(|| {
            let known: Vec<_> = ENDINGS.iter().map(|(ending, _)| format!(".{ending}")).collect();
            let why = format!(
                "no format has the ending `.{ending}`; write one of {}, with .gz or .zst after it where it is to be compressed, or name the format",
                known.join(", ")
            );
            Error::setting(masked(name), why)
        })
    }
}
