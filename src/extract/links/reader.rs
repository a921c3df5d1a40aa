//! Reader: collects the content of a page's tags, and resolves its URLs at the end. Knows no tokenizer.

use std::{borrow::Cow, time::Duration};

use encoding_rs::Encoding;
use memchr::memchr;
use url::Url;

use super::{
    Link, LinkElement, MAX_TITLE_LENGTH, MetaRobots, Scan, Scanner, Skipped,
    each_once::{Beyond, EachOnce},
};
use crate::extract::{
    context::Syntax,
    reference::resolve_from,
    refresh::{self, Refresh},
    text::collapsed,
    tokens::{Tag, Text},
};

/// What the value of a refresh has beside its URL, in bytes: a delay, quotes and spaces.
const MAX_AROUND_REFRESH: usize = 64;

/// The content read so far. URLs are resolved at the end, since a `<base>` also applies to the links before it.
pub(super) struct Reader<'a> {
    scanner: &'a Scanner,
    in_title: bool,
    inert: Inert,
    title: Option<String>,
    base: Option<Cow<'a, str>>,
    canonical: Option<Cow<'a, str>>,
    refresh: Option<(Duration, String)>,
    robots: MetaRobots,
    /// By `href`, since navigation repeats the same few links.
    links: EachOnce<RawLink<'a>>,
    beyond: Beyond,
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
}

impl<'a> Reader<'a> {
    pub fn new(scanner: &'a Scanner) -> Self {
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
            beyond: Beyond::default(),
            skipped: Skipped::default(),
        }
    }

    /// Reads a start tag. `is_html` is false in SVG and MathML, where only `a` links, as in browsers.
    #[inline]
    pub fn start(&mut self, tag: &Tag<'a>, is_html: bool) {
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
        } else if matches!(tag.name.len(), 5 | 6 | 8) && !tag.self_closing {
            self.open_inert(tag);
        }
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
        let relations = [
            (&["next"] as &[_], LinkElement::Next),
            (&["prev", "previous"], LinkElement::Prev),
            (&["alternate"], LinkElement::Alternate),
        ];
        // `<link rel="alternate stylesheet">` is a style sheet.
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

    fn link(&mut self, tag: &Tag<'a>, element: LinkElement, attribute: &str) {
        if !self.scanner.elements.contains(element) {
            return;
        }
        let [Some(value), rel] = tag.values([attribute, "rel"]) else { return };
        let nofollow = rel.is_some_and(|rel| has_word(&rel, &["nofollow", "ugc", "sponsored"]));
        self.reference(value, nofollow, element);
    }

    fn reference(&mut self, value: Cow<'a, str>, nofollow: bool, element: LinkElement) {
        let href = without_fragment(value);
        if href.is_empty() || !self.scanner.elements.contains(element) {
            return;
        }
        if let Some(known) = self.links.get_mut(&href) {
            known.nofollow &= nofollow;
        } else if href.len() > self.scanner.max_url_length {
            self.skipped.too_long += usize::from(self.beyond.is_new(&href));
        } else if self.links.list.len() >= self.scanner.max_links {
            self.skipped.over_limit += usize::from(self.beyond.is_new(&href));
        } else {
            self.links.push(RawLink { href, nofollow, element });
        }
    }

    pub fn resolve(mut self, url: &Url) -> Scan {
        let Scanner { charset, max_url_length, .. } = *self.scanner;
        let (base, is_cut) = base_url(self.base.as_deref(), url, charset, max_url_length);
        let http_url = |href: &str| {
            if is_cut && begins_with_path_of_base(href) {
                return Err(NoLink::TooLong);
            }
            http_url(&base, href, charset, max_url_length)
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
        // Two texts may resolve to one URL. The first is kept, and is `nofollow` only if all are.
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

/// Tells whether one of `words` occurs in `list`, ignoring case.
fn has_word(list: &str, words: &[&str]) -> bool {
    list.split_ascii_whitespace().any(|item| words.iter().any(|word| item.eq_ignore_ascii_case(word)))
}

/// Returns what the page's URLs are relative to (HTML standard, §4.2.3, "frozen base URL"), and whether its path was cut
/// off: one that is too long would be repeated in each link.
fn base_url(href: Option<&str>, url: &Url, charset: &'static Encoding, max_url_length: usize) -> (Url, bool) {
    let stated = href.and_then(|href| resolve_from(url, href, charset).ok());
    // `data:` and `javascript:` URLs cannot be a base.
    let mut base = stated.filter(|base| !base.cannot_be_a_base()).unwrap_or_else(|| url.clone());
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
    !href.starts_with(['/', '\\']) && Url::parse(href) == Err(url::ParseError::RelativeUrlWithoutBase)
}

/// Why an `href` yields no link.
enum NoLink {
    OtherScheme,
    Unreadable,
    TooLong,
}

fn http_url(base: &Url, href: &str, charset: &'static Encoding, max_url_length: usize) -> Result<Url, NoLink> {
    let mut url = resolve_from(base, href, charset).map_err(|_| NoLink::Unreadable)?;
    if url.fragment().is_some() {
        url.set_fragment(None);
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(NoLink::OtherScheme);
    }
    if url.as_str().len() > max_url_length { Err(NoLink::TooLong) } else { Ok(url) }
}
