//! Text: the visible text of a page, one line for each paragraph, heading, row or list item. Knows neither styles nor
//! scripts, so it includes text hidden by a style, and lacks text added by a script.

use std::borrow::Cow;

use super::context::Syntax;
use super::page_tokens::PageTokens;
use super::prefix::prefix;
use super::tokens::{Tag, Token};

/// Returns the visible text of `html`.
///
/// Block elements and `<br>` give lines; cells of a row are separated by a space; other white space is collapsed,
/// except that lines within `<pre>` are kept. There are no empty lines. Titles, scripts, styles and templates are left
/// out, and so is content shown only without scripts or frames (`noscript`, `noframes`, `iframe`). Linear in the page's
/// length.
pub fn visible_text(html: &str) -> String {
    visible_text_in(html, Syntax::Html)
}

/// Like [`visible_text`], for a page in either syntax.
pub(crate) fn visible_text_in(page: &str, syntax: Syntax) -> String {
    visible(PageTokens::new(page, syntax), |_| false).finish()
}

/// The longest text of a link, in bytes of its page; what is longer is cut. Real links have one line.
const MAX_LINK: usize = 16 << 10;

/// Returns the text of the link whose tag is at the start of `page`, on one line: of an `a` its content, of others
/// their `alt`. An `a` that is not closed ends where another begins.
pub(crate) fn text_of_link(page: &str, syntax: Syntax) -> String {
    let mut tokens = PageTokens::within(prefix(page, MAX_LINK), syntax);
    let Some(Token::Start(link)) = tokens.next() else { return String::new() };
    // In XML a name may have a prefix.
    if !link.name.rsplit(':').next().is_some_and(|name| name.eq_ignore_ascii_case("a")) {
        return collapsed(&link.attribute("alt").unwrap_or_default());
    }
    let ends = |token: &Token<'_>| matches!(token, Token::Start(tag) | Token::End(tag) if tag.is(link.name));
    if link.self_closing && syntax == Syntax::Xml { String::new() } else { visible(tokens, ends).one_line() }
}

/// Returns an attribute of the tag at the start of `page`.
pub(crate) fn attribute_of_tag<'a>(page: &'a str, syntax: Syntax, name: &str) -> Option<Cow<'a, str>> {
    match PageTokens::new(page, syntax).next()? {
        Token::Start(tag) => tag.attribute(name),
        _ => None,
    }
}

/// Returns the visible text of tokens, up to one that ends it.
fn visible<'a>(mut tokens: PageTokens<'a>, ends: impl Fn(&Token<'a>) -> bool) -> Prose {
    let mut text = Prose::default();
    let mut hidden: Option<Hidden<'_>> = None;
    let mut preformatted = false;
    while let Some(token) = tokens.next() {
        if let Some(element) = &mut hidden {
            if element.is_over_after(&token) {
                hidden = None;
            }
            continue;
        }
        if ends(&token) {
            break;
        }
        match token {
            Token::Start(tag) if tag.is_one_of(HIDDEN) && !tag.self_closing => {
                hidden = Some(Hidden { tag, foreign: tokens.in_foreign(), depth: 1 });
            }
            Token::Start(tag) | Token::End(tag) => {
                if tag.is("pre") {
                    preformatted = matches!(token, Token::Start(_));
                }
                text.tag(tag.name);
            }
            Token::Text(piece) if preformatted => text.push_lines(&piece.decoded()),
            Token::Text(piece) => text.push(&piece.decoded()),
            Token::Doctype(_) | Token::Comment(_) => {}
        }
    }
    text
}

/// Elements whose text is not shown.
pub(super) const HIDDEN: &[&str] =
    &["script", "style", "noscript", "template", "title", "iframe", "noembed", "noframes"];

/// Elements that begin and end a line.
pub(super) const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "br",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "hr",
    "legend",
    "li",
    "listing",
    "main",
    "menu",
    "nav",
    "ol",
    "optgroup",
    "option",
    "p",
    "plaintext",
    "pre",
    "search",
    "section",
    "summary",
    "table",
    "tbody",
    "tfoot",
    "thead",
    "tr",
    "ul",
    "xmp",
];

/// Elements that are separated from their neighbours on the same line.
const CELLS: &[&str] = &["td", "th"];

/// An element whose text is being skipped.
struct Hidden<'a> {
    tag: Tag<'a>,
    foreign: bool,
    depth: usize,
}

impl Hidden<'_> {
    fn is_over_after(&mut self, token: &Token<'_>) -> bool {
        match token {
            Token::Start(tag) if tag.is(self.tag.name) && !tag.self_closing => self.depth += 1,
            Token::End(tag) if tag.is(self.tag.name) => self.depth -= 1,
            // A style that is not closed within a drawing ends with the drawing.
            Token::End(tag) if self.foreign && tag.is("svg") => self.depth = 0,
            _ => {}
        }
        self.depth == 0
    }
}

/// Text being built: words, separated by one space or one line end, without either at the ends.
#[derive(Debug, Default)]
pub(super) struct Prose {
    text: String,
    gap: Gap,
}

/// The separator before the next word, unless it is the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Space,
    Line,
}

impl Prose {
    /// Adds text; a run of white space, including no-break spaces, becomes one space.
    pub fn push(&mut self, text: &str) {
        for (nth, word) in text.split(char::is_whitespace).enumerate() {
            if nth > 0 {
                self.leave(Gap::Space);
            }
            self.word(word);
        }
    }

    /// Adds text whose line ends are kept.
    pub fn push_lines(&mut self, text: &str) {
        for (nth, line) in text.split('\n').enumerate() {
            if nth > 0 {
                self.leave(Gap::Line);
            }
            self.push(line);
        }
    }

    /// Handles a start or end tag of `element`.
    pub fn tag(&mut self, element: &str) {
        let is_in = |names: &[&str]| names.iter().any(|name| element.eq_ignore_ascii_case(name));
        if is_in(BLOCKS) {
            self.leave(Gap::Line);
        } else if is_in(CELLS) {
            self.leave(Gap::Space);
        }
    }

    /// Returns the text on one line.
    pub fn one_line(self) -> String {
        self.text.replace('\n', " ")
    }

    /// Returns the text.
    pub fn finish(self) -> String {
        self.text
    }

    fn leave(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    fn word(&mut self, word: &str) {
        if word.is_empty() {
            return;
        }
        match self.gap {
            _ if self.text.is_empty() => {}
            Gap::None => {}
            Gap::Space => self.text.push(' '),
            Gap::Line => self.text.push('\n'),
        }
        self.gap = Gap::None;
        self.text.push_str(word);
    }
}

/// Returns `text` on one line: every run of white space becomes one space, and the ends are trimmed.
pub(super) fn collapsed(text: &str) -> String {
    let mut prose = Prose::default();
    prose.push(text);
    prose.finish()
}
