//! MainContent: a page without what is around its content. Does not know how that is told apart.

use super::Response;
use crate::extract::{self, Address, Document};

impl Response {
    /// Returns the main content of the page as a document of its own, without navigation, banners and footers; the
    /// whole page if no part of it with at least a quarter of the text stands out. Chosen anew at each call.
    ///
    /// Which elements those are is a guess from their names, their text and the links in it, by the rules of Mozilla's
    /// Readability. Its first heading may be left out, since it repeats the title.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let story = "<p>Once upon a time, a crawler asked politely, waited, and was answered.</p>".repeat(20);
    /// let html = format!("<nav><a href=/>Home</a></nav><article>{story}</article><footer>Imprint</footer>");
    /// let text = Response::html("https://e.org/", html).main_content().root().text();
    /// assert!(text.contains("asked politely") && !text.contains("Imprint"));
    /// ```
    pub fn main_content(&self) -> Document {
        let address = Address::new(self.url().clone(), self.base().clone(), self.encoding());
        let main = extract::main_content(self.document().root()).unwrap_or_else(|| self.document().clone());
        main.with_address(address)
    }
}
