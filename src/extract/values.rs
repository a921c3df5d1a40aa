//! Values: what the text and the attributes of elements stand for: URLs and numbers.

use std::{any::Any, error::Error};

use serde_json::Value;
use url::Url;

use super::{
    address::Address,
    css::Selects,
    number::number_in,
    scan,
    select::{Document, Element},
    selector_error::SelectorError,
};

impl<'a> Element<'a> {
    /// Returns the absolute URL in the element's `href`, or else in its `src`; `None` if it has neither, or that is not
    /// a URL. `<base href>` is respected.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let page = Response::html("https://e.org/shop/", "<a href=tea>Tea</a><a name=top>Top</a>");
    /// let urls: Vec<_> = page.select("a")?.iter().map(|link| link.url().map(String::from)).collect();
    /// assert_eq!(urls, [Some("https://e.org/shop/tea".into()), None]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn url(&self) -> Option<Url> {
        self.resolve(self.reference()?)
    }

    /// Resolves a reference of the element; `None` if it is not a URL.
    pub(crate) fn resolve(&self, reference: &str) -> Option<Url> {
        self.address().resolve(reference).ok()
    }

    /// Returns the [`url`](Element::url) of the first matching element.
    ///
    /// # Errors
    /// As [`first`](Element::first); and [`SelectorError::NoAttribute`] if that element has neither `href` nor `src`,
    /// [`SelectorError::Value`] if that is not a URL.
    pub fn url_of(&self, css: impl Selects) -> Result<Url, SelectorError> {
        let element = self.first(css)?;
        let Some(reference) = element.reference() else {
            return Err(SelectorError::NoAttribute { attribute: "href".into(), element: element.opening_tag() });
        };
        element
            .address()
            .resolve(reference)
            .map_err(|error| element.refuse(reference, &format!("is not a URL: {error}")))
    }

    /// Returns the [`url`](Element::url) of every matching element that has one, in order:
    /// `parsed.visit(page.urls_of(".card a")?)`.
    ///
    /// # Errors
    /// [`SelectorError::Invalid`] if `css` is not a selector.
    pub fn urls_of(&self, css: impl Selects) -> Result<Vec<Url>, SelectorError> {
        Ok(self.select(css)?.iter().filter_map(Element::url).collect())
    }

    /// Returns the [`text`](Element::text) of the first matching element; `None` if there is none.
    ///
    /// # Errors
    /// [`SelectorError::Invalid`] if `css` is not a selector.
    pub fn maybe_text_of(&self, css: impl Selects) -> Result<Option<String>, SelectorError> {
        Ok(self.find(css)?.map(|element| element.text()))
    }

    /// Reads the [`text`](Element::text) of the first matching element as a number, or as any other [`FromText`]. How a
    /// number may be written says [`number_in`].
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let page = Response::html("https://e.org/", "<b class=price>1.234,50 €</b><i class=stock>12 left</i>");
    /// assert_eq!(page.parse_of::<f64>(".price")?, 1234.5);
    /// assert_eq!(page.parse_of::<u32>(".stock")?, 12);
    /// assert_eq!(page.maybe_parse_of::<f64>(".old-price")?, None);
    /// # Ok::<(), Error>(())
    /// ```
    /// # Errors
    /// As [`first`](Element::first), and [`SelectorError::Value`] if the text is not a `T`.
    pub fn parse_of<T: FromText>(&self, css: impl Selects) -> Result<T, SelectorError> {
        self.first(css)?.parsed()
    }

    /// Like [`parse_of`](Element::parse_of); `None` if no element matches.
    ///
    /// # Errors
    /// [`SelectorError::Invalid`] if `css` is not a selector, [`SelectorError::Value`] if the text is not a `T`.
    pub fn maybe_parse_of<T: FromText>(&self, css: impl Selects) -> Result<Option<T>, SelectorError> {
        self.find(css)?.map(|element| element.parsed()).transpose()
    }

    fn parsed<T: FromText>(&self) -> Result<T, SelectorError> {
        let text = self.text();
        T::from_text(&text).map_err(|error| self.refuse(&text, &error.to_string()))
    }

    fn reference(&self) -> Option<&'a str> {
        self.href().or_else(|| self.attr("src"))
    }

    fn refuse(&self, value: &str, why: &str) -> SelectorError {
        SelectorError::Value { value: value.to_owned(), element: self.opening_tag(), why: why.to_owned() }
    }
}

impl Document {
    /// Builds the tree of the HTML page at `url`, against which its references are resolved, or against its
    /// `<base href>`.
    ///
    /// ```
    /// use actix_crawler::extract::Document;
    ///
    /// let page = Document::parse_at(&"https://e.org/shop/".parse().unwrap(), "<a class=next href=2>next</a>");
    /// assert_eq!(page.url_of(".next")?.as_str(), "https://e.org/shop/2");
    /// # Ok::<(), actix_crawler::extract::SelectorError>(())
    /// ```
    pub fn parse_at(url: &Url, html: &str) -> Self {
        Self::parse(html).with_address(Address::new(url.clone(), scan(html, url).base, "UTF-8"))
    }

    /// Returns the URL of the first matching element of the page.
    ///
    /// # Errors
    /// As [`Element::url_of`].
    pub fn url_of(&self, css: impl Selects) -> Result<Url, SelectorError> {
        self.root().url_of(css)
    }

    /// Returns the URL of every matching element of the page that has one.
    ///
    /// # Errors
    /// As [`Element::urls_of`].
    pub fn urls_of(&self, css: impl Selects) -> Result<Vec<Url>, SelectorError> {
        self.root().urls_of(css)
    }

    /// Returns the text of the first matching element of the page; `None` if there is none.
    ///
    /// # Errors
    /// As [`Element::maybe_text_of`].
    pub fn maybe_text_of(&self, css: impl Selects) -> Result<Option<String>, SelectorError> {
        self.root().maybe_text_of(css)
    }

    /// Reads the text of the first matching element of the page as a number, or as any other [`FromText`].
    ///
    /// # Errors
    /// As [`Element::parse_of`].
    pub fn parse_of<T: FromText>(&self, css: impl Selects) -> Result<T, SelectorError> {
        self.root().parse_of(css)
    }

    /// Like [`Document::parse_of`]; `None` if no element matches.
    ///
    /// # Errors
    /// As [`Element::maybe_parse_of`].
    pub fn maybe_parse_of<T: FromText>(&self, css: impl Selects) -> Result<Option<T>, SelectorError> {
        self.root().maybe_parse_of(css)
    }
}

/// What can be read from the text of an element: numbers by [`number_in`], and types of your own.
///
/// ```
/// use std::error::Error;
///
/// use actix_crawler::{extract::FromText, prelude::*};
///
/// #[derive(Debug, PartialEq)]
/// enum Stock {
///     Some,
///     None,
/// }
///
/// impl FromText for Stock {
///     fn from_text(text: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
///         match text {
///             "in stock" => Ok(Self::Some),
///             "sold out" => Ok(Self::None),
///             _ => Err("says nothing about the stock".into()),
///         }
///     }
/// }
///
/// let page = Response::html("https://e.org/", "<b class=stock>sold out</b>");
/// assert_eq!(page.parse_of::<Stock>(".stock")?, Stock::None);
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from the text of an element",
    note = "implement `FromText` for it, or parse the text: `text_of(css)?.parse()`, `number_in(&text)`"
)]
pub trait FromText: Sized {
    /// Reads the text of an element, which is on one line and without spaces at its ends.
    ///
    /// # Errors
    /// The text is something else; the message goes on where the text ends: `is not a number`.
    fn from_text(text: &str) -> Result<Self, Box<dyn Error + Send + Sync>>;

    /// Reads a number, or `true` or `false`, of JSON, where a field is found there (see
    /// [`Extract`](crate::extract::Extract)). By default as the text that it is in JSON.
    ///
    /// # Errors
    /// As [`from_text`](FromText::from_text).
    fn from_json(value: &Value) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Self::from_text(&value.to_string())
    }

    /// Returns itself, if it is a file that a crawl may download.
    #[doc(hidden)]
    fn as_file(&mut self) -> Option<&mut dyn Any> {
        None
    }
}

impl FromText for Url {
    /// Reads an absolute URL.
    fn from_text(text: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Self::parse(text).map_err(|error| format!("is not an absolute URL: {error}").into())
    }
}

impl FromText for bool {
    /// Reads `true` or `false`.
    fn from_text(text: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        text.parse().map_err(|_| "is neither `true` nor `false`".into())
    }
}

impl FromText for String {
    fn from_text(text: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(text.to_owned())
    }
}

macro_rules! numbers_from_text {
    ($($number:ty),+) => {
        $(impl FromText for $number {
            fn from_text(text: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
                let number = number_in(text).ok_or("is not one number")?;
                number.parse().map_err(|error| format!(concat!("is no ", stringify!($number), ": {}"), error).into())
            }

            // As it is: `1.234` is no thousand here.
            fn from_json(value: &Value) -> Result<Self, Box<dyn Error + Send + Sync>> {
                let number = value.to_string();
                number.parse().map_err(|error| format!(concat!("is no ", stringify!($number), ": {}"), error).into())
            }
        })+
    };
}

numbers_from_text!(f32, f64, i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_an_element_is_absolute_wherever_the_base_stands() {
        let html = "<a href=1>one</a><img src=/2.png><a href=http://[>broken</a><a>none</a><base href=/base/>";
        let page = Document::parse_at(&"https://e.org/dir/page".parse().unwrap(), html);
        let urls = page.urls_of("a, img").unwrap();
        assert_eq!(urls.iter().map(Url::as_str).collect::<Vec<_>>(), ["https://e.org/base/1", "https://e.org/2.png"]);
        assert_eq!(page.url_of("img").unwrap().as_str(), "https://e.org/2.png");
        let message = |css| page.url_of(css).unwrap_err().to_string();
        assert_eq!(message("a[href*='[']"), "`http://[` of <a> is not a URL: invalid IPv6 address");
        assert_eq!(message("a:not([href])"), "<a> has no attribute `href`");
        assert_eq!(message(".none"), "no element matches `.none` within <html>");
    }

    #[test]
    fn a_document_without_an_address_has_only_absolute_urls() {
        let page = Document::parse("<a href=https://e.org/>one</a><a href=2>two</a>");
        assert_eq!(page.urls_of("a").unwrap().len(), 1);
    }

    #[test]
    fn what_cannot_be_parsed_says_where_and_why() {
        let page = Document::parse("<b class=price>ask us</b><i>300</i><u>-1,5</u>");
        let message = |error: SelectorError| error.to_string();
        let price = message(page.parse_of::<f64>(".price").unwrap_err());
        assert_eq!(price, "`ask us` of <b class=\"price\"> is not one number");
        let small = message(page.parse_of::<u8>("i").unwrap_err());
        assert_eq!(small, "`300` of <i> is no u8: number too large to fit in target type");
        assert!(page.parse_of::<i32>("u").is_err() && page.maybe_parse_of::<i32>("u").is_err());
        assert_eq!(page.parse_of::<f32>("u").unwrap(), -1.5);
        assert_eq!(
            (page.maybe_text_of("i").unwrap().as_deref(), page.maybe_text_of("s").unwrap()),
            (Some("300"), None)
        );
    }
}
