//! Coverage: the part of a report that says what the crawl's items are like. Knows no rules.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::Share;

/// The most fields whose coverage is counted: more are rather values that became names.
pub(super) const MAX_FIELDS: usize = 256;

/// The most reasons that are counted apart; further ones are added up. A reason in whose text the value stands is a
/// different one for each item.
pub(super) const MAX_REASONS: usize = 64;

/// What the items of a crawl are like: in how many each field is, where a feed writes them, and which are invalid, if
/// that was asked with [`Crawler::validate`](crate::Crawler::validate). Counts the items of pages that are done, in
/// this process: a crawl that goes on from its state begins anew.
///
/// ```
/// use actix_crawler::Report;
///
/// fn check(report: &Report) -> Result<(), String> {
///     let Some(validation) = &report.validation else { return Ok(()) };
///     println!("{} of {} items are invalid", validation.invalid, validation.items);
///     for reason in &validation.reasons {
///         println!("{} {}: {}, first at {}", reason.field, reason.why, reason.items, reason.url);
///     }
///     match validation.missed().next() {
///         Some((field, coverage)) => Err(format!("only {} have `{field}`", coverage.share)),
///         None => Ok(()),
///     }
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Validation {
    /// Pages that were read, with items or without.
    pub pages: u64,
    /// Items that were judged.
    pub items: u64,
    /// Whether anything was asked of an item, so that it could be invalid.
    #[serde(skip)]
    pub has_rules: bool,
    /// Items that are invalid.
    pub invalid: u64,
    /// Invalid items that went to no pipeline.
    pub left_out: u64,
    /// Why items are invalid, the most frequent reason first.
    pub reasons: Vec<InvalidItems>,
    /// In how many items each field is present and not empty.
    pub fields: BTreeMap<String, FieldCoverage>,
    /// How often fields were present whose names came after 256 others.
    pub fields_beyond: u64,
}

/// A reason for which items are invalid, with the first of them.
///
/// ```
/// use actix_crawler::validation::InvalidItems;
///
/// fn example(reason: &InvalidItems) -> String {
///     format!("{} {}, as {:?} at {}", reason.field, reason.why, reason.value, reason.url)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InvalidItems {
    /// The field; empty if it is about the whole item.
    pub field: String,
    /// What is wrong with it.
    pub why: String,
    /// How many items have it.
    pub items: u64,
    /// The page of the first.
    pub url: String,
    /// The value in the first, up to 200 bytes; empty if it is missing.
    pub value: String,
}

/// In how many items a field is.
///
/// ```
/// use actix_crawler::validation::{FieldCoverage, Share};
///
/// let price = FieldCoverage { items: 90, share: Share::of(0.9), expected: Some(Share::of(0.95)) };
/// assert!(price.is_missed());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FieldCoverage {
    /// Items in which it is present and not empty.
    pub items: u64,
    /// Their share of all items that were judged.
    pub share: Share,
    /// The share that is expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Share>,
}

impl FieldCoverage {
    /// Tells whether it is less than expected.
    pub fn is_missed(&self) -> bool {
        self.expected.is_some_and(|expected| self.share < expected)
    }
}

impl Validation {
    /// Returns the fields that are in fewer items than expected. Where pages were read and no item came at all, every
    /// expected field is; where no page was read, as when there was nothing to do, none is.
    pub fn missed(&self) -> impl Iterator<Item = (&str, &FieldCoverage)> {
        self.fields
            .iter()
            .filter(|(_, coverage)| self.pages > 0 && coverage.is_missed())
            .map(|(name, coverage)| (name.as_str(), coverage))
    }

    /// Returns a warning for each field that is in fewer items than expected.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = String> {
        self.missed().map(|(name, FieldCoverage { items, share, expected })| {
            let expected = expected.unwrap_or_default();
            if self.items == 0 {
                return format!("no item came, and {expected} of them are expected to have `{name}`");
            }
            format!("`{name}` is in {share} of the items ({items} of {}), and expected in {expected}", self.items)
        })
    }
}

impl fmt::Display for InvalidItems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, why, .. } = self;
        if field.is_empty() { f.write_str(why) } else { write!(f, "{field} {why}") }
    }
}
