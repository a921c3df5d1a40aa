//! Sitemap: reads the URLs in a sitemap, an index of sitemaps, a list of URLs or a feed as a stream. Knows no network,
//! and does not decide which sitemaps are requested.
//!
//! Supports protocol 0.9 of sitemaps.org with Google's extensions for translations, images, videos and news; of RSS and
//! Atom feeds, which the protocol allows as sitemaps, it reads links and dates. Like other readers it accepts files
//! that break the rules: elements are matched by local name in any namespace; white space and other text before the XML
//! is skipped; a bare `&` is text; the names of HTML, as `&eacute;`, are characters; relative URLs are resolved. What
//! is too long or too broken is passed over, and the rest of the file is read.

mod date;
mod draft;
mod entry;
mod error;
mod field;
mod gzip;
mod lines;
mod source;
mod token;
mod xml;

use std::io::{BufReader, Read};

use url::Url;

pub use self::{
    date::{NoDate, Precision, W3cDate},
    entry::{Alternate, ChangeFrequency, Image, News, SitemapEntry, SkippedEntries, Target, Video},
    error::SitemapError,
};
use self::{lines::Lines, source::Utf8, xml::XmlEntries};

/// Bounds on reading one sitemap.
///
/// ```
/// use actix_crawler::extract::sitemap::SitemapLimits;
///
/// let small = SitemapLimits { max_urls: 1_000, ..SitemapLimits::default() };
/// assert_eq!((small.max_urls, small.max_bytes), (1_000, 50 << 20));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SitemapLimits {
    /// The most URLs from one file; [`SkippedEntries::over_limit`] counts the others. By default 50,000, the limit of
    /// sitemaps.org.
    pub max_urls: usize,
    /// The most bytes of one file, uncompressed; beyond it, reading ends with [`SitemapError::TooLarge`]. By default 50
    /// MiB, the limit of sitemaps.org.
    pub max_bytes: u64,
}

impl Default for SitemapLimits {
    fn default() -> Self {
        Self { max_urls: 50_000, max_bytes: 50 << 20 }
    }
}

/// The kind of a sitemap file.
///
/// ```
/// use actix_crawler::extract::sitemap::{SitemapKind, SitemapReader};
///
/// let mut sitemap = SitemapReader::new(&b"https://e.org/a\n"[..], &"https://e.org/sitemap.txt".parse().unwrap());
/// assert_eq!(sitemap.by_ref().count(), 1);
/// assert_eq!(sitemap.kind(), Some(SitemapKind::Text));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SitemapKind {
    /// `<urlset>`: pages.
    UrlSet,
    /// `<sitemapindex>`: other sitemaps.
    Index,
    /// Plain text with one URL on each line.
    Text,
    /// An RSS feed, 0.9 to 2.0.
    Rss,
    /// An Atom feed (RFC 4287).
    Atom,
}

/// Reads one sitemap, entry by entry, in memory that does not grow with the file.
///
/// The bytes may be compressed with gzip. Their charset is given by a byte order mark, by
/// [`charset`](SitemapReader::charset) or by the XML declaration, in this order, and is UTF-8 otherwise.
///
/// An error is the last item of the iterator. The entries before it are valid: a truncated file yields all complete
/// entries, and then [`SitemapError::Truncated`].
///
/// ```
/// use actix_crawler::extract::sitemap::{SitemapKind, SitemapReader, Target};
///
/// let file = b"<?xml version='1.0' encoding='UTF-8'?>
///     <urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>
///         <url><loc>https://e.org/a?x=1&amp;y=2</loc><lastmod>2026-02-01</lastmod><priority>0.8</priority></url>
///         <url><loc>mailto:me@e.org</loc></url>
///     </urlset>";
/// let mut sitemap = SitemapReader::new(&file[..], &"https://e.org/sitemap.xml".parse().unwrap());
/// let entries = sitemap.by_ref().collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(entries.len(), 1);
/// assert_eq!((entries[0].url.as_str(), entries[0].target), ("https://e.org/a?x=1&y=2", Target::Page));
/// assert_eq!(entries[0].lastmod.unwrap().to_string(), "2026-02-01");
/// assert_eq!((sitemap.kind(), sitemap.skipped().other_scheme), (Some(SitemapKind::UrlSet), 1));
/// # Ok::<(), actix_crawler::extract::sitemap::SitemapError>(())
/// ```
pub struct SitemapReader<'a> {
    state: ReadState<'a>,
    base: Url,
    limits: SitemapLimits,
    charset: Option<String>,
    kind: Option<SitemapKind>,
    taken: usize,
    skipped: SkippedEntries,
}

/// The state of the reader.
enum ReadState<'a> {
    Unread(Box<dyn Read + Send + 'a>),
    Xml(Box<XmlEntries<'a>>),
    Lines(Box<Lines<'a>>),
    Ended,
}

/// The bytes that one call reads from the source.
const BUFFER: usize = 16 << 10;

impl<'a> SitemapReader<'a> {
    /// Creates the reader of the sitemap from `url`. Nothing is read yet.
    pub fn new(bytes: impl Read + Send + 'a, url: &Url) -> Self {
        Self {
            state: ReadState::Unread(Box::new(BufReader::with_capacity(BUFFER, bytes))),
            base: url.clone(),
            limits: SitemapLimits::default(),
            charset: None,
            kind: None,
            taken: 0,
            skipped: SkippedEntries::default(),
        }
    }

    /// Sets other limits than those of sitemaps.org.
    #[must_use]
    pub fn limits(mut self, limits: SitemapLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the charset given in the header. An unknown name is ignored.
    #[must_use]
    pub fn charset(mut self, label: impl Into<String>) -> Self {
        self.charset = Some(label.into());
        self
    }

    /// Returns the kind of the file; `None` before the first entry was requested.
    pub fn kind(&self) -> Option<SitemapKind> {
        self.kind
    }

    /// Returns what was left out so far, by reason.
    pub fn skipped(&self) -> SkippedEntries {
        self.skipped
    }

    /// Reads the next valid entry.
    fn advance(&mut self) -> Result<Option<SitemapEntry>, SitemapError> {
        loop {
            let entry = match &mut self.state {
                ReadState::Ended => return Ok(None),
                ReadState::Unread(_) => {
                    self.begin()?;
                    continue;
                }
                ReadState::Xml(entries) => {
                    let entry = entries.next_entry(&self.base, &mut self.skipped)?;
                    self.kind = entries.kind();
                    entry
                }
                ReadState::Lines(lines) => lines.next_entry(&self.base, &mut self.skipped)?,
            };
            match entry {
                Some(_) if self.taken >= self.limits.max_urls => self.skipped.over_limit += 1,
                Some(entry) => {
                    self.taken += 1;
                    return Ok(Some(entry));
                }
                None => self.state = ReadState::Ended,
            }
        }
    }

    /// Detects the kind of the file from its beginning.
    fn begin(&mut self) -> Result<(), SitemapError> {
        let ReadState::Unread(bytes) = std::mem::replace(&mut self.state, ReadState::Ended) else { return Ok(()) };
        let mut text = Utf8::open(bytes, self.charset.as_deref(), self.limits.max_bytes);
        self.state = if text.begins_with_markup()? {
            ReadState::Xml(Box::new(XmlEntries::new(text)))
        } else {
            self.kind = Some(SitemapKind::Text);
            ReadState::Lines(Box::new(Lines::new(text)))
        };
        Ok(())
    }
}

impl Iterator for SitemapReader<'_> {
    type Item = Result<SitemapEntry, SitemapError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.advance();
        if entry.is_err() {
            self.state = ReadState::Ended;
        }
        entry.transpose()
    }
}

impl std::fmt::Debug for SitemapReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SitemapReader")
            .field("base", &self.base.as_str())
            .field("kind", &self.kind)
            .field("taken", &self.taken)
            .field("skipped", &self.skipped)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
