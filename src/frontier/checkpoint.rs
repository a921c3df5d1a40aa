//! Checkpoint: the accounts of a crawl, as a store keeps them. Knows no store.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::stats::Ledger;

/// The accounts of a crawl, for its report.
///
/// ```
/// use actix_crawler::{frontier::durable::Checkpoint, stats::Ledger};
///
/// let checkpoint = Checkpoint { ledger: Ledger { discovered: 1, done: 1, ..Ledger::default() }, ..Checkpoint::default() };
/// let stored = serde_json::to_string(&checkpoint)?;
/// assert!(serde_json::from_str::<Checkpoint>(&stored)?.ledger.adds_up());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Checkpoint {
    /// The ledger without queued and leased, which the frontier counts.
    pub ledger: Ledger,
    /// The counts.
    pub counts: BTreeMap<String, u64>,
    /// Bytes of bodies received.
    pub bytes: u64,
    /// Items acknowledged by pipelines.
    pub items: u64,
    /// Crawling time of all processes so far.
    pub elapsed: Duration,
}

impl Checkpoint {
    /// Adds the accounts of another machine. The time is that of the machine that has crawled longest.
    pub fn add(&mut self, other: &Self) {
        let (ledger, more) = (&mut self.ledger, &other.ledger);
        ledger.discovered += more.discovered;
        ledger.done += more.done;
        ledger.failed += more.failed;
        ledger.dropped += more.dropped;
        for (key, count) in &other.counts {
            *self.counts.entry(key.clone()).or_default() += count;
        }
        self.bytes += other.bytes;
        self.items += other.items;
        self.elapsed = self.elapsed.max(other.elapsed);
    }
}
