//! ChunkReader: the framing of a chunked body (RFC 9112 §7.1). Finds where data begins and ends, and never reads it.

use bytes::{Buf, BytesMut};
use memchr::memchr;

use super::{
    WireLimits,
    error::{WireError, shown},
    head::trimmed_end,
};

/// Parses sizes, line ends and trailers; the caller takes the data between them.
#[derive(Debug, Default)]
pub(super) struct ChunkReader {
    state: ChunkState,
    /// Where in the input the search for a line end continues.
    searched: usize,
    /// Bytes of chunk extensions so far.
    extensions: usize,
    /// Bytes of trailers so far.
    trailers: usize,
}

#[derive(Debug, Default)]
enum ChunkState {
    #[default]
    Size,
    /// The number of data bytes still to come.
    Data(u64),
    DataEnd,
    Trailers,
}

/// A piece of framing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ChunkStep {
    /// Framing to skip: sizes, line ends, and trailers, which RFC 9110 §6.5.1 allows to drop.
    Passed,
    /// The end of the body.
    Last,
}

/// The longest ordinary line: a size, with the white space that some servers add.
const PLAIN_LINE: usize = 32;

/// The most bytes by which all lines of a body may exceed ordinary ones. Extensions are used only to exhaust clients
/// (CVE-2023-39326 of Go, which allows the same number).
const MAX_EXTENSIONS: usize = 16 * 1024;

impl ChunkReader {
    /// Returns the number of data bytes still to come in this chunk.
    pub fn left(&self) -> u64 {
        if let ChunkState::Data(left) = self.state { left } else { 0 }
    }

    /// Records that the caller took data bytes.
    pub fn passed(&mut self, bytes: u64) {
        if let ChunkState::Data(left) = self.state {
            self.state = if left > bytes { ChunkState::Data(left - bytes) } else { ChunkState::DataEnd };
        }
    }

    /// Removes one element of framing from the input; `None` until it is complete.
    pub fn step(&mut self, input: &mut BytesMut, limits: WireLimits) -> Result<Option<ChunkStep>, WireError> {
        match self.state {
            ChunkState::Size => self.size(input),
            ChunkState::Data(_) => Ok(None),
            ChunkState::DataEnd => self.data_end(input),
            ChunkState::Trailers => self.trailer(input, limits.head_bytes),
        }
    }

    fn size(&mut self, input: &mut BytesMut) -> Result<Option<ChunkStep>, WireError> {
        // Check the first byte at once: a body that is not chunked may have no line end for long.
        if input.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) {
            return Err(WireError::ChunkSize(shown(input)));
        }
        let most = PLAIN_LINE + MAX_EXTENSIONS - self.extensions;
        let Some(length) = self.line(input, most, "chunk extensions", MAX_EXTENSIONS)? else { return Ok(None) };
        let line = input.get(..length).unwrap_or_default();
        let size = parse_size(line).ok_or_else(|| WireError::ChunkSize(shown(line)))?;
        self.extensions += length.saturating_sub(PLAIN_LINE);
        input.advance(length);
        self.state = if size == 0 { ChunkState::Trailers } else { ChunkState::Data(size) };
        Ok(Some(ChunkStep::Passed))
    }

    fn data_end(&mut self, input: &mut BytesMut) -> Result<Option<ChunkStep>, WireError> {
        let length = match input.as_ref() {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            [] | [b'\r'] => return Ok(None),
            _ => return Err(WireError::ChunkEnd),
        };
        input.advance(length);
        self.state = ChunkState::Size;
        Ok(Some(ChunkStep::Passed))
    }

    fn trailer(&mut self, input: &mut BytesMut, most: usize) -> Result<Option<ChunkStep>, WireError> {
        let Some(length) = self.line(input, most - self.trailers, "trailers", most)? else { return Ok(None) };
        let is_last = matches!(input.get(..length), Some(b"\n" | b"\r\n"));
        self.trailers += length;
        input.advance(length);
        Ok(Some(if is_last { ChunkStep::Last } else { ChunkStep::Passed }))
    }

    /// Returns the length of the next line with its end, once it is complete.
    fn line(
        &mut self,
        input: &BytesMut,
        most: usize,
        what: &'static str,
        bound: usize,
    ) -> Result<Option<usize>, WireError> {
        let found = input.get(self.searched..).and_then(|rest| memchr(b'\n', rest));
        let length = found.map_or(input.len(), |found| self.searched + found + 1);
        if length > most {
            return Err(WireError::TooLong { what, most: bound });
        }
        self.searched = if found.is_some() { 0 } else { length };
        Ok(found.map(|_| length))
    }
}

/// Parses a chunk's size line: hexadecimal digits, white space, extensions, line end.
fn parse_size(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if memchr(b'\r', line).is_some() {
        return None;
    }
    let digits = line.split(|&byte| byte == b';').next().map(trimmed_end)?;
    // The standard library would also accept a sign.
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
