//! Wire: reads an HTTP/1.1 response as RFC 9112 says and hands awc one that it cannot misread. Knows bytes; no sockets,
//! no clocks.
//!
//! awc gets a small head of our own, whose framing it reads rightly, then the body, which passes through untouched.
//! The real head goes aside. What awc 3.11 would get wrong (bodies that end with the connection, interim responses,
//! answers without a body, more than 96 header lines, every kind of faulty framing) never reaches it.

mod chunked;
mod error;
mod framing;
mod head;
#[cfg(test)]
mod tests;

use bytes::{Buf, BytesMut};
use http::{Method, StatusCode};
use tokio::io::ReadBuf;

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
        }
    }
}

/// Reads the response to one request.
#[derive(Debug)]
pub struct ResponseDecoder {
    limits: WireLimits,
    is_head: bool,
    state: State,
    /// Our framing, not yet read by awc: it is written before the bytes of body that it announces.
    framing: BytesMut,
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
            framing: BytesMut::new(),
            head: None,
            interim: 0,
            persistent: false,
        }
    }

    /// Moves what may be moved from the server's bytes to awc's. Stops when `input` has nothing more to give (what it
    /// then holds is the beginning of something, and stays there), when `output` is full, or at the response's end.
    ///
    /// # Errors
    /// The server broke the protocol or a limit. The connection is of no more use.
    pub fn read(&mut self, input: &mut BytesMut, output: &mut ReadBuf<'_>) -> Result<(), WireError> {
        while output.remaining() > 0 {
            if !self.framing.is_empty() {
                pass(&mut self.framing, output, u64::MAX);
                continue;
            }
            match self.passable() {
                0 => {
                    if !self.step(input)? {
                        break;
                    }
                }
                most => match pass(input, output, most) {
                    0 => break,
                    passed => self.passed(passed),
                },
            }
        }
        Ok(())
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

    /// Hears that the connection ended: in order, or broken off. Called when `input` has nothing more to give.
    ///
    /// # Errors
    /// The response is not whole.
    pub fn finish(&mut self, in_order: bool) -> Result<(), WireError> {
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
            State::Length { left, of } => Err(WireError::LengthCut { got: of - left, of: *of }),
            State::Chunked(_) => Err(WireError::ChunksCut),
        }
    }

    /// Takes the real head out, once it was read.
    pub fn take_head(&mut self) -> Option<Head> {
        self.head.take()
    }

    /// Tells whether the response is whole and wholly passed on.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done) && self.framing.is_empty()
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

    /// Reads one piece of the server's framing and writes ours; tells whether there was a whole one.
    fn step(&mut self, input: &mut BytesMut) -> Result<bool, WireError> {
        match &mut self.state {
            State::Head(reader) => {
                let Some(head) = reader.read(input, self.limits)? else { return Ok(false) };
                self.begin(head::parse(&head)?)?;
            }
            State::Chunked(chunks) => match chunks.step(input, self.limits)? {
                None => return Ok(false),
                Some(ChunkStep::Begins(length)) => self.write(format_args!("{length:x}\r\n")),
                Some(ChunkStep::Ends) => self.write(format_args!("\r\n")),
                Some(ChunkStep::Nothing) => {}
                Some(ChunkStep::Last) => {
                    self.write(format_args!("0\r\n\r\n"));
                    self.state = State::Done;
                }
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
        let framing = framing::of(self.is_head, head.status, &head.headers)?;
        self.persistent = framing::persists(version, &head.headers) && framing != Framing::UntilClose;
        let close = if self.persistent { "" } else { "connection: close\r\n" };
        self.state = match framing {
            Framing::Length(length) => {
                self.write(format_args!("HTTP/1.1 200 \r\ncontent-length: {length}\r\n{close}\r\n"));
                if length == 0 { State::Done } else { State::Length { left: length, of: length } }
            }
            Framing::Chunked => {
                self.write(format_args!("HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n{close}\r\n"));
                State::Chunked(ChunkReader::default())
            }
            // The one kind of response whose body awc reads until the end, which we give when it came in order.
            Framing::UntilClose => {
                self.write(format_args!("HTTP/1.0 200 \r\n\r\n"));
                State::UntilClose
            }
        };
        self.head = Some(head);
        Ok(())
    }

    fn write(&mut self, framing: std::fmt::Arguments<'_>) {
        // Writing to a BytesMut does not fail.
        let _ = std::fmt::Write::write_fmt(&mut self.framing, framing);
    }
}

/// Moves at most so many bytes; returns how many.
fn pass(input: &mut BytesMut, output: &mut ReadBuf<'_>, most: u64) -> u64 {
    let length = input.len().min(output.remaining()).min(usize::try_from(most).unwrap_or(usize::MAX));
    output.put_slice(input.get(..length).unwrap_or_default());
    input.advance(length);
    length as u64
}
