//! RecordStream: a file of gzip members, or a plain one, as a sequence of bytes, and where each member begins. Knows no
//! records.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
};

use flate2::bufread::GzDecoder;

/// How much of a file is read at once.
const READ_SIZE: usize = 64 << 10;

/// A file, and how much of it has been taken.
pub(super) struct CountedFile {
    file: BufReader<File>,
    position: u64,
}

/// A file from one of its places on.
pub(super) struct RecordStream(Option<StreamSource>);

enum StreamSource {
    Gzip(Box<BufReader<GzDecoder<CountedFile>>>),
    Plain(CountedFile),
}

impl RecordStream {
    /// Begins at a place of the file.
    pub fn at(mut file: File, offset: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self(Some(StreamSource::Plain(CountedFile {
            file: BufReader::with_capacity(READ_SIZE, file),
            position: offset,
        }))))
    }

    /// Begins the next member, after the one before is read to its end. Returns where it begins; `None` at the end of
    /// the file.
    pub fn begin(&mut self) -> io::Result<Option<u64>> {
        let mut counted = match self.0.take() {
            Some(StreamSource::Gzip(decoder)) => decoder.into_inner().into_inner(),
            Some(StreamSource::Plain(counted)) => counted,
            None => return Ok(None),
        };
        let first = counted.fill_buf().map(|bytes| bytes.first().copied());
        let (begin, is_gzip) = (counted.position, matches!(first, Ok(Some(0x1f))));
        self.0 = Some(if is_gzip {
            StreamSource::Gzip(Box::new(BufReader::new(GzDecoder::new(counted))))
        } else {
            StreamSource::Plain(counted)
        });
        Ok(first?.map(|_| begin))
    }

    /// Tells whether members are compressed, and so end by themselves.
    pub fn is_compressed(&self) -> bool {
        matches!(self.0, Some(StreamSource::Gzip(_)))
    }

    /// Returns how much of the file has been taken; at the end of a member, where it ends.
    pub fn position(&self) -> u64 {
        match &self.0 {
            Some(StreamSource::Gzip(decoder)) => decoder.get_ref().get_ref().position,
            Some(StreamSource::Plain(counted)) => counted.position,
            None => 0,
        }
    }
}

impl Read for RecordStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Some(StreamSource::Gzip(decoder)) => decoder.read(buffer),
            Some(StreamSource::Plain(counted)) => counted.read(buffer),
            None => Ok(0),
        }
    }
}

impl BufRead for RecordStream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match &mut self.0 {
            Some(StreamSource::Gzip(decoder)) => decoder.fill_buf(),
            Some(StreamSource::Plain(counted)) => counted.fill_buf(),
            None => Ok(&[]),
        }
    }

    fn consume(&mut self, amount: usize) {
        match &mut self.0 {
            Some(StreamSource::Gzip(decoder)) => decoder.consume(amount),
            Some(StreamSource::Plain(counted)) => counted.consume(amount),
            None => {}
        }
    }
}

impl Read for CountedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl BufRead for CountedFile {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.file.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount as u64;
        self.file.consume(amount);
    }
}
