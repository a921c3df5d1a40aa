//! PageTokens: the tokens of a whole page, each in its context. Knows where markup is none, the namespaces of XML, and
//! framesets; builds no tree, but for the part of a page before its frameset.

use super::{
    context::{Context, Syntax},
    dom,
    namespaces::{Namespace, Namespaces},
    tokens::{ContentModel, Tag, Token, Tokens},
};

/// The tokens of a whole page, with the context kept while reading.
///
/// Tags of HTML elements are self-closing in XML only; HTML ignores the slash. What a tree of the page would not have
/// because of a frameset is left out.
#[derive(Clone, Debug)]
pub(super) struct PageTokens<'a> {
    page: &'a str,
    tokens: Tokens<'a>,
    mode: TagMode,
    /// Of a page in HTML.
    context: Context<'a>,
    /// Of a page in XML.
    namespaces: Namespaces<'a>,
    namespace: Namespace,
    /// Whether a `<frameset>` here would replace the body. It never does after one that did not.
    may_have_frames: bool,
    /// Where the body began that a frameset has replaced, until that is asked for.
    replaced_body: Option<usize>,
}

/// How the next tags are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TagMode {
    Html,
    Xml,
    /// Within so many framesets; after them with 0 ("in frameset" and "after frameset", HTML §13.2.6.4.20 and 21).
    Frames {
        open: usize,
        in_xml: bool,
    },
}

impl<'a> PageTokens<'a> {
    /// Starts at the beginning of `page`.
    pub fn new(page: &'a str, syntax: Syntax) -> Self {
        let is_xml = syntax == Syntax::Xml;
        let mut tokens = Tokens::new(page);
        tokens.allow_cdata(is_xml);
        Self {
            page,
            tokens,
            mode: if is_xml { TagMode::Xml } else { TagMode::Html },
            context: Context::default(),
            namespaces: Namespaces::default(),
            namespace: Namespace::Xhtml,
            may_have_frames: true,
            replaced_body: None,
        }
    }

    /// Starts within a page, where no frameset can begin.
    pub fn within(page: &'a str, syntax: Syntax) -> Self {
        Self { may_have_frames: false, ..Self::new(page, syntax) }
    }

    /// Returns the length of what is still to be read, in bytes.
    #[inline]
    pub fn unread(&self) -> usize {
        self.tokens.unread()
    }

    /// Tells whether the last token is within SVG or MathML.
    pub fn in_foreign(&self) -> bool {
        self.context.is_foreign()
    }

    /// Returns the namespace of the last start tag's element.
    pub fn namespace(&self) -> Namespace {
        self.namespace
    }

    /// Returns, once, where the body began that the last start tag, a frameset, has replaced.
    #[inline]
    pub fn take_replaced_body(&mut self) -> Option<usize> {
        self.replaced_body.take()
    }

    /// Handles a start tag in XML, where the text after it is always markup. Kept out of the loop over HTML, which
    /// would be slower with it.
    #[cold]
    #[inline(never)]
    fn start_in_xml(&mut self, mut tag: Tag<'a>) -> Tag<'a> {
        (self.namespace, tag.name) = self.namespaces.start(&tag);
        if self.namespace == Namespace::Xhtml && tag.is("frameset") {
            self.frameset();
        }
        tag
    }

    /// As [`start_in_xml`](Self::start_in_xml), for an end tag.
    #[cold]
    #[inline(never)]
    fn end_in_xml(&mut self, mut tag: Tag<'a>) -> Tag<'a> {
        tag.name = self.namespaces.end(&tag);
        tag
    }

    /// Handles the first `<frameset>`, which has just been read: it replaces a body in which nothing was visible yet,
    /// and is ignored otherwise. Whether something was depends on the whole tree, which is built up to here.
    #[cold]
    #[inline(never)]
    fn frameset(&mut self) {
        if !std::mem::take(&mut self.may_have_frames) {
            return;
        }
        let in_xml = self.mode == TagMode::Xml;
        let syntax = if in_xml { Syntax::Xml } else { Syntax::Html };
        let read = self.page.len() - self.tokens.unread();
        let Some(body) = dom::body_before_frameset(self.page.get(..read).unwrap_or_default(), syntax) else { return };
        self.replaced_body = Some(body);
        self.mode = TagMode::Frames { open: 1, in_xml };
    }

    /// Returns the next token that counts within and after a frameset: only frames and what browsers without frames
    /// show, which is text.
    #[cold]
    #[inline(never)]
    fn next_of_frames(&mut self, mut open: usize, in_xml: bool) -> Option<Token<'a>> {
        loop {
            let token = match self.tokens.next()? {
                Token::Start(tag) => {
                    let raw = tag;
                    let tag = if in_xml { self.start_in_xml(tag) } else { tag };
                    let is_frame = open > 0 && tag.is_one_of(&["frame", "frameset"]);
                    if !is_frame && !tag.is("noframes") {
                        continue;
                    }
                    open += usize::from(is_frame && tag.is("frameset") && !(in_xml && tag.self_closing));
                    if tag.is("noframes") && !(in_xml && tag.self_closing) {
                        self.tokens.expect(ContentModel::Rawtext, raw);
                    }
                    self.namespace = Namespace::Xhtml;
                    Token::Start(tag)
                }
                Token::End(tag) => {
                    let tag = if in_xml { self.end_in_xml(tag) } else { tag };
                    open -= usize::from(open > 0 && tag.is("frameset"));
                    Token::End(tag)
                }
                Token::Text(_) => continue,
                other => other,
            };
            self.mode = TagMode::Frames { open, in_xml };
            return Some(token);
        }
    }
}

impl<'a> Iterator for PageTokens<'a> {
    type Item = Token<'a>;

    #[inline]
    fn next(&mut self) -> Option<Token<'a>> {
        if let TagMode::Frames { open, in_xml } = self.mode {
            return self.next_of_frames(open, in_xml);
        }
        let token = match self.tokens.next()? {
            Token::Start(tag) if self.mode == TagMode::Xml => return Some(Token::Start(self.start_in_xml(tag))),
            Token::Start(tag) => {
                let (tag, content, namespace) = self.context.start(tag);
                self.tokens.expect(content, tag);
                self.namespace = namespace;
                if tag.name.len() == 8 && tag.is("frameset") && namespace == Namespace::Xhtml {
                    self.frameset();
                }
                Token::Start(tag)
            }
            Token::End(tag) if self.mode == TagMode::Xml => return Some(Token::End(self.end_in_xml(tag))),
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
