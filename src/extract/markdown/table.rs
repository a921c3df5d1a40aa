//! MarkdownTable: distinguishes data tables from layout tables, and writes data tables (GFM §4.10). Knows no blocks.

use std::collections::HashMap;

use crate::extract::{
    select::Element,
    walk::{NodeId, TreeStep, Walk},
};

/// The most columns that a cell can span, and that a table can have.
const MAX_COLUMNS: usize = 200;

/// The most cells of a table, with the empty ones that spans make: a page of 1 MB can span 25 million.
const MAX_CELLS: usize = 100_000;

/// What is known of a table so far.
#[derive(Default)]
struct TableSize {
    rows: usize,
    cells: usize,
    has_header: bool,
    has_code: bool,
    /// Whether it is declared as layout, or contains tables or headings.
    is_layout: bool,
}

impl TableSize {
    /// A table with one row or one column is for layout, and so is code next to its line numbers.
    fn is_data(&self) -> bool {
        let has_shape = self.cells > self.rows && (self.rows > 1 || self.has_header);
        !self.is_layout && has_shape && !(self.has_code && self.rows == 1)
    }
}

/// Finds the data tables within an element.
pub(super) fn data_tables(top: Element<'_>) -> HashMap<NodeId, bool> {
    let mut found = HashMap::new();
    let mut open: Vec<(NodeId, TableSize)> = Vec::new();
    for step in Walk::over(*top.node()) {
        let (TreeStep::Open(node) | TreeStep::Close(node)) = step;
        let Some(element) = Element::of(node) else { continue };
        if element.name() == "table" {
            match step {
                TreeStep::Open(_) => {
                    if let Some((_, outer)) = open.last_mut() {
                        outer.is_layout = true;
                    }
                    let role = element.attr("role").unwrap_or_default();
                    let is_layout = matches!(role, "presentation" | "none");
                    open.push((node.id(), TableSize { is_layout, ..TableSize::default() }));
                }
                TreeStep::Close(_) => {
                    if let Some((node, seen)) = open.pop() {
                        found.insert(node, seen.is_data());
                    }
                }
            }
        } else if let (TreeStep::Open(_), Some((_, seen))) = (step, open.last_mut()) {
            match element.name() {
                "tr" => seen.rows += 1,
                "td" => seen.cells += 1,
                "th" => {
                    seen.cells += 1;
                    seen.has_header = true;
                }
                "pre" => seen.has_code = true,
                "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => seen.is_layout = true,
                _ => {}
            }
        }
    }
    found
}

/// A table being built.
#[derive(Default)]
pub(super) struct MarkdownTable {
    rows: Vec<TableRow>,
    /// How many more rows the cell above each column spans.
    spans: Vec<usize>,
    alignments: Vec<Alignment>,
    /// The cells of all rows.
    cells: usize,
}

struct TableRow {
    cells: Vec<String>,
    in_head: bool,
    has_only_headers: bool,
}

#[derive(Clone, Copy, Default)]
enum Alignment {
    #[default]
    None,
    Left,
    Center,
    Right,
}

impl MarkdownTable {
    pub fn row(&mut self, in_head: bool) {
        let width = self.rows.last().map_or(0, |row| row.cells.len());
        self.spans.iter_mut().skip(width).for_each(|span| *span = span.saturating_sub(1));
        self.rows.push(TableRow { cells: Vec::new(), in_head, has_only_headers: true });
    }

    /// Adds a cell to the last row, and the empty ones for its spans. Tells whether there was room for it.
    #[must_use]
    pub fn cell(&mut self, element: Element<'_>, text: &str) -> bool {
        if self.rows.is_empty() {
            self.row(false);
        }
        let is_first_row = self.rows.len() == 1;
        let Some(row) = self.rows.last_mut() else { return false };
        let before = row.cells.len();
        if self.cells >= MAX_CELLS {
            return false;
        }
        // Columns spanned by a cell above are empty here.
        while let Some(span) = self.spans.get_mut(row.cells.len()).filter(|span| **span > 0) {
            *span -= 1;
            row.cells.push(String::new());
        }
        row.has_only_headers &= element.name() == "th";
        let number = |name: &str| element.attr(name).and_then(|text| text.trim().parse::<usize>().ok());
        let columns = number("colspan").unwrap_or(1).clamp(1, MAX_COLUMNS);
        let below = number("rowspan").unwrap_or(1).clamp(1, 1_000) - 1;
        for nth in 0..columns {
            let column = row.cells.len();
            if column >= MAX_COLUMNS {
                break;
            }
            row.cells.push(if nth == 0 { text.replace('|', "\\|") } else { String::new() });
            if below > 0 {
                self.spans.resize(self.spans.len().max(column + 1), 0);
                if let Some(span) = self.spans.get_mut(column) {
                    *span = below;
                }
            }
            if is_first_row {
                self.alignments.push(alignment_of(element));
            }
        }
        self.cells += row.cells.len() - before;
        true
    }

    /// Writes the table. Its first row is the head if it is a head row; otherwise the head is empty, since GFM requires
    /// one.
    pub fn write(mut self) -> Option<String> {
        self.rows.retain(|row| row.cells.iter().any(|cell| !cell.is_empty()));
        let width = self.rows.iter().map(|row| row.cells.len()).max()?;
        let has_head = self.rows.first().is_some_and(|row| row.in_head || row.has_only_headers);
        let mut rows = self.rows.into_iter();
        let mut head = if has_head { rows.next().map(|row| row.cells).unwrap_or_default() } else { Vec::new() };
        head.resize(width, String::new());
        let mut text = written(&head);
        let rule = |column: usize| match self.alignments.get(column).copied().unwrap_or_default() {
            Alignment::None => "---",
            Alignment::Left => ":---",
            Alignment::Center => ":---:",
            Alignment::Right => "---:",
        };
        text.push_str(&written(&(0..width).map(rule).collect::<Vec<_>>()));
        rows.for_each(|row| text.push_str(&written(&row.cells)));
        Some(text)
    }
}

fn written<S: AsRef<str>>(cells: &[S]) -> String {
    let mut line = String::from("|");
    for cell in cells {
        let cell = cell.as_ref();
        line.push(' ');
        line.push_str(cell);
        line.push_str(if cell.is_empty() { "|" } else { " |" });
    }
    line.push('\n');
    line
}

fn alignment_of(element: Element<'_>) -> Alignment {
    let style = element.attr("style").unwrap_or_default();
    let by_style = style.split_once("text-align").map(|(_, rest)| rest.trim_start_matches([':', ' ']));
    let word = element.attr("align").or(by_style).unwrap_or_default().to_ascii_lowercase();
    match () {
        () if word.starts_with("left") => Alignment::Left,
        () if word.starts_with("center") => Alignment::Center,
        () if word.starts_with("right") => Alignment::Right,
        () => Alignment::None,
    }
}
