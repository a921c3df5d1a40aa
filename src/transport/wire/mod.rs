//! Wire: reads an HTTP/1.1 response by RFC 9112. Knows bytes; no sockets, no clocks.
//!
//! It handles what awc 3.11 gets wrong (close-delimited bodies, interim responses, responses without a body, more than
//! 96 header lines, faulty framing of every kind); none of it reaches awc.

mod chunked;
mod error;
mod framing;
mod head;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};

use self::{
    chunked::{ChunkReader, ChunkStep},
    framing::Framing,
    head::HeadReader,
};
pub use self::{error::WireError, head::Head};

/// Bounds on what a server may send before and around a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireLimits {
    /// The most bytes of one head, and of the trailers after a chunked body.
    pub head_bytes: usize,
    /// The most lines of one head.
    pub head_lines: usize,
    /// The most interim responses (1xx) before the answer.
    pub interim: usize,
    /// Whether a response with both Transfer-Encoding and Content-Length is framed by the former instead of being an
    /// error.
    pub chunked_over_length: bool,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self {
            // As in Chrome; curl allows 300 KiB.
            head_bytes: 256 * 1024,
            // awc reads 96; the largest real heads have about 200.
            head_lines: 1_000,
            // Go's client allows five; some servers send a 102 every second while they work.
            interim: 16,
            chunked_over_length: false,
        }
    }
}

/// A body of a known length up to this is returned in one piece and so never copied. Equal to what every body may use
/// without a reservation; see [`Bodies`](super::body::Bodies).
const IN_ONE_PIECE: u64 = super::body::FREE;

/// Reads the response to one request.
#[derive(Debug)]
pub struct ResponseDecoder {
    limits: WireLimits,
    is_head: bool,
    state: WireState,
    head: Option<Head>,
    interim: usize,
    persistent: bool,
}

#[derive(Debug)]
enum WireState {
    Head(HeadReader),
    /// Bytes still to come, of the announced length.
    Length {
        left: u64,
        of: u64,
    },
    Chunked(ChunkReader),
    UntilClose,
    Done,
}

impl ResponseDecoder {
    /// Expects the response to a request with this method.
    pub fn new(method: &Method, limits: WireLimits) -> Self {
        Self {
            limits,
            is_head: *method == Method::HEAD,
            state: WireState::Head(HeadReader::default()),
            head: None,
            interim: 0,
            persistent: false,
        }
    }

    /// Takes the next piece of body from the received bytes. `None` if those contain no complete piece (the incomplete
    /// rest stays there), or at the end of the response.
    ///
    /// # Errors
    /// The server violated the protocol or a bound. The connection cannot be used further.
    pub fn read(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, WireError> {
        loop {
            let most = usize::try_from(self.passable()).unwrap_or(usize::MAX);
            if most == 0 {
                if !self.step(input)? {
                    return Ok(None);
                }
            } else if input.is_empty() || self.missing(input.len()) > 0 {
                return Ok(None);
            } else {
                let piece = input.split_to(input.len().min(most)).freeze();
                self.passed(piece.len() as u64);
                return Ok(Some(piece));
            }
        }
    }

    /// Returns how many more bytes are needed, in addition to `waiting`, for the next piece of body; 0 if any number
    /// will do.
    pub fn missing(&self, waiting: usize) -> usize {
        match self.state {
            WireState::Length { left, of } if of <= IN_ONE_PIECE => {
                usize::try_from(left).unwrap_or(usize::MAX).saturating_sub(waiting)
            }
            _ => 0,
        }
    }

    /// Returns the announced length of the body while it is incomplete.
    pub fn promised(&self) -> Option<u64> {
        if let WireState::Length { of, .. } = self.state { Some(of) } else { None }
    }

    /// Reads the head if it is complete, without returning any body; tells whether it is.
    ///
    /// # Errors
    /// As [`ResponseDecoder::read`].
    pub fn read_head(&mut self, input: &mut BytesMut) -> Result<bool, WireError> {
        while matches!(self.state, WireState::Head(_)) {
            if !self.step(input)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends the response because the connection ended, in order or not, with `waiting` unread bytes.
    ///
    /// # Errors
    /// The response is incomplete.
    pub fn finish(&mut self, waiting: usize, in_order: bool) -> Result<(), WireError> {
        match &self.state {
            WireState::Done => Ok(()),
            // A close-delimited body is complete if the connection was closed in order (RFC 9112 §8, §9.8).
            WireState::UntilClose if in_order => {
                self.state = WireState::Done;
                Ok(())
            }
            WireState::UntilClose => Err(WireError::BrokenOff),
            WireState::Head(head) if head.has_begun() => Err(WireError::HeadCut),
            WireState::Head(_) => Err(WireError::NoAnswer),
            WireState::Length { left, of } => Err(WireError::LengthCut { got: of - left + waiting as u64, of: *of }),
            WireState::Chunked(_) => Err(WireError::ChunksCut),
        }
    }

    /// Takes the final head, once it was read.
    pub fn take_head(&mut self) -> Option<Head> {
        self.head.take()
    }

    /// Tells whether the response is complete and fully read.
    pub fn is_done(&self) -> bool {
        matches!(self.state, WireState::Done)
    }

    /// Tells whether the connection may serve another request after this response (RFC 9112 §9.3).
    pub fn is_reusable(&self) -> bool {
        self.is_done() && self.persistent
    }

    /// The number of next bytes that are body.
    fn passable(&self) -> u64 {
        match &self.state {
            WireState::Length { left, .. } => *left,
            WireState::Chunked(chunks) => chunks.left(),
            WireState::UntilClose => u64::MAX,
            WireState::Head(_) | WireState::Done => 0,
        }
    }

    fn passed(&mut self, bytes: u64) {
        match &mut self.state {
            WireState::Length { left, .. } => {
                *left = left.saturating_sub(bytes);
                if *left == 0 {
                    self.state = WireState::Done;
                }
            }
            WireState::Chunked(chunks) => chunks.passed(bytes),
            WireState::UntilClose | WireState::Head(_) | WireState::Done => {}
        }
    }

    /// Reads one element of the framing; tells whether a complete one was there.
    fn step(&mut self, input: &mut BytesMut) -> Result<bool, WireError> {
        match &mut self.state {
            WireState::Head(reader) => {
                let Some(head) = reader.read(input, self.limits)? else { return Ok(false) };
                self.begin(head::parse(&head)?)?;
            }
            WireState::Chunked(chunks) => match chunks.step(input, self.limits)? {
                None => return Ok(false),
                Some(ChunkStep::Passed) => {}
                Some(ChunkStep::Last) => self.state = WireState::Done,
            },
            WireState::Length { .. } | WireState::UntilClose | WireState::Done => return Ok(false),
        }
        Ok(true)
    }

    /// Begins the body that a head announces, or continues with the next head if this one is interim.
    fn begin(&mut self, (version, head): (head::Version, Head)) -> Result<(), WireError> {
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(WireError::Upgrade);
        }
        if head.status.is_informational() {
            self.interim += 1;
            if self.interim > self.limits.interim {
                return Err(WireError::TooMany { what: "interim responses", most: self.limits.interim });
            }
            self.state = WireState::Head(HeadReader::default());
            return Ok(());
        }
        let framing = framing::of(self.is_head, head.status, &head.headers, self.limits.chunked_over_length)?;
        self.persistent = framing::persists(version, &head.headers, framing);
        self.state = match framing {
            Framing::Length(0) => WireState::Done,
            Framing::Length(length) => WireState::Length { left: length, of: length },
            Framing::Chunked => WireState::Chunked(ChunkReader::default()),
            Framing::UntilClose => WireState::UntilClose,
        };
        self.head = Some(head);
        Ok(())
    }
}
