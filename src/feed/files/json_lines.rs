//! JSON Lines: one record a line. Knows no file system.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek as _, SeekFrom},
};

use serde::de::IgnoredAny;

use super::{layout::Layout, records::end_of_lines};
use crate::feed::{Record, SinkError};

/// One record a line.
#[derive(Default)]
pub(crate) struct JsonLinesLayout {
    /// Whether the last line of the file has no end yet.
    is_open: bool,
}

impl Layout for JsonLinesLayout {
    fn encode(&mut self, record: &Record, to: &mut Vec<u8>) -> Result<(), SinkError> {
        if self.is_open {
            to.push(b'\n');
        }
        serde_json::to_writer(&mut *to, record).map_err(SinkError::refused)?;
        to.push(b'\n');
        self.is_open = false;
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
        match first {
            // Another program may write no end after its last line. What a kill has left of one of ours is no JSON.
            [b'{' | b'[' | b'"'] => {
                self.is_open = serde_json::from_reader::<_, IgnoredAny>(BufReader::new(&*file)).is_ok();
                Ok(if self.is_open { length } else { end })
            }
            // The beginning of a record; or zeros, as a power failure may leave them.
            [b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | 0] => Ok(end),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "its last line is no JSON and has no end, so nothing is added; write to another file",
            )),
        }
    }

    fn go_on_after_line(&mut self) {
        self.is_open = true;
    }

    fn go_on(&mut self, _: &mut dyn Read, _: bool) -> io::Result<()> {
        Ok(())
    }
}
