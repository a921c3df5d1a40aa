//! Head: the status line and headers of one response (RFC 9112 §4, §5). Knows nothing of bodies.

use bytes::{Buf, Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use memchr::{memchr, memchr_iter};

use super::{
    WireLimits,
    error::{WireError, shown},
};

/// The head of a response: everything before the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The headers. A name may occur more than once; values may contain any bytes but control characters.
    pub headers: HeaderMap,
}

/// The versions that are distinguished; HTTP/1 later than 1.1 is treated as 1.1 (RFC 9110 §2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http10,
    Http11,
}

/// Searches for the end of a head. Examines each byte once, however slowly they are received.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    blank: usize,
    begun: bool,
    /// Where in the input the search continues.
    searched: usize,
    /// Where in the input the current line begins.
    line: usize,
    lines: usize,
}

/// The most bytes of empty lines before a status line. Chrome tolerates four stray bytes there; some servers send an
/// extra line end after a body.
const MAX_BLANK: usize = 8;

const BEGINNING: &[u8] = b"HTTP/";

/// Room for the headers of most responses; for more the map grows.
const USUAL_HEADERS: usize = 16;

impl HeadReader {
    /// Tells whether anything but empty lines was received.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Removes a head from the input, once it is complete.
    pub fn read(&mut self, input: &mut BytesMut, limits: WireLimits) -> Result<Option<Bytes>, WireError> {
        if !self.begun && !self.begin(input)? {
            return Ok(None);
        }
        let beginning = input.get(..BEGINNING.len()).unwrap_or(input);
        if !BEGINNING.get(..beginning.len()).is_some_and(|start| start.eq_ignore_ascii_case(beginning)) {
            return Err(WireError::NotHttp(shown(input)));
        }
        while let Some(found) = input.get(self.searched..).and_then(|rest| memchr(b'\n', rest)) {
            let (line, next) = (self.line, self.searched + found + 1);
            if next > limits.head_bytes {
                break;
            }
            if matches!(input.get(line..next), Some(b"\n" | b"\r\n")) {
                let head = Bytes::copy_from_slice(input.get(..line).unwrap_or_default());
                input.advance(next);
                return Ok(Some(head));
            }
            self.lines += 1;
            if self.lines > limits.head_lines {
                return Err(WireError::TooMany { what: "header lines", most: limits.head_lines });
            }
            (self.line, self.searched) = (next, next);
        }
        if input.len() > limits.head_bytes {
            return Err(WireError::TooLong { what: "a head", most: limits.head_bytes });
        }
        self.searched = input.len();
        Ok(None)
    }

    /// Skips empty lines; tells whether anything follows them.
    fn begin(&mut self, input: &mut BytesMut) -> Result<bool, WireError> {
        let blank = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.blank += blank;
        if self.blank > MAX_BLANK {
            return Err(WireError::NotHttp(shown(input)));
        }
        input.advance(blank);
        self.begun = !input.is_empty();
        Ok(self.begun)
    }
}

/// Parses a complete head.
///
/// Lines may end in a bare LF, and a stray CR is read as a space (RFC 9112 §2.2); folded values are joined with a space
/// (§5.2); white space before a colon is removed (§5.1). As in browsers, a line that is no header, or whose value has
/// control characters, is skipped. A NUL is an error (as in curl and Chrome), and so is an invalid value of a header
/// that frames the body.
pub(super) fn parse(head: &Bytes) -> Result<(Version, Head), WireError> {
    if memchr(0, head).is_some() {
        return Err(WireError::Nul);
    }
    let mut lines = head.split_inclusive(|&byte| byte == b'\n').map(without_end).peekable();
    let (version, status) = parse_status_line(lines.next().unwrap_or_default())?;
    let mut headers = HeaderMap::with_capacity(memchr_iter(b'\n', head).count().min(USUAL_HEADERS));
    while let Some(line) = lines.next() {
        let (name, value) = memchr(b':', line).and_then(|colon| line.split_at_checked(colon)).unwrap_or_default();
        let value = trimmed(value.get(1..).unwrap_or_default());
        let mut unfolded = None;
        while let Some(folded) = lines.next_if(|line| line.first().copied().is_some_and(is_space)) {
            let unfolded = unfolded.get_or_insert_with(|| value.to_vec());
            unfolded.push(b' ');
            unfolded.extend_from_slice(trimmed(folded));
        }
        let Ok(name) = HeaderName::from_bytes(trimmed_end(name)) else { continue };
        let value = unfolded.map_or_else(|| head.slice_ref(value), Bytes::from);
        match HeaderValue::from_maybe_shared(without_carriage_returns(value)) {
            Ok(value) => _ = headers.append(name, value),
            Err(_) if name == CONTENT_LENGTH || name == TRANSFER_ENCODING => {
                return Err(WireError::Control(name.to_string()));
            }
            Err(_) => {}
        }
    }
    Ok((version, Head { status, headers }))
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// White space by RFC 9110 §5.6.3, and the stray CR that counts as such.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// Returns the bytes without surrounding white space.
pub(super) fn trimmed(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|&byte| !is_space(byte)).unwrap_or(bytes.len());
    trimmed_end(bytes.get(start..).unwrap_or_default())
}

/// Returns the bytes without trailing white space.
pub(super) fn trimmed_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| !is_space(byte)).map_or(0, |last| last + 1);
    bytes.get(..end).unwrap_or_default()
}

fn without_carriage_returns(value: Bytes) -> Bytes {
    if memchr(b'\r', &value).is_none() {
        return value;
    }
    let spaced: Vec<u8> = value.iter().map(|&byte| if byte == b'\r' { b' ' } else { byte }).collect();
    Bytes::from(spaced)
}

/// Parses `HTTP/1.1 200 OK`. As in browsers, the case of `HTTP` is ignored, extra white space is allowed, and the
/// reason may be missing.
fn parse_status_line(line: &[u8]) -> Result<(Version, StatusCode), WireError> {
    let broken = || WireError::StatusLine(shown(line));
    let (version, rest) = line.get(BEGINNING.len()..).and_then(|rest| rest.split_at_checked(3)).ok_or_else(broken)?;
    let version = match version {
        b"1.0" => Version::Http10,
        [b'1', b'.', b'1'..=b'9'] => Version::Http11,
        _ => return Err(broken()),
    };
    let (code, reason) = trimmed(rest).split_at_checked(3).ok_or_else(broken)?;
    if !rest.first().copied().is_some_and(is_space) || !reason.first().copied().is_none_or(is_space) {
        return Err(broken());
    }
    let status = StatusCode::from_bytes(code).map_err(|_| broken())?;
    Ok((version, status))
}
