//! Origin: a response as what structs are read from.

use url::Url;

use super::Response;
use crate::extract::{Document, Source, derived::Origin};

impl Origin for Response {
    fn document(&self) -> &Document {
        self.document()
    }

    fn text(&self) -> &str {
        self.body_text()
    }

    fn url(&self) -> &Url {
        self.url()
    }
}

impl<'a> From<&'a Response> for Source<'a> {
    fn from(page: &'a Response) -> Self {
        Self::of(page)
    }
}
