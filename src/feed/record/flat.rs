//! Flat: a record as named cells, for formats that have columns. Knows no format.

use std::borrow::Cow;

use super::{Record, Value};
use crate::text::hexadecimal::hexadecimal;

/// Separates the values of a list in one cell.
pub const LIST_SEPARATOR: &str = " | ";

/// A record as cells. Fields within fields are cells of their own, named with dots, as `price.amount`; a list is one
/// cell.
///
/// ```
/// use actix_crawler::feed::{Flat, Record, Value};
///
/// let item = serde_json::json!({"name": "tea", "price": {"amount": 3, "currency": "EUR"}, "tags": ["a", "b"]});
/// let record = Record::of(&item, "https://shop.example/tea")?;
/// let Flat::Named(cells) = Flat::of(&record) else { unreachable!() };
/// let names: Vec<_> = cells.iter().map(|(name, _)| &**name).collect();
/// assert_eq!(names, ["name", "price.amount", "price.currency", "tags"]);
/// assert_eq!(cells[3].1.to_cell(), "a | b");
/// # Ok::<(), actix_crawler::feed::SinkError>(())
/// ```
#[derive(Debug, PartialEq)]
pub enum Flat<'r> {
    /// The cells of a struct or a map, with their names.
    Named(Vec<(Cow<'r, str>, &'r Value)>),
    /// The elements of a tuple or a list; one for a plain value.
    Unnamed(&'r [Value]),
}

impl<'r> Flat<'r> {
    /// Flattens a record.
    pub fn of(record: &'r Record) -> Self {
        Self::but(record, |_| false)
    }

    /// Flattens a record but for the fields whose names are those of cells: they stay whole.
    pub(crate) fn but(record: &'r Record, is_cell: impl Fn(&str) -> bool) -> Self {
        match (record.fields(), record.value()) {
            (Some(fields), _) => {
                let mut cells = Vec::with_capacity(fields.len());
                for (name, value) in fields {
                    flatten(Cow::Borrowed(&**name), value, &is_cell, &mut cells);
                }
                Self::Named(cells)
            }
            (None, Value::List(values)) => Self::Unnamed(values),
            (None, plain) => Self::Unnamed(std::slice::from_ref(plain)),
        }
    }
}

/// Tells whether a cell is of a field within another, as `price.amount` is of one within `price`.
#[cfg(any(feature = "csv", feature = "sqlite", feature = "postgres", feature = "parquet"))]
pub(crate) fn is_within(cell: &str, field: &str) -> bool {
    cell.strip_prefix(field).is_some_and(|rest| rest.starts_with('.'))
}

fn flatten<'r>(
    name: Cow<'r, str>,
    value: &'r Value,
    is_cell: &impl Fn(&str) -> bool,
    cells: &mut Vec<(Cow<'r, str>, &'r Value)>,
) {
    match value {
        Value::Fields(fields) if !is_cell(&name) => {
            for (inner, value) in fields {
                flatten(Cow::Owned(format!("{name}.{inner}")), value, is_cell, cells);
            }
        }
        _ => cells.push((name, value)),
    }
}

impl Value {
    /// Returns it as the text of a cell. Null is empty, and so is a number that is not finite. Bytes are hexadecimal.
    /// The plain values of a list are joined by ` | `; a list of others, or what has fields, is JSON.
    pub fn to_cell(&self) -> Cow<'_, str> {
        match self {
            Self::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Self::Integer(value) => Cow::Owned(value.to_string()),
            Self::Float(value) if value.is_finite() => Cow::Owned(format!("{value:?}")),
            Self::Null | Self::Float(_) => Cow::Borrowed(""),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Bytes(bytes) => Cow::Owned(hexadecimal(bytes)),
            Self::List(values) if values.iter().all(Self::is_plain) => {
                let cells: Vec<_> = values.iter().map(Self::to_cell).collect();
                Cow::Owned(cells.join(LIST_SEPARATOR))
            }
            Self::List(_) | Self::Fields(_) => Cow::Owned(self.to_json()),
        }
    }
}
