//! What a page points to, and what it says of itself: links, title, base, robots rules, canonical URL.
//! Reads the page's tokens once and builds no tree; knows no scope and no robots.txt, so whether a
//! link is followed is decided elsewhere.

use std::{borrow::Cow, hash::BuildHasher};

use hashbrown::{DefaultHashBuilder, HashTable};
use memchr::memchr;
use url::Url;

use super::context::PageTokens;
use super::text::collapsed;
use super::tokens::{Tag, Text, TextKind, Token};

/// The most links that are read from one page. The largest index pages (sitemaps in HTML) have some
/// thousands; the rest is counted in [`Skipped::over_limit`].
pub const MAX_LINKS: usize = 10_000;

/// The longest URL that is taken from a page, in bytes: sitemaps.org's limit of 2,048. With
/// [`MAX_LINKS`] it bounds what one page can cost: a long `<base>` is repeated in every link.
pub const MAX_URL_LENGTH: usize = 2_048;

/// The longest title that is kept, in characters; search engines show the first 60 or so.
pub const MAX_TITLE_LENGTH: usize = 1_000;

/// What [`scan`] found on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The text of the first `<title>`, white space collapsed; `None` if there is none in it.
    pub title: Option<String>,
    /// What relative URLs are relative to: the first `<base href>`, or else the page's own URL.
    pub base: Url,
    /// The links in the page's order, each URL once, without fragments.
    pub links: Vec<Link>,
    /// What `<meta name=robots>` asks.
    pub robots: MetaRobots,
    /// The first `<link rel=canonical>`.
    pub canonical: Option<Url>,
    /// What looked like a link and is not in `links`.
    pub skipped: Skipped,
}

/// A link from a page to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Absolute, `http` or `https`, without fragment.
    pub url: Url,
    /// Whether every link of the page to this URL says `nofollow`, `ugc` or `sponsored`.
    pub nofollow: bool,
    /// The element that has the link; the first, if several have the same.
    pub element: LinkElement,
}

/// The kinds of element that link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LinkElement {
    /// `<a href>`, also within SVG (but not its old `xlink:href`).
    A,
    /// `<area href>`
    Area,
    /// `<frame src>`
    Frame,
    /// `<iframe src>`
    Iframe,
    /// `<link rel=next href>`
    Next,
    /// `<link rel=prev href>`
    Prev,
    /// `<link rel=alternate href>`: translations, feeds.
    Alternate,
}

/// A set of [`LinkElement`]s. The default is `a` and `area`, as in Scrapy's `LinkExtractor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSet(u8);

impl LinkSet {
    /// No element.
    pub const NONE: Self = Self(0);

    /// Returns the set with `element` in it.
    #[must_use]
    pub const fn with(self, element: LinkElement) -> Self {
        Self(self.0 | 1 << element as u8)
    }

    /// Whether `element` is in the set.
    pub const fn contains(self, element: LinkElement) -> bool {
        self.0 & (1 << element as u8) != 0
    }
}

impl Default for LinkSet {
    fn default() -> Self {
        Self::NONE.with(LinkElement::A).with(LinkElement::Area)
    }
}

/// What a page asks of robots by `<meta name=robots>`, or by the header `X-Robots-Tag`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetaRobots {
    /// The page shall not be shown in search results.
    pub noindex: bool,
    /// None of the page's links shall be followed.
    pub nofollow: bool,
}

impl MetaRobots {
    /// Adds the rules of `content`, a list like `noindex, nofollow`. Of several lists the strictest
    /// holds; what is unknown is passed over.
    pub fn add(&mut self, content: &str) {
        for rule in content.split(',').map(str::trim) {
            let none = rule.eq_ignore_ascii_case("none");
            self.noindex |= none || rule.eq_ignore_ascii_case("noindex");
            self.nofollow |= none || rule.eq_ignore_ascii_case("nofollow");
        }
    }
}

/// How many `href`s were not taken, and why. Fragments of the page itself are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Not `http` or `https`: `mailto:`, `javascript:`, `tel:`, `data:`, ….
    pub other_scheme: usize,
    /// No URL at all, such as `http://[`.
    pub unreadable: usize,
    /// Longer than [`MAX_URL_LENGTH`].
    pub too_long: usize,
    /// After the first [`MAX_LINKS`].
    pub over_limit: usize,
}

/// Reads the page `html` that came from `url`, with the default [`Scanner`].
pub fn scan(html: &str, url: &Url) -> Scan {
    Scanner::default().scan(html, url)
}

/// Says which links to read from pages, and as whom.
#[derive(Clone, Debug, Default)]
pub struct Scanner {
    elements: LinkSet,
    robot: Option<String>,
}

impl Scanner {
    /// Reads the links of these elements only.
    #[must_use]
    pub fn elements(mut self, elements: LinkSet) -> Self {
        self.elements = elements;
        self
    }

    /// Obeys `<meta name=ROBOT>` besides `<meta name=robots>`; `name` is a robots.txt product token.
    #[must_use]
    pub fn robot(mut self, name: impl Into<String>) -> Self {
        self.robot = Some(name.into());
        self
    }

    /// Reads the page `html` that came from `url`.
    ///
    /// Never fails: of broken markup it reads what a browser would. Linear in the page's length; what
    /// it returns is bounded by [`MAX_LINKS`], [`MAX_URL_LENGTH`] and [`MAX_TITLE_LENGTH`]. Links
    /// in comments and scripts are none; those in `noscript` and `template` are.
    pub fn scan(&self, html: &str, url: &Url) -> Scan {
        let mut page = Reader::new(self);
        for token in PageTokens::new(html) {
            match token {
                Token::Start(tag) => page.start(&tag),
                Token::Text(text) if page.in_title => page.title(text),
                Token::End(_) => page.in_title = false,
                Token::Text(_) | Token::Doctype(_) | Token::Comment(_) => {}
            }
        }
        page.resolve(url)
    }
}

/// What has been read so far. URLs stay as the page has them until its end, for a `<base>` holds for
/// the links before it, too.
struct Reader<'a> {
    scanner: &'a Scanner,
    in_title: bool,
    title: Option<String>,
    base: Option<Cow<'a, str>>,
    canonical: Option<Cow<'a, str>>,
    robots: MetaRobots,
    /// By their `href`: navigation repeats the same few on and on.
    links: EachOnce<RawLink<'a>>,
    skipped: Skipped,
}

/// A link whose URL has not been resolved.
struct RawLink<'a> {
    href: Cow<'a, str>,
    nofollow: bool,
    element: LinkElement,
}

impl<'a> Reader<'a> {
    fn new(scanner: &'a Scanner) -> Self {
        Self {
            scanner,
            in_title: false,
            title: None,
            base: None,
            canonical: None,
            robots: MetaRobots::default(),
            links: EachOnce::by(|link| &link.href),
            skipped: Skipped::default(),
        }
    }

    fn start(&mut self, tag: &Tag<'a>) {
        self.in_title = false;
        if tag.is("a") {
            self.link(tag, LinkElement::A, "href");
        } else if tag.is("area") {
            self.link(tag, LinkElement::Area, "href");
        } else if tag.is("link") {
            self.relation(tag);
        } else if tag.is("meta") {
            self.meta(tag);
        } else if tag.is("title") {
            self.in_title = self.title.is_none();
        } else if tag.is("base") {
            self.base = self.base.take().or_else(|| tag.attribute("href"));
        } else if tag.is("iframe") {
            self.link(tag, LinkElement::Iframe, "src");
        } else if tag.is("frame") {
            self.link(tag, LinkElement::Frame, "src");
        }
    }

    /// Takes the text of a `<title>`. Only the page's own is read as a title; that of a drawing is
    /// markup.
    fn title(&mut self, text: Text<'a>) {
        if text.kind == TextKind::Rcdata {
            let title = collapsed(&text.decoded());
            self.title = Some(title.chars().take(MAX_TITLE_LENGTH).collect());
        }
    }

    fn relation(&mut self, tag: &Tag<'a>) {
        let [Some(rel), href] = tag.values(["rel", "href"]) else { return };
        if has_word(&rel, &["canonical"]) {
            self.canonical = self.canonical.take().or(href);
        }
        let relations = [
            (&["next"] as &[_], LinkElement::Next),
            (&["prev", "previous"], LinkElement::Prev),
            (&["alternate"], LinkElement::Alternate),
        ];
        // `<link rel="alternate stylesheet">` is a style.
        if has_word(&rel, &["stylesheet"]) {
            return;
        }
        if let Some((_, element)) = relations.into_iter().find(|(words, _)| has_word(&rel, words)) {
            self.link(tag, element, "href");
        }
    }

    fn meta(&mut self, tag: &Tag<'a>) {
        let [Some(name), content] = tag.values(["name", "content"]) else { return };
        let name = name.trim();
        let concerns_us = name.eq_ignore_ascii_case("robots")
            || self.scanner.robot.as_ref().is_some_and(|robot| name.eq_ignore_ascii_case(robot));
        if concerns_us {
            self.robots.add(&content.unwrap_or_default());
        }
    }

    fn link(&mut self, tag: &Tag<'a>, element: LinkElement, attribute: &str) {
        if !self.scanner.elements.contains(element) {
            return;
        }
        let [Some(value), rel] = tag.values([attribute, "rel"]) else { return };
        let href = without_fragment(value);
        if href.is_empty() {
            return;
        }
        let nofollow = rel.is_some_and(|rel| has_word(&rel, &["nofollow", "ugc", "sponsored"]));
        if let Some(known) = self.links.get_mut(&href) {
            known.nofollow &= nofollow;
        } else if href.len() > MAX_URL_LENGTH {
            self.skipped.too_long += 1;
        } else if self.links.list.len() >= MAX_LINKS {
            self.skipped.over_limit += 1;
        } else {
            self.links.push(RawLink { href, nofollow, element });
        }
    }

    fn resolve(mut self, url: &Url) -> Scan {
        let base = base_url(self.base.as_deref(), url);
        let canonical = self.canonical.take().and_then(|href| http_url(&base, &href).ok());
        // Two texts may mean one URL. Of those the first stands, and is `nofollow` only if all are.
        let mut links = EachOnce::by(|link: &Link| link.url.as_str());
        links.list.reserve_exact(self.links.list.len());
        for RawLink { href, nofollow, element } in self.links.list {
            match http_url(&base, &href) {
                Ok(url) => match links.get_mut(url.as_str()) {
                    Some(known) => known.nofollow &= nofollow,
                    None => links.push(Link { url, nofollow, element }),
                },
                Err(NoLink::OtherScheme) => self.skipped.other_scheme += 1,
                Err(NoLink::Unreadable) => self.skipped.unreadable += 1,
                Err(NoLink::TooLong) => self.skipped.too_long += 1,
            }
        }
        Scan {
            title: self.title.filter(|title| !title.is_empty()),
            base,
            links: links.list,
            robots: self.robots,
            canonical,
            skipped: self.skipped,
        }
    }
}

/// Drops the fragment and the white space around, which are no part of what is asked for.
fn without_fragment(value: Cow<'_, str>) -> Cow<'_, str> {
    fn cut(value: &str) -> &str {
        let end = memchr(b'#', value.as_bytes()).unwrap_or(value.len());
        value.get(..end).unwrap_or_default().trim_matches(|c: char| c <= ' ')
    }
    match value {
        Cow::Borrowed(value) => Cow::Borrowed(cut(value)),
        Cow::Owned(value) => Cow::Owned(cut(&value).to_owned()),
    }
}

/// Whether one of `words` is among the words of `list`, whatever their case.
fn has_word(list: &str, words: &[&str]) -> bool {
    list.split_ascii_whitespace().any(|item| words.iter().any(|word| item.eq_ignore_ascii_case(word)))
}

/// Returns what the page's URLs are relative to (WHATWG HTML §4.2.3, "frozen base URL").
fn base_url(href: Option<&str>, url: &Url) -> Url {
    let stated = href.filter(|href| href.len() <= MAX_URL_LENGTH).and_then(|href| url.join(href).ok());
    // `data:` and `javascript:` URLs are no base.
    let mut base = stated.filter(|base| !base.cannot_be_a_base()).unwrap_or_else(|| url.clone());
    base.set_fragment(None);
    base
}

/// Why an `href` is no link.
enum NoLink {
    OtherScheme,
    Unreadable,
    TooLong,
}

fn http_url(base: &Url, href: &str) -> Result<Url, NoLink> {
    let mut url = base.join(href).map_err(|_| NoLink::Unreadable)?;
    if url.fragment().is_some() {
        url.set_fragment(None);
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(NoLink::OtherScheme);
    }
    if url.as_str().len() > MAX_URL_LENGTH { Err(NoLink::TooLong) } else { Ok(url) }
}

/// Links in their order, no two with the same text. Finds them by places in the list, so that no text is kept twice.
struct EachOnce<L> {
    list: Vec<L>,
    places: HashTable<usize>,
    hashes: DefaultHashBuilder,
    text: fn(&L) -> &str,
}

/// Room for the links of most pages, as many as a table with 64 places takes before it grows.
const USUAL_LINKS: usize = 56;

impl<L> EachOnce<L> {
    fn by(text: fn(&L) -> &str) -> Self {
        let places = HashTable::with_capacity(USUAL_LINKS);
        Self { list: Vec::new(), places, hashes: DefaultHashBuilder::default(), text }
    }

    fn get_mut(&mut self, text: &str) -> Option<&mut L> {
        let has_text = |at: &usize| self.list.get(*at).is_some_and(|link| (self.text)(link) == text);
        let at = *self.places.find(self.hashes.hash_one(text), has_text)?;
        self.list.get_mut(at)
    }

    /// Adds a link with a text that no other has.
    fn push(&mut self, link: L) {
        let hash = self.hashes.hash_one((self.text)(&link));
        let hash_at = |at: &usize| self.list.get(*at).map_or(0, |link| self.hashes.hash_one((self.text)(link)));
        self.places.insert_unique(hash, self.list.len(), hash_at);
        self.list.push(link);
    }
}
