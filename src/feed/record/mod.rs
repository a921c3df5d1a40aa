//! Record: an item as named, typed fields, made once by way of serde. Knows no format.

mod flat;
mod serializer;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, sync::Arc};

use serde::{Serialize, Serializer, ser::SerializeMap};

#[cfg(any(feature = "csv", feature = "sqlite", feature = "postgres", feature = "parquet"))]
pub(crate) use self::flat::is_within;
pub use self::flat::{Flat, LIST_SEPARATOR};
use super::SinkError;

/// The name of a field.
pub type Name = Cow<'static, str>;

/// An item as named, typed fields, from which each format takes what it can hold.
///
/// ```
/// use actix_crawler::feed::{Record, Value};
///
/// #[derive(serde::Serialize)]
/// struct Product { name: &'static str, stock: u64, price: Option<f64> }
///
/// let record = Record::of(&Product { name: "tea", stock: u64::MAX, price: None }, "https://shop.example/tea")?;
/// assert_eq!(record.get("stock"), Some(&Value::Integer(u64::MAX.into())));
/// assert_eq!(record.get("price"), Some(&Value::Null), "which is not the same as a field that is not there");
/// assert_eq!(record.to_json(), r#"{"name":"tea","stock":18446744073709551615,"price":null}"#);
/// # Ok::<(), actix_crawler::feed::SinkError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    url: Arc<str>,
    value: Value,
    variant: Option<&'static str>,
}

/// What a field holds. Dates and times are text, as their types serialize them.
///
/// ```
/// use actix_crawler::feed::{Record, Value};
///
/// let record = Record::of(&[Some(1), None], "https://example.org/")?;
/// assert_eq!(record.value(), &Value::List(vec![Value::Integer(1), Value::Null]));
/// # Ok::<(), actix_crawler::feed::SinkError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `None`, `()`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number, exactly. What is beyond an `i128` is text of its digits.
    Integer(i128),
    /// A number. An `f32` is the shortest decimal number that reads as the same. What is not finite is null in formats
    /// that cannot hold it.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes, of types that serialize as such; a `Vec<u8>` is a list of numbers for serde.
    Bytes(Vec<u8>),
    /// A list, a tuple or a set.
    List(Vec<Value>),
    /// A struct or a map, with its fields in their order. A variant of an enum with content is one with a single field
    /// of its name, as in JSON.
    Fields(Vec<(Name, Value)>),
}

impl Record {
    /// Makes a record of an item of a page.
    ///
    /// # Errors
    /// The item's own `Serialize` fails, a map's keys are no text, numbers or booleans, or it is nested more than 128
    /// deep.
    pub fn of<I: Serialize + ?Sized>(item: &I, url: impl Into<Arc<str>>) -> Result<Self, SinkError> {
        let (value, variant) = serializer::value_of(item).map_err(SinkError::refused)?;
        Ok(Self { url: url.into(), value, variant })
    }

    /// Makes a record of an item, or one of each item of a list.
    ///
    /// # Errors
    /// As [`Record::of`].
    pub(crate) fn each_of<I: Serialize + ?Sized>(items: &I, url: impl Into<Arc<str>>) -> Result<Vec<Self>, SinkError> {
        let record = Self::of(items, url)?;
        match record.value {
            Value::List(items) => {
                let of_item = |value| Self { url: record.url.clone(), value, variant: None };
                Ok(items.into_iter().map(of_item).collect())
            }
            _ => Ok(vec![record]),
        }
    }

    /// Returns the URL of the item's page.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the whole item.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Returns the name of the variant, if the item is an enum whose variant has content and serde writes its name.
    pub fn variant(&self) -> Option<&str> {
        self.variant
    }

    /// Returns the fields; `None` for an item that has none, as a text or a tuple. Those of an enum's variant are the
    /// variant's own.
    pub fn fields(&self) -> Option<&[(Name, Value)]> {
        let Value::Fields(fields) = &self.value else { return None };
        match (self.variant, fields.as_slice()) {
            (Some(_), [(_, Value::Fields(own))]) => Some(own),
            (_, fields) => Some(fields),
        }
    }

    /// Returns a field by its name; with dots, one within a field: `price.amount`.
    pub fn get(&self, path: &str) -> Option<&Value> {
        find(self.fields()?, path)
    }

    /// Returns a record with these fields alone, in this order; see [`Feed::fields`](super::Feed::fields).
    #[must_use]
    pub fn select(&self, paths: &[String]) -> Self {
        let found = paths.iter().filter_map(|path| Some((Name::Owned(path.clone()), self.get(path)?.clone())));
        Self { url: self.url.clone(), value: Value::Fields(found.collect()), variant: None }
    }

    /// Returns the item as JSON, as `serde_json` would write it, in one line.
    pub fn to_json(&self) -> String {
        self.value.to_json()
    }
}

fn find<'a>(fields: &'a [(Name, Value)], path: &str) -> Option<&'a Value> {
    if let Some((_, value)) = fields.iter().find(|(name, _)| name == path) {
        return Some(value);
    }
    // A name may have dots itself.
    fields.iter().find_map(|(name, value)| match value {
        Value::Fields(inner) => find(inner, path.strip_prefix(&**name)?.strip_prefix('.')?),
        _ => None,
    })
}

impl Value {
    /// Tells whether it is neither a list nor has fields.
    pub fn is_plain(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Fields(_))
    }

    /// Returns it as JSON.
    pub fn to_json(&self) -> String {
        // Cannot fail: keys are text, and nothing else can.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            // Formats know the smaller types better.
            Self::Integer(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => serializer.serialize_i64(value),
                (_, Ok(value)) => serializer.serialize_u64(value),
                _ => serializer.serialize_i128(*value),
            },
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::List(values) => serializer.collect_seq(values),
            Self::Fields(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}
