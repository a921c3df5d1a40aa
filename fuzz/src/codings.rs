//! Fuzzes the decoder of content codings with any bytes in any pieces: it never panics, its result does not depend on
//! the pieces, and what it makes is within its bounds.

use std::time::Duration;

use actix_crawler::{
    internals::{BodyDecoder, codings},
    transport::BodyLimits,
};
use bytes::Bytes;

const CODINGS: [&str; 9] =
    ["gzip", "deflate", "br", "zstd", "gzip, gzip", "br, zstd", "deflate, x-gzip", "identity", "unknown, gzip"];

/// The first byte chooses the codings, the second the length of the pieces; both are printable in the seeds, so that
/// those can be read.
pub fn fuzz(input: &[u8]) {
    let [choice, length, body @ ..] = input else { return };
    let named = CODINGS[usize::from(*choice) % CODINGS.len()];
    let whole = read(named, body.len(), body);
    let split = read(named, usize::from(*length), body);
    match (whole, split) {
        (Ok(whole), Ok(split)) => assert_eq!(whole, split),
        (Err(()), Err(())) => {}
        (whole, split) => panic!("{whole:?} but in pieces {split:?}"),
    }
}

fn read(named: &str, length: usize, body: &[u8]) -> Result<Bytes, ()> {
    let max_time = Duration::from_secs(1_000);
    let limits = BodyLimits { max_bytes: 256 << 10, max_time, ..BodyLimits::default() };
    let codings = codings(std::iter::once(named.as_bytes())).map_err(drop)?;
    let mut decoder = BodyDecoder::new(codings, limits);
    for piece in body.chunks(length.max(1)) {
        decoder.write(piece).map_err(drop)?;
    }
    decoder.finish().map_err(drop)?;
    let decoded = decoder.into_bytes();
    assert!(decoded.len() as u64 <= limits.max_bytes);
    Ok(decoded)
}
