//! Framing: the length of a body, and whether the connection persists, from the head alone (RFC 9112 §6.3, §9.3).

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
    /// Its length in bytes.
    Length(u64),
    /// The last chunk.
    Chunked,
    /// The end of the connection.
    UntilClose,
}

/// Values of Transfer-Encoding that are no transfer codings and come from mail or broken servers. They say nothing
/// about the body, so it is read to the end of the connection (§6.3 rule 4), as in browsers.
const NO_CODINGS: [&[u8]; 4] = [b"binary", b"none", b"7bit", b"8bit"];

/// Returns what ends the body of a final response.
///
/// Both Transfer-Encoding and Content-Length are an error, as §6.3 rule 3 advises, unless `chunked_over_length` lets
/// the former win, as that rule allows. HTTP/1.0 has no Transfer-Encoding, so one there is faulty framing (§6.1): it is
/// applied, and the connection is closed.
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
    // `identity`, from RFC 2616, means that the body is unchanged.
    let codings = lines.flat_map(elements).filter(|coding| !coding.eq_ignore_ascii_case(b"identity"));
    let mut codings: Vec<_> = codings.collect();
    // A gateway may repeat the header of the server behind it. Chunking twice is forbidden (RFC 9112 §6.1), so a second
    // `chunked` is a repetition, on one line or on two (RFC 9110 §5.3); curl ignores it too.
    codings.dedup_by(|coding, before| coding.eq_ignore_ascii_case(before));
    let overridden = chunked_over_length && !codings.is_empty();
    let length = if overridden { None } else { content_length(headers)? };
    match (codings.as_slice(), length) {
        ([], Some(length)) => Ok(Framing::Length(length)),
        ([], None) => Ok(Framing::UntilClose),
        (_, Some(_)) => Err(WireError::Conflict),
        ([only], None) if only.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        ([only], None) if NO_CODINGS.iter().any(|name| only.eq_ignore_ascii_case(name)) => Ok(Framing::UntilClose),
        // We request none and cannot decode it: an error is better than a wrong body.
        (codings, None) => Err(WireError::Coding(shown(&codings.join(&b", "[..])))),
    }
}

/// Returns the length; several equal values count as one (§6.3 rule 5).
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

/// Digits only: the standard library would also accept a sign.
fn parse_length(digits: &[u8]) -> Option<u64> {
    digits.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

/// Tells whether the connection persists: `close` wins, and HTTP/1.0 needs `keep-alive` (§9.3). After a response with
/// conflicting framings it does not (§6.3 rule 3): what follows may belong to the other framing.
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

/// The elements of a list; empty ones are ignored (RFC 9110 §5.6.1.2).
fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',').map(trimmed).filter(|element| !element.is_empty())
}
