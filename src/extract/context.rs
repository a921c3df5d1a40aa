//! Where in a page markup is not markup: what a tree builder would tell the tokeniser, without a tree.
//! Knows the elements whose content is plain text, and SVG and MathML, where it is not.
//!
//! The standard decides it by the stack of open elements. Here only the borders between HTML and
//! foreign content are kept, which is the same for every page whose SVG is closed.

use super::tokens::{Content, Tag, Token, Tokens};

/// The tokens of a whole page, read front to back with the context kept.
///
/// Tags of HTML elements never come as self-closing: there the slash means nothing.
#[derive(Clone, Debug)]
pub(super) struct PageTokens<'a> {
    tokens: Tokens<'a>,
    context: Context<'a>,
}

impl<'a> PageTokens<'a> {
    /// Begins at the start of `html`.
    pub fn new(html: &'a str) -> Self {
        Self { tokens: Tokens::new(html), context: Context::default() }
    }

    /// Whether the last token stands within SVG or MathML.
    pub fn in_foreign(&self) -> bool {
        self.context.is_foreign()
    }
}

impl<'a> Iterator for PageTokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let token = match self.tokens.next()? {
            Token::Start(tag) => {
                let (tag, content) = self.context.start(tag);
                self.tokens.expect(content, tag);
                Token::Start(tag)
            }
            Token::End(tag) => {
                self.context.end(tag);
                Token::End(tag)
            }
            other => return Some(other),
        };
        self.tokens.allow_cdata(self.context.is_foreign());
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

    /// Takes a start tag in; returns what it means here, and how the element's text is to be read.
    fn start(&mut self, mut tag: Tag<'a>) -> (Tag<'a>, Content) {
        if self.is_foreign() && leaves_foreign(&tag) {
            self.leave_foreign();
        }
        let foreign = self.is_foreign();
        match self.border_at(&tag) {
            Some(border) => {
                if !tag.self_closing {
                    self.borders.push(border);
                }
                (tag, Content::Markup)
            }
            None if foreign => (tag, Content::Markup),
            None => {
                tag.self_closing = false;
                (tag, content_of(&tag))
            }
        }
    }

    /// The border that this start tag is, if it is one.
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

    fn end(&mut self, tag: Tag<'a>) {
        match self.borders.last() {
            Some(Border::Svg) if tag.is("svg") => drop(self.borders.pop()),
            Some(Border::MathMl) if tag.is("math") => drop(self.borders.pop()),
            Some(Border::Html(element)) if tag.is(element) => drop(self.borders.pop()),
            Some(Border::Svg | Border::MathMl) if tag.is_one_of(&["p", "br"]) => self.leave_foreign(),
            _ => {}
        }
    }

    fn leave_foreign(&mut self) {
        while self.is_foreign() {
            self.borders.pop();
        }
    }
}

/// How the text of an HTML element is read.
///
/// `noscript` is markup: a crawler runs no scripts, and the standard has it so ("scripting flag
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

/// Whether this start tag ends SVG and MathML by itself (§13.2.6.5).
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

/// Whether this `annotation-xml` says that its content is HTML.
fn holds_html(tag: &Tag<'_>) -> bool {
    tag.attribute("encoding").is_some_and(|encoding| {
        ["text/html", "application/xhtml+xml"].iter().any(|html| encoding.eq_ignore_ascii_case(html))
    })
}
