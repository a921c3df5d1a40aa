//! RawResponse: a response from the wire, its body still in its content codings. Does not know the request.

use std::{fmt, net::IpAddr, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_ENCODING};

use super::body::{self, BodyDecoder, BodyLimits, BodyReader, Reservation};
use crate::outcome::FetchError;

/// A response whose body is still in its content codings.
pub struct RawResponse {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// When it was completely received.
    pub fetched_at: SystemTime,
    /// The body without its transfer coding, still in its content codings.
    pub body: Bytes,
    /// How many bytes of the body went to a sink; `body` is empty then.
    pub streamed: u64,
    /// Whether the body is longer than the part that was read.
    pub is_cut: bool,
    /// The memory reserved for the body.
    pub reservation: Reservation,
}

impl RawResponse {
    /// Returns the length of the body on the wire.
    pub fn length(&self) -> u64 {
        self.body.len() as u64 + self.streamed
    }

    /// Takes the memory reservation, so that it can end before or after the response.
    pub fn release_memory(&mut self) -> Reservation {
        std::mem::take(&mut self.reservation)
    }

    /// Returns the body as a stream without its content codings. Nothing is decoded yet.
    ///
    /// # Errors
    /// A coding is unknown.
    pub fn reader(&self, limits: BodyLimits) -> Result<BodyReader, FetchError> {
        let codings = body::codings(self.headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes))?;
        Ok(BodyReader::new(self.body.clone(), codings, limits))
    }

    /// Returns the decoded body. If `limits` allow partial bodies, the second value says why the body is partial.
    ///
    /// # Errors
    /// A coding is invalid, or the body exceeds `limits`.
    pub fn decoded(&self, limits: BodyLimits) -> Result<(Bytes, Option<FetchError>), FetchError> {
        let codings = body::codings(self.headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes))?;
        if codings.is_empty() {
            return Ok((self.body.clone(), None));
        }
        let mut decoder = BodyDecoder::new(codings, limits);
        match decoder.write(&self.body).and_then(|()| decoder.finish()) {
            Ok(()) => Ok((decoder.into_bytes(), None)),
            Err(why) if limits.keep_partial => Ok((decoder.into_bytes(), Some(why))),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for RawResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawResponse")
            .field("status", &self.status)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The bytes of one exchange as they were on the wire, inside TLS, including heads and transfer codings.
///
/// The request includes everything that was sent, also credentials and cookies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireBytes {
    /// The bytes written.
    pub request: Vec<u8>,
    /// The bytes received and read. Interim responses (RFC 9110 §15.2) come first.
    pub response: Vec<u8>,
    /// Whether more was received than is kept here.
    pub is_cut: bool,
    /// The address of the server; `None` through a proxy, which alone knows it.
    pub server: Option<IpAddr>,
}

/// What is kept of a response in addition to twice its largest body: the head, whose length is bounded, and interim
/// responses.
const MAX_HEADS: u64 = 256 << 10;

impl WireBytes {
    /// Adds received bytes; returns how many of them are kept. The worst chunked coding frames each byte separately;
    /// whatever exceeds twice the largest body is dropped.
    pub(super) fn add_received(&mut self, bytes: &[u8], max_body: u64) -> u64 {
        let most = max_body.saturating_mul(2).saturating_add(MAX_HEADS);
        let room = usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(self.response.len());
        let kept = bytes.get(..room).unwrap_or(bytes);
        self.response.extend_from_slice(kept);
        self.is_cut |= kept.len() < bytes.len();
        kept.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn response(codings: &[&'static str], body: Vec<u8>) -> RawResponse {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        RawResponse {
            status: 200,
            headers,
            fetched_at: SystemTime::UNIX_EPOCH,
            body: body.into(),
            streamed: 0,
            is_cut: false,
            reservation: Reservation::default(),
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn codings_come_off_in_the_reverse_of_their_order_over_all_headers() {
        let body = zstd::encode_all(&gzip(&gzip(b"content"))[..], 1).unwrap();
        let response = response(&["x-gzip, identity", "gzip, zstd"], body);
        assert_eq!(response.decoded(BodyLimits::default()), Ok((Bytes::from("content"), None)));
    }

    #[test]
    fn a_response_without_a_body_needs_no_coding() {
        assert_eq!(response(&["gzip"], Vec::new()).decoded(BodyLimits::default()), Ok((Bytes::new(), None)));
    }

    #[test]
    fn half_a_body_is_an_error_unless_it_is_asked_for() {
        let whole = gzip(&b"as much as it takes, ".repeat(9_000));
        let response = response(&["gzip"], whole[..whole.len() - 8].to_vec());
        let error = response.decoded(BodyLimits::default()).unwrap_err();
        let limits = BodyLimits { keep_partial: true, ..BodyLimits::default() };
        let (body, why) = response.decoded(limits).unwrap();
        assert_eq!((body.len(), why), (21 * 9_000, Some(error)));
    }

    #[test]
    fn bytes_of_the_wire_are_bounded() {
        let mut wire = WireBytes::default();
        let piece = vec![b'x'; 100 << 10];
        let kept: u64 = (0..9).map(|_| wire.add_received(&piece, 10)).sum();
        assert_eq!((kept, wire.response.len() as u64, wire.is_cut), (MAX_HEADS + 20, MAX_HEADS + 20, true));
    }
}
