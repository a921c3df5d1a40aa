//! Batch: changes that are stored together, and where each goes. Knows no store.

use std::sync::Arc;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    super::queue::{Entry, Place},
    keys::{INCLUDED, PAST, dead_key, meta_key, queue_key},
};
use crate::{
    domain::Domain,
    frontier::durable::{Past, Progress},
    identity::Fingerprint,
    request::Request,
};

/// Changes that are stored together.
#[derive(Default)]
pub struct Batch {
    /// The changes, in order.
    pub writes: Vec<Write>,
    /// How many entries the domains have now.
    pub waiting: HashMap<Domain, u64>,
    /// The counters, with the last of several transactions.
    pub counters: Option<Counters>,
}

/// One change.
#[derive(Debug)]
pub enum Write {
    /// An entry waits, not before a time in milliseconds since 1970.
    Put { domain: Domain, entry: Entry, not_before: Option<u64> },
    /// An entry is done with.
    Remove { domain: Domain, place: Place },
    /// A fingerprint was seen, at a second since 1970.
    See(Fingerprint, u32),
    /// A fingerprint counts as never seen.
    Unsee(Fingerprint),
    /// A domain's past.
    Remember { domain: Domain, past: Past },
    /// The host of a seed is in the scope.
    Include(Url),
    /// A request failed for good.
    Bury { number: u64, dead: DeadLetter },
    /// A request that failed is not dead any more.
    Unbury { number: u64 },
    /// A domain's past does not matter any more.
    Forget { domain: Domain },
}

impl Write {
    /// Where it goes: kinds that share a keyspace stand together.
    fn target(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Put { domain, entry, .. } => (0, queue_key(domain, entry.place)),
            Self::Remove { domain, place } => (0, queue_key(domain, *place)),
            Self::See(fingerprint, _) | Self::Unsee(fingerprint) => (1, fingerprint.to_bytes().to_vec()),
            Self::Remember { domain, .. } | Self::Forget { domain } => (2, meta_key(PAST, domain.as_str())),
            Self::Include(url) => (2, meta_key(INCLUDED, url.as_str())),
            Self::Bury { number, .. } | Self::Unbury { number } => (2, dead_key(*number)),
        }
    }
}

/// Sorts changes by where they go, as sorted keys are stored faster, and leaves of several to one key the last.
pub(super) fn in_order(writes: Vec<Write>) -> impl Iterator<Item = (Vec<u8>, Write)> {
    let mut writes: Vec<_> = writes.into_iter().map(|write| (write.target(), write)).collect();
    writes.sort_by(|(left, _), (right, _)| left.cmp(right));
    let mut writes = writes.into_iter().peekable();
    std::iter::from_fn(move || {
        loop {
            let (target, write) = writes.next()?;
            if writes.peek().is_none_or(|(next, _)| *next != target) {
                return Some((target.1, write));
            }
        }
    })
}

/// A request that failed for good, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its domain.
    pub domain: Domain,
    /// The request.
    pub request: Arc<Request>,
    /// How it ended, in one word.
    pub outcome: String,
    /// What there is to say beside the word.
    pub detail: String,
}

impl DeadLetter {
    /// Returns the key that it was counted under.
    pub fn count_key(&self) -> String {
        match self.outcome.as_str() {
            "status" => format!("failed/status/{}", self.detail),
            outcome => format!("failed/{outcome}"),
        }
    }
}

/// The counters that are stored with each batch.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    /// How far the crawl has come.
    pub progress: Progress,
    /// The last number given to an entry.
    pub next: u64,
    /// How many fingerprints were seen.
    pub seen: u64,
}
