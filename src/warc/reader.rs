//! Reader: reads the records of a WARC file one by one, of any writer, within bounds. Does not know what the blocks
//! mean.

use std::{
    fs::File,
    io::{self, BufRead, ErrorKind, Read},
    path::{Path, PathBuf},
};

use super::{record::Record, stream::RecordStream};
use crate::error::{Error, Result};

/// The longest header of a record: the longest URLs in web archives are `data:` URLs of some hundred kilobytes.
const MAX_HEADER: u64 = 1 << 20;

/// The most fields of a header; the standard has about twenty.
const MAX_FIELDS: usize = 1_000;

/// What is wrong with a file whose writer was stopped in the middle of a record.
pub(super) const ENDS_TOO_EARLY: &str = "the file ends within a record";

/// What a record begins with.
const BEGINNING: &[u8] = b"WARC/";

const NO_RECORD: &str = "it is no WARC record: a record begins with WARC/";

/// The most bytes of empty lines between two records; the standard has four.
const MAX_BLANK: usize = 64;

/// Reads the records of a WARC file, compressed or plain. After [`Reader::next_record`] it reads the block of that
/// record; what of it is not read is skipped. The memory that it takes is bounded, whatever the file contains.
///
/// ```
/// use std::io::Read;
///
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
///     if record.url() == Some("https://example.org/") {
///         let mut block = Vec::new();
///         archive.read_to_end(&mut block).map_err(actix_crawler::Error::spider)?;
///         assert!(block.starts_with(b"HTTP/1.1 200 OK"));
///     }
/// }
/// # Ok::<(), actix_crawler::Error>(())
/// ```
pub struct Reader {
    path: PathBuf,
    stream: RecordStream,
    /// Where the current member begins.
    member: Option<u64>,
    /// What is left of the current block.
    left: u64,
    /// Where the last whole record ends.
    whole: u64,
    state: ReaderState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ReaderState {
    /// A record, or its end, is to be read to its end.
    InRecord,
    /// A member begins.
    BetweenMembers,
    /// Nothing more can be read.
    Failed,
}

impl Reader {
    /// Opens a file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_at(path, 0)
    }

    /// Opens a file at a record, whose [`offset`](Record::offset) an index tells.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open_at(path: impl AsRef<Path>, offset: u64) -> Result<Self> {
        let path = path.as_ref();
        let stream = File::open(path).and_then(|file| RecordStream::at(file, offset));
        let stream = stream.map_err(|error| Error::file(path, error))?;
        let state = ReaderState::BetweenMembers;
        Ok(Self { path: path.to_owned(), stream, member: None, left: 0, whole: offset, state })
    }

    /// Reads the header of the next record; `None` at the end of the file.
    ///
    /// # Errors
    /// The file is damaged or ends within a record: the message names the file and the place. It cannot be read any
    /// further.
    pub fn next_record(&mut self) -> Result<Option<Record>> {
        let next = self.finish().and_then(|()| self.begin());
        next.map_err(|error| self.failed(error))
    }

    /// Reads the current record to its end.
    ///
    /// # Errors
    /// As [`Reader::next_record`].
    pub(super) fn finish_record(&mut self) -> Result<()> {
        self.finish().map_err(|error| self.failed(error))
    }

    fn failed(&mut self, error: io::Error) -> Error {
        (self.state, self.left) = (ReaderState::Failed, 0);
        let (path, offset) = (self.path.clone(), self.member.unwrap_or(self.whole));
        match error.kind() {
            ErrorKind::UnexpectedEof => Error::Archive { path, offset, why: ENDS_TOO_EARLY.to_owned() },
            ErrorKind::InvalidData | ErrorKind::InvalidInput => Error::Archive { path, offset, why: error.to_string() },
            _ => Error::file(&path, error),
        }
    }

    /// Returns where the last record ends that was read to its end.
    pub(super) fn whole_until(&self) -> u64 {
        self.whole
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.state == ReaderState::Failed {
            return Err(invalid("it is damaged before this place"));
        }
        if self.state == ReaderState::BetweenMembers {
            return Ok(());
        }
        io::copy(self, &mut io::sink())?;
        self.skip_blank()?;
        // At the end of a member, its checksum has been compared by now.
        if self.stream.is_compressed() && self.stream.fill_buf()?.is_empty() {
            self.state = ReaderState::BetweenMembers;
        }
        if self.state == ReaderState::BetweenMembers || !self.stream.is_compressed() {
            self.whole = self.stream.position();
        }
        Ok(())
    }

    fn begin(&mut self) -> io::Result<Option<Record>> {
        let Some(offset) = self.begin_member()? else { return Ok(None) };
        let fields = self.header()?;
        let length = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let (_, length) = length.ok_or_else(|| invalid("a record without a Content-Length"))?;
        self.left = length.parse().map_err(|_| invalid("a record whose Content-Length is no length"))?;
        Ok(Some(Record { fields, offset, length: self.left }))
    }

    /// Finds the next member with something in it, or stays within the current one. Returns where it begins; `None` at
    /// the end of the file.
    fn begin_member(&mut self) -> io::Result<Option<u64>> {
        loop {
            if self.state == ReaderState::BetweenMembers || !self.stream.is_compressed() {
                self.member = None;
                self.member = self.stream.begin()?;
            }
            let Some(offset) = self.member else { return Ok(None) };
            self.state = ReaderState::InRecord;
            self.skip_blank()?;
            if !self.stream.fill_buf()?.is_empty() {
                return Ok(Some(offset));
            }
            // A member without a record, or blank lines at the end.
            self.state = ReaderState::BetweenMembers;
            self.whole = self.stream.position();
            if !self.stream.is_compressed() {
                return Ok(None);
            }
        }
    }

    fn skip_blank(&mut self) -> io::Result<()> {
        for _ in 0..MAX_BLANK {
            match self.stream.fill_buf()?.first() {
                Some(b'\r' | b'\n') => self.stream.consume(1),
                _ => return Ok(()),
            }
        }
        Err(invalid("empty lines without end between two records"))
    }

    /// Tells what begins here, if it is clear that it is no record.
    fn refuse_others(&mut self) -> io::Result<()> {
        let begin = self.stream.fill_buf()?;
        if begin.starts_with(b"filedesc:") {
            let why = "it is an ARC file, the format before WARC; make one of it, as with `warcio recompress OLD NEW`";
            return Err(invalid(why));
        }
        let length = begin.len().min(BEGINNING.len());
        if begin.get(..length) == BEGINNING.get(..length) { Ok(()) } else { Err(invalid(NO_RECORD)) }
    }

    fn header(&mut self) -> io::Result<Vec<(String, String)>> {
        self.refuse_others()?;
        let mut from = (&mut self.stream).take(MAX_HEADER);
        let mut line = Vec::new();
        let mut next = |line: &mut Vec<u8>| {
            line.clear();
            from.read_until(b'\n', line)?;
            match line.pop() {
                Some(b'\n') => {
                    line.pop_if(|last| *last == b'\r');
                    Ok(())
                }
                _ if from.limit() == 0 => Err(invalid("a header of more than a MiB")),
                _ => Err(io::Error::from(ErrorKind::UnexpectedEof)),
            }
        };
        next(&mut line)?;
        if !line.starts_with(BEGINNING) {
            return Err(invalid(NO_RECORD));
        }
        let mut fields: Vec<(String, String)> = Vec::with_capacity(12);
        loop {
            next(&mut line)?;
            if line.is_empty() {
                return Ok(fields);
            }
            let text = String::from_utf8_lossy(&line);
            if let (true, Some((_, value))) = (text.starts_with([' ', '\t']), fields.last_mut()) {
                value.push(' ');
                value.push_str(text.trim());
                continue;
            }
            let (name, value) = text.split_once(':').ok_or_else(|| invalid("a line of a header without a colon"))?;
            fields.push((name.trim().to_owned(), value.trim().to_owned()));
            if fields.len() > MAX_FIELDS {
                return Err(invalid("a header of more than 1000 fields"));
            }
        }
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

/// Reads the block of the current record.
impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let there = self.fill_buf()?;
        let read = there.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..read), there.get(..read)) {
            to.copy_from_slice(from);
        }
        self.consume(read);
        Ok(read)
    }
}

/// Reads the block of the current record.
impl BufRead for Reader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        match self.stream.fill_buf()? {
            [] => Err(ErrorKind::UnexpectedEof.into()),
            there => Ok(there.get(..most).unwrap_or(there)),
        }
    }

    fn consume(&mut self, amount: usize) {
        self.stream.consume(amount);
        self.left = self.left.saturating_sub(amount as u64);
    }
}
