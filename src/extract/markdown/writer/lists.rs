//! Lists: the markers of list items: bullets, or numbers. Knows no lines.

use super::MarkdownWriter;
use crate::extract::{select::Element, walk::NodeId};

/// A list that is open.
#[derive(Clone, Copy)]
pub(super) struct List {
    pub node: NodeId,
    is_ordered: bool,
    next: i64,
    has_other_marker: bool,
    is_begun: bool,
}

impl MarkdownWriter {
    pub(super) fn open_list(&mut self, element: Element<'_>) {
        let node = element.node().id();
        let is_ordered = element.name() == "ol";
        let start = element.attr("start").and_then(|start| start.trim().parse().ok());
        // CommonMark has no negative numbers, and none with more than nine digits.
        let next = start.unwrap_or(1_i64).clamp(0, 900_000_000);
        let follows =
            self.last_list.filter(|(list, end)| *end == self.blocks.out.len() && list.is_ordered == is_ordered);
        let has_other_marker = follows.is_some_and(|(list, _)| !list.has_other_marker);
        self.lists.push(List { node, is_ordered, next, has_other_marker, is_begun: false });
    }

    pub(super) fn open_item(&mut self, element: Element<'_>) {
        let value = element.attr("value").and_then(|value| value.trim().parse::<i64>().ok());
        let in_item = self.blocks.in_item();
        let (marker, is_tight) = match self.lists.last_mut() {
            None => ("- ".to_owned(), in_item),
            Some(list) => {
                let number = value.map_or(list.next, |value| value.clamp(0, 900_000_000));
                list.next = number.saturating_add(1);
                let is_tight = std::mem::replace(&mut list.is_begun, true) || in_item;
                let marker = match (list.is_ordered, list.has_other_marker) {
                    (true, false) => format!("{number}. "),
                    (true, true) => format!("{number}) "),
                    (false, false) => "- ".to_owned(),
                    (false, true) => "* ".to_owned(),
                };
                (marker, is_tight)
            }
        };
        self.blocks.open_item(element.node().id(), marker, is_tight);
    }
}
