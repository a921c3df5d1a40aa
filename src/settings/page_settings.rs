//! PageSettings: what the command line's spider makes of a page. Knows no page.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{scope::Pattern, validation::Schema};

/// What `actix-crawler crawl` writes of each page, and where; the table `[pages]` of a file. A program has a spider and
/// pipelines of its own for that, and may ask for these settings too.
///
/// ```
/// use actix_crawler::{Settings, settings::PageSettings};
///
/// let select = [("headline".to_owned(), "h1".to_owned())].into();
/// let settings = Settings { pages: PageSettings { select, ..PageSettings::default() }, ..Settings::default() };
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct PageSettings {
    /// The file for pages, CSV if its name ends in `.csv` and else JSON Lines, or a folder of Markdown if it ends with
    /// a slash; `-` or nothing is stdout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// Whether CSV texts that a spreadsheet would evaluate as formulas are escaped.
    pub escape_formulas: bool,
    /// Which pages are written, by their URLs: those that match one of these, or all if there are none. The links of
    /// the others are followed too.
    pub items: Vec<Pattern>,
    /// A CSS selector, for each element of which an item is written, in place of one for the page; what is selected is
    /// read within it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// Fields by name, each with its CSS selector, or `CSS@ATTRIBUTE`; of each text `CSS | number` reads the number,
    /// and `CSS | re REGEX` what matches, or the first group of it.
    pub select: BTreeMap<String, String>,
    /// Which files of each page are downloaded to `files.dir`: the `href` or `src` of what these CSS selectors find;
    /// its images if there are none.
    pub files: Vec<String>,
    /// Whether each page has its simhash as a field.
    pub simhash: bool,
    /// Whether each page has its language as a field.
    pub language: bool,
    /// Which part of each page is a field as Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub markdown: Option<PagePart>,
    /// Programs by content type, each of which makes text or HTML of a document.
    pub convert: BTreeMap<String, String>,
    /// What fields must be like.
    pub validate: Schema,
    /// Whether links marked `nofollow` are skipped.
    pub respect_nofollow: bool,
    /// Whether pages that are nearly the same as earlier ones are left out.
    pub skip_near_duplicates: bool,
    /// The file for the summary in JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<PathBuf>,
}

/// Which part of a page is written as Markdown.
///
/// ```
/// use actix_crawler::settings::{PagePart, PageSettings};
///
/// let pages = PageSettings { markdown: Some(PagePart::Main), ..PageSettings::default() };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PagePart {
    /// Its main content, or the whole where none stands out.
    #[default]
    Main,
    /// All of it.
    Whole,
}
