//! Inflate: one step of decoding a deflate stream (RFC 1951), used by the codings `gzip` and `deflate`. Knows no
//! headers and no bounds.

use flate2::{Decompress, FlushDecompress, Status};

/// How many bytes one step read and produced.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InflateStep {
    /// Bytes consumed from the input.
    pub read: usize,
    /// Bytes written to the output.
    pub made: usize,
}

/// Decodes one step; tells whether the stream ended with it.
pub(super) fn inflate(stream: &mut Decompress, input: &[u8], output: &mut [u8]) -> Result<(InflateStep, bool), String> {
    let (read, made) = (stream.total_in(), stream.total_out());
    let status = stream.decompress(input, output, FlushDecompress::None).map_err(|error| error.to_string())?;
    #[allow(clippy::cast_possible_truncation, reason = "both differences are at most the lengths of the slices")]
    let step = InflateStep { read: (stream.total_in() - read) as usize, made: (stream.total_out() - made) as usize };
    Ok((step, status == Status::StreamEnd))
}
