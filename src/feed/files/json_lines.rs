//! JSON Lines: one record a line. Knows no file system.

use std::{
    fs::File,
    io::{self, Read},
};

use super::{layout::Layout, records::end_of_lines};
use crate::feed::{Record, SinkError};

/// One record a line.
pub(crate) struct JsonLinesLayout;

impl Layout for JsonLinesLayout {
    fn encode(&mut self, record: &Record, to: &mut Vec<u8>) -> Result<(), SinkError> {
        serde_json::to_writer(&mut *to, record).map_err(SinkError::refused)?;
        to.push(b'\n');
        Ok(())
    }

    fn end_of_records(&self, file: &mut File) -> io::Result<u64> {
        end_of_lines(file)
    }

    fn go_on(&mut self, _: &mut dyn Read, _: bool) -> io::Result<()> {
        Ok(())
    }
}
