//! The content of a page: its links, its text, and the elements that CSS selectors match. Works on pages in memory,
//! knows no network, and never fails on broken markup.
//!
//! - [`links`] and [`text`] read the page's tokens once and build nothing. They cost about as much as copying the page,
//!   so every page can afford them.
//! - [`select`] builds a tree, which costs ten times as much, and does so only when a spider selects.
//!
//! All three use one tokenizer (`tokens`). `context` tells it where text is not markup (scripts, titles, SVG); for the
//! tree, html5ever's tree builder does (`dom`). `docs/decisions/tokenizer.md` explains why the tokenizer is our own.

pub mod charset;
pub mod content_type;
mod context;
mod dom;
pub mod links;
pub mod markdown;
pub mod metadata;
mod prefix;
mod prescan;
mod reference;
mod refresh;
pub mod select;
pub mod sitemap;
pub mod text;
mod tokens;
pub(crate) mod walk;

pub use context::Syntax;
pub(crate) use context::is_xhtml;
pub use links::{Link, LinkElement, LinkSet, MetaRobots, Scan, Scanner, Skipped, scan};
pub use reference::resolve;
pub(crate) use reference::resolve_from_charset;
pub use refresh::Refresh;
pub(crate) use refresh::{has_pragma, of_header};
pub use select::{Cut, Document, Element, SelectorError};
pub use text::visible_text;
pub(crate) use text::visible_text_in;
