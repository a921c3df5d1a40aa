//! Feed: where items go and how they are written, as a description. Knows no actors and no pages.
//!
//! A [`Feed`] is plain data: a name says where records go and how. Each destination is a [`Sink`], which may be your
//! own; what it must keep is tested by [`laws`]. A feed is a pipeline: [`Crawler::pipeline`](crate::Crawler::pipeline)
//! takes it.

#[cfg(feature = "object-store")]
mod bucket;
#[cfg(not(feature = "object-store"))]
#[path = "no_bucket.rs"]
mod bucket;
mod check;
#[cfg(any(feature = "csv", feature = "sqlite", feature = "postgres"))]
pub(crate) mod columns;
pub(crate) mod files;
mod format;
pub mod laws;
#[cfg(any(feature = "parquet", feature = "object-store"))]
mod lock;
mod named;
mod names;
#[cfg(not(feature = "parquet"))]
#[path = "no_parquet.rs"]
mod parquet;
#[cfg(feature = "parquet")]
mod parquet;
mod open;
mod outputs;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(not(feature = "postgres"))]
#[path = "no_postgres.rs"]
mod postgres;
mod record;
mod roll;
mod sink;
mod sink_error;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(not(feature = "sqlite"))]
#[path = "no_sqlite.rs"]
mod sqlite;
mod table;
mod target;
mod temporary;
#[cfg(test)]
mod tests;
mod uploads;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use self::names::{FileNames, Placeholder};
pub(crate) use self::{
    files::streams::FeedStreams,
    outputs::{Outputs, check_folder_to_be, check_writable},
    temporary::Temporary,
    uploads::Spooled,
};
pub use self::{
    format::{Compression, Format},
    record::{Flat, LIST_SEPARATOR, Name, Record, Value},
    roll::Roll,
    sink::{Batch, Opening, Sink},
    sink_error::SinkError,
};
use crate::text::durations;

/// Where items go, and how they are written.
///
/// A crawl that goes on from its state goes on with its feeds: what is in a file stays, what a kill has torn is cut
/// off, and a CSV file whose header does not fit is refused before anything is fetched. An item is acknowledged when it
/// is written to the file, so a kill of the process loses none; if the crawl has a state, it is on the disk by then, as
/// the state is.
///
/// ```
/// # use actix_crawler::{feed::Feed, prelude::*};
/// # #[derive(serde::Serialize)]
/// # struct Product { name: String, ean: String, price: f64 }
/// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<Product>>>) {
/// let crawler = crawler
///     .state("shop.state")
///     .pipeline(Feed::to("products.jsonl.zst"))
///     .pipeline(Feed::to("prices.csv").fields(["ean", "price"]));
/// # }
/// ```
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Feed {
    /// A path, `-` for stdout, or a URL.
    to: PathBuf,
    /// The format, if the name does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    /// The compression, if the name does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    compression: Option<Compression>,
    /// The fields that are written, in this order; all without it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<String>,
    /// The variants of an enum that are written, by their names; all without it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    types: Vec<String>,
    /// What fields must be for an item to be written, as text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    only: BTreeMap<String, String>,
    /// The table of a database; `items` without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<String>,
    /// The fields by which a row of a database is found again, so that an item replaces the one before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    key: Vec<String>,
    /// When it goes on in a new file.
    roll: Roll,
    /// How many items are committed together at the most, and how long the first waits for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<Batch>,
    /// The folder in which objects are gathered until they are uploaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    spool: Option<PathBuf>,
    /// How long the upload of an object is tried.
    #[serde(with = "durations::optional", skip_serializing_if = "Option::is_none")]
    upload_within: Option<Duration>,
    /// Whether records are added to what an earlier crawl has written.
    append: bool,
    /// Whether CSV texts that a spreadsheet would evaluate as formulas are escaped.
    escape_formulas: bool,
    /// The columns, where a field without one is refused.
    #[serde(skip)]
    columns: Option<Vec<String>>,
    /// Whose what is there may be.
    #[serde(skip)]
    earlier: Earlier,
    /// The file in the folder of a crawl's state that tells which files it has written.
    #[serde(skip)]
    notes: Option<PathBuf>,
    /// What has gone to outputs that cannot be read again.
    #[serde(skip)]
    streams: FeedStreams,
    /// Whether `to` is a path as it stands, with nothing in it that is read.
    #[serde(skip)]
    is_path: bool,
}

/// Whose the records are that a feed goes on after.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Earlier {
    /// Those of an earlier run of the crawl, or of this one.
    #[default]
    Own,
    /// A crawl that did not write them adds to them: perhaps those of another program.
    Anyones,
}

impl Feed {
    /// Writes to a path, to stdout if it is `-`, or to a URL. The ending says the format and the compression: see
    /// [`Format`] and [`Compression`].
    ///
    /// With `{domain}` in the name, items go to a file for the registrable domain of their page; `{batch}` is the
    /// number of a file that [`Feed::roll`] has begun, from 00001 on, `{time}` when it was begun, as
    /// `2026-11-29T08-30-00.000` in UTC, and `{spider}` the name in the User-Agent. `{{` and `}}` are braces. Folders
    /// that are so named are made. At most 64 files of a feed are open at once; others are opened again when more comes
    /// for them.
    ///
    /// A crawl that goes on begins new files where the name has `{batch}` or `{time}`. A new one without a state is
    /// refused where its files by number or domain would be mixed with those of an earlier one.
    pub fn to(to: impl Into<PathBuf>) -> Self {
        Self { to: to.into(), ..Self::default() }
    }

    /// Sets the format, where the name does not say it.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// Sets the compression, where the name does not say it.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// Writes these fields alone, in this order. A name with dots is that of a field within a field: `price.amount`. In
    /// formats with columns these are the columns. The report warns of a field that no item has.
    #[doc(alias = "feed_export_fields")]
    #[must_use]
    pub fn fields<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.fields = names.into_iter().map(Into::into).collect();
        self
    }

    /// Writes those variants of an enum alone, by their names.
    #[must_use]
    pub fn types<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.types = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the table of a database; `items` without it. In PostgreSQL `shop.items` is the table `items` of the schema
    /// `shop`.
    ///
    /// ```
    /// use actix_crawler::feed::Feed;
    ///
    /// let feed = Feed::to("shop.sqlite").table("products").key(["ean"]);
    /// assert!(Feed::to("shop.csv").table("products").check().is_err(), "a file of text has no tables");
    /// ```
    #[must_use]
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = Some(name.into());
        self
    }

    /// Sets the key fields of a table: an item with the same key as a row updates this feed's columns in that row, and
    /// no others. Its columns are its [`Feed::fields`]; without them, in a table that was there, those that an item of
    /// this run has had. An item that lacks one of the key fields, or has null in it, is refused.
    #[must_use]
    pub fn key<T: Into<String>>(mut self, fields: impl IntoIterator<Item = T>) -> Self {
        self.key = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Goes on in a new file after so many items, so many bytes, or so much time.
    #[doc(alias = "feed_export_batch_item_count")]
    #[must_use]
    pub fn roll(mut self, roll: Roll) -> Self {
        self.roll = roll;
        self
    }

    /// Sets the most items of one commit, and how long the first of them waits for others. By default a commit takes
    /// what came during the last one; in compressed files up to 1,000 items or a quarter of a second, since small
    /// members hardly compress.
    #[must_use]
    pub fn batch(mut self, batch: Batch) -> Self {
        self.batch = Some(batch);
        self
    }

    /// Appends to the output of an earlier crawl. Without it, a new crawl begins with an empty output.
    #[must_use]
    pub fn append(mut self) -> Self {
        self.append = true;
        self
    }

    /// Adds a `'` before CSV texts that a spreadsheet would evaluate as a formula: those that begin with `=`, `+`, `-`,
    /// `@`, a tab or a line end. Numbers are unchanged. A column whose name begins with `'` and then so gets one more,
    /// so that no two columns have the same name. For files that people open in a spreadsheet: see [CSV
    /// injection](https://owasp.org/www-community/attacks/CSV_Injection) at OWASP.
    #[must_use]
    pub fn escape_formulas(mut self) -> Self {
        self.escape_formulas = true;
        self
    }

    /// Writes to this path, whatever it looks like.
    pub(crate) fn to_path(path: impl Into<PathBuf>, format: Format) -> Self {
        Self { is_path: true, format: Some(format), ..Self::to(path) }
    }

    /// Sets columns, without one of which a field is refused.
    #[cfg(feature = "csv")]
    #[must_use]
    pub(crate) fn columns(mut self, names: Vec<String>) -> Self {
        self.columns = Some(names);
        self
    }

    /// Notes the files that it writes in this file, of the crawl's state.
    #[must_use]
    pub(crate) fn noted_in(mut self, file: Option<PathBuf>) -> Self {
        self.notes = file;
        self
    }

    /// Notes there what goes to outputs that cannot be read again.
    #[must_use]
    pub(crate) fn streaming_to(mut self, streams: FeedStreams) -> Self {
        self.streams = streams;
        self
    }

    /// Returns the fields that it names: those that are written alone, or its columns.
    pub(crate) fn named_fields(&self) -> &[String] {
        if self.fields.is_empty() { self.columns.as_deref().unwrap_or_default() } else { &self.fields }
    }

    /// Returns where it goes, for people.
    pub(crate) fn shown(&self) -> String {
        target::shown(&self.to)
    }

    /// Tells whether the fields that are written are chosen.
    pub fn has_fields(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Returns where it goes.
    pub fn destination(&self) -> &Path {
        &self.to
    }

    /// Returns the format.
    ///
    /// # Errors
    /// The name has an unknown ending, and no format was set.
    pub fn written_as(&self) -> crate::Result<Format> {
        match self.format {
            Some(format) => Ok(format),
            None if !self.is_path && target::is_postgres(&self.to) => Ok(Format::Postgres),
            None => Format::of(Compression::of(&self.to.to_string_lossy()).0),
        }
    }

    /// Returns the compression, if there is one.
    pub fn compressed_by(&self) -> Option<Compression> {
        let of_name = || match self.written_as() {
            Ok(Format::Postgres) => None,
            _ => Compression::of(&self.to.to_string_lossy()).1,
        };
        self.compression.or_else(of_name)
    }

    /// Returns the names of its files, if there may be several.
    fn names(&self) -> crate::Result<Option<FileNames>> {
        let is_file = !self.is_path && !target::is_postgres(&self.to);
        let name = self.to.to_str().filter(|name| is_file && name.contains(['{', '}']));
        name.map(FileNames::of).transpose()
    }

    /// Tells whether a record is written, by its variant and its fields.
    pub(crate) fn takes(&self, record: &Record) -> bool {
        let is_of_type = || match (record.variant(), record.value()) {
            (Some(variant), _) => self.types.iter().any(|name| name == variant),
            (None, Value::Text(variant)) => self.types.contains(variant),
            _ => false,
        };
        (self.types.is_empty() || is_of_type())
            && self.only.iter().all(|(path, text)| record.get(path).is_some_and(|value| value.to_cell() == *text))
    }

    /// Tells whether a file is whole only after it is closed, as with Parquet; then each is closed only once.
    pub(super) fn is_whole_at_end(&self) -> bool {
        self.is_uploaded() || matches!(self.written_as(), Ok(Format::Parquet))
    }

    /// Tells whether a file is not whole yet, as one that a kill has left.
    pub(super) fn is_unfinished(&self, path: &Path) -> bool {
        matches!(self.written_as(), Ok(Format::Parquet)) && parquet::is_unfinished(path)
    }

    /// Returns how many files it has open at the most.
    pub(crate) fn max_open_files(&self) -> usize {
        match self.names() {
            Ok(Some(names)) if names.has(Placeholder::Domain) => named::MAX_OPEN_FILES,
            _ => 1,
        }
    }

    /// Returns how many records are committed together.
    pub(crate) fn batched(&self) -> Batch {
        if let Some(batch) = self.batch {
            return Batch::of(batch.items, batch.wait);
        }
        match self.compressed_by() {
            // A member of a few records is hardly smaller than they are.
            Some(_) => Batch::of(1_000, Duration::from_millis(250)),
            None => Batch::default(),
        }
    }
}

/// Shows no password of a database.
impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, format, compression, fields, types, only, table, key, roll, batch, append, .. } = self;
        f.debug_struct("Feed")
            .field("to", &target::shown(to))
            .field("format", format)
            .field("compression", compression)
            .field("fields", fields)
            .field("types", types)
            .field("only", only)
            .field("table", table)
            .field("key", key)
            .field("roll", roll)
            .field("batch", batch)
            .field("append", append)
            .finish_non_exhaustive()
    }
}

impl From<&str> for Feed {
    fn from(to: &str) -> Self {
        Self::to(to)
    }
}

impl From<String> for Feed {
    fn from(to: String) -> Self {
        Self::to(to)
    }
}

impl From<&Path> for Feed {
    fn from(to: &Path) -> Self {
        Self::to(to)
    }
}

impl From<PathBuf> for Feed {
    fn from(to: PathBuf) -> Self {
        Self::to(to)
    }
}
