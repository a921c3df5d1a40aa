//! LinkReader: collects the content of a page's tags, and resolves its URLs at the end. Knows no tokenizer.

use std::{borrow::Cow, time::Duration};

use encoding_rs::Encoding;
use memchr::memchr;
use url::{ParseError, Position, Url};

use super::{
    Link, LinkElement, MAX_TITLE_LENGTH, Scan, Scanner, Skipped,
    each_once::{EachOnce, HashedTexts},
    sources::{NOFOLLOW, has_word, references, relation},
};
use crate::extract::{
    context::Syntax,
    meta_robots::MetaRobots,
    namespaces::Namespace,
    reference::{References, resolve_from},
    refresh::{self, Refresh},
    text::collapsed,
    tokens::{Tag, Text},
};

/// What the value of a refresh has beside its URL, in bytes: a delay, quotes and spaces.
const MAX_AROUND_REFRESH: usize = 64;

/// The content read so far. URLs are resolved at the end, since a `<base>` also applies to the links before it.
pub(super) struct LinkReader<'a> {
    scanner: &'a Scanner,
    /// Whether elements link that load or send something.
    has_resources: bool,
    /// Where the last tag stands in the page.
    at: usize,
    in_title: bool,
    /// Whether the page is a frameset.
    in_frames: bool,
    inert: Inert,
    title: Option<String>,
    base: Option<Cow<'a, str>>,
    canonical: Option<Cow<'a, str>>,
    refresh: Option<(Duration, String)>,
    robots: MetaRobots,
    /// By `href`, since navigation repeats the same few links.
    links: EachOnce<RawLink<'a>>,
    /// The first link without a URL, as `#top`: it leads to the base, which is another page where there is a `<base>`.
    to_base: Option<RawLink<'a>>,
    beyond: HashedTexts,
    skipped: Skipped,
}

/// The open elements within which the page's metadata is ignored.
#[derive(Default)]
struct Inert {
    /// The depth of nested templates: their content is not part of the document (HTML standard, §4.12.3).
    templates: usize,
    noscript: bool,
    /// A script or a style in XML, where its content is markup; in HTML it is text.
    script: bool,
}

/// A link with an unresolved URL.
struct RawLink<'a> {
    href: Cow<'a, str>,
    nofollow: bool,
    element: LinkElement,
    at: usize,
}

/// Elements that load or send something, whose links are read only where asked.
const RESOURCES: [LinkElement; 4] = [LinkElement::Image, LinkElement::Source, LinkElement::Script, LinkElement::Form];

impl<'a> LinkReader<'a> {
    pub fn new(scanner: &'a Scanner) -> Self {
        Self {
            scanner,
            has_resources: RESOURCES.iter().any(|element| scanner.elements.contains(*element)),
            at: 0,
            in_title: false,
            in_frames: false,
            inert: Inert::default(),
            title: None,
            base: None,
            canonical: None,
            refresh: None,
            robots: MetaRobots::default(),
            links: EachOnce::by(|link| &link.href),
            to_base: None,
            beyond: HashedTexts::default(),
            skipped: Skipped::default(),
        }
    }

    /// Reads the start tag at byte `at`. In SVG and MathML only `a` links, as in browsers, and in other namespaces
    /// nothing.
    #[inline]
    pub fn start(&mut self, tag: &Tag<'a>, namespace: Namespace, at: usize) {
        self.in_title = false;
        self.at = at;
        if self.inert.script {
            return;
        }
        // By length first: called for every start tag, mostly without a match.
        match tag.name.len() {
            1 if tag.is("a") && namespace == Namespace::Svg => self.svg_link(tag),
            1 if tag.is("a") && namespace != Namespace::Other => self.link(tag, LinkElement::A, "href"),
            _ if namespace != Namespace::Xhtml => {}
            4 if tag.is("area") => self.link(tag, LinkElement::Area, "href"),
            4 if tag.is("link") => self.relation(tag),
            4 if tag.is("meta") => self.meta(tag),
            4 if tag.is("base") => {
                if self.inert.templates == 0 {
                    self.base = self.base.take().or_else(|| tag.attribute("href"));
                }
            }
            5 if tag.is("title") => {
                self.in_title = self.title.is_none() && !tag.self_closing && self.inert.templates == 0;
            }
            // Outside a frameset it is ignored (HTML §13.2.6.4.7).
            5 if self.in_frames && tag.is("frame") => self.link(tag, LinkElement::Frame, "src"),
            6 if tag.is("iframe") => self.link(tag, LinkElement::Iframe, "src"),
            length => {
                if self.has_resources {
                    self.resource(tag);
                }
                if matches!(length, 5 | 6 | 8) && !tag.self_closing {
                    self.open_inert(tag);
                }
            }
        }
    }

    /// Forgets the links of a body that a frameset has replaced; it began at byte `body`.
    #[cold]
    pub fn begin_frames(&mut self, body: usize) {
        self.in_frames = true;
        self.to_base = self.to_base.take().filter(|link| link.at < body);
        let links = std::mem::replace(&mut self.links, EachOnce::by(|link| &link.href));
        for link in links.list.into_iter().filter(|link| link.at < body) {
            if let Err(new) = self.links.find(&link.href) {
                self.links.push(new, link);
            }
        }
    }

    /// Reads the references of an element that loads or sends something. Kept out of the loop, which seldom needs it.
    #[cold]
    fn resource(&mut self, tag: &Tag<'a>) {
        let attribute = |name: &str| tag.attribute(name);
        references(self.scanner.elements, tag.name, attribute, |element, value| self.reference(value, false, element));
    }

    #[inline]
    fn open_inert(&mut self, tag: &Tag<'a>) {
        match tag.name.len() {
            8 if tag.is("template") => self.inert.templates += 1,
            8 if tag.is("noscript") => self.inert.noscript = true,
            5 | 6 if self.scanner.syntax == Syntax::Xml => self.inert.script = tag.is_one_of(&["script", "style"]),
            _ => {}
        }
    }

    #[inline]
    pub fn end(&mut self, tag: &Tag<'a>) {
        self.in_title = false;
        match tag.name.len() {
            8 if tag.is("template") => self.inert.templates = self.inert.templates.saturating_sub(1),
            8 if tag.is("noscript") => self.inert.noscript = false,
            5 | 6 if self.inert.script => self.inert.script = !tag.is_one_of(&["script", "style"]),
            _ => {}
        }
    }

    /// Tells whether the next text belongs to the page's title.
    pub fn in_title(&self) -> bool {
        self.in_title
    }

    /// Adds text to the first `<title>`; in XML it may come in pieces.
    pub fn title(&mut self, text: Text<'a>) {
        self.title.get_or_insert_default().push_str(&text.decoded());
        self.in_title = true;
    }

    fn relation(&mut self, tag: &Tag<'a>) {
        let [Some(rel), href] = tag.values(["rel", "href"]) else { return };
        if has_word(&rel, &["canonical"]) && self.inert.templates == 0 {
            self.canonical = self.canonical.take().or(href);
        }
        if let Some(element) = relation(&rel) {
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
        if http_equiv.is_some_and(|pragma| pragma.eq_ignore_ascii_case("refresh")) {
            self.refresh(&content);
        }
    }

    fn refresh(&mut self, content: &str) {
        if content.len() > self.scanner.max_url_length.saturating_add(MAX_AROUND_REFRESH) {
            self.skipped.too_long += 1;
            return;
        }
        match refresh::parse(content) {
            Some((_, reference)) if self.inert.noscript => {
                self.reference(reference.to_owned().into(), false, LinkElement::Refresh);
            }
            Some((delay, reference)) if self.refresh.is_none() => self.refresh = Some((delay, reference.to_owned())),
            Some(_) | None => {}
        }
    }

    /// Reads a link of SVG: browsers take the old name of its attribute where it lacks the new one (SVG 2, §16.1.6).
    #[cold]
    fn svg_link(&mut self, tag: &Tag<'a>) {
        let [href, old] = tag.values(["href", "xlink:href"]);
        let attribute = if href.is_none() && old.is_some() { "xlink:href" } else { "href" };
        self.link(tag, LinkElement::A, attribute);
    }

    fn link(&mut self, tag: &Tag<'a>, element: LinkElement, attribute: &str) {
        if !self.scanner.elements.contains(element) {
            return;
        }
        let [Some(value), rel] = tag.values([attribute, "rel"]) else { return };
        let nofollow = rel.is_some_and(|rel| has_word(&rel, &NOFOLLOW));
        self.reference(value, nofollow, element);
    }

    fn reference(&mut self, value: Cow<'a, str>, nofollow: bool, element: LinkElement) {
        let is_empty = value.is_empty();
        let href = without_fragment(value);
        if !self.scanner.elements.contains(element) {
            return;
        }
        if href.is_empty() {
            // Other elements load nothing by an empty URL, and a form is then sent to the page itself.
            if !is_empty || matches!(element, LinkElement::A | LinkElement::Area) {
                let link = self.to_base.get_or_insert(RawLink { href, nofollow, element, at: self.at });
                link.nofollow &= nofollow;
            }
            return;
        }
        match self.links.find(&href) {
            Ok(known) => known.nofollow &= nofollow,
            Err(new) => {
                if href.len() > self.scanner.max_url_length {
                    self.skipped.too_long += usize::from(self.beyond.is_new(&href));
                } else if self.links.list.len() >= self.scanner.max_links {
                    self.skipped.over_limit += usize::from(self.beyond.is_new(&href));
                } else {
                    self.links.push(new, RawLink { href, nofollow, element, at: self.at });
                }
            }
        }
    }

    pub fn resolve(mut self, url: &Url) -> Scan {
        let Scanner { charset, max_url_length, .. } = *self.scanner;
        let (base, is_cut) = base_url(self.base.as_deref(), url, charset, max_url_length);
        let references = References::from(&base, charset);
        let http_url = |href: &str| {
            if is_cut && begins_with_path_of_base(href) {
                return Err(NoLink::TooLong);
            }
            http_url(references.resolve(href), max_url_length)
        };
        let canonical = self.canonical.take().and_then(|href| http_url(&href).ok());
        let refresh = match self.refresh.take().map(|(delay, href)| (delay, http_url(&href))) {
            Some((delay, Ok(url))) => Some(Refresh { delay, url }),
            Some((_, Err(NoLink::TooLong))) => {
                self.skipped.too_long += 1;
                None
            }
            Some((_, Err(NoLink::OtherScheme | NoLink::Unreadable))) | None => None,
        };
        if let Some(link) = self.to_base.take().filter(|_| base.as_str() != &url[..Position::AfterQuery]) {
            if self.links.list.len() >= self.scanner.max_links {
                self.skipped.over_limit += 1;
            } else {
                let place = self.links.list.partition_point(|before| before.at <= link.at);
                self.links.list.insert(place, link);
            }
        }
        // Two texts may resolve to one URL. The first is kept, and is `nofollow` only if all are.
        let mut links = EachOnce::with_room(self.links.list.len(), |link: &Link| link.url.as_str());
        for RawLink { href, nofollow, element, at } in self.links.list {
            match http_url(&href) {
                Ok(url) => match links.find(url.as_str()) {
                    Ok(known) => known.nofollow &= nofollow,
                    Err(new) => links.push(new, Link { url, nofollow, element, at: Some(at) }),
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

/// Removes the white space around a reference, and then its fragment. The space before the `#` of `page #top` belongs
/// to the path (URL standard, "basic URL parser"); there the `#` is kept, or the space would be at the end and be
/// removed.
fn without_fragment(value: Cow<'_, str>) -> Cow<'_, str> {
    fn cut(value: &str) -> &str {
        let value = value.trim_matches(|c: char| c <= ' ');
        let (before, _) =
            value.split_at_checked(memchr(b'#', value.as_bytes()).unwrap_or(value.len())).unwrap_or_default();
        if before.as_bytes().last().is_some_and(|&byte| byte <= b' ') {
            value.get(..=before.len()).unwrap_or_default()
        } else {
            before
        }
    }
    match value {
        Cow::Borrowed(value) => Cow::Borrowed(cut(value)),
        Cow::Owned(value) => Cow::Owned(cut(&value).to_owned()),
    }
}

/// Returns what the page's URLs are relative to (HTML standard, §4.2.3, "frozen base URL"), and whether its path was
/// cut off: one that is too long would be repeated in each link.
fn base_url(href: Option<&str>, url: &Url, charset: &'static Encoding, max_url_length: usize) -> (Url, bool) {
    let stated = href.and_then(|href| resolve_from(url, href, charset).ok());
    // A base of another scheme, as `mailto:`, is one, and no relative reference can be resolved against it.
    let mut base = stated.filter(|base| !matches!(base.scheme(), "data" | "javascript")).unwrap_or_else(|| url.clone());
    base.set_fragment(None);
    let is_cut = base.as_str().len() > max_url_length.max(url.as_str().len());
    if is_cut {
        base.set_path("/");
        base.set_query(None);
    }
    (base, is_cut)
}

/// Tells whether the URL of a reference begins with the path of the page's base, and so is at least as long.
fn begins_with_path_of_base(href: &str) -> bool {
    !href.starts_with(['/', '\\']) && Url::parse(href) == Err(ParseError::RelativeUrlWithoutBase)
}

/// Why an `href` yields no link.
enum NoLink {
    OtherScheme,
    Unreadable,
    TooLong,
}

fn http_url(resolved: Result<Url, ParseError>, max_url_length: usize) -> Result<Url, NoLink> {
    let mut url = resolved.map_err(|_| NoLink::Unreadable)?;
    if url.fragment().is_some() {
        url.set_fragment(None);
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(NoLink::OtherScheme);
    }
    if url.as_str().len() > max_url_length { Err(NoLink::TooLong) } else { Ok(url) }
}
