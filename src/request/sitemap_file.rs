//! SitemapFile: how a sitemap file was found. A part of its request, which decides what bounds apply to it.

use serde::{Deserialize, Serialize};

/// How a sitemap file was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SitemapFile {
    /// By whom.
    pub by: FoundBy,
    /// The number of indexes on the way to it.
    pub nesting: u8,
}

/// By whom a sitemap file was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// The user named it.
    User,
    /// A robots file names it. It may be of another host: so a site vouches for a file elsewhere (sitemaps.org,
    /// "Sitemaps & Cross Submits").
    Robots,
    /// An index of the same host lists it.
    Index,
    /// An index of another host lists it. It must be within the scope.
    ForeignIndex,
    /// Nobody named it: it is one of the usual places of sitemaps, the one of this number.
    Guess(u8),
}

impl SitemapFile {
    /// Tells whether the file must be within the scope of the crawl.
    pub fn is_within_scope(self) -> bool {
        self.by == FoundBy::ForeignIndex
    }

    /// Tells whether it may well not exist.
    pub fn is_guess(self) -> bool {
        matches!(self.by, FoundBy::Guess(_))
    }
}
