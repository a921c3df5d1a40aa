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

/// Where records end.
pub(super) struct CsvEnds {
    /// The last one that has an end.
    pub whole: u64,
    /// One after it without an end, which has all its cells: its writer may end none.
    pub without_end: Option<u64>,
}

/// Returns where the last complete record ends. What follows is of a record whose writer was killed midway, and whose
/// item was never acknowledged; or whole, of a writer that ends no last record.
///
/// # Errors
/// The file cannot be read, or is not CSV.
pub(super) fn end_of_records(file: &mut File) -> io::Result<CsvEnds> {
    file.seek(SeekFrom::Start(0))?;
    let (mut records, mut record, mut last) = (reader(&*file), ::csv::ByteRecord::new(), 0);
    let (mut cells_of_first, mut cells_of_last) = (None, 0);
    while records.read_byte_record(&mut record)? {
        last = record.position().map_or(last, ::csv::Position::byte);
        cells_of_last = record.len();
        cells_of_first.get_or_insert(cells_of_last);
    }
    drop(records);
    file.seek(SeekFrom::Start(last))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let end = last + bytes.len() as u64;
    if bytes.is_empty() || bytes.ends_with(b"\n") && is_outside_quotes(bytes.clone()) {
        return Ok(CsvEnds { whole: end, without_end: None });
    }
    // A power failure leaves zeros.
    let has_all = cells_of_first == Some(cells_of_last) && !bytes.ends_with(b"\n") && !bytes.contains(&0);
    bytes.push(b'\n');
    Ok(CsvEnds { whole: last, without_end: (has_all && is_outside_quotes(bytes)).then_some(end) })
}

/// Tells whether a record that has a line end has it outside quotes.
fn is_outside_quotes(mut record: Vec<u8>) -> bool {
    // Within quotes, the next line would belong to the same record.
    record.extend_from_slice(b"next\n");
    reader(record.as_slice()).into_byte_records().count() > 1
}

fn reader<R: Read>(input: R) -> ::csv::Reader<R> {
    ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(input)
}
