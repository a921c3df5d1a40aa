//! PageVisit: what a page was when it was last fetched, and when it is due again. Plain data for the states of crawls.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::extract::Simhash;

/// What a page was like at one time.
///
/// ```
/// use actix_crawler::{recrawl::PageChange, prelude::*};
///
/// let [monday, friday] = ["12 pages", "13 pages"].map(|text| Response::html("https://e.org/", text).version());
/// assert_ne!(monday.content, friday.content);
/// assert_eq!(monday.change_to(&monday), PageChange::None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageVersion {
    /// A hash of its body, without content codings (XXH3, 64 bits).
    pub content: u64,
    /// The simhash of its visible text; `None` if it has none.
    pub simhash: Option<Simhash>,
}

/// How one version of a page differs from another.
///
/// ```
/// use actix_crawler::{recrawl::PageChange, prelude::*};
///
/// fn prices(page: &Response) -> Result<Parsed<String>> {
///     if page.change_since_last_visit() == Some(PageChange::None) {
///         return Ok(Parsed::new().follow(page.links()));
///     }
///     Ok(Parsed::of(page.select(".price")?.iter().map(|price| price.text())))
/// }
/// # drop(prices(&Response::html("https://example.org/", "")));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageChange {
    /// The bodies are the same.
    None,
    /// The bodies differ, and the texts nearly do not: at most three bits of their simhashes. A date, a counter or a
    /// token has changed.
    Small,
    /// The texts differ.
    Large,
}

/// Differing bits of two simhashes up to which a change is small: Manku et al., see [`Simhash`].
const SMALL: u32 = 3;

impl PageVersion {
    /// Makes it of a body and the simhash of its text.
    pub fn of(body: &[u8], simhash: Option<Simhash>) -> Self {
        Self { content: xxh3_64(body), simhash }
    }

    /// Tells how a later version differs from this one.
    pub fn change_to(&self, later: &Self) -> PageChange {
        match (self.simhash, later.simhash) {
            _ if self.content == later.content => PageChange::None,
            (Some(before), Some(after)) if before.distance(after) <= SMALL => PageChange::Small,
            _ => PageChange::Large,
        }
    }
}

/// The last visit of a page. A crawl keeps it with [`Recrawl::adaptive`](crate::Recrawl::adaptive).
///
/// ```
/// use actix_crawler::prelude::*;
///
/// fn age(page: &Response) -> Option<u32> {
///     page.last_visit().map(|visit| visit.fetched_at - visit.changed_at)
/// }
/// assert_eq!(age(&Response::html("https://e.org/", "")), None, "it was never visited before");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageVisit {
    /// What the page was like.
    pub version: PageVersion,
    /// When it was fetched, in seconds since 1970.
    pub fetched_at: u32,
    /// When it was first fetched in this version, small changes aside, in seconds since 1970.
    pub changed_at: u32,
    /// After how many seconds it is due again.
    pub interval: u32,
}

/// The bytes of a stored visit.
const LENGTH: usize = 29;

impl PageVisit {
    /// Returns after which time the page is due again.
    pub fn due_after(&self) -> Duration {
        Duration::from_secs(self.interval.into())
    }

    /// Returns it as bytes for a store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend(self.version.content.to_be_bytes());
        bytes.push(self.version.simhash.is_some().into());
        bytes.extend(self.version.simhash.map_or(0, |hash| hash.0).to_be_bytes());
        for number in [self.fetched_at, self.changed_at, self.interval] {
            bytes.extend(number.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`PageVisit::to_bytes`] wrote; `None` if it is damaged.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (content, rest) = bytes.split_first_chunk::<8>()?;
        let ([has_simhash], rest) = rest.split_first_chunk::<1>()?;
        let (simhash, rest) = rest.split_first_chunk::<8>()?;
        let (fetched_at, rest) = rest.split_first_chunk::<4>()?;
        let (changed_at, rest) = rest.split_first_chunk::<4>()?;
        let interval = rest.try_into().ok()?;
        let simhash = (*has_simhash != 0).then(|| Simhash(u64::from_be_bytes(*simhash)));
        Some(Self {
            version: PageVersion { content: u64::from_be_bytes(*content), simhash },
            fetched_at: u32::from_be_bytes(*fetched_at),
            changed_at: u32::from_be_bytes(*changed_at),
            interval: u32::from_be_bytes(interval),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_can_be_read_back_and_what_is_damaged_is_none() {
        for simhash in [None, Some(Simhash(0)), Some(Simhash(u64::MAX))] {
            let version = PageVersion::of(b"body", simhash);
            let visit = PageVisit { version, fetched_at: 7, changed_at: 5, interval: u32::MAX };
            let bytes = visit.to_bytes();
            assert_eq!((PageVisit::from_bytes(&bytes), bytes.len()), (Some(visit), LENGTH));
            assert_eq!(PageVisit::from_bytes(&bytes[..LENGTH - 1]), None);
            let json = serde_json::to_string(&visit).unwrap();
            assert_eq!(serde_json::from_str::<PageVisit>(&json).unwrap(), visit);
        }
    }

    #[test]
    fn a_change_is_none_small_or_large() {
        let version = |content, simhash| PageVersion { content, simhash };
        let page = version(1, Some(Simhash(0)));
        assert_eq!(page.change_to(&version(1, None)), PageChange::None);
        assert_eq!(page.change_to(&version(2, Some(Simhash(0b111)))), PageChange::Small);
        assert_eq!(page.change_to(&version(2, Some(Simhash(0b1111)))), PageChange::Large);
        assert_eq!(page.change_to(&version(2, None)), PageChange::Large, "as far as can be told");
    }
}
