//! Piece: what was found for a field, and what of it is read.

use std::error::Error;

use serde_json::Value;

use super::{Extract, FoundValue, Source};
use crate::extract::{
    regexes::{first_group, regex},
    selector_error::SelectorError,
    text::collapsed,
};

/// What is read of what was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct WantedPiece {
    pub part: PiecePart,
    pub url: bool,
    pub re: Option<&'static str>,
    pub trim: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum PiecePart {
    Text,
    OwnText,
    RawText,
    Html,
    InnerHtml,
    Attr(&'static str),
}

/// What was found for a field, and what of it is wanted.
pub struct Piece<'a> {
    pub(super) found: FoundValue<'a>,
    pub(super) wanted: WantedPiece,
    pub(super) from: &'a Source<'a>,
}

impl Piece<'_> {
    /// Returns the wanted text; `None` if there is none: no attribute, nothing that the expression matches.
    ///
    /// # Errors
    /// A reference is no URL, a JSON value is no text, or an expression is invalid.
    pub fn text(&self) -> Result<Option<String>, SelectorError> {
        let Some(text) = self.whole_text()? else { return Ok(None) };
        let text = if self.wanted.trim { text.trim().to_owned() } else { text };
        let kept = match self.wanted.re {
            Some(pattern) => regex(pattern)?.captures(&text).map(|captures| first_group(&captures).to_owned()),
            None => Some(text),
        };
        kept.map(|text| self.from.take(text)).transpose()
    }

    fn whole_text(&self) -> Result<Option<String>, SelectorError> {
        let element = match &self.found {
            FoundValue::Element(element) => element,
            FoundValue::Text(text) => return self.resolved(text.clone()).map(Some),
            FoundValue::Json(value) => return self.resolved(self.text_of_json(value)?).map(Some),
        };
        let text = match self.wanted.part {
            PiecePart::Attr(name) => element.attr(name).map(str::to_owned),
            PiecePart::Text if self.wanted.url => {
                element.attr("href").or_else(|| element.attr("src")).map(str::to_owned)
            }
            PiecePart::Text => Some(element.text()),
            PiecePart::OwnText => Some(element.own_text()),
            PiecePart::RawText => Some(element.raw_text()),
            PiecePart::Html => Some(element.html()),
            PiecePart::InnerHtml => Some(element.inner_html()),
        };
        text.map(|text| self.resolved(text)).transpose()
    }

    fn text_of_json(&self, value: &Value) -> Result<String, SelectorError> {
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => Err(self.refuse(&kind_of(value), "is no text")),
        }
    }

    /// Makes a reference absolute, if it is to be one.
    fn resolved(&self, text: String) -> Result<String, SelectorError> {
        if !self.wanted.url {
            return Ok(text);
        }
        let element = match &self.found {
            FoundValue::Element(element) => Some(*element),
            FoundValue::Text(_) | FoundValue::Json(_) => self.from.tree(),
        };
        let resolved = match element {
            Some(element) => element.resolve(&text),
            None => text.parse().ok(),
        };
        resolved.map(String::from).ok_or_else(|| self.refuse(&text, "is not a URL"))
    }

    /// Returns the JSON value that was found, unless only a part of its text is wanted.
    pub fn json(&self) -> Option<&Value> {
        match &self.found {
            FoundValue::Json(value) if self.wanted.re.is_none() && !self.wanted.url => Some(value),
            _ => None,
        }
    }

    /// Reads a struct within.
    ///
    /// # Errors
    /// The struct cannot be read, or a text was found.
    pub fn nested<T: Extract>(&self) -> Result<Option<T>, SelectorError> {
        let within = match &self.found {
            FoundValue::Element(element) => self.from.at(*element),
            FoundValue::Json(value) => self.from.within(value),
            FoundValue::Text(text) => return Err(self.refuse(text, "is a text, and a struct is read from an element")),
        };
        T::read_from(&within.deeper()?).map(Some)
    }

    /// Returns the error of a value that is not what it should be.
    pub(super) fn refuse(&self, value: &str, why: &str) -> SelectorError {
        let element = match &self.found {
            FoundValue::Element(element) => element.opening_tag(),
            FoundValue::Text(_) => "the page".to_owned(),
            FoundValue::Json(_) => "the JSON".to_owned(),
        };
        SelectorError::Value { value: collapsed(value), element, why: why.to_owned() }
    }

    /// Returns the value, or the error of one that cannot be read.
    pub(super) fn accept<T>(
        &self,
        text: &str,
        read: Result<T, Box<dyn Error + Send + Sync>>,
    ) -> Result<T, SelectorError> {
        read.map_err(|error| self.refuse(text, &error.to_string()))
    }

    /// Returns why the wanted part of what was found is missing.
    pub(super) fn missing(&self) -> SelectorError {
        match (&self.found, self.wanted) {
            (_, WantedPiece { re: Some(pattern), .. }) => {
                let text = Self {
                    wanted: WantedPiece { re: None, ..self.wanted },
                    found: self.found.clone(),
                    from: self.from,
                };
                match text.text() {
                    Ok(Some(text)) => self.refuse(&text, &format!("has nothing that `{pattern}` matches")),
                    Ok(None) => text.missing(),
                    Err(error) => error,
                }
            }
            (FoundValue::Element(element), wanted) => {
                let attribute = if let PiecePart::Attr(name) = wanted.part { name } else { "href" };
                SelectorError::NoAttribute { attribute: attribute.to_owned(), element: element.opening_tag() }
            }
            (FoundValue::Text(_) | FoundValue::Json(_), _) => self.refuse("", "is no value"),
        }
    }
}

/// Says what a JSON value is, without its content.
fn kind_of(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[… {} values]", values.len()),
        Value::Object(fields) => format!("{{… {} fields}}", fields.len()),
        other => other.to_string(),
    }
}
