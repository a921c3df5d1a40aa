//! Blocks: writes paragraphs, code and tables one after another, within quotations and list items. Treats text as lines
//! only.

use super::MAX_MARKDOWN;
use crate::extract::walk::NodeId;

/// The deepest nesting of lists and quotations: each adds two to four characters to every line.
const MAX_NESTING: usize = 32;

/// How a description of a term begins.
pub(super) const DESCRIPTION: &str = ": ";

/// The blocks written so far.
#[derive(Default)]
pub(super) struct Blocks {
    pub out: String,
    containers: Vec<Container>,
    pub too_deep: usize,
}

/// A quotation or a list item.
struct Container {
    node: NodeId,
    /// The beginning of its first line, until that is written.
    marker: Option<String>,
    /// The beginning of its other lines.
    prefix: String,
    /// Whether it follows the previous block without an empty line.
    is_tight: bool,
    kind: ContainerKind,
    /// Whether one of its lines has been written.
    is_begun: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ContainerKind {
    Quote,
    Item,
    Description,
}

impl Blocks {
    /// Tells whether this is within a list item.
    pub fn in_item(&self) -> bool {
        self.containers.iter().any(|container| container.kind != ContainerKind::Quote)
    }

    pub fn open_quote(&mut self, node: NodeId) {
        self.open(Container {
            node,
            marker: None,
            prefix: "> ".to_owned(),
            is_tight: false,
            kind: ContainerKind::Quote,
            is_begun: false,
        });
    }

    /// Begins an item whose first line begins with `marker`.
    pub fn open_item(&mut self, node: NodeId, marker: String, is_tight: bool) {
        let kind = if marker == DESCRIPTION { ContainerKind::Description } else { ContainerKind::Item };
        // Where descriptions are no part of the dialect, four spaces begin code: so those within each other add them
        // only once.
        let is_nested =
            kind == ContainerKind::Description && self.containers.last().is_some_and(|last| last.kind == kind);
        let prefix = if is_nested { String::new() } else { " ".repeat(marker.len()) };
        self.open(Container { node, marker: Some(marker), prefix, is_tight, kind, is_begun: false });
    }

    fn open(&mut self, container: Container) {
        if self.containers.len() < MAX_NESTING {
            self.containers.push(container);
        } else {
            self.too_deep += 1;
        }
    }

    /// Ends the container that began at this node, if any. An item without content is left out.
    pub fn close(&mut self, node: NodeId) {
        self.containers.pop_if(|container| container.node == node);
    }

    /// Writes a block, which has at least one line.
    pub fn block(&mut self, lines: &str) {
        let item = self.containers.iter().find(|container| container.marker.is_some());
        let is_tight = item.is_some_and(|item| item.is_tight);
        if !self.out.is_empty() && !is_tight {
            // A container that begins here does not include the empty line before it.
            let around = self.containers.iter().take_while(|container| container.is_begun);
            let prefix: String = around.map(|container| container.prefix.as_str()).collect();
            self.out.push_str(prefix.trim_end());
            self.out.push('\n');
        }
        // Where descriptions are no part of the dialect, code that begins after a marker is text, and its end begins
        // code.
        let is_code = lines.starts_with("```");
        let description = self.containers.last().is_some_and(|inner| inner.marker.as_deref() == Some(DESCRIPTION));
        let marker_alone = (is_code && description).then_some("");
        for line in marker_alone.into_iter().chain(lines.lines()) {
            if self.out.len() > MAX_MARKDOWN {
                return;
            }
            let start = self.out.len();
            for container in &mut self.containers {
                container.is_begun = true;
                let marker = container.marker.take();
                self.out.push_str(marker.as_deref().unwrap_or(&container.prefix));
            }
            self.out.push_str(line);
            if line.is_empty() {
                let length = self.out.get(start..).unwrap_or_default().trim_end().len();
                self.out.truncate(start + length);
            }
            self.out.push('\n');
        }
    }
}
