//! Serialize: writes a part of a page's tree as HTML (HTML standard, §13.3). Takes time linear in what it writes:
//! html5ever's own searches the rest of a text at each `&` in it, so that a megabyte of them takes minutes.

use std::collections::HashSet;

use html5ever::{QualName, ns};
use scraper::Node;

use super::{
    dom::VOID,
    walk::{NodeId, TreeNode, TreeStep, Walk},
};

/// Elements whose text is written as it is; a parser reads no references in it. In `noscript` it does, without scripts.
const RAW: [&str; 7] = ["style", "script", "xmp", "iframe", "noembed", "noframes", "plaintext"];

/// Returns an element with its tags.
pub(super) fn outer(element: TreeNode<'_>) -> String {
    outer_without(element, &HashSet::new())
}

/// Returns an element with its tags, without some elements in it.
pub(super) fn outer_without(element: TreeNode<'_>, left_out: &HashSet<NodeId>) -> String {
    let mut html = String::new();
    write(element, true, left_out, &mut html);
    html
}

/// Returns the content of an element.
pub(super) fn inner(element: TreeNode<'_>) -> String {
    let mut html = String::new();
    write(element, false, &HashSet::new(), &mut html);
    html
}

fn write(top: TreeNode<'_>, with_top: bool, left_out: &HashSet<NodeId>, html: &mut String) {
    let mut walk = Walk::over(top);
    while let Some(step) = walk.next() {
        let (TreeStep::Open(node) | TreeStep::Close(node)) = step;
        if !left_out.is_empty() && left_out.contains(&node.id()) {
            if matches!(step, TreeStep::Open(_)) {
                walk.skip_content();
            }
            continue;
        }
        let is_written = with_top || node != top;
        match (step, node.value()) {
            (TreeStep::Open(_), Node::Element(element)) => {
                if is_written {
                    html.extend(["<", &element.name.local]);
                    for (name, value) in &element.attrs {
                        html.extend([" ", prefix(name), &name.local, "=\""]);
                        escape(value, b'"', html);
                        html.push('"');
                    }
                    html.push('>');
                }
                if is_void(&element.name) {
                    walk.skip_content();
                }
            }
            (TreeStep::Close(_), Node::Element(element)) if is_written && !is_void(&element.name) => {
                html.extend(["</", &element.name.local, ">"]);
            }
            (TreeStep::Open(_), Node::Text(text)) => {
                let around = node.parent().and_then(|parent| parent.value().as_element());
                let is_raw = around.is_some_and(|around| around.name.ns == ns!(html) && RAW.contains(&around.name()));
                if is_raw { html.push_str(text) } else { escape(text, b'&', html) }
            }
            (TreeStep::Open(_), Node::Comment(comment)) => html.extend(["<!--", comment, "-->"]),
            (TreeStep::Open(_), Node::Doctype(doctype)) => html.extend(["<!DOCTYPE ", doctype.name(), ">"]),
            (TreeStep::Open(_), Node::ProcessingInstruction(instruction)) => {
                html.extend(["<?", &instruction.target, " ", &instruction.data, ">"]);
            }
            (TreeStep::Open(_), Node::Document | Node::Fragment) | (TreeStep::Close(_), _) => {}
        }
    }
}

fn is_void(name: &QualName) -> bool {
    name.ns == ns!(html) && VOID.contains(&&*name.local)
}

fn prefix(name: &QualName) -> &'static str {
    match name.ns {
        ns!(xlink) => "xlink:",
        ns!(xml) => "xml:",
        ns!(xmlns) if &*name.local != "xmlns" => "xmlns:",
        _ => "",
    }
}

/// Writes a text; in an attribute, quotes are escaped too.
fn escape(text: &str, quote: u8, html: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'&' | b'<' | b'>' | 0xc2) || byte == quote) {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        html.push_str(before);
        let mut characters = from.chars();
        match characters.next() {
            Some('&') => html.push_str("&amp;"),
            Some('<') => html.push_str("&lt;"),
            Some('>') => html.push_str("&gt;"),
            Some('"') => html.push_str("&quot;"),
            Some('\u{a0}') => html.push_str("&nbsp;"),
            Some(other) => html.push(other),
            None => {}
        }
        rest = characters.as_str();
    }
    html.push_str(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{
        extract::Document,
        growth::{HostileInput, assert_linear},
    };

    #[test]
    fn what_is_written_is_read_as_the_same_tree() {
        for html in [
            "<p title='a&amp;\"&lt;&nbsp;£'>a &amp;amp; &lt;b&gt; &nbsp;«é»</p>",
            "<svg viewBox='0' xlink:href='#a' xml:lang='en'><a xlink:href='x'></a></svg>",
            "<script>a < b && \"c\"</script><style>p > a</style><textarea>&lt;p></textarea><br><img src=x>",
            "<noscript>a &lt;b&gt; <i>c</i></noscript>",
            "<!-- c --><template><p>x</p></template>",
        ] {
            let page = Document::parse(html);
            let written = page.root().html();
            assert_eq!(Document::parse(&written).root().html(), written, "{html}");
            let body = page.first("body").unwrap();
            assert_eq!(body.html(), format!("<body>{}</body>", body.inner_html()));
        }
        let noscript = Document::parse("<body><noscript>&lt;img&gt;</noscript>");
        assert_eq!(noscript.first("noscript").unwrap().html(), "<noscript>&lt;img&gt;</noscript>");
    }

    #[test]
    fn a_text_of_characters_that_are_escaped_takes_linear_time() {
        let texts: [HostileInput; 5] = [
            |size| "&".repeat(size),
            |size| "&amp;".repeat(size),
            |size| "&nbsp;".repeat(size),
            |size| "£".repeat(size),
            |size| "&gt;".repeat(size),
        ];
        assert_linear(100_000, &texts, |text| assert!(Document::parse(text).root().html().len() >= 200_000));
    }

    proptest! {
        #[test]
        fn any_page_is_written_as_html5ever_writes_it(
            html in "(<p a='&\"<>\u{a0}£'>|</p>|<b>|</b>|<svg viewBox=x>|<a xlink:href=y>|</svg>|<br>|<img b>|<script>|</script>|<style>|</style>|\
                     <table>|<td>|<textarea>|</textarea>|<!--|-->|x|&|&lt;|>|é|\u{a0}|£|<xmp>|<iframe>|<template>|</template>|<math><mi>){0,30}",
        ) {
            let page = Document::parse(&html);
            prop_assert_eq!(page.root().html(), page.root().node().html());
            prop_assert_eq!(page.root().inner_html(), page.root().node().inner_html());
        }
    }
}
