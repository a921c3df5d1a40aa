//! Regexes: regular expressions over the text of elements, compiled once in a thread. Take linear time, whatever the
//! text.

use regex::{Captures, Regex, RegexBuilder};

use super::{compiled::Compiled, select::Element, selector_error::SelectorError};

/// The most compiled expressions that a thread keeps, and the most memory of each. A spider has a few.
const MAX_COMPILED: usize = 64;
const MAX_SIZE: usize = 1 << 20;

thread_local! {
    static COMPILED: Compiled<Regex> = const { Compiled::new(MAX_COMPILED) };
}

/// Compiles an expression, or returns it from the cache.
pub(crate) fn regex(pattern: &str) -> Result<Regex, SelectorError> {
    let invalid = |error| SelectorError::Pattern { pattern: pattern.to_owned(), source: Box::new(error) };
    let compile = || RegexBuilder::new(pattern).size_limit(MAX_SIZE).build().map_err(invalid);
    COMPILED.with(|known| known.get_or(pattern, compile))
}

/// Returns the first group of a match, or the whole match if the expression has no group.
pub(super) fn first_group<'t>(captures: &Captures<'t>) -> &'t str {
    let group = if captures.len() > 1 { captures.get(1) } else { captures.get(0) };
    group.map_or("", |group| group.as_str())
}

impl Element<'_> {
    /// Returns what a regular expression matches first in the element's [`text`](Element::text): its first group, or
    /// all of the match if it has no group. `None` if it matches nothing.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let page = Response::html("https://e.org/", "<p class=id>EAN 4006 – sku A-17, sku B-4</p>");
    /// let id = page.first(".id")?;
    /// assert_eq!(id.re_first(r"sku (\S+),")?.as_deref(), Some("A-17"));
    /// assert_eq!(id.re(r"[AB]-\d+")?, ["A-17", "B-4"]);
    /// assert_eq!(id.re_first("ISBN")?, None);
    /// # Ok::<(), Error>(())
    /// ```
    /// # Errors
    /// [`SelectorError::Pattern`] if `pattern` is not a regular expression of the crate `regex`, or takes more than 1
    /// MiB.
    pub fn re_first(&self, pattern: &str) -> Result<Option<String>, SelectorError> {
        Ok(regex(pattern)?.captures(&self.text()).map(|captures| first_group(&captures).to_owned()))
    }

    /// Returns all that a regular expression matches in the element's text, each as [`re_first`](Element::re_first)
    /// does.
    ///
    /// # Errors
    /// As [`re_first`](Element::re_first).
    pub fn re(&self, pattern: &str) -> Result<Vec<String>, SelectorError> {
        let text = self.text();
        Ok(regex(pattern)?.captures_iter(&text).map(|captures| first_group(&captures).to_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::extract::Document;

    #[test]
    fn a_broken_or_huge_expression_is_refused_and_says_why() {
        let page = Document::parse("<p>text");
        let message = |pattern| page.root().re(pattern).unwrap_err().to_string();
        assert!(message("(a").contains("    (a\n    ^"), "{}", message("(a"));
        assert!(message(r"(\w{900}){900}").contains("size limit"), "{}", message(r"(\w{900}){900}"));
    }
}
