//! Links: links and images with absolute URLs. Knows no blocks.

use super::{escape, inline::SpanKind, writer::MarkdownWriter};
use crate::extract::{
    links::MAX_URL_LENGTH,
    select::Element,
    text::Prose,
    walk::{TreeStep, Walk},
};

/// Marks by which sites link to a heading, next to the heading.
const PERMALINKS: [&str; 5] = ["", "¶", "#", "§", "🔗"];

/// The most nodes examined to recognize such a mark.
const MAX_PERMALINK_NODES: usize = 12;

impl MarkdownWriter {
    pub(super) fn open_link(&mut self, element: Element<'_>) -> bool {
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
    pub(super) fn end_of_link(&mut self, element: Element<'_>, href: &str) -> Option<String> {
        let url = if self.kept.links { self.resolve(href)? } else { return None };
        Some(format!("]({}{})", escape::destination(&url), title_of(element)))
    }

    pub(super) fn image(&mut self, element: Element<'_>) {
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
}

/// Tells whether an element is a link next to a heading that points to the heading.
fn is_permalink(element: Element<'_>) -> bool {
    let mut text = String::new();
    for (nth, step) in Walk::over(*element.node()).enumerate() {
        let TreeStep::Open(node) = step else { continue };
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
