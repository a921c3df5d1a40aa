//! Body: decodes the content codings of a body within bounds. Knows no network; the result does not depend on how the
//! bytes are split into chunks.

mod coding;
mod gzip;
mod inflate;
mod memory;
mod reader;

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use self::coding::Decoder;
pub use self::{
    coding::{ACCEPT_ENCODING, Coding, codings},
    memory::{Bodies, FREE, PartialBody, Reservation},
    reader::BodyReader,
};
use crate::{clock, outcome::FetchError, text::durations};

/// Bounds on the size of a body and the cost of decoding it.
///
/// ```
/// use actix_crawler::transport::{BodyLimits, TransportSettings};
///
/// let body = BodyLimits { max_bytes: 1 << 20, ..BodyLimits::default() };
/// let settings = TransportSettings { body, ..TransportSettings::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BodyLimits {
    /// The most bytes of a body: on the wire, decoded, and after each of several codings. 10 MiB by default: a hundred
    /// times an ordinary page, and small enough for all bodies in flight. Decoding uses this much memory and the
    /// coding's window, which is at most 8 MiB.
    pub max_bytes: u64,
    /// The most bytes of all bodies that are being received or wait to be parsed. 64 MiB by default: a third of the 200
    /// MiB that a crawl should stay under. Beyond it large bodies wait for each other, within their `whole` deadline;
    /// the first 256 KiB of each body never wait.
    pub max_in_flight_bytes: u64,
    /// The largest expansion by a content coding, applied after the first decoded MiB. 1,000 by default: pages reach a
    /// few dozen, a file of one repeated line some hundreds; a gzip bomb reaches its format's limit of 1,032, and
    /// brotli or zstd bombs many thousands.
    pub max_ratio: u32,
    /// How long decoding may take. 10 s by default: a body made to be slow takes about a second for 10 MiB, and a busy
    /// machine may be ten times slower.
    #[serde(with = "durations")]
    pub max_time: Duration,
    /// Whether a body that breaks off in a broken coding, or at a bound, is a page with what came before, and a note of
    /// it ([`Response::broken_off`](crate::Response::broken_off)). Not by default: half a page that looks
    /// like a whole one is worse than an error.
    pub keep_partial: bool,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            max_bytes: 10 << 20,
            max_in_flight_bytes: 64 << 20,
            max_ratio: 1_000,
            max_time: Duration::from_secs(10),
            keep_partial: false,
        }
    }
}

/// The ratio applies only beyond this many decoded bytes: a MiB does no harm, and a short repetitive text is no bomb.
const RATIO_FLOOR: u64 = 1 << 20;

/// How many bytes a coding consumes and produces in one step: bounds are checked this often. Equal to gzip's largest
/// window, so an ordinary page needs a step or two.
const STEP: usize = 32 << 10;

/// Decodes a body chunk by chunk. The output so far is available at any time, also after an error.
pub struct BodyDecoder {
    layers: Vec<DecodingLayer>,
    out: DecodedBody,
}

/// One coding and the output of its last step.
struct DecodingLayer {
    coding: Coding,
    /// Created with the first byte. An empty body has no coding, whatever its head says: responses to HEAD, 204, and
    /// servers that name a coding and send nothing.
    decoder: Option<Decoder>,
    made: Box<[u8]>,
    bytes_in: u64,
    bytes_out: u64,
}

struct DecodedBody {
    bytes: Vec<u8>,
    limits: BodyLimits,
    began: Option<Instant>,
}

impl BodyDecoder {
    /// Creates a decoder that decodes `codings` in the given order.
    pub fn new(codings: Vec<Coding>, limits: BodyLimits) -> Self {
        let layers = codings.into_iter().map(DecodingLayer::new).collect();
        Self { layers, out: DecodedBody { bytes: Vec::new(), limits, began: None } }
    }

    /// Decodes the next bytes of the body.
    ///
    /// # Errors
    /// The data is invalid, or exceeds a bound. The decoder cannot be used further.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), FetchError> {
        chunk.chunks(STEP).try_for_each(|piece| pour(&mut self.layers, piece, &mut self.out))
    }

    /// Ends the body.
    ///
    /// # Errors
    /// The data is incomplete.
    pub fn finish(&mut self) -> Result<(), FetchError> {
        let cut = self.layers.iter().find(|layer| layer.decoder.as_ref().is_some_and(|decoder| !decoder.is_whole()));
        cut.map_or(Ok(()), |layer| Err(layer.coding.broken("it ends too early")))
    }

    /// Takes what was decoded since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out.bytes)
    }

    /// Returns the decoded body.
    pub fn into_bytes(self) -> Bytes {
        self.out.bytes.into()
    }
}

/// Passes bytes through all codings to the output, step by step within the bounds.
fn pour(layers: &mut [DecodingLayer], mut input: &[u8], out: &mut DecodedBody) -> Result<(), FetchError> {
    let Some((layer, rest)) = layers.split_first_mut() else { return out.add(input) };
    loop {
        let made = layer.step(&mut input, &out.limits)?;
        out.check(layer)?;
        let made = layer.made.get(..made).unwrap_or_default();
        if !made.is_empty() {
            pour(rest, made, out)?;
        }
        // A step that filled its buffer may have more output.
        if input.is_empty() && made.len() < layer.made.len() {
            return Ok(());
        }
    }
}

impl DecodingLayer {
    fn new(coding: Coding) -> Self {
        Self { coding, decoder: None, made: Box::default(), bytes_in: 0, bytes_out: 0 }
    }

    /// Decodes from the front of `input`; returns how many bytes were produced.
    fn step(&mut self, input: &mut &[u8], limits: &BodyLimits) -> Result<usize, FetchError> {
        let failed = |fault| self.coding.failed(fault);
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => {
                self.made = vec![0; STEP].into();
                none.insert(Decoder::new(self.coding, limits.max_bytes).map_err(failed)?)
            }
        };
        let step = decoder.step(input, &mut self.made).map_err(failed)?;
        if step.read == 0 && step.made == 0 && !input.is_empty() {
            return Err(self.coding.broken("it leads nowhere"));
        }
        *input = input.get(step.read..).unwrap_or_default();
        self.bytes_in += step.read as u64;
        self.bytes_out += step.made as u64;
        Ok(step.made)
    }
}

impl DecodedBody {
    fn check(&mut self, layer: &DecodingLayer) -> Result<(), FetchError> {
        let BodyLimits { max_bytes, max_ratio, max_time, .. } = self.limits;
        let coding = layer.coding;
        if layer.bytes_out > max_bytes {
            return Err(FetchError::TooLarge(format!("over {max_bytes} bytes without its {coding} coding")));
        }
        if layer.bytes_out > RATIO_FLOOR && layer.bytes_out / u64::from(max_ratio.max(1)) > layer.bytes_in {
            let DecodingLayer { bytes_in, bytes_out, .. } = layer;
            return Err(FetchError::TooLarge(format!("{bytes_in} bytes of {coding} became {bytes_out} and more")));
        }
        let now = clock::now();
        if now.saturating_duration_since(*self.began.get_or_insert(now)) > max_time {
            let time = humantime::format_duration(max_time);
            return Err(coding.broken(format_args!("it does not decode within {time}")));
        }
        Ok(())
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        let max = self.limits.max_bytes;
        let length = self.bytes.len() + bytes.len();
        if length as u64 > max {
            return Err(FetchError::TooLarge(format!("over {max} bytes")));
        }
        if length > self.bytes.capacity() {
            // Double the capacity, up to the bound.
            let most = usize::try_from(max).unwrap_or(usize::MAX);
            let capacity = (self.bytes.capacity() * 2).min(most).max(length);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
