//! Locate: where a field is found: by CSS, by a JSON Pointer, or in the element itself. What a language of its own adds
//! is in its own file.

use std::borrow::Cow;

use serde_json::Value;

use super::Source;
use crate::extract::{
    css::{Css, sealed::Compiles},
    select::Element,
    selector_error::SelectorError,
};

/// Something found.
#[derive(Clone, Debug)]
pub enum FoundValue<'a> {
    Element(Element<'a>),
    Text(String),
    Json(Cow<'a, Value>),
}

/// Where a field is found.
pub trait Locate {
    /// Returns what it is found by, as written; `None` where nothing is written.
    fn written(&self) -> Option<&'static str>;

    /// Checks that it can be searched.
    ///
    /// # Errors
    /// It is invalid.
    fn check(&self) -> Result<(), SelectorError>;

    /// Finds what is there: the first, or all.
    ///
    /// # Errors
    /// It is invalid, or cannot be searched for in this source.
    fn find<'f>(&self, from: &'f Source<'_>, most: Most) -> Result<Vec<FoundValue<'f>>, SelectorError>;

    /// Returns why nothing was found.
    fn missing(&self, from: &Source<'_>) -> SelectorError;
}

/// How many are wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Most {
    One,
    All,
}

impl Locate for Css {
    fn written(&self) -> Option<&'static str> {
        Some(self.text())
    }

    fn check(&self) -> Result<(), SelectorError> {
        Css::check(self)
    }

    fn find<'f>(&self, from: &'f Source<'_>, most: Most) -> Result<Vec<FoundValue<'f>>, SelectorError> {
        let Some(root) = from.tree() else { return Ok(Vec::new()) };
        Ok(match most {
            Most::One => root.find(self)?.map(FoundValue::Element).into_iter().collect(),
            Most::All => root.select(self)?.into_iter().map(FoundValue::Element).collect(),
        })
    }

    fn missing(&self, from: &Source<'_>) -> SelectorError {
        no_match(self.css(), from)
    }
}

/// Returns the error of a selector or an expression that matches nothing.
pub(in crate::extract) fn no_match(expression: &str, from: &Source<'_>) -> SelectorError {
    let within = from.tree().map_or_else(|| "JSON, which has no elements".to_owned(), |root| root.opening_tag());
    SelectorError::NoMatch { css: expression.to_owned(), within }
}

/// A JSON Pointer (RFC 6901).
#[derive(Debug)]
pub struct JsonPointer(&'static str);

impl JsonPointer {
    pub const fn new(pointer: &'static str) -> Self {
        Self(pointer)
    }
}

impl Locate for JsonPointer {
    fn written(&self) -> Option<&'static str> {
        Some(self.0).filter(|pointer| !pointer.is_empty())
    }

    fn check(&self) -> Result<(), SelectorError> {
        Ok(())
    }

    fn find<'f>(&self, from: &'f Source<'_>, most: Most) -> Result<Vec<FoundValue<'f>>, SelectorError> {
        let value = match from.json() {
            Ok(json) => json.pointer(self.0),
            // What is not there has no values; what is required says why.
            Err(_) => None,
        };
        Ok(value.map(|value| found_in(Cow::Borrowed(value), most)).unwrap_or_default())
    }

    fn missing(&self, from: &Source<'_>) -> SelectorError {
        no_value(self.0, from)
    }
}

/// Returns the error of a path that leads to no value.
pub(in crate::extract) fn no_value(path: &str, from: &Source<'_>) -> SelectorError {
    match from.json() {
        Ok(_) => SelectorError::NoValue { path: path.to_owned() },
        Err(error) => error,
    }
}

/// Returns a JSON value, or all of an array where all are wanted. `null` is nothing.
pub(in crate::extract) fn found_in(value: Cow<'_, Value>, most: Most) -> Vec<FoundValue<'_>> {
    match (value, most) {
        (Cow::Borrowed(Value::Array(values)), Most::All) => {
            values.iter().filter(|value| !value.is_null()).map(|value| FoundValue::Json(Cow::Borrowed(value))).collect()
        }
        (Cow::Owned(Value::Array(values)), Most::All) => values
            .into_iter()
            .filter(|value| !value.is_null())
            .map(|value| FoundValue::Json(Cow::Owned(value)))
            .collect(),
        (value, _) if value.is_null() => Vec::new(),
        (value, _) => vec![FoundValue::Json(value)],
    }
}

/// The page that it is read from: its URL.
#[derive(Debug)]
pub struct PageUrl;

impl Locate for PageUrl {
    fn written(&self) -> Option<&'static str> {
        None
    }

    fn check(&self) -> Result<(), SelectorError> {
        Ok(())
    }

    fn find<'f>(&self, from: &'f Source<'_>, _: Most) -> Result<Vec<FoundValue<'f>>, SelectorError> {
        Ok(from.page_url().map(|url| FoundValue::Text(url.to_string())).into_iter().collect())
    }

    fn missing(&self, _: &Source<'_>) -> SelectorError {
        SelectorError::NoAddress
    }
}

/// The element or the JSON value itself.
#[derive(Debug)]
pub struct Itself;

impl Locate for Itself {
    fn written(&self) -> Option<&'static str> {
        None
    }

    fn check(&self) -> Result<(), SelectorError> {
        Ok(())
    }

    fn find<'f>(&self, from: &'f Source<'_>, most: Most) -> Result<Vec<FoundValue<'f>>, SelectorError> {
        match from.tree() {
            Some(element) if !from.is_value() => Ok(vec![FoundValue::Element(element)]),
            _ => Ok(found_in(Cow::Borrowed(from.json()?), most)),
        }
    }

    fn missing(&self, from: &Source<'_>) -> SelectorError {
        no_value("", from)
    }
}
