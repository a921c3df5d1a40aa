//! Framing: how long a body is, and whether the connection lives on, from the head alone (RFC 9112 §6.3, §9.3).

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
};

use super::{
    error::{WireError, shown},
    head::{Version, trimmed},
};

/// What ends a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Its length.
    Length(u64),
    /// Its last chunk.
    Chunked,
    /// The end of the connection.
    UntilClose,
}

/// Values that are no codings at all, of mail and of servers' whims: they say nothing about the body, so it is read to
/// the end of the connection (§6.3 rule 4), as browsers do.
const WHIMS: [&[u8]; 4] = [b"binary", b"none", b"7bit", b"8bit"];

/// Tells what ends the body of a final response.
///
/// Both Transfer-Encoding and Content-Length are an error, as §6.3 rule 3 advises, unless `chunked_over_length` has the
/// former win, as that rule allows. HTTP/1.0 knows no Transfer-Encoding, so one there is faulty framing (§6.1): it is
/// read as it says, and the connection is closed.
pub(super) fn of(
    is_head: bool,
    status: StatusCode,
    headers: &HeaderMap,
    chunked_over_length: bool,
) -> Result<Framing, WireError> {
    if is_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Framing::Length(0));
    }
    let lines = headers.get_all(TRANSFER_ENCODING).iter().map(HeaderValue::as_bytes);
    // Identity: nothing was done to the body. RFC 2616 had a name for that.
    let codings = lines.flat_map(elements).filter(|coding| !coding.eq_ignore_ascii_case(b"identity"));
    let mut codings: Vec<_> = codings.collect();
    // A gateway may repeat what the server behind it says. Nobody chunks twice (RFC 9112 §6.1), so the second is the
    // first once more, on one line as on two (RFC 9110 §5.3); curl ignores it too.
    codings.dedup_by(|coding, before| coding.eq_ignore_ascii_case(before));
    let overridden = chunked_over_length && !codings.is_empty();
    let length = if overridden { None } else { content_length(headers)? };
    match (codings.as_slice(), length) {
        ([], Some(length)) => Ok(Framing::Length(length)),
        ([], None) => Ok(Framing::UntilClose),
        (_, Some(_)) => Err(WireError::Conflict),
        ([only], None) if only.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        ([only], None) if WHIMS.iter().any(|whim| only.eq_ignore_ascii_case(whim)) => Ok(Framing::UntilClose),
        // We ask for none, and what one has done to the bytes cannot be told: an error, rather than a wrong body.
        (codings, None) => Err(WireError::Coding(shown(&codings.join(&b", "[..])))),
    }
}

/// Returns the length; several are one if they are equal (§6.3 rule 5).
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, WireError> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for number in value.as_bytes().split(|&byte| byte == b',') {
            let number = parse_length(trimmed(number));
            if number.is_none() || length.is_some_and(|length| Some(length) != number) {
                let all: Vec<_> = headers.get_all(CONTENT_LENGTH).iter().map(HeaderValue::as_bytes).collect();
                return Err(WireError::Length(shown(&all.join(&b", "[..]))));
            }
            length = number;
        }
    }
    Ok(length)
}

/// Digits only: the standard library would take a sign too.
fn parse_length(digits: &[u8]) -> Option<u64> {
    digits.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

/// Tells whether the server keeps the connection: `close` wins, and HTTP/1.0 must say `keep-alive` (§9.3). A connection
/// whose response had two framings is not used again (§6.3 rule 3): what follows may be meant for the other.
pub(super) fn persists(version: Version, headers: &HeaderMap, framing: Framing) -> bool {
    let is_ambiguous = framing == Framing::Chunked && headers.contains_key(CONTENT_LENGTH);
    if framing == Framing::UntilClose || is_ambiguous {
        return false;
    }
    let options = || headers.get_all(CONNECTION).iter().flat_map(|value| elements(value.as_bytes()));
    let says = |word: &[u8]| options().any(|option| option.eq_ignore_ascii_case(word));
    let unasked_coding = version == Version::Http10 && headers.contains_key(TRANSFER_ENCODING);
    !says(b"close") && !unasked_coding && (version == Version::Http11 || says(b"keep-alive"))
}

/// The elements of a list; empty ones count for nothing (RFC 9110 §5.6.1.2).
fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',').map(trimmed).filter(|element| !element.is_empty())
}
