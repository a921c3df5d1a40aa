//! XPath on a page. Knows no expression itself.

use super::Response;
use crate::{error::Result, extract::XPathValue};

impl Response {
    /// Evaluates an XPath 1.0 expression on the page; see [`Element::xpath`](crate::extract::Element::xpath).
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let page = Response::html("https://e.org/", "<table><tr><td>Price<td>3 €<tr><td>Weight<td>2 kg</table>");
    /// assert_eq!(page.xpath("//td[.='Price']/following-sibling::td")?.text().as_deref(), Some("3 €"));
    ///
    /// let error = page.xpath("//td[.='Price'").unwrap_err().to_string();
    /// assert!(error.ends_with("\n    //td[.='Price'\n                  ^"), "{error}");
    /// # Ok::<(), Error>(())
    /// ```
    /// # Errors
    /// It is no expression, or takes too many steps on this page.
    pub fn xpath(&self, expression: &str) -> Result<XPathValue<'_>> {
        Ok(self.document().xpath(expression)?)
    }
}
