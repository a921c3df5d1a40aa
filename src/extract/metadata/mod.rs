//! Metadata: the metadata of a page: meta tags, OpenGraph, Twitter cards, JSON-LD, microdata, RDFa Lite, canonical URL,
//! translations, feeds and icons. Knows no vocabulary beyond the names of these formats.

mod items;
mod json_ld;
mod links;
mod microdata;
mod open_graph;
mod rdfa;

use serde::Serialize;
use serde_json::Value;
use url::Url;

#[cfg(feature = "derive")]
pub(crate) use self::json_ld::first_of as first_json_ld;
pub use self::{
    items::{Item, ItemValue, Property},
    links::{FeedKind, FeedLink, Icon},
    open_graph::{OpenGraph, OpenGraphMedia, TwitterCard},
};
use self::{json_ld::JsonLd, microdata::microdata, rdfa::rdfa};
use super::{
    address::Address,
    prefix::prefix,
    select::{Document, Element},
    sitemap::Alternate,
    text::collapsed,
    walk::{TreeStep, Walk},
};

/// The most values of each kind that are kept of one page, such as `<meta>` elements.
pub const MAX_METADATA: usize = 1_000;

/// The longest text of one value, in bytes; a longer one is cut.
pub const MAX_METADATA_TEXT: usize = 64 << 10;

/// The metadata of a page.
///
/// The typed fields contain what could be parsed; the original values are in [`meta`](Metadata::meta),
/// [`OpenGraph::properties`] and [`TwitterCard::properties`]. URLs are absolute.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let page = Response::html(
///     "https://e.org/tea",
///     r#"<html lang=en><title>Tea</title><meta name=description content="Black tea">
///     <meta property=og:image content=/tea.jpg><meta property=og:image:width content=600>
///     <link rel=alternate hreflang=de href=/de/tee>
///     <script type=application/ld+json>
///         {"@context": "https://schema.org", "@graph": [{"@type": "Product", "offers": {"@type": "Offer", "price": 3.5}}]}
///     </script>"#,
/// );
/// let metadata = page.metadata();
/// assert_eq!(metadata.description(), Some("Black tea"));
/// assert_eq!(metadata.open_graph.images[0].url.as_str(), "https://e.org/tea.jpg");
/// assert_eq!(metadata.open_graph.images[0].width, Some(600));
/// assert_eq!(metadata.alternates[0].hreflang, "de");
/// assert_eq!(metadata.json_ld("Product")[0]["offers"]["price"], 3.5);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Metadata {
    /// The text of the first `<title>`.
    pub title: Option<String>,
    /// The language in `<html lang>`, as written.
    pub language: Option<String>,
    /// All `<meta>` elements with a name and a content, in order.
    pub meta: Vec<Meta>,
    /// The `og:` and `article:` properties (<https://ogp.me>).
    pub open_graph: OpenGraph,
    /// The `twitter:` properties.
    pub twitter: TwitterCard,
    /// The first `<link rel=canonical>`.
    pub canonical: Option<Url>,
    /// The page in other languages (`<link rel=alternate hreflang>`).
    pub alternates: Vec<Alternate>,
    /// The page's feeds.
    pub feeds: Vec<FeedLink>,
    /// The page's icons.
    pub icons: Vec<Icon>,
    /// The page's JSON-LD blocks; see [`Metadata::json_ld`].
    pub json_ld_blocks: Vec<Value>,
    /// The top-level items of microdata.
    pub microdata: Vec<Item>,
    /// The top-level items of RDFa Lite.
    pub rdfa: Vec<Item>,
    /// What was left out.
    pub skipped: SkippedMetadata,
}

/// A `<meta>` element.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let page = Response::html("https://e.org/", "<meta name=Author content='A. Writer'>");
/// let meta = &page.metadata().meta[0];
/// assert_eq!((meta.name.as_str(), meta.content.as_str()), ("author", "A. Writer"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Meta {
    /// Its `name`, `property` or `http-equiv`, in lower case.
    pub name: String,
    /// Its `content`, as written.
    pub content: String,
}

/// How much metadata was left out, and why.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let page = Response::html("https://e.org/", "<script type=application/ld+json>{ not JSON</script>");
/// assert_eq!(page.metadata().skipped.broken_json, 1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SkippedMetadata {
    /// JSON-LD blocks that are not JSON.
    pub broken_json: usize,
    /// Invalid URLs.
    pub unreadable_urls: usize,
    /// Values beyond the bound: see [`MAX_METADATA`].
    pub over_limit: usize,
    /// Texts that were cut at [`MAX_METADATA_TEXT`].
    pub cut_texts: usize,
}

impl Metadata {
    /// Reads the metadata of a document whose references are relative to `base`. Linear in the document's size except
    /// for `itemref`, which is bounded.
    pub fn read(document: &Document, base: &Url) -> Self {
        let root = document.root();
        let base = &root.address().with_base(base);
        let mut reader = MetadataReader::new(base);
        for step in Walk::over(*root.node()) {
            if let TreeStep::Open(node) = step
                && let Some(element) = Element::of(node)
            {
                reader.element(element);
            }
        }
        let mut metadata = reader.finish();
        metadata.microdata = microdata(root, base, &mut metadata.skipped);
        metadata.rdfa = rdfa(root, base, &mut metadata.skipped);
        metadata
    }

    /// Returns the objects of this type in the page's JSON-LD, at any depth, in order. A type may be given with or
    /// without its vocabulary: `Product` also finds `https://schema.org/Product`.
    pub fn json_ld(&self, kind: &str) -> Vec<&Value> {
        json_ld::objects_of(&self.json_ld_blocks, kind)
    }

    /// Returns the items of this type in microdata and RDFa, at any depth. A type may be given with or without its
    /// vocabulary.
    pub fn items(&self, kind: &str) -> Vec<&Item> {
        items::items_of(self.microdata.iter().chain(&self.rdfa), kind)
    }

    /// Returns the content of the first `<meta>` with this name, property or `http-equiv`, ignoring case.
    pub fn meta(&self, name: &str) -> Option<&str> {
        let named = self.meta.iter().find(|meta| meta.name.eq_ignore_ascii_case(name));
        named.map(|meta| meta.content.as_str())
    }

    /// Returns the description from `<meta name=description>`, OpenGraph or Twitter card, in this order.
    pub fn description(&self) -> Option<&str> {
        let own = self.meta("description").filter(|text| !text.trim().is_empty());
        own.or(self.open_graph.description.as_deref()).or(self.twitter.description.as_deref())
    }

    /// Returns the icon that a browser shows: the first `<link rel=icon>`.
    pub fn favicon(&self) -> Option<&Url> {
        self.icons.iter().find(|icon| icon.rel == "icon").map(|icon| &icon.url)
    }
}

/// Reads metadata from single elements.
struct MetadataReader<'b> {
    base: &'b Address,
    metadata: Metadata,
    json_ld: JsonLd,
}

impl<'b> MetadataReader<'b> {
    fn new(base: &'b Address) -> Self {
        Self { base, metadata: Metadata::default(), json_ld: JsonLd::default() }
    }

    fn element(&mut self, element: Element<'_>) {
        match element.name() {
            "html" => self.metadata.language = self.metadata.language.take().or(text_attr(element, "lang")),
            "title" if self.metadata.title.is_none() => {
                let title = collapsed(&element.raw_text());
                self.metadata.title = Some(cut(&title, &mut self.metadata.skipped)).filter(|title| !title.is_empty());
            }
            "meta" => self.meta(element),
            "link" => self.metadata.link(element, self.base),
            "script" => self.json_ld.script(element, &mut self.metadata.skipped),
            _ => {}
        }
    }

    fn meta(&mut self, element: Element<'_>) {
        let names = ["property", "name", "http-equiv"];
        let Some(name) = names.iter().find_map(|attribute| text_attr(element, attribute)) else { return };
        let Some(content) = element.attr("content") else { return };
        let skipped = &mut self.metadata.skipped;
        if self.metadata.meta.len() >= MAX_METADATA {
            skipped.over_limit += 1;
            return;
        }
        let meta = Meta { name: cut(&name, skipped).to_ascii_lowercase(), content: cut(content, skipped) };
        self.metadata.open_graph.take(&meta, self.base, skipped);
        self.metadata.twitter.take(&meta, self.base, skipped);
        self.metadata.meta.push(meta);
    }

    fn finish(mut self) -> Metadata {
        self.metadata.json_ld_blocks = self.json_ld.blocks;
        self.metadata
    }
}

/// Returns an attribute without surrounding white space; `None` if it is empty.
fn text_attr(element: Element<'_>, name: &str) -> Option<String> {
    element.attr(name).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Cuts a text at [`MAX_METADATA_TEXT`].
fn cut(text: &str, skipped: &mut SkippedMetadata) -> String {
    let start = prefix(text, MAX_METADATA_TEXT);
    skipped.cut_texts += usize::from(start.len() < text.len());
    start.to_owned()
}

/// Resolves a reference; counts it if it is invalid.
fn join(base: &Address, reference: &str, skipped: &mut SkippedMetadata) -> Option<Url> {
    let url = base.resolve(reference.trim()).ok().filter(|url| url.as_str().len() <= MAX_METADATA_TEXT);
    skipped.unreadable_urls += usize::from(url.is_none());
    url
}

#[cfg(test)]
mod tests;
