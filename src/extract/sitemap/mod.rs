//! Sitemap: the URLs that a sitemap, an index of sitemaps, a list of URLs or a feed names, read as a stream. Knows no
//! network: which sitemaps a site has, and when each is asked for, is decided elsewhere.
//!
//! Reads what sitemaps.org's protocol 0.9 describes, with Google's extensions for translations, images, videos and news;
//! of RSS and Atom feeds, which the protocol allows as sitemaps, it reads links and dates. Like other readers of the field
//! it takes files that break the rules: elements are known by their local name, whatever their namespace; white space
//! and other text before the XML is passed over; a bare `&` is text; relative URLs are resolved.

mod date;
mod entry;
mod error;
mod lines;
mod source;
mod xml;

use std::io::{BufReader, Read};

use url::Url;

pub use self::{
    date::{Precision, W3cDate},
    entry::{Alternate, ChangeFrequency, Image, News, SitemapEntry, SkippedEntries, Target, Video},
    error::SitemapError,
};
use self::{lines::Lines, source::Utf8, xml::XmlEntries};

/// How much of one sitemap is read.
///
/// ```
/// use actix_crawler::extract::sitemap::SitemapLimits;
///
/// let small = SitemapLimits { max_urls: 1_000, ..SitemapLimits::default() };
/// assert_eq!((small.max_urls, small.max_bytes), (1_000, 50 << 20));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SitemapLimits {
    /// The most URLs taken from one file; the others are counted in [`SkippedEntries::over_limit`]. By default 50,000, as
    /// sitemaps.org allows.
    pub max_urls: usize,
    /// The most bytes read of one file, uncompressed; beyond them [`SitemapError::TooLarge`] ends the reading. By default
    /// 50 MiB, as sitemaps.org allows.
    pub max_bytes: u64,
}

impl Default for SitemapLimits {
    fn default() -> Self {
        Self { max_urls: 50_000, max_bytes: 50 << 20 }
    }
}

/// What kind of file a sitemap is.
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
/// The bytes may be compressed with gzip. Their charset is that of a byte order mark, of
/// [`charset`](SitemapReader::charset) or of the XML declaration, in this order, and UTF-8 otherwise.
///
/// An error is the last item that the iterator gives. The entries before it are good: a file that was cut off in
/// transfer gives all entries that are whole, and then [`SitemapError::Truncated`].
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
    state: State<'a>,
    base: Url,
    limits: SitemapLimits,
    charset: Option<String>,
    kind: Option<SitemapKind>,
    taken: usize,
    skipped: SkippedEntries,
}

/// How far the reading has come.
enum State<'a> {
    Unread(Box<dyn Read + 'a>),
    Xml(Box<XmlEntries<'a>>),
    Lines(Box<Lines<'a>>),
    Ended,
}

/// The bytes that one call reads from the source.
const BUFFER: usize = 16 << 10;

impl<'a> SitemapReader<'a> {
    /// Creates the reader of the sitemap that came from `url`. Nothing is read yet.
    pub fn new(bytes: impl Read + 'a, url: &Url) -> Self {
        Self {
            state: State::Unread(Box::new(BufReader::with_capacity(BUFFER, bytes))),
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

    /// Names the charset that the header says. A name that means nothing is passed over.
    #[must_use]
    pub fn charset(mut self, label: impl Into<String>) -> Self {
        self.charset = Some(label.into());
        self
    }

    /// Returns what kind of file this is; `None` before the first entry was asked for.
    pub fn kind(&self) -> Option<SitemapKind> {
        self.kind
    }

    /// Returns what was left out up to here, by reason.
    pub fn skipped(&self) -> SkippedEntries {
        self.skipped
    }

    /// Reads up to the next entry that can be taken.
    fn advance(&mut self) -> Result<Option<SitemapEntry>, SitemapError> {
        loop {
            let entry = match &mut self.state {
                State::Ended => return Ok(None),
                State::Unread(_) => {
                    self.begin()?;
                    continue;
                }
                State::Xml(entries) => {
                    let entry = entries.next_entry(&self.base, &mut self.skipped)?;
                    self.kind = entries.kind();
                    entry
                }
                State::Lines(lines) => lines.next_entry(&self.base, &mut self.skipped)?,
            };
            match entry {
                Some(_) if self.taken >= self.limits.max_urls => self.skipped.over_limit += 1,
                Some(entry) => {
                    self.taken += 1;
                    return Ok(Some(entry));
                }
                None => self.state = State::Ended,
            }
        }
    }

    /// Looks at the beginning of the file and chooses how to read it.
    fn begin(&mut self) -> Result<(), SitemapError> {
        let State::Unread(bytes) = std::mem::replace(&mut self.state, State::Ended) else { return Ok(()) };
        let mut text = Utf8::open(bytes, self.charset.as_deref(), self.limits.max_bytes)?;
        self.state = if text.begins_with_markup()? {
            State::Xml(Box::new(XmlEntries::new(text)))
        } else {
            self.kind = Some(SitemapKind::Text);
            State::Lines(Box::new(Lines::new(text)))
        };
        Ok(())
    }
}

impl Iterator for SitemapReader<'_> {
    type Item = Result<SitemapEntry, SitemapError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.advance();
        if entry.is_err() {
            self.state = State::Ended;
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
