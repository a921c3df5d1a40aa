//! Packed: the bytes of a request in a store where millions wait. A plain one is little more than its URL; any other is
//! JSON. Knows no store.

use std::sync::Arc;

use url::Url;

use super::{
    Request,
    plain::{Plain, is_plain},
};
use crate::domain::Domain;

/// The first byte of what is not plain. JSON of earlier versions begins with it too.
const JSON: u8 = b'{';

/// The first byte of a plain request is one of these and flags; it is never that of JSON.
const PLAIN: u8 = 0b1000_0000;
const HAS_PARENT: u8 = 0b0001;
const HAS_PRIORITY: u8 = 0b0010;
const HAS_RANK: u8 = 0b0100;
const ALL: u8 = PLAIN | HAS_PARENT | HAS_PRIORITY | HAS_RANK;

/// Appends a request; its domain is that of its queue.
///
/// # Errors
/// It cannot be written as JSON.
pub(crate) fn pack(request: &Request, bytes: &mut Vec<u8>) -> serde_json::Result<()> {
    if !is_plain(request) {
        return serde_json::to_writer(bytes, request);
    }
    let url = request.url.as_str();
    let flag = |is_there: bool, flag: u8| if is_there { flag } else { 0 };
    let flags = flag(request.parent.is_some(), HAS_PARENT)
        | flag(request.priority != 0, HAS_PRIORITY)
        | flag(request.rank.is_some(), HAS_RANK);
    bytes.push(PLAIN | flags);
    push_number(request.depth, bytes);
    if request.priority != 0 {
        bytes.extend(request.priority.to_be_bytes());
    }
    if let Some(rank) = request.rank {
        bytes.extend(rank.to_be_bytes());
    }
    if let Some(parent) = &request.parent {
        // Most links lead to pages of the same site.
        let shared = shared_start(parent, url);
        let rest = parent.get(shared..).unwrap_or_default();
        for number in [shared, rest.len()] {
            push_number(u32::try_from(number).unwrap_or(u32::MAX), bytes);
        }
        bytes.extend(rest.as_bytes());
    }
    bytes.extend(url.as_bytes());
    Ok(())
}

/// Reads what [`pack`] wrote, for the queue of this domain, or the JSON of an earlier version; `None` if it is damaged.
pub(crate) fn unpack(bytes: &[u8], domain: &Domain) -> Option<Request> {
    let (&first, mut rest) = bytes.split_first()?;
    if first == JSON {
        let request: Request = serde_json::from_slice(bytes).ok()?;
        return Some(Request { domain: Some(domain.clone()), ..request });
    }
    if first & PLAIN == 0 || first & !ALL != 0 {
        return None;
    }
    let depth = take_number(&mut rest)?;
    let priority = if first & HAS_PRIORITY == 0 { 0 } else { take_i32(&mut rest)? };
    let rank = if first & HAS_RANK == 0 { None } else { Some(take_i32(&mut rest)?) };
    let mut parent = None;
    if first & HAS_PARENT != 0 {
        let (shared, length) = (take_number(&mut rest)? as usize, take_number(&mut rest)? as usize);
        let (own, url) = rest.split_at_checked(length)?;
        let parts = [url.get(..shared)?, own].concat();
        parent = Some(Arc::from(std::str::from_utf8(&parts).ok()?));
        rest = url;
    }
    let url = Url::parse(std::str::from_utf8(rest).ok()?).ok()?;
    Some(Plain { url, parent, rank, priority, depth }.into_request(domain.clone()))
}

/// Returns how many bytes two texts have in common at their beginning, in whole characters.
fn shared_start(left: &str, right: &str) -> usize {
    let same = left.bytes().zip(right.bytes()).take_while(|(left, right)| left == right).count();
    (0..=same).rev().find(|at| left.is_char_boundary(*at)).unwrap_or(0)
}

/// Appends a number in groups of seven bits, the lowest first: small ones take one byte.
fn push_number(mut number: u32, bytes: &mut Vec<u8>) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

fn take_number(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0;
    for shift in (0..32).step_by(7) {
        let byte = take_first(bytes)?;
        number |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_i32(bytes: &mut &[u8]) -> Option<i32> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(i32::from_be_bytes(*number))
}

fn take_first(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(request: &Request) -> String {
        serde_json::to_string(request).unwrap()
    }

    fn packed(request: &Request) -> Vec<u8> {
        let mut bytes = Vec::new();
        pack(request, &mut bytes).unwrap();
        bytes
    }

    fn page(url: &str, domain: &Domain) -> Request {
        Request { domain: Some(domain.clone()), ..Request::parse(url).unwrap() }
    }

    #[test]
    fn a_request_comes_back_as_it_was_whatever_it_has() {
        let domain = Domain::new("e.org");
        let page = || page("https://www.e.org/a/b?c=d", &domain);
        let parents =
            ["https://www.e.org/a/", "https://www.e.org/a/b?c=d", "http://other.org/é", "", "https://www.e.org/a/bé"];
        let mut requests: Vec<_> =
            parents.map(|parent| Request { parent: Some(parent.into()), depth: 3, ..page() }).into();
        requests.extend([0, 1, 127, 128, 16_384, u32::MAX].map(|depth| Request { depth, ..page() }));
        requests.extend([i32::MIN, -1, 1, i32::MAX].map(|number| page().priority(number)));
        requests.extend([i32::MIN, 0, 7].map(|rank| Request { rank: Some(rank), priority: 5, ..page() }));
        requests.extend([page().header("x", "y"), page().dont_filter(), page().with_state(&7).unwrap()]);
        for request in requests {
            let back = unpack(&packed(&request), &domain).unwrap();
            assert_eq!((json(&back), &back.domain), (json(&request), &Some(domain.clone())));
        }
    }

    #[test]
    fn a_plain_request_takes_little_more_than_its_url() {
        let domain = Domain::new("e.org");
        let request =
            Request { parent: Some("https://www.e.org/a/".into()), depth: 3, ..page("https://www.e.org/a/b", &domain) };
        let bytes = packed(&request).len();
        assert!(bytes <= "https://www.e.org/a/b".len() + 5, "{bytes}");
    }

    #[test]
    fn what_is_cut_short_or_of_another_kind_is_damage_and_no_panic() {
        let domain = Domain::new("e.org");
        let request =
            Request { parent: Some("https://www.e.org/a/".into()), rank: Some(1), ..page("https://e.org/", &domain) };
        let bytes = packed(&request.priority(2));
        // What is cut within the URL's path may be another URL.
        for length in 0..bytes.len() - "e.org/".len() {
            assert!(unpack(&bytes[..length], &domain).is_none(), "{length}");
        }
        for first in (0..=u8::MAX).filter(|first| *first != JSON && first & !ALL != 0 || first & PLAIN == 0) {
            let mut other = bytes.clone();
            other[0] = first;
            assert!(unpack(&other, &domain).is_none(), "{first:x}");
        }
        for byte in 0..=u8::MAX {
            for at in 0..bytes.len() {
                let mut other = bytes.clone();
                other[at] = byte;
                drop(unpack(&other, &domain));
            }
        }
    }
}
