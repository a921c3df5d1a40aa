//! DomSink: takes the tree that html5ever builds, as `scraper`'s, and keeps which form each control got. Knows no
//! bounds.

use std::{borrow::Cow, cell::RefCell};

use html5ever::{
    Attribute, QualName,
    tendril::StrTendril,
    tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink},
};
use scraper::{Html, HtmlTreeSink};

use crate::extract::walk::NodeId;

/// Which form the parser gave to each control, sorted by control. A control without one belongs to the form around it.
pub type FormOwners = Vec<(NodeId, NodeId)>;

pub(super) struct DomSink {
    pub tree: HtmlTreeSink,
    owners: RefCell<FormOwners>,
}

impl DomSink {
    pub fn new() -> Self {
        Self { tree: HtmlTreeSink::new(Html::new_document()), owners: RefCell::default() }
    }
}

impl TreeSink for DomSink {
    type Handle = NodeId;
    type Output = (Html, FormOwners);
    type ElemName<'a> = <HtmlTreeSink as TreeSink>::ElemName<'a>;

    fn finish(self) -> Self::Output {
        let mut owners = self.owners.into_inner();
        owners.sort_unstable_by_key(|(control, _)| *control);
        owners.shrink_to_fit();
        (self.tree.finish(), owners)
    }

    /// A control in a form that is open belongs to it even where it is not in it: the form was closed by the end of an
    /// element around it, or stands in a table, whose cells are not in it (HTML §13.2.6.1, "create an element for the
    /// token").
    fn associate_with_form(&self, control: &NodeId, form: &NodeId, _: (&NodeId, Option<&NodeId>)) {
        self.owners.borrow_mut().push((*control, *form));
    }

    fn parse_error(&self, message: Cow<'static, str>) {
        self.tree.parse_error(message);
    }

    fn get_document(&self) -> NodeId {
        self.tree.get_document()
    }

    fn elem_name<'a>(&'a self, target: &'a NodeId) -> Self::ElemName<'a> {
        self.tree.elem_name(target)
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, flags: ElementFlags) -> NodeId {
        self.tree.create_element(name, attributes, flags)
    }

    fn create_comment(&self, text: StrTendril) -> NodeId {
        self.tree.create_comment(text)
    }

    fn create_pi(&self, target: StrTendril, data: StrTendril) -> NodeId {
        self.tree.create_pi(target, data)
    }

    fn append(&self, parent: &NodeId, child: NodeOrText<NodeId>) {
        self.tree.append(parent, child);
    }

    fn append_based_on_parent_node(&self, element: &NodeId, before: &NodeId, child: NodeOrText<NodeId>) {
        self.tree.append_based_on_parent_node(element, before, child);
    }

    fn append_doctype_to_document(&self, name: StrTendril, public_id: StrTendril, system_id: StrTendril) {
        self.tree.append_doctype_to_document(name, public_id, system_id);
    }

    fn get_template_contents(&self, target: &NodeId) -> NodeId {
        self.tree.get_template_contents(target)
    }

    fn same_node(&self, one: &NodeId, other: &NodeId) -> bool {
        one == other
    }

    fn set_quirks_mode(&self, mode: QuirksMode) {
        self.tree.set_quirks_mode(mode);
    }

    fn append_before_sibling(&self, sibling: &NodeId, new: NodeOrText<NodeId>) {
        self.tree.append_before_sibling(sibling, new);
    }

    fn add_attrs_if_missing(&self, target: &NodeId, attributes: Vec<Attribute>) {
        self.tree.add_attrs_if_missing(target, attributes);
    }

    fn remove_from_parent(&self, target: &NodeId) {
        self.tree.remove_from_parent(target);
    }

    fn reparent_children(&self, node: &NodeId, new_parent: &NodeId) {
        self.tree.reparent_children(node, new_parent);
    }
}
