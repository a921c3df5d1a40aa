//! Links: what a page points to, and what it says of itself (title, base, robots rules, canonical URL, refresh).
//! Reads the page's tokens once and builds no tree. Knows no scope and no robots.txt: whether a link is followed is
//! decided elsewhere.

mod each_once;
mod reader;

use encoding_rs::{Encoding, UTF_8};
use url::Url;

use self::reader::Reader;
use super::{
    context::{PageTokens, Syntax},
    reference::query_charset,
    refresh::Refresh,
    tokens::Token,
};

/// The most links that are read from one page by default. The largest index pages (sitemaps in HTML) have some
/// thousands; [`Skipped::over_limit`] counts the rest.
pub const MAX_LINKS: usize = 10_000;

/// The longest URL that is taken from a page by default, in bytes: the limit of sitemaps.org. With [`MAX_LINKS`] it
/// bounds what one page can cost, since a long `<base>` is repeated in every link. [`Skipped::too_long`] counts what is
/// longer. A crawl whose scope takes longer URLs reads them, too.
pub const MAX_URL_LENGTH: usize = 2_048;

/// The longest title that is kept, in characters. Search engines show the first 60 or so.
pub const MAX_TITLE_LENGTH: usize = 1_000;

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
    /// over, as in Scrapy: it leads to a notice for browsers without scripts, and away from the page. It is a link.
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
    /// Where the page sends its readers: the `Refresh` header, or `<meta http-equiv=refresh>`.
    Refresh,
}

/// A set of [`LinkElement`]s. The default is `a` and `area`, as in Scrapy's `LinkExtractor`, and where the page sends its
/// readers.
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
        Self::NONE.with(LinkElement::A).with(LinkElement::Area).with(LinkElement::Refresh)
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
    /// Longer than [`MAX_URL_LENGTH`], or than [`Scanner::max_url_length`] allows.
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
    max_url_length: usize,
    charset: &'static Encoding,
    syntax: Syntax,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            elements: LinkSet::default(),
            robot: None,
            max_links: MAX_LINKS,
            max_url_length: MAX_URL_LENGTH,
            charset: UTF_8,
            syntax: Syntax::Html,
        }
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

    /// Takes URLs of at most so many bytes; [`Skipped::too_long`] counts the others.
    #[must_use]
    pub fn max_url_length(mut self, bytes: usize) -> Self {
        self.max_url_length = bytes;
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

    /// Adds where the page sends its readers, if that is read as a link and is none yet.
    pub(crate) fn add_refresh(&self, scan: &mut Scan, url: Url) {
        if !self.elements.contains(LinkElement::Refresh) || scan.links.iter().any(|link| link.url == url) {
        } else if url.as_str().len() > self.max_url_length {
            scan.skipped.too_long += 1;
        } else if scan.links.len() >= self.max_links {
            scan.skipped.over_limit += 1;
        } else {
            scan.links.push(Link { url, nofollow: false, element: LinkElement::Refresh });
        }
    }

    /// Reads the page `page` that came from `url`.
    ///
    /// Never fails: of broken markup it reads what a browser would. Takes time linear in the page's length; what it
    /// returns is bounded by [`Scanner::max_links`], [`Scanner::max_url_length`] and [`MAX_TITLE_LENGTH`]. Links in comments and
    /// scripts do not count; those in `noscript` and `template` do.
    pub fn scan(&self, page: &str, url: &Url) -> Scan {
        let mut reader = Reader::new(self);
        let mut tokens = PageTokens::new(page, self.syntax);
        while let Some(token) = tokens.next() {
            match token {
                Token::Start(tag) => reader.start(&tag, tokens.is_html()),
                Token::Text(text) if reader.in_title() => reader.title(text),
                Token::End(tag) => reader.end(&tag),
                Token::Text(_) | Token::Doctype(_) | Token::Comment(_) => {}
            }
        }
        reader.resolve(url)
    }
}
