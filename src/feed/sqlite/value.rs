//! Value: the values of records as SQLite has them, and what a column with a type would make of them. Knows no table.

use rusqlite::types;

use crate::feed::{Value, table::is_exact};

/// Returns a value as SQLite has it. A boolean is 0 or 1; a whole number beyond 64 bits is text, and so are lists and
/// maps, as JSON. NaN is null; infinities are kept.
pub(super) fn of(value: &Value) -> types::Value {
    match value {
        Value::Null => types::Value::Null,
        Value::Bool(value) => types::Value::Integer(i64::from(*value)),
        Value::Integer(value) => {
            i64::try_from(*value).map_or_else(|_| types::Value::Text(value.to_string()), types::Value::Integer)
        }
        Value::Float(value) if value.is_nan() => types::Value::Null,
        Value::Float(value) => types::Value::Real(*value),
        Value::Text(text) => types::Value::Text(text.clone()),
        Value::Bytes(bytes) => types::Value::Blob(bytes.clone()),
        Value::List(_) | Value::Fields(_) => types::Value::Text(value.to_json()),
    }
}

/// What a column makes of values, by its declared type (<https://sqlite.org/datatype3.html>, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affinity {
    /// Keeps each as it is.
    None,
    Text,
    /// Of integers and of any numbers.
    Numeric,
    Real,
}

impl Affinity {
    /// Reads the type of a column.
    pub fn of(declared: &str) -> Self {
        let declared = declared.to_ascii_uppercase();
        let has = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
        if has(&["INT"]) {
            Self::Numeric
        } else if has(&["CHAR", "CLOB", "TEXT"]) {
            Self::Text
        } else if declared.is_empty() || has(&["BLOB"]) {
            Self::None
        } else if has(&["REAL", "FLOA", "DOUB"]) {
            Self::Real
        } else {
            Self::Numeric
        }
    }

    /// Returns the value as the column may take it.
    ///
    /// # Errors
    /// The column would make another one of it; the error says which.
    pub fn fit(self, value: types::Value) -> Result<types::Value, String> {
        match (self, value) {
            // Written here, since SQLite writes 15 digits.
            (Self::Text, types::Value::Integer(value)) => Ok(types::Value::Text(value.to_string())),
            (Self::Text, types::Value::Real(value)) => Ok(types::Value::Text(format!("{value:?}"))),
            (Self::Numeric | Self::Real, types::Value::Text(text)) => self.fit_text(text),
            (Self::Real, types::Value::Integer(value)) if !is_exact(value.into()) => {
                Err(format!("has the type of floats, which do not have {value}"))
            }
            (_, value) => Ok(value),
        }
    }

    /// Text that looks like a number becomes one in a column for numbers.
    fn fit_text(self, text: String) -> Result<types::Value, String> {
        let trimmed = text.trim_matches(|sign: char| sign.is_ascii_whitespace() || sign == '\u{b}');
        let looks_like_one = trimmed.starts_with(|sign: char| sign.is_ascii_digit() || matches!(sign, '+' | '-' | '.'))
            && trimmed.parse::<f64>().is_ok();
        let stays = match text.parse::<i64>() {
            Ok(value) => value.to_string() == text && (self == Self::Numeric || is_exact(value.into())),
            Err(_) => text.parse::<f64>().is_ok_and(|value| {
                // A column of integers makes one of 3.0.
                value.is_finite() && format!("{value:?}") == text && (self == Self::Real || value.fract() != 0.0)
            }),
        };
        if looks_like_one && !stays {
            let text: String = text.chars().take(40).collect();
            return Err(format!("has the type of numbers, of which none is written as `{text}`"));
        }
        Ok(types::Value::Text(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_with_a_type_takes_what_stays_as_it_is_and_nothing_else() {
        use rusqlite::Connection;
        use types::Value::{Integer, Real, Text};
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (a INTEGER, b NUMERIC, c REAL, d TEXT, e BLOB, f)").unwrap();
        let text = |text: &str| Text(text.to_owned());
        let values = [
            Integer(5),
            Integer(i64::MAX),
            Integer((1 << 53) + 1),
            Real(0.1 + 0.2),
            Real(3.0),
            Real(1e300),
            text("007"),
            text("7"),
            text("-7"),
            text("3.5"),
            text("3.50"),
            text(" 7"),
            text("1e3"),
            text("18446744073709551615"),
            text("x"),
            text(""),
            text("nan"),
            text("inf"),
            text("+1"),
            text("1000000000000000000000"),
            text("0x10"),
            text("1_000"),
            text("."),
            text(".5"),
            text("5."),
            text("9007199254740993"),
            text("\u{b}7"),
        ];
        for (column, declared) in
            [("a", "INTEGER"), ("b", "NUMERIC"), ("c", "REAL"), ("d", "TEXT"), ("e", "BLOB"), ("f", "")]
        {
            for value in &values {
                let Ok(fit) = Affinity::of(declared).fit(value.clone()) else { continue };
                connection.execute(&format!("INSERT INTO t ({column}) VALUES (?)"), [&fit]).unwrap();
                let sql = format!("SELECT {column} FROM t WHERE rowid = last_insert_rowid()");
                let read: types::Value = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
                let (mut read, mut written) = (shown(&read), shown(value));
                if matches!(value, Real(_)) {
                    // The same number as text, if the column has text.
                    (read, written) = (read.trim_end_matches(".0").into(), written.trim_end_matches(".0").into());
                }
                assert_eq!(read, written, "{value:?} in a column of type {declared}");
            }
        }
        for (declared, refused) in [("INTEGER", "007"), ("REAL", "3.50"), ("NUMERIC", "18446744073709551615")] {
            assert!(Affinity::of(declared).fit(text(refused)).is_err(), "{refused}");
        }
        assert!(Affinity::Real.fit(Integer((1 << 53) + 1)).is_err());
    }

    /// Equal for equal numbers, whatever their type.
    fn shown(value: &types::Value) -> String {
        match value {
            types::Value::Integer(value) => value.to_string(),
            types::Value::Real(value) => format!("{value:?}").trim_end_matches(".0").to_owned(),
            types::Value::Text(text) => text.clone(),
            other => format!("{other:?}"),
        }
    }
}
