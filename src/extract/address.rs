//! Address: what the references of a page are resolved against. Knows no markup.

use encoding_rs::{Encoding, UTF_8};
use url::{ParseError, Url};

use super::reference::{query_charset, resolve_from};

/// The URL of a page, the base of its references, and the charset of their queries.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    #[cfg_attr(not(feature = "derive"), expect(dead_code, reason = "structs that read themselves ask for it"))]
    page: Option<Url>,
    base: Option<Url>,
    charset: &'static Encoding,
}

impl Address {
    /// The address of a page that was read without one: only absolute references have a URL.
    pub(super) const UNKNOWN: Self = Self { page: None, base: None, charset: UTF_8 };

    /// Creates the address of a page with this base, in the charset of this name.
    pub(crate) fn new(page: Url, base: Url, charset: &str) -> Self {
        Self { page: Some(page), base: Some(base), charset: query_charset(charset) }
    }

    /// Returns the URL of the page, if it is known.
    #[cfg(feature = "derive")]
    pub(super) fn page(&self) -> Option<&Url> {
        self.page.as_ref()
    }

    /// Returns it with another base.
    pub(super) fn with_base(&self, base: &Url) -> Self {
        Self { base: Some(base.clone()), ..self.clone() }
    }

    /// Resolves a reference.
    pub(super) fn resolve(&self, reference: &str) -> Result<Url, ParseError> {
        match &self.base {
            Some(base) => resolve_from(base, reference, self.charset),
            None => Url::parse(reference),
        }
    }
}
