//! File: an existing CSV file: its header, and the end of its last complete record.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// Opens a file to append records, creating it if necessary. An incomplete last record is cut off: its writer was
/// killed midway, and the item was never acknowledged.
///
/// # Errors
/// The file cannot be read or written, or is not CSV.
pub(super) fn append(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    let metadata = file.metadata()?;
    // A pipe or a terminal has no content to cut.
    if metadata.is_file() {
        let whole = end_of_whole_records(&mut file)?;
        if whole < metadata.len() {
            file.set_len(whole)?;
        }
    }
    Ok(file)
}

/// Reads the header; `None` if there is none.
///
/// # Errors
/// The file cannot be read, or is not text.
pub(super) fn header(file: &mut File) -> io::Result<Option<Vec<String>>> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(0))?;
    let mut header = ::csv::StringRecord::new();
    let found = reader(&*file).read_record(&mut header)?;
    Ok(found.then(|| header.iter().map(str::to_owned).collect()))
}

fn end_of_whole_records(file: &mut File) -> io::Result<u64> {
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
