//! Codec: the compression of files in members, each of which ends with a whole record. Knows no records.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom, Write as _},
};

use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};
use zstd::stream::raw::{Decoder, InBuffer, Operation as _, OutBuffer};

/// The compression of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Plain,
    /// A member of gzip (RFC 1952) for each commit.
    Gzip,
    /// A frame of Zstandard (RFC 8878) for each commit.
    Zstd,
}

/// Where the whole members of a file end, and the decoded beginnings of the first and the last one.
struct WholeMembers {
    end: u64,
    /// The last decoded byte.
    last_byte: Option<u8>,
    first: Option<Vec<u8>>,
    last: Option<CodedMember>,
}

/// Where whole members end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MemberEnds {
    pub end: u64,
    /// Whether their text has no line end at its end.
    pub lacks_end: bool,
}

struct CodedMember {
    begin: u64,
    /// All of it, if it is as long as a closing at the most.
    text: Vec<u8>,
}

impl WholeMembers {
    fn end_with(&mut self, end: u64, last_byte: Option<u8>, last: CodedMember) {
        self.last_byte = last_byte;
        self.first.get_or_insert_with(|| last.text.clone());
        (self.end, self.last) = (end, Some(last));
    }
}

impl Codec {
    /// Returns the text as a member of its own.
    ///
    /// # Errors
    /// The encoder fails.
    pub fn member(self, text: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain => Ok(text.to_vec()),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4 + 64), Compression::default());
                encoder.write_all(text)?;
                encoder.finish()
            }
            Self::Zstd => zstd::bulk::compress(text, zstd::DEFAULT_COMPRESSION_LEVEL),
        }
    }

    /// Returns a reader of the decoded content.
    ///
    /// # Errors
    /// The decoder fails.
    pub fn reader<'r, R: Read + 'r>(self, file: R) -> io::Result<Box<dyn Read + 'r>> {
        Ok(match self {
            Self::Plain => Box::new(file),
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(file)?),
        })
    }

    /// Returns what each member begins with.
    fn magic(self) -> &'static [u8] {
        match self {
            Self::Plain => &[],
            Self::Gzip => &[0x1f, 0x8b],
            Self::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
        }
    }

    /// Refuses a file that is compressed, where text is to be added.
    ///
    /// # Errors
    /// It is, or it cannot be read.
    pub fn refuse_compressed(file: &mut File) -> io::Result<()> {
        let begin = bytes_at(file, 0)?;
        match [Self::Gzip, Self::Zstd].into_iter().find(|codec| begin.starts_with(codec.magic())) {
            None => Ok(()),
            Some(codec) => {
                let how = if codec == Self::Gzip { "gz" } else { "zst" };
                Err(foreign(&format!("it is compressed; set the compression `{how}`, or write to another file")))
            }
        }
    }

    /// Finds where the whole members end, without one that holds just the closing. Reads the whole file. What is closed
    /// has a beginning, which is a member of its own: where it is not, the closing is somewhere within a member of
    /// another program.
    ///
    /// # Errors
    /// The file cannot be read, or is of another kind.
    pub fn end_of_members(self, file: &mut File, beginning: &[u8], closing: &[u8]) -> io::Result<MemberEnds> {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(0))?;
        let found = match self {
            Self::Plain => return Ok(MemberEnds { end: length, lacks_end: false }),
            Self::Gzip => gzip_members(&*file)?,
            Self::Zstd => zstd_members(&*file)?,
        };
        // The rest is the part of a member that a kill has left, or zeros after a power failure, or the end of an old
        // member that a shorter one was written over.
        let (torn, rest) = (bytes_at(file, found.end)?, length - found.end);
        let is_part = torn.starts_with(self.magic()) || self.magic().starts_with(&torn) || torn.iter().all(|b| *b == 0);
        let is_closing = found.end > 0 && !closing.is_empty() && rest <= self.member(closing)?.len() as u64;
        if rest > MAX_TORN || !(is_part || is_closing) {
            return Err(foreign(match found.end {
                0 => "it is not compressed in this way; write to another file",
                _ => "not all of it was written here, so nothing is added; write to another file",
            }));
        }
        if !closing.is_empty() && found.first.is_some_and(|first| first != beginning) {
            return Err(foreign("what is in it was not written here, so nothing is added; write to another file"));
        }
        let lacks_end = found.last_byte.is_some_and(|byte| byte != b'\n');
        match found.last {
            Some(last) if !closing.is_empty() && last.text == closing => Ok(MemberEnds { end: last.begin, lacks_end }),
            _ => Ok(MemberEnds { end: found.end, lacks_end }),
        }
    }
}

/// The most that a kill can leave of an unfinished commit.
const MAX_TORN: u64 = 64 << 20;

/// Returns the first bytes after a place, as many as say what stands there.
fn bytes_at(file: &mut File, at: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    Read::take(file, 4).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn foreign(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// As much of a member is kept: all of a closing and a byte more.
const KEPT: usize = super::layout::MAX_CLOSING + 1;

fn keep(text: &mut Vec<u8>, decoded: &[u8]) {
    let room = KEPT - text.len().min(KEPT);
    text.extend(decoded.iter().take(room));
}

fn gzip_members(file: &File) -> io::Result<WholeMembers> {
    let mut input = CountingReader { inner: BufReader::with_capacity(1 << 16, file), read: 0 };
    let mut members = WholeMembers { end: 0, last_byte: None, first: None, last: None };
    let (mut buffer, mut last_byte) = (vec![0; 1 << 16], None);
    while !input.fill_buf()?.is_empty() {
        let begin = input.read;
        let mut decoder = GzDecoder::new(&mut input);
        let mut text = Vec::new();
        loop {
            match decoder.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    keep(&mut text, bytes);
                    last_byte = bytes.last().copied();
                }
                // The torn one.
                Err(error) if is_torn(&error) => return Ok(members),
                Err(error) => return Err(error),
            }
        }
        drop(decoder);
        members.end_with(input.read, last_byte, CodedMember { begin, text });
    }
    Ok(members)
}

fn is_torn(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::Other
    )
}

fn zstd_members(file: &File) -> io::Result<WholeMembers> {
    let mut input = CountingReader { inner: BufReader::with_capacity(1 << 16, file), read: 0 };
    let mut members = WholeMembers { end: 0, last_byte: None, first: None, last: None };
    let (mut buffer, mut last_byte) = (vec![0; 1 << 16], None);
    let mut decoder = Decoder::new()?;
    let (mut begin, mut text) = (0, Vec::new());
    loop {
        let mut source = InBuffer::around(input.fill_buf()?);
        let is_over = source.src.is_empty();
        let mut target = OutBuffer::around(buffer.as_mut_slice());
        let Ok(hint) = decoder.run(&mut source, &mut target) else { return Ok(members) };
        let (read, written) = (source.pos(), target.pos());
        let bytes = buffer.get(..written).unwrap_or_default();
        keep(&mut text, bytes);
        last_byte = bytes.last().copied().or(last_byte);
        input.consume(read);
        if hint == 0 && read > 0 {
            members.end_with(input.read, last_byte, CodedMember { begin, text: std::mem::take(&mut text) });
            begin = input.read;
            decoder.reinit()?;
        } else if is_over && written == 0 {
            return Ok(members);
        }
    }
}

/// Counts what was consumed.
struct CountingReader<R> {
    inner: R,
    read: u64,
}

impl<R: BufRead> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.read += length as u64;
        Ok(length)
    }
}

impl<R: BufRead> BufRead for CountingReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, length: usize) {
        self.inner.consume(length);
        self.read += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_members_count_wherever_the_file_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("members");
        let long: Vec<u8> = (0..200_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
        for codec in [Codec::Gzip, Codec::Zstd] {
            let texts: [&[u8]; 4] = [b"[", b"\n{\"a\":1}", &long, b"\n]\n"];
            let (mut ends, mut bytes) = (vec![0], Vec::new());
            for text in texts {
                bytes.extend(codec.member(text).unwrap());
                ends.push(bytes.len());
            }
            let cuts = ends.iter().flat_map(|end| [end.saturating_sub(1), *end, end + 1, end + 9]);
            for cut in cuts.chain([ends[2] + 400_000]).filter(|cut| *cut <= bytes.len()) {
                std::fs::write(&path, &bytes[..cut]).unwrap();
                let found = codec.end_of_members(&mut File::open(&path).unwrap(), b"[", b"\n]\n").unwrap().end;
                let whole = *ends.iter().rfind(|end| **end <= cut).unwrap();
                let expected = if whole == bytes.len() { ends[3] } else { whole };
                assert_eq!(found, expected as u64, "{codec:?} cut at {cut} of {ends:?}");
            }
            let mut read = Vec::new();
            codec.reader(bytes.as_slice()).unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, texts.concat(), "{codec:?}");
        }
    }
}
