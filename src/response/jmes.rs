//! JMESPath on a JSON response. Knows no query itself.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Response;
use crate::{
    error::{Error, Result},
    extract,
};

impl Response {
    /// Returns what a JMESPath query finds in a JSON response; see [`jmes`](crate::extract::jmes()).
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let page = Response::json_text("https://e.org/api", r#"{"offers": [{"sku": "a", "price": 3}, {"sku": "b"}]}"#);
    /// assert_eq!(page.jmes::<Vec<String>>("offers[?price].sku")?, ["a"]);
    /// assert_eq!(page.jmes::<Option<String>>("owner.name")?, None);
    /// # Ok::<(), Error>(())
    /// ```
    /// # Errors
    /// The page is not JSON, the query is invalid or exceeds a bound, or what it finds is not what `T` expects.
    pub fn jmes<T: DeserializeOwned>(&self, query: &str) -> Result<T> {
        let found = extract::jmes(&self.json::<Value>()?, query)?;
        serde_json::from_value(found).map_err(Error::Json)
    }
}
