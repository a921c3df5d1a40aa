//! The content of a page: its links, its text, and the elements that CSS selectors match. Works on pages in memory,
//! knows no network, and never fails on broken markup.
//!
//! - [`Scanner`] finds links, title and robots rules, and [`visible_text`] the text. Both read the page once, from front to
//!   back, and build nothing: they cost about as much as copying the page.
//! - [`Document`] is a tree, for CSS selectors. It costs ten times that, so a page builds it only when a spider selects.
//!
//! A [`Response`](crate::Response) calls them for its page. All three stand on one tokenizer (`tokens`). `context` tells it
//! where markup is not markup (scripts, titles, SVG); for the tree, html5ever's tree builder does (`dom`). Why the tokenizer
//! is our own: `docs/decisions/tokenizer.md`.

pub(crate) mod charset;
pub(crate) mod content_type;
mod context;
mod dom;
pub(crate) mod links;
pub mod markdown;
pub mod metadata;
mod prefix;
mod prescan;
mod reference;
mod refresh;
mod select;
pub mod sitemap;
mod text;
mod tokens;
pub(crate) mod walk;

pub use content_type::ContentType;
pub use context::Syntax;
pub(crate) use context::is_xhtml;
pub use links::{
    Link, LinkElement, LinkSet, MAX_LINKS, MAX_TITLE_LENGTH, MAX_URL_LENGTH, MetaRobots, Scan, Scanner, Skipped, scan,
};
pub use reference::resolve;
pub(crate) use reference::resolve_from_charset;
pub use refresh::Refresh;
pub(crate) use refresh::{has_pragma, of_header};
pub use select::{Cut, Document, Element, SelectorError};
pub use text::visible_text;
pub(crate) use text::visible_text_in;
