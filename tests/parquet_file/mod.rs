//! A Parquet file as its own library reads it, row by row, without what the crawler has for it.

use std::{fs::File, path::Path};

use parquet::{
    file::{reader::FileReader as _, serialized_reader::SerializedFileReader},
    record::Field,
};
use serde_json::Value;

/// Reads the rows of a file as JSON.
pub fn rows(path: &Path) -> Vec<Value> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(|row| row.unwrap());
    rows.map(|row| row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect()).collect()
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => (*value).into(),
        Field::Long(value) => (*value).into(),
        Field::Double(value) => {
            serde_json::Number::from_f64(*value).map_or_else(|| value.to_string().into(), Value::from)
        }
        Field::Str(text) => text.as_str().into(),
        Field::Bytes(bytes) => bytes.data().into(),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        other => panic!("{other:?}"),
    }
}
