//! Derived: structs that read themselves from a page. `#[derive(Extract)]` writes a [`FieldRule`] for each field and
//! calls it; the macro is in `macros/`, and knows the names here.

mod field;
mod field_value;
mod file_values;
mod piece;
pub(super) mod locate;
mod source;

use std::any::{Any, type_name};

pub(crate) use self::source::Origin;
pub use self::{
    field::FieldRule,
    field_value::FieldValue,
    file_values::{MayHaveFiles, NoFiles, Unread},
    locate::{FoundValue, Itself, JsonPointer, Locate, PageUrl},
    piece::Piece,
    source::Source,
};
#[cfg(feature = "jmespath")]
pub use super::jmes::Jmes;
#[cfg(feature = "xpath")]
pub use super::xpath::XPath;
use super::{css::Selects, selector_error::SelectorError};

/// A struct that is read from a page, by `#[derive(Extract)]`.
///
/// Each field says what it is read from, and its type says what is read:
///
/// ```
/// use actix_crawler::prelude::*;
/// use url::Url;
///
/// #[derive(Debug, Extract)]
/// struct Product {
///     #[extract(css = "h2")]
///     name: String,
///     #[extract(css = ".price")]
///     price: f64,
///     #[extract(css = ".old-price")]
///     old_price: Option<f64>,
///     #[extract(css = "a", url)]
///     link: Url,
///     #[extract(attr = "data-id")]
///     id: u64,
///     #[extract(css = ".sku", re = r"\w+-\d+")]
///     sku: String,
///     #[extract(css = ".stock", parse = stock)]
///     in_stock: bool,
///     #[extract(css = ".colour", default = "none".into())]
///     colour: String,
///     #[extract(css = ".offers li")]
///     offers: Vec<Offer>,
/// }
///
/// #[derive(Debug, Extract)]
/// struct Offer {
///     #[extract(css = "b")]
///     shop: String,
///     #[extract(own_text)]
///     price: f64,
/// }
///
/// fn stock(text: &str) -> Result<bool, String> {
///     match text {
///         "in stock" => Ok(true),
///         "sold out" => Ok(false),
///         _ => Err(format!("`{text}` says nothing of the stock")),
///     }
/// }
///
/// let html = "<div class=card data-id=7><h2>Tea</h2><b class=price>1.234,50 €</b><a href=/tea>more</a>
///     <i class=sku>SKU: T-17</i><i class=stock>in stock</i>
///     <ul class=offers><li><b>A</b> 3 €<li><b>B</b> 4 €</ul></div>";
/// let page = Response::html("https://e.org/", html);
///
/// let products = Product::all(&page, ".card")?;
/// let tea = &products[0];
/// assert_eq!((tea.name.as_str(), tea.price, tea.old_price, tea.id), ("Tea", 1234.5, None, 7));
/// assert_eq!((tea.link.as_str(), tea.sku.as_str()), ("https://e.org/tea", "T-17"));
/// assert_eq!((tea.in_stock, tea.colour.as_str()), (true, "none"));
/// assert_eq!((tea.offers.len(), tea.offers[1].shop.as_str(), tea.offers[1].price), (2, "B", 4.0));
///
/// // What is missing is named:
/// let error = Product::all(&page, ".offers").unwrap_err().to_string();
/// assert_eq!(error, "`name` of `Product`: no element matches `h2` within <ul class=\"offers\">");
///
/// // In a test:
/// Product::check()?;
/// # Ok::<(), actix_crawler::Error>(())
/// ```
///
/// # Where a field is found
///
/// | | |
/// |---|---|
/// | `css = "h1"` | the first element within that matches; without it, the element itself |
/// | `xpath = "//dt[.='EAN']/following-sibling::dd"` | XPath 1.0, with the feature `xpath` |
/// | `json = "/offers/0/price"` | a JSON Pointer (RFC 6901) |
/// | `jmes = "offers[?price].sku"` | JMESPath, with the feature `jmespath` |
/// | `page_url` | the URL of the page, after redirects |
///
/// # What is read there
///
/// | | |
/// |---|---|
/// | | the visible text on one line; of a JSON value, itself |
/// | `attr = "data-id"` | an attribute |
/// | `url` | the URL in `href` or `src`, or in the attribute given, or the text of a JSON value, made absolute |
/// | `own_text`, `raw_text`, `html`, `inner_html` | as the methods of [`Element`](super::Element) |
/// | `re = r"\d+"` | what a regular expression matches in it: its first group, or all |
/// | `trim` | without the white space around it, which the visible text never has |
/// | `parse = function` | what a `fn(&str) -> Result<T, impl Display>` makes of it |
///
/// # How many
///
/// An `Option` is `None` and a `Vec` is empty where nothing is found, or `null`. Everything else is required, unless it
/// has `default` or `default = value`. A `Vec` has one value for each element that matches, or each of a JSON array;
/// those without the attribute, or that do not match `re`, are left out. A value that is found and cannot be read is an
/// error. A field that is not read is `#[extract(default)]`.
///
/// A field's type is one that implements [`FromText`](super::FromText) (texts, numbers, `Url`), a
/// [`serde_json::Value`], or a struct that derives `Extract` itself.
///
/// # JSON in a page
///
/// Fields with `json` or `jmes` are read from the body of a JSON response. In an HTML page, the struct says where its
/// JSON is: `#[extract(json_ld = "Product")]` is the first JSON-LD object of that type,
/// `#[extract(inline_json = "__NEXT_DATA__")]` what a script has under that name (see
/// [`Document::inline_json`](super::Document::inline_json)).
///
/// ```
/// use actix_crawler::prelude::*;
///
/// #[derive(Extract)]
/// #[extract(json_ld = "Product")]
/// struct Product {
///     #[extract(css = "h1")]
///     heading: String,
///     #[extract(json = "/name")]
///     name: String,
///     #[extract(json = "/offers")]
///     offers: Vec<Offer>,
/// }
///
/// #[derive(Extract)]
/// struct Offer {
///     #[extract(json = "/price")]
///     price: f64,
///     #[extract(json = "/url", url)]
///     url: String,
/// }
///
/// let html = r#"<h1>Our tea</h1><script type=application/ld+json>
///     {"@type": "Product", "name": "Tea", "offers": [{"price": "3.50", "url": "/a"}, {"price": 4.25, "url": "/b"}]}
/// </script>"#;
/// let tea = Product::extract(&Response::html("https://e.org/", html))?;
/// assert_eq!((tea.heading.as_str(), tea.name.as_str()), ("Our tea", "Tea"));
/// assert_eq!((tea.offers[0].price, tea.offers[1].price, tea.offers[1].url.as_str()), (3.5, 4.25, "https://e.org/b"));
/// # Ok::<(), Error>(())
/// ```
///
/// Structs may contain each other, as comments with replies do: at most 64 deep, and 100,000 in one call, so that a
/// hostile page cannot make them without end.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not read itself from a page",
    note = "write `#[derive(Extract)]` above it, and `#[extract(css = \"…\")]` above each field"
)]
pub trait Extract: Sized {
    /// Reads it from a page, an element or a JSON value: written by `#[derive(Extract)]`.
    ///
    /// # Errors
    /// As [`Extract::extract`].
    #[doc(hidden)]
    fn read_from(from: &Source<'_>) -> Result<Self, SelectorError>;

    /// Compiles the selectors that were not checked yet: written by `#[derive(Extract)]`.
    ///
    /// # Errors
    /// As [`Extract::check`].
    #[doc(hidden)]
    fn check_in(checked: &mut Checked) -> Result<(), SelectorError>;

    /// Shows each file in it: written by `#[derive(Extract)]`.
    #[doc(hidden)]
    fn files_in(&mut self, see: &mut dyn FnMut(&mut dyn Any)) {
        let _ = see;
    }

    /// Reads it from a page, an element, or a JSON value.
    ///
    /// # Errors
    /// [`SelectorError::Field`]: a required field is missing, or one cannot be read.
    fn extract<'a>(from: impl Into<Source<'a>>) -> Result<Self, SelectorError> {
        Self::read_from(&from.into())
    }

    /// Reads one from each element that matches, in order.
    ///
    /// # Errors
    /// As [`Extract::extract`], for the first that cannot be read; and the selector is invalid.
    fn all<'a>(from: impl Into<Source<'a>>, css: impl Selects) -> Result<Vec<Self>, SelectorError> {
        let from = from.into();
        let elements = from.tree().map(|root| root.select(css)).transpose()?.unwrap_or_default();
        elements.into_iter().map(|element| Self::read_from(&from.at(element))).collect()
    }

    /// Compiles every selector, also those of the structs within, so that a test finds what is wrong with them.
    ///
    /// # Errors
    /// [`SelectorError::Field`]: a selector, an expression or a path cannot be compiled.
    fn check() -> Result<(), SelectorError> {
        Self::check_in(&mut Checked::default())
    }
}

/// The types whose selectors were checked, since structs may contain each other.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Checked(Vec<&'static str>);

impl Checked {
    /// Tells whether a type was not checked yet.
    pub fn is_new<T>(&mut self) -> bool {
        let is_new = !self.0.contains(&type_name::<T>());
        if is_new {
            self.0.push(type_name::<T>());
        }
        is_new
    }
}

// What the macro writes, whatever its user has called `Result` and `Option`.
#[doc(hidden)]
pub use std::option::Option as Maybe;

#[doc(hidden)]
pub type Read<T> = Result<T, SelectorError>;
