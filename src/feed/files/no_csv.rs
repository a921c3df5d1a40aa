//! CSV without the feature `csv`: refused. Knows no file system.

use std::{
    fs::File,
    io::{self, Read},
};

use super::layout::Layout;
use crate::feed::{Record, SinkError};

/// Refuses every record.
pub(crate) struct CsvLayout;

impl CsvLayout {
    /// Creates the layout that refuses everything.
    pub fn new(_: String, _: Option<Vec<String>>, _: bool, _: bool) -> Self {
        Self
    }
}

const WHY: &str = "CSV needs the feature `csv`";

impl Layout for CsvLayout {
    fn encode(&mut self, _: &Record, _: &mut Vec<u8>) -> Result<(), SinkError> {
        Err(SinkError::broken(WHY))
    }

    fn end_of_records(&mut self, _: &mut File) -> io::Result<u64> {
        Err(io::Error::new(io::ErrorKind::Unsupported, WHY))
    }

    fn go_on(&mut self, _: &mut dyn Read, _: bool) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, WHY))
    }
}
