//! Links: the metadata in a page's `<link>` elements. Knows no links between pages.

use serde::Serialize;
use url::Url;

use super::{MAX_METADATA, Metadata, cut, join, text_attr};
use crate::extract::{address::Address, select::Element, sitemap::Alternate};

/// A feed of a page.
///
/// ```
/// use actix_crawler::{extract::metadata::FeedKind, prelude::*};
///
/// let page = Response::html("https://e.org/", "<link rel=alternate type=application/atom+xml href=/feed title=News>");
/// let feed = &page.metadata().feeds[0];
/// assert_eq!((feed.url.path(), feed.kind, feed.title.as_deref()), ("/feed", FeedKind::Atom, Some("News")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FeedLink {
    /// Its URL.
    pub url: Url,
    /// Its format.
    pub kind: FeedKind,
    /// Its title.
    pub title: Option<String>,
}

/// The format of a feed.
///
/// ```
/// use actix_crawler::{extract::metadata::FeedKind, prelude::*};
///
/// let page = Response::html("https://e.org/", "<link rel=alternate type=application/feed+json href=/feed.json>");
/// assert_eq!(page.metadata().feeds[0].kind, FeedKind::Json);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedKind {
    /// RSS, `application/rss+xml` or `application/rdf+xml`.
    Rss,
    /// Atom, `application/atom+xml`.
    Atom,
    /// JSON Feed, `application/feed+json`.
    Json,
}

/// An icon of a page.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let page = Response::html("https://e.org/", "<link rel=icon sizes=32x32 href=/icon.png>");
/// let icon = &page.metadata().icons[0];
/// assert_eq!((icon.url.path(), icon.rel, icon.sizes.as_deref()), ("/icon.png", "icon", Some("32x32")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Icon {
    /// Its URL.
    pub url: Url,
    /// Its purpose: `icon`, `apple-touch-icon`, `apple-touch-icon-precomposed`, `mask-icon` or `fluid-icon`.
    pub rel: &'static str,
    /// Its sizes, as written: `32x32 48x48` or `any`.
    pub sizes: Option<String>,
    /// Its media type.
    pub media_type: Option<String>,
}

const ICONS: [&str; 5] = ["icon", "apple-touch-icon", "apple-touch-icon-precomposed", "mask-icon", "fluid-icon"];

const FEEDS: [(&str, FeedKind); 4] = [
    ("application/rss+xml", FeedKind::Rss),
    ("application/rdf+xml", FeedKind::Rss),
    ("application/atom+xml", FeedKind::Atom),
    ("application/feed+json", FeedKind::Json),
];

impl Metadata {
    /// Reads a `<link>`.
    pub(super) fn link(&mut self, element: Element<'_>, base: &Address) {
        let (Some(rel), Some(href)) = (element.attr("rel"), text_attr(element, "href")) else { return };
        let has = |word: &str| rel.split_ascii_whitespace().any(|there| there.eq_ignore_ascii_case(word));
        if has("canonical") && self.canonical.is_none() {
            self.canonical = join(base, &href, &mut self.skipped);
        }
        if let Some(rel) = ICONS.into_iter().find(|icon| has(icon))
            && self.has_room(self.icons.len())
            && let Some(url) = join(base, &href, &mut self.skipped)
        {
            let [sizes, media_type] = ["sizes", "type"].map(|name| self.text(element, name));
            self.icons.push(Icon { url, rel, sizes, media_type });
        }
        if has("alternate") && !has("stylesheet") {
            self.alternate(element, &href, base);
        }
    }

    fn alternate(&mut self, element: Element<'_>, href: &str, base: &Address) {
        let kind = element.attr("type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if let Some((_, kind)) = FEEDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(kind)) {
            if self.has_room(self.feeds.len())
                && let Some(url) = join(base, href, &mut self.skipped)
            {
                let title = self.text(element, "title");
                self.feeds.push(FeedLink { url, kind: *kind, title });
            }
        } else if let Some(hreflang) = self.text(element, "hreflang")
            && self.has_room(self.alternates.len())
            && let Some(url) = join(base, href, &mut self.skipped)
        {
            self.alternates.push(Alternate { hreflang, url });
        }
    }

    fn text(&mut self, element: Element<'_>, name: &str) -> Option<String> {
        text_attr(element, name).map(|text| cut(&text, &mut self.skipped))
    }

    /// Tells whether another value can be kept; counts it as skipped if not.
    fn has_room(&mut self, length: usize) -> bool {
        self.skipped.over_limit += usize::from(length >= MAX_METADATA);
        length < MAX_METADATA
    }
}
