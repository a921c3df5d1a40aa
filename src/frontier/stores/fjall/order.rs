//! Order: the row of each change that has one of its own, and the changes sorted by row. Knows no database.

use super::{
    keys::{HISTORY, INCLUDED, ROBOTS, dead_key, depth_key, meta_key, visit_key},
    latest::{Latter, QueueRow},
    rows::encode,
};
use crate::{error::Result, frontier::windowed::store::Change};

/// Returns the key of a change; `None` if it is among the latest changes of queues and fingerprints.
fn key_of(change: &Change) -> Option<Vec<u8>> {
    Some(match change {
        Change::Put { .. } | Change::Remove { .. } | Change::See(..) | Change::Unsee(_) => return None,
        Change::Remember { domain, .. } | Change::Forget { domain } => meta_key(HISTORY, domain.as_str()),
        Change::Include(url) => meta_key(INCLUDED, url.as_str()),
        Change::Bury { number, .. } | Change::Unbury { number } => dead_key(*number),
        Change::Depth(fingerprint, _) => depth_key(*fingerprint),
        Change::Visit(fingerprint, _) => visit_key(*fingerprint),
        Change::Robots { origin, .. } => meta_key(ROBOTS, origin),
    })
}

/// A change with the key of its row.
type Keyed = (Vec<u8>, Change);

/// Sorts changes by row, since sorted keys are stored faster, and keeps only the last of several for one row. Those of
/// queues and fingerprints are returned apart, as they came.
///
/// # Errors
/// A request cannot be written.
pub(super) fn in_order(changes: Vec<Change>) -> Result<(Vec<Latter>, Vec<Keyed>)> {
    let (mut latest, mut others) = (Vec::with_capacity(changes.len()), Vec::<Keyed>::new());
    for change in changes {
        match key_of(&change) {
            Some(key) => others.push((key, change)),
            None => latest.extend(latter(change)?),
        }
    }
    others.sort_by(|(left, _), (right, _)| left.cmp(right));
    let mut rows = Vec::<Keyed>::with_capacity(others.len());
    for row in others {
        match rows.last_mut() {
            Some(last) if last.0 == row.0 => *last = row,
            _ => rows.push(row),
        }
    }
    Ok((latest, rows))
}

/// Returns a change of queues or fingerprints.
fn latter(change: Change) -> Result<Option<Latter>> {
    Ok(match change {
        Change::Put { domain, entry, not_before } => {
            let value = encode(&entry, not_before)?;
            Some(Latter::Queue(QueueRow { domain, place: entry.place }, Some(value)))
        }
        Change::Remove { domain, place } => Some(Latter::Queue(QueueRow { domain, place }, None)),
        Change::See(fingerprint, at) => Some(Latter::Seen(fingerprint, Some(at))),
        Change::Unsee(fingerprint) => Some(Latter::Seen(fingerprint, None)),
        _ => None,
    })
}
