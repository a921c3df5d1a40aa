//! Sitemap error: why the reading of a sitemap ended before its end.

use thiserror::Error;

/// Why no more can be read of a sitemap. What was read before it stands.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SitemapError {
    /// The file is of another kind: a web page, often the site's "not found" page, or other XML.
    #[error("this is no sitemap: its first element is <{root}>")]
    NotASitemap {
        /// The name of the first element.
        root: String,
    },
    /// The file ends within an element: it was cut off in transfer, or is unfinished.
    #[error("the sitemap ends within an element")]
    Truncated,
    /// The file is longer than [`SitemapLimits::max_bytes`](super::SitemapLimits::max_bytes) allows, uncompressed.
    #[error("the sitemap is longer than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// One text, tag or comment is longer than 1 MiB.
    #[error("one text or tag of the sitemap is longer than {max_bytes} bytes")]
    TokenTooLong {
        /// The limit.
        max_bytes: usize,
    },
    /// Elements are nested deeper than 256.
    #[error("the sitemap nests more than {max_depth} elements")]
    TooDeep {
        /// The limit.
        max_depth: usize,
    },
    /// The file declares entities of its own. No sitemap needs them, and they can make a small file a huge one.
    #[error("the sitemap declares entities")]
    Entities,
    /// The markup is broken in a way that leaves no sense to what follows.
    #[error("the sitemap is broken XML: {0}")]
    Xml(String),
    /// The bytes cannot be read, or are no gzip where they begin as gzip does.
    #[error("the sitemap cannot be read: {0}")]
    Read(String),
}
