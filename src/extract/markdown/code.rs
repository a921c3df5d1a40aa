//! Code: code in a line, and blocks of it with their language. Does not highlight.

use super::{elements::inside, escape, inline::SpanKind, writer::MarkdownWriter};
use crate::extract::{
    select::Element,
    text::Prose,
    walk::{TreeStep, Walk},
};

/// The most elements around code that are searched for its language.
const MAX_LANGUAGE_ANCESTORS: usize = 3;

/// The longest class attribute that is searched for a language, in bytes.
const MAX_CLASSES: usize = 1 << 10;

impl MarkdownWriter {
    /// Writes inline code. In Markdown it cannot have links, so that a link within it is one around its part of the
    /// code.
    pub(super) fn code(&mut self, element: Element<'_>) {
        let mut piece = String::new();
        let mut open = None;
        for step in Walk::over(*element.node()) {
            match step {
                TreeStep::Open(node) => {
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
                TreeStep::Close(node) if open == Some(node.id()) => {
                    self.code_piece(&std::mem::take(&mut piece));
                    self.inline.close(node.id());
                    open = None;
                }
                TreeStep::Close(_) => {}
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

    pub(super) fn preformatted(&mut self, element: Element<'_>) {
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
}

/// Returns the text of an element unchanged, with `<br>` as a line end.
fn text_with_breaks(element: Element<'_>) -> String {
    let mut text = String::new();
    for step in Walk::over(*element.node()) {
        let TreeStep::Open(node) = step else { continue };
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
