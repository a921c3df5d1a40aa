//! Walk: the nodes of a tree in the order in which they open and close. Keeps its place and nothing else, so that depth
//! costs no stack; knows nothing of what the nodes mean.

use std::ops::Deref;

use html5ever::tree_builder::TreeSink;
use scraper::{ElementRef, HtmlTreeSink};

/// A node of a page's tree.
pub(crate) type TreeNode<'a> = <ElementRef<'a> as Deref>::Target;

/// The place of a node in its tree.
pub(crate) type NodeId = <HtmlTreeSink as TreeSink>::Handle;

/// The beginning or the end of a node.
#[derive(Clone, Copy)]
pub(crate) enum Step<'a> {
    Open(TreeNode<'a>),
    Close(TreeNode<'a>),
}

/// A walk over `top` and all that is in it. Every node opens and closes, also texts.
pub(crate) struct Walk<'a> {
    top: TreeNode<'a>,
    next: Option<Step<'a>>,
}

impl<'a> Walk<'a> {
    /// Begins at the opening of `top`.
    pub fn over(top: TreeNode<'a>) -> Self {
        Self { top, next: Some(Step::Open(top)) }
    }

    /// Goes on at the end of the node that has just opened.
    pub fn skip_content(&mut self) {
        if let Some(Step::Open(inside)) = self.next {
            self.next = inside.parent().map(Step::Close);
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        let step = self.next?;
        self.next = match step {
            Step::Open(node) => Some(node.first_child().map_or(Step::Close(node), Step::Open)),
            Step::Close(node) if node == self.top => None,
            Step::Close(node) => node.next_sibling().map(Step::Open).or_else(|| node.parent().map(Step::Close)),
        };
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use crate::extract::Document;

    use super::*;

    #[test]
    fn every_element_opens_and_closes_in_order_and_content_can_be_skipped() {
        let page = Document::parse("<div><p>a<b>c</b></p><i></i></div>");
        let top = page.first("div").unwrap().node();
        let walk = |skipped: &str| {
            let mut names = String::new();
            let mut walk = Walk::over(*top);
            while let Some(step) = walk.next() {
                let (mark, node) = match step {
                    Step::Open(node) => ("+", node),
                    Step::Close(node) => ("-", node),
                };
                let Some(element) = node.value().as_element() else { continue };
                names += &format!("{mark}{}", element.name());
                if mark == "+" && element.name() == skipped {
                    walk.skip_content();
                }
            }
            names
        };
        assert_eq!(walk(""), "+div+p+b-b-p+i-i-div");
        assert_eq!(walk("p"), "+div+p-p+i-i-div");
        assert_eq!(walk("i"), "+div+p+b-b-p+i-i-div");
        assert_eq!(walk("div"), "+div-div");
    }
}
