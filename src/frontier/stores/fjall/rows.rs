//! Rows: the values of rows that wait in queues. Knows no database.

use std::sync::Arc;

use crate::{
    domain::Domain,
    error::{Error, Result},
    frontier::windowed::{
        entry::{Entry, QueuePosition},
        store::StoredEntry,
    },
    request::packed::{pack, unpack},
};

/// The length of the header before the request: attempts, delay. A row without attempts and delay has none, and a
/// request never begins with [`HEADED`].
const HEADER: usize = 12;

/// The first byte of a header: that of the attempts, which are fewer than 2^24.
const HEADED: u8 = 0;

const MAX_ATTEMPTS: u32 = 0x00ff_ffff;

/// Returns the value of an entry.
///
/// # Errors
/// The request cannot be written.
pub(super) fn encode(entry: &Entry, not_before: Option<u64>) -> Result<Vec<u8>> {
    let mut value = Vec::with_capacity(HEADER + entry.request.url.as_str().len() + 64);
    if entry.attempts > 0 || not_before.is_some() {
        value.extend(entry.attempts.min(MAX_ATTEMPTS).to_be_bytes());
        value.extend(not_before.unwrap_or(0).to_be_bytes());
    }
    pack(&entry.request, &mut value).map_err(Error::State)?;
    Ok(value)
}

/// Reads what [`encode`] or an earlier version wrote; `None` if it is damaged.
pub(super) fn decode(domain: &Domain, place: QueuePosition, value: &[u8]) -> Option<StoredEntry> {
    let (mut attempts, mut not_before, mut request) = (0, 0, value);
    if *value.first()? == HEADED {
        let (header, rest) = value.split_at_checked(HEADER)?;
        let (attempted, delay) = header.split_at_checked(4)?;
        attempts = u32::from_be_bytes(attempted.try_into().ok()?);
        (not_before, request) = (u64::from_be_bytes(delay.try_into().ok()?), rest);
    }
    let entry = Entry { place, attempts, request: Arc::new(unpack(request, domain)?) };
    Some(StoredEntry { entry, not_before: (not_before > 0).then_some(not_before) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Request;

    #[test]
    fn an_entry_comes_back_with_its_attempts_and_its_delay_and_takes_no_room_for_none() {
        let (domain, place) = (Domain::new("e.org"), QueuePosition::new(0, 7));
        let request = Arc::new(Request::parse("http://e.org/a").unwrap());
        for (attempts, not_before, extra) in
            [(0, None, 0), (2, None, 12), (0, Some(9), 12), (u32::MAX, Some(u64::MAX), 12)]
        {
            let value = encode(&Entry { place, attempts, request: request.clone() }, not_before).unwrap();
            assert!(value.len() <= "http://e.org/a".len() + 2 + extra, "{value:?}");
            let read = decode(&domain, place, &value).unwrap();
            assert_eq!((read.entry.attempts, read.not_before), (attempts.min(MAX_ATTEMPTS), not_before));
            assert_eq!(read.entry.request.url, request.url);
            assert!((0..extra + 1).all(|length| decode(&domain, place, &value[..length]).is_none()));
        }
    }

    #[test]
    fn a_row_of_an_earlier_version_is_read() {
        let request = Request::parse("http://e.org/a").unwrap();
        let json = serde_json::to_vec(&request).unwrap();
        let row = [&3_u32.to_be_bytes()[..], &8_u64.to_be_bytes(), &json].concat();
        let read = decode(&Domain::new("e.org"), QueuePosition::new(0, 7), &row).unwrap();
        assert_eq!((read.entry.attempts, read.not_before), (3, Some(8)));
        assert_eq!(read.entry.request.url, request.url);
    }
}
