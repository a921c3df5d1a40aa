//! Fuzzes the decoder with any bytes in any pieces: it never panics, its result does not depend on the pieces, and its
//! output is never longer than its input.

use actix_crawler::internals::{Head, ResponseDecoder, WireError, WireLimits};
use bytes::BytesMut;
use http::Method;

/// The first byte chooses the method, the second the length of the pieces; both are printable in the seeds, so that
/// those can be read.
pub fn fuzz(input: &[u8]) {
    let [choice, length, response @ ..] = input else { return };
    let method = if choice % 2 == 1 { Method::HEAD } else { Method::GET };
    let whole = read(&method, response.len(), response);
    let split = read(&method, usize::from(*length), response);
    match (whole, split) {
        (Ok(whole), Ok(split)) => assert_eq!(whole, split),
        // The bytes quoted in an error depend on how many were available.
        (Err(whole), Err(split)) => assert_eq!(std::mem::discriminant(&whole), std::mem::discriminant(&split)),
        (whole, split) => panic!("{whole:?} but in pieces {split:?}"),
    }
}

#[derive(Debug, PartialEq)]
struct Read {
    head: Option<Head>,
    body: Vec<u8>,
    is_reusable: bool,
}

/// Reads the response in pieces of this length.
fn read(method: &Method, length: usize, response: &[u8]) -> Result<Read, WireError> {
    let mut decoder = ResponseDecoder::new(method, WireLimits::default());
    let (mut input, mut body) = (BytesMut::new(), Vec::new());
    for piece in response.chunks(length.max(1)) {
        input.extend_from_slice(piece);
        while let Some(piece) = decoder.read(&mut input)? {
            body.extend_from_slice(&piece);
        }
    }
    if !decoder.is_done() {
        decoder.finish(input.len(), true)?;
    }
    assert!(body.len() <= response.len(), "{} bytes out of {}", body.len(), response.len());
    Ok(Read { head: decoder.take_head(), body, is_reusable: decoder.is_reusable() })
}
