//! Select: CSS selectors over a page. Knows the page's tree. What an element's text and attributes stand for is in
//! `values`.
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

#[cfg(feature = "readability")]
use std::collections::HashSet;

use html5ever::ns;
use scraper::{ElementRef, Html, Node, Selector};

pub use super::dom::Cut;
use super::{
    address::Address,
    context::Syntax,
    css::Selects,
    dom::{self, FormOwners},
    page_facts::PageFacts,
    room::TextRoom,
    selector_error::SelectorError,
    serialize,
    text::{HIDDEN, Prose, collapsed},
    walk::{NodeId, TreeNode},
};

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
    form_owners: FormOwners,
    cut: Option<Cut>,
    facts: PageFacts,
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
        let (html, form_owners, cut) = dom::parse(page, syntax);
        Self { html, form_owners, cut, facts: PageFacts::of(page.len()) }
    }

    /// Sets what the page's references are resolved against.
    #[must_use]
    pub(crate) fn with_address(self, address: Address) -> Self {
        Self { facts: PageFacts { address, ..self.facts }, ..self }
    }

    /// Returns what was left out of the tree, if the page exceeded a bound.
    pub fn cut(&self) -> Option<Cut> {
        self.cut
    }

    /// Returns the form that the parser gave to a control. Without one it belongs to the form around it.
    pub(crate) fn parsed_form_of(&self, control: NodeId) -> Option<NodeId> {
        let at = self.form_owners.binary_search_by_key(&control, |(control, _)| *control).ok()?;
        self.form_owners.get(at).map(|(_, form)| *form)
    }

    /// Returns the `<html>` element; the parser creates one if the page has none.
    pub fn root(&self) -> Element<'_> {
        Element { node: self.html.root_element(), page: &self.facts }
    }

    /// Returns all matching elements of the page, in order.
    ///
    /// # Errors
    /// As [`Element::select`].
    pub fn select(&self, css: impl Selects) -> Result<Vec<Element<'_>>, SelectorError> {
        self.root().select(css)
    }

    /// Returns the first matching element of the page, if there is one.
    ///
    /// # Errors
    /// As [`Element::find`].
    pub fn find(&self, css: impl Selects) -> Result<Option<Element<'_>>, SelectorError> {
        self.root().find(css)
    }

    /// Returns the first matching element of the page; an error if there is none.
    ///
    /// # Errors
    /// As [`Element::first`].
    pub fn first(&self, css: impl Selects) -> Result<Element<'_>, SelectorError> {
        self.root().first(css)
    }

    /// Returns the text of the first matching element of the page.
    ///
    /// # Errors
    /// As [`Element::text_of`].
    pub fn text_of(&self, css: impl Selects) -> Result<String, SelectorError> {
        self.root().text_of(css)
    }

    /// Returns the texts of all matching elements of the page.
    ///
    /// # Errors
    /// As [`Element::texts_of`].
    pub fn texts_of(&self, css: impl Selects) -> Result<Vec<String>, SelectorError> {
        self.root().texts_of(css)
    }

    /// Returns an attribute of the first matching element of the page.
    ///
    /// # Errors
    /// As [`Element::attr_of`].
    pub fn attr_of(&self, css: impl Selects, attribute: &str) -> Result<&str, SelectorError> {
        self.root().attr_of(css, attribute)
    }

    /// Returns an attribute of the first matching element of the page; `None` if there is none.
    ///
    /// # Errors
    /// As [`Element::maybe_attr_of`].
    pub fn maybe_attr_of(&self, css: impl Selects, attribute: &str) -> Result<Option<&str>, SelectorError> {
        self.root().maybe_attr_of(css, attribute)
    }

    /// Returns an attribute of every matching element of the page that has it.
    ///
    /// # Errors
    /// As [`Element::attrs_of`].
    pub fn attrs_of(&self, css: impl Selects, attribute: &str) -> Result<Vec<&str>, SelectorError> {
        self.root().attrs_of(css, attribute)
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
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    node: ElementRef<'a>,
    page: &'a PageFacts,
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl Eq for Element<'_> {}

impl<'a> Element<'a> {
    /// Returns all matching elements, in order.
    ///
    /// # Errors
    /// [`SelectorError::Invalid`] if `css` is not a selector.
    pub fn select(&self, css: impl Selects) -> Result<Vec<Element<'a>>, SelectorError> {
        let selector = css.compiled()?;
        Ok(self.matches(&selector).collect())
    }

    /// Returns the first matching element, if there is one.
    ///
    /// # Errors
    /// [`SelectorError::Invalid`] if `css` is not a selector.
    pub fn find(&self, css: impl Selects) -> Result<Option<Element<'a>>, SelectorError> {
        let selector = css.compiled()?;
        Ok(self.matches(&selector).next())
    }

    /// Returns the first matching element.
    ///
    /// # Errors
    /// [`SelectorError::NoMatch`] if there is none, [`SelectorError::Invalid`] if `css` is not a selector.
    pub fn first(&self, css: impl Selects) -> Result<Element<'a>, SelectorError> {
        let found = self.find(&css)?;
        found.ok_or_else(|| SelectorError::NoMatch { css: css.css().to_owned(), within: self.opening_tag() })
    }

    /// Returns the [`text`](Element::text) of the first matching element.
    ///
    /// # Errors
    /// As [`first`](Element::first).
    pub fn text_of(&self, css: impl Selects) -> Result<String, SelectorError> {
        Ok(self.first(css)?.text())
    }

    /// Returns the [`text`](Element::text) of every matching element.
    ///
    /// # Errors
    /// [`SelectorError::Invalid`] if `css` is not a selector; [`SelectorError::Nested`] if the elements are within each
    /// other, and their texts 16 times as long as the page.
    pub fn texts_of(&self, css: impl Selects) -> Result<Vec<String>, SelectorError> {
        let (selector, room) = (css.compiled()?, self.room());
        self.matches(&selector).map(|element| room.take(element.text())).collect()
    }

    /// Returns an attribute of the first matching element.
    ///
    /// # Errors
    /// As [`first`](Element::first), and [`SelectorError::NoAttribute`] if that element lacks it.
    pub fn attr_of(&self, css: impl Selects, attribute: &str) -> Result<&'a str, SelectorError> {
        let element = self.first(css)?;
        element.attr(attribute).ok_or_else(|| SelectorError::NoAttribute {
            attribute: attribute.to_owned(),
            element: element.opening_tag(),
        })
    }

    /// Returns the value of an attribute, with character references resolved.
    pub fn attr(&self, name: &str) -> Option<&'a str> {
        self.node.attr(name)
    }

    /// Returns the `href`; of an element of SVG that lacks it its `xlink:href`.
    pub(crate) fn href(&self) -> Option<&'a str> {
        let old = || self.node.value().attrs.iter().find(|(name, _)| name.ns == ns!(xlink) && &*name.local == "href");
        self.attr("href").or_else(|| old().map(|(_, value)| &**value))
    }

    /// Returns an attribute of the first matching element; `None` if no element matches, or it lacks the attribute.
    ///
    /// # Errors
    /// [`SelectorError::Invalid`] if `css` is not a selector.
    pub fn maybe_attr_of(&self, css: impl Selects, attribute: &str) -> Result<Option<&'a str>, SelectorError> {
        Ok(self.find(css)?.and_then(|element| element.attr(attribute)))
    }

    /// Returns an attribute of every matching element that has it, in order.
    ///
    /// # Errors
    /// [`SelectorError::Invalid`] if `css` is not a selector.
    pub fn attrs_of(&self, css: impl Selects, attribute: &str) -> Result<Vec<&'a str>, SelectorError> {
        let selector = css.compiled()?;
        Ok(self.matches(&selector).filter_map(|element| element.attr(attribute)).collect())
    }

    /// Returns the element's name in lower case, such as `div`.
    pub fn name(&self) -> &'a str {
        self.node.value().name()
    }

    /// Returns the visible text on one line: white space is collapsed; paragraphs, cells and `<br>` are separated by a
    /// space; scripts and styles are left out.
    pub fn text(&self) -> String {
        let top = *self.node;
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

    /// Returns the text that stands in the element itself and not in one within it, on one line.
    ///
    /// ```
    /// use actix_crawler::extract::Document;
    ///
    /// let page = Document::parse("<p class=price><s>5 €</s> 3 €</p>");
    /// assert_eq!(page.first(".price")?.own_text(), "3 €");
    /// # Ok::<(), actix_crawler::extract::SelectorError>(())
    /// ```
    pub fn own_text(&self) -> String {
        let pieces: Vec<_> =
            self.node.children().filter_map(|node| node.value().as_text()).map(|text| &**text).collect();
        collapsed(&pieces.join(" "))
    }

    /// Returns all text within the element unchanged, including scripts and styles: for JSON in a `<script>`, or for
    /// `<pre>`.
    pub fn raw_text(&self) -> String {
        self.node.text().collect()
    }

    /// Returns the element as HTML.
    pub fn html(&self) -> String {
        serialize::outer(*self.node)
    }

    /// Returns the element as HTML, without some elements in it.
    #[cfg(feature = "readability")]
    pub(super) fn html_without(&self, left_out: &HashSet<NodeId>) -> String {
        serialize::outer_without(*self.node, left_out)
    }

    /// Returns the element's content as HTML.
    pub fn inner_html(&self) -> String {
        serialize::inner(*self.node)
    }

    /// Returns the element that a node is, if it is one, for readers that resolve references themselves: it knows no
    /// address.
    pub(crate) fn of(node: TreeNode<'a>) -> Option<Self> {
        ElementRef::wrap(node).map(|node| Self { node, page: PageFacts::unknown() })
    }

    /// Returns the node, for readers that walk over the tree.
    pub(crate) fn node(&self) -> ElementRef<'a> {
        self.node
    }

    /// Returns the element and all within it, in order.
    pub(crate) fn with_descendants(self) -> impl Iterator<Item = Element<'a>> {
        let page = self.page;
        self.node.descendants().filter_map(ElementRef::wrap).map(move |node| Element { node, page })
    }

    /// Tells whether the element is within another.
    pub(crate) fn is_within(&self, other: Element<'_>) -> bool {
        self.node.ancestors().any(|ancestor| ancestor == *other.node)
    }

    /// Returns what the element's references are resolved against.
    pub(super) fn address(&self) -> &'a Address {
        &self.page.address
    }

    /// Returns how much text one call may read from the page.
    pub(super) fn room(&self) -> TextRoom {
        TextRoom::of_page(self.page.length)
    }

    /// Returns what the element knows of its page.
    #[cfg(feature = "xpath")]
    pub(super) fn page(&self) -> &'a PageFacts {
        self.page
    }

    /// Returns the element that a node of the same page is, if it is one.
    #[cfg(feature = "xpath")]
    pub(super) fn of_page(&self, node: TreeNode<'a>) -> Option<Self> {
        ElementRef::wrap(node).map(|node| Self { node, page: self.page })
    }

    fn matches<'s>(&self, selector: &'s Selector) -> impl Iterator<Item = Element<'a>> + use<'a, 's> {
        let page = self.page;
        let is_page = self.node.parent().is_some_and(|parent| parent.value().is_document());
        let itself = Some(self.node).filter(|root| is_page && selector.matches(root));
        itself.into_iter().chain(self.node.select(selector)).map(move |node| Element { node, page })
    }

    /// Returns the opening tag with the attributes that identify an element.
    pub(super) fn opening_tag(&self) -> String {
        let known_by = ["id", "class"];
        let attributes = known_by.iter().filter_map(|name| Some(format!(" {name}={:?}", self.attr(name)?)));
        format!("<{}{}>", self.name(), attributes.collect::<String>())
    }
}
