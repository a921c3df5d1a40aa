//! Coding: the content codings of HTTP (RFC 9110 §8.4.1), each with an incremental decoder. Bounds only the decoder's
//! window, not the body.

use std::fmt;

use brotli::{Allocator, BrotliDecompressStream, BrotliResult, BrotliState, enc::StandardAlloc};
use flate2::Decompress;
use zstd::stream::raw::{self, DParameter, Operation};

use super::{
    gzip::Gzip,
    inflate::{InflateStep, inflate},
};
use crate::outcome::FetchError;

/// The value for `Accept-Encoding`: what browsers send.
pub const ACCEPT_ENCODING: &str = "gzip, deflate, br, zstd";

/// The most stacked codings, as in curl. One is usual; several are a mistake or an attack.
const MAX_CODINGS: usize = 5;

/// The largest window of zstd, as a power of two: 8 MiB (RFC 9659 §3).
const ZSTD_WINDOW: u32 = 23;

/// What brotli's decoder allocates in addition to its window, rounded up.
const BROTLI_SLACK: usize = 4_096;

/// The largest brotli window for a body of at most `max_bytes`: the largest power of two within the bound. For the
/// default bound of 10 MiB that is 8 MiB, the same as for zstd. Servers' encoders use windows of 4 MiB at most; 16 MiB,
/// the format's maximum, is allowed only for larger bodies.
fn brotli_window(max_bytes: u64) -> usize {
    // A smaller bound saves nothing.
    max_bytes.checked_ilog2().map_or(0, |log| 1_usize << log.min(24)).max(1 << 20)
}

/// A content coding that we can decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952; also called `x-gzip`.
    Gzip,
    /// RFC 1950, or raw RFC 1951, which some servers send under this name.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

/// Returns the codings named by `Content-Encoding`, in decoding order: the last one first.
///
/// If any of them is unknown (`none`, `utf-8`, `aws-chunked`, …), none is decoded and the body stays unchanged, as in
/// browsers ("handle content codings" of the Fetch standard).
///
/// # Errors
/// More than five known codings.
pub fn codings<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Coding>, FetchError> {
    let mut codings = Vec::new();
    for name in values.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii) {
        if name.is_empty() || name.eq_ignore_ascii_case(b"identity") {
            continue;
        }
        match Coding::named(name) {
            // Stop after one too many: that is enough to detect the excess.
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

    pub(super) fn failed(self, fault: CodingFault) -> FetchError {
        match fault {
            CodingFault::Broken(why) => self.broken(why),
            CodingFault::Window => FetchError::TooLarge(format!("{self} with a window larger than the body may be")),
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

/// Why decoding failed.
pub(super) enum CodingFault {
    /// The data is invalid; the text says how.
    Broken(String),
    /// The data requires a window larger than the body may be.
    Window,
}

impl From<String> for CodingFault {
    fn from(why: String) -> Self {
        Self::Broken(why)
    }
}

/// The decoder of one coding.
pub(super) enum Decoder {
    Gzip(Gzip),
    Deflate(Deflate),
    Brotli(Brotli),
    Zstd(Zstd),
}

impl Decoder {
    /// Creates the decoder for a body of at most `max_bytes`.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(coding: Coding, max_bytes: u64) -> Result<Self, CodingFault> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(Gzip::new()),
            Coding::Deflate => Self::Deflate(Deflate::Undecided(None)),
            Coding::Brotli => Self::Brotli(Brotli::new(brotli_window(max_bytes))),
            Coding::Zstd => Self::Zstd(Zstd::new()?),
        })
    }

    /// Decodes as much as fits into `output`. If a step fills its output, call again, with empty input if need be, to
    /// get the rest.
    ///
    /// # Errors
    /// The data is invalid.
    pub fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<InflateStep, CodingFault> {
        Ok(match self {
            Self::Gzip(gzip) => gzip.step(input, output)?,
            Self::Deflate(deflate) => deflate.step(input, output)?,
            Self::Brotli(brotli) => brotli.step(input, output)?,
            Self::Zstd(zstd) => zstd.step(input, output)?,
        })
    }

    /// Tells whether the input so far is complete, so that the body may end here.
    pub fn is_whole(&self) -> bool {
        match self {
            Self::Gzip(gzip) => gzip.is_whole(),
            Self::Deflate(deflate) => matches!(deflate, Deflate::Ended),
            Self::Brotli(brotli) => brotli.ended,
            Self::Zstd(zstd) => zstd.between_frames,
        }
    }
}

/// `deflate`: zlib or raw, told apart by the first two bytes as in browsers. Data after the end of the stream is
/// ignored, also as in browsers.
pub(super) enum Deflate {
    /// Fewer than two bytes were received.
    Undecided(Option<u8>),
    /// The decoder, the first two bytes, and how many of those it has consumed.
    Decided(Decompress, [u8; 2], usize),
    Ended,
}

impl Deflate {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<InflateStep, String> {
        let mut read = 0;
        loop {
            let rest = input.get(read..).unwrap_or_default();
            match self {
                Self::Undecided(first) => {
                    let Some(&byte) = rest.first() else { return Ok(InflateStep { read, made: 0 }) };
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
                        return Ok(InflateStep { read, made: step.made });
                    }
                }
                Self::Decided(stream, ..) => {
                    let (step, ended) = inflate(stream, rest, output)?;
                    if ended {
                        *self = Self::Ended;
                    }
                    return Ok(InflateStep { read: read + step.read, made: step.made });
                }
                Self::Ended => return Ok(InflateStep { read: input.len(), made: 0 }),
            }
        }
    }
}

/// Checks the zlib header (RFC 1950 §2.2): method, window of at most 32 KiB, check bits. A raw deflate stream matches
/// only if it begins with a stored block with non-zero padding, which no encoder writes.
fn is_zlib(cmf: u8, flg: u8) -> bool {
    cmf & 0x0f == 8 && cmf >> 4 <= 7 && u16::from_be_bytes([cmf, flg]).is_multiple_of(31)
}

/// `br`. Data after the end of the stream is ignored, as in browsers.
pub(super) struct Brotli {
    state: Box<BrotliState<Bounded, StandardAlloc, StandardAlloc>>,
    ended: bool,
}

/// An allocator that refuses allocations above a size.
///
/// The decoder allocates its window, up to 16 MiB, before it produces the first byte, so a few bytes of input could
/// cost that much before any bound on output applies.
struct Bounded(usize);

impl Allocator<u8> for Bounded {
    type AllocatedMemory = <StandardAlloc as Allocator<u8>>::AllocatedMemory;

    fn alloc_cell(&mut self, length: usize) -> Self::AllocatedMemory {
        // An empty allocation tells the decoder that the allocation failed.
        if length > self.0 { Self::AllocatedMemory::default() } else { StandardAlloc::default().alloc_cell(length) }
    }

    fn free_cell(&mut self, _: Self::AllocatedMemory) {}
}

impl Brotli {
    fn new(max_window: usize) -> Self {
        let (bytes, words, codes) =
            (Bounded(max_window + BROTLI_SLACK), StandardAlloc::default(), StandardAlloc::default());
        // Strict mode excludes the extension for windows of up to 1 GiB.
        Self { state: Box::new(BrotliState::new_strict(bytes, words, codes)), ended: false }
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<InflateStep, CodingFault> {
        if self.ended {
            return Ok(InflateStep { read: input.len(), made: 0 });
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
        Ok(InflateStep { read, made })
    }

    fn fault(&self) -> CodingFault {
        let name = format!("{:?}", self.state.error_code);
        if name.contains("ALLOC_RING_BUFFER") { CodingFault::Window } else { CodingFault::Broken(name) }
    }
}

/// `zstd`: a sequence of frames.
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

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<InflateStep, String> {
        if self.between_frames && input.is_empty() {
            return Ok(InflateStep::default());
        }
        let status = self.frames.run_on_buffers(input, output).map_err(|error| error.to_string())?;
        self.between_frames = status.remaining == 0;
        Ok(InflateStep { read: status.bytes_read, made: status.bytes_written })
    }
}
