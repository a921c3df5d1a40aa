//! MarkdownPage: a page as a file of Markdown with front matter. Knows no folder.

use std::{fmt, path::PathBuf};

use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::file_name;
use crate::response::Response;

/// A page as Markdown, with what is said of it in front: its URL, title, time and language, and fields of your own, as
/// YAML between `---`. As text it is the whole file.
///
/// ```
/// use actix_crawler::{pipeline::MarkdownPage, prelude::*};
///
/// let page = Response::html("https://e.org/tea", "<html lang=en><title>Tea</title><h1>Tea</h1>");
/// let file = MarkdownPage::of(&page, page.markdown().to_string()).with("price", 3.5);
/// assert!(file.to_string().starts_with("---\nurl: \"https://e.org/tea\"\ntitle: \"Tea\"\n"));
/// assert!(file.to_string().ends_with("language: \"en\"\n\"price\": 3.5\n---\n\n# Tea\n"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MarkdownPage {
    url: Url,
    front_matter: String,
    text: String,
}

impl MarkdownPage {
    /// Creates the file of a page whose Markdown is `text`: `page.markdown().to_string()`.
    pub fn of(page: &Response, text: impl Into<String>) -> Self {
        let mut front_matter = String::new();
        let fetched_at = humantime::format_rfc3339_seconds(page.fetched_at()).to_string();
        let language = page.language().map(|language| language.tag().to_owned());
        for (name, value) in
            [("title", page.title().map(str::to_owned)), ("fetched_at", Some(fetched_at)), ("language", language)]
        {
            if let Some(value) = value {
                front_matter.extend([name, ": ", &yaml(&value.into()), "\n"]);
            }
        }
        Self { url: page.url().clone(), front_matter, text: text.into() }
    }

    /// Adds a field to the front matter. One that cannot be JSON is left out.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        if let Ok(value) = serde_json::to_value(value) {
            self.front_matter.extend([&yaml(&name.into()), ": ", &yaml(&value), "\n"]);
        }
        self
    }

    /// Returns the page's URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the Markdown, without front matter.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns its path in a folder, which depends on the URL alone.
    pub fn file_name(&self) -> PathBuf {
        file_name::of(&self.url)
    }

    /// Returns how its file begins, by which it is known.
    pub(super) fn beginning(&self) -> String {
        format!("---\nurl: {}\n", yaml(&self.url.as_str().into()))
    }
}

impl fmt::Display for MarkdownPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}---\n\n{}", self.beginning(), self.front_matter, self.text)
    }
}

/// Writes a value as YAML on one line: as JSON, without the characters that YAML does not take, or takes for line ends.
fn yaml(value: &Value) -> String {
    let mut yaml = String::new();
    for character in value.to_string().chars() {
        match character {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                yaml.extend(["\\u", &format!("{:04x}", u32::from(character))]);
            }
            other => yaml.push(other),
        }
    }
    yaml
}

/// What an item of [`MarkdownFolder`](super::MarkdownFolder) has.
///
/// ```
/// use actix_crawler::pipeline::{HasMarkdown, MarkdownPage};
///
/// struct Article { author: String, page: MarkdownPage }
///
/// impl HasMarkdown for Article {
///     fn markdown_page(&self) -> Option<&MarkdownPage> {
///         Some(&self.page)
///     }
/// }
/// ```
pub trait HasMarkdown {
    /// Returns the file to write; `None` if there is none: the item is left out, as `items/dropped`.
    fn markdown_page(&self) -> Option<&MarkdownPage>;
}

impl HasMarkdown for MarkdownPage {
    fn markdown_page(&self) -> Option<&MarkdownPage> {
        Some(self)
    }
}
