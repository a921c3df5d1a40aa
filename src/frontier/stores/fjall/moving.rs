//! Moving: the way of the latest changes from their rows into the keyspaces of queues and fingerprints, and how both
//! are read as one.

use std::{thread, time::Duration};

use fjall::{Keyspace, PersistMode, Slice};

use super::{
    FjallStore,
    keys::{LATEST, WAITING, latest_key, meta_key, split_queue_key, u64_of},
    latest::{Latter, QueueRow},
    merged::Merged,
    rows::decode,
};
use crate::{clock, domain::Domain, error::Result, frontier::windowed::store::StoredEntry};

impl FjallStore {
    /// Reads the latest changes, which have not been moved, and notes whether any of them cannot be read.
    pub(super) fn read_latest(&self) {
        let mut latest = self.latest.borrow_mut();
        let note = |damage: String| drop(self.damage.set(damage));
        for entry in self.meta.prefix([LATEST]) {
            match entry.into_inner() {
                Ok((key, row)) => match Latter::read(&row) {
                    Some(changes) => latest.take(u64_of(key.get(1..).unwrap_or_default()), changes),
                    None => note("the latest changes are cut short".to_owned()),
                },
                Err(error) => return note(error.to_string()),
            }
        }
    }

    /// Checks that all of the latest changes could be read.
    ///
    /// # Errors
    /// Some could not.
    pub(super) fn check_whole(&self) -> Result<()> {
        self.damage.get().map_or(Ok(()), |damage| Err(self.damaged(damage)))
    }

    /// Moves the latest changes to the keyspaces of queues and fingerprints, in order. If the process is killed on the
    /// way, they are read again when the store is opened, and hide what was moved, which is the same.
    pub(super) fn move_latest(&self) -> fjall::Result<()> {
        // After a power failure nothing may be there of a batch whose row is lost.
        self.database.persist(PersistMode::SyncAll)?;
        self.ingest_queues()?;
        self.ingest_seen()?;
        let mut latest = self.latest.borrow_mut();
        let mut moved = self.database.batch();
        for (domain, count) in latest.waiting() {
            let key = meta_key(WAITING, domain.as_str());
            if *count == 0 {
                moved.remove(&self.meta, key);
            } else {
                moved.insert(&self.meta, key, count.to_be_bytes());
            }
        }
        for row in latest.rows() {
            moved.remove(&self.meta, latest_key(row));
        }
        moved.commit()?;
        latest.clear();
        Ok(())
    }

    /// Writes the latest changes of queues to their keyspace.
    pub(super) fn ingest_queues(&self) -> fjall::Result<()> {
        let latest = self.latest.borrow();
        ingest(&self.queue, latest.queue().map(|(row, value)| (row.key(), value.map(Slice::from))))
    }

    /// Writes the latest changes of fingerprints to their keyspace.
    pub(super) fn ingest_seen(&self) -> fjall::Result<()> {
        let latest = self.latest.borrow();
        let mut seen: Vec<_> = latest.all_seen().map(|(fingerprint, at)| (fingerprint.to_bytes(), at)).collect();
        seen.sort_unstable();
        ingest(&self.seen, seen.into_iter().map(|(key, at)| (key, at.map(|at| at.to_be_bytes().into()))))
    }

    /// Returns the rows of queues from a place on to another.
    pub(super) fn queue_rows<'a>(
        &'a self,
        latest: impl Iterator<Item = (&'a QueueRow, Option<&'a [u8]>)> + 'a,
        stored: fjall::Iter,
    ) -> impl Iterator<Item = Result<(Domain, StoredEntry)>> + 'a {
        let latest = latest.map(|(row, value)| (row.clone(), value.map(Slice::from)));
        let stored = stored.map(|entry| {
            let (key, value) = entry.into_inner().map_err(|error| self.unusable(&error))?;
            let (domain, place) = split_queue_key(&key).ok_or_else(|| self.damaged(&"a queue's key is cut short"))?;
            Ok((QueueRow { domain, place }, value))
        });
        Merged::new(latest, stored).map(|row| {
            let (QueueRow { domain, place }, value) = row?;
            let entry = decode(&domain, place, &value);
            let entry = entry.ok_or_else(|| self.damaged(&"a queue's entry is cut short"))?;
            Ok((domain, entry))
        })
    }
}

/// The most tables that wait to be merged, twice as many as a merge begins with: each is looked into by each look-up.
const MAX_UNMERGED: usize = 20;

/// How long merges are waited for. One that takes longer has failed, which the next commit reports.
const MERGE_TIME: Duration = Duration::from_secs(10);

/// Waits while merges are far behind: the database slows down what it writes itself, but not what is moved.
fn wait_for_merges(keyspace: &Keyspace) {
    let start = clock::now();
    while keyspace.l0_table_count() > MAX_UNMERGED && clock::now() - start < MERGE_TIME {
        thread::sleep(Duration::from_millis(5));
    }
}

/// Writes rows, which are in order, to a keyspace; `None` removes one.
fn ingest<K: Into<Slice>>(keyspace: &Keyspace, rows: impl Iterator<Item = (K, Option<Slice>)>) -> fjall::Result<()> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    wait_for_merges(keyspace);
    let mut ingestion = keyspace.start_ingestion()?;
    for (key, value) in rows {
        match value {
            Some(value) => ingestion.write(key, value)?,
            None => ingestion.write_tombstone(key)?,
        }
    }
    ingestion.finish()
}
