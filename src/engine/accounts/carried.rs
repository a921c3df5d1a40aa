//! Carried: the accounts of earlier processes, and those of other machines that share the crawl. They are added to what
//! this process has done.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    frontier::durable,
    stats::{Ledger, count::Count},
};

/// What others have done for the same crawl.
#[derive(Default)]
pub struct Carried {
    /// The counts of earlier processes.
    counts: BTreeMap<String, u64>,
    /// The pages among them.
    pages: u64,
    /// The files among them.
    files: u64,
    /// The crawling time of earlier processes.
    elapsed: Duration,
    /// The accounts of the other machines; `None` if none share the crawl.
    others: Option<Box<durable::Checkpoint>>,
}

impl Carried {
    /// Continues the counts and the time of an earlier process.
    pub fn resume(&mut self, counts: BTreeMap<String, u64>, elapsed: Duration) {
        let before_of = |count: Count| counts.get(&count.to_string()).copied().unwrap_or(0);
        (self.pages, self.files) = (before_of(Count::PAGES), before_of(Count::DOWNLOADED));
        (self.counts, self.elapsed) = (counts, elapsed);
    }

    /// Begins to count for one of several machines, which have these accounts.
    pub fn share(&mut self, others: durable::Checkpoint) {
        self.elapsed = others.elapsed;
        self.set_others(others);
    }

    /// Sets the accounts of the other machines.
    pub fn set_others(&mut self, others: durable::Checkpoint) {
        self.others = Some(Box::new(others));
    }

    /// Returns the accounts of the other machines, if there are any. They are shown, and not stored with those of this
    /// process.
    pub fn others(&self) -> Option<&durable::Checkpoint> {
        self.others.as_deref()
    }

    /// Returns the counts of earlier processes.
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// Returns the crawling time, of which `here` is that of this process.
    pub fn elapsed(&self, here: Duration) -> Duration {
        self.elapsed + here
    }

    /// Returns how many pages were fetched, `here` of them by this process.
    pub fn pages(&self, here: i64) -> u64 {
        self.pages.saturating_add_signed(here) + self.of_others(Count::PAGES)
    }

    /// Returns how many files were downloaded, `here` of them by this process.
    pub fn files(&self, here: i64) -> u64 {
        self.files.saturating_add_signed(here) + self.of_others(Count::DOWNLOADED)
    }

    fn of_others(&self, count: Count) -> u64 {
        self.others().and_then(|others| others.counts.get(&count.to_string()).copied()).unwrap_or(0)
    }

    /// Adds the ledgers of the other machines to that of this process. What one machine has discovered another may have
    /// done, so of a crawl that machines share only the sum adds up. What waits elsewhere follows from it: nobody
    /// counts all queues at one moment.
    pub fn whole(&self, here: Ledger) -> Ledger {
        let mut whole = here;
        if let Some(others) = self.others() {
            whole.discovered += others.ledger.discovered;
            whole.done += others.ledger.done;
            whole.failed += others.ledger.failed;
            whole.dropped += others.ledger.dropped;
            let ended = whole.done + whole.failed + whole.dropped;
            whole.queued = whole.discovered.saturating_sub(ended + whole.leased);
        }
        whole
    }
}
