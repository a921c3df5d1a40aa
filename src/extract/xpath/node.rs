//! Node: a node of a page as XPath sees it, which stops having neighbours when the query has taken its steps.

use std::{cell::Cell, cmp::Ordering, iter};

use scraper::{Node, node::Element};
use xpath_eval::{ExpandedName, Node as XPathNode, NodeKind};

use crate::extract::node_order::NodeOrder;
use crate::extract::walk::TreeNode;

/// How many bytes of text are read in one step.
const BYTES_OF_A_STEP: u64 = 16;

/// One evaluation: its page, and the steps that are left.
pub(super) struct Evaluation<'q> {
    order: &'q NodeOrder,
    page: TreeNode<'q>,
    left: Cell<u64>,
}

impl<'q> Evaluation<'q> {
    /// Creates a query over the page of a node.
    pub fn new(order: &'q NodeOrder, page: TreeNode<'q>, steps: u64) -> Self {
        Self { order, page, left: Cell::new(steps) }
    }

    /// Tells whether it has taken its steps, so that its result is incomplete.
    pub fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    fn take(&self, steps: u64) -> bool {
        self.left.set(self.left.get().saturating_sub(steps));
        !self.is_spent()
    }

    fn node_at(&self, at: u32) -> Option<TreeNode<'q>> {
        self.order.id_at(at).and_then(|id| self.page.tree().get(id))
    }
}

/// A node, or an attribute of one.
#[derive(Clone, Copy)]
pub(super) struct QueryNode<'q> {
    query: &'q Evaluation<'q>,
    at: u32,
    /// Counted from 1; 0 is the node itself.
    attribute: u32,
}

impl<'q> QueryNode<'q> {
    pub fn new(query: &'q Evaluation<'q>, at: u32) -> Self {
        Self { query, at, attribute: 0 }
    }

    /// Returns the node, or the element of the attribute.
    pub fn node(self) -> Option<TreeNode<'q>> {
        self.query.node_at(self.at)
    }

    fn element(self) -> Option<&'q Element> {
        self.node().and_then(|node| node.value().as_element())
    }

    /// Returns the name and the value, if this is an attribute.
    pub fn attribute(self) -> Option<(&'q str, &'q str)> {
        let nth = (self.attribute as usize).checked_sub(1)?;
        self.element()?.attrs().nth(nth)
    }
}

impl PartialEq for QueryNode<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.attribute) == (other.at, other.attribute)
    }
}

impl Eq for QueryNode<'_> {}

impl<'q> XPathNode<'q> for QueryNode<'q> {
    fn kind(self) -> NodeKind {
        if self.attribute > 0 {
            return NodeKind::Attribute;
        }
        match self.node().map(|node| node.value()) {
            Some(Node::Element(_)) => NodeKind::Element,
            Some(Node::Text(_)) => NodeKind::Text,
            Some(Node::Comment(_)) => NodeKind::Comment,
            Some(Node::ProcessingInstruction(_)) => NodeKind::ProcessingInstruction,
            Some(Node::Document | Node::Fragment | Node::Doctype(_)) | None => NodeKind::Root,
        }
    }

    fn parent(self) -> Option<Self> {
        if self.attribute > 0 {
            return Some(Self { attribute: 0, ..self });
        }
        self.query.take(1);
        self.query.order.parent_of(self.at).map(|at| Self { at, ..self })
    }

    fn children(self) -> impl Iterator<Item = Self> + 'q {
        let Self { query, at, attribute } = self;
        let end = if attribute > 0 { at } else { query.order.end_of(at) };
        let is_within = move |at: &u32| *at < end && query.take(1);
        let first = Some(at + 1).filter(is_within);
        iter::successors(first, move |at| Some(query.order.end_of(*at)).filter(is_within)).map(move |at| Self {
            query,
            at,
            attribute: 0,
        })
    }

    fn attributes(self) -> impl Iterator<Item = Self> + 'q {
        let count = if self.attribute > 0 { 0 } else { self.element().map_or(0, |element| element.attrs().count()) };
        let count = u32::try_from(count).unwrap_or_default();
        (1..=count).take_while(move |_| self.query.take(1)).map(move |attribute| Self { attribute, ..self })
    }

    fn namespaces(self) -> impl Iterator<Item = Self> + 'q {
        iter::empty()
    }

    fn expanded_name(self) -> Option<ExpandedName> {
        let name = match self.attribute() {
            Some((name, _)) => name,
            None => match self.node()?.value() {
                Node::Element(element) => element.name(),
                Node::ProcessingInstruction(instruction) => &*instruction.target,
                _ => return None,
            },
        };
        Some(ExpandedName { namespace_uri: None, local_name: name.to_owned() })
    }

    fn has_expanded_name(self, namespace_uri: Option<&str>, local_name: &str) -> bool {
        let name = self.attribute().map(|(name, _)| name).or_else(|| self.element().map(Element::name));
        namespace_uri.is_none() && name == Some(local_name)
    }

    fn string_value(self) -> String {
        self.with_string_value(str::to_owned)
    }

    fn with_string_value<R>(self, f: impl FnOnce(&str) -> R) -> R {
        let borrowed = match self.attribute() {
            Some((_, value)) => Some(value),
            None => match self.node().map(|node| node.value()) {
                Some(Node::Text(text)) => Some(&**text),
                Some(Node::Comment(comment)) => Some(&**comment),
                Some(Node::ProcessingInstruction(instruction)) => Some(&*instruction.data),
                _ => None,
            },
        };
        if let Some(text) = borrowed {
            self.query.take(1 + text.len() as u64 / BYTES_OF_A_STEP);
            return f(text);
        }
        let mut all = String::new();
        for at in self.at..self.query.order.end_of(self.at) {
            let text = self.query.node_at(at).and_then(|node| node.value().as_text()).map_or("", |text| &**text);
            if !self.query.take(1 + text.len() as u64 / BYTES_OF_A_STEP) {
                break;
            }
            all.push_str(text);
        }
        f(&all)
    }

    fn document_order(self, other: Self) -> Ordering {
        (self.at, self.attribute).cmp(&(other.at, other.attribute))
    }

    fn is_id_attribute(self) -> bool {
        self.attribute().is_some_and(|(name, _)| name == "id")
    }
}
