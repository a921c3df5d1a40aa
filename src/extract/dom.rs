//! The tree of a page, built by html5ever's rules from our tokens, within bounds.
//! Knows no selectors; the tree is `scraper`'s.
//!
//! Built without bounds, a hostile page is cheap to write and dear to read. Measured with
//! html5ever 0.40: 100 KB of `<div>` cost 0.7 s (every tag looks through all open elements), a tag
//! with 20,000 attributes 0.1 s (each is compared with all before it), and 16 KB of `<p>` after
//! 1,000 unclosed `<b>` give two million nodes (each paragraph opens all of them again); all three
//! grow with the square of the page's length.

use std::cell::Cell;
use std::collections::HashSet;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{self, Doctype, TagKind, TokenSink, TokenSinkResult};
use html5ever::tree_builder::{Tracer, TreeBuilder, TreeBuilderOpts, TreeSink};
use html5ever::{Attribute, LocalName, QualName, ns};
use scraper::{Html, HtmlTreeSink};

use super::context::content_of;
use super::tokens::{Content, Tag, Text, TextKind, Token, Tokens, normalised};

/// The most elements that may be open at once; start tags beyond are left out, their text is kept.
/// Browsers stop nesting at the same depth (512 in Blink and `WebKit`).
pub(super) const MAX_OPEN: usize = 512;

/// The most nodes and attributes of a tree, whatever the page's length. Each takes about 200 bytes,
/// so that the trees of two hostile pages are 100 MB; pages made for people have fewer than 50,000.
pub(super) const MAX_NODES: usize = 250_000;

/// A page may have this many nodes however short it is, and beyond them one node per byte: without
/// repetition the shortest markup of a node takes two.
const MIN_NODES: usize = 1_000;

/// The most attributes of one element; the others are left out.
const MAX_ATTRIBUTES: usize = 256;

/// What was left out of a page's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Elements nested deeper than 512; their text is in the element they were to stand in.
    TooDeep,
    /// All that follows the node that was one too many.
    TooManyNodes,
}

/// Builds the tree of `html`, and says what had to be left out of it.
pub(super) fn parse(html: &str) -> (Html, Option<Cut>) {
    let mut builder = Builder::new(html.len().clamp(MIN_NODES, MAX_NODES));
    let mut tokens = Tokens::new(html);
    while let Some(token) = tokens.next() {
        if builder.is_full() {
            break;
        }
        match token {
            Token::Doctype(inside) => builder.doctype(inside),
            Token::Start(tag) => tokens.expect(builder.start(&tag), tag),
            Token::End(tag) => builder.end(&tag),
            Token::Text(text) => builder.text(text),
            Token::Comment(text) => builder.comment(text),
        }
        tokens.allow_cdata(builder.tree.adjusted_current_node_present_but_not_in_html_namespace());
    }
    builder.finish()
}

struct Builder {
    tree: TreeBuilder<NodeId, HtmlTreeSink>,
    node_limit: usize,
    /// How many attributes were handed to the tree builder.
    attributes: usize,
    /// How many elements were open when they were last counted, and how many nodes there were: no
    /// more can be open now than those and all that were made since.
    counted: (usize, usize),
    /// Whether a tag of `html` and of `body` has been there. Further ones only add attributes to
    /// the first, at a cost that grows with their number.
    seen_root: [bool; 2],
    cut: Option<Cut>,
}

type NodeId = <HtmlTreeSink as TreeSink>::Handle;

impl Builder {
    fn new(node_limit: usize) -> Self {
        // A crawler runs no scripts, so what stands in `noscript` is part of the page.
        let options = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
        let tree = TreeBuilder::new(HtmlTreeSink::new(Html::new_document()), options);
        Self { tree, node_limit, attributes: 0, counted: (0, 0), seen_root: [false; 2], cut: None }
    }

    fn start(&mut self, tag: &Tag<'_>) -> Content {
        if self.is_repeated_root(tag) {
            return Content::Markup;
        }
        if self.is_deep() {
            self.cut = Some(Cut::TooDeep);
            return content_of(tag);
        }
        let attributes = attributes(tag);
        self.attributes += attributes.len();
        self.pass(tag_token(TagKind::StartTag, tag, attributes))
    }

    fn end(&mut self, tag: &Tag<'_>) {
        self.pass(tag_token(TagKind::EndTag, tag, Vec::new()));
    }

    fn doctype(&mut self, inside: &str) {
        self.pass(tokenizer::Token::DoctypeToken(doctype(inside)));
    }

    fn comment(&mut self, text: &str) {
        self.pass(tokenizer::Token::CommentToken(StrTendril::from(&*normalised(text, "\u{fffd}"))));
    }

    fn text(&mut self, text: Text<'_>) {
        if matches!(text.kind, TextKind::Rcdata | TextKind::Raw) {
            self.characters(text);
            return;
        }
        // What becomes of a NUL depends on where it stands; the tree builder knows.
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

    /// Hands a token to the tree builder; returns how it wants the text that follows to be read.
    fn pass(&mut self, token: tokenizer::Token) -> Content {
        match self.tree.process_token(token, 1) {
            TokenSinkResult::Plaintext => Content::Plaintext,
            TokenSinkResult::RawData(RawKind::Rcdata) => Content::Rcdata,
            TokenSinkResult::RawData(RawKind::Rawtext) => Content::Rawtext,
            TokenSinkResult::RawData(_) => Content::Script,
            TokenSinkResult::Continue | TokenSinkResult::Script(_) | TokenSinkResult::EncodingIndicator(_) => {
                Content::Markup
            }
        }
    }

    fn nodes(&self) -> usize {
        self.tree.sink.0.borrow().tree.values().len()
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

    fn finish(mut self) -> (Html, Option<Cut>) {
        self.pass(tokenizer::Token::EOFToken);
        self.tree.end();
        (self.tree.sink.finish(), self.cut)
    }
}

/// Counts what the tree builder looks through at every tag: the open elements, and those that it
/// is to open again.
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
    LocalName::from(normalised(name, "\u{fffd}").to_ascii_lowercase())
}

/// Reads `html PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://…"`: it decides whether a table may stand
/// in a paragraph ("quirks mode").
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
mod tests {
    use super::*;
    use html5ever::driver::{ParseOpts, parse_document};
    use html5ever::tendril::TendrilSink;
    use proptest::prelude::*;
    use scraper::{Node, Selector};

    /// The tree that html5ever builds by its own tokeniser.
    fn html5ever_tree(html: &str) -> Html {
        let tree_builder = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
        let options = ParseOpts { tree_builder, ..ParseOpts::default() };
        parse_document(HtmlTreeSink::new(Html::new_document()), options).one(html)
    }

    /// Writes a tree, but not the text of its comments: of one that never ends ours is longer.
    fn outline(html: &Html) -> String {
        let mut written = format!("{:?} ", html.quirks_mode);
        let mut nodes = vec![(html.tree.root(), false)];
        while let Some((node, closes)) = nodes.pop() {
            match node.value() {
                Node::Element(element) if closes => written += &format!("</{}>", element.name()),
                Node::Element(element) => written += &format!("<{} {:?}>", element.name(), element.attrs),
                Node::Text(text) if closes => written += text,
                Node::Comment(_) if closes => written += "<!---->",
                _ => {}
            }
            if !closes {
                nodes.push((node, true));
                nodes.extend(node.children().rev().map(|child| (child, false)));
            }
        }
        written
    }

    fn assert_same_tree(html: &str) {
        assert_eq!(outline(&parse(html).0), outline(&html5ever_tree(html)), "{html:?}");
    }

    #[test]
    fn the_tree_is_the_one_that_browsers_build() {
        for html in [
            "",
            "text",
            "<!doctype html><title>a&amp;b</title><p>c<p>d",
            "<!DOCTYPE html PUBLIC \"-//W3C//DTD HTML 3.2//EN\"><p><table><tr><td>a</table>",
            "<!DOCTYPE HTML PUBLIC '-//W3C//DTD HTML 4.01 Transitional//EN' 'http://www.w3.org/TR/html4/loose.dtd'><p><table>",
            "<!doctype html SYSTEM 'about:legacy-compat'><p><table>",
            "<p><table><tr><td>a</table>",
            "<table><a href=x>fostered<tr><td>b</table>c",
            "<svg><title><p>a</title><style><b>c</b></style><![CDATA[d]]></svg><style><b></style>",
            "<math><mi><b>a</b></mi><annotation-xml encoding=text/html><p>b</math>",
            "<noscript><a href=x>y</a></noscript>",
            "<template><tr><td>a</template>",
            "<textarea>\n\n<b></textarea><pre>\n\nx</pre>",
            "a\0b<script>c\0d</script><svg>e\0f",
            "<B ID=1 id=2 Class=x>y</b>",
            "<a><p></a>x</p>",
        ] {
            assert_same_tree(html);
        }
    }

    proptest! {
        #[test]
        fn the_tree_of_any_soup_is_the_one_that_html5ever_builds(pieces in soup()) {
            assert_same_tree(&pieces.concat());
        }
    }

    /// Pieces of markup in no order.
    fn soup() -> impl Strategy<Value = Vec<String>> {
        let tag = prop::sample::select(vec![
            "a",
            "b",
            "p",
            "div",
            "li",
            "table",
            "tr",
            "td",
            "select",
            "option",
            "svg",
            "math",
            "mi",
            "foreignObject",
            "title",
            "style",
            "script",
            "noscript",
            "template",
            "textarea",
            "plaintext",
            "iframe",
            "form",
            "h1",
            "br",
            "head",
            "button",
            "nobr",
            "font",
            "xmp",
            "desc",
        ]);
        let attributes = prop::sample::select(vec![
            "",
            " href=x",
            " href='&amp;y' id=\"&lt\"",
            " color",
            "/",
            " a=b/",
            " =x",
            " A a=2",
            " x='>'",
            "\r\ny\0=\0",
        ]);
        let bits = prop::sample::select(vec![
            "x",
            " ",
            "&amp;",
            "&notit;",
            "&#128;",
            "&#0;",
            "&#xd800;",
            "\0",
            "\r\n",
            "\r",
            "<",
            "</",
            ">",
            "--",
            "]]>",
            "<!--",
            "-->",
            "<!",
            "<?",
            "<![CDATA[",
            "<!doctype html>",
            "</>",
            "\"",
            "'",
            "=",
            "é",
            "<!-->",
            "--!>",
        ]);
        let piece = prop_oneof![
            3 => (tag.clone(), attributes).prop_map(|(tag, attributes)| format!("<{tag}{attributes}>")),
            2 => tag.prop_map(|tag| format!("</{tag}>")),
            2 => bits.prop_map(str::to_owned),
        ];
        prop::collection::vec(piece, 0..16)
    }

    #[test]
    fn elements_beyond_the_depth_are_left_out_and_their_text_is_kept() {
        let html = format!("{}<i>deep</i>{}<p>after", "<div>".repeat(40_000), "</div>".repeat(40_000));
        let (tree, cut) = parse(&html);
        assert_eq!(cut, Some(Cut::TooDeep));
        let depth = tree.tree.nodes().map(|node| node.ancestors().count()).max();
        assert!(depth.is_some_and(|depth| (500..=MAX_OPEN + 2).contains(&depth)), "{depth:?}");
        let text: String = tree.root_element().text().collect();
        assert_eq!(text, "deepafter");
    }

    /// Each paragraph opens again what was left open in the first: 16 KB gave two million nodes.
    #[test]
    fn elements_that_are_opened_again_and_again_do_not_multiply() {
        let unclosed: String = (0..1_000).map(|nth| format!("<b a{nth}>")).collect();
        let html = format!("<p>{unclosed}</p>{}", "<p>x".repeat(2_000));
        let (tree, cut) = parse(&html);
        assert!(cut.is_some());
        assert!(tree.tree.values().len() < html.len() + 2 * MAX_OPEN);
    }

    #[test]
    fn an_element_has_no_more_attributes_than_are_read() {
        let attributes: String = (0..100_000).map(|nth| format!("a{nth} ")).collect();
        let (tree, _) = parse(&format!("<p {attributes}>x"));
        let p = Selector::parse("p").expect("a selector");
        let count = tree.select(&p).next().map(|p| p.value().attrs().count());
        assert_eq!(count, Some(MAX_ATTRIBUTES));
    }

    #[test]
    fn a_body_that_is_opened_again_keeps_its_first_attributes() {
        let (tree, _) = parse("<body id=a><p>x<body class=b><p>y");
        assert_eq!(outline(&tree).matches("class").count(), 0);
        assert_eq!(outline(&tree).matches("<body").count(), 1);
    }
}
