//! JSON: what is found in a page that is JSON, or has some. Knows no query language.

use serde::de::DeserializeOwned;

use super::Response;
use crate::error::{Error, Result};

impl Response {
    /// Returns the JSON that the page's scripts have under a name, such as `__NEXT_DATA__`; see
    /// [`Document::inline_json`](crate::extract::Document::inline_json).
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    /// use serde_json::Value;
    ///
    /// let page = Response::html("https://e.org/", "<script>window.__STATE__ = {\"price\": 3.5};</script>");
    /// assert_eq!(page.inline_json::<Value>("__STATE__")?["price"], 3.5);
    /// # Ok::<(), Error>(())
    /// ```
    /// # Errors
    /// No script has it, or it is not the JSON that `T` expects.
    pub fn inline_json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let value = self.document().inline_json(name)?;
        serde_json::from_value(value).map_err(Error::Json)
    }
}
