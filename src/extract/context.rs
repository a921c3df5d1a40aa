//! Context: where in a page markup is not markup, as a tree builder would tell the tokenizer, but without a tree.
//! Knows the elements whose content is plain text, and SVG and MathML, where it is not.
//!
//! The standard decides it by the stack of open elements. Here only the borders between HTML and foreign content are
//! kept, which gives the same answer for every page whose SVG is closed.

use super::tokens::{Content, Tag, Token, Tokens};

/// The rules by which a page is read.
///
/// ```
/// use actix_crawler::extract::{Document, Syntax};
///
/// let page = "<p><b/>text</p>";
/// assert_eq!(Document::parse_in(page, Syntax::Html).text_of("b")?, "text");
/// assert_eq!(Document::parse_in(page, Syntax::Xml).text_of("b")?, "");
/// # Ok::<(), actix_crawler::extract::SelectorError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Syntax {
    /// HTML: the slash of `<script/>` means nothing, and scripts, styles and titles are plain text.
    #[default]
    Html,
    /// XHTML, which is XML: every element may close itself, and every element's content is markup.
    Xml,
}

/// The namespace of XHTML elements.
const XHTML: &str = "http://www.w3.org/1999/xhtml";

/// Tells whether the root element of an XML document is in the XHTML namespace, so that it is a page.
pub(crate) fn is_xhtml(xml: &str) -> bool {
    let root = Tokens::new(xml).find_map(|token| if let Token::Start(tag) = token { Some(tag) } else { None });
    root.is_some_and(|root| namespace(&root).as_deref() == Some(XHTML))
}

/// Returns the namespace that a root element declares for itself.
fn namespace<'a>(root: &Tag<'a>) -> Option<std::borrow::Cow<'a, str>> {
    match root.name.split_once(':') {
        Some((prefix, _)) => root.attribute(&format!("xmlns:{prefix}")),
        None => root.attribute("xmlns"),
    }
}

/// The tokens of a whole page, read front to back with the context kept.
///
/// Tags of HTML elements come as self-closing in XML only: in HTML the slash means nothing there.
#[derive(Clone, Debug)]
pub(super) struct PageTokens<'a> {
    tokens: Tokens<'a>,
    syntax: Syntax,
    context: Context<'a>,
    /// What stands before the names of XHTML elements: `h:` in `<h:html xmlns:h="…">`. Known once the root was read.
    prefix: Option<&'a str>,
    is_html: bool,
}

impl<'a> PageTokens<'a> {
    /// Begins at the start of `page`.
    pub fn new(page: &'a str, syntax: Syntax) -> Self {
        let mut tokens = Tokens::new(page);
        tokens.allow_cdata(syntax == Syntax::Xml);
        Self { tokens, syntax, context: Context::default(), prefix: None, is_html: true }
    }

    /// Tells whether the last token stands within SVG or MathML.
    pub fn in_foreign(&self) -> bool {
        self.context.is_foreign()
    }

    /// Tells whether the last start tag is of an HTML element, and not of SVG or MathML.
    pub fn is_html(&self) -> bool {
        self.is_html
    }

    /// Reads a start tag in XML: no name says how the text that follows is to be read. Kept out of the loop over HTML,
    /// which is slower with it.
    #[cold]
    #[inline(never)]
    fn start_in_xml(&mut self, mut tag: Tag<'a>) -> Tag<'a> {
        let prefix = *self.prefix.get_or_insert_with(|| {
            let is_prefixed = namespace(&tag).as_deref() == Some(XHTML);
            tag.name.split_once(':').filter(|_| is_prefixed).map_or("", |(prefix, _)| prefix)
        });
        tag.name = without_prefix(tag.name, prefix);
        let foreign = self.context.is_foreign();
        let border = self.context.border_at(&tag);
        self.is_html = !foreign && border.is_none();
        if let (Some(border), false) = (border, tag.self_closing) {
            self.context.borders.push(border);
        }
        tag
    }
}

/// Returns the local name of an element whose name begins with `prefix:`, and other names as they are.
fn without_prefix<'a>(name: &'a str, prefix: &str) -> &'a str {
    match name.strip_prefix(prefix) {
        Some(rest) if !prefix.is_empty() => rest.strip_prefix(':').unwrap_or(name),
        _ => name,
    }
}

impl<'a> Iterator for PageTokens<'a> {
    type Item = Token<'a>;

    #[inline]
    fn next(&mut self) -> Option<Token<'a>> {
        let token = match self.tokens.next()? {
            Token::Start(tag) if self.syntax == Syntax::Xml => return Some(Token::Start(self.start_in_xml(tag))),
            Token::Start(tag) => {
                let (tag, content, is_html) = self.context.start(tag);
                self.tokens.expect(content, tag);
                self.is_html = is_html;
                Token::Start(tag)
            }
            Token::End(mut tag) => {
                if self.syntax == Syntax::Xml {
                    tag.name = without_prefix(tag.name, self.prefix.unwrap_or_default());
                }
                self.context.end(tag, self.syntax);
                Token::End(tag)
            }
            other => return Some(other),
        };
        self.tokens.allow_cdata(self.syntax == Syntax::Xml || self.context.is_foreign());
        Some(token)
    }
}

/// The borders between HTML and foreign content around the current place, outermost first.
#[derive(Clone, Debug, Default)]
struct Context<'a> {
    borders: Vec<Border<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Border<'a> {
    Svg,
    MathMl,
    /// HTML again, within the foreign element of this name ("integration point" in the standard).
    Html(&'a str),
}

impl<'a> Context<'a> {
    fn is_foreign(&self) -> bool {
        matches!(self.borders.last(), Some(Border::Svg | Border::MathMl))
    }

    /// Takes a start tag in. Returns what it means here, how the element's text is to be read, and whether it is an
    /// HTML element.
    #[inline]
    fn start(&mut self, mut tag: Tag<'a>) -> (Tag<'a>, Content, bool) {
        if self.is_foreign() && leaves_foreign(&tag) {
            self.leave_foreign();
        }
        let foreign = self.is_foreign();
        match self.border_at(&tag) {
            Some(border) => {
                if !tag.self_closing {
                    self.borders.push(border);
                }
                (tag, Content::Markup, false)
            }
            None if foreign => (tag, Content::Markup, false),
            None => {
                tag.self_closing = false;
                (tag, content_of(&tag), true)
            }
        }
    }

    /// Returns the border that this start tag is, if it is one.
    fn border_at(&self, tag: &Tag<'a>) -> Option<Border<'a>> {
        match self.borders.last() {
            _ if tag.is("svg") => Some(Border::Svg),
            _ if tag.is("math") => Some(Border::MathMl),
            Some(Border::Svg) if tag.is_one_of(&["foreignobject", "desc", "title"]) => Some(Border::Html(tag.name)),
            Some(Border::MathMl) if tag.is_one_of(&["mi", "mo", "mn", "ms", "mtext"]) => Some(Border::Html(tag.name)),
            Some(Border::MathMl) if tag.is("annotation-xml") && holds_html(tag) => Some(Border::Html(tag.name)),
            _ => None,
        }
    }

    #[inline]
    fn end(&mut self, tag: Tag<'a>, syntax: Syntax) {
        if self.borders.is_empty() {
            return;
        }
        match self.borders.last() {
            Some(Border::Svg) if tag.is("svg") => drop(self.borders.pop()),
            Some(Border::MathMl) if tag.is("math") => drop(self.borders.pop()),
            Some(Border::Html(element)) if tag.is(element) => drop(self.borders.pop()),
            Some(Border::Svg | Border::MathMl) if syntax == Syntax::Html && tag.is_one_of(&["p", "br"]) => {
                self.leave_foreign();
            }
            _ => {}
        }
    }

    fn leave_foreign(&mut self) {
        while self.is_foreign() {
            self.borders.pop();
        }
    }
}

/// Returns how the text of an HTML element is read.
///
/// `noscript` is markup: a crawler runs no scripts, and the standard reads it as markup then ("scripting flag
/// disabled").
pub(super) fn content_of(tag: &Tag<'_>) -> Content {
    // By length first: this is asked for every start tag, and nearly always for nothing.
    match tag.name.len() {
        3 if tag.is("xmp") => Content::Rawtext,
        5 if tag.is("title") => Content::Rcdata,
        5 if tag.is("style") => Content::Rawtext,
        6 if tag.is("script") => Content::Script,
        6 if tag.is("iframe") => Content::Rawtext,
        7 if tag.is("noembed") => Content::Rawtext,
        8 if tag.is("textarea") => Content::Rcdata,
        8 if tag.is("noframes") => Content::Rawtext,
        9 if tag.is("plaintext") => Content::Plaintext,
        _ => Content::Markup,
    }
}

/// Tells whether this start tag ends SVG and MathML by itself (§13.2.6.5).
fn leaves_foreign(tag: &Tag<'_>) -> bool {
    const HTML_ONLY: &[&str] = &[
        "b",
        "big",
        "blockquote",
        "body",
        "br",
        "center",
        "code",
        "dd",
        "div",
        "dl",
        "dt",
        "em",
        "embed",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "head",
        "hr",
        "i",
        "img",
        "li",
        "listing",
        "menu",
        "meta",
        "nobr",
        "ol",
        "p",
        "pre",
        "ruby",
        "s",
        "small",
        "span",
        "strong",
        "strike",
        "sub",
        "sup",
        "table",
        "tt",
        "u",
        "ul",
        "var",
    ];
    let styles_text = |tag: &Tag<'_>| ["color", "face", "size"].iter().any(|name| tag.attribute(name).is_some());
    tag.is_one_of(HTML_ONLY) || (tag.is("font") && styles_text(tag))
}

/// Tells whether this `annotation-xml` says that its content is HTML.
fn holds_html(tag: &Tag<'_>) -> bool {
    tag.attribute("encoding").is_some_and(|encoding| {
        ["text/html", "application/xhtml+xml"].iter().any(|html| encoding.eq_ignore_ascii_case(html))
    })
}
