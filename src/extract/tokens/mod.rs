//! Tokens: the start tags, end tags, comments and texts of an HTML page, each a slice of it. Follows the tokenization
//! rules of the HTML standard (§13.2.5). Builds no tree, so its caller must say when the text of an element is not
//! markup ([`Tokens::expect`]).
//!
//! Takes time linear in the page's length, whatever its content: every byte is read once, and an attribute a second
//! time only when its value is requested.

mod cursor;
mod tag;

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

use self::cursor::{MarkupCursor, is_space};
pub(super) use self::tag::Tag;

/// Reads a page token by token.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'a> {
    page: MarkupCursor<'a>,
    content: ContentModel,
    /// The element whose text is being read; only its end tag ends text that is not markup.
    element: &'a str,
    cdata: bool,
}

/// One token of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// The text between `<!doctype` and `>`.
    Doctype(&'a str),
    Start(Tag<'a>),
    End(Tag<'a>),
    Text(Text<'a>),
    /// The text of a comment, or of something that the standard treats as one: `<?php … ?>`, `<!…>`.
    Comment(&'a str),
}

/// How the text after a start tag is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentModel {
    /// Tags, comments and character references.
    Markup,
    /// Character references, but no tags: `title`, `textarea`.
    Rcdata,
    /// Neither: `style`, `iframe`, ….
    Rawtext,
    /// Neither, and `<!--` may hide the end tag.
    Script,
    /// Neither, to the end of the page.
    Plaintext,
}

impl<'a> Tokens<'a> {
    /// Starts at the beginning of `html`, after a byte order mark if there is one.
    pub fn new(html: &'a str) -> Self {
        let page = MarkupCursor { rest: html.strip_prefix('\u{feff}').unwrap_or(html) };
        Self { page, content: ContentModel::Markup, element: "", cdata: false }
    }

    /// Sets how to parse the text after the last token, the start tag of `element`.
    pub fn expect(&mut self, content: ContentModel, element: Tag<'a>) {
        self.content = content;
        self.element = element.name;
    }

    /// Sets whether `<![CDATA[` starts a text here, as within SVG and MathML and in XML.
    pub fn allow_cdata(&mut self, allow: bool) {
        self.cdata = allow;
    }

    /// Returns the length of what is still to be read, in bytes.
    #[inline]
    pub fn unread(&self) -> usize {
        self.page.rest.len()
    }

    #[allow(clippy::inline_always, reason = "as next")]
    #[inline(always)]
    fn next_of_markup(&mut self) -> Option<Token<'a>> {
        // The only markup that yields no token.
        while let Some(rest) = self.page.rest.strip_prefix("</>") {
            self.page.rest = rest;
        }
        if !opens_markup(self.page.rest.as_bytes(), 0) {
            let raw = self.page.take(text_before_markup(self.page.rest));
            return (!raw.is_empty()).then_some(Token::Text(Text { raw, kind: TextKind::Data }));
        }
        match (self.page.byte(1)?, self.page.byte(2)) {
            (b'!', _) => Some(self.declaration()),
            (b'?', _) => Some(self.bogus_comment(1)),
            (b'/', Some(letter)) if letter.is_ascii_alphabetic() => self.tag(2).map(Token::End),
            (b'/', _) => Some(self.bogus_comment(2)),
            _ => self.tag(1).map(Token::Start),
        }
    }

    /// Reads the tag whose name begins at byte `at`.
    #[inline]
    fn tag(&mut self, at: usize) -> Option<Tag<'a>> {
        self.page.take(at);
        Tag::read(&mut self.page)
    }

    /// Reads what begins with `<!`.
    fn declaration(&mut self) -> Token<'a> {
        const DOCTYPE: &str = "<!doctype";
        if let Some(comment) = self.page.rest.strip_prefix("<!--") {
            let (text, rest) = split_comment(comment);
            self.page.rest = rest;
            Token::Comment(text)
        } else if let Some(section) = self.page.rest.strip_prefix("<![CDATA[").filter(|_| self.cdata) {
            let (raw, rest) = section.split_once("]]>").unwrap_or((section, ""));
            self.page.rest = rest;
            Token::Text(Text { raw, kind: TextKind::Cdata })
        } else if self.page.rest.get(..DOCTYPE.len()).is_some_and(|start| start.eq_ignore_ascii_case(DOCTYPE)) {
            self.page.take(DOCTYPE.len());
            Token::Doctype(self.page.take_past_bracket())
        } else {
            self.bogus_comment(2)
        }
    }

    /// Reads markup treated as a comment, whose text begins at byte `at`.
    fn bogus_comment(&mut self, at: usize) -> Token<'a> {
        self.page.take(at);
        Token::Comment(self.page.take_past_bracket())
    }

    fn next_of_raw_text(&mut self, kind: TextKind) -> Option<Token<'a>> {
        let text = self.page.rest;
        let end = match self.content {
            ContentModel::Plaintext => None,
            ContentModel::Script => end_of_script(text, self.element),
            _ => end_of_raw_text(text, self.element),
        };
        let raw = self.page.take(end.unwrap_or(text.len()));
        if !raw.is_empty() {
            return Some(Token::Text(Text { raw, kind }));
        }
        self.content = ContentModel::Markup;
        self.tag(2).map(Token::End)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    // A token is large: where this is a call of its own, a page's scan spends a tenth of its time on passing them.
    #[allow(clippy::inline_always, reason = "each token of a page comes through here")]
    #[inline(always)]
    fn next(&mut self) -> Option<Token<'a>> {
        if self.page.rest.is_empty() {
            return None;
        }
        match self.content {
            ContentModel::Markup => self.next_of_markup(),
            ContentModel::Rcdata => self.next_of_raw_text(TextKind::Rcdata),
            ContentModel::Rawtext | ContentModel::Script | ContentModel::Plaintext => {
                self.next_of_raw_text(TextKind::Raw)
            }
        }
    }
}

/// A piece of text between two tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    /// As in the page.
    pub raw: &'a str,
    pub kind: TextKind,
}

/// Where a text is, which decides how it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextKind {
    Data,
    Rcdata,
    Raw,
    Cdata,
}

impl<'a> Text<'a> {
    /// Returns the text with its character references resolved, if it has any.
    ///
    /// A NUL is removed from ordinary text and replaced elsewhere, as by tree builders. It ends a reference first:
    /// `&lt`, NUL, `;` is `<;`.
    pub fn decoded(&self) -> Cow<'a, str> {
        if self.kind == TextKind::Data && memchr(0, self.raw.as_bytes()).is_some() {
            return self.raw.split('\0').map(|raw| Text { raw, ..*self }.decoded()).collect::<String>().into();
        }
        let text = normalised(self.raw);
        match self.kind {
            TextKind::Data | TextKind::Rcdata if memchr(b'&', text.as_bytes()).is_some() => htmlize::unescape(text),
            _ => text,
        }
    }
}

/// Replaces every line end by `\n` and every NUL by U+FFFD. Comes before resolving character references (§13.2.3.5).
pub(super) fn normalised(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    if memchr(b'\r', text.as_bytes()).is_some() {
        text = text.replace("\r\n", "\n").replace('\r', "\n").into();
    }
    if memchr(0, text.as_bytes()).is_some() {
        text = text.replace('\0', "\u{fffd}").into();
    }
    text
}

/// Returns the number of bytes before the first `<` that opens markup.
fn text_before_markup(html: &str) -> usize {
    let bytes = html.as_bytes();
    memchr_iter(b'<', bytes).find(|&at| opens_markup(bytes, at)).unwrap_or(bytes.len())
}

/// Tells whether the `<` at `at` opens a tag, a comment or similar, rather than being text.
fn opens_markup(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at..) {
        Some([b'<', b'!' | b'?', ..] | [b'<', b'/', _, ..]) => true,
        Some([b'<', letter, ..]) => letter.is_ascii_alphabetic(),
        _ => false,
    }
}

/// Splits the text after `<!--` into the comment and the rest.
fn split_comment(comment: &str) -> (&str, &str) {
    // "<!-->" and "<!--->" are comments, too.
    if let Some(rest) = comment.strip_prefix('>').or_else(|| comment.strip_prefix("->")) {
        return ("", rest);
    }
    for at in memchr_iter(b'>', comment.as_bytes()) {
        let (before, from) = comment.split_at_checked(at).unwrap_or((comment, ""));
        if let Some(text) = before.strip_suffix("--").or_else(|| before.strip_suffix("--!")) {
            return (text, from.strip_prefix('>').unwrap_or_default());
        }
    }
    // An unclosed comment ends with the page; an incomplete end is not part of its text.
    let ends = ["--!", "--", "-"];
    (ends.iter().find_map(|end| comment.strip_suffix(end)).unwrap_or(comment), "")
}

/// Returns the position of the end tag of `element`.
fn end_of_raw_text(text: &str, element: &str) -> Option<usize> {
    memchr_iter(b'<', text.as_bytes()).find(|&at| opens_tag(text, at, "</", element))
}

/// Returns the position of the end tag of a script, which is not within `<!-- <script> … </script> -->`
/// (§13.2.5.15–31).
fn end_of_script(text: &str, element: &str) -> Option<usize> {
    #[derive(PartialEq)]
    enum Script {
        Plain,
        InComment,
        InScriptInComment,
    }
    let mut state = Script::Plain;
    let bytes = text.as_bytes();
    let mut dashes_from = 0;
    for at in memchr::memchr2_iter(b'<', b'>', bytes) {
        let before = text.get(dashes_from..at).unwrap_or_default();
        match (bytes.get(at), &state) {
            (Some(b'>'), Script::InComment | Script::InScriptInComment) if before.ends_with("--") => {
                state = Script::Plain;
            }
            (Some(b'<'), Script::Plain | Script::InComment) if opens_tag(text, at, "</", element) => return Some(at),
            (Some(b'<'), Script::Plain) if text.get(at..).is_some_and(|rest| rest.starts_with("<!--")) => {
                state = Script::InComment;
                dashes_from = at + 2;
            }
            (Some(b'<'), Script::InComment) if opens_tag(text, at, "<", "script") => state = Script::InScriptInComment,
            (Some(b'<'), Script::InScriptInComment) if opens_tag(text, at, "</", "script") => state = Script::InComment,
            _ => {}
        }
    }
    None
}

/// Tells whether `bracket` is at byte `at`, followed by the name of `element` and the end of the name.
fn opens_tag(text: &str, at: usize, bracket: &str, element: &str) -> bool {
    let name_from = at + bracket.len();
    let name_to = name_from + element.len();
    text.get(at..name_from) == Some(bracket)
        && text.get(name_from..name_to).is_some_and(|name| name.eq_ignore_ascii_case(element))
        && text.as_bytes().get(name_to).is_some_and(|&byte| is_space(byte) || matches!(byte, b'/' | b'>'))
}

#[cfg(test)]
mod html5lib;

#[cfg(test)]
mod tests;
