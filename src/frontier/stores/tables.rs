//! A test double: a store of plain tables in memory, which outlives its frontier. It shows that the windowed frontier
//! needs nothing specific to a database on disk.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{Arc, Mutex},
};

use url::Url;

use crate::{
    domain::Domain,
    error::{Error, Result},
    frontier::{
        durable::{DomainHistory, StoredRobotsFile},
        known_depth::KnownDepth,
        windowed::{
            entry::{Entry, QueuePosition},
            store::{Batch, Change, Contents, Counters, DeadLetter, QueuePart, Store, StoredEntry},
        },
    },
    identity::Fingerprint,
    recrawl::page_visit::PageVisit,
};

/// A handle to the tables; clones share them.
#[derive(Clone, Default)]
pub struct TablesStore(Arc<Mutex<Tables>>);

#[derive(Default)]
struct Tables {
    queue: BTreeMap<(Domain, QueuePosition), (Entry, Option<u64>)>,
    seen: BTreeMap<Fingerprint, u32>,
    waiting: BTreeMap<Domain, u64>,
    histories: BTreeMap<Domain, DomainHistory>,
    included: Vec<Url>,
    dead: BTreeMap<u64, DeadLetter>,
    depths: BTreeMap<Fingerprint, KnownDepth>,
    visits: BTreeMap<Fingerprint, PageVisit>,
    robots: BTreeMap<String, StoredRobotsFile>,
    settings: Option<BTreeMap<String, String>>,
    counters: Option<Counters>,
}

impl Tables {
    fn change(&mut self, change: Change) {
        match change {
            Change::Put { domain, entry, not_before } => {
                self.queue.insert((domain, entry.place), (entry, not_before));
            }
            Change::Remove { domain, place } => drop(self.queue.remove(&(domain, place))),
            Change::See(fingerprint, at) => drop(self.seen.insert(fingerprint, at)),
            Change::Unsee(fingerprint) => drop(self.seen.remove(&fingerprint)),
            Change::Remember { domain, history } => drop(self.histories.insert(domain, history)),
            Change::Forget { domain } => drop(self.histories.remove(&domain)),
            Change::Include(url) => self.included.push(url),
            Change::Bury { number, dead } => drop(self.dead.insert(number, dead)),
            Change::Unbury { number } => drop(self.dead.remove(&number)),
            Change::Depth(fingerprint, Some(known)) => drop(self.depths.insert(fingerprint, known)),
            Change::Depth(fingerprint, None) => drop(self.depths.remove(&fingerprint)),
            Change::Visit(fingerprint, visit) => drop(self.visits.insert(fingerprint, visit)),
            Change::Robots { origin, file } => drop(self.robots.insert(origin, file)),
        }
    }
}

impl Store for TablesStore {
    fn load(&self) -> Result<Contents> {
        let tables = self.0.lock().unwrap();
        Ok(Contents {
            counters: tables.counters.clone(),
            waiting: tables.waiting.clone().into_iter().collect(),
            histories: tables.histories.clone().into_iter().collect(),
            included: tables.included.clone(),
            settings: tables.settings.clone(),
            look: None,
        })
    }

    fn keep_settings(&self, settings: &BTreeMap<String, String>) -> Result<()> {
        self.0.lock().unwrap().settings = Some(settings.clone());
        Ok(())
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        let mut tables = self.0.lock().unwrap();
        batch.changes.into_iter().for_each(|change| tables.change(change));
        for (domain, count) in batch.waiting {
            if count == 0 {
                tables.waiting.remove(&domain);
            } else {
                tables.waiting.insert(domain, count);
            }
        }
        tables.counters = batch.counters.or(tables.counters.take());
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn queue(&self, domain: &Domain, from: QueuePosition, max: usize) -> Result<QueuePart> {
        let tables = self.0.lock().unwrap();
        let last = QueuePosition { rank: u32::MAX, age: u64::MAX };
        let range = tables.queue.range((domain.clone(), from)..=(domain.clone(), last)).take(max);
        let stored =
            |(entry, not_before): &(Entry, Option<u64>)| StoredEntry { entry: entry.clone(), not_before: *not_before };
        let entries: Vec<_> = range.map(|(_, entry)| stored(entry)).collect();
        let next = if entries.len() < max { None } else { entries.last().map(|last| last.entry.place.behind()) };
        Ok(QueuePart { entries, next })
    }

    fn seen(&self, fingerprints: &[Fingerprint]) -> Result<Vec<(Fingerprint, u32)>> {
        let tables = self.0.lock().unwrap();
        let seen = |fingerprint: &Fingerprint| Some((*fingerprint, *tables.seen.get(fingerprint)?));
        Ok(fingerprints.iter().filter_map(seen).collect())
    }

    fn robots(&self, origin: &str) -> Result<Option<StoredRobotsFile>> {
        Ok(self.0.lock().unwrap().robots.get(origin).cloned())
    }

    fn depths(&self) -> Result<Vec<(Fingerprint, KnownDepth)>> {
        Ok(self.0.lock().unwrap().depths.clone().into_iter().collect())
    }

    fn visits(&self, max: usize) -> Result<Vec<(Fingerprint, PageVisit)>> {
        Ok(self.0.lock().unwrap().visits.clone().into_iter().take(max).collect())
    }

    fn each_seen(&self, _: Fingerprint, visit: &mut dyn FnMut(Fingerprint, u32) -> ControlFlow<()>) -> Result<()> {
        // As a log-structured store would: a partial visit always starts at the same place.
        let _ = self.0.lock().unwrap().seen.iter().try_for_each(|(fingerprint, at)| visit(*fingerprint, *at));
        Ok(())
    }

    fn each_queued(&self, visit: &mut dyn FnMut(Domain, StoredEntry) -> ControlFlow<()>) -> Result<()> {
        let tables = self.0.lock().unwrap();
        let _ = tables.queue.iter().try_for_each(|((domain, _), (entry, not_before))| {
            visit(domain.clone(), StoredEntry { entry: entry.clone(), not_before: *not_before })
        });
        Ok(())
    }

    fn each_dead(&self, visit: &mut dyn FnMut(u64, DeadLetter) -> ControlFlow<()>) -> Result<()> {
        let _ = self.0.lock().unwrap().dead.iter().try_for_each(|(number, dead)| visit(*number, dead.clone()));
        Ok(())
    }

    fn refuse(&self, why: String) -> Error {
        Error::store("tables in memory", why)
    }
}
