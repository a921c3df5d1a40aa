//! Elements: what CSS selects from a page, and what its elements say. Knows no selector itself.

use url::Url;

use super::Response;
use crate::{
    error::Result,
    extract::{Address, Document, Element, FromText, Selects, markdown::Markdown, metadata::Metadata},
};

impl Response {
    /// Selects elements with CSS.
    ///
    /// # Errors
    /// The selector is invalid.
    pub fn select(&self, css: impl Selects) -> Result<Vec<Element<'_>>> {
        Ok(self.document().select(css)?)
    }

    /// Returns the first matching element, if there is one.
    ///
    /// # Errors
    /// The selector is invalid.
    pub fn find(&self, css: impl Selects) -> Result<Option<Element<'_>>> {
        Ok(self.document().find(css)?)
    }

    /// Returns the first matching element; an error if there is none.
    ///
    /// # Errors
    /// No element matches, or the selector is invalid.
    pub fn first(&self, css: impl Selects) -> Result<Element<'_>> {
        Ok(self.document().first(css)?)
    }

    /// Returns the text of the first matching element, on one line.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let page = Response::html("https://e.org/", "<h1>Tea</h1><b class=price>1.234,50 €</b><a href=/next>next</a>");
    /// assert_eq!(page.text_of("h1")?, "Tea");
    /// assert_eq!(page.maybe_text_of(".brand")?, None);
    /// assert_eq!(page.parse_of::<f64>(".price")?, 1234.5);
    /// assert_eq!(page.urls_of("a")?[0].as_str(), "https://e.org/next");
    /// # Ok::<(), Error>(())
    /// ```
    /// # Errors
    /// No element matches, or the selector is invalid.
    pub fn text_of(&self, css: impl Selects) -> Result<String> {
        Ok(self.document().text_of(css)?)
    }

    /// Returns the text of the first matching element; `None` if there is none.
    ///
    /// # Errors
    /// The selector is invalid.
    pub fn maybe_text_of(&self, css: impl Selects) -> Result<Option<String>> {
        Ok(self.document().maybe_text_of(css)?)
    }

    /// Returns the text of every matching element.
    ///
    /// # Errors
    /// The selector is invalid, or the elements are within each other, and their texts 16 times as long as the page.
    pub fn texts_of(&self, css: impl Selects) -> Result<Vec<String>> {
        Ok(self.document().texts_of(css)?)
    }

    /// Returns an attribute of the first matching element.
    ///
    /// # Errors
    /// No element matches, the first lacks the attribute, or the selector is invalid.
    pub fn attr_of(&self, css: impl Selects, attribute: &str) -> Result<&str> {
        Ok(self.document().attr_of(css, attribute)?)
    }

    /// Returns an attribute of the first matching element; `None` if there is none, or it lacks the attribute.
    ///
    /// # Errors
    /// The selector is invalid.
    pub fn maybe_attr_of(&self, css: impl Selects, attribute: &str) -> Result<Option<&str>> {
        Ok(self.document().maybe_attr_of(css, attribute)?)
    }

    /// Returns an attribute of every matching element that has it.
    ///
    /// # Errors
    /// The selector is invalid.
    pub fn attrs_of(&self, css: impl Selects, attribute: &str) -> Result<Vec<&str>> {
        Ok(self.document().attrs_of(css, attribute)?)
    }

    /// Reads the text of the first matching element as a number, or as any other [`FromText`]. How a number may be
    /// written says [`number_in`](crate::extract::number_in).
    ///
    /// # Errors
    /// No element matches, its text is not a `T`, or the selector is invalid.
    pub fn parse_of<T: FromText>(&self, css: impl Selects) -> Result<T> {
        Ok(self.document().parse_of(css)?)
    }

    /// Like [`Response::parse_of`]; `None` if no element matches.
    ///
    /// # Errors
    /// The text is not a `T`, or the selector is invalid.
    pub fn maybe_parse_of<T: FromText>(&self, css: impl Selects) -> Result<Option<T>> {
        Ok(self.document().maybe_parse_of(css)?)
    }

    /// Returns the absolute URL in `href`, or else in `src`, of every matching element that has one, in order:
    /// `.follow(page.urls_of(".card a")?)`.
    ///
    /// # Errors
    /// The selector is invalid.
    pub fn urls_of(&self, css: impl Selects) -> Result<Vec<Url>> {
        Ok(self.document().urls_of(css)?)
    }

    /// Returns the document, for several selections.
    pub fn document(&self) -> &Document {
        self.document.get_or_init(|| {
            let document = Document::parse_in(self.body_text(), self.syntax().unwrap_or_default());
            document.with_address(Address::new(self.url().clone(), self.base().clone(), self.encoding()))
        })
    }

    /// Returns what the page says of itself for machines: meta tags, OpenGraph, Twitter cards, JSON-LD, microdata,
    /// RDFa, feeds, icons. Read anew at each call.
    pub fn metadata(&self) -> Metadata {
        Metadata::read(self.document(), self.base())
    }

    /// Returns the page as Markdown, with absolute links: `page.markdown().to_string()`.
    pub fn markdown(&self) -> Markdown<'_> {
        Markdown::of(self.document(), self.base())
    }
}
