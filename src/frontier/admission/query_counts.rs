//! QueryCounts: how many different queries of each path were admitted, to find the paths whose queries have no end.
//! Knows no frontier and no scope.

use hashbrown::{HashMap, HashSet};
use url::Url;
use xxhash_rust::xxh3::xxh3_64;

use crate::identity::Fingerprint;

/// The queries that were admitted.
#[derive(Default)]
pub(super) struct QueryCounts {
    /// How many of each path, by the hash of the path.
    of_paths: HashMap<u64, u32>,
    /// Those that were counted. A URL that is admitted again, on request or because it is due, is not counted twice.
    counted: HashSet<u64>,
}

/// Paths whose queries are counted (16 MB); beyond it, new paths are not checked for traps.
const MAX_PATHS_COUNTED: usize = 1_000_000;

/// Queries that are remembered as counted (19 MB); beyond it, one that the frontier has forgotten is counted again.
const MAX_QUERIES_REMEMBERED: usize = 1_000_000;

impl QueryCounts {
    /// Tells whether a URL was counted.
    pub fn has(&self, fingerprint: &Fingerprint) -> bool {
        self.counted.contains(&half_of(fingerprint))
    }

    /// Tells whether a path has as many queries as it may have.
    pub fn are_too_many(&self, path: u64, most: u32) -> bool {
        match self.of_paths.get(&path) {
            Some(queries) => *queries >= most,
            None => most == 0 && self.of_paths.len() < MAX_PATHS_COUNTED,
        }
    }

    /// Counts a query of a path.
    pub fn count(&mut self, path: u64, fingerprint: &Fingerprint) {
        if self.counted.len() < MAX_QUERIES_REMEMBERED {
            self.counted.insert(half_of(fingerprint));
        }
        if self.of_paths.len() < MAX_PATHS_COUNTED || self.of_paths.contains_key(&path) {
            *self.of_paths.entry(path).or_default() += 1;
        }
    }
}

/// Enough to tell a million apart.
fn half_of(fingerprint: &Fingerprint) -> u64 {
    fingerprint.to_bytes().first_chunk().map_or(0, |half| u64::from_le_bytes(*half))
}

/// Returns the hash of the path of a URL that has a query.
pub(super) fn path_of_query(url: &Url) -> Option<u64> {
    let path = url.query().and_then(|_| url.as_str().split('?').next())?;
    Some(xxh3_64(path.as_bytes()))
}
