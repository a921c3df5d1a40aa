//! Source: what a struct is read from: a page, an element, a JSON value, or a page and the JSON in it.

use std::{
    cell::{Cell, OnceCell},
    rc::Rc,
};

use serde_json::Value;
use url::Url;

use crate::{
    extract::{
        metadata,
        room::TextRoom,
        select::{Document, Element},
        selector_error::SelectorError,
    },
    text::json::from_json,
};

/// What a struct is read from: a response, a document, an element, or a JSON value.
///
/// ```
/// use actix_crawler::{extract::Source, prelude::*};
///
/// #[derive(Extract)]
/// struct Heading {
///     #[extract(css = "h1, h2")]
///     text: String,
/// }
///
/// fn heading<'a>(of: impl Into<Source<'a>>) -> Result<String> {
///     Ok(Heading::extract(of)?.text)
/// }
///
/// let page = Response::html("https://e.org/", "<h1>Page</h1><main><h2>Part</h2></main>");
/// assert_eq!((heading(&page)?, heading(page.first("main")?)?), ("Page".into(), "Part".into()));
/// # Ok::<(), Error>(())
/// ```
pub struct Source<'a> {
    tree: Tree<'a>,
    json: Json<'a>,
    bounds: ReadBounds,
}

#[derive(Clone, Copy)]
enum Tree<'a> {
    Page(&'a dyn Origin),
    Element(Element<'a>),
    None,
}

enum Json<'a> {
    /// The body of a page, parsed when it is needed.
    Body(&'a dyn Origin, OnceCell<Result<Value, String>>),
    Borrowed(&'a Value),
    Owned(Value),
    /// None, and why.
    None(String),
}

/// A page whose tree is made when it is needed.
pub(crate) trait Origin {
    fn document(&self) -> &Document;
    fn text(&self) -> &str;
    fn url(&self) -> &Url;
}

/// The deepest nesting of structs. Each takes a few hundred bytes of the stack, and comments on real pages are nested
/// less.
const MAX_DEPTH: u32 = 64;

/// The most structs in one call. Each may read all elements within its own, so those of nested elements could be as
/// many as two to the power of their depth.
const MAX_NESTED: u32 = 100_000;

/// How deep the struct is, how many there are in all, and how much text they may still read.
#[derive(Clone)]
struct ReadBounds {
    depth: u32,
    nested: Rc<Cell<u32>>,
    room: Rc<TextRoom>,
}

impl ReadBounds {
    fn of(room: TextRoom) -> Self {
        Self { depth: 0, nested: Rc::default(), room: Rc::new(room) }
    }
}

impl<'a> Source<'a> {
    /// Creates the source of a page.
    pub(crate) fn of(page: &'a dyn Origin) -> Self {
        Self::new(Tree::Page(page), Json::Body(page, OnceCell::new()))
    }

    fn new(tree: Tree<'a>, json: Json<'a>) -> Self {
        let room = match tree {
            Tree::Page(page) => TextRoom::of_page(page.text().len()),
            Tree::Element(element) => element.room(),
            Tree::None => TextRoom::of_page(usize::MAX),
        };
        Self { tree, json, bounds: ReadBounds::of(room) }
    }

    /// Returns the element that is searched; `None` if this is JSON only.
    pub(in crate::extract) fn tree(&self) -> Option<Element<'a>> {
        match self.tree {
            Tree::Page(page) => Some(page.document().root()),
            Tree::Element(element) => Some(element),
            Tree::None => None,
        }
    }

    /// Returns the URL of the page, if it is known: of JSON alone it is not.
    pub(super) fn page_url(&self) -> Option<&'a Url> {
        match self.tree {
            Tree::Page(page) => Some(page.url()),
            Tree::Element(element) => element.address().page(),
            Tree::None => None,
        }
    }

    /// Returns the JSON that is searched.
    pub(in crate::extract) fn json(&self) -> Result<&Value, SelectorError> {
        let refuse = |why: &str| SelectorError::NoJson { why: why.to_owned() };
        match &self.json {
            Json::Body(page, value) => {
                let parse = || from_json(page.text()).map_err(|error| error.to_string());
                value.get_or_init(parse).as_ref().map_err(|why| refuse(&format!("the page is none: {why}")))
            }
            Json::Borrowed(value) => Ok(value),
            Json::Owned(value) => Ok(value),
            Json::None(why) => Err(refuse(why)),
        }
    }

    /// Tells whether this is a JSON value within another source.
    pub(super) fn is_value(&self) -> bool {
        matches!(self.json, Json::Borrowed(_))
    }

    /// Takes the room for a text of an element.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn take(&self, text: String) -> Result<String, SelectorError> {
        self.bounds.room.take(text)
    }

    /// Returns the source of an element of this one.
    pub(super) fn at<'e>(&self, element: Element<'e>) -> Source<'e>
    where
        'a: 'e,
    {
        Source { bounds: self.bounds.clone(), ..element.into() }
    }

    /// Returns the source of a JSON value of this one.
    pub(super) fn within<'v>(&self, value: &'v Value) -> Source<'v>
    where
        'a: 'v,
    {
        Source { tree: self.tree, json: Json::Borrowed(value), bounds: self.bounds.clone() }
    }

    /// Returns the source of a struct within, unless there are too many.
    pub(super) fn deeper(mut self) -> Result<Self, SelectorError> {
        self.bounds.depth += 1;
        let nested = self.bounds.nested.get() + 1;
        self.bounds.nested.set(nested);
        if self.bounds.depth > MAX_DEPTH {
            return Err(SelectorError::Nested { why: format!("structs are nested deeper than {MAX_DEPTH}") });
        }
        if nested > MAX_NESTED {
            return Err(SelectorError::Nested { why: format!("there are more than {MAX_NESTED} structs within") });
        }
        Ok(self)
    }

    /// Returns the source whose JSON is the first JSON-LD object of a type.
    #[doc(hidden)]
    #[must_use]
    pub fn in_json_ld(&self, kind: &str) -> Self {
        let found = self.tree().and_then(|root| metadata::first_json_ld(root, kind));
        let json = found.map_or_else(|| Json::None(format!("the page has no JSON-LD of type `{kind}`")), Json::Owned);
        Self { tree: self.tree, json, bounds: self.bounds.clone() }
    }

    /// Returns the source whose JSON a script has under a name.
    #[doc(hidden)]
    #[must_use]
    pub fn in_inline_json(&self, name: &str) -> Self {
        let found = match self.tree() {
            Some(root) => root.inline_json(name).map_err(|error| match error {
                SelectorError::NoJson { why } => why,
                other => other.to_string(),
            }),
            None => Err("this is no page".to_owned()),
        };
        Self { tree: self.tree, json: found.map_or_else(Json::None, Json::Owned), bounds: self.bounds.clone() }
    }
}

impl<'a> From<&'a Document> for Source<'a> {
    fn from(document: &'a Document) -> Self {
        document.root().into()
    }
}

impl<'a> From<Element<'a>> for Source<'a> {
    fn from(element: Element<'a>) -> Self {
        let why = "an element of a page has none; the struct can say `json_ld` or `inline_json`";
        Self::new(Tree::Element(element), Json::None(why.to_owned()))
    }
}

impl<'a> From<&Element<'a>> for Source<'a> {
    fn from(element: &Element<'a>) -> Self {
        (*element).into()
    }
}

impl<'a> From<&'a Value> for Source<'a> {
    fn from(value: &'a Value) -> Self {
        Self::new(Tree::None, Json::Borrowed(value))
    }
}
