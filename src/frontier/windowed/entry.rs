//! Entry: a request in a domain's queue, and its place there. Knows no queue and no store.

use std::{cmp::Ordering, sync::Arc};

use crate::request::Request;

/// The position of an entry in its domain's queue: by rank, then by age. The field order is the rule.
///
/// ```
/// use actix_crawler::frontier::windowed::entry::QueuePosition;
///
/// let (first, urgent) = (QueuePosition::new(0, 1), QueuePosition::new(5, 2));
/// assert!(urgent < first, "a higher rank goes first");
/// assert!(first < first.behind());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueuePosition {
    /// The [`Request::rank`], turned round so that what goes first is least.
    pub rank: u32,
    /// The entry's number; no two are the same.
    pub age: u64,
}

impl QueuePosition {
    /// The first possible place.
    pub const FIRST: Self = Self { rank: 0, age: 0 };

    /// Creates the place of an entry.
    pub fn new(rank: i32, age: u64) -> Self {
        Self { rank: !(rank.cast_unsigned() ^ 0x8000_0000), age }
    }

    /// Returns the next place.
    #[must_use]
    pub fn behind(self) -> Self {
        Self { age: self.age + 1, ..self }
    }
}

/// A request in a domain's queue.
///
/// ```
/// use actix_crawler::{Request, frontier::windowed::entry::{Entry, QueuePosition}};
///
/// let request = Request::parse("https://example.org/")?;
/// let entry = |age| Entry { place: QueuePosition::new(0, age), attempts: 0, request: request.clone().into() };
/// assert!(entry(1) < entry(2), "the older goes first");
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its position.
    pub place: QueuePosition,
    /// The number of attempts so far.
    pub attempts: u32,
    /// The request.
    pub request: Arc<Request>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.cmp(&other.place)
    }
}
