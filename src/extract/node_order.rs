//! NodeOrder: where each node stands in its page. Knows no expression.

use std::{collections::HashMap, fmt};

use scraper::Node;

use crate::extract::walk::{NodeId, TreeNode, TreeStep, Walk};

/// The nodes of a page in document order, 32 bytes each. Made once, since each expression needs it.
#[derive(Clone)]
pub(crate) struct NodeOrder {
    entries: Vec<NodeEntry>,
    places: HashMap<NodeId, u32>,
}

#[derive(Clone, Copy)]
struct NodeEntry {
    id: NodeId,
    parent: u32,
    /// After the last node within.
    end: u32,
}

impl NodeOrder {
    /// Reads the tree of a node.
    pub fn of(node: TreeNode<'_>) -> Self {
        let mut order = Self { entries: Vec::new(), places: HashMap::new() };
        let mut open = Vec::new();
        for step in Walk::over(node.tree().root()) {
            match step {
                TreeStep::Open(node) if is_seen(node.value()) => {
                    let at = order.len();
                    let parent = open.last().copied().unwrap_or_default();
                    order.entries.push(NodeEntry { id: node.id(), parent, end: at + 1 });
                    order.places.insert(node.id(), at);
                    open.push(at);
                }
                TreeStep::Close(node) if is_seen(node.value()) => {
                    let end = order.len();
                    if let Some(entry) = open.pop().and_then(|at| order.entries.get_mut(at as usize)) {
                        entry.end = end;
                    }
                }
                // The content of a `template` is directly within it.
                TreeStep::Open(_) | TreeStep::Close(_) => {}
            }
        }
        order
    }

    /// The number of nodes, of which a tree has at most some hundred thousand.
    fn len(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// Returns the place of a node.
    pub fn place_of(&self, id: NodeId) -> Option<u32> {
        self.places.get(&id).copied()
    }

    /// Returns the node at a place.
    pub fn id_at(&self, at: u32) -> Option<NodeId> {
        self.entries.get(at as usize).map(|entry| entry.id)
    }

    /// Returns the place of the parent; the root has none.
    pub fn parent_of(&self, at: u32) -> Option<u32> {
        self.entries.get(at as usize).filter(|_| at > 0).map(|entry| entry.parent)
    }

    /// Returns the place after the last node within one.
    pub fn end_of(&self, at: u32) -> u32 {
        self.entries.get(at as usize).map_or(at, |entry| entry.end)
    }
}

/// Every element shows its page: without its nodes, or a list of elements would fill gigabytes.
impl fmt::Debug for NodeOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeOrder").field("nodes", &self.len()).finish_non_exhaustive()
    }
}

/// Tells whether a node is one of XPath's data model.
fn is_seen(node: &Node) -> bool {
    match node {
        Node::Document | Node::Comment(_) | Node::Text(_) | Node::Element(_) | Node::ProcessingInstruction(_) => true,
        Node::Fragment | Node::Doctype(_) => false,
    }
}
