//! Row: the cells of a record in the journal, as a line of JSON. Knows no files.

use serde::{Serialize, Serializer, ser::SerializeSeq};

use super::{
    kind::{ColumnKind, Scalar},
    schema::ParquetColumn,
};
use crate::feed::Value;

/// The cells of a record, below their columns. What `Buffer` reads.
pub(super) struct RowCells<'r> {
    pub columns: &'r [ParquetColumn],
    pub cells: &'r [&'r Value],
}

impl Serialize for RowCells<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let cells = self.columns.iter().zip(self.cells);
        serializer.collect_seq(cells.map(|(column, value)| CellOf { kind: column.kind, value }))
    }
}

struct CellOf<'v> {
    kind: ColumnKind,
    value: &'v Value,
}

impl Serialize for CellOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.value, self.kind.scalar) {
            (Value::Null, _) => serializer.serialize_unit(),
            (value, Scalar::Json) => serializer.serialize_str(&value.to_json()),
            (Value::List(values), scalar) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    list.serialize_element(&CellOf { kind: ColumnKind { scalar, is_list: false }, value })?;
                }
                list.end()
            }
            // serde_json reads some numbers not quite exactly.
            (Value::Float(value), _) => serializer.collect_str(&format_args!("{value:?}")),
            (Value::Bytes(_), _) => serializer.serialize_str(&self.value.to_cell()),
            (value, _) => value.serialize(serializer),
        }
    }
}
