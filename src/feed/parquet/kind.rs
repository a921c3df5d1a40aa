//! ColumnKind: the type of a Parquet column, and which values fit it. Knows no files.

use std::{fmt, sync::Arc};

use ::parquet::{
    basic::{LogicalType, Repetition, Type as Physical},
    errors::Result,
    schema::types::{Type, TypePtr},
};
use serde::{Deserialize, Serialize};

use crate::feed::Value;

/// The type of a column: that of its values, or of the elements of its lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ColumnKind {
    pub scalar: Scalar,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_list: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scalar {
    /// Only null so far.
    Unknown,
    Bool,
    /// Whole numbers that a `DOUBLE` holds exactly.
    Small,
    /// Whole numbers of 64 bits.
    Integer,
    Float,
    Text,
    Bytes,
    /// What has fields, and lists of such, as JSON.
    Json,
}

impl fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scalar = match self.scalar {
            Scalar::Unknown => "null",
            Scalar::Bool => "booleans",
            Scalar::Small => "whole numbers",
            Scalar::Integer => "whole numbers beyond 2^53",
            Scalar::Float => "numbers with a fraction",
            Scalar::Text => "text",
            Scalar::Bytes => "bytes",
            Scalar::Json => "fields within fields or mixed lists",
        };
        write!(f, "{}{scalar}", if self.is_list { "lists of " } else { "" })
    }
}

/// A whole number up to this is exact as a `DOUBLE`.
const MAX_EXACT: u64 = 1 << 53;

impl ColumnKind {
    pub const UNKNOWN: Self = Self::one(Scalar::Unknown);

    const fn one(scalar: Scalar) -> Self {
        Self { scalar, is_list: false }
    }

    /// Returns the kind of a value.
    ///
    /// # Errors
    /// No column can hold it; the error says why.
    pub fn of(value: &Value) -> Result<Self, &'static str> {
        Ok(Self::one(match value {
            Value::Null => Scalar::Unknown,
            Value::Bool(_) => Scalar::Bool,
            Value::Integer(value) => match i64::try_from(*value) {
                Ok(value) if value.unsigned_abs() <= MAX_EXACT => Scalar::Small,
                Ok(_) => Scalar::Integer,
                Err(_) => return Err("a whole number beyond 64 bits with a sign; make text of it"),
            },
            Value::Float(_) => Scalar::Float,
            Value::Text(_) => Scalar::Text,
            Value::Bytes(_) => Scalar::Bytes,
            Value::Fields(_) => Scalar::Json,
            Value::List(values) => {
                let mut elements = Self::UNKNOWN;
                for value in values {
                    match value.is_plain().then(|| Self::of(value)).transpose()?.and_then(|kind| elements.join(kind)) {
                        Some(joined) => elements = joined,
                        None => return Ok(Self::one(Scalar::Json)),
                    }
                }
                return Ok(Self { scalar: elements.scalar, is_list: true });
            }
        }))
    }

    /// Returns the kind that holds both exactly; `None` if there is none.
    pub fn join(self, other: Self) -> Option<Self> {
        const JSON: ColumnKind = ColumnKind::one(Scalar::Json);
        const EMPTY: ColumnKind = ColumnKind { scalar: Scalar::Unknown, is_list: true };
        match (self, other) {
            (Self::UNKNOWN, kind) | (kind, Self::UNKNOWN) => Some(kind),
            // What was written as JSON holds everything.
            (JSON, _) | (EMPTY, JSON) => Some(JSON),
            (ours, theirs) if ours.is_list == theirs.is_list => {
                let scalar = match (ours.scalar, theirs.scalar) {
                    (ours, theirs) if ours == theirs => ours,
                    (Scalar::Unknown, scalar) | (scalar, Scalar::Unknown) => scalar,
                    (Scalar::Small, Scalar::Integer) | (Scalar::Integer, Scalar::Small) => Scalar::Integer,
                    (Scalar::Small, Scalar::Float) | (Scalar::Float, Scalar::Small) => Scalar::Float,
                    _ => return None,
                };
                Some(Self { scalar, ..ours })
            }
            _ => None,
        }
    }

    /// Returns the kind that is stored in the same way, of several that are.
    pub fn stored(self) -> Self {
        let scalar = match self.scalar {
            Scalar::Unknown => Scalar::Text,
            Scalar::Small => Scalar::Integer,
            scalar => scalar,
        };
        Self { scalar, ..self }
    }

    /// Returns the level at which a value is there, rather than null.
    pub fn level(self) -> i16 {
        if self.is_list { 3 } else { 1 }
    }

    /// Returns the column's description in the schema of a file.
    ///
    /// # Errors
    /// None of those that the library knows occurs.
    pub fn column(self, name: &str) -> Result<TypePtr> {
        if !self.is_list {
            return self.leaf(name);
        }
        // The three levels that the format asks for.
        let list = Type::group_type_builder("list")
            .with_repetition(Repetition::REPEATED)
            .with_fields(vec![self.leaf("element")?])
            .build()?;
        let column = Type::group_type_builder(name)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(Some(LogicalType::List))
            .with_fields(vec![Arc::new(list)]);
        Ok(Arc::new(column.build()?))
    }

    fn leaf(self, name: &str) -> Result<TypePtr> {
        let (physical, logical) = match self.scalar {
            Scalar::Bool => (Physical::BOOLEAN, None),
            Scalar::Small | Scalar::Integer => (Physical::INT64, None),
            Scalar::Float => (Physical::DOUBLE, None),
            Scalar::Unknown | Scalar::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Scalar::Bytes => (Physical::BYTE_ARRAY, None),
            Scalar::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
        };
        let leaf = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
        Ok(Arc::new(leaf.with_logical_type(logical).build()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_widens_only_where_every_value_stays_exact() {
        let int = |value: i128| Value::Integer(value);
        let list = |values: &[Value]| Value::List(values.to_vec());
        let text = Value::Text("a".to_owned());
        let (none, float, fields) = (Value::Null, Value::Float(0.5), Value::Fields(Vec::new()));
        let (big, small) = (int((1 << 53) + 1), int(-(1 << 53)));
        let joined = |a: &Value, b: &Value| {
            ColumnKind::of(a).unwrap().join(ColumnKind::of(b).unwrap()).map(|kind| kind.to_string())
        };
        for (a, b, expected) in [
            (&none, &text, Some("text")),
            (&small, &float, Some("numbers with a fraction")),
            (&float, &small, Some("numbers with a fraction")),
            (&small, &big, Some("whole numbers beyond 2^53")),
            (&big, &float, None),
            (&float, &big, None),
            (&text, &small, None),
            (&list(&[]), &list(&[none.clone(), big.clone()]), Some("lists of whole numbers beyond 2^53")),
            (&list(&[small.clone(), float.clone()]), &list(&[]), Some("lists of numbers with a fraction")),
            (&list(std::slice::from_ref(&text)), &text, None),
            (&list(&[text.clone(), small.clone()]), &text, Some("fields within fields or mixed lists")),
            (&list(std::slice::from_ref(&none)), &list(&[fields]), Some("fields within fields or mixed lists")),
        ] {
            assert_eq!(joined(a, b).as_deref(), expected, "{a:?} {b:?}");
        }
        assert!(ColumnKind::of(&int(i128::from(u64::MAX))).is_err());
    }
}
