//! Links: what a page points to, and what it says of itself (title, base, robots rules, canonical URL, refresh).
//! Reads the page's tokens once and builds no tree. Knows no scope and no robots.txt: whether a link is followed is
//! decided elsewhere.

use std::{borrow::Cow, hash::BuildHasher, time::Duration};

use encoding_rs::{Encoding, UTF_8};
use hashbrown::{DefaultHashBuilder, HashTable};
use memchr::memchr;
use url::Url;

use super::{
    context::{PageTokens, Syntax},
    reference::{query_charset, resolve_from},
    refresh::{self, Refresh},
    text::collapsed,
    tokens::{Tag, Text, Token},
};

/// The most links that are read from one page by default. The largest index pages (sitemaps in HTML) have some
/// thousands; [`Skipped::over_limit`] counts the rest.
pub const MAX_LINKS: usize = 10_000;

/// The longest URL that is taken from a page, in bytes: the limit of sitemaps.org. With [`MAX_LINKS`] it bounds what one
/// page can cost, since a long `<base>` is repeated in every link. [`Skipped::too_long`] counts what is longer.
pub const MAX_URL_LENGTH: usize = 2_048;

/// The longest title that is kept, in characters. Search engines show the first 60 or so.
pub const MAX_TITLE_LENGTH: usize = 1_000;

/// The longest value of a refresh that is read, in bytes: a URL, its delay and its quotes.
const MAX_REFRESH_LENGTH: usize = MAX_URL_LENGTH + 64;

/// What [`scan`] found on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The text of the first `<title>`, white space collapsed; `None` if it has none.
    pub title: Option<String>,
    /// What relative URLs are relative to: the first `<base href>`, or else the page's own URL.
    pub base: Url,
    /// The links in the page's order, each URL once, without fragments.
    pub links: Vec<Link>,
    /// What `<meta name=robots>` asks.
    pub robots: MetaRobots,
    /// The first `<link rel=canonical>`.
    pub canonical: Option<Url>,
    /// Where the first `<meta http-equiv=refresh>` that names a page sends its readers. One within `noscript` is passed
    /// over, as in Scrapy: it leads to a notice for browsers without scripts, and away from the page.
    pub refresh: Option<Refresh>,
    /// How many references are not in `links`, by reason.
    pub skipped: Skipped,
}

/// A link from a page to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Absolute, `http` or `https`, without fragment.
    pub url: Url,
    /// Tells whether every link of the page to this URL says `nofollow`, `ugc` or `sponsored`.
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

    /// Tells whether `element` is in the set.
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

/// How many references were not taken, by reason. Fragments of the page itself are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Not `http` or `https`: `mailto:`, `javascript:`, `tel:`, `data:`, ….
    pub other_scheme: usize,
    /// No URL at all, such as `http://[`.
    pub unreadable: usize,
    /// Longer than [`MAX_URL_LENGTH`].
    pub too_long: usize,
    /// After the first [`MAX_LINKS`], or those that [`Scanner::max_links`] allows.
    pub over_limit: usize,
}

impl Skipped {
    /// Returns how many references a crawler would have followed but for a bound: these are lost, where the others are
    /// no pages.
    pub fn over_bounds(self) -> usize {
        self.too_long + self.over_limit
    }
}

/// Reads the page `html` that came from `url`, with the default [`Scanner`].
pub fn scan(html: &str, url: &Url) -> Scan {
    Scanner::default().scan(html, url)
}

/// Says which links to read from pages, and as whom.
///
/// ```
/// use actix_crawler::extract::Scanner;
///
/// let page = "https://e.org/a/".parse().unwrap();
/// let scan = Scanner::default().max_links(1).scan("<title>T</title><a href=b>1</a><a href=c>2</a>", &page);
/// assert_eq!(scan.links[0].url.as_str(), "https://e.org/a/b");
/// assert_eq!((scan.title.as_deref(), scan.skipped.over_limit), (Some("T"), 1));
/// ```
#[derive(Clone, Debug)]
pub struct Scanner {
    elements: LinkSet,
    robot: Option<String>,
    max_links: usize,
    charset: &'static Encoding,
    syntax: Syntax,
}

impl Default for Scanner {
    fn default() -> Self {
        Self { elements: LinkSet::default(), robot: None, max_links: MAX_LINKS, charset: UTF_8, syntax: Syntax::Html }
    }
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

    /// Reads at most so many different links from a page; [`Skipped::over_limit`] counts the rest.
    #[must_use]
    pub fn max_links(mut self, most: usize) -> Self {
        self.max_links = most;
        self
    }

    /// Encodes the queries of links in this charset, which the page was decoded from. By default UTF-8.
    #[must_use]
    pub fn charset(mut self, name: &str) -> Self {
        self.charset = query_charset(name);
        self
    }

    /// Reads pages by the rules of this syntax.
    #[must_use]
    pub fn syntax(mut self, syntax: Syntax) -> Self {
        self.syntax = syntax;
        self
    }

    /// Reads the page `page` that came from `url`.
    ///
    /// Never fails: of broken markup it reads what a browser would. Takes time linear in the page's length; what it
    /// returns is bounded by [`Scanner::max_links`], [`MAX_URL_LENGTH`] and [`MAX_TITLE_LENGTH`]. Links in comments and
    /// scripts do not count; those in `noscript` and `template` do.
    pub fn scan(&self, page: &str, url: &Url) -> Scan {
        let mut reader = Reader::new(self);
        let mut tokens = PageTokens::new(page, self.syntax);
        while let Some(token) = tokens.next() {
            match token {
                Token::Start(tag) => reader.start(&tag, tokens.is_html()),
                Token::Text(text) if reader.in_title => reader.title(text),
                Token::End(tag) => reader.end(&tag),
                Token::Text(_) | Token::Doctype(_) | Token::Comment(_) => {}
            }
        }
        reader.resolve(url)
    }
}

/// What has been read so far. URLs stay as the page has them until its end, since a `<base>` holds for the links before
/// it, too.
struct Reader<'a> {
    scanner: &'a Scanner,
    in_title: bool,
    inert: Inert,
    title: Option<String>,
    base: Option<Cow<'a, str>>,
    canonical: Option<Cow<'a, str>>,
    refresh: Option<(Duration, String)>,
    robots: MetaRobots,
    /// By their `href`: navigation repeats the same few on and on.
    links: EachOnce<RawLink<'a>>,
    skipped: Skipped,
}

/// The open elements within which a page says nothing of itself.
#[derive(Default)]
struct Inert {
    /// Templates within each other: what they hold is no part of the document (HTML standard, §4.12.3).
    templates: usize,
    noscript: bool,
    /// A script or a style in XML, where its content is markup. In HTML it is text.
    script: bool,
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
            inert: Inert::default(),
            title: None,
            base: None,
            canonical: None,
            refresh: None,
            robots: MetaRobots::default(),
            links: EachOnce::by(|link| &link.href),
            skipped: Skipped::default(),
        }
    }

    /// Reads a start tag, which `is_html` unless it is of SVG or MathML. There only `a` links, as in browsers.
    fn start(&mut self, tag: &Tag<'a>, is_html: bool) {
        self.in_title = false;
        if self.inert.script {
            return;
        }
        if tag.is("a") {
            self.link(tag, LinkElement::A, "href");
        } else if !is_html {
        } else if tag.is("area") {
            self.link(tag, LinkElement::Area, "href");
        } else if tag.is("link") {
            self.relation(tag);
        } else if tag.is("meta") {
            self.meta(tag);
        } else if tag.is("title") {
            self.in_title = self.title.is_none() && !tag.self_closing && self.inert.templates == 0;
        } else if tag.is("base") {
            if self.inert.templates == 0 {
                self.base = self.base.take().or_else(|| tag.attribute("href"));
            }
        } else if tag.is("iframe") {
            self.link(tag, LinkElement::Iframe, "src");
        } else if tag.is("frame") {
            self.link(tag, LinkElement::Frame, "src");
        } else if !tag.self_closing {
            self.open_inert(tag);
        }
    }

    fn open_inert(&mut self, tag: &Tag<'a>) {
        match tag.name.len() {
            8 if tag.is("template") => self.inert.templates += 1,
            8 if tag.is("noscript") => self.inert.noscript = true,
            5 | 6 if self.scanner.syntax == Syntax::Xml => self.inert.script = tag.is_one_of(&["script", "style"]),
            _ => {}
        }
    }

    fn end(&mut self, tag: &Tag<'a>) {
        self.in_title = false;
        match tag.name.len() {
            8 if tag.is("template") => self.inert.templates = self.inert.templates.saturating_sub(1),
            8 if tag.is("noscript") => self.inert.noscript = false,
            5 | 6 if self.inert.script => self.inert.script = !tag.is_one_of(&["script", "style"]),
            _ => {}
        }
    }

    /// Takes the text of the first `<title>`, which in XML may come in pieces.
    fn title(&mut self, text: Text<'a>) {
        self.title.get_or_insert_default().push_str(&text.decoded());
        self.in_title = true;
    }

    fn relation(&mut self, tag: &Tag<'a>) {
        let [Some(rel), href] = tag.values(["rel", "href"]) else { return };
        if has_word(&rel, &["canonical"]) && self.inert.templates == 0 {
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
        let [name, content, http_equiv] = tag.values(["name", "content", "http-equiv"]);
        let content = content.unwrap_or_default();
        if self.inert.templates > 0 {
            return;
        }
        if let Some(name) = name {
            let name = name.trim();
            let is_for = |robot: &str| name.eq_ignore_ascii_case(robot);
            if is_for("robots") || self.scanner.robot.as_deref().is_some_and(is_for) {
                self.robots.add(&content);
            }
        }
        let is_refresh = http_equiv.is_some_and(|pragma| pragma.eq_ignore_ascii_case("refresh"));
        if is_refresh && !self.inert.noscript && self.refresh.is_none() && content.len() <= MAX_REFRESH_LENGTH {
            self.refresh = refresh::parse(&content).map(|(delay, reference)| (delay, reference.to_owned()));
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
        } else if self.links.list.len() >= self.scanner.max_links {
            self.skipped.over_limit += 1;
        } else {
            self.links.push(RawLink { href, nofollow, element });
        }
    }

    fn resolve(mut self, url: &Url) -> Scan {
        let charset = self.scanner.charset;
        let base = base_url(self.base.as_deref(), url, charset);
        let http_url = |href: &str| http_url(&base, href, charset);
        let canonical = self.canonical.take().and_then(|href| http_url(&href).ok());
        let refresh = self.refresh.take().and_then(|(delay, href)| Some(Refresh { delay, url: http_url(&href).ok()? }));
        // Two texts may mean one URL. Of those the first stands, and is `nofollow` only if all are.
        let mut links = EachOnce::by(|link: &Link| link.url.as_str());
        links.list.reserve_exact(self.links.list.len());
        for RawLink { href, nofollow, element } in self.links.list {
            match http_url(&href) {
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
            title: self.title.map(|title| title_of(&title)).filter(|title| !title.is_empty()),
            base,
            links: links.list,
            robots: self.robots,
            canonical,
            refresh,
            skipped: self.skipped,
        }
    }
}

fn title_of(text: &str) -> String {
    collapsed(text).chars().take(MAX_TITLE_LENGTH).collect()
}

/// Drops the white space around a reference, and then its fragment. The space before the `#` of `page #top` belongs to
/// the path (URL standard, "basic URL parser"); there the `#` stays, or the space would stand at the end and be dropped.
fn without_fragment(value: Cow<'_, str>) -> Cow<'_, str> {
    fn cut(value: &str) -> &str {
        let is_dropped = |c: char| c <= ' ';
        let value = value.trim_matches(is_dropped);
        let (before, _) =
            value.split_at_checked(memchr(b'#', value.as_bytes()).unwrap_or(value.len())).unwrap_or_default();
        if before.ends_with(is_dropped) { value.get(..=before.len()).unwrap_or_default() } else { before }
    }
    match value {
        Cow::Borrowed(value) => Cow::Borrowed(cut(value)),
        Cow::Owned(value) => Cow::Owned(cut(&value).to_owned()),
    }
}

/// Tells whether one of `words` is among the words of `list`, whatever their case.
fn has_word(list: &str, words: &[&str]) -> bool {
    list.split_ascii_whitespace().any(|item| words.iter().any(|word| item.eq_ignore_ascii_case(word)))
}

/// Returns what the page's URLs are relative to (HTML standard, §4.2.3, "frozen base URL").
fn base_url(href: Option<&str>, url: &Url, charset: &'static Encoding) -> Url {
    let stated =
        href.filter(|href| href.len() <= MAX_URL_LENGTH).and_then(|href| resolve_from(url, href, charset).ok());
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

fn http_url(base: &Url, href: &str, charset: &'static Encoding) -> Result<Url, NoLink> {
    let mut url = resolve_from(base, href, charset).map_err(|_| NoLink::Unreadable)?;
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
