//! Links: the links and metadata of a page (title, base, robots rules, canonical URL, refresh). Reads the page's tokens
//! once and builds no tree. Does not decide whether a link is followed.

mod each_once;
mod reader;
mod sources;

use std::sync::Arc;

use encoding_rs::{Encoding, UTF_8};
use url::Url;

use self::reader::LinkReader;
pub(crate) use self::sources::{NOFOLLOW, has_word, references};
use super::{
    context::Syntax, meta_robots::MetaRobots, page_tokens::PageTokens, reference::query_charset, refresh::Refresh,
    tokens::Token,
};

/// The default limit on links from one page. The largest index pages (sitemaps in HTML) have some thousands;
/// [`Skipped::over_limit`] counts the rest.
pub const MAX_LINKS: usize = 10_000;

/// The longest URL that is taken from a page by default, in bytes: the limit of sitemaps.org. With [`MAX_LINKS`] it
/// bounds what one page can cost, since a long `<base>` is repeated in every link. [`Skipped::too_long`] counts what is
/// longer. A crawl whose scope takes longer URLs reads them, too.
pub const MAX_URL_LENGTH: usize = 2_048;

/// The longest title, in characters; the rest is cut off. Search engines show about 60.
pub const MAX_TITLE_LENGTH: usize = 1_000;

/// What [`scan`] found on a page.
///
/// ```
/// use actix_crawler::extract::scan;
///
/// let page = scan("<title>Shop</title><a href=/1>one</a><a href=/1#top>again</a>", &"https://e.org/".parse()?);
/// assert_eq!((page.title.as_deref(), page.links.len()), (Some("Shop"), 1));
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The text of the first `<title>`, white space collapsed; `None` if there is none.
    pub title: Option<String>,
    /// The base of relative URLs: the first `<base href>`, or else the page's own URL.
    pub base: Url,
    /// The links in the page's order, each URL once, without fragments.
    pub links: Vec<Link>,
    /// The rules of `<meta name=robots>`.
    pub robots: MetaRobots,
    /// The first `<link rel=canonical>`.
    pub canonical: Option<Url>,
    /// Where the first `<meta http-equiv=refresh>` that names a page sends its readers. One within `noscript` is passed
    /// over, as in Scrapy: it leads to a notice for browsers without scripts, and away from the page. It is a link.
    pub refresh: Option<Refresh>,
    /// The number of references not in `links`, by reason.
    pub skipped: Skipped,
}

/// A link from a page to another.
///
/// ```
/// use actix_crawler::extract::{LinkElement, scan};
///
/// let page = scan("<a href=/ad rel=sponsored>ad</a>", &"https://e.org/".parse()?);
/// let link = &page.links[0];
/// assert_eq!((link.url.path(), link.nofollow, link.element), ("/ad", true, LinkElement::A));
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Absolute, `http` or `https`, without fragment.
    pub url: Url,
    /// Whether every link of the page to this URL has `nofollow`, `ugc` or `sponsored`.
    pub nofollow: bool,
    /// The element of the link; the first, if there are several.
    pub element: LinkElement,
    /// Where in the page its tag stands, in bytes; `None` if it has none.
    pub(crate) at: Option<usize>,
}

/// The elements that can have links.
///
/// ```
/// use actix_crawler::extract::{LinkElement, LinkSet, Scanner};
///
/// let set = LinkSet::default().with(LinkElement::Iframe);
/// let page = Scanner::default().elements(set).scan("<iframe src=/map></iframe>", &"https://e.org/".parse()?);
/// assert_eq!(page.links[0].element, LinkElement::Iframe);
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LinkElement {
    /// `<a href>`; within SVG also `xlink:href`, its name in SVG 1.1.
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
    /// `<link rel=canonical href>`
    Canonical,
    /// `<img src srcset>`
    Image,
    /// `<source src srcset>`, in `picture`, `video` and `audio`.
    Source,
    /// `<script src>`
    Script,
    /// `<link rel=stylesheet href>`
    Stylesheet,
    /// `<form action>` whose method is GET, without the query, which the fields make.
    Form,
}

/// A set of [`LinkElement`]s. The default is `a` and `area`, as in Scrapy's `LinkExtractor`, and where the page sends
/// its readers.
///
/// ```
/// use actix_crawler::extract::{LinkElement, LinkSet};
///
/// let set = LinkSet::from([LinkElement::Next]);
/// assert!(set.contains(LinkElement::Next) && !set.contains(LinkElement::A));
/// assert!(LinkSet::default().contains(LinkElement::Area));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSet(u16);

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

impl<const N: usize> From<[LinkElement; N]> for LinkSet {
    fn from(elements: [LinkElement; N]) -> Self {
        elements.into_iter().fold(Self::NONE, Self::with)
    }
}

impl From<LinkElement> for LinkSet {
    fn from(element: LinkElement) -> Self {
        Self::NONE.with(element)
    }
}

impl Default for LinkSet {
    fn default() -> Self {
        Self::NONE.with(LinkElement::A).with(LinkElement::Area).with(LinkElement::Refresh)
    }
}

/// The number of references that are not returned, by reason. Fragments of the page itself are not counted.
///
/// ```
/// use actix_crawler::extract::scan;
///
/// let page = scan("<a href=mailto:me@e.org>write</a><a href='http://['>broken</a>", &"https://e.org/".parse()?);
/// assert_eq!((page.skipped.other_scheme, page.skipped.unreadable, page.skipped.over_bounds()), (1, 1, 0));
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Not `http` or `https`: `mailto:`, `javascript:`, `tel:`, `data:`, ….
    pub other_scheme: usize,
    /// Not a valid URL, such as `http://[`.
    pub unreadable: usize,
    /// Longer than [`MAX_URL_LENGTH`], or than [`Scanner::max_url_length`] allows.
    pub too_long: usize,
    /// Beyond the first [`MAX_LINKS`], or the limit of [`Scanner::max_links`].
    pub over_limit: usize,
}

impl Skipped {
    /// Returns how many links are missing only because of a bound; other skipped references lead to no pages.
    pub fn over_bounds(self) -> usize {
        self.too_long + self.over_limit
    }
}

/// Scans the page `html` from `url`, with the default [`Scanner`].
pub fn scan(html: &str, url: &Url) -> Scan {
    Scanner::default().scan(html, url)
}

/// Configures which links are read from pages.
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
    robot: Option<Arc<str>>,
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
    /// Reads only links of these elements.
    #[must_use]
    pub fn elements(mut self, elements: LinkSet) -> Self {
        self.elements = elements;
        self
    }

    /// Returns the elements whose links are read.
    pub(crate) fn set(&self) -> LinkSet {
        self.elements
    }

    /// Returns the robot whose meta tags are obeyed beside those for all.
    pub(crate) fn robot_name(&self) -> Option<&str> {
        self.robot.as_deref()
    }

    /// Also obeys `<meta name=ROBOT>` and the rules for it in `X-Robots-Tag`; `name` is a robots.txt product token.
    #[must_use]
    pub fn robot(mut self, name: impl Into<String>) -> Self {
        self.robot = Some(name.into().into());
        self
    }

    /// Sets the most distinct links from a page; [`Skipped::over_limit`] counts the rest.
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

    /// Sets the charset for the queries of links, which is the page's own. UTF-8 by default.
    #[must_use]
    pub fn charset(mut self, name: &str) -> Self {
        self.charset = query_charset(name);
        self
    }

    /// Sets the syntax of pages.
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
            scan.links.push(Link { url, nofollow: false, element: LinkElement::Refresh, at: None });
        }
    }

    /// Scans the page `page` from `url`.
    ///
    /// Never fails: of broken markup it reads what a browser would. Takes time linear in the page's length; what it
    /// returns is bounded by [`Scanner::max_links`], [`Scanner::max_url_length`] and [`MAX_TITLE_LENGTH`]. Links in
    /// comments and scripts do not count; those in `noscript` and `template` do. Beside a frameset, only frames and the
    /// page's head do.
    pub fn scan(&self, page: &str, url: &Url) -> Scan {
        let mut reader = LinkReader::new(self);
        let mut tokens = PageTokens::new(page, self.syntax);
        loop {
            let unread = tokens.unread();
            let Some(token) = tokens.next() else { break };
            match token {
                Token::Start(tag) => {
                    reader.start(&tag, tokens.namespace(), page.len() - unread);
                    if let Some(body) = tokens.take_replaced_body() {
                        reader.begin_frames(body);
                    }
                }
                Token::Text(text) if reader.in_title() => reader.title(text),
                Token::End(tag) => reader.end(&tag),
                Token::Text(_) | Token::Doctype(_) | Token::Comment(_) => {}
            }
        }
        reader.resolve(url)
    }
}
