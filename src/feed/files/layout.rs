//! Layout: how records stand in a file of text, as a trait for formats. Knows no file system and no compression.

use std::{
    fs::File,
    io::{self, Read},
};

use super::streams::Streamed;
use crate::feed::{Record, SinkError};

/// How records stand in a file of text.
pub(crate) trait Layout: Send + 'static {
    /// Returns what stands before the first record, also in a file without any.
    fn beginning(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Returns what stands after the last record, also in a file without any; at most [`MAX_CLOSING`] bytes.
    fn closing(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Appends a record, with what separates it from the one before.
    ///
    /// # Errors
    /// The format cannot hold it; nothing has changed then, but for bytes that were appended.
    fn encode(&mut self, record: &Record, to: &mut Vec<u8>) -> Result<(), SinkError>;

    /// Finds where the whole records of a file end, which its writer may have left in the middle of one, without the
    /// closing.
    ///
    /// # Errors
    /// The file cannot be read, or was not written in this layout.
    fn end_of_records(&mut self, file: &mut File) -> io::Result<u64>;

    /// Prepares to append to a file: reads as much of its beginning as that needs.
    ///
    /// # Errors
    /// It cannot be read, was not written in this layout, or has other columns. The message says which.
    fn go_on(&mut self, content: &mut dyn Read, is_older: bool) -> io::Result<()>;

    /// Goes on after a last line that is whole and has no end, as another program may leave it.
    fn go_on_after_line(&mut self) {}

    /// Returns what the last whole record of a file lacks. It is added when the file is opened: later nobody could tell
    /// the record from one that a kill has torn.
    fn missing_end(&self) -> &'static [u8] {
        b""
    }

    /// Prepares to append to an output that cannot be read, such as a pipe. `None` if nothing is known of it.
    fn go_on_unseen(&mut self, _: Option<Streamed>) {}

    /// Returns what an output has that has all records which were encoded.
    fn streamed(&self) -> Streamed {
        Streamed::default()
    }
}

/// The longest closing.
pub(crate) const MAX_CLOSING: usize = 64;
