//! Dom: the tree of a page, built by html5ever's rules from our tokens, within bounds. Knows no selectors; the tree is
//! `scraper`'s.
//!
//! Without bounds, a short hostile page is expensive to parse. Measured with html5ever 0.40: 100 KB of `<div>` cost 0.7
//! s (every tag scans all open elements), a tag with 20,000 attributes 0.1 s (each is compared with all before it), and
//! 16 KB of `<p>` after 1,000 unclosed `<b>` give two million nodes (each paragraph reopens all of them); all three
//! grow with the square of the page's length.

mod sink;

use std::cell::Cell;
use std::collections::HashSet;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{self, Doctype, TagKind, TokenSink, TokenSinkResult};
use html5ever::tree_builder::{Tracer, TreeBuilder, TreeBuilderOpts, TreeSink};
use html5ever::{Attribute, LocalName, QualName, ns};
use scraper::Html;

use self::sink::DomSink;
pub(super) use self::sink::FormOwners;
use super::context::{Syntax, content_of};
use super::namespaces::Namespaces;
use super::tokens::{ContentModel, Tag, Text, TextKind, Token, Tokens, normalised};
use super::walk::NodeId;

/// The most open elements; start tags beyond it are left out, their text is kept. Browsers stop nesting at the same
/// depth (512 in Blink and `WebKit`).
pub(super) const MAX_OPEN: usize = 512;

/// The most nodes and attributes of a tree, whatever the page's length. Each takes about 200 bytes, so the trees of two
/// hostile pages take 100 MB; real pages have fewer than 50,000.
pub(super) const MAX_NODES: usize = 250_000;

/// A page of any length may have this many nodes; beyond it, one node per byte. Without repetition the shortest markup
/// of a node takes two bytes.
const MIN_NODES: usize = 1_000;

/// The most attributes of one element; the others are left out.
const MAX_ATTRIBUTES: usize = 256;

/// Elements without content and end tag (HTML standard, §13.1.2, and those that its tree builder treats so).
pub(super) const VOID: &[&str] = &[
    "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "keygen", "link",
    "meta", "param", "source", "track", "wbr",
];

/// What was left out of a page's tree.
///
/// ```
/// use actix_crawler::extract::{Cut, Document};
///
/// let page = Document::parse(&"<div>".repeat(1_000));
/// assert_eq!(page.cut(), Some(Cut::TooDeep));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Elements nested deeper than 512; their text is in the innermost element kept.
    TooDeep,
    /// Everything after the node that exceeded the bound.
    TooManyNodes,
}

/// Builds the tree of a page, and returns which form each control got, and what was left out.
///
/// Both syntaxes use the tree building rules of HTML. In XML, elements may be self-closing, and those of XHTML, SVG and
/// MathML may have a prefix.
pub(super) fn parse(page: &str, syntax: Syntax) -> (Html, FormOwners, Option<Cut>) {
    let mut building = Building::of(page, syntax);
    while building.step() {}
    building.builder.finish()
}

/// A tree being built of the tokens of a page.
struct Building<'a> {
    tokens: Tokens<'a>,
    namespaces: Namespaces<'a>,
    builder: Builder,
    is_xml: bool,
}

impl<'a> Building<'a> {
    fn of(page: &'a str, syntax: Syntax) -> Self {
        let is_xml = syntax == Syntax::Xml;
        let mut tokens = Tokens::new(page);
        tokens.allow_cdata(is_xml);
        let builder = Builder::new(page.len().clamp(MIN_NODES, MAX_NODES));
        Self { tokens, namespaces: Namespaces::default(), builder, is_xml }
    }

    /// Adds the next token; tells whether there was one, and room for it.
    fn step(&mut self) -> bool {
        let Self { tokens, namespaces, builder, is_xml } = self;
        let is_xml = *is_xml;
        let Some(token) = tokens.next() else { return false };
        if builder.is_full() {
            return false;
        }
        match token {
            Token::Doctype(inside) => builder.doctype(inside),
            Token::Start(tag) if is_xml => {
                let mut local = tag;
                (_, local.name) = namespaces.start(&tag);
                if tag.self_closing {
                    builder.empty_element(&local);
                } else {
                    tokens.expect(builder.start(&local), tag);
                }
            }
            Token::Start(tag) => tokens.expect(builder.start(&tag), tag),
            Token::End(mut tag) if is_xml => {
                tag.name = namespaces.end(&tag);
                builder.end(&tag);
            }
            Token::End(tag) => builder.end(&tag),
            Token::Text(text) => builder.text(text),
            Token::Comment(text) => builder.comment(text),
        }
        tokens.allow_cdata(is_xml || builder.tree.adjusted_current_node_present_but_not_in_html_namespace());
        true
    }
}

/// Tells whether a frameset that begins at the end of a page replaces its body, and where the body began; the end of
/// the page if there was none.
///
/// The standard decides that by the tree ("A start tag whose tag name is frameset", §13.2.6.4.7).
pub(super) fn body_before_frameset(page: &str, syntax: Syntax) -> Option<usize> {
    let mut building = Building::of(page, syntax);
    let mut body = None;
    loop {
        let at = page.len() - building.tokens.unread();
        if !building.step() {
            break;
        }
        if body.is_none() && building.builder.last_of_root().is_some_and(|name| name == "body") {
            body = Some(at);
        }
    }
    let is_frameset = building.builder.last_of_root().is_some_and(|name| name == "frameset");
    is_frameset.then(|| body.unwrap_or(page.len()))
}

struct Builder {
    tree: TreeBuilder<NodeId, DomSink>,
    node_limit: usize,
    /// The number of attributes passed to the tree builder.
    attributes: usize,
    /// The numbers of open elements and of nodes at the last count. At most those and all nodes created since can be
    /// open now.
    counted: (usize, usize),
    /// Whether a tag of `html` and of `body` has occurred. Further ones only add attributes to the first, at a growing
    /// cost.
    seen_root: [bool; 2],
    cut: Option<Cut>,
}

impl Builder {
    fn new(node_limit: usize) -> Self {
        // A crawler runs no scripts, so the content of `noscript` is part of the page.
        let options = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
        let tree = TreeBuilder::new(DomSink::new(), options);
        Self { tree, node_limit, attributes: 0, counted: (0, 0), seen_root: [false; 2], cut: None }
    }

    fn start(&mut self, tag: &Tag<'_>) -> ContentModel {
        if self.is_repeated_root(tag) {
            return ContentModel::Markup;
        }
        if self.is_deep() {
            self.cut = Some(Cut::TooDeep);
            return content_of(tag);
        }
        let attributes = attributes(tag);
        self.attributes += attributes.len();
        self.pass(tag_token(TagKind::StartTag, tag, attributes))
    }

    /// Adds a self-closing element. The tree builder itself closes void elements and those of SVG and MathML; a `</br>`
    /// after `<br/>` would be a second one.
    fn empty_element(&mut self, tag: &Tag<'_>) {
        self.start(tag);
        let is_foreign =
            tag.is_one_of(&["svg", "math"]) || self.tree.adjusted_current_node_present_but_not_in_html_namespace();
        if !is_foreign && !tag.is_one_of(VOID) {
            self.end(tag);
        }
    }

    fn end(&mut self, tag: &Tag<'_>) {
        self.pass(tag_token(TagKind::EndTag, tag, Vec::new()));
    }

    fn doctype(&mut self, inside: &str) {
        self.pass(tokenizer::Token::DoctypeToken(doctype(inside)));
    }

    fn comment(&mut self, text: &str) {
        self.pass(tokenizer::Token::CommentToken(StrTendril::from(&*normalised(text))));
    }

    fn text(&mut self, text: Text<'_>) {
        if matches!(text.kind, TextKind::Rcdata | TextKind::Raw) {
            self.characters(text);
            return;
        }
        // The tree builder decides what a NUL means at each position.
        for (nth, raw) in text.raw.split('\0').enumerate() {
            if nth > 0 {
                self.pass(tokenizer::Token::NullCharacterToken);
            }
            self.characters(Text { raw, ..text });
        }
    }

    fn characters(&mut self, text: Text<'_>) {
        if !text.raw.is_empty() {
            self.pass(tokenizer::Token::CharacterTokens(StrTendril::from(&*text.decoded())));
        }
    }

    /// Passes a token to the tree builder; returns how the following text must be parsed.
    fn pass(&mut self, token: tokenizer::Token) -> ContentModel {
        match self.tree.process_token(token, 1) {
            TokenSinkResult::Plaintext => ContentModel::Plaintext,
            TokenSinkResult::RawData(RawKind::Rcdata) => ContentModel::Rcdata,
            TokenSinkResult::RawData(RawKind::Rawtext) => ContentModel::Rawtext,
            TokenSinkResult::RawData(_) => ContentModel::Script,
            TokenSinkResult::Continue | TokenSinkResult::Script(_) | TokenSinkResult::EncodingIndicator(_) => {
                ContentModel::Markup
            }
        }
    }

    fn nodes(&self) -> usize {
        self.tree.sink.tree.0.borrow().tree.values().len()
    }

    /// Returns the name of the last element in the root.
    fn last_of_root(&self) -> Option<String> {
        let html = self.tree.sink.tree.0.borrow();
        let root = html.tree.root().children().find(|node| node.value().is_element())?;
        root.last_child()?.value().as_element().map(|last| last.name().to_owned())
    }

    fn is_full(&mut self) -> bool {
        let full = self.nodes() + self.attributes > self.node_limit;
        if full {
            self.cut = Some(Cut::TooManyNodes);
        }
        full
    }

    fn is_deep(&mut self) -> bool {
        let nodes = self.nodes();
        let (open, nodes_then) = self.counted;
        if open + nodes.saturating_sub(nodes_then) < MAX_OPEN {
            return false;
        }
        let open = OpenElements::default();
        self.tree.trace_handles(&open);
        self.counted = (open.0.get(), nodes);
        open.0.get() >= MAX_OPEN
    }

    fn is_repeated_root(&mut self, tag: &Tag<'_>) -> bool {
        let [html, body] = &mut self.seen_root;
        let seen = match () {
            () if tag.is("html") => html,
            () if tag.is("body") => body,
            () => return false,
        };
        std::mem::replace(seen, true)
    }

    fn finish(mut self) -> (Html, FormOwners, Option<Cut>) {
        self.pass(tokenizer::Token::EOFToken);
        self.tree.end();
        let (html, owners) = self.tree.sink.finish();
        (html, owners, self.cut)
    }
}

/// Counts what the tree builder scans at every tag: the open elements, and those to be reopened.
#[derive(Default)]
struct OpenElements(Cell<usize>);

impl Tracer for OpenElements {
    type Handle = NodeId;

    fn trace_handle(&self, _: &NodeId) {
        self.0.set(self.0.get() + 1);
    }
}

fn tag_token(kind: TagKind, tag: &Tag<'_>, attrs: Vec<Attribute>) -> tokenizer::Token {
    tokenizer::Token::TagToken(tokenizer::Tag {
        kind,
        name: local_name(tag.name),
        self_closing: tag.self_closing,
        attrs,
        had_duplicate_attributes: false,
    })
}

fn attributes(tag: &Tag<'_>) -> Vec<Attribute> {
    let mut seen = HashSet::new();
    tag.attributes()
        .take(MAX_ATTRIBUTES)
        .map(|attribute| (local_name(attribute.name), attribute.value()))
        .filter(|(name, _)| seen.insert(name.clone()))
        .map(|(name, value)| Attribute { name: QualName::new(None, ns!(), name), value: StrTendril::from(&*value) })
        .collect()
}

fn local_name(name: &str) -> LocalName {
    LocalName::from(normalised(name).to_ascii_lowercase())
}

/// Parses `html PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://…"`: it decides whether a table may be in a paragraph
/// ("quirks mode").
fn doctype(inside: &str) -> Doctype {
    let (name, ids) = inside.trim_start().split_once(char::is_whitespace).unwrap_or((inside.trim(), ""));
    let keyword = ids.trim_start().get(..6).unwrap_or_default().to_ascii_lowercase();
    let mut quoted = ids.split(['"', '\'']).skip(1).step_by(2).map(StrTendril::from);
    Doctype {
        name: Some(StrTendril::from(name.to_ascii_lowercase())),
        public_id: if keyword == "public" { quoted.next() } else { None },
        system_id: quoted.next(),
        force_quirks: name.is_empty(),
    }
}

#[cfg(test)]
mod tests;
