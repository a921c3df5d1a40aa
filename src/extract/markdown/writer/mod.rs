//! MarkdownWriter: walks the page and converts each element to Markdown. Knows the elements of HTML, not how blocks and
//! lines are written.

mod lists;

use std::collections::{HashMap, HashSet};

use self::lists::List;
use super::{
    KeptUrls, MAX_MARKDOWN, WrittenMarkdown,
    blocks::{Blocks, DESCRIPTION},
    elements::{inside, is_block, is_unseen},
    escape,
    inline::{Inline, SpanKind},
    table::{MarkdownTable, data_tables},
};
use crate::extract::{
    address::Address,
    prefix::prefix,
    select::Element,
    text::HIDDEN,
    walk::{NodeId, TreeStep, Walk},
};

pub(super) struct MarkdownWriter {
    pub(super) address: Address,
    pub(super) kept: KeptUrls,
    /// Elements that are not written.
    left_out: HashSet<NodeId>,
    pub(super) blocks: Blocks,
    pub(super) inline: Inline,
    pub(super) heading: Option<usize>,
    lists: Vec<List>,
    /// The last list that ended, and the length of the text then: a list that follows directly uses another marker.
    last_list: Option<(List, usize)>,
    /// The data tables.
    data_tables: HashMap<NodeId, bool>,
    table: Option<MarkdownTable>,
    in_table_head: bool,
    pub(super) in_cell: bool,
    pub(super) without_url: usize,
    /// Whether something is left out, since a bound is reached.
    is_cut: bool,
}

impl MarkdownWriter {
    pub fn new(address: Address, kept: KeptUrls, left_out: HashSet<NodeId>) -> Self {
        Self {
            address,
            kept,
            left_out,
            blocks: Blocks::default(),
            inline: Inline::new(),
            heading: None,
            lists: Vec::new(),
            last_list: None,
            data_tables: HashMap::new(),
            table: None,
            in_table_head: false,
            in_cell: false,
            without_url: 0,
            is_cut: false,
        }
    }

    pub fn write(mut self, top: Element<'_>) -> WrittenMarkdown {
        self.data_tables = data_tables(top);
        let mut walk = Walk::over(*top.node());
        while let Some(step) = walk.next() {
            if self.blocks.out.len() + self.inline.length() > MAX_MARKDOWN {
                self.is_cut = true;
                break;
            }
            match step {
                TreeStep::Open(node) => match (Element::of(node), node.value().as_text()) {
                    (Some(element), _) => {
                        if !self.open(element) {
                            walk.skip_content();
                        }
                    }
                    (None, Some(text)) => self.inline.text(text),
                    (None, None) => {}
                },
                TreeStep::Close(node) => {
                    if let Some(element) = Element::of(node) {
                        self.close(element);
                    }
                }
            }
        }
        self.flush();
        let Blocks { mut out, too_deep, .. } = self.blocks;
        if out.len() > MAX_MARKDOWN {
            self.is_cut = true;
            out.truncate(prefix(&out, MAX_MARKDOWN).len());
        }
        WrittenMarkdown { text: out, too_deep, is_cut: self.is_cut, without_url: self.without_url, without_main: false }
    }

    /// Handles the start of an element; tells whether its content is read.
    fn open(&mut self, element: Element<'_>) -> bool {
        let node = element.node().id();
        let name = element.name();
        if HIDDEN.contains(&name) || is_unseen(element) || self.left_out.contains(&node) {
            return false;
        }
        match name {
            "head" | "select" | "textarea" | "datalist" => return false,
            "b" | "strong" => self.inline.open(node, SpanKind::Strong, "**", "**"),
            "i" | "em" | "cite" | "dfn" | "var" => self.inline.open(node, SpanKind::Emphasis, "*", "*"),
            "del" | "s" | "strike" => self.inline.open(node, SpanKind::Deleted, "~~", "~~"),
            "sup" | "sub" => self.inline.open(node, SpanKind::Html, format!("<{name}>"), format!("</{name}>")),
            "q" => self.inline.open(node, SpanKind::Html, "\"", "\""),
            "a" => return self.open_link(element),
            "img" => self.image(element),
            "br" => self.inline.line_break(),
            "code" | "kbd" | "samp" | "tt" => {
                self.code(element);
                return false;
            }
            "math" => return self.open_math(element),
            "pre" | "listing" | "xmp" => {
                self.preformatted(element);
                return false;
            }
            "hr" => {
                self.boundary();
                if !self.in_cell {
                    self.blocks.block("---");
                }
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.boundary();
                if !self.in_cell {
                    self.heading = name.get(1..).and_then(|level| level.parse().ok());
                    self.inline.break_lines_with(" ");
                }
            }
            "table" => self.open_table(node),
            "thead" => self.in_table_head = true,
            "tr" if self.table.is_some() => {
                let in_head = self.in_table_head;
                if let Some(table) = &mut self.table {
                    table.row(in_head);
                }
            }
            "td" | "th" if self.table.is_some() => {
                self.inline.take();
                self.in_cell = true;
                self.inline.break_lines_with("<br>");
            }
            _ if is_block(name) => self.open_block(element),
            _ => {}
        }
        true
    }

    fn open_block(&mut self, element: Element<'_>) {
        self.boundary();
        let node = element.node().id();
        if self.in_cell {
            return;
        }
        match element.name() {
            "blockquote" => self.blocks.open_quote(node),
            "ul" | "ol" | "menu" | "dir" => self.open_list(element),
            "li" => self.open_item(element),
            "dd" => self.blocks.open_item(node, DESCRIPTION.to_owned(), true),
            _ => {}
        }
    }

    fn close(&mut self, element: Element<'_>) {
        let node = element.node().id();
        match element.name() {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.boundary();
                if !self.in_cell {
                    self.heading = None;
                    self.inline.break_lines_with(Inline::HARD_BREAK);
                }
            }
            "td" | "th" if self.in_cell => {
                let text = self.inline.take();
                self.in_cell = false;
                self.inline.break_lines_with(Inline::HARD_BREAK);
                if let Some(table) = &mut self.table {
                    self.is_cut |= !table.cell(element, &text);
                }
            }
            "td" | "th" => self.boundary(),
            "thead" => self.in_table_head = false,
            "table" => {
                self.boundary();
                if self.data_tables.get(&node) == Some(&true)
                    && let Some(text) = self.table.take().and_then(MarkdownTable::write)
                {
                    self.blocks.block(&text);
                }
            }
            name if is_block(name) => {
                self.boundary();
                self.blocks.close(node);
                if let Some(list) = self.lists.pop_if(|list| list.node == node) {
                    self.last_list = Some((list, self.blocks.out.len()));
                }
            }
            _ => self.inline.close(node),
        }
    }

    /// Ends the current paragraph; within a cell, its line.
    pub(super) fn boundary(&mut self) {
        if self.in_cell { self.inline.fresh_line() } else { self.flush() }
    }

    fn flush(&mut self) {
        let text = self.inline.take();
        if text.is_empty() {
            return;
        }
        if let Some(level) = self.heading {
            self.blocks.block(&format!("{} {text}", "#".repeat(level)));
            return;
        }
        let mut lines = String::with_capacity(text.len());
        for line in text.split('\n') {
            match escape::line_start(line).and_then(|at| line.split_at_checked(at)) {
                Some((before, after)) => lines.extend([before, "\\", after, "\n"]),
                None => lines.extend([line, "\n"]),
            }
        }
        self.blocks.block(&lines);
    }

    fn open_table(&mut self, node: NodeId) {
        self.boundary();
        if self.data_tables.get(&node) == Some(&true) && !self.in_cell {
            self.table = Some(MarkdownTable::default());
            self.in_table_head = false;
        }
    }

    /// Writes a formula that contains its TeX; for others the text is read.
    fn open_math(&mut self, element: Element<'_>) -> bool {
        let annotation = inside(element, "semantics").and_then(|semantics| inside(semantics, "annotation"));
        let is_tex = |annotation: &Element<'_>| annotation.attr("encoding") == Some("application/x-tex");
        let Some(annotation) = annotation.filter(is_tex) else { return true };
        let mark = if element.attr("display") == Some("block") { "$$" } else { "$" };
        let tex = annotation.raw_text();
        self.inline.raw(&format!("{mark}{}{mark}", tex.trim().replace(['\r', '\n'], " ")));
        false
    }
}
