//! ArchivedBody: the body of an HTTP message as an archive keeps it, decoded piece by piece. Knows no archive's format.

use std::{
    fmt,
    io::{self, BufRead, ErrorKind, Read, Write},
    time::Duration,
};

use bytes::BytesMut;
use http::Method;

use super::{
    body::{self, BodyDecoder, BodyLimits},
    wire::{ResponseDecoder, WireLimits},
};
use crate::headers::http_head;

/// Why a body was not copied whole.
#[derive(Debug)]
pub enum NotCopied {
    /// It cannot be read, or is not in the coding that its head names.
    Unreadable(io::Error),
    /// The destination does not take it.
    Unwritable(io::Error),
}

/// How much coded input is decoded at once: within the largest ratio it makes a thousand times as much.
const DECODED_AT_ONCE: usize = 4 << 10;

/// Copies what follows the head of a message. With `decodes`, transfer and content codings are undone; a coding that
/// the crawler does not know stays, as in a crawl. Needs some MiB of memory, however long the body is.
///
/// # Errors
/// What could be read is copied by then.
pub fn copy_body(from: &mut impl BufRead, to: &mut impl Write, decodes: bool) -> Result<u64, NotCopied> {
    let head = CodingsOfHead::read(from).map_err(NotCopied::Unreadable)?;
    let mut body = Body { to, decoder: None, chunks: None, length: 0 };
    if decodes {
        let codings = body::codings(head.content.iter().map(Vec::as_slice)).map_err(undecodable)?;
        // Its length is for the caller to judge; what it decodes to is within the ratio of pages.
        let limits = BodyLimits { max_bytes: u64::MAX, max_time: Duration::MAX, ..BodyLimits::default() };
        body.decoder = (!codings.is_empty()).then(|| BodyDecoder::new(codings, limits));
        let mut begins = Vec::new();
        from.take(MAX_SIZE).read_to_end(&mut begins).map_err(NotCopied::Unreadable)?;
        body.chunks = (head.is_chunked && begins_with_chunk(&begins)).then(Chunks::default);
        body.take(&begins)?;
    }
    body.copy(from)
}

/// Copies all that there is.
///
/// # Errors
/// What could be read is copied by then.
pub fn copy_all(from: &mut impl BufRead, to: &mut impl Write) -> Result<u64, NotCopied> {
    Body { to, decoder: None, chunks: None, length: 0 }.copy(from)
}

fn undecodable(error: impl fmt::Display) -> NotCopied {
    NotCopied::Unreadable(io::Error::new(ErrorKind::InvalidData, error.to_string()))
}

/// What a head says of codings.
struct CodingsOfHead {
    is_chunked: bool,
    content: Vec<Vec<u8>>,
}

impl CodingsOfHead {
    fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let head = http_head::read(from)?;
        Ok(Self {
            is_chunked: http_head::fields(&head, "transfer-encoding")
                .any(|value| value.to_ascii_lowercase().ends_with(b"chunked")),
            content: http_head::fields(&head, "content-encoding").map(<[u8]>::to_vec).collect(),
        })
    }
}

/// The longest size of a chunk, with the byte after it.
const MAX_SIZE: u64 = 17;

/// Tells whether a body begins with the size of a chunk: some writers take the chunks off, and leave the head as it
/// was.
fn begins_with_chunk(body: &[u8]) -> bool {
    let size = body.split(|byte| matches!(byte, b';' | b'\r' | b'\n' | b' ')).next().unwrap_or_default();
    !size.is_empty() && size.len() < body.len() && size.iter().all(u8::is_ascii_hexdigit)
}

/// Takes the chunks off a body.
struct Chunks {
    decoder: ResponseDecoder,
    input: BytesMut,
}

impl Default for Chunks {
    fn default() -> Self {
        let decoder = ResponseDecoder::new(&Method::GET, WireLimits::default());
        Self { decoder, input: BytesMut::from(&b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"[..]) }
    }
}

struct Body<'t, T> {
    to: &'t mut T,
    decoder: Option<BodyDecoder>,
    chunks: Option<Chunks>,
    length: u64,
}

impl<T: Write> Body<'_, T> {
    fn copy(mut self, from: &mut impl BufRead) -> Result<u64, NotCopied> {
        loop {
            let piece = from.fill_buf().map_err(NotCopied::Unreadable)?;
            let length = piece.len();
            if length == 0 {
                self.finish()?;
                return Ok(self.length);
            }
            self.take(piece)?;
            from.consume(length);
        }
    }

    /// Takes bytes as they are after the head.
    fn take(&mut self, bytes: &[u8]) -> Result<(), NotCopied> {
        let Some(mut chunks) = self.chunks.take() else { return self.decode(bytes) };
        chunks.input.extend_from_slice(bytes);
        while let Some(piece) = chunks.decoder.read(&mut chunks.input).map_err(undecodable)? {
            self.decode(&piece)?;
        }
        if chunks.decoder.is_done() {
            // What follows the last chunk is not the body's.
            chunks.input.clear();
        }
        self.chunks = Some(chunks);
        Ok(())
    }

    /// Takes bytes without chunks.
    fn decode(&mut self, bytes: &[u8]) -> Result<(), NotCopied> {
        if self.decoder.is_none() {
            return self.write(bytes);
        }
        for piece in bytes.chunks(DECODED_AT_ONCE) {
            let Some(decoder) = &mut self.decoder else { break };
            let result = decoder.write(piece);
            let made = decoder.take();
            self.write(&made)?;
            result.map_err(undecodable)?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), NotCopied> {
        self.length += bytes.len() as u64;
        self.to.write_all(bytes).map_err(NotCopied::Unwritable)
    }

    fn finish(&mut self) -> Result<(), NotCopied> {
        if let Some(chunks) = &mut self.chunks {
            chunks.decoder.finish(chunks.input.len(), true).map_err(undecodable)?;
        }
        if let Some(decoder) = &mut self.decoder {
            decoder.finish().map_err(undecodable)?;
        }
        self.to.flush().map_err(NotCopied::Unwritable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn copied(head: &str, body: &[u8], decodes: bool) -> Result<Vec<u8>, String> {
        let message = [head.as_bytes(), b"\r\n\r\n", body].concat();
        let mut to = Vec::new();
        // In small pieces, as a file is read.
        let copied = copy_body(&mut io::BufReader::with_capacity(7, &*message), &mut to, decodes);
        match copied {
            Ok(length) => {
                assert_eq!(length, to.len() as u64);
                Ok(to)
            }
            Err(NotCopied::Unreadable(error) | NotCopied::Unwritable(error)) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_body_is_copied_without_the_codings_that_its_head_names() {
        let text = "some text, ".repeat(500);
        let coded = gzip(text.as_bytes());
        let chunked = [format!("{:x}\r\n", coded.len()).as_bytes(), &coded, b"\r\n0\r\n\r\n"].concat();
        for (head, body) in [
            ("HTTP/1.1 200 OK", text.as_bytes()),
            ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip", &coded),
            ("HTTP/1.1 200 OK\r\ncontent-encoding:gzip\r\nTransfer-Encoding: chunked", &chunked),
            // Its writer took the chunks off.
            ("HTTP/1.1 200 OK\r\nContent-Encoding: x-gzip\r\nTransfer-Encoding: chunked", &coded),
            ("POST / HTTP/1.1\r\nContent-Encoding: gzip", &coded),
            ("HTTP/1.1 200 OK\r\nContent-Encoding: of-its-own", text.as_bytes()),
        ] {
            assert!(copied(head, body, true).is_ok_and(|it| it == text.as_bytes()), "{head}");
            assert_eq!(copied(head, body, false).unwrap(), body, "{head}");
        }
    }

    #[test]
    fn a_body_that_is_broken_or_expands_without_end_is_an_error() {
        let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip";
        let coded = gzip("some text, ".repeat(500).as_bytes());
        assert!(copied(head, &coded[..coded.len() / 2], true).unwrap_err().contains("ends too early"));
        assert!(copied(head, b"\x1f\x8bno gzip", true).unwrap_err().contains("gzip"));
        assert!(copied("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", b"5\r\nab", true).is_err());
        assert!(copied(head, &gzip(&vec![0; 64 << 20]), true).is_err(), "a bomb");
        assert!(copied(&format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(2 << 20)), b"", true).is_err());
    }
}
