//! File: an existing CSV file: its header, and the end of its last complete record.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

/// Reads the header; `None` if there is none.
///
/// # Errors
/// The file cannot be read, or is not text.
pub(super) fn header(content: &mut dyn Read) -> io::Result<Option<Vec<String>>> {
    let mut header = ::csv::StringRecord::new();
    let found = reader(content).read_record(&mut header)?;
    Ok(found.then(|| header.iter().map(str::to_owned).collect()))
}

/// Returns where the last complete record ends. What follows is of a record whose writer was killed midway, and whose item
/// was never acknowledged.
///
/// # Errors
/// The file cannot be read, or is not CSV.
pub(super) fn end_of_records(file: &mut File) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let (mut records, mut record, mut last) = (reader(&*file), ::csv::ByteRecord::new(), 0);
    while records.read_byte_record(&mut record)? {
        last = record.position().map_or(last, ::csv::Position::byte);
    }
    drop(records);
    file.seek(SeekFrom::Start(last))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let end = last + bytes.len() as u64;
    Ok(if is_whole(bytes) { end } else { last })
}

/// Tells whether a record is complete: it has a line end outside quotes.
fn is_whole(mut record: Vec<u8>) -> bool {
    if !record.ends_with(b"\n") {
        return record.is_empty();
    }
    // Within quotes, the next line would belong to the same record.
    record.extend_from_slice(b"next\n");
    reader(record.as_slice()).into_byte_records().count() > 1
}

fn reader<R: Read>(input: R) -> ::csv::Reader<R> {
    ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(input)
}
