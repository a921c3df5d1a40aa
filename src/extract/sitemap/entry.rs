//! Sitemap entry: one URL of a sitemap with its details. Knows no XML.

use std::{fmt, str::FromStr};

use serde::Serialize;
use url::Url;

use super::W3cDate;
use crate::extract::{links::MAX_URL_LENGTH, reference::resolve};

/// One URL of a sitemap.
///
/// ```
/// use actix_crawler::extract::sitemap::SitemapReader;
///
/// let file = b"<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>
///     <url><loc>https://e.org/a</loc><priority>0.8</priority></url>
/// </urlset>";
/// let entry = SitemapReader::new(&file[..], &"https://e.org/sitemap.xml".parse().unwrap()).next().unwrap()?;
/// assert_eq!((entry.url.path(), entry.priority), ("/a", Some(0.8)));
/// # Ok::<(), actix_crawler::extract::sitemap::SitemapError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SitemapEntry {
    /// The URL, absolute, `http` or `https`, without fragment.
    pub url: Url,
    /// What the URL refers to.
    pub target: Target,
    /// When it was last modified (`lastmod`; `pubDate` in RSS, `updated` in Atom).
    pub lastmod: Option<W3cDate>,
    /// How often it is likely to change.
    pub change_frequency: Option<ChangeFrequency>,
    /// Its priority among the URLs of the site, 0.0 to 1.0. The protocol's default is 0.5.
    pub priority: Option<f32>,
    /// The same page in other languages (`xhtml:link rel=alternate hreflang`).
    pub alternates: Vec<Alternate>,
    /// The images on the page.
    pub images: Vec<Image>,
    /// The videos on the page.
    pub videos: Vec<Video>,
    /// The details of a news article.
    pub news: Option<News>,
}

impl SitemapEntry {
    pub(super) fn new(url: Url, target: Target) -> Self {
        Self {
            url,
            target,
            lastmod: None,
            change_frequency: None,
            priority: None,
            alternates: Vec::new(),
            images: Vec::new(),
            videos: Vec::new(),
            news: None,
        }
    }
}

/// What a sitemap's URL refers to.
///
/// ```
/// use actix_crawler::extract::sitemap::{SitemapReader, Target};
///
/// let file = b"<sitemapindex xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>
///     <sitemap><loc>https://e.org/1.xml</loc></sitemap>
/// </sitemapindex>";
/// let entry = SitemapReader::new(&file[..], &"https://e.org/sitemap.xml".parse().unwrap()).next().unwrap()?;
/// assert_eq!(entry.target, Target::Sitemap);
/// # Ok::<(), actix_crawler::extract::sitemap::SitemapError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A page.
    Page,
    /// Another sitemap.
    Sitemap,
}

/// How often a page is likely to change, according to its site.
///
/// ```
/// use actix_crawler::extract::sitemap::ChangeFrequency;
///
/// assert_eq!("Daily".parse(), Ok(ChangeFrequency::Daily));
/// assert_eq!(ChangeFrequency::Daily.to_string(), "daily");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeFrequency {
    /// At each access.
    Always,
    /// Every hour.
    Hourly,
    /// Every day.
    Daily,
    /// Every week.
    Weekly,
    /// Every month.
    Monthly,
    /// Every year.
    Yearly,
    /// An archived page.
    Never,
}

impl ChangeFrequency {
    const NAMES: [(&'static str, Self); 7] = [
        ("always", Self::Always),
        ("hourly", Self::Hourly),
        ("daily", Self::Daily),
        ("weekly", Self::Weekly),
        ("monthly", Self::Monthly),
        ("yearly", Self::Yearly),
        ("never", Self::Never),
    ];
}

impl FromStr for ChangeFrequency {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let named = Self::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        named.map(|(_, frequency)| *frequency).ok_or(())
    }
}

impl fmt::Display for ChangeFrequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, frequency)| frequency == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

/// A page in another language.
///
/// ```
/// use actix_crawler::extract::sitemap::SitemapReader;
///
/// let file = b"<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'
///     xmlns:xhtml='http://www.w3.org/1999/xhtml'>
///     <url><loc>https://e.org/a</loc>
///         <xhtml:link rel='alternate' hreflang='de' href='https://e.org/de/a'/></url>
/// </urlset>";
/// let entry = SitemapReader::new(&file[..], &"https://e.org/sitemap.xml".parse().unwrap()).next().unwrap()?;
/// let german = &entry.alternates[0];
/// assert_eq!((german.hreflang.as_str(), german.url.path()), ("de", "/de/a"));
/// # Ok::<(), actix_crawler::extract::sitemap::SitemapError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alternate {
    /// The language as a BCP 47 tag, such as `de-CH`, or `x-default`.
    pub hreflang: String,
    /// The URL of the page in that language.
    pub url: Url,
}

/// An image on a page (Google's image extension).
///
/// ```
/// use actix_crawler::extract::sitemap::SitemapReader;
///
/// let file = b"<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'
///     xmlns:image='http://www.google.com/schemas/sitemap-image/1.1'>
///     <url><loc>https://e.org/a</loc>
///         <image:image><image:loc>https://e.org/a.png</image:loc></image:image></url>
/// </urlset>";
/// let entry = SitemapReader::new(&file[..], &"https://e.org/sitemap.xml".parse().unwrap()).next().unwrap()?;
/// assert_eq!(entry.images[0].url.path(), "/a.png");
/// # Ok::<(), actix_crawler::extract::sitemap::SitemapError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The URL of the image.
    pub url: Url,
    /// Its caption.
    pub caption: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Where it was taken.
    pub geo_location: Option<String>,
    /// The URL of its licence.
    pub license: Option<Url>,
}

/// A video on a page (Google's video extension). Missing or invalid fields are `None`.
///
/// ```
/// use actix_crawler::extract::sitemap::SitemapReader;
///
/// let file = b"<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'
///     xmlns:video='http://www.google.com/schemas/sitemap-video/1.1'>
///     <url><loc>https://e.org/a</loc>
///         <video:video><video:title>Tea</video:title></video:video></url>
/// </urlset>";
/// let entry = SitemapReader::new(&file[..], &"https://e.org/sitemap.xml".parse().unwrap()).next().unwrap()?;
/// assert_eq!(entry.videos[0].title.as_deref(), Some("Tea"));
/// # Ok::<(), actix_crawler::extract::sitemap::SitemapError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Video {
    /// The URL of the thumbnail.
    pub thumbnail: Option<Url>,
    /// The title.
    pub title: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// The URL of the video file.
    pub content: Option<Url>,
    /// The URL of a player for the video.
    pub player: Option<Url>,
    /// The duration in seconds.
    pub duration: Option<u32>,
    /// When the video was published.
    pub published: Option<W3cDate>,
    /// When the video will be removed.
    pub expires: Option<W3cDate>,
    /// The rating, 0.0 to 5.0.
    pub rating: Option<f32>,
    /// How often it was seen.
    pub views: Option<u64>,
    /// Whether it is suitable for children.
    pub family_friendly: Option<bool>,
    /// Whether it is a live stream.
    pub live: Option<bool>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// A news article (Google's news extension). Missing or invalid fields are `None`.
///
/// ```
/// use actix_crawler::extract::sitemap::SitemapReader;
///
/// let file = b"<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'
///     xmlns:news='http://www.google.com/schemas/sitemap-news/0.9'>
///     <url><loc>https://e.org/a</loc>
///         <news:news><news:title>Tea</news:title></news:news></url>
/// </urlset>";
/// let entry = SitemapReader::new(&file[..], &"https://e.org/sitemap.xml".parse().unwrap()).next().unwrap()?;
/// assert_eq!(entry.news.unwrap().title.as_deref(), Some("Tea"));
/// # Ok::<(), actix_crawler::extract::sitemap::SitemapError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The name of the newspaper.
    pub publication: Option<String>,
    /// The language of the newspaper, as an ISO 639 code.
    pub language: Option<String>,
    /// When the article was published.
    pub published: Option<W3cDate>,
    /// The title of the article.
    pub title: Option<String>,
    /// Its keywords, as written, separated by commas.
    pub keywords: Option<String>,
}

/// What was left out of a sitemap, and why.
///
/// ```
/// use actix_crawler::extract::sitemap::SitemapReader;
///
/// let mut sitemap = SitemapReader::new(&b"https://e.org/a\nftp://e.org/b\n"[..], &"https://e.org/sitemap.txt".parse().unwrap());
/// assert_eq!(sitemap.by_ref().count(), 1);
/// assert_eq!(sitemap.skipped().other_scheme, 1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SkippedEntries {
    /// URLs that are not `http` or `https`.
    pub other_scheme: usize,
    /// Invalid URLs, such as `http://[`, and entries without one.
    pub unreadable: usize,
    /// URLs longer than 2,048 bytes.
    pub too_long: usize,
    /// URLs after the first [`SitemapLimits::max_urls`](super::SitemapLimits::max_urls).
    pub over_limit: usize,
    /// Dates, frequencies, priorities and numbers that are invalid. Their entries are kept without them.
    pub bad_fields: usize,
    /// Translations, images, videos and tags of one entry beyond the first 1,000 of each, or beyond 1 MiB of text, and
    /// texts cut at 2,048 bytes, and tags of more than 1 MiB, whose attributes are not read. Their entries are kept.
    pub cut_fields: usize,
}

impl SkippedEntries {
    /// Parses the URL of a page to crawl; counts why it is rejected.
    pub(super) fn url(&mut self, base: &Url, text: &str) -> Option<Url> {
        let text = text.trim();
        if text.len() > MAX_URL_LENGTH {
            self.too_long += 1;
            return None;
        }
        let Some(mut url) = (if text.is_empty() { None } else { resolve(base, text).ok() }) else {
            self.unreadable += 1;
            return None;
        };
        url.set_fragment(None);
        if !matches!(url.scheme(), "http" | "https") {
            self.other_scheme += 1;
            None
        } else if url.as_str().len() > MAX_URL_LENGTH {
            self.too_long += 1;
            None
        } else {
            Some(url)
        }
    }

    /// Returns a field that could be parsed; counts one that could not.
    pub(super) fn field<T>(&mut self, read: Option<T>) -> Option<T> {
        self.bad_fields += usize::from(read.is_none());
        read
    }
}
