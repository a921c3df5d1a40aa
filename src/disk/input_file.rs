//! InputFile: what a user names to be read, up to a bound. A wrong name, as `/dev/zero`, or a pipe without an end, is
//! then an error and does not take all memory.

use std::{
    fs::File,
    io::{self, BufRead, Read},
    path::Path,
};

/// The most bytes of one line: a request of `poll` with a body of 12 MB in base64.
const MAX_LINE: u64 = 16 << 20;

/// The most bytes of a file of settings: one with some hundred thousand seeds.
const MAX_TEXT: u64 = 16 << 20;

/// Reads a file of settings.
///
/// # Errors
/// It cannot be read, is too long, or is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let bytes = read_whole(File::open(path)?, MAX_TEXT)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Reads all that there is.
///
/// # Errors
/// It cannot be read, or is longer than `max_bytes`.
pub fn read_whole(from: impl Read, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(too_long("it", max_bytes));
    }
    Ok(bytes)
}

/// Reads a line, with its end, onto the end of `line`. Returns its length, which is 0 after the last.
///
/// # Errors
/// It cannot be read, or is longer than 16 MiB.
pub fn read_line(mut from: impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    let length = from.by_ref().take(MAX_LINE + 1).read_until(b'\n', line)?;
    if length as u64 > MAX_LINE { Err(too_long("a line", MAX_LINE)) } else { Ok(length) }
}

fn too_long(what: &str, max_bytes: u64) -> io::Error {
    let why = format!("{what} goes on after {} MiB, which is the most that is read", max_bytes >> 20);
    io::Error::new(io::ErrorKind::FileTooLarge, why)
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, repeat};

    use super::*;

    #[test]
    fn what_has_no_end_is_an_error_and_what_fits_is_read_whole() {
        assert_eq!(read_whole(&[7; 1 << 20][..], 1 << 20).unwrap().len(), 1 << 20);
        let error = read_whole(repeat(0), 1 << 20).unwrap_err();
        assert_eq!(error.to_string(), "it goes on after 1 MiB, which is the most that is read");
        let mut line = Vec::new();
        let mut lines = &b"one\ntwo"[..];
        assert_eq!((read_line(&mut lines, &mut line).unwrap(), &line[..]), (4, &b"one\n"[..]));
        assert_eq!((read_line(&mut lines, &mut line).unwrap(), read_line(&mut lines, &mut line).unwrap()), (3, 0));
        let error = read_line(BufReader::new(repeat(0)), &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{error}");
    }
}
