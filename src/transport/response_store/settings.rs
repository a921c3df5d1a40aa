//! ResponseStoreSettings: where responses are stored, and for which purpose.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where responses are stored, and for which purpose. [`Crawler::cache`], [`Crawler::record`] and [`Crawler::replay`]
/// set it.
///
/// ```
/// use actix_crawler::transport::{Purpose, ResponseStoreSettings, TransportSettings};
///
/// let store = ResponseStoreSettings { max_bytes: 10 << 30, ..ResponseStoreSettings::new("site", Purpose::Record) };
/// let settings = TransportSettings { response_store: Some(store), ..TransportSettings::default() };
/// ```
///
/// [`Crawler::cache`]: crate::Crawler::cache
/// [`Crawler::record`]: crate::Crawler::record
/// [`Crawler::replay`]: crate::Crawler::replay
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseStoreSettings {
    /// The folder. It contains what servers sent, including their cookies, but none of our credentials.
    pub dir: PathBuf,
    /// The purpose.
    pub purpose: Purpose,
    /// The most bytes of all files together. 1 GiB by default: about 100,000 pages, which are stored compressed as
    /// received. A full cache removes its oldest responses, and none is stored that takes more than half of it; a full
    /// recording stores no more, and its crawl ends as [`Ended::Failed`](crate::report::Ended::Failed), with how many
    /// responses it lacks.
    #[serde(default = "default_max_bytes")]
    pub max_bytes: u64,
}

/// Why responses are stored.
///
/// ```
/// use actix_crawler::transport::{Purpose, ResponseStoreSettings};
///
/// let recorded = ResponseStoreSettings::new("site", Purpose::Record);
/// let without_network = ResponseStoreSettings::new("site", Purpose::Replay);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// As a cache, within the rules of RFC 9111. Needs the feature `cache`.
    Cache,
    /// To be replayed later: every response is stored.
    Record,
    /// To repeat a recorded crawl without the network.
    Replay,
}

impl ResponseStoreSettings {
    /// Stores responses in `dir` for `purpose`.
    pub fn new(dir: impl Into<PathBuf>, purpose: Purpose) -> Self {
        Self { dir: dir.into(), purpose, max_bytes: default_max_bytes() }
    }
}

fn default_max_bytes() -> u64 {
    1 << 30
}
