//! State: a crawl's directory between two crawls: what it holds, whether it is whole, and what can be changed in it.

use std::{collections::BTreeMap, fmt, io, path::Path};

use serde::Serialize;

pub use super::layout::DeadLetter;
use super::{
    layout::{Batch, Counters, Layout, Stored, Write},
    queue::{Entry, Place},
};
use crate::{
    domain::Domain,
    error::{Error, Result},
    report::Counted,
    request::Request,
    stats::Ledger,
};

/// The state of a crawl that does not run.
pub struct State {
    layout: Layout,
}

/// What a state holds.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The accounts.
    pub ledger: Ledger,
    /// Different requests ever taken in.
    pub seen: u64,
    /// Domains for which something waits.
    pub domains: usize,
    /// Requests that failed for good and could be tried again.
    pub dead: u64,
    /// What is wrong; empty for a state that is whole. Only [`State::verify`] looks for it.
    pub problems: Vec<String>,
}

/// A line of an export.
#[derive(Serialize)]
struct Line<'a> {
    domain: &'a Domain,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before_ms: Option<u64>,
    #[serde(flatten)]
    request: &'a Request,
}

/// Changes that are stored at once: more would only take memory.
const CHANGES_AT_ONCE: usize = 10_000;

/// The most problems that are told one by one.
const MAX_PROBLEMS: usize = 100;

impl State {
    /// Opens the state in a directory.
    ///
    /// # Errors
    /// There is none, a crawl runs with it, or it cannot be read.
    pub fn open(dir: &Path) -> Result<Self> {
        if !dir.join("store").is_dir() {
            return Err(Error::store(dir, "there is none; name the directory that a crawl was given"));
        }
        Ok(Self { layout: Layout::open(dir)? })
    }

    /// Tells what the state says of itself.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn summary(&self) -> Result<Summary> {
        let Counters { progress, seen, .. } = self.layout.counters()?;
        let waiting = self.layout.known(None)?.waiting;
        let queued = waiting.iter().map(|(_, count)| count).sum();
        let dead = self.layout.all_dead().count() as u64;
        let ledger = Ledger { queued, leased: 0, ..progress.ledger };
        Ok(Summary { ledger, seen, domains: waiting.len(), dead, problems: Vec::new() })
    }

    /// Reads everything, checksums included, and holds what the state says of itself against what is there.
    ///
    /// # Errors
    /// Not even its counters can be read.
    pub fn verify(&self) -> Result<Summary> {
        let mut summary = self.summary()?;
        let mut found = BTreeMap::<Domain, u64>::new();
        let mut problems = Problems(Vec::new());
        for entry in self.layout.all_queued() {
            match entry {
                Ok((domain, _)) => *found.entry(domain).or_default() += 1,
                Err(error) => problems.add(error.to_string()),
            }
        }
        for (domain, said) in self.layout.known(None)?.waiting {
            let found = found.remove(&domain).unwrap_or(0);
            if found != said {
                problems.add(format!("{domain}: {found} requests wait, and {said} are said to"));
            }
        }
        for (domain, count) in found {
            problems.add(format!("{domain}: {count} requests wait, and none is said to"));
        }
        let mut seen = 0;
        for fingerprint in self.layout.all_seen() {
            match fingerprint {
                Ok(_) => seen += 1,
                Err(error) => problems.add(error.to_string()),
            }
        }
        if seen != summary.seen {
            problems.add(format!("{seen} fingerprints are there, and {} are said to be", summary.seen));
        }
        for dead in self.layout.all_dead() {
            if let Err(error) = dead {
                problems.add(error.to_string());
            }
        }
        if !summary.ledger.adds_up() {
            problems.add(format!("the ledger does not add up: {:?}", summary.ledger));
        }
        summary.problems = problems.0;
        Ok(summary)
    }

    /// Writes all that waits as JSON Lines. A domain whose queue is damaged ends where it is; returns how many requests
    /// were written, and those domains.
    ///
    /// # Errors
    /// The output cannot be written, or it cannot be read which domains there are.
    pub fn export(&self, mut output: impl io::Write) -> Result<(u64, Vec<Domain>)> {
        let (mut written, mut damaged) = (0, Vec::new());
        for (domain, _) in self.layout.known(None)?.waiting {
            let mut from = Some(Place::FIRST);
            while let Some(place) = from {
                let Ok(read) = self.layout.read(&domain, place, CHANGES_AT_ONCE) else {
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

    /// Goes through the requests that failed for good.
    pub fn dead_letters(&self) -> impl Iterator<Item = Result<DeadLetter>> {
        self.layout.all_dead().map(|dead| Ok(dead?.1))
    }

    /// Lets the requests that failed for good wait again, as if never tried. Returns how many.
    ///
    /// # Errors
    /// The state cannot be read or written.
    pub fn requeue_dead(&self) -> Result<u64> {
        let mut requeued = 0;
        loop {
            let dead: Vec<_> = self.layout.all_dead().take(CHANGES_AT_ONCE).collect::<Result<_>>()?;
            if dead.is_empty() {
                self.layout.sync()?;
                return Ok(requeued);
            }
            requeued += dead.len() as u64;
            let mut change = self.change()?;
            for (number, dead) in dead {
                change.counters.next += 1;
                let progress = &mut change.counters.progress;
                progress.ledger.failed = progress.ledger.failed.saturating_sub(1);
                if let Some(count) = progress.counts.get_mut(&dead.count_key()) {
                    *count = count.saturating_sub(1);
                }
                *change.waiting.entry(dead.domain.clone()).or_default() += 1;
                let place = Place::new(dead.request.priority, change.counters.next);
                let entry = Entry { place, attempts: 0, request: dead.request };
                change.writes.push(Write::Unbury { number });
                change.writes.push(Write::Put { domain: dead.domain, entry, not_before: None });
            }
            self.store(change)?;
        }
    }

    /// Drops what waits for a domain, and forgets how it was treated. Its URLs stay seen. Returns how many were dropped.
    ///
    /// # Errors
    /// The state cannot be read or written.
    pub fn forget_domain(&self, domain: &Domain) -> Result<u64> {
        let mut dropped = 0;
        loop {
            let entries = self.layout.read(domain, Place::FIRST, CHANGES_AT_ONCE)?.entries;
            let mut change = self.change()?;
            let count = entries.len() as u64;
            dropped += count;
            change.counters.progress.ledger.dropped += count;
            *change.counters.progress.counts.entry("drop/stopped/forgotten".to_owned()).or_default() += count;
            let waiting = change.waiting.entry(domain.clone()).or_default();
            *waiting = if count == 0 { 0 } else { waiting.saturating_sub(count) };
            let remove = |stored: Stored| Write::Remove { domain: domain.clone(), place: stored.entry.place };
            change.writes.extend(entries.into_iter().map(remove));
            change.writes.push(Write::Forget { domain: domain.clone() });
            self.store(change)?;
            if count == 0 {
                self.layout.sync()?;
                return Ok(dropped);
            }
        }
    }

    fn change(&self) -> Result<Change> {
        let waiting = self.layout.known(None)?.waiting.into_iter().collect();
        Ok(Change { writes: Vec::new(), waiting, counters: self.layout.counters()? })
    }

    fn store(&self, change: Change) -> Result<()> {
        let waiting = change.waiting.into_iter().collect();
        self.layout.store(Batch { writes: change.writes, waiting, counters: Some(change.counters) })
    }
}

fn write_line(output: &mut impl io::Write, domain: &Domain, stored: &Stored) -> io::Result<()> {
    let Entry { attempts, request, .. } = &stored.entry;
    let line = Line { domain, attempts: *attempts, not_before_ms: stored.not_before, request };
    serde_json::to_writer(&mut *output, &line)?;
    output.write_all(b"\n")
}

struct Change {
    writes: Vec<Write>,
    waiting: BTreeMap<Domain, u64>,
    counters: Counters,
}

struct Problems(Vec<String>);

impl Problems {
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

#[cfg(test)]
mod tests;
