//! Buffer: the values of one column of a row group, between rows and Parquet. Knows no files.

use std::{fmt, io::Write, iter};

use ::parquet::{
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    errors::{ParquetError, Result},
    file::writer::SerializedRowGroupWriter,
};
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};

use super::kind::{ColumnKind, Scalar};

/// The values of a column, with the levels that Parquet has for what is null and for lists.
pub(super) struct Buffer {
    kind: ColumnKind,
    definitions: Vec<i16>,
    /// For lists alone.
    repetitions: Vec<i16>,
    values: ColumnValues,
}

enum ColumnValues {
    Bool(Vec<bool>),
    Integer(Vec<i64>),
    Float(Vec<f64>),
    /// One after the other, and where each ends.
    Bytes(Vec<u8>, Vec<usize>),
}

impl ColumnValues {
    fn new(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Bool => Self::Bool(Vec::new()),
            Scalar::Small | Scalar::Integer => Self::Integer(Vec::new()),
            Scalar::Float => Self::Float(Vec::new()),
            Scalar::Unknown | Scalar::Text | Scalar::Bytes | Scalar::Json => Self::Bytes(Vec::new(), Vec::new()),
        }
    }
}

/// The levels of a list that is null, that is empty, and of a null in a list.
const NULL: i16 = 0;
const EMPTY: i16 = 1;
const NULL_ELEMENT: i16 = 2;

impl Buffer {
    pub fn new(kind: ColumnKind) -> Self {
        Self { kind, definitions: Vec::new(), repetitions: Vec::new(), values: ColumnValues::new(kind.scalar) }
    }

    /// Creates the column of rows that do not have it.
    pub fn nulls(kind: ColumnKind, rows: usize) -> Self {
        let repetitions = if kind.is_list { vec![0; rows] } else { Vec::new() };
        Self { definitions: vec![NULL; rows], repetitions, ..Self::new(kind) }
    }

    fn level(&mut self, definition: i16, repetition: i16) {
        self.definitions.push(definition);
        if self.kind.is_list {
            self.repetitions.push(repetition);
        }
    }

    fn bytes(&mut self, value: &[u8]) -> bool {
        let ColumnValues::Bytes(bytes, ends) = &mut self.values else { return false };
        bytes.extend_from_slice(value);
        ends.push(bytes.len());
        true
    }

    /// Writes it as the next column of a row group.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write<W: Write + Send>(self, group: &mut SerializedRowGroupWriter<'_, W>) -> Result<()> {
        let missing = || ParquetError::General("a column too many".to_owned());
        let mut column = group.next_column()?.ok_or_else(missing)?;
        let definitions = Some(&*self.definitions);
        let repetitions = self.kind.is_list.then_some(&*self.repetitions);
        match self.values {
            ColumnValues::Bool(values) => column.typed::<BoolType>().write_batch(&values, definitions, repetitions)?,
            ColumnValues::Integer(values) => {
                column.typed::<Int64Type>().write_batch(&values, definitions, repetitions)?
            }
            ColumnValues::Float(values) => {
                column.typed::<DoubleType>().write_batch(&values, definitions, repetitions)?
            }
            ColumnValues::Bytes(bytes, ends) => {
                let bytes = Bytes::from(bytes);
                let begins = iter::once(0).chain(ends.iter().copied());
                let values: Vec<_> =
                    begins.zip(&ends).map(|(begin, end)| ByteArray::from(bytes.slice(begin..*end))).collect();
                column.typed::<ByteArrayType>().write_batch(&values, definitions, repetitions)?
            }
        };
        column.close()
    }

    /// Reads a column of a row group.
    ///
    /// # Errors
    /// It cannot be read, or is of another kind.
    pub fn read(kind: ColumnKind, rows: usize, reader: ColumnReader) -> Result<Self> {
        let mut buffer = Self::new(kind);
        match reader {
            ColumnReader::BoolColumnReader(reader) => buffer.values = ColumnValues::Bool(buffer.levels(rows, reader)?),
            ColumnReader::Int64ColumnReader(reader) => {
                buffer.values = ColumnValues::Integer(buffer.levels(rows, reader)?);
            }
            ColumnReader::DoubleColumnReader(reader) => {
                buffer.values = ColumnValues::Float(buffer.levels(rows, reader)?);
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                for value in buffer.levels(rows, reader)? {
                    buffer.bytes(value.data());
                }
            }
            _ => return Err(ParquetError::General("a column was not written here".to_owned())),
        }
        Ok(buffer)
    }

    fn levels<T: DataType>(&mut self, rows: usize, mut reader: ColumnReaderImpl<T>) -> Result<Vec<T::T>> {
        let (mut values, mut done) = (Vec::new(), 0);
        while done < rows {
            let repetitions = self.kind.is_list.then_some(&mut self.repetitions);
            let (read, ..) = reader.read_records(rows - done, Some(&mut self.definitions), repetitions, &mut values)?;
            if read == 0 {
                return Err(ParquetError::EOF("a column ends early".to_owned()));
            }
            done += read;
        }
        Ok(values)
    }

    /// Makes it one of a wider kind.
    pub fn widened(self, kind: ColumnKind) -> Self {
        match (self.kind, kind) {
            (ColumnKind { scalar: Scalar::Small | Scalar::Integer, .. }, ColumnKind { scalar: Scalar::Float, .. }) => {
                let values = match self.values {
                    // They are within what a DOUBLE holds exactly: see `Kind::join`.
                    #[allow(clippy::cast_precision_loss)]
                    ColumnValues::Integer(values) => {
                        ColumnValues::Float(values.into_iter().map(|value| value as f64).collect())
                    }
                    values => values,
                };
                Self { kind, values, ..self }
            }
            // Empty lists, of which something else has come.
            (ColumnKind { is_list: true, .. }, ColumnKind { is_list: false, .. }) => {
                let mut json = Self::new(kind);
                let mut levels = iter::zip(self.definitions, self.repetitions).peekable();
                while let Some((definition, _)) = levels.next() {
                    let mut nulls = usize::from(definition == NULL_ELEMENT);
                    while levels.next_if(|(_, repetition)| *repetition > 0).is_some() {
                        nulls += 1;
                    }
                    if definition == NULL {
                        json.level(NULL, 0);
                    } else {
                        json.nothing_but(nulls);
                    }
                }
                json
            }
            (ColumnKind { scalar: Scalar::Unknown, is_list: false }, kind) => Self::nulls(kind, self.definitions.len()),
            (ColumnKind { scalar: Scalar::Unknown, .. }, kind) => {
                Self { kind, values: ColumnValues::new(kind.scalar), ..self }
            }
            _ => Self { kind, ..self },
        }
    }

    /// Adds a list of nulls, as JSON.
    fn nothing_but(&mut self, nulls: usize) {
        let json = format!("[{}]", vec!["null"; nulls].join(","));
        self.level(1, 0);
        self.bytes(json.as_bytes());
    }
}

/// Reads a row of cells, which may lack the last ones, into the buffers.
pub(super) struct RowReader<'b>(pub &'b mut [Buffer]);

impl<'de> DeserializeSeed<'de> for RowReader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RowReader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut cells: A) -> Result<(), A::Error> {
        for buffer in self.0 {
            if cells.next_element_seed(Cell { buffer: &mut *buffer, element: None })?.is_none() {
                buffer.level(NULL, 0);
            }
        }
        Ok(())
    }
}

/// Reads a cell, or an element of a list with its level of repetition.
struct Cell<'b> {
    buffer: &'b mut Buffer,
    element: Option<i16>,
}

impl Cell<'_> {
    fn there(self) {
        let level = self.buffer.kind.level();
        self.buffer.level(level, self.element.unwrap_or(0));
    }
}

impl<'de> DeserializeSeed<'de> for Cell<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Cell<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a cell of {}", self.buffer.kind)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        match self.element {
            Some(repetition) => self.buffer.level(NULL_ELEMENT, repetition),
            None => self.buffer.level(NULL, 0),
        }
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        let ColumnValues::Bool(values) = &mut self.buffer.values else { return Err(E::custom("a boolean")) };
        values.push(value);
        self.there();
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        match &mut self.buffer.values {
            ColumnValues::Integer(values) => values.push(value),
            // Written before the column was one of numbers with a fraction, and exact: see `Kind::join`.
            #[allow(clippy::cast_precision_loss)]
            ColumnValues::Float(values) => values.push(value as f64),
            _ => return Err(E::custom("a number")),
        }
        self.there();
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.visit_i64(i64::try_from(value).map_err(E::custom)?)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        match &mut self.buffer.values {
            // serde_json reads some numbers not quite exactly, so they are written as text.
            ColumnValues::Float(values) => values.push(text.parse().map_err(E::custom)?),
            ColumnValues::Bytes(..) if self.buffer.kind.scalar == Scalar::Bytes => {
                let bytes = unhex(text).ok_or_else(|| E::custom("no bytes"))?;
                self.buffer.bytes(&bytes);
            }
            ColumnValues::Bytes(..) => drop(self.buffer.bytes(text.as_bytes())),
            _ => return Err(E::custom("text")),
        }
        self.there();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        if !self.buffer.kind.is_list {
            // Written before the column was one of JSON.
            let mut nulls = 0;
            while elements.next_element::<()>()?.is_some() {
                nulls += 1;
            }
            self.buffer.nothing_but(nulls);
            return Ok(());
        }
        if self.element.is_some() {
            return Err(A::Error::custom("a list within a list"));
        }
        let mut repetition = 0;
        while elements.next_element_seed(Cell { buffer: &mut *self.buffer, element: Some(repetition) })?.is_some() {
            repetition = 1;
        }
        if repetition == 0 {
            self.buffer.level(EMPTY, 0);
        }
        Ok(())
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.as_bytes().chunks(2).map(byte).collect()
}
