//! The content of a page: its links, its text, and the elements that CSS selectors match. Works on pages in memory,
//! knows no network, and never fails on broken markup.
//!
//! - [`Scanner`] finds links, title and robots rules, and [`visible_text`] the text. Both read the page once, from
//!   front to back, and build nothing: they cost about as much as copying the page.
//! - [`Document`] is a tree, for CSS selectors. It costs ten times that, so a page builds it only when a spider
//!   selects.
//!
//! A [`Response`](crate::Response) calls them for its page. All three stand on one tokenizer (`tokens`). `context`
//! tells it where markup is not markup (scripts, titles, SVG); for the tree, html5ever's tree builder does (`dom`). Why
//! the tokenizer is our own: `docs/decisions/tokenizer.md`.

mod address;
mod caret;
pub(crate) mod charset;
pub(crate) mod content_type;
mod compiled;
mod context;
mod css;
#[cfg(feature = "derive")]
#[doc(hidden)]
pub mod derived;
mod dom;
#[cfg(feature = "feeds")]
pub mod feed;
mod inline_json;
#[cfg(feature = "language")]
mod guess;
#[cfg(not(feature = "language"))]
#[path = "no_guess.rs"]
mod guess;
#[cfg(feature = "jmespath")]
mod jmes;
mod language;
pub(crate) mod links;
pub mod llms_txt;
#[cfg(feature = "readability")]
mod main_content;
pub mod markdown;
mod meta_robots;
pub mod metadata;
mod namespaces;
mod near_duplicates;
#[cfg(feature = "xpath")]
mod node_order;
mod number;
mod page_facts;
mod page_tokens;
mod prefix;
mod prescan;
mod reference;
mod refresh;
mod regexes;
mod room;
mod select;
mod selector_error;
mod serialize;
mod simhash;
pub mod sitemap;
mod text;
mod tokens;
mod values;
pub(crate) mod walk;
#[cfg(feature = "xpath")]
mod xpath;

#[cfg(feature = "derive")]
pub use actix_crawler_macros::Extract;
pub(crate) use address::Address;
pub use content_type::ContentType;
pub use context::Syntax;
pub use css::{Css, Selects};
#[cfg(feature = "derive")]
pub use derived::{Extract, FieldValue, Source};
pub use inline_json::MAX_INLINE_JSON;
#[cfg(feature = "jmespath")]
pub use jmes::jmes;
pub use language::{Language, LanguageSource};
pub use links::{
    Link, LinkElement, LinkSet, MAX_LINKS, MAX_TITLE_LENGTH, MAX_URL_LENGTH, Scan, Scanner, Skipped, scan,
};
pub(crate) use links::{NOFOLLOW, has_word, references};
#[cfg(feature = "readability")]
pub(crate) use main_content::main_content;
pub use meta_robots::MetaRobots;
pub(crate) use namespaces::is_xhtml;
pub use near_duplicates::NearDuplicates;
pub use number::number_in;
pub(crate) use prefix::prefix;
pub use reference::resolve;
pub(crate) use reference::resolve_from_charset;
pub use refresh::Refresh;
pub(crate) use refresh::{has_pragma, of_header};
pub(crate) use regexes::regex;
pub use select::{Cut, Document, Element};
pub use selector_error::SelectorError;
pub use simhash::Simhash;
pub use text::visible_text;
pub(crate) use text::{attribute_of_tag, text_of_link, visible_text_in};
pub use values::FromText;
#[cfg(feature = "xpath")]
pub use xpath::XPathValue;
