//! Links: those of a page, and the choice among them. Knows no scope and no spider.

use std::{borrow::Cow, collections::HashMap, fmt, iter::FusedIterator, slice, vec};

use url::Url;

use super::Response;
use crate::{
    domain::DomainKey,
    error::{Error, Result},
    extract::{self, Element, Link, LinkElement, LinkSet, Selects, Syntax},
};

/// The links of a page, which can be chosen by what reads like a sentence, and followed:
/// `page.links().within("main")?.allow(r"/item/\d+")?`.
///
/// Each method keeps only the links that it names. They are found by one scan of the page; only
/// [`within`](Links::within) needs its tree.
///
/// ```
/// use actix_crawler::{extract::{LinkElement, LinkSet}, prelude::*};
///
/// let page = Response::html(
///     "https://shop.example/tea",
///     "<link rel=next href=/tea?page=2><img src=/tea.png>
///      <ul><li><a href=/item/1>Black</a><li><a href=/item/2?print=1>White</a><li><a href=//other.example/>Ad</a></ul>",
/// );
/// let paths = |links: actix_crawler::response::Links<'_>| links.map(|link| link.url().path().to_owned()).collect::<Vec<_>>();
///
/// assert_eq!(paths(page.links().within("ul")?.same_domain().deny(r"\?print")?), ["/item/1"]);
/// assert_eq!(paths(page.links().of([LinkElement::Next, LinkElement::Image])), ["/tea", "/tea.png"]);
/// assert_eq!(page.links().filter(|link| link.text() == "White").count(), 1);
///
/// let parsed = Parsed::<()>::new().follow(page.links().allow("/item/")?);
/// assert_eq!(parsed.requests().len(), 2);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
#[must_use = "links are followed by `parsed.follow(links)`"]
pub struct Links<'a> {
    page: &'a Response,
    set: LinkSet,
    chosen: KeptLinks<'a>,
}

/// The links that are kept.
#[derive(Clone)]
enum KeptLinks<'a> {
    /// All of a scan.
    All(slice::Iter<'a, Link>, Syntax),
    Some(vec::IntoIter<PageLink<'a>>),
}

impl<'a> Links<'a> {
    pub(super) fn of_page(page: &'a Response) -> Self {
        Self::of_set(page, page.scanner.set())
    }

    fn of_set(page: &'a Response, set: LinkSet) -> Self {
        let syntax = page.syntax().unwrap_or_default();
        Self { page, set, chosen: KeptLinks::All(page.scan_for(set).links.iter(), syntax) }
    }

    fn scanned(page: &'a Response, link: &'a Link, syntax: Syntax) -> PageLink<'a> {
        let source = link.at.and_then(|at| page.body_text().get(at..)).unwrap_or_default();
        PageLink { link, nofollow: link.nofollow, position: LinkPosition::Tag(source, syntax) }
    }

    /// Takes the links of these elements, in place of those that the crawl follows: `a`, `area`, and where the page
    /// sends its readers. Begins anew, so it comes before what chooses among them.
    pub fn of(self, elements: impl Into<LinkSet>) -> Self {
        Self::of_set(self.page, elements.into())
    }

    /// Keeps the links whose element lies within an element that matches `css`, or is one. The text and the `rel` of a
    /// link that the page has several times are then those of the first there.
    ///
    /// # Errors
    /// The selector is invalid.
    pub fn within(self, css: impl Selects) -> Result<Self> {
        // Only what was found by the scan, which is bounded.
        let mut places: LinkPlaces<'a> = self.clone().map(|link| (link.url().as_str(), None)).collect();
        let mut last: Option<Element<'a>> = None;
        for area in self.page.select(css)? {
            if !last.is_some_and(|last| area.is_within(last)) {
                self.find_places(area, &mut places);
                last = Some(area);
            }
        }
        Ok(self.retain(|link| {
            let Some(Some((element, nofollow))) = places.get(link.url().as_str()) else { return false };
            *link = PageLink { nofollow: *nofollow, position: LinkPosition::Element(*element), ..*link };
            true
        }))
    }

    /// Finds the first element of each URL within an area, and whether all there are marked not to be followed.
    fn find_places(&self, area: Element<'a>, places: &mut LinkPlaces<'a>) {
        for element in area.with_descendants() {
            let attribute = |name: &str| {
                let value = if name == "href" { element.href() } else { element.attr(name) };
                value.map(Cow::Borrowed)
            };
            extract::references(self.set, element.name(), attribute, |_, reference| {
                let Some(mut url) = element.resolve(&reference) else { return };
                url.set_fragment(None);
                let Some(position) = places.get_mut(url.as_str()) else { return };
                let nofollow = element.attr("rel").is_some_and(|rel| extract::has_word(rel, &extract::NOFOLLOW));
                let (_, all) = position.get_or_insert((element, nofollow));
                *all &= nofollow;
            });
        }
    }

    /// Keeps the links whose URL matches a regular expression.
    ///
    /// # Errors
    /// It is not a regular expression of the crate `regex`.
    pub fn allow(self, pattern: &str) -> Result<Self> {
        let regex = extract::regex(pattern).map_err(Error::Selector)?;
        Ok(self.retain(|link| regex.is_match(link.url().as_str())))
    }

    /// Leaves out the links whose URL matches a regular expression.
    ///
    /// # Errors
    /// It is not a regular expression of the crate `regex`.
    pub fn deny(self, pattern: &str) -> Result<Self> {
        let regex = extract::regex(pattern).map_err(Error::Selector)?;
        Ok(self.retain(|link| !regex.is_match(link.url().as_str())))
    }

    /// Keeps the links to the page's registrable domain: on `shop.example.co.uk` those to `*.example.co.uk`.
    pub fn same_domain(self) -> Self {
        let domain = |url: &Url| DomainKey::RegistrableDomain.domain(url);
        let own = domain(self.page.url());
        self.retain(|link| domain(link.url()) == own)
    }

    /// Keeps the links that the page lets robots follow: none if [`Response::robots`] has `nofollow`, or else those
    /// that are not marked `nofollow`, `ugc` or `sponsored`.
    pub fn followable(self) -> Self {
        let may_follow = !self.page.robots().nofollow;
        self.retain(|link| may_follow && !link.nofollow)
    }

    fn retain(mut self, mut keep: impl FnMut(&mut PageLink<'a>) -> bool) -> Self {
        let kept: Vec<_> = self.by_ref().filter_map(|mut link| keep(&mut link).then_some(link)).collect();
        self.chosen = KeptLinks::Some(kept.into_iter());
        self
    }
}

/// By URL, the first element that links to it, and whether all are marked not to be followed.
type LinkPlaces<'a> = HashMap<&'a str, Option<(Element<'a>, bool)>>;

impl<'a> Iterator for Links<'a> {
    type Item = PageLink<'a>;

    fn next(&mut self) -> Option<PageLink<'a>> {
        match &mut self.chosen {
            KeptLinks::All(links, syntax) => links.next().map(|link| Self::scanned(self.page, link, *syntax)),
            KeptLinks::Some(links) => links.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.chosen {
            KeptLinks::All(links, _) => links.size_hint(),
            KeptLinks::Some(links) => links.size_hint(),
        }
    }
}

impl DoubleEndedIterator for Links<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match &mut self.chosen {
            KeptLinks::All(links, syntax) => links.next_back().map(|link| Self::scanned(self.page, link, *syntax)),
            KeptLinks::Some(links) => links.next_back(),
        }
    }
}

impl ExactSizeIterator for Links<'_> {}
impl FusedIterator for Links<'_> {}

impl fmt::Debug for Links<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// A link of a page: where it leads, and what the page says of it.
///
/// ```
/// use actix_crawler::{extract::LinkElement, prelude::*};
///
/// let page = Response::html("https://e.org/", "<a href=2 rel='next ugc' title=more>Next <b>page</b></a>");
/// let link = page.links().next().unwrap();
/// assert_eq!((link.url().as_str(), link.element()), ("https://e.org/2", LinkElement::A));
/// assert_eq!((&*link.text(), link.rel().as_deref(), link.nofollow()), ("Next page", Some("next ugc"), true));
/// assert_eq!(link.attr("title").as_deref(), Some("more"));
/// ```
#[derive(Clone, Copy)]
pub struct PageLink<'a> {
    link: &'a Link,
    nofollow: bool,
    position: LinkPosition<'a>,
}

/// Where a link stands: at the start of a text, or in the page's tree.
#[derive(Clone, Copy)]
enum LinkPosition<'a> {
    Tag(&'a str, Syntax),
    Element(Element<'a>),
}

impl<'a> PageLink<'a> {
    /// Returns where it leads: `http` or `https`, without fragment.
    pub fn url(&self) -> &'a Url {
        &self.link.url
    }

    /// Returns the kind of its element; the first on the page, if there are several.
    pub fn element(&self) -> LinkElement {
        self.link.element
    }

    /// Tells whether every element with this link is marked `nofollow`, `ugc` or `sponsored`.
    pub fn nofollow(&self) -> bool {
        self.nofollow
    }

    /// Returns the visible text of its element, on one line; of an image or an area its `alt`. Read at each call, from
    /// at most 16 KiB of the page.
    pub fn text(&self) -> String {
        match self.position {
            LinkPosition::Tag(source, syntax) => extract::text_of_link(source, syntax),
            LinkPosition::Element(element) if element.name() == "a" => element.text(),
            LinkPosition::Element(element) => element.attr("alt").unwrap_or_default().to_owned(),
        }
    }

    /// Returns the `rel` of its element, as written.
    pub fn rel(&self) -> Option<Cow<'a, str>> {
        self.attr("rel")
    }

    /// Returns an attribute of its element.
    pub fn attr(&self, name: &str) -> Option<Cow<'a, str>> {
        match self.position {
            LinkPosition::Tag(source, syntax) => extract::attribute_of_tag(source, syntax, name),
            LinkPosition::Element(element) => element.attr(name).map(Cow::Borrowed),
        }
    }
}

impl fmt::Debug for PageLink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageLink").field("url", &self.url().as_str()).field("element", &self.element()).finish()
    }
}

#[cfg(test)]
mod tests;
