//! Writer: walks the page and converts each element to Markdown. Knows the elements of HTML, not how blocks and lines
//! are written.

use std::collections::HashMap;

use super::{
    Kept, MAX_MARKDOWN, WrittenMarkdown,
    blocks::{Blocks, DESCRIPTION},
    escape,
    inline::{Inline, SpanKind},
    table::{Table, data_tables},
};
use crate::extract::{
    address::Address,
    links::MAX_URL_LENGTH,
    prefix::prefix,
    select::Element,
    text::{HIDDEN, Prose},
    walk::{NodeId, Step, Walk},
};

/// Marks by which sites link to a heading, next to the heading.
const PERMALINKS: [&str; 5] = ["", "¶", "#", "§", "🔗"];

/// The most nodes examined to recognize such a mark.
const MAX_PERMALINK_NODES: usize = 12;

/// The most elements around code that are searched for its language.
const MAX_LANGUAGE_ANCESTORS: usize = 3;

/// The longest class attribute that is searched for a language, in bytes.
const MAX_CLASSES: usize = 1 << 10;

pub(super) struct Writer {
    address: Address,
    kept: Kept,
    blocks: Blocks,
    inline: Inline,
    heading: Option<usize>,
    lists: Vec<List>,
    /// The last list that ended, and the length of the text then: a list that follows directly uses another marker.
    last_list: Option<(List, usize)>,
    /// The data tables.
    data_tables: HashMap<NodeId, bool>,
    table: Option<Table>,
    in_table_head: bool,
    in_cell: bool,
    without_url: usize,
}

#[derive(Clone, Copy)]
struct List {
    node: NodeId,
    is_ordered: bool,
    next: i64,
    has_other_marker: bool,
    is_begun: bool,
}

impl Writer {
    pub fn new(address: Address, kept: Kept) -> Self {
        Self {
            address,
            kept,
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
        }
    }

    pub fn write(mut self, top: Element<'_>) -> WrittenMarkdown {
        self.data_tables = data_tables(top);
        let mut is_cut = false;
        let mut walk = Walk::over(*top.node());
        while let Some(step) = walk.next() {
            if self.blocks.out.len() + self.inline.length() > MAX_MARKDOWN {
                is_cut = true;
                break;
            }
            match step {
                Step::Open(node) => match (Element::of(node), node.value().as_text()) {
                    (Some(element), _) => {
                        if !self.open(element) {
                            walk.skip_content();
                        }
                    }
                    (None, Some(text)) => self.inline.text(text),
                    (None, None) => {}
                },
                Step::Close(node) => {
                    if let Some(element) = Element::of(node) {
                        self.close(element);
                    }
                }
            }
        }
        self.flush();
        let Blocks { mut out, too_deep, .. } = self.blocks;
        if out.len() > MAX_MARKDOWN {
            is_cut = true;
            out.truncate(prefix(&out, MAX_MARKDOWN).len());
        }
        WrittenMarkdown { text: out, too_deep, is_cut, without_url: self.without_url, without_main: false }
    }

    /// Handles the start of an element; tells whether its content is read.
    fn open(&mut self, element: Element<'_>) -> bool {
        let node = element.node().id();
        let name = element.name();
        if HIDDEN.contains(&name) || is_unseen(element) {
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
                    table.cell(element, &text);
                }
            }
            "td" | "th" => self.boundary(),
            "thead" => self.in_table_head = false,
            "table" => {
                self.boundary();
                if self.data_tables.get(&node) == Some(&true)
                    && let Some(text) = self.table.take().and_then(Table::write)
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
    fn boundary(&mut self) {
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

    fn open_list(&mut self, element: Element<'_>) {
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

    fn open_item(&mut self, element: Element<'_>) {
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

    fn open_table(&mut self, node: NodeId) {
        self.boundary();
        if self.data_tables.get(&node) == Some(&true) && !self.in_cell {
            self.table = Some(Table::default());
            self.in_table_head = false;
        }
    }

    fn open_link(&mut self, element: Element<'_>) -> bool {
        let Some(href) = element.attr("href") else { return true };
        if self.heading.is_some() && is_permalink(element) {
            return false;
        }
        if let Some(close) = self.end_of_link(element, href) {
            self.inline.open(element.node().id(), SpanKind::Link, "[", close);
        }
        true
    }

    /// Returns how a link ends; `None` if it is written as text.
    fn end_of_link(&mut self, element: Element<'_>, href: &str) -> Option<String> {
        let url = if self.kept.links { self.resolve(href)? } else { return None };
        Some(format!("]({}{})", escape::destination(&url), title_of(element)))
    }

    fn image(&mut self, element: Element<'_>) {
        if !self.kept.images {
            return;
        }
        // Lazily loaded images have their URL in another attribute, and a placeholder in `src`.
        let is_real = |source: &&str| !source.trim().is_empty() && !source.trim_start().starts_with("data:");
        let source = ["src", "data-src"].iter().filter_map(|name| element.attr(name)).find(is_real);
        let mut alt = Prose::default();
        alt.push(element.attr("alt").unwrap_or_default());
        let mut text = String::new();
        escape::inline(&alt.one_line(), true, &mut text);
        match source.and_then(|source| self.resolve(source)) {
            Some(url) => {
                let title = title_of(element);
                self.inline.raw(&format!("![{text}]({}{title})", escape::destination(&url)));
            }
            None if !text.is_empty() => self.inline.raw(&text),
            None => {}
        }
    }

    /// Returns an absolute URL, if the reference is an address.
    fn resolve(&mut self, reference: &str) -> Option<String> {
        let url = self.address.resolve(reference.trim()).ok();
        let is_address = |url: &url::Url| !matches!(url.scheme(), "javascript" | "data" | "about" | "blob");
        let url = url.filter(is_address).map(String::from).filter(|url| url.len() <= MAX_URL_LENGTH);
        self.without_url += usize::from(url.is_none());
        url
    }

    /// Writes inline code. In Markdown it cannot have links, so that a link within it is one around its part of the code.
    fn code(&mut self, element: Element<'_>) {
        let mut piece = String::new();
        let mut open = None;
        for step in Walk::over(*element.node()) {
            match step {
                Step::Open(node) => {
                    if let Some(text) = node.value().as_text() {
                        piece.push_str(text);
                    } else if let Some(link) = Element::of(node).filter(|inside| inside.name() == "a")
                        && let Some(href) = link.attr("href")
                        && self.inline.has_room_for(SpanKind::Link)
                        && let Some(close) = self.end_of_link(link, href)
                    {
                        self.code_piece(&std::mem::take(&mut piece));
                        self.inline.open(node.id(), SpanKind::Link, "[", close);
                        open = Some(node.id());
                    }
                }
                Step::Close(node) if open == Some(node.id()) => {
                    self.code_piece(&std::mem::take(&mut piece));
                    self.inline.close(node.id());
                    open = None;
                }
                Step::Close(_) => {}
            }
        }
        self.code_piece(&piece);
    }

    fn code_piece(&mut self, text: &str) {
        let mut code = Prose::default();
        code.push(text);
        let code = code.one_line();
        if text.starts_with(char::is_whitespace) {
            self.inline.space();
        }
        if !code.is_empty() {
            self.inline.raw(&escape::code(&code));
        }
        if text.ends_with(char::is_whitespace) {
            self.inline.space();
        }
    }

    fn preformatted(&mut self, element: Element<'_>) {
        self.boundary();
        let text = text_with_breaks(element);
        if self.in_cell {
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                self.inline.fresh_line();
                self.inline.raw(&escape::code(line.trim_end()));
            }
            return;
        }
        let text = text.trim_end();
        if text.trim().is_empty() {
            return;
        }
        let fence = "`".repeat(escape::longest_run(text, '`').max(2) + 1);
        let language = language_of(element).unwrap_or_default();
        self.blocks.block(&format!("{fence}{language}\n{}\n{fence}", text.trim_start_matches('\n')));
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

/// Returns the first child element of this name.
fn inside<'a>(element: Element<'a>, name: &str) -> Option<Element<'a>> {
    let found = element.node().child_elements().find(|child| child.value().name() == name)?;
    Element::of(*found)
}

/// Tells whether this element is invisible, or repeats visible content.
fn is_unseen(element: Element<'_>) -> bool {
    let is_hidden = element.attr("hidden").is_some_and(|hidden| !hidden.eq_ignore_ascii_case("until-found"));
    // KaTeX writes each formula twice: as MathML, and for display.
    let is_drawn_formula = element.attr("class").is_some_and(|class| class.contains("katex-html"));
    is_hidden || is_drawn_formula
}

/// Tells whether an element is a link next to a heading that points to the heading.
fn is_permalink(element: Element<'_>) -> bool {
    let mut text = String::new();
    for (nth, step) in Walk::over(*element.node()).enumerate() {
        let Step::Open(node) = step else { continue };
        if nth > MAX_PERMALINK_NODES || Element::of(node).is_some_and(|inside| inside.name() == "img") {
            return false;
        }
        if let Some(piece) = node.value().as_text() {
            if piece.len() > 16 {
                return false;
            }
            text.push_str(piece.trim());
        }
    }
    PERMALINKS.contains(&text.as_str())
}

fn title_of(element: Element<'_>) -> String {
    let mut title = Prose::default();
    title.push(element.attr("title").unwrap_or_default());
    let title = title.one_line();
    if title.is_empty() { title } else { format!(" \"{}\"", title.replace('\\', "\\\\").replace('"', "\\\"")) }
}

/// Returns the text of an element unchanged, with `<br>` as a line end.
fn text_with_breaks(element: Element<'_>) -> String {
    let mut text = String::new();
    for step in Walk::over(*element.node()) {
        let Step::Open(node) = step else { continue };
        if let Some(piece) = node.value().as_text() {
            text.push_str(piece);
        } else if Element::of(node).is_some_and(|inside| inside.name() == "br") {
            text.push('\n');
        }
    }
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Returns the language of code, given by a class `language-x` or `lang-x` of it or of the `<code>` in it, by
/// `highlight-x` of an element around it, or by `data-lang`.
fn language_of(element: Element<'_>) -> Option<String> {
    let code = inside(element, "code");
    let around = element.node().ancestors().take(MAX_LANGUAGE_ANCESTORS).filter_map(Element::of);
    let language = code.into_iter().chain([element]).chain(around).find_map(|element| {
        let by_attribute = ["data-lang", "data-language"].iter().find_map(|name| element.attr(name));
        let classes = element.attr("class").filter(|classes| classes.len() <= MAX_CLASSES).unwrap_or_default();
        let classes = classes.split_ascii_whitespace();
        let mut by_class = classes.filter_map(|class| {
            let prefixes = ["language-", "lang-", "highlight-source-", "highlight-"];
            prefixes.iter().find_map(|prefix| class.strip_prefix(prefix))
        });
        by_attribute.or_else(|| by_class.next())
    })?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '#' | '_' | '.');
    let is_language = !language.is_empty() && language.len() <= 32 && language.chars().all(is_name);
    is_language
        .then(|| language.to_ascii_lowercase())
        .filter(|language| !matches!(language.as_str(), "none" | "default"))
}

/// Tells whether an element is a block, which separates the text before, in and after it.
fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "blockquote"
            | "body"
            | "caption"
            | "center"
            | "dd"
            | "details"
            | "dialog"
            | "dir"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "header"
            | "hgroup"
            | "html"
            | "legend"
            | "li"
            | "main"
            | "menu"
            | "nav"
            | "ol"
            | "optgroup"
            | "option"
            | "p"
            | "search"
            | "section"
            | "summary"
            | "table"
            | "tbody"
            | "td"
            | "tfoot"
            | "th"
            | "thead"
            | "tr"
            | "ul"
    )
}
