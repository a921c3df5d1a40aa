//! ColumnType: the types that columns get by the values in them, and what each column takes. Knows no table.

use crate::feed::Value;

/// The type of a column that a feed makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    Bigint,
    Numeric,
    Double,
    Text,
    Boolean,
    Jsonb,
    Bytea,
}

impl ColumnType {
    /// Returns the type of a value; `None` for null, which fits every type.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::Bool(_) => Some(Self::Boolean),
            Value::Integer(value) if i64::try_from(*value).is_ok() => Some(Self::Bigint),
            Value::Integer(_) => Some(Self::Numeric),
            Value::Float(_) => Some(Self::Double),
            Value::Text(_) => Some(Self::Text),
            Value::Bytes(_) => Some(Self::Bytea),
            Value::List(_) | Value::Fields(_) => Some(Self::Jsonb),
        }
    }

    /// Returns the type for all values of a column: that which numbers have in common, or else that of the first. Null
    /// alone makes a column of text, which gets another type with its first value.
    pub fn of_all<'v>(values: impl Iterator<Item = &'v Value>) -> Self {
        let common = values.filter_map(Self::of).reduce(|all, one| match (all, one) {
            (Self::Bigint, Self::Double) | (Self::Double, Self::Bigint) => Self::Double,
            (Self::Bigint | Self::Double, Self::Numeric) | (Self::Numeric, Self::Bigint | Self::Double) => {
                Self::Numeric
            }
            (first, _) => first,
        });
        common.unwrap_or(Self::Text)
    }

    /// Returns the name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bigint => "bigint",
            Self::Numeric => "numeric",
            Self::Double => "double precision",
            Self::Text => "text",
            Self::Boolean => "boolean",
            Self::Jsonb => "jsonb",
            Self::Bytea => "bytea",
        }
    }
}
