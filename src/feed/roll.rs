//! Roll: when a feed goes on in a new file. Knows no files.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::text::durations;

/// When a feed goes on in a new file: whatever comes first of what is set. The name needs `{batch}` or `{time}` then.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::feed::{Feed, Roll};
///
/// let hourly = Roll { every: Some(Duration::from_secs(3_600)), ..Roll::items(100_000) };
/// let feed = Feed::to("shop/{time}.jsonl.gz").roll(hourly);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Roll {
    /// The most items in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// A file that has reached this size gets no further record, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The age after which a file gets no more items. It is closed when the next comes, or the crawl ends.
    #[serde(with = "durations::optional", skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
}

impl Roll {
    /// Goes on in a new file after so many items.
    pub fn items(items: u64) -> Self {
        Self { items: Some(items), ..Self::default() }
    }

    /// Goes on in a new file when one has reached this size, in bytes.
    pub fn bytes(bytes: u64) -> Self {
        Self { bytes: Some(bytes), ..Self::default() }
    }

    /// Goes on in a new file after this time.
    pub fn every(age: Duration) -> Self {
        Self { every: Some(age), ..Self::default() }
    }

    /// Tells whether it ever does.
    pub(super) fn is_set(&self) -> bool {
        *self != Self::default()
    }

    /// Tells whether the next record goes to a new file, where there are so many items in this one.
    pub(super) fn is_due(&self, items: u64, bytes: impl FnOnce() -> u64, age: Duration) -> bool {
        items > 0
            && (self.items.is_some_and(|most| items >= most)
                || self.every.is_some_and(|most| age >= most)
                || self.bytes.is_some_and(|most| bytes() >= most))
    }
}
