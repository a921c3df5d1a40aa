//! Whole: makes a Parquet file of row groups in files of their own. Does not know where they come from.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, BufWriter},
    path::{Path, PathBuf},
    sync::Arc,
};

use ::parquet::{
    basic::{Compression, ZstdLevel},
    column::writer::ColumnCloseResult,
    errors::{ParquetError, Result},
    file::{
        properties::{EnabledStatistics, WriterProperties},
        reader::FileReader as _,
        serialized_reader::SerializedFileReader,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
};

use super::{
    buffer::{Buffer, RowReader},
    schema::{Note, ParquetColumn, ParquetSchema},
};

/// Writes the rows of a journal as one row group.
///
/// # Errors
/// The journal cannot be read, or the file cannot be written.
pub(super) fn write_group(journal: &Path, note: &Note, to: File) -> io::Result<File> {
    let mut buffers: Vec<_> = note.schema.columns.iter().map(|column| Buffer::new(column.kind)).collect();
    let (mut lines, mut line) = (BufReader::with_capacity(1 << 16, File::open(journal)?), Vec::new());
    while lines.read_until(b'\n', &mut line)? > 0 {
        if line.starts_with(b"[") {
            let mut row = serde_json::Deserializer::from_slice(&line);
            serde::de::DeserializeSeed::deserialize(RowReader(&mut buffers), &mut row)?;
        }
        line.clear();
    }
    write(note, to, |file| {
        let mut group = file.next_row_group()?;
        for buffer in buffers {
            buffer.write(&mut group)?;
        }
        group.close().map(drop)
    })
}

/// Writes one file of several: their encoded values are copied, unless a column was of a narrower kind.
///
/// # Errors
/// One of them cannot be read, or the file cannot be written.
pub(super) fn write_whole(parts: &[PathBuf], note: &Note, to: File) -> io::Result<File> {
    write(note, to, |file| {
        for path in parts {
            let source = GroupSource::open(path)?;
            for number in 0..source.reader.num_row_groups() {
                let mut group = file.next_row_group()?;
                for column in &note.schema.columns {
                    source.copy(number, column, &mut group)?;
                }
                group.close()?;
            }
        }
        Ok(())
    })
}

/// Reads the note of a file; `None` if it was not written here.
///
/// # Errors
/// It cannot be read, or is no Parquet file.
pub(super) fn note_of(file: File) -> io::Result<Option<Note>> {
    let reader = SerializedFileReader::new(file)?;
    Ok(Note::of(reader.metadata().file_metadata()))
}

type GroupWriter = SerializedFileWriter<BufWriter<File>>;

fn write(note: &Note, to: File, rows: impl FnOnce(&mut GroupWriter) -> Result<()>) -> io::Result<File> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        // What is copied has statistics for each row group, and so has the rest.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_created_by(concat!("actix-crawler ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let mut file =
        GroupWriter::new(BufWriter::with_capacity(1 << 20, to), note.schema.file_type()?, Arc::new(properties))?;
    rows(&mut file)?;
    file.append_key_value_metadata(note.entry());
    let buffered = file.into_inner()?;
    buffered.into_inner().map_err(io::IntoInnerError::into_error)
}

struct GroupSource {
    file: File,
    reader: SerializedFileReader<File>,
    schema: ParquetSchema,
}

impl GroupSource {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path)?;
        let reader = SerializedFileReader::new(file.try_clone()?)?;
        let foreign = || ParquetError::General(format!("{} was not written here", path.display()));
        let note = Note::of(reader.metadata().file_metadata()).ok_or_else(foreign)?;
        Ok(Self { file, reader, schema: note.schema })
    }

    fn copy(
        &self,
        number: usize,
        column: &ParquetColumn,
        to: &mut SerializedRowGroupWriter<'_, BufWriter<File>>,
    ) -> Result<()> {
        let group = self.reader.metadata().row_group(number);
        let rows = usize::try_from(group.num_rows()).map_err(|error| ParquetError::External(error.into()))?;
        let Some((place, theirs)) =
            self.schema.position(&column.name).and_then(|place| Some((place, self.schema.columns.get(place)?)))
        else {
            return Buffer::nulls(column.kind, rows).write(to);
        };
        if theirs.kind.stored() != column.kind.stored() {
            let reader = self.reader.get_row_group(number)?.get_column_reader(place)?;
            return Buffer::read(theirs.kind, rows, reader)?.widened(column.kind).write(to);
        }
        let metadata = group.column(place).clone();
        let encoded = ColumnCloseResult {
            bytes_written: u64::try_from(metadata.compressed_size())
                .map_err(|error| ParquetError::External(error.into()))?,
            rows_written: rows as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        to.append_column(&self.file, encoded)
    }
}
