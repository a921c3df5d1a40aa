//! ParquetSchema: the columns of a Parquet file, which grow with its records. Knows no files.

use std::{ptr, sync::Arc};

use ::parquet::{
    errors::Result as ParquetResult,
    file::metadata::{FileMetaData, KeyValue},
    schema::types::{Type, TypePtr},
};
use serde::{Deserialize, Serialize};

use super::kind::{ColumnKind, Scalar};
use crate::feed::{Flat, Record, SinkError, Value, record::is_within};

/// The columns, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ParquetSchema {
    pub columns: Vec<ParquetColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ParquetColumn {
    pub name: String,
    #[serde(flatten)]
    pub kind: ColumnKind,
}

/// A record in the columns.
pub(super) struct PlacedRecord<'r> {
    /// A value for each column, and for those that it adds.
    pub cells: Vec<&'r Value>,
    /// The columns from here on, if it changes them.
    pub schema: Option<ParquetSchema>,
}

/// A file with more columns has data as field names, as from a map: readers cannot use it, and the writer needs memory
/// for each column.
const MAX_COLUMNS: usize = 1_000;

/// The metadata key for a file's columns: its types do not tell text from a column that is null throughout.
const NOTE: &str = "actix-crawler";

/// What is noted in a file.
#[derive(Serialize, Deserialize)]
pub(super) struct Note {
    /// The rows that were being gathered when it was written are in it.
    pub part: String,
    #[serde(flatten)]
    pub schema: ParquetSchema,
}

static MISSING: Value = Value::Null;

impl ParquetSchema {
    /// Adds columns of these names, where they are not there yet.
    pub fn add(&mut self, names: &[String]) {
        for name in names {
            if self.position(name).is_none() {
                self.columns.push(ParquetColumn { name: name.clone(), kind: ColumnKind::UNKNOWN });
            }
        }
    }

    /// Returns the place of a column.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Returns the value for each column, and what changes with it. Fields of `whole` are one cell, whatever is in
    /// them.
    ///
    /// # Errors
    /// A value does not fit its column, or there are too many columns; the error names it.
    pub fn place<'r>(&self, record: &'r Record, whole: &[String]) -> Result<PlacedRecord<'r>, SinkError> {
        let is_cell = |name: &str| {
            whole.iter().any(|field| field == name)
                || self.columns.iter().any(|column| column.name == name && column.kind.scalar == Scalar::Json)
        };
        let fields = match Flat::but(record, is_cell) {
            Flat::Named(fields) => fields,
            Flat::Unnamed(values) => {
                let is_tuple = matches!(record.value(), Value::List(_));
                let name = |at: usize| if is_tuple { at.to_string() } else { "value".to_owned() };
                values.iter().enumerate().map(|(at, value)| (name(at).into(), value)).collect()
            }
        };
        let mut placed = PlacedRecord { cells: vec![&MISSING; self.columns.len()], schema: None };
        for (index, (name, value)) in fields.iter().enumerate() {
            let refuse = |why: String| SinkError::refused(format!("the column `{name}` {why}"));
            let kind = ColumnKind::of(value).map_err(|why| refuse(format!("cannot hold {why}")))?;
            let known = placed.schema.as_ref().unwrap_or(self);
            // Items of one type have their fields in the same positions.
            let is_here = known.columns.get(index).is_some_and(|column| column.name == *name);
            let place = if is_here { Some(index) } else { known.position(name) };
            match place.and_then(|place| Some((place, known.columns.get(place)?.kind))) {
                Some((place, had)) => {
                    let joined = had.join(kind).ok_or_else(|| refuse(format!("has {had}, and an item has {kind}")))?;
                    if joined != had
                        && let Some(column) = placed.schema.get_or_insert_with(|| self.clone()).columns.get_mut(place)
                    {
                        column.kind = joined;
                    }
                    match placed.cells.get_mut(place) {
                        Some(cell) if ptr::eq(*cell, &raw const MISSING) => *cell = value,
                        // As of {"price": {"amount": 3}, "price.amount": 4}.
                        _ => return Err(refuse("is that of two fields of an item".to_owned())),
                    }
                }
                // A struct that is not there has no fields.
                None if **value == Value::Null && known.has_below(name) => {}
                None if known.columns.len() >= MAX_COLUMNS => {
                    return Err(refuse(format!("would be one more than {MAX_COLUMNS}; name those that are written")));
                }
                None => {
                    let schema = placed.schema.get_or_insert_with(|| self.clone());
                    schema.columns.push(ParquetColumn { name: name.to_string(), kind });
                    placed.cells.push(value);
                }
            }
        }
        Ok(placed)
    }

    fn has_below(&self, name: &str) -> bool {
        self.columns.iter().any(|column| is_within(&column.name, name))
    }

    /// Leaves out the placeholder column of a struct whose fields have columns now, unless it was named.
    pub fn visible(&self, named: &[String]) -> Self {
        let is_visible = |column: &&ParquetColumn| {
            column.kind != ColumnKind::UNKNOWN || named.contains(&column.name) || !self.has_below(&column.name)
        };
        Self { columns: self.columns.iter().filter(is_visible).cloned().collect() }
    }

    /// Returns the schema of a file.
    ///
    /// # Errors
    /// None of those that the library knows occurs.
    pub fn file_type(&self) -> ParquetResult<TypePtr> {
        let columns: ParquetResult<_> = self.columns.iter().map(|column| column.kind.column(&column.name)).collect();
        Ok(Arc::new(Type::group_type_builder("items").with_fields(columns?).build()?))
    }
}

impl Note {
    /// Returns the note for a file.
    pub fn entry(&self) -> KeyValue {
        // Cannot fail: it is text throughout.
        KeyValue::new(NOTE.to_owned(), serde_json::to_string(self).unwrap_or_default())
    }

    /// Reads the note of a file; `None` if it was not written here.
    pub fn of(file: &FileMetaData) -> Option<Self> {
        let entries = file.key_value_metadata().into_iter().flatten();
        let text = entries.filter(|entry| entry.key == NOTE).find_map(|entry| entry.value.as_deref())?;
        let note: Self = serde_json::from_str(text).ok()?;
        let mut theirs = file.schema_descr().root_schema().get_fields().iter();
        let fits = |column: &ParquetColumn| theirs.next().cloned() == column.kind.column(&column.name).ok();
        (note.schema.columns.iter().all(fits) && theirs.next().is_none()).then_some(note)
    }
}
