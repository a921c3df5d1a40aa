//! Coding: the content codings of HTTP (RFC 9110 §8.4.1), each as a decoder that goes step by step. Knows no bounds but
//! those of the formats' windows.

use std::fmt;

use brotli::{Allocator, BrotliDecompressStream, BrotliResult, BrotliState, enc::StandardAlloc};
use flate2::Decompress;
use zstd::stream::raw::{self, DParameter, Operation};

use super::{
    gzip::Gzip,
    inflate::{Step, inflate},
};
use crate::outcome::FetchError;

/// What we take, for `Accept-Encoding`: what browsers say.
pub const ACCEPT_ENCODING: &str = "gzip, deflate, br, zstd";

/// The most codings on top of each other, as in curl: one is usual, two are a mistake, more are an attack.
const MAX_CODINGS: usize = 5;

/// The largest window of zstd, as a power of two: 8 MiB (RFC 9659 §3).
const ZSTD_WINDOW: u32 = 23;

/// What brotli's decoder adds to its window, and a little more.
const BROTLI_SLACK: usize = 4_096;

/// The largest window of brotli that a body of at most `max_bytes` gets: the largest power of two within the bound, so
/// that a window is never larger than the body may be. For the default bound of 10 MiB that is 8 MiB, as for zstd; the
/// encoders of servers take 4 MiB at most, and the 16 MiB that the format knows are for bodies beyond the bound.
fn brotli_window(max_bytes: u64) -> usize {
    // Smaller ones are not worth refusing.
    max_bytes.checked_ilog2().map_or(0, |log| 1_usize << log.min(24)).max(1 << 20)
}

/// A content coding that we can take off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952; also called `x-gzip`.
    Gzip,
    /// RFC 1950, and the bare RFC 1951 that some servers send under its name.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

/// Returns the codings that the values of `Content-Encoding` name, in the order to take them off: the last one first.
///
/// Where any of them is unknown (`none`, `utf-8`, `aws-chunked`, …) there is nothing to take off: the body stays as it
/// is, as in browsers ("handle content codings" of the Fetch standard).
///
/// # Errors
/// There are more than five known ones.
pub fn codings<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Coding>, FetchError> {
    let mut codings = Vec::new();
    for name in values.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii) {
        if name.is_empty() || name.eq_ignore_ascii_case(b"identity") {
            continue;
        }
        match Coding::named(name) {
            // One more than allowed is enough to know that there are too many.
            Some(coding) if codings.len() <= MAX_CODINGS => codings.push(coding),
            Some(_) => {}
            None => return Ok(Vec::new()),
        }
    }
    if codings.len() > MAX_CODINGS {
        return Err(FetchError::Decode(format!("more than {MAX_CODINGS} content codings on top of each other")));
    }
    codings.reverse();
    Ok(codings)
}

impl Coding {
    fn named(name: &[u8]) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match () {
            () if is("gzip") || is("x-gzip") => Some(Self::Gzip),
            () if is("deflate") => Some(Self::Deflate),
            () if is("br") => Some(Self::Brotli),
            () if is("zstd") => Some(Self::Zstd),
            () => None,
        }
    }

    pub(super) fn failed(self, fault: Fault) -> FetchError {
        match fault {
            Fault::Broken(why) => self.broken(why),
            Fault::Window => FetchError::TooLarge(format!("{self} with a window larger than the body may be")),
        }
    }

    /// Returns the error of a body in this coding.
    pub(super) fn broken(self, why: impl fmt::Display) -> FetchError {
        FetchError::Decode(format!("broken {self} coding: {why}"))
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        })
    }
}

/// Why a coding cannot come off.
pub(super) enum Fault {
    /// It is wrong, and how.
    Broken(String),
    /// It asks for a window larger than the body may be.
    Window,
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Broken(why)
    }
}

/// The state of one coding.
pub(super) enum Decoder {
    Gzip(Gzip),
    Deflate(Deflate),
    Brotli(Brotli),
    Zstd(Zstd),
}

impl Decoder {
    /// Creates the decoder of a body that may become `max_bytes` long.
    ///
    /// # Errors
    /// The system has no memory left.
    pub fn new(coding: Coding, max_bytes: u64) -> Result<Self, Fault> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(Gzip::new()),
            Coding::Deflate => Self::Deflate(Deflate::Undecided(None)),
            Coding::Brotli => Self::Brotli(Brotli::new(brotli_window(max_bytes))),
            Coding::Zstd => Self::Zstd(Zstd::new()?),
        })
    }

    /// Decodes what fits into `output`. No input, after a step that filled its output, asks for what is left of it.
    ///
    /// # Errors
    /// Says what is wrong with the coding.
    pub fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        Ok(match self {
            Self::Gzip(gzip) => gzip.step(input, output)?,
            Self::Deflate(deflate) => deflate.step(input, output)?,
            Self::Brotli(brotli) => brotli.step(input, output)?,
            Self::Zstd(zstd) => zstd.step(input, output)?,
        })
    }

    /// Tells whether what came is whole, so that nothing needs to follow.
    pub fn is_whole(&self) -> bool {
        match self {
            Self::Gzip(gzip) => gzip.is_whole(),
            Self::Deflate(deflate) => matches!(deflate, Deflate::Ended),
            Self::Brotli(brotli) => brotli.ended,
            Self::Zstd(zstd) => zstd.between_frames,
        }
    }
}

/// `deflate`: zlib or bare, told apart by the first two bytes as browsers do. What follows the stream is ignored, as
/// they do too.
pub(super) enum Deflate {
    /// Fewer than two bytes came.
    Undecided(Option<u8>),
    /// The first two bytes are still to be inflated, or those that are left of them.
    Decided(Decompress, [u8; 2], usize),
    Ended,
}

impl Deflate {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, String> {
        let mut read = 0;
        loop {
            let rest = input.get(read..).unwrap_or_default();
            match self {
                Self::Undecided(first) => {
                    let Some(&byte) = rest.first() else { return Ok(Step { read, made: 0 }) };
                    read += 1;
                    *self = match *first {
                        None => Self::Undecided(Some(byte)),
                        Some(first) => Self::Decided(Decompress::new(is_zlib(first, byte)), [first, byte], 0),
                    };
                }
                Self::Decided(stream, head, from @ 0..2) => {
                    let (step, ended) = inflate(stream, head.get(*from..).unwrap_or_default(), output)?;
                    *from += step.read;
                    if ended {
                        *self = Self::Ended;
                    }
                    if step.made > 0 || step.read == 0 {
                        return Ok(Step { read, made: step.made });
                    }
                }
                Self::Decided(stream, ..) => {
                    let (step, ended) = inflate(stream, rest, output)?;
                    if ended {
                        *self = Self::Ended;
                    }
                    return Ok(Step { read: read + step.read, made: step.made });
                }
                Self::Ended => return Ok(Step { read: input.len(), made: 0 }),
            }
        }
    }
}

/// RFC 1950 §2.2: the method, a window of at most 32 KiB, and the check bits. Bare deflate would begin with a stored
/// block whose padding is not zero, which no encoder writes.
fn is_zlib(cmf: u8, flg: u8) -> bool {
    cmf & 0x0f == 8 && cmf >> 4 <= 7 && u16::from_be_bytes([cmf, flg]).is_multiple_of(31)
}

/// `br`. What follows the stream is ignored, as browsers do.
pub(super) struct Brotli {
    state: Box<BrotliState<Bounded, StandardAlloc, StandardAlloc>>,
    ended: bool,
}

/// Gives no more than so many bytes at once.
///
/// The decoder fills its window before it hands anything out, and makes that no larger than what the stream is about to
/// fill: a few bytes would cost 16 MiB before any bound is asked.
struct Bounded(usize);

impl Allocator<u8> for Bounded {
    type AllocatedMemory = <StandardAlloc as Allocator<u8>>::AllocatedMemory;

    fn alloc_cell(&mut self, length: usize) -> Self::AllocatedMemory {
        // Nothing is how an allocator refuses.
        if length > self.0 { Self::AllocatedMemory::default() } else { StandardAlloc::default().alloc_cell(length) }
    }

    fn free_cell(&mut self, _: Self::AllocatedMemory) {}
}

impl Brotli {
    fn new(max_window: usize) -> Self {
        let (bytes, words, codes) =
            (Bounded(max_window + BROTLI_SLACK), StandardAlloc::default(), StandardAlloc::default());
        // Strict: without the extension that lets a stream ask for a window of 1 GiB.
        Self { state: Box::new(BrotliState::new_strict(bytes, words, codes)), ended: false }
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        if self.ended {
            return Ok(Step { read: input.len(), made: 0 });
        }
        let (mut to_read, mut read, mut space, mut made, mut total) = (input.len(), 0, output.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut to_read,
            &mut read,
            input,
            &mut space,
            &mut made,
            output,
            &mut total,
            &mut self.state,
        );
        match result {
            BrotliResult::ResultFailure => return Err(self.fault()),
            BrotliResult::ResultSuccess => self.ended = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        Ok(Step { read, made })
    }

    fn fault(&self) -> Fault {
        let name = format!("{:?}", self.state.error_code);
        if name.contains("ALLOC_RING_BUFFER") { Fault::Window } else { Fault::Broken(name) }
    }
}

/// `zstd`: one frame after the other.
pub(super) struct Zstd {
    frames: raw::Decoder<'static>,
    between_frames: bool,
}

impl Zstd {
    fn new() -> Result<Self, String> {
        let mut frames = raw::Decoder::new().map_err(|error| error.to_string())?;
        frames.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW)).map_err(|error| error.to_string())?;
        Ok(Self { frames, between_frames: true })
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, String> {
        if self.between_frames && input.is_empty() {
            return Ok(Step::default());
        }
        let status = self.frames.run_on_buffers(input, output).map_err(|error| error.to_string())?;
        self.between_frames = status.remaining == 0;
        Ok(Step { read: status.bytes_read, made: status.bytes_written })
    }
}
