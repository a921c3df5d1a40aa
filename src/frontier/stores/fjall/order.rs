//! Order: the row of each change in a batch, and the changes sorted by row. Knows no database.

use super::keys::{HISTORY, INCLUDED, ROBOTS, dead_key, depth_key, meta_key, queue_key, visit_key};
use crate::frontier::windowed::store::Change;

/// The keyspace and the key of a change.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target(Table, Vec<u8>);

/// The keyspaces, in the order in which changes are written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Queue,
    Seen,
    Meta,
}

impl Target {
    fn of(change: &Change) -> Self {
        match change {
            Change::Put { domain, entry, .. } => Self(Table::Queue, queue_key(domain, entry.place)),
            Change::Remove { domain, place } => Self(Table::Queue, queue_key(domain, *place)),
            Change::See(fingerprint, _) | Change::Unsee(fingerprint) => {
                Self(Table::Seen, fingerprint.to_bytes().to_vec())
            }
            Change::Remember { domain, .. } | Change::Forget { domain } => {
                Self(Table::Meta, meta_key(HISTORY, domain.as_str()))
            }
            Change::Include(url) => Self(Table::Meta, meta_key(INCLUDED, url.as_str())),
            Change::Bury { number, .. } | Change::Unbury { number } => Self(Table::Meta, dead_key(*number)),
            Change::Depth(fingerprint, _) => Self(Table::Meta, depth_key(*fingerprint)),
            Change::Visit(fingerprint, _) => Self(Table::Meta, visit_key(*fingerprint)),
            Change::Robots { origin, .. } => Self(Table::Meta, meta_key(ROBOTS, origin)),
        }
    }
}

/// Sorts changes by row, since sorted keys are stored faster, and keeps only the last of several for one row.
pub(super) fn in_order(changes: Vec<Change>) -> impl Iterator<Item = (Vec<u8>, Change)> {
    let mut changes: Vec<_> = changes.into_iter().map(|change| (Target::of(&change), change)).collect();
    changes.sort_by(|(left, _), (right, _)| left.cmp(right));
    let mut changes = changes.into_iter().peekable();
    std::iter::from_fn(move || {
        loop {
            let (target, change) = changes.next()?;
            if changes.peek().is_none_or(|(next, _)| *next != target) {
                return Some((target.1, change));
            }
        }
    })
}
