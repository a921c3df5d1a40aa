//! What a page says: its links, its text, and what CSS selectors find on it.
//! Reads HTML that is in memory already, knows no network, and never fails on broken markup.
//!
//! - [`links`] and [`text`] read the page's tokens once, from front to back, and build nothing.
//!   They cost about as much as copying the page does, so every page can afford them.
//! - [`select`] builds a tree, which costs ten times that: only when a spider selects.
//!
//! All three stand on one tokeniser (`tokens`). `context` tells it where markup is not markup
//! (scripts, titles, SVG); for the tree, html5ever's tree builder does (`dom`).

pub mod charset;
pub mod content_type;
mod context;
mod dom;
pub mod links;
pub mod markdown;
pub mod metadata;
mod prefix;
mod prescan;
pub mod select;
pub mod sitemap;
pub mod text;
mod tokens;
pub(crate) mod walk;

pub use links::{Link, LinkElement, LinkSet, MetaRobots, Scan, Scanner, Skipped, scan};
pub use select::{Cut, Document, Element, SelectorError};
pub use text::visible_text;
