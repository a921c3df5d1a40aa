//! Context: tells the tokenizer where text is not markup, as a tree builder would, but without a tree. Knows the
//! elements whose content is plain text, and SVG and MathML, where it is not.
//!
//! The standard decides this by the stack of open elements. Here only the borders between HTML and foreign content are
//! kept, which gives the same result for every page whose SVG is closed.

use super::tokens::{Content, Tag, Token, Tokens};

/// The syntax by which a page is parsed.
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
    /// HTML: the slash of `<script/>` is ignored, and scripts, styles and titles are plain text.
    #[default]
    Html,
    /// XHTML, which is XML: every element may be self-closing, and every element's content is markup.
    Xml,
}

/// The namespace of XHTML elements.
const XHTML: &str = "http://www.w3.org/1999/xhtml";

/// Tells whether the root element of an XML document is in the XHTML namespace.
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

/// The tokens of a whole page, with the context kept while reading.
///
/// Tags of HTML elements are self-closing in XML only; HTML ignores the slash.
#[derive(Clone, Debug)]
pub(super) struct PageTokens<'a> {
    tokens: Tokens<'a>,
    syntax: Syntax,
    context: Context<'a>,
    /// The namespace prefix of XHTML elements: `h:` in `<h:html xmlns:h="…">`. Known after the root.
    prefix: Option<&'a str>,
    is_html: bool,
}

impl<'a> PageTokens<'a> {
    /// Starts at the beginning of `page`.
    pub fn new(page: &'a str, syntax: Syntax) -> Self {
        let mut tokens = Tokens::new(page);
        tokens.allow_cdata(syntax == Syntax::Xml);
        Self { tokens, syntax, context: Context::default(), prefix: None, is_html: true }
    }

    /// Tells whether the last token is within SVG or MathML.
    pub fn in_foreign(&self) -> bool {
        self.context.is_foreign()
    }

    /// Tells whether the last start tag is an HTML element rather than SVG or MathML.
    pub fn is_html(&self) -> bool {
        self.is_html
    }

    /// Handles a start tag in XML, where the text after it is always markup. Kept out of the loop over HTML, which
    /// would be slower with it.
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

/// Returns the name of an element without `prefix:`, if it has that prefix.
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

/// The borders between HTML and foreign content around the current position, outermost first.
#[derive(Clone, Debug, Default)]
struct Context<'a> {
    borders: Vec<Border<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Border<'a> {
    Svg,
    MathMl,
    /// HTML within the foreign element of this name ("integration point" in the standard).
    Html(&'a str),
}

impl<'a> Context<'a> {
    fn is_foreign(&self) -> bool {
        matches!(self.borders.last(), Some(Border::Svg | Border::MathMl))
    }

    /// Handles a start tag. Returns its meaning here, how the element's text is parsed, and whether it is an HTML
    /// element.
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

    /// Returns the border that this start tag creates, if any.
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

/// Returns how the text of an HTML element is parsed.
///
/// `noscript` is markup: a crawler runs no scripts, and the standard then parses it as markup ("scripting flag
/// disabled").
pub(super) fn content_of(tag: &Tag<'_>) -> Content {
    // By length first: called for every start tag, nearly always without a match.
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

/// Tells whether this start tag implicitly ends SVG and MathML (§13.2.6.5).
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

/// Tells whether this `annotation-xml` declares HTML content.
fn holds_html(tag: &Tag<'_>) -> bool {
    tag.attribute("encoding").is_some_and(|encoding| {
        ["text/html", "application/xhtml+xml"].iter().any(|html| encoding.eq_ignore_ascii_case(html))
    })
}
