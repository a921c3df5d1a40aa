//! SelectorError: why a selection failed, and where.

use std::error::Error;

use scraper::{Selector, error::SelectorErrorKind};

use super::caret::caret;

/// Why a selection failed.
///
/// ```
/// use actix_crawler::extract::{Document, SelectorError};
///
/// let page = Document::parse("<p>text");
/// assert!(matches!(page.first(".price"), Err(SelectorError::NoMatch { .. })));
///
/// let error = page.select("p > .1st").unwrap_err();
/// assert!(matches!(error, SelectorError::Invalid { at: 4, .. }));
/// assert!(error.to_string().ends_with("\n    p > .1st\n        ^"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorError {
    /// The text is not a CSS selector, or not a supported one.
    #[error("`{css}` is no CSS selector: {why}{}", caret(css, *at))]
    Invalid {
        /// The text.
        css: String,
        /// What is wrong with it.
        why: String,
        /// Where, in bytes: what is before is a selector.
        at: usize,
        /// The selector parser's own error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// An XPath expression is invalid, or costs too much on this page.
    #[error("`{expression}` is no XPath expression that can be evaluated: {why}{}", at.map(|at| caret(expression, at)).unwrap_or_default())]
    XPath {
        /// The expression.
        expression: String,
        /// What is wrong with it.
        why: String,
        /// Where, in bytes, if it is its form.
        at: Option<usize>,
    },
    /// A JMESPath query is invalid, or finds too much.
    #[error("`{query}` is no JMESPath query that can be run: {why}{}", at.map(|at| caret(query, at)).unwrap_or_default())]
    Jmes {
        /// The query.
        query: String,
        /// What is wrong with it.
        why: String,
        /// Where, in bytes, if it is its form.
        at: Option<usize>,
    },
    /// The text is not a regular expression.
    #[error("`{pattern}` is no regular expression: {source}")]
    Pattern {
        /// The text.
        pattern: String,
        /// What is wrong with it, and where.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A required element is missing.
    #[error("no element matches `{css}` within {within}")]
    NoMatch {
        /// The selector.
        css: String,
        /// The opening tag of the element that was searched.
        within: String,
    },
    /// The URL of the page is asked for, where it is not known: [`Document::parse_at`](super::Document::parse_at) takes
    /// it.
    #[error("the page was read without its URL")]
    NoAddress,
    /// A required attribute is missing.
    #[error("{element} has no attribute `{attribute}`")]
    NoAttribute {
        /// The attribute's name.
        attribute: String,
        /// The opening tag of the element that lacks it.
        element: String,
    },
    /// A required value is not what it should be, such as a number or a URL.
    #[error("`{value}` of {element} {why}")]
    Value {
        /// The text or the reference.
        value: String,
        /// The opening tag of the element that has it.
        element: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no JSON where some is to be.
    #[error("there is no JSON to read: {why}")]
    NoJson {
        /// Why, and where it was looked for.
        why: String,
    },
    /// A required JSON value is missing.
    #[error("the JSON has no value at `{path}`")]
    NoValue {
        /// The path to it.
        path: String,
    },
    /// Structs within structs are too many, or too deep; or elements within each other repeat too much text.
    #[error("{why}; their selectors may match elements within each other")]
    Nested {
        /// Which bound was exceeded.
        why: String,
    },
    /// The field of a struct that derives `Extract` cannot be read.
    #[error("`{field}` of `{of}`{}: {source}", found_by.map(|place| format!(" (`{place}`)")).unwrap_or_default())]
    Field {
        /// The field.
        field: &'static str,
        /// The struct.
        of: &'static str,
        /// The selector or path by which it was found, where `source` does not say it.
        found_by: Option<&'static str>,
        /// What is wrong.
        source: Box<SelectorError>,
    },
}

/// The longest selector in whose error the fault is looked for, in bytes: each of its prefixes is compiled. That takes
/// a millisecond at the most.
const MAX_SEARCHED: usize = 512;

impl SelectorError {
    pub(super) fn invalid(css: &str, error: SelectorErrorKind) -> Self {
        let mut why = match &error {
            SelectorErrorKind::EndOfLine => "it ends too soon".to_owned(),
            SelectorErrorKind::UnexpectedSelectorParseError(kind) => in_words(&format!("{kind:?}")),
            kind => in_words(&format!("{kind:?}")),
        };
        if css.contains("::") {
            why.push_str(" (in place of ::text and ::attr(name) there are text_of and attr_of)");
        }
        Self::Invalid { css: css.to_owned(), why, at: end_of_valid(css), source: Box::new(error) }
    }
}

/// Returns where the longest start of a text ends that is a selector or only lacks its last part, without the space
/// after it. The parser does not tell.
fn end_of_valid(css: &str) -> usize {
    let is_searched = css.len() <= MAX_SEARCHED;
    let ends = css.char_indices().map(|(at, _)| at).chain([css.len()]).rev().filter(|_| is_searched);
    let mut starts = ends.filter_map(|end| css.get(..end));
    let is_valid = |start: &&str| Selector::parse(start).is_ok() || Selector::parse(&format!("{start}*")).is_ok();
    let valid = starts.find(is_valid).unwrap_or_default();
    let rest = css.get(valid.len()..).unwrap_or_default();
    if rest.trim().is_empty() { valid.trim_end().len() } else { css.len() - rest.trim_start().len() }
}

/// Converts `DanglingCombinator` to `dangling combinator`.
fn in_words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use crate::extract::Document;

    #[test]
    fn the_caret_of_a_broken_selector_is_where_the_fault_begins() {
        let page = Document::parse("");
        for (css, caret) in [
            ("p[", " ^"),
            ("div >", "     ^"),
            ("div, , p", "     ^"),
            (".card > .title:nope(1) b", "              ^"),
            ("a::text", " ^"),
            ("a[href^=http://]", "            ^"),
            (".ä .1b", "   ^"),
            ("", "^"),
            ("!", "^"),
        ] {
            let message = page.select(css).unwrap_err().to_string();
            assert!(message.ends_with(&format!("\n    {css}\n    {caret}")), "{message}");
        }
        assert!(page.select("[".repeat(100_000)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_selector_panics(css in "(\\.|#|[a-z]{1,2}|\\*|\\[|\\]|\\(|\\)|::?|\"é\"|[0-9]|[-+~|=^,> ]|:not\\(|:nth-child\\(){0,16}") {
            let _ = Document::parse("<p class=a><b>x").select(&css).map_err(|error| error.to_string());
        }
    }
}
