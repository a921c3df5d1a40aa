//! Jmes: finds the field of a struct by a JMESPath query.

use std::borrow::Cow;

use super::{compile, jmes};
use crate::extract::{
    derived::{
        FoundValue, Locate, Source,
        locate::{Most, found_in, no_value},
    },
    selector_error::SelectorError,
};

/// A query in `#[extract(jmes = "…")]`.
#[derive(Debug)]
pub struct Jmes(&'static str);

impl Jmes {
    /// Creates the locator of this query.
    pub const fn new(query: &'static str) -> Self {
        Self(query)
    }
}

impl Locate for Jmes {
    fn written(&self) -> Option<&'static str> {
        Some(self.0)
    }

    fn check(&self) -> Result<(), SelectorError> {
        compile(self.0).map(drop)
    }

    fn find<'f>(&self, from: &'f Source<'_>, most: Most) -> Result<Vec<FoundValue<'f>>, SelectorError> {
        match from.json() {
            Ok(json) => Ok(found_in(Cow::Owned(jmes(json, self.0)?), most)),
            // What is not there has no values; what is required says why.
            Err(_) => Ok(Vec::new()),
        }
    }

    fn missing(&self, from: &Source<'_>) -> SelectorError {
        no_value(self.0, from)
    }
}
