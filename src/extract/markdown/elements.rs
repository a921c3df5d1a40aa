//! Elements: what the elements of HTML are to Markdown: blocks, or unseen. Writes nothing.

use crate::extract::{select::Element, text::BLOCKS};

/// Tells whether an element is a block, which separates the text before, in and after it.
pub(super) fn is_block(name: &str) -> bool {
    (BLOCKS.contains(&name) && name != "br") || matches!(name, "html" | "td" | "th")
}

/// Tells whether this element is invisible, or repeats visible content.
pub(super) fn is_unseen(element: Element<'_>) -> bool {
    let is_hidden = element.attr("hidden").is_some_and(|hidden| !hidden.eq_ignore_ascii_case("until-found"));
    // KaTeX writes each formula twice: as MathML, and for display.
    let is_drawn_formula = element.attr("class").is_some_and(|class| class.contains("katex-html"));
    is_hidden || is_drawn_formula
}

/// Returns the first child element of this name.
pub(super) fn inside<'a>(element: Element<'a>, name: &str) -> Option<Element<'a>> {
    let found = element.node().child_elements().find(|child| child.value().name() == name)?;
    Element::of(*found)
}
