//! Pattern: a regular expression on URLs. Does not know whether it allows or denies.

use std::{fmt, str::FromStr};

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A regular expression on the whole URL, matched in linear time.
///
/// ```
/// use actix_crawler::settings::Pattern;
///
/// let pattern: Pattern = r"/page-\d+$".parse()?;
/// assert!(pattern.is_match("https://example.org/page-7"));
/// assert!("(".parse::<Pattern>().is_err());
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Tells whether any part of a URL matches.
    pub fn is_match(&self, url: &str) -> bool {
        self.0.is_match(url)
    }
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Regex::new(text).map(Self).map_err(|error| Error::setting("pattern", format!("`{text}`: {error}")))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Serialize for Pattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|error: Error| serde::de::Error::custom(error.into_why()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_rule_is_shown() {
        let error = serde_json::from_str::<Vec<Pattern>>(r#"["(unclosed"]"#).unwrap_err().to_string();
        assert!(error.contains("(unclosed"), "{error}");
    }
}
