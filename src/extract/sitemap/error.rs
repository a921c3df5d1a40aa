//! Sitemap error: why a sitemap could not be read to its end.

use thiserror::Error;

/// Why a sitemap cannot be read any further. Entries read before are valid.
///
/// ```
/// use actix_crawler::extract::sitemap::{SitemapError, SitemapReader};
///
/// let mut page = SitemapReader::new(&b"<html><body>Not found</body></html>"[..], &"https://e.org/sitemap.xml".parse().unwrap());
/// assert_eq!(page.next(), Some(Err(SitemapError::NotASitemap { root: "html".into() })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SitemapError {
    /// The file is not a sitemap: it is a web page, often the site's "not found" page, or other XML.
    #[error("this is no sitemap: its first element is <{root}>")]
    NotASitemap {
        /// The name of the first element.
        root: String,
    },
    /// The file ends within an element: it was truncated, or is unfinished.
    #[error("the sitemap ends within an element")]
    Truncated,
    /// The uncompressed file exceeds [`SitemapLimits::max_bytes`](super::SitemapLimits::max_bytes).
    #[error("the sitemap is longer than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// The file declares entities. No sitemap needs them, and they can expand a small file enormously.
    #[error("the sitemap declares entities")]
    Entities,
    /// The markup is so broken that the rest cannot be interpreted.
    #[error("the sitemap is broken XML: {0}")]
    Xml(String),
    /// The bytes cannot be read, or begin like gzip but are not valid.
    #[error("the sitemap cannot be read: {0}")]
    Read(String),
}
