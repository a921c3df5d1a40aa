//! Verification: whether the records of a file are whole and as their digests say. Does not know who wrote them.

use std::{io::Read, path::Path};

use super::{digest::Digester, reader::Reader, record::Record};
use crate::{error::Result, headers::http_head};

/// What [`verify`] has found.
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
/// let found = actix_crawler::warc::verify(archive)?;
/// assert_eq!((found.records, found.compared), (1, 0), "it has no digest to compare");
/// assert!(found.problems.is_empty());
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// How many records there are.
    pub records: u64,
    /// How many of them have a digest that was compared.
    pub compared: u64,
    /// What is wrong, with its place; the first thousand.
    pub problems: Vec<String>,
}

/// The most problems that are told one by one.
const MAX_PROBLEMS: usize = 1_000;

/// Reads a file to its end and compares the digests of blocks and payloads.
///
/// ```no_run
/// let verified = actix_crawler::warc::verify("crawl.warc.gz")?;
/// assert!(verified.problems.is_empty());
/// # Ok::<(), actix_crawler::Error>(())
/// ```
///
/// # Errors
/// It cannot be read, or is damaged: what follows the damage cannot be read.
pub fn verify(path: impl AsRef<Path>) -> Result<Verified> {
    let path = path.as_ref();
    let mut reader = Reader::open(path)?;
    let mut verified = Verified::default();
    while let Some(record) = reader.next_record()? {
        verified.records += 1;
        let found = digests(&record, &mut reader);
        // What is wrong with the block is told by the reader.
        reader.finish_record()?;
        let Ok(found) = found else { continue };
        verified.compared += u64::from(!found.is_empty());
        for (name, is_right) in found {
            if !is_right && verified.problems.len() < MAX_PROBLEMS {
                let (file, offset, kind) = (path.display(), record.offset(), record.kind());
                let url = record.url().unwrap_or("no URL");
                verified
                    .problems
                    .push(format!("{file}, offset {offset}: the {name} of the {kind} of {url} is another"));
            }
        }
    }
    Ok(verified)
}

/// Reads a block, and tells for each of its digests whether it is right. That of a revisit's payload is of another
/// record.
fn digests(record: &Record, reader: &mut Reader) -> std::io::Result<Vec<(&'static str, bool)>> {
    let declared = |name| record.field(name).and_then(|declared| Some((declared, Digester::of(declared)?)));
    let mut block = declared("WARC-Block-Digest");
    let mut payload = declared("WARC-Payload-Digest").filter(|_| record.kind() != "revisit");
    let is_http = record.field("Content-Type").is_some_and(|media_type| media_type.starts_with("application/http"));
    if is_http {
        let head = http_head::read(reader)?;
        if let Some((_, digester)) = &mut block {
            digester.update(&head);
        }
    }
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = reader.read(&mut buffer)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        for (_, digester) in block.iter_mut().chain(&mut payload) {
            digester.update(bytes);
        }
    }
    let of_each = [("block digest", block), ("payload digest", payload)];
    Ok(of_each.into_iter().filter_map(|(name, known)| known.map(|(declared, of)| (name, of.is(declared)))).collect())
}
