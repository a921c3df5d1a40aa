//! Keys: the keys of rows, which sort as the frontier needs them. Knows no values.

use crate::{domain::Domain, frontier::windowed::entry::QueuePosition, identity::Fingerprint};

/// How many entries a domain has.
pub(super) const WAITING: u8 = b'w';
/// The history of a domain.
pub(super) const HISTORY: u8 = b'p';
/// A seed whose host is in the scope.
pub(super) const INCLUDED: u8 = b'i';
/// The robots file of an origin.
pub(super) const ROBOTS: u8 = b'r';
/// What is known of a URL's depth.
pub(super) const DEPTH: u8 = b'e';
/// The last visit of a page.
pub(super) const VISIT: u8 = b'l';
/// A request that failed for good.
pub(super) const DEAD: u8 = b'd';
/// The latest changes of a batch.
pub(super) const LATEST: u8 = b'n';

/// The length comes first, so that no domain's key is a prefix of another's.
pub(super) fn queue_key(domain: &Domain, place: QueuePosition) -> Vec<u8> {
    let name = domain.as_str().as_bytes();
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    let name = name.get(..usize::from(length)).unwrap_or(name);
    [&length.to_be_bytes(), name, &place.rank.to_be_bytes(), &place.age.to_be_bytes()].concat()
}

pub(super) fn split_queue_key(key: &[u8]) -> Option<(Domain, QueuePosition)> {
    let (length, rest) = key.split_at_checked(2)?;
    let (name, place) = rest.split_at_checked(usize::from(u16::from_be_bytes(length.try_into().ok()?)))?;
    let (rank, age) = place.split_at_checked(4)?;
    let place = QueuePosition {
        rank: u32::from_be_bytes(rank.try_into().ok()?),
        age: u64::from_be_bytes(age.try_into().ok()?),
    };
    Some((Domain::new(std::str::from_utf8(name).ok()?), place))
}

pub(super) fn meta_key(kind: u8, name: &str) -> Vec<u8> {
    [&[kind], name.as_bytes()].concat()
}

pub(super) fn depth_key(fingerprint: Fingerprint) -> Vec<u8> {
    [&[DEPTH][..], &fingerprint.to_bytes()].concat()
}

pub(super) fn visit_key(fingerprint: Fingerprint) -> Vec<u8> {
    [&[VISIT][..], &fingerprint.to_bytes()].concat()
}

pub(super) fn latest_key(number: u64) -> Vec<u8> {
    [&[LATEST][..], &number.to_be_bytes()].concat()
}

pub(super) fn dead_key(number: u64) -> Vec<u8> {
    [&[DEAD][..], &number.to_be_bytes()].concat()
}

pub(super) fn domain_of(key: &[u8]) -> Domain {
    Domain::new(&String::from_utf8_lossy(key.get(1..).unwrap_or_default()))
}

pub(super) fn u32_of(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_be_bytes)
}

pub(super) fn u64_of(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}
