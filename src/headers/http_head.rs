//! HttpHead: the head of an HTTP message as an archive keeps it, as bytes. Knows just enough of it for an index and for
//! a body.

use std::io::{self, BufRead, Read};

/// The longest head: four times what the crawler itself accepts.
const MAX_HEAD: u64 = 1 << 20;

/// Reads a head with the empty line that ends it; all there is, if none does.
///
/// # Errors
/// It is longer than a MiB, or cannot be read.
pub(crate) fn read(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut from = from.take(MAX_HEAD);
    loop {
        let begin = head.len();
        if from.read_until(b'\n', &mut head)? == 0 {
            if from.limit() == 0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an HTTP head of more than a MiB"));
            }
            return Ok(head);
        }
        if matches!(head.get(begin..), Some(b"\n" | b"\r\n")) {
            return Ok(head);
        }
    }
}

/// Returns the word at a place of the first line, counted from 0.
#[cfg(feature = "warc")]
pub(crate) fn word(head: &[u8], place: usize) -> Option<String> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    String::from_utf8_lossy(line).split_whitespace().nth(place).map(str::to_owned)
}

/// Returns the value of a field; of several the first.
#[cfg(feature = "warc")]
pub(crate) fn field(head: &[u8], name: &str) -> Option<String> {
    fields(head, name).next().map(|value| String::from_utf8_lossy(value).into_owned())
}

/// Returns the values of all fields of a name.
pub(crate) fn fields<'h>(head: &'h [u8], name: &'h str) -> impl Iterator<Item = &'h [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).filter_map(move |line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (known, value) = line.split_at_checked(colon)?;
        let is_it = known.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
        is_it.then(|| value.get(1..).unwrap_or_default().trim_ascii())
    })
}
