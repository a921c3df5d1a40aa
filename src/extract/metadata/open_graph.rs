//! OpenGraph: the properties for link previews (ogp.me), and Twitter's cards, which are similar. Knows no elements,
//! only names and contents.

use serde::Serialize;
use url::Url;

use super::{Meta, SkippedMetadata, join};
use crate::extract::address::Address;

/// The `og:` and `article:` properties of a page.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let page = Response::html("https://e.org/", "<meta property=og:title content=Tea><meta property=article:tag content=black>");
/// let open_graph = page.metadata().open_graph;
/// assert_eq!((open_graph.title.as_deref(), open_graph.tags), (Some("Tea"), vec!["black".to_owned()]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OpenGraph {
    /// `og:title`
    pub title: Option<String>,
    /// `og:type`, such as `article`.
    pub kind: Option<String>,
    /// `og:url`
    pub url: Option<Url>,
    /// `og:description`
    pub description: Option<String>,
    /// `og:site_name`
    pub site_name: Option<String>,
    /// `og:locale`
    pub locale: Option<String>,
    /// `og:locale:alternate`
    pub locale_alternates: Vec<String>,
    /// `og:image` with its details.
    pub images: Vec<OpenGraphMedia>,
    /// `og:video` with its details.
    pub videos: Vec<OpenGraphMedia>,
    /// `og:audio` with its details.
    pub audios: Vec<OpenGraphMedia>,
    /// `article:published_time`, as written.
    pub published_time: Option<String>,
    /// `article:modified_time`, as written.
    pub modified_time: Option<String>,
    /// `article:section`
    pub section: Option<String>,
    /// `article:author`
    pub authors: Vec<String>,
    /// `article:tag`
    pub tags: Vec<String>,
    /// All properties as written, including other names with `og:` or `article:`.
    pub properties: Vec<(String, String)>,
}

/// An image, a video or an audio of OpenGraph.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let page = Response::html("https://e.org/", "<meta property=og:video content=/tea.mp4><meta property=og:video:height content=720>");
/// let video = &page.metadata().open_graph.videos[0];
/// assert_eq!((video.url.path(), video.height), ("/tea.mp4", Some(720)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenGraphMedia {
    /// Its URL.
    pub url: Url,
    /// Its `https` URL.
    pub secure_url: Option<Url>,
    /// Its media type.
    pub media_type: Option<String>,
    /// Its width in pixels.
    pub width: Option<u32>,
    /// Its height in pixels.
    pub height: Option<u32>,
    /// A description of its content.
    pub alt: Option<String>,
}

/// The `twitter:` properties of a page.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let page = Response::html("https://e.org/", "<meta name=twitter:card content=summary><meta name=twitter:site content=@example>");
/// let twitter = page.metadata().twitter;
/// assert_eq!((twitter.card.as_deref(), twitter.site.as_deref()), (Some("summary"), Some("@example")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TwitterCard {
    /// `twitter:card`, such as `summary_large_image`.
    pub card: Option<String>,
    /// `twitter:site`, such as `@example`.
    pub site: Option<String>,
    /// `twitter:creator`
    pub creator: Option<String>,
    /// `twitter:title`
    pub title: Option<String>,
    /// `twitter:description`
    pub description: Option<String>,
    /// `twitter:image`
    pub image: Option<Url>,
    /// `twitter:image:alt`
    pub image_alt: Option<String>,
    /// `twitter:player`
    pub player: Option<Url>,
    /// All properties as written, including other names with `twitter:`.
    pub properties: Vec<(String, String)>,
}

impl OpenGraph {
    /// Reads a property, if it is one of OpenGraph. Where there can be only one, the first is kept.
    pub(super) fn take(&mut self, meta: &Meta, base: &Address, skipped: &mut SkippedMetadata) {
        if !meta.name.starts_with("og:") && !meta.name.starts_with("article:") {
            return;
        }
        let Some(content) = kept(meta, &mut self.properties) else { return };
        let text = || content.to_owned();
        match meta.name.as_str() {
            "og:title" => first(&mut self.title, text()),
            "og:type" => first(&mut self.kind, text()),
            "og:url" if self.url.is_none() => self.url = join(base, content, skipped),
            "og:description" => first(&mut self.description, text()),
            "og:site_name" => first(&mut self.site_name, text()),
            "og:locale" => first(&mut self.locale, text()),
            "og:locale:alternate" => self.locale_alternates.push(text()),
            "article:published_time" => first(&mut self.published_time, text()),
            "article:modified_time" => first(&mut self.modified_time, text()),
            "article:section" => first(&mut self.section, text()),
            "article:author" => self.authors.push(text()),
            "article:tag" => self.tags.push(text()),
            name => {
                let lists =
                    [("og:image", &mut self.images), ("og:video", &mut self.videos), ("og:audio", &mut self.audios)];
                for (prefix, list) in lists {
                    match name.strip_prefix(prefix) {
                        Some("") => list.extend(join(base, content, skipped).map(OpenGraphMedia::new)),
                        Some(detail) => OpenGraphMedia::take(list, detail, content, base, skipped),
                        None => {}
                    }
                }
            }
        }
    }
}

impl OpenGraphMedia {
    fn new(url: Url) -> Self {
        Self { url, secure_url: None, media_type: None, width: None, height: None, alt: None }
    }

    /// Reads a detail, which belongs to the last medium ("structured properties"). `og:image:url` is the same as
    /// `og:image`.
    fn take(list: &mut Vec<Self>, detail: &str, content: &str, base: &Address, skipped: &mut SkippedMetadata) {
        if detail == ":url" {
            let url = join(base, content, skipped).filter(|url| list.last().is_none_or(|last| last.url != *url));
            list.extend(url.map(Self::new));
            return;
        }
        // A secure URL without another one also counts as a URL.
        if detail == ":secure_url" && list.is_empty() {
            list.extend(join(base, content, skipped).map(Self::new));
        }
        let Some(media) = list.last_mut() else { return };
        match detail {
            ":secure_url" => media.secure_url = join(base, content, skipped),
            ":type" => media.media_type = Some(content.to_owned()),
            ":width" => media.width = content.parse().ok(),
            ":height" => media.height = content.parse().ok(),
            ":alt" => media.alt = Some(content.to_owned()),
            _ => {}
        }
    }
}

impl TwitterCard {
    /// Reads a property, if it is one of Twitter's. The first of a name is kept.
    pub(super) fn take(&mut self, meta: &Meta, base: &Address, skipped: &mut SkippedMetadata) {
        if !meta.name.starts_with("twitter:") {
            return;
        }
        let Some(content) = kept(meta, &mut self.properties) else { return };
        let text = || content.to_owned();
        match meta.name.as_str() {
            "twitter:card" => first(&mut self.card, text()),
            "twitter:site" => first(&mut self.site, text()),
            "twitter:creator" => first(&mut self.creator, text()),
            "twitter:title" => first(&mut self.title, text()),
            "twitter:description" => first(&mut self.description, text()),
            "twitter:image" | "twitter:image:src" if self.image.is_none() => self.image = join(base, content, skipped),
            "twitter:image:alt" => first(&mut self.image_alt, text()),
            "twitter:player" if self.player.is_none() => self.player = join(base, content, skipped),
            _ => {}
        }
    }
}

/// Keeps a property as written; returns its content if there is any.
fn kept<'a>(meta: &'a Meta, properties: &mut Vec<(String, String)>) -> Option<&'a str> {
    properties.push((meta.name.clone(), meta.content.clone()));
    Some(meta.content.trim()).filter(|content| !content.is_empty())
}

fn first(place: &mut Option<String>, text: String) {
    place.get_or_insert(text);
}
