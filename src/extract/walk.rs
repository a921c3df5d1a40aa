//! Walk: visits the nodes of a tree in order, at their start and end. Keeps only its position, so that depth needs no
//! stack; does not know what the nodes mean.

use std::ops::Deref;

use html5ever::tree_builder::TreeSink;
use scraper::{ElementRef, HtmlTreeSink};

/// A node of a page's tree.
pub(crate) type TreeNode<'a> = <ElementRef<'a> as Deref>::Target;

/// The ID of a node in its tree.
pub(crate) type NodeId = <HtmlTreeSink as TreeSink>::Handle;

/// The start or the end of a node.
#[derive(Clone, Copy)]
pub(crate) enum TreeStep<'a> {
    Open(TreeNode<'a>),
    Close(TreeNode<'a>),
}

/// A walk over `top` and its content. Every node has a start and an end, including texts.
pub(crate) struct Walk<'a> {
    top: TreeNode<'a>,
    next: Option<TreeStep<'a>>,
}

impl<'a> Walk<'a> {
    /// Starts at the beginning of `top`.
    pub fn over(top: TreeNode<'a>) -> Self {
        Self { top, next: Some(TreeStep::Open(top)) }
    }

    /// Continues at the end of the node that has just started.
    pub fn skip_content(&mut self) {
        if let Some(TreeStep::Open(inside)) = self.next {
            self.next = inside.parent().map(TreeStep::Close);
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = TreeStep<'a>;

    fn next(&mut self) -> Option<TreeStep<'a>> {
        let step = self.next?;
        self.next = match step {
            TreeStep::Open(node) => Some(node.first_child().map_or(TreeStep::Close(node), TreeStep::Open)),
            TreeStep::Close(node) if node == self.top => None,
            TreeStep::Close(node) => {
                node.next_sibling().map(TreeStep::Open).or_else(|| node.parent().map(TreeStep::Close))
            }
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
                    TreeStep::Open(node) => ("+", node),
                    TreeStep::Close(node) => ("-", node),
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
