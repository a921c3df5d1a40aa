//! Wire: reads an HTTP/1.1 response as RFC 9112 says. Knows bytes; no sockets, no clocks.
//!
//! What awc 3.11 gets wrong (bodies that end with the connection, interim responses, answers without a body, more than
//! 96 header lines, every kind of faulty framing) is read here, and nothing of it reaches awc.

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

/// What a server may cost before a body begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireLimits {
    /// The most bytes of one head, and of the trailers after a chunked body.
    pub head_bytes: usize,
    /// The most lines of one head.
    pub head_lines: usize,
    /// The most interim responses (1xx) before the answer.
    pub interim: usize,
    /// Whether a response with both Transfer-Encoding and Content-Length is read by the former, and is no error.
    pub chunked_over_length: bool,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self {
            // As Chrome; curl allows 300 KiB.
            head_bytes: 256 * 1024,
            // awc reads 96, Apache sends at most what its modules add, and the largest real heads have about 200.
            head_lines: 1_000,
            // Go's client allows five; some servers send one 102 a second while they think.
            interim: 16,
            chunked_over_length: false,
        }
    }
}

/// A body whose length is known, and no more than this, comes as one piece: so it is never copied. As much as every
/// body may have without asking; see [`Bodies`](super::body::Bodies).
const IN_ONE_PIECE: u64 = super::body::FREE;

/// Reads the response to one request.
#[derive(Debug)]
pub struct ResponseDecoder {
    limits: WireLimits,
    is_head: bool,
    state: State,
    head: Option<Head>,
    interim: usize,
    persistent: bool,
}

#[derive(Debug)]
enum State {
    Head(HeadReader),
    /// So many of so many bytes are still to come.
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
            state: State::Head(HeadReader::default()),
            head: None,
            interim: 0,
            persistent: false,
        }
    }

    /// Takes the next piece of body out of the server's bytes. `None` when those have nothing more to give (what is left
    /// is the beginning of something, and stays there), or at the response's end.
    ///
    /// # Errors
    /// The server broke the protocol or a limit. The connection is of no more use.
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

    /// Returns how many bytes are to come, beside those that wait to be read, before there is a piece of body; 0 where
    /// any will do.
    pub fn missing(&self, waiting: usize) -> usize {
        match self.state {
            State::Length { left, of } if of <= IN_ONE_PIECE => {
                usize::try_from(left).unwrap_or(usize::MAX).saturating_sub(waiting)
            }
            _ => 0,
        }
    }

    /// Returns the length that the head gives the body, while that has not wholly come.
    pub fn promised(&self) -> Option<u64> {
        if let State::Length { of, .. } = self.state { Some(of) } else { None }
    }

    /// Reads the head if it is there, without passing anything on; tells whether it is.
    ///
    /// # Errors
    /// As [`ResponseDecoder::read`].
    pub fn read_head(&mut self, input: &mut BytesMut) -> Result<bool, WireError> {
        while matches!(self.state, State::Head(_)) {
            if !self.step(input)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Hears that the connection ended, in order or broken off, when so many bytes wait that are no piece.
    ///
    /// # Errors
    /// The response is not whole.
    pub fn finish(&mut self, waiting: usize, in_order: bool) -> Result<(), WireError> {
        match &self.state {
            State::Done => Ok(()),
            // A body that only the end of the connection ends is whole if that came in order (RFC 9112 §8, §9.8).
            State::UntilClose if in_order => {
                self.state = State::Done;
                Ok(())
            }
            State::UntilClose => Err(WireError::BrokenOff),
            State::Head(head) if head.has_begun() => Err(WireError::HeadCut),
            State::Head(_) => Err(WireError::NoAnswer),
            State::Length { left, of } => Err(WireError::LengthCut { got: of - left + waiting as u64, of: *of }),
            State::Chunked(_) => Err(WireError::ChunksCut),
        }
    }

    /// Takes the real head out, once it was read.
    pub fn take_head(&mut self) -> Option<Head> {
        self.head.take()
    }

    /// Tells whether the response is whole and wholly read.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Tells whether the connection may serve another request after this response (RFC 9112 §9.3).
    pub fn is_reusable(&self) -> bool {
        self.is_done() && self.persistent
    }

    /// How many of the next bytes are body.
    fn passable(&self) -> u64 {
        match &self.state {
            State::Length { left, .. } => *left,
            State::Chunked(chunks) => chunks.left(),
            State::UntilClose => u64::MAX,
            State::Head(_) | State::Done => 0,
        }
    }

    fn passed(&mut self, bytes: u64) {
        match &mut self.state {
            State::Length { left, .. } => {
                *left = left.saturating_sub(bytes);
                if *left == 0 {
                    self.state = State::Done;
                }
            }
            State::Chunked(chunks) => chunks.passed(bytes),
            State::UntilClose | State::Head(_) | State::Done => {}
        }
    }

    /// Reads one piece of the framing; tells whether there was a whole one.
    fn step(&mut self, input: &mut BytesMut) -> Result<bool, WireError> {
        match &mut self.state {
            State::Head(reader) => {
                let Some(head) = reader.read(input, self.limits)? else { return Ok(false) };
                self.begin(head::parse(&head)?)?;
            }
            State::Chunked(chunks) => match chunks.step(input, self.limits)? {
                None => return Ok(false),
                Some(ChunkStep::Passed) => {}
                Some(ChunkStep::Last) => self.state = State::Done,
            },
            State::Length { .. } | State::UntilClose | State::Done => return Ok(false),
        }
        Ok(true)
    }

    /// Begins the body that a head announces, or goes on to the next head if this one is interim.
    fn begin(&mut self, (version, head): (head::Version, Head)) -> Result<(), WireError> {
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(WireError::Upgrade);
        }
        if head.status.is_informational() {
            self.interim += 1;
            if self.interim > self.limits.interim {
                return Err(WireError::TooMany { what: "interim responses", most: self.limits.interim });
            }
            self.state = State::Head(HeadReader::default());
            return Ok(());
        }
        let framing = framing::of(self.is_head, head.status, &head.headers, self.limits.chunked_over_length)?;
        self.persistent = framing::persists(version, &head.headers, framing);
        self.state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length { left: length, of: length },
            Framing::Chunked => State::Chunked(ChunkReader::default()),
            Framing::UntilClose => State::UntilClose,
        };
        self.head = Some(head);
        Ok(())
    }
}
