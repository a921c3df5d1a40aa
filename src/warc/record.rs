//! Record: the header of a WARC record: its kind and its named fields; and how one is written as a gzip member. Does
//! not know what the block means.

use std::io;

use ring::rand::{SecureRandom, SystemRandom};

use super::members::{Effort, MemberEncoders};

/// The header of a record.
///
/// ```
/// # let record = concat!(
/// #     "WARC/1.1\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:7b1e8d0c-0000-4000-8000-000000000001>\r\n",
/// #     "WARC-Date: 2026-11-29T08:30:00Z\r\nWARC-Target-URI: https://example.org/\r\n",
/// #     "Content-Type: application/http;msgtype=response\r\nContent-Length: 40\r\n\r\n",
/// #     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi\r\n\r\n",
/// # );
/// # let folder = tempfile::tempdir().unwrap();
/// # let archive = folder.path().join("crawl.warc");
/// # std::fs::write(&archive, record).unwrap();
/// let mut archive = actix_crawler::warc::Reader::open(archive)?;
/// while let Some(record) = archive.next_record()? {
///     assert_eq!((record.kind(), record.url()), ("response", Some("https://example.org/")));
///     assert_eq!(record.field("WARC-Date"), Some("2026-11-29T08:30:00Z"));
/// }
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub(super) fields: Vec<(String, String)>,
    pub(super) offset: u64,
    pub(super) length: u64,
}

impl Record {
    /// Begins a record of a kind, with an id of its own.
    pub(super) fn new(kind: &str, id: &str, date: &str) -> Self {
        let record = Self { fields: Vec::with_capacity(12), offset: 0, length: 0 };
        record.with("WARC-Type", kind).with("WARC-Record-ID", id).with("WARC-Date", date)
    }

    /// Adds a field. A control character, which would end the field, becomes a space.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        let mut value = value.into();
        if value.contains(char::is_control) {
            value = value.replace(char::is_control, " ");
        }
        self.fields.push((name.to_owned(), value));
        self
    }

    /// Returns the kind: `warcinfo`, `response`, `request`, `metadata`, `revisit`, `resource` and others.
    pub fn kind(&self) -> &str {
        self.field("WARC-Type").unwrap_or_default()
    }

    /// Returns the URL that was asked for, if the record is of one.
    pub fn url(&self) -> Option<&str> {
        // Some writers put it between angle brackets.
        let url = self.field("WARC-Target-URI")?;
        Some(url.strip_prefix('<').and_then(|url| url.strip_suffix('>')).unwrap_or(url))
    }

    /// Returns a field, whatever the case of its name; of several the first.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns all fields with their names, in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns where the record begins in its file: where its gzip member does, if it is compressed.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the length of the block in bytes, not compressed.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Appends the record to `to`, as a gzip member of its own. The block consists of two pieces; one may be empty.
    pub(super) fn write(
        &self,
        [first, rest]: [&[u8]; 2],
        effort: Effort,
        members: &mut MemberEncoders,
        to: &mut Vec<u8>,
    ) -> io::Result<()> {
        let mut header = String::with_capacity(1024);
        header.push_str("WARC/1.1\r\n");
        for (name, value) in &self.fields {
            header.extend([name.as_str(), ": ", value, "\r\n"]);
        }
        let length = first.len() + rest.len();
        header.extend(["Content-Length: ", &length.to_string(), "\r\n\r\n"]);
        members.append(&[header.as_bytes(), first, rest, b"\r\n\r\n"], effort, to)
    }
}

/// Returns a new id for a record: a random UUID (RFC 9562 §5.4).
pub(super) fn new_id() -> io::Result<String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    let bits = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | 4 << 76 | 2 << 62;
    let digits = format!("{bits:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits.get(part).unwrap_or_default());
    Ok(format!("<urn:uuid:{}>", parts.join("-")))
}
