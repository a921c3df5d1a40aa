//! Cell: a value as the text that a column of PostgreSQL reads. Knows no table.

use super::schema::{Class, PostgresColumn};
use crate::feed::{Value, table::is_exact};

/// Returns the text of a value for a column; `None` for null.
///
/// # Errors
/// It does not fit the column; the error says how. What the server says itself is left to it.
pub(super) fn text(value: &Value, column: &PostgresColumn) -> Result<Option<String>, String> {
    if *value == Value::Null {
        return Ok(None);
    }
    let of_server = |text: String| Ok(Some(text));
    match (column.class, value) {
        (Class::Json, value) => of_server(value.to_json()),
        // A number that a float does not have would become another one.
        (Class::Float, Value::Integer(value)) if !is_exact(*value) => {
            Err(format!("is {}, which does not have {value}", column.shown))
        }
        (Class::Integer, Value::Float(value)) if value.fract() == 0.0 && value.abs() < MAX_EXACT => {
            of_server(format!("{value:.0}"))
        }
        (Class::Array, Value::List(values)) => Ok(Some(array(values))),
        // The feed's own columns have the type of their values; no text becomes a number there.
        (Class::Integer | Class::Float | Class::Numeric | Class::Boolean | Class::Bytes, Value::Text(text))
            if column.is_of_feed =>
        {
            let text: String = text.chars().take(40).collect();
            Err(format!("is {}, and a text came, `{text}`", column.shown))
        }
        (_, value) => of_server(plain(value)),
    }
}

/// Up to this, a float is a whole number exactly.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) if value.is_nan() => "NaN".to_owned(),
        Value::Float(value) if value.is_infinite() => if *value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        Value::Float(value) => format!("{value:?}"),
        Value::Text(text) => text.clone(),
        Value::Bytes(_) => format!("\\x{}", value.to_cell()),
        Value::List(_) | Value::Fields(_) => value.to_json(),
    }
}

/// Writes a list as a literal of an array, for columns that the user has made as such.
fn array(values: &[Value]) -> String {
    let element = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::List(values) => array(values),
        value => format!("\"{}\"", plain(value).replace('\\', "\\\\").replace('"', "\\\"")),
    };
    format!("{{{}}}", values.iter().map(element).collect::<Vec<_>>().join(","))
}

/// Tells whether a value has a NUL character, which no text of PostgreSQL has.
pub(super) fn has_nul(value: &Value) -> bool {
    match value {
        Value::Text(text) => memchr::memchr(0, text.as_bytes()).is_some(),
        Value::List(values) => values.iter().any(has_nul),
        Value::Fields(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

/// Appends a row for COPY, in its text format.
pub(super) fn copy_row<'c>(cells: impl Iterator<Item = Option<&'c str>>, to: &mut Vec<u8>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            to.push(b'\t');
        }
        let Some(cell) = cell else {
            to.extend_from_slice(b"\\N");
            continue;
        };
        let mut rest = cell.as_bytes();
        while let Some(place) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\n' | b'\r' | b'\t')) {
            let (plain, special) = rest.split_at(place);
            to.extend_from_slice(plain);
            to.push(b'\\');
            to.push(match special.first() {
                Some(b'\n') => b'n',
                Some(b'\r') => b'r',
                Some(b'\t') => b't',
                _ => b'\\',
            });
            rest = special.get(1..).unwrap_or_default();
        }
        to.extend_from_slice(rest);
    }
    to.push(b'\n');
}
