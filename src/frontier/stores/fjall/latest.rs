//! Latest: the latest changes of queues, seen-set and counts, in memory until they are many. Knows no database.

use std::{cmp::Ordering, collections::BTreeMap, ops::Range};

use hashbrown::HashMap;

use super::keys::{queue_key, split_queue_key};
use crate::{domain::Domain, frontier::windowed::entry::QueuePosition, identity::Fingerprint};

/// Changes that are stored in numbered rows, one for each batch, and have not been moved to the keyspaces of queues and
/// fingerprints.
///
/// A row for each link would have to find its place in a large ordered table, and each look-up would search that. A
/// batch is one row instead; what it says is looked up here, and many batches are written in order at once.
pub(super) struct Latest {
    queue: BTreeMap<QueueRow, Option<Vec<u8>>>,
    seen: HashMap<Fingerprint, Option<u32>>,
    waiting: HashMap<Domain, u64>,
    /// The numbers of the rows.
    rows: Range<u64>,
    /// About the memory that all this takes, and the most of it.
    bytes: usize,
    max_bytes: usize,
}

/// The place of an entry among those of all domains; sorted as its key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QueueRow {
    pub domain: Domain,
    pub place: QueuePosition,
}

/// A change; the latest of one place, fingerprint or domain holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Latter {
    /// What waits at a place; `None` if nothing does any more.
    Queue(QueueRow, Option<Vec<u8>>),
    /// When a fingerprint was admitted; `None` if it counts as never admitted.
    Seen(Fingerprint, Option<u32>),
    /// How many entries a domain has.
    Waiting(Domain, u64),
}

/// What is looked up in memory before it is moved: about 200,000 new links. Their rows take half of it on disk, and are
/// read when the store is opened.
pub(super) const MAX_BYTES: usize = 40 << 20;

/// The most numbered rows: each takes a look-up when the store is opened.
const MAX_ROWS: u64 = 20_000;

impl Latest {
    /// Creates one that is full at so many bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self { queue: BTreeMap::new(), seen: HashMap::new(), waiting: HashMap::new(), rows: 0..0, bytes: 0, max_bytes }
    }

    /// Returns the number of the next row.
    pub fn next_row(&self) -> u64 {
        self.rows.end
    }

    /// Takes the changes of the row with this number.
    pub fn take(&mut self, row: u64, changes: impl IntoIterator<Item = Latter>) {
        if self.rows.is_empty() {
            self.rows.start = row;
        }
        self.rows.end = row + 1;
        for change in changes {
            self.bytes += change.size();
            match change {
                Latter::Queue(row, value) => drop(self.queue.insert(row, value)),
                Latter::Seen(fingerprint, at) => drop(self.seen.insert(fingerprint, at)),
                Latter::Waiting(domain, count) => drop(self.waiting.insert(domain, count)),
            }
        }
    }

    /// Tells whether they are to be moved.
    pub fn is_full(&self) -> bool {
        self.bytes >= self.max_bytes || self.rows.end - self.rows.start >= MAX_ROWS
    }

    /// Forgets all, which has been moved.
    pub fn clear(&mut self) {
        *self = Self { rows: self.rows.end..self.rows.end, ..Self::new(self.max_bytes) };
    }

    /// Returns the numbers of the rows.
    pub fn rows(&self) -> Range<u64> {
        self.rows.clone()
    }

    /// Returns the changes of queues, in order, from a row on.
    pub fn queue_from(&self, from: &QueueRow) -> impl Iterator<Item = (&QueueRow, Option<&[u8]>)> {
        self.queue.range(from..).map(|(row, value)| (row, value.as_deref()))
    }

    /// Returns all changes of queues, in order.
    pub fn queue(&self) -> impl Iterator<Item = (&QueueRow, Option<&[u8]>)> {
        self.queue.iter().map(|(row, value)| (row, value.as_deref()))
    }

    /// Returns when a fingerprint was admitted, if that has changed: the inner `None` if it counts as never admitted.
    #[allow(clippy::option_option, reason = "not changed, removed, or new are three answers")]
    pub fn seen(&self, fingerprint: &Fingerprint) -> Option<Option<u32>> {
        self.seen.get(fingerprint).copied()
    }

    /// Returns all changes of fingerprints, in no order.
    pub fn all_seen(&self) -> impl Iterator<Item = (Fingerprint, Option<u32>)> {
        self.seen.iter().map(|(fingerprint, at)| (*fingerprint, *at))
    }

    /// Returns the numbers of entries that have changed.
    pub fn waiting(&self) -> &HashMap<Domain, u64> {
        &self.waiting
    }
}

impl QueueRow {
    /// Returns the key.
    pub fn key(&self) -> Vec<u8> {
        queue_key(&self.domain, self.place)
    }
}

impl Ord for QueueRow {
    fn cmp(&self, other: &Self) -> Ordering {
        let (left, right) = (self.domain.as_str(), other.domain.as_str());
        left.len().cmp(&right.len()).then_with(|| left.cmp(right)).then_with(|| self.place.cmp(&other.place))
    }
}

impl PartialOrd for QueueRow {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

const PUT: u8 = 1;
const REMOVED: u8 = 2;
const SEEN: u8 = 3;
const UNSEEN: u8 = 4;
const WAITING: u8 = 5;

impl Latter {
    /// Returns about the memory that it takes.
    fn size(&self) -> usize {
        match self {
            Self::Queue(_, value) => 112 + value.as_ref().map_or(0, Vec::len),
            Self::Seen(..) => 40,
            Self::Waiting(..) => 48,
        }
    }

    /// Appends it to a row.
    pub fn write(&self, row: &mut Vec<u8>) {
        match self {
            Self::Queue(place, Some(value)) => {
                row.push(PUT);
                write_bytes(&place.key(), row);
                write_bytes(value, row);
            }
            Self::Queue(place, None) => {
                row.push(REMOVED);
                write_bytes(&place.key(), row);
            }
            Self::Seen(fingerprint, Some(at)) => {
                row.push(SEEN);
                row.extend(fingerprint.to_bytes());
                row.extend(at.to_be_bytes());
            }
            Self::Seen(fingerprint, None) => {
                row.push(UNSEEN);
                row.extend(fingerprint.to_bytes());
            }
            Self::Waiting(domain, count) => {
                row.push(WAITING);
                write_bytes(domain.as_str().as_bytes(), row);
                row.extend(count.to_be_bytes());
            }
        }
    }

    /// Reads the changes of a row; `None` if it is damaged.
    pub fn read(mut row: &[u8]) -> Option<Vec<Self>> {
        let mut changes = Vec::new();
        while let Some((kind, rest)) = row.split_first() {
            row = rest;
            changes.push(match *kind {
                PUT | REMOVED => {
                    let (domain, place) = split_queue_key(take_bytes(&mut row)?)?;
                    let value = if *kind == PUT { Some(take_bytes(&mut row)?.to_vec()) } else { None };
                    Self::Queue(QueueRow { domain, place }, value)
                }
                SEEN | UNSEEN => {
                    let fingerprint = Fingerprint::from_bytes(take_array(&mut row)?);
                    let at = if *kind == SEEN { Some(u32::from_be_bytes(take_array(&mut row)?)) } else { None };
                    Self::Seen(fingerprint, at)
                }
                WAITING => {
                    let domain = Domain::new(std::str::from_utf8(take_bytes(&mut row)?).ok()?);
                    Self::Waiting(domain, u64::from_be_bytes(take_array(&mut row)?))
                }
                _ => return None,
            });
        }
        Some(changes)
    }
}

fn write_bytes(bytes: &[u8], row: &mut Vec<u8>) {
    // Four gigabytes are more than a request may have.
    row.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    row.extend(bytes);
}

fn take_bytes<'a>(row: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_be_bytes(take_array(row)?);
    let (bytes, rest) = row.split_at_checked(length as usize)?;
    *row = rest;
    Some(bytes)
}

fn take_array<const N: usize>(row: &mut &[u8]) -> Option<[u8; N]> {
    let (array, rest) = row.split_first_chunk()?;
    *row = rest;
    Some(*array)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, rank: i32, age: u64) -> QueueRow {
        QueueRow { domain: Domain::new(name), place: QueuePosition::new(rank, age) }
    }

    #[test]
    fn changes_come_back_from_their_row_and_a_row_cut_short_is_damage() {
        let seen = Fingerprint::from_bytes([7; 16]);
        let changes = [
            Latter::Queue(row("e.org", -3, 9), Some(b"value".to_vec())),
            Latter::Queue(row("e.org", 5, 8), None),
            Latter::Seen(seen, Some(11)),
            Latter::Seen(seen, None),
            Latter::Waiting(Domain::new("f.example"), 12),
        ];
        for change in &changes {
            let mut bytes = Vec::new();
            change.write(&mut bytes);
            assert_eq!(Latter::read(&bytes).as_deref(), Some(std::slice::from_ref(change)));
            assert!((1..bytes.len()).all(|length| Latter::read(&bytes[..length]).is_none()), "{change:?}");
        }
        let mut all = Vec::new();
        changes.iter().for_each(|change| change.write(&mut all));
        assert_eq!(Latter::read(&all).unwrap(), changes);
        assert!(Latter::read(b"\0").is_none() && Latter::read(b"\x06").is_none());
    }

    #[test]
    fn rows_of_queues_are_sorted_as_their_keys_are() {
        let names = ["a.org", "b.org", "a.example", "ab.org", "z"];
        let places = [(0, 1), (0, 2), (-1, 1), (1, 300), (i32::MAX, 5), (i32::MIN, 5)];
        let rows = names.iter().flat_map(|name| places.map(|(rank, age)| row(name, rank, age)));
        let mut by_row: Vec<_> = rows.collect();
        let mut by_key = by_row.clone();
        by_row.sort();
        by_key.sort_by_key(QueueRow::key);
        assert_eq!(by_row, by_key);
    }
}
