//! ChunkReader: the framing of a chunked body (RFC 9112 §7.1). Knows where data begins and ends, and never touches it.

use bytes::{Buf, BytesMut};
use memchr::memchr;

use super::{
    WireLimits,
    error::{WireError, shown},
    head::trimmed_end,
};

/// Reads sizes, line ends and trailers; the data between them passes by.
#[derive(Debug, Default)]
pub(super) struct ChunkReader {
    state: State,
    /// Where in the input the search for a line's end goes on.
    searched: usize,
    /// Bytes of extensions so far.
    extensions: usize,
    /// Bytes of trailers so far.
    trailers: usize,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Size,
    /// So many bytes are still to come.
    Data(u64),
    DataEnd,
    Trailers,
}

/// A piece of framing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ChunkStep {
    /// Something to pass over: sizes, line ends, and trailers, which are dropped, as RFC 9110 §6.5.1 allows.
    Passed,
    /// The body ends.
    Last,
}

/// A size with the white space that some servers pad it with.
const PLAIN_LINE: usize = 32;

/// The most that the lines of a body may exceed plain ones, together: nobody uses extensions but to wear clients out
/// (CVE-2023-39326 of Go, which allows as much).
const MAX_EXTENSIONS: usize = 16 * 1024;

impl ChunkReader {
    /// Returns how many of the next bytes are data.
    pub fn left(&self) -> u64 {
        if let State::Data(left) = self.state { left } else { 0 }
    }

    /// Hears that so many bytes of data passed by.
    pub fn passed(&mut self, bytes: u64) {
        if let State::Data(left) = self.state {
            self.state = if left > bytes { State::Data(left - bytes) } else { State::DataEnd };
        }
    }

    /// Takes a piece of framing out of the input; `None` until it is whole.
    pub fn step(&mut self, input: &mut BytesMut, limits: WireLimits) -> Result<Option<ChunkStep>, WireError> {
        match self.state {
            State::Size => self.size(input),
            State::Data(_) => Ok(None),
            State::DataEnd => self.data_end(input),
            State::Trailers => self.trailer(input, limits.head_bytes),
        }
    }

    fn size(&mut self, input: &mut BytesMut) -> Result<Option<ChunkStep>, WireError> {
        // Seen at once, since a body that is not chunked at all may have no line end for long.
        if input.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) {
            return Err(WireError::ChunkSize(shown(input)));
        }
        let most = PLAIN_LINE + MAX_EXTENSIONS - self.extensions;
        let Some(length) = self.line(input, most, "chunk extensions", MAX_EXTENSIONS)? else { return Ok(None) };
        let line = input.get(..length).unwrap_or_default();
        let size = parse_size(line).ok_or_else(|| WireError::ChunkSize(shown(line)))?;
        self.extensions += length.saturating_sub(PLAIN_LINE);
        input.advance(length);
        self.state = if size == 0 { State::Trailers } else { State::Data(size) };
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
        self.state = State::Size;
        Ok(Some(ChunkStep::Passed))
    }

    fn trailer(&mut self, input: &mut BytesMut, most: usize) -> Result<Option<ChunkStep>, WireError> {
        let Some(length) = self.line(input, most - self.trailers, "trailers", most)? else { return Ok(None) };
        let is_last = matches!(input.get(..length), Some(b"\n" | b"\r\n"));
        self.trailers += length;
        input.advance(length);
        Ok(Some(if is_last { ChunkStep::Last } else { ChunkStep::Passed }))
    }

    /// Returns how long the next line is, with its end, once it is whole.
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

/// Reads a chunk's size from its line: hexadecimal digits, white space, extensions, line end.
fn parse_size(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if memchr(b'\r', line).is_some() {
        return None;
    }
    let digits = line.split(|&byte| byte == b';').next().map(trimmed_end)?;
    // The standard library would take a sign too.
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
