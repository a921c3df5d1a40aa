//! Select: CSS selectors over a page. Knows the page's tree, but not its URL: the spider resolves the values of
//! attributes.
//!
//! ```
//! # use actix_crawler::extract::Document;
//! # fn main() -> Result<(), actix_crawler::extract::SelectorError> {
//! let page = Document::parse("<div class=quote><i class=text>Be yourself.</i><b>Wilde</b></div>");
//! for quote in page.select(".quote")? {
//!     let text = quote.text_of(".text")?;
//!     let year = quote.find(".year")?.map(|year| year.text());
//!     assert_eq!((text.as_str(), year), ("Be yourself.", None));
//! }
//! # Ok(())
//! # }
//! ```

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::rc::Rc;

use scraper::error::SelectorErrorKind;
use scraper::{ElementRef, Html, Node, Selector};

use super::context::Syntax;
use super::dom;
pub use super::dom::Cut;
use super::text::{HIDDEN, Prose};
use super::walk::TreeNode;

/// A parsed page. It is `Send`, so that it can be used off the network's thread.
///
/// ```
/// use actix_crawler::extract::Document;
///
/// let page = Document::parse("<div class=quote><i class=text>Be yourself.</i><b>Wilde</b></div>");
/// assert_eq!(page.text_of(".quote b")?, "Wilde");
/// assert!(page.first(".year").is_err() && page.find(".year")?.is_none());
/// # Ok::<(), actix_crawler::extract::SelectorError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Document {
    html: Html,
    cut: Option<Cut>,
}

impl Document {
    /// Builds the tree of `html` as browsers do; never fails on broken markup.
    ///
    /// Time and memory are bounded by the page's length. A page that nests deeper than 512 elements, or has more nodes
    /// than bytes, or more than 250,000, is cut; see [`Document::cut`].
    pub fn parse(html: &str) -> Self {
        Self::parse_in(html, Syntax::Html)
    }

    /// Like [`Document::parse`], for a page in either syntax: in XHTML `<script src="x.js"/>` is self-closing.
    pub fn parse_in(page: &str, syntax: Syntax) -> Self {
        let (html, cut) = dom::parse(page, syntax);
        Self { html, cut }
    }

    /// Returns what was left out of the tree, if the page exceeded a bound.
    pub fn cut(&self) -> Option<Cut> {
        self.cut
    }

    /// Returns the `<html>` element; the parser creates one if the page has none.
    pub fn root(&self) -> Element<'_> {
        Element(self.html.root_element())
    }

    /// Returns all matching elements of the page, in order.
    ///
    /// # Errors
    /// As [`Element::select`].
    pub fn select(&self, css: &str) -> Result<Vec<Element<'_>>, SelectorError> {
        self.root().select(css)
    }

    /// Returns the first matching element of the page, if there is one.
    ///
    /// # Errors
    /// As [`Element::find`].
    pub fn find(&self, css: &str) -> Result<Option<Element<'_>>, SelectorError> {
        self.root().find(css)
    }

    /// Returns the first matching element of the page; an error if there is none.
    ///
    /// # Errors
    /// As [`Element::first`].
    pub fn first(&self, css: &str) -> Result<Element<'_>, SelectorError> {
        self.root().first(css)
    }

    /// Returns the text of the first matching element of the page.
    ///
    /// # Errors
    /// As [`Element::text_of`].
    pub fn text_of(&self, css: &str) -> Result<String, SelectorError> {
        self.root().text_of(css)
    }

    /// Returns the texts of all matching elements of the page.
    ///
    /// # Errors
    /// As [`Element::texts_of`].
    pub fn texts_of(&self, css: &str) -> Result<Vec<String>, SelectorError> {
        self.root().texts_of(css)
    }

    /// Returns an attribute of the first matching element of the page.
    ///
    /// # Errors
    /// As [`Element::attr_of`].
    pub fn attr_of(&self, css: &str, attribute: &str) -> Result<&str, SelectorError> {
        self.root().attr_of(css, attribute)
    }
}

/// An element of a [`Document`].
///
/// Methods with a selector search within the element; for `<html>` they search the whole page, including `<html>`
/// itself. [`first`](Element::first), [`text_of`](Element::text_of) and [`attr_of`](Element::attr_of) are for elements
/// that must exist; their error says what was missing where. [`find`](Element::find), [`select`](Element::select) and
/// [`texts_of`](Element::texts_of) are for elements that may exist.
///
/// ```
/// use actix_crawler::extract::Document;
///
/// let page = Document::parse("<ul><li><a href=/1>one</a><li><a href=/2>two</a></ul>");
/// let links: Vec<_> = page.select("li")?.iter().map(|item| item.attr_of("a", "href")).collect::<Result<_, _>>()?;
/// assert_eq!(links, ["/1", "/2"]);
/// # Ok::<(), actix_crawler::extract::SelectorError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a>(ElementRef<'a>);

impl<'a> Element<'a> {
    /// Returns all matching elements, in order.
    ///
    /// # Errors
    /// [`SelectorError::Invalid`] if `css` is not a selector.
    pub fn select(&self, css: &str) -> Result<Vec<Element<'a>>, SelectorError> {
        let selector = compiled(css)?;
        Ok(self.matches(&selector).collect())
    }

    /// Returns the first matching element, if there is one.
    ///
    /// # Errors
    /// [`SelectorError::Invalid`] if `css` is not a selector.
    pub fn find(&self, css: &str) -> Result<Option<Element<'a>>, SelectorError> {
        let selector = compiled(css)?;
        Ok(self.matches(&selector).next())
    }

    /// Returns the first matching element.
    ///
    /// # Errors
    /// [`SelectorError::NoMatch`] if there is none, [`SelectorError::Invalid`] if `css` is not a selector.
    pub fn first(&self, css: &str) -> Result<Element<'a>, SelectorError> {
        self.find(css)?.ok_or_else(|| SelectorError::NoMatch { css: css.to_owned(), within: self.opening_tag() })
    }

    /// Returns the [`text`](Element::text) of the first matching element.
    ///
    /// # Errors
    /// As [`first`](Element::first).
    pub fn text_of(&self, css: &str) -> Result<String, SelectorError> {
        Ok(self.first(css)?.text())
    }

    /// Returns the [`text`](Element::text) of every matching element.
    ///
    /// # Errors
    /// [`SelectorError::Invalid`] if `css` is not a selector.
    pub fn texts_of(&self, css: &str) -> Result<Vec<String>, SelectorError> {
        let selector = compiled(css)?;
        Ok(self.matches(&selector).map(|element| element.text()).collect())
    }

    /// Returns an attribute of the first matching element.
    ///
    /// # Errors
    /// As [`first`](Element::first), and [`SelectorError::NoAttribute`] if that element lacks it.
    pub fn attr_of(&self, css: &str, attribute: &str) -> Result<&'a str, SelectorError> {
        let element = self.first(css)?;
        element.attr(attribute).ok_or_else(|| SelectorError::NoAttribute {
            attribute: attribute.to_owned(),
            element: element.opening_tag(),
        })
    }

    /// Returns the value of an attribute, with character references resolved.
    pub fn attr(&self, name: &str) -> Option<&'a str> {
        self.0.attr(name)
    }

    /// Returns the element's name in lower case, such as `div`.
    pub fn name(&self) -> &'a str {
        self.0.value().name()
    }

    /// Returns the visible text on one line: white space is collapsed; paragraphs, cells and `<br>` are separated by a
    /// space; scripts and styles are left out.
    pub fn text(&self) -> String {
        let top = *self.0;
        let mut text = Prose::default();
        let mut node = top;
        loop {
            let mut shown = true;
            match node.value() {
                Node::Text(piece) => text.push(piece),
                Node::Element(element) => {
                    text.tag(element.name());
                    shown = node == top || !HIDDEN.contains(&element.name());
                }
                _ => {}
            }
            if let Some(child) = node.first_child().filter(|_| shown) {
                node = child;
                continue;
            }
            // This subtree is done: continue with the next sibling, or that of an ancestor.
            while node != top && node.next_sibling().is_none() {
                node = node.parent().unwrap_or(top);
                if let Node::Element(element) = node.value() {
                    text.tag(element.name());
                }
            }
            match node.next_sibling().filter(|_| node != top) {
                Some(next) => node = next,
                None => return text.one_line(),
            }
        }
    }

    /// Returns all text within the element unchanged, including scripts and styles: for JSON in a `<script>`, or for
    /// `<pre>`.
    pub fn raw_text(&self) -> String {
        self.0.text().collect()
    }

    /// Returns the element as HTML.
    pub fn html(&self) -> String {
        self.0.html()
    }

    /// Returns the element's content as HTML.
    pub fn inner_html(&self) -> String {
        self.0.inner_html()
    }

    /// Returns the element that a node is, if it is one.
    pub(crate) fn of(node: TreeNode<'a>) -> Option<Self> {
        ElementRef::wrap(node).map(Self)
    }

    /// Returns the node, for readers that walk over the tree.
    pub(crate) fn node(&self) -> ElementRef<'a> {
        self.0
    }

    fn matches<'s>(&self, selector: &'s Selector) -> impl Iterator<Item = Element<'a>> + use<'a, 's> {
        let is_page = self.0.parent().is_some_and(|parent| parent.value().is_document());
        let itself = Some(self.0).filter(|root| is_page && selector.matches(root));
        itself.into_iter().chain(self.0.select(selector)).map(Element)
    }

    /// The opening tag with the attributes that identify an element.
    fn opening_tag(&self) -> String {
        let known_by = ["id", "class"];
        let attributes = known_by.iter().filter_map(|name| Some(format!(" {name}={:?}", self.attr(name)?)));
        format!("<{}{}>", self.name(), attributes.collect::<String>())
    }
}

/// Why a selection failed.
///
/// ```
/// use actix_crawler::extract::{Document, SelectorError};
///
/// let page = Document::parse("<p>text");
/// assert!(matches!(page.first(".price"), Err(SelectorError::NoMatch { .. })));
/// assert!(matches!(page.select("p["), Err(SelectorError::Invalid { .. })));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorError {
    /// The text is not a CSS selector, or not a supported one.
    #[error("`{css}` is no CSS selector: {why}")]
    Invalid {
        /// The text.
        css: String,
        /// What is wrong with it.
        why: String,
        /// The selector parser's own error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A required element is missing.
    #[error("no element matches `{css}` within {within}")]
    NoMatch {
        /// The selector.
        css: String,
        /// The opening tag of the element that was searched.
        within: String,
    },
    /// A required attribute is missing.
    #[error("{element} has no attribute `{attribute}`")]
    NoAttribute {
        /// The attribute's name.
        attribute: String,
        /// The opening tag of the element that lacks it.
        element: String,
    },
}

impl SelectorError {
    fn invalid(css: &str, error: SelectorErrorKind) -> Self {
        let mut why = match &error {
            SelectorErrorKind::EndOfLine => "it ends too soon".to_owned(),
            SelectorErrorKind::UnexpectedSelectorParseError(kind) => in_words(&format!("{kind:?}")),
            kind => in_words(&format!("{kind:?}")),
        };
        if css.contains("::") {
            why.push_str(" (in place of ::text and ::attr(name) there are text_of and attr_of)");
        }
        Self::Invalid { css: css.to_owned(), why, source: Box::new(error) }
    }
}

/// Converts `DanglingCombinator` to `dangling combinator`.
fn in_words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// The most compiled selectors that a thread keeps. A spider has a few dozen; selectors generated for each page must
/// not accumulate.
const MAX_COMPILED: usize = 256;

thread_local! {
    static COMPILED: RefCell<HashMap<String, Rc<Selector>>> = RefCell::default();
}

/// Returns the compiled selector from the cache, or compiles it: that takes microseconds, and a spider uses the same
/// few selectors on every page.
fn compiled(css: &str) -> Result<Rc<Selector>, SelectorError> {
    if let Some(selector) = COMPILED.with_borrow(|known| known.get(css).cloned()) {
        return Ok(selector);
    }
    let selector = Selector::parse(css).map_err(|error| SelectorError::invalid(css, error))?;
    let selector = Rc::new(selector);
    COMPILED.with_borrow_mut(|known| {
        if known.len() >= MAX_COMPILED {
            known.clear();
        }
        known.insert(css.to_owned(), Rc::clone(&selector));
    });
    Ok(selector)
}
