//! NamedFeed: a feed whose name has placeholders, with what its files are opened for. Does not know which files are
//! open.

use std::{io, path::Path, sync::Arc};

use crate::{
    error::Error,
    feed::{
        Feed, Opening, Sink,
        bucket::Bucket,
        names::{Existing, FileNames, Placeholder},
    },
};

/// A feed of several files.
pub(in crate::feed) struct NamedFeed {
    /// Its description.
    pub feed: Feed,
    /// The names of its files.
    pub names: FileNames,
    /// The name of the crawl.
    pub spider: String,
    /// How its files are opened at first.
    pub opening: Opening,
    /// Whether what is committed is on the disk itself.
    pub syncs: bool,
    /// The bucket to which they are uploaded, if they are.
    pub bucket: Option<Arc<Bucket>>,
}

impl NamedFeed {
    /// Finds the files that are there, the latest modified first.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn existing(&self) -> io::Result<Vec<Existing>> {
        match &self.bucket {
            Some(bucket) => bucket.existing(&self.names, &self.spider),
            None => self.names.existing(&self.spider),
        }
    }

    /// Returns a file's name for people.
    pub fn shown(&self, path: &Path) -> String {
        match &self.bucket {
            Some(bucket) => bucket.url(path),
            None => path.display().to_string(),
        }
    }

    /// Opens one of its files.
    ///
    /// # Errors
    /// As [`Feed::open`].
    pub fn open_file(&self, path: &Path, opening: Opening) -> Result<Box<dyn Sink>, Error> {
        match &self.bucket {
            Some(bucket) => bucket.open_file(&self.feed, path, opening, self.syncs),
            None => self.feed.open_file(path, opening, self.syncs),
        }
    }

    /// Tells whether a file is not whole yet, or not uploaded.
    pub fn is_unfinished(&self, path: &Path) -> bool {
        (self.bucket.is_some() && path.exists()) || self.feed.is_unfinished(path)
    }

    /// Tells whether its files have numbers.
    pub fn numbers(&self) -> bool {
        self.names.has(Placeholder::Batch)
    }

    /// Tells whether a crawl that goes on adds to the files that are there.
    pub fn continues(&self) -> bool {
        !self.numbers() && !self.names.has(Placeholder::Time)
    }
}
