//! XPath: finds the field of a struct by an XPath expression.

use super::compile;
use crate::extract::{
    derived::{
        FoundValue, Locate, Source,
        locate::{Most, no_match},
    },
    selector_error::SelectorError,
};

/// An expression in `#[extract(xpath = "…")]`.
#[derive(Debug)]
pub struct XPath(&'static str);

impl XPath {
    /// Creates the locator of this expression.
    pub const fn new(expression: &'static str) -> Self {
        Self(expression)
    }
}

impl Locate for XPath {
    fn written(&self) -> Option<&'static str> {
        Some(self.0)
    }

    fn check(&self) -> Result<(), SelectorError> {
        compile(self.0).map(drop)
    }

    fn find<'f>(&self, from: &'f Source<'_>, most: Most) -> Result<Vec<FoundValue<'f>>, SelectorError> {
        let Some(root) = from.tree() else { return Ok(Vec::new()) };
        let mut found = root.xpath(self.0)?.into_found();
        if most == Most::One {
            found.truncate(1);
        }
        Ok(found)
    }

    fn missing(&self, from: &Source<'_>) -> SelectorError {
        no_match(self.0, from)
    }
}
