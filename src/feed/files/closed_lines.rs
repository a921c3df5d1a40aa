//! Closed lines: finds the end of the last whole record in a file that has one record a line and a closing after the
//! last. Knows no format.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
};

/// Returns where the records end, without the closing. `beginning` stands before the first record. `whole` gets a line
/// without its line end, and whether it is the first of the file. It returns how many bytes of the line are whole;
/// `None` if none are.
///
/// A kill tears one write: what it wrote is a part of what was to stand there, over the closing and after it. So there
/// is at most one line without an end; and lines with one that are not whole are together no longer than the closing,
/// of which they are a remainder. Anything else was not written here.
///
/// # Errors
/// The file cannot be read, or was not written like this.
pub(super) fn end_of_closed_lines(
    file: &mut File,
    beginning: &[u8],
    closing: &[u8],
    whole: impl Fn(&[u8], bool) -> Option<usize>,
) -> io::Result<u64> {
    let length = file.metadata()?.len();
    if ends_as_ours(file, closing)? {
        return Ok(length - closing.len() as u64);
    }
    let (mut end, mut remainder) = (length, 0);
    loop {
        let begin = begin_of_line(file, end)?;
        let line = read(file, begin, end)?;
        let has_end = end < length;
        // A record begins with its first byte: another program's may stand within another of them.
        let may_be_ours = line.first().is_some_and(|byte| !byte.is_ascii_whitespace()) && line.len() <= MAX_LINE;
        if (has_end || line.ends_with(b","))
            && may_be_ours
            && let Some(whole) = whole(&line, begin == 0)
        {
            return Ok(begin + whole as u64);
        }
        if begin == 0 {
            let is_short = length <= MAX_BEGINNING;
            let is_torn = is_short && is_beginning(&read(file, 0, length)?, &[beginning, closing].concat());
            return if is_torn { Ok(0) } else { Err(foreign()) };
        }
        if has_end {
            remainder += line.len() + 1;
            if remainder > closing.len() {
                return Err(foreign());
            }
        }
        end = begin - 1;
    }
}

/// Tells whether the closing stands at the end of a file, as it is written here.
///
/// # Errors
/// The file cannot be read.
pub(super) fn ends_as_ours(file: &mut File, closing: &[u8]) -> io::Result<bool> {
    let length = file.metadata()?.len();
    match length.checked_sub(closing.len() as u64) {
        None | Some(0) => Ok(false),
        Some(before) => Ok(read(file, before, length)? == closing),
    }
}

/// Returns where the last byte before `end` ends that is no white space.
///
/// # Errors
/// The file cannot be read.
fn end_of_text(file: &mut File, mut end: u64) -> io::Result<u64> {
    while end > 0 {
        let from = end.saturating_sub(STEP);
        let block = read(file, from, end)?;
        if let Some(last) = block.iter().rposition(|byte| !byte.is_ascii_whitespace()) {
            return Ok(from + last as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

/// Returns where the text before the end of a file ends that is closed by `closed_by`, whoever wrote it. `None` if it
/// is not.
///
/// # Errors
/// The file cannot be read.
pub(super) fn end_before(file: &mut File, closed_by: &[u8]) -> io::Result<Option<u64>> {
    let length = file.metadata()?.len();
    let end = end_of_text(file, length)?;
    let Some(before) = end.checked_sub(closed_by.len() as u64) else { return Ok(None) };
    if read(file, before, end)? != closed_by {
        return Ok(None);
    }
    end_of_text(file, before).map(Some)
}

/// A file without records is no longer than that.
const MAX_BEGINNING: u64 = 256;

/// Tells whether a file has the beginning of what stands in one without records: it was torn in its first write, or
/// another program has spaced it in its own way. A power failure leaves zeros.
fn is_beginning(content: &[u8], empty: &[u8]) -> bool {
    let is_text = |byte: &&u8| !byte.is_ascii_whitespace() && **byte != 0;
    let mut empty = empty.iter().filter(is_text);
    content.iter().filter(is_text).all(|byte| empty.next() == Some(byte))
}

/// A longer line is taken for damage.
const MAX_LINE: usize = 1 << 30;

pub(super) fn foreign() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "what is in it was not written here, so nothing is added; write to another file",
    )
}

fn read(file: &mut File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(to - from).map_err(io::Error::other)?];
    file.seek(SeekFrom::Start(from))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Returns where the line begins that ends at `end`.
fn begin_of_line(file: &mut File, end: u64) -> io::Result<u64> {
    let mut to = end;
    while to > 0 {
        let from = to.saturating_sub(STEP);
        let block = read(file, from, to)?;
        if let Some(last) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(from + last as u64 + 1);
        }
        to = from;
    }
    Ok(0)
}

/// The step when searching backwards; larger than most lines.
const STEP: u64 = 65_536;
