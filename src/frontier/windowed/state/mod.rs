//! State: inspects, verifies and edits what a store holds between two crawls. Knows no database.

mod explain;

use std::{collections::BTreeMap, fmt, io, ops::ControlFlow};

use serde::Serialize;

pub use super::store::DeadLetter;
use super::{
    entry::{Entry, QueuePosition},
    store::{Batch, Change, Contents, Counters, Store, StoredEntry},
};
use crate::{
    domain::Domain,
    error::{Error, Result},
    identity::Fingerprint,
    report::Counted,
    request::Request,
    stats::Ledger,
};

/// The state of a crawl that is not running.
///
/// ```
/// # #[cfg(feature = "disk")]
/// # fn example() -> actix_crawler::Result<()> {
/// use actix_crawler::frontier::stores::fjall::open_state;
///
/// let state = open_state("crawl".as_ref())?;
/// println!("{}", state.verify()?);
/// println!("{} queued again", state.requeue_dead()?);
/// # Ok(()) }
/// ```
pub struct State {
    store: Box<dyn Store>,
}

/// A summary of a state.
///
/// ```
/// use actix_crawler::frontier::windowed::state::Summary;
///
/// fn is_whole(summary: &Summary) -> bool {
///     summary.problems.is_empty() && summary.ledger.adds_up()
/// }
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The accounts.
    pub ledger: Ledger,
    /// Distinct requests ever admitted.
    pub seen: u64,
    /// Domains with waiting requests.
    pub domains: usize,
    /// Requests that failed for good and can be requeued.
    pub dead: u64,
    /// Problems found; empty if there are none. Only [`State::verify`] looks for them.
    pub problems: Vec<String>,
}

/// A request in the export.
#[derive(Serialize)]
struct ExportedRequest<'a> {
    domain: &'a Domain,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before_ms: Option<u64>,
    #[serde(flatten)]
    request: &'a Request,
}

/// The most changes stored at once, which bounds the memory.
const MAX_CHANGES_AT_ONCE: usize = 10_000;

/// The most problems listed individually.
const MAX_PROBLEMS: usize = 100;

impl State {
    /// Opens a store that no crawl uses.
    pub fn new(store: impl Store + 'static) -> Self {
        Self { store: Box::new(store) }
    }

    /// Returns the summary that the state stores.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn summary(&self) -> Result<Summary> {
        let mut summary = self.counted()?;
        self.count_dead(&mut summary)?;
        Ok(summary)
    }

    /// Returns the summary from the counters.
    fn counted(&self) -> Result<Summary> {
        let Contents { counters, waiting, .. } = self.store.load()?;
        let Counters { checkpoint, seen, .. } = counters.unwrap_or_default();
        let queued = waiting.iter().map(|(_, count)| count).sum();
        let ledger = Ledger { queued, leased: 0, ..checkpoint.ledger };
        Ok(Summary { ledger, seen, domains: waiting.len(), dead: 0, problems: Vec::new() })
    }

    fn count_dead(&self, summary: &mut Summary) -> Result<()> {
        self.store.each_dead(&mut |_, _| {
            summary.dead += 1;
            ControlFlow::Continue(())
        })
    }

    /// Reads everything, including checksums, and compares the counters with the content.
    ///
    /// # Errors
    /// Not even the counters can be read.
    pub fn verify(&self) -> Result<Summary> {
        let mut summary = self.counted()?;
        let mut problems = Problems(Vec::new());
        let mut found = BTreeMap::<Domain, u64>::new();
        problems.note(self.store.each_queued(&mut |domain, _| {
            *found.entry(domain).or_default() += 1;
            ControlFlow::Continue(())
        }));
        for (domain, said) in self.store.load()?.waiting {
            let found = found.remove(&domain).unwrap_or(0);
            if found != said {
                problems.add(format!("{domain}: {found} requests wait, and {said} are said to"));
            }
        }
        for (domain, count) in found {
            problems.add(format!("{domain}: {count} requests wait, and none is said to"));
        }
        let mut seen = 0;
        problems.note(self.store.each_seen(Fingerprint::from_bytes([0; 16]), &mut |_, _| {
            seen += 1;
            ControlFlow::Continue(())
        }));
        if seen != summary.seen {
            problems.add(format!("{seen} fingerprints are there, and {} are said to be", summary.seen));
        }
        problems.note(self.count_dead(&mut summary));
        if !summary.ledger.adds_up() {
            problems.add(format!("the ledger does not add up: {:?}", summary.ledger));
        }
        summary.problems = problems.0;
        Ok(summary)
    }

    /// Writes all waiting requests as JSON Lines. The export of a damaged queue ends at the damage; returns how many
    /// requests were written, and the damaged domains.
    ///
    /// # Errors
    /// The output cannot be written, or the list of domains cannot be read.
    pub fn export(&self, mut output: impl io::Write) -> Result<(u64, Vec<Domain>)> {
        let (mut written, mut damaged) = (0, Vec::new());
        for (domain, _) in self.store.load()?.waiting {
            let mut from = Some(QueuePosition::FIRST);
            while let Some(place) = from {
                let Ok(read) = self.store.queue(&domain, place, MAX_CHANGES_AT_ONCE) else {
                    damaged.push(domain.clone());
                    break;
                };
                for stored in &read.entries {
                    write_line(&mut output, &domain, stored).map_err(|source| Error::file("the export", source))?;
                    written += 1;
                }
                from = read.next;
            }
        }
        output.flush().map_err(|source| Error::file("the export", source))?;
        Ok((written, damaged))
    }

    /// Visits the requests that failed for good.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn each_dead_letter(&self, mut visit: impl FnMut(DeadLetter) -> ControlFlow<()>) -> Result<()> {
        self.store.each_dead(&mut |_, dead| visit(dead))
    }

    /// Requeues the requests that failed for good, as if never tried. Returns how many.
    ///
    /// # Errors
    /// The state cannot be read or written.
    pub fn requeue_dead(&self) -> Result<u64> {
        let mut requeued = 0;
        loop {
            let mut dead = Vec::new();
            self.store.each_dead(&mut |number, letter| {
                dead.push((number, letter));
                if dead.len() < MAX_CHANGES_AT_ONCE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            if dead.is_empty() {
                self.store.sync()?;
                return Ok(requeued);
            }
            requeued += dead.len() as u64;
            let mut edit = self.edit()?;
            for (number, dead) in dead {
                edit.counters.next += 1;
                let checkpoint = &mut edit.counters.checkpoint;
                checkpoint.ledger.failed = checkpoint.ledger.failed.saturating_sub(1);
                if let Some(count) = checkpoint.counts.get_mut(&dead.count_key()) {
                    *count = count.saturating_sub(1);
                }
                *edit.waiting.entry(dead.domain.clone()).or_default() += 1;
                let place = QueuePosition::new(dead.request.rank(), edit.counters.next);
                let entry = Entry { place, attempts: 0, request: dead.request };
                edit.changes.push(Change::Unbury { number });
                edit.changes.push(Change::Put { domain: dead.domain, entry, not_before: None });
            }
            self.apply(edit)?;
        }
    }

    /// Drops the waiting requests of a domain, and forgets its history. Its URLs stay seen. Returns how many were
    /// dropped.
    ///
    /// # Errors
    /// The state cannot be read or written.
    pub fn forget_domain(&self, domain: &Domain) -> Result<u64> {
        let mut dropped = 0;
        loop {
            let entries = self.store.queue(domain, QueuePosition::FIRST, MAX_CHANGES_AT_ONCE)?.entries;
            let mut edit = self.edit()?;
            let count = entries.len() as u64;
            dropped += count;
            edit.counters.checkpoint.ledger.dropped += count;
            *edit.counters.checkpoint.counts.entry("drop/stopped/forgotten".to_owned()).or_default() += count;
            let waiting = edit.waiting.entry(domain.clone()).or_default();
            *waiting = if count == 0 { 0 } else { waiting.saturating_sub(count) };
            let remove = |stored: StoredEntry| Change::Remove { domain: domain.clone(), place: stored.entry.place };
            edit.changes.extend(entries.into_iter().map(remove));
            edit.changes.push(Change::Forget { domain: domain.clone() });
            self.apply(edit)?;
            if count == 0 {
                self.store.sync()?;
                return Ok(dropped);
            }
        }
    }

    fn edit(&self) -> Result<Edit> {
        let Contents { counters, waiting, .. } = self.store.load()?;
        let waiting = waiting.into_iter().collect();
        Ok(Edit { changes: Vec::new(), waiting, counters: counters.unwrap_or_default() })
    }

    fn apply(&self, edit: Edit) -> Result<()> {
        let waiting = edit.waiting.into_iter().collect();
        self.store.apply(Batch { changes: edit.changes, waiting, counters: Some(edit.counters), ..Batch::default() })
    }
}

fn write_line(output: &mut impl io::Write, domain: &Domain, stored: &StoredEntry) -> io::Result<()> {
    let Entry { attempts, request, .. } = &stored.entry;
    let line = ExportedRequest { domain, attempts: *attempts, not_before_ms: stored.not_before, request };
    serde_json::to_writer(&mut *output, &line)?;
    output.write_all(b"\n")
}

/// Changes of a state, with the resulting counters.
struct Edit {
    changes: Vec<Change>,
    waiting: BTreeMap<Domain, u64>,
    counters: Counters,
}

struct Problems(Vec<String>);

impl Problems {
    fn note(&mut self, read: Result<()>) {
        if let Err(error) = read {
            self.add(error.to_string());
        }
    }

    fn add(&mut self, problem: String) {
        if self.0.len() < MAX_PROBLEMS {
            self.0.push(problem);
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ledger { discovered, done, failed, dropped, queued, .. } = self.ledger;
        writeln!(f, "{discovered} discovered = {done} done + {failed} failed + {dropped} dropped + {queued} queued")?;
        let (domains, seen) = (Counted(self.domains as u64, "domain"), Counted(self.seen, "request"));
        writeln!(f, "queued for {domains}; {seen} ever taken in; {}", Counted(self.dead, "dead letter"))?;
        for problem in &self.problems {
            writeln!(f, "problem: {problem}")?;
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "disk"))]
mod tests;
