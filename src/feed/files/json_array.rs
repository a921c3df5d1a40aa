//! JSON: all records in one array, one a line. Knows no file system.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek as _, SeekFrom},
};

use serde::de::IgnoredAny;

use super::{
    closed_lines::{end_before, end_of_closed_lines, ends_as_ours, foreign},
    layout::Layout,
    streams::Streamed,
};
use crate::feed::{Record, SinkError};

/// All records in one array.
#[derive(Default)]
pub(crate) struct JsonArrayLayout {
    has_records: bool,
}

impl Layout for JsonArrayLayout {
    fn beginning(&self) -> Vec<u8> {
        b"[".to_vec()
    }

    fn closing(&self) -> Vec<u8> {
        b"\n]\n".to_vec()
    }

    fn encode(&mut self, record: &Record, to: &mut Vec<u8>) -> Result<(), SinkError> {
        to.extend_from_slice(if self.has_records { b",\n" } else { b"\n" });
        serde_json::to_writer(&mut *to, record).map_err(SinkError::refused)?;
        self.has_records = true;
        Ok(())
    }

    fn end_of_records(&mut self, file: &mut File) -> io::Result<u64> {
        // What a program that spaces its arrays otherwise has written is one array, or nothing is known of where its
        // records end.
        if !ends_as_ours(file, &self.closing())? && is_whole(file)? {
            return end_before(file, b"]")?.ok_or_else(foreign);
        }
        end_of_closed_lines(file, &self.beginning(), &self.closing(), |line, is_first| {
            if is_first && line == b"[" {
                return Some(1);
            }
            // A comma or the old end of the array may stand after it: the next write was torn.
            let ends = [line.strip_suffix(b",]"), line.strip_suffix(b","), Some(line)];
            let whole = |line: &&[u8]| serde_json::from_slice::<IgnoredAny>(line).is_ok();
            ends.into_iter().flatten().find(whole).map(<[u8]>::len)
        })
    }

    fn go_on(&mut self, content: &mut dyn Read, _: bool) -> io::Result<()> {
        let mut begin = Vec::new();
        content.take(ENOUGH).read_to_end(&mut begin)?;
        let mut begin = begin.into_iter().skip_while(u8::is_ascii_whitespace);
        if begin.next() != Some(b'[') {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a JSON array; write to another file"));
        }
        self.has_records = begin.any(|byte| !byte.is_ascii_whitespace());
        Ok(())
    }

    fn go_on_unseen(&mut self, streamed: Option<Streamed>) {
        self.has_records = streamed.is_none_or(|streamed| streamed.has_records);
    }

    fn streamed(&self) -> Streamed {
        Streamed { has_records: self.has_records, ..Streamed::default() }
    }
}

/// Tells whether a file is JSON from its beginning to its end. Reads all of it.
fn is_whole(file: &mut File) -> io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    match serde_json::from_reader::<_, IgnoredAny>(BufReader::new(&*file)) {
        Err(error) if error.is_io() => Err(error.into()),
        read => Ok(read.is_ok()),
    }
}

/// The first bytes of a file, in which its first record begins.
const ENOUGH: u64 = 4_096;
