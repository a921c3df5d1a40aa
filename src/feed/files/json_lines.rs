//! JSON Lines: one record a line. Knows no file system.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek as _, SeekFrom},
};

use serde::de::IgnoredAny;

use super::{layout::Layout, records::end_of_lines};
use crate::feed::{Record, SinkError};

/// One record a line.
pub(crate) struct JsonLinesLayout {
    /// Whether the last line may be another program's, which has not ended it.
    may_lack_end: bool,
    lacks_end: bool,
}

impl JsonLinesLayout {
    /// Creates the layout. With `may_lack_end`, the last line may be another program's, which has not ended it.
    pub fn new(may_lack_end: bool) -> Self {
        Self { may_lack_end, lacks_end: false }
    }
}

impl Layout for JsonLinesLayout {
    fn encode(&mut self, record: &Record, to: &mut Vec<u8>) -> Result<(), SinkError> {
        serde_json::to_writer(&mut *to, record).map_err(SinkError::refused)?;
        to.push(b'\n');
        Ok(())
    }

    fn end_of_records(&mut self, file: &mut File) -> io::Result<u64> {
        let (end, length) = (end_of_lines(file)?, file.metadata()?.len());
        if end == length {
            return Ok(end);
        }
        file.seek(SeekFrom::Start(end))?;
        let mut first = [0; 1];
        file.read_exact(&mut first)?;
        file.seek(SeekFrom::Start(end))?;
        let may_be_whole = match first {
            // Another program may write no end after its last line. What a kill has left of one of ours is no JSON.
            [b'{' | b'[' | b'"'] => true,
            // The beginning of a longer number is a number too.
            [b'-' | b'0'..=b'9' | b't' | b'f' | b'n'] => self.may_lack_end,
            // As a power failure may leave them.
            [0] => false,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "its last line is no JSON and has no end, so nothing is added; write to another file",
                ));
            }
        };
        self.lacks_end = may_be_whole && serde_json::from_reader::<_, IgnoredAny>(BufReader::new(&*file)).is_ok();
        Ok(if self.lacks_end { length } else { end })
    }

    fn go_on_after_line(&mut self) {
        self.lacks_end = true;
    }

    fn missing_end(&self) -> &'static [u8] {
        if self.lacks_end { b"\n" } else { b"" }
    }

    fn go_on(&mut self, _: &mut dyn Read, _: bool) -> io::Result<()> {
        Ok(())
    }
}
