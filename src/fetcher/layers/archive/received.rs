//! Received: the response of an exchange as it is archived, from its bytes on the wire: its last head, and its body
//! without the transfer coding. Knows no request record.

use bytes::{Bytes, BytesMut};
use memchr::memchr;

use super::reason;
use crate::{
    fetcher::fetch::NoResponse,
    request::Request,
    transport::{
        raw_response::RawResponse,
        wire::{ResponseDecoder, WireLimits},
    },
    warc::Truncated,
};

/// A response as it is archived.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Received {
    /// The head, with the empty line at its end.
    pub head: Vec<u8>,
    /// The body, still in its content codings.
    pub body: Bytes,
    /// Why it is not whole, if it is not.
    pub truncated: Option<Truncated>,
}

/// The prefix of header fields that framed the body on the wire and no longer apply.
const ORIGINAL: &[u8] = b"X-Orig-";

impl Received {
    /// Takes a response apart; `None` if there is no whole head, or it is none of HTTP.
    pub fn of(request: &Request, result: &Result<RawResponse, NoResponse>, wire: Vec<u8>) -> Option<Self> {
        let (begin, end) = last_head(&wire)?;
        let head = archived_head(wire.get(begin..end)?)?;
        match result {
            Ok(response) => {
                let truncated = response.is_cut.then_some(Truncated::Length);
                Some(Self { head, body: response.body.clone(), truncated })
            }
            Err(why) => {
                // Faulty framing has already failed the exchange; here as much as possible is kept.
                let limits = WireLimits { chunked_over_length: true, ..WireLimits::default() };
                let mut decoder = ResponseDecoder::new(&request.method, limits);
                let mut input = BytesMut::from(Bytes::from(wire));
                let mut body = BytesMut::new();
                while let Ok(Some(piece)) = decoder.read(&mut input) {
                    body.extend_from_slice(&piece);
                }
                if decoder.promised().is_some() {
                    // A short body of a known length comes only whole.
                    body.extend_from_slice(&input);
                }
                let truncated = match why {
                    _ if decoder.is_done() => None,
                    NoResponse::Failed(error) => Some(reason(error)),
                    _ => Some(Truncated::Unspecified),
                };
                Some(Self { head, body: body.freeze(), truncated })
            }
        }
    }
}

/// Returns where the head of the final response begins and ends, its empty line included.
fn last_head(wire: &[u8]) -> Option<(usize, usize)> {
    let mut begin = 0;
    loop {
        begin += wire.get(begin..)?.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let mut line = begin;
        let end = loop {
            let next = line + memchr(b'\n', wire.get(line..)?)? + 1;
            if matches!(wire.get(line..next), Some(b"\n" | b"\r\n")) {
                break next;
            }
            line = next;
        };
        let is_interim = status_of(wire.get(begin..end)?).is_some_and(|status| status.starts_with(b"1"));
        if !is_interim {
            return Some((begin, end));
        }
        begin = end;
    }
}

/// Returns the digits of a status.
fn status_of(head: &[u8]) -> Option<&[u8]> {
    let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let status = line.get(8..)?.trim_ascii_start().get(..3)?;
    let is_http = line.get(..5)?.eq_ignore_ascii_case(b"HTTP/");
    (is_http && status.iter().all(u8::is_ascii_digit)).then_some(status)
}

/// Renames the fields for framing that the archived body no longer has. An HTTP version that no archive reader knows
/// becomes HTTP/1.1.
fn archived_head(head: &[u8]) -> Option<Vec<u8>> {
    status_of(head)?;
    let name_of =
        |line: &[u8]| line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    let is_coded = head.split(|byte| *byte == b'\n').any(|line| name_of(line) == b"transfer-encoding");
    let mut kept = Vec::with_capacity(head.len() + 16);
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        match &*name_of(line) {
            b"transfer-encoding" => kept.extend_from_slice(ORIGINAL),
            // With a transfer coding, `Content-Length` was ignored on the wire, and is wrong for the archived body.
            b"content-length" if is_coded => kept.extend_from_slice(ORIGINAL),
            _ => {}
        }
        kept.extend_from_slice(line);
    }
    if !matches!(kept.get(..8), Some(b"HTTP/1.1" | b"HTTP/1.0")) {
        kept.splice(..8, *b"HTTP/1.1");
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{FetchError, Phase};

    /// What is archived of a response that failed.
    fn failed(wire: &str, error: FetchError) -> Option<(String, String, Option<Truncated>)> {
        let request = Request::parse("http://e.org/").unwrap();
        let result = Err(NoResponse::Failed(error));
        let Received { head, body, truncated } = Received::of(&request, &result, wire.as_bytes().to_vec())?;
        Some((String::from_utf8(head).unwrap(), String::from_utf8(body.to_vec()).unwrap(), truncated))
    }

    fn broken_off() -> FetchError {
        FetchError::Truncated("broken off".into())
    }

    #[test]
    fn a_part_of_a_body_comes_without_its_transfer_coding_and_says_why_it_is_no_more() {
        let late = FetchError::Timeout { phase: Phase::Idle, limit: std::time::Duration::from_secs(1) };
        for (framing, body, error, expected, why) in [
            ("content-length: 9", "half", broken_off(), "half", Truncated::Disconnect),
            ("transfer-encoding: chunked", "4\r\nhalf\r\n5\r\nan", late, "halfan", Truncated::Time),
            ("x: y", "until", broken_off(), "until", Truncated::Disconnect),
            ("content-length: 9", "", FetchError::TooLarge("9".into()), "", Truncated::Length),
            (
                "transfer-encoding: chunked",
                "4\r\nhalfX",
                FetchError::Protocol("x".into()),
                "half",
                Truncated::Unspecified,
            ),
        ] {
            let (head, archived, truncated) =
                failed(&format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}"), error).unwrap();
            assert_eq!((archived.as_str(), truncated), (expected, Some(why)), "{framing} {body}");
            let framing = framing.replace("transfer-encoding", "X-Orig-transfer-encoding");
            assert_eq!(head, format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
        }
    }

    #[test]
    fn the_head_is_the_last_one_and_what_is_no_head_is_nothing() {
        let interim = "\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nhttp/1.2  200\nA:b\n\nbody";
        let (head, body, _) = failed(interim, broken_off()).unwrap();
        assert_eq!((head.as_str(), body.as_str()), ("HTTP/1.1  200\nA:b\n\n", "body"));
        for no_head in ["", "\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"]
        {
            assert_eq!(failed(no_head, broken_off()), None, "{no_head:?}");
        }
    }

    #[test]
    fn a_length_that_was_not_followed_is_renamed_too() {
        let both = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
        let (head, body, truncated) = failed(both, FetchError::Protocol("both".into())).unwrap();
        assert!(head.contains("X-Orig-Content-Length: 99\r\nX-Orig-Transfer-Encoding"), "{head}");
        assert_eq!((body.as_str(), truncated), ("x", None));
    }
}
