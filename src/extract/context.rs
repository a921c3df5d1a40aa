//! Context: tells the tokenizer where text is not markup, as a tree builder would, but without a tree. Knows the
//! elements whose content is plain text, and SVG and MathML, where it is not. In XML, `namespaces` knows it.
//!
//! The standard decides this by the stack of open elements. Here only the borders between HTML and foreign content are
//! kept, which gives the same result for every page whose SVG is closed.

use super::{
    namespaces::Namespace,
    tokens::{ContentModel, Tag},
};

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

/// The borders between HTML and foreign content around the current position, outermost first.
#[derive(Clone, Debug, Default)]
pub(super) struct Context<'a> {
    borders: Vec<Border<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Border<'a> {
    Svg,
    MathMl,
    /// An `annotation-xml` of MathML, in which `svg` begins SVG.
    Annotation,
    /// HTML within the foreign element of this name ("integration point" in the standard).
    Html(&'a str),
}

impl<'a> Context<'a> {
    /// Tells whether the current position is within SVG or MathML.
    pub fn is_foreign(&self) -> bool {
        matches!(self.borders.last(), Some(Border::Svg | Border::MathMl | Border::Annotation))
    }

    /// Handles a start tag. Returns its meaning here, how the element's text is parsed, and its namespace.
    #[inline]
    pub fn start(&mut self, mut tag: Tag<'a>) -> (Tag<'a>, ContentModel, Namespace) {
        if self.is_foreign() && leaves_foreign(&tag) {
            self.leave_foreign();
        }
        let around = self.borders.last().copied();
        let border = self.border_at(&tag);
        let namespace = match (around, border) {
            (_, Some(Border::Svg)) | (Some(Border::Svg), _) => Namespace::Svg,
            (Some(Border::MathMl | Border::Annotation), _) | (_, Some(_)) => Namespace::MathMl,
            (None | Some(Border::Html(_)), None) => {
                tag.self_closing = false;
                return (tag, content_of(&tag), Namespace::Xhtml);
            }
        };
        if let Some(border) = border.filter(|_| !tag.self_closing) {
            self.borders.push(border);
        }
        (tag, ContentModel::Markup, namespace)
    }

    /// Returns the border that this start tag creates, if any.
    fn border_at(&self, tag: &Tag<'a>) -> Option<Border<'a>> {
        // Within SVG a `math` is an element of SVG, and within MathML an `svg` one of MathML, but in `annotation-xml`
        // (§13.2.6, "tree construction dispatcher").
        match self.borders.last() {
            None | Some(Border::Html(_) | Border::Svg | Border::Annotation) if tag.is("svg") => Some(Border::Svg),
            None | Some(Border::Html(_) | Border::MathMl | Border::Annotation) if tag.is("math") => {
                Some(Border::MathMl)
            }
            Some(Border::Svg) if tag.is_one_of(&["foreignobject", "desc", "title"]) => Some(Border::Html(tag.name)),
            Some(Border::MathMl | Border::Annotation) if tag.is_one_of(&["mi", "mo", "mn", "ms", "mtext"]) => {
                Some(Border::Html(tag.name))
            }
            Some(Border::MathMl | Border::Annotation) if tag.is("annotation-xml") => {
                Some(if holds_html(tag) { Border::Html(tag.name) } else { Border::Annotation })
            }
            _ => None,
        }
    }

    /// Handles an end tag.
    #[inline]
    pub fn end(&mut self, tag: Tag<'a>) {
        if self.borders.is_empty() {
            return;
        }
        match self.borders.last() {
            Some(Border::Svg) if tag.is("svg") => drop(self.borders.pop()),
            Some(Border::MathMl) if tag.is("math") => drop(self.borders.pop()),
            Some(Border::Html(element)) if tag.is(element) => drop(self.borders.pop()),
            Some(Border::Annotation) if tag.is("annotation-xml") => drop(self.borders.pop()),
            // It was not closed.
            Some(Border::Annotation) if tag.is("math") => {
                while self.borders.pop_if(|border| *border == Border::Annotation).is_some() {}
                self.borders.pop();
            }
            Some(Border::Svg | Border::MathMl | Border::Annotation) if tag.is_one_of(&["p", "br"]) => {
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
pub(super) fn content_of(tag: &Tag<'_>) -> ContentModel {
    // By length first: called for every start tag, nearly always without a match.
    match tag.name.len() {
        3 if tag.is("xmp") => ContentModel::Rawtext,
        5 if tag.is("title") => ContentModel::Rcdata,
        5 if tag.is("style") => ContentModel::Rawtext,
        6 if tag.is("script") => ContentModel::Script,
        6 if tag.is("iframe") => ContentModel::Rawtext,
        7 if tag.is("noembed") => ContentModel::Rawtext,
        8 if tag.is("textarea") => ContentModel::Rcdata,
        8 if tag.is("noframes") => ContentModel::Rawtext,
        9 if tag.is("plaintext") => ContentModel::Plaintext,
        _ => ContentModel::Markup,
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
