//! Serializer: makes a value of anything that is `serde::Serialize`. Knows no format.

mod key;

use std::fmt::Display;

use serde::{Serialize, ser};

use super::{Name, Value};

/// Makes a value of an item, and tells the variant if it is one of an enum with content.
///
/// # Errors
/// The item's own `Serialize` fails, a key is no text, or it is nested too deep.
pub(super) fn value_of<I: Serialize + ?Sized>(item: &I) -> Result<(Value, Option<&'static str>), Unserializable> {
    let mut variant = None;
    let value = item.serialize(ValueSerializer { depth: 0, variant: Some(&mut variant) })?;
    Ok((value, variant))
}

/// How deep items may be nested: as deep as `serde_json` reads.
const MAX_DEPTH: usize = 128;

/// Structs by which `serde_json` passes through what only its own serializer understands.
const RAW_JSON: &str = "$serde_json::private::RawValue";
const JSON_NUMBER: &str = "$serde_json::private::Number";

/// Why an item cannot be a record.
#[derive(Debug, thiserror::Error)]
#[error("the item cannot be written: {0}")]
pub(super) struct Unserializable(pub String);

impl ser::Error for Unserializable {
    fn custom<T: Display>(why: T) -> Self {
        Self(why.to_string())
    }
}

struct ValueSerializer<'v> {
    depth: usize,
    /// Where the variant of the item itself is noted.
    variant: Option<&'v mut Option<&'static str>>,
}

impl ValueSerializer<'_> {
    fn inner(&self) -> Result<ValueSerializer<'static>, Unserializable> {
        inner(self.depth)
    }

    fn note(&mut self, variant: &'static str) {
        if let Some(noted) = self.variant.take() {
            *noted = Some(variant);
        }
    }
}

fn inner(depth: usize) -> Result<ValueSerializer<'static>, Unserializable> {
    if depth >= MAX_DEPTH {
        return Err(Unserializable(format!("it is nested more than {MAX_DEPTH} deep")));
    }
    Ok(ValueSerializer { depth: depth + 1, variant: None })
}

/// Elements of a list, as the content of a variant if there is one.
pub(super) struct Elements {
    depth: usize,
    variant: Option<&'static str>,
    values: Vec<Value>,
}

/// Fields of a struct or a map, as the content of a variant if there is one.
pub(super) struct Fields {
    depth: usize,
    variant: Option<&'static str>,
    content: Vec<(Name, Value)>,
    key: Option<Name>,
    private: Option<Private>,
}

/// What a struct of `serde_json`'s own holds, as text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Private {
    Json,
    /// The digits of a number, with the feature `arbitrary_precision`, which any crate of a program may set.
    Number,
}

fn wrapped(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        Some(variant) => Value::Fields(vec![(Name::Borrowed(variant), value)]),
        None => value,
    }
}

/// The most elements for which memory is reserved in advance, whatever the item announces.
const MAX_EXPECTED: usize = 1_024;

/// Defines the methods for numbers that an `i128` holds.
macro_rules! integers {
    ($($name:ident($kind:ty)),* $(,)?) => {$(
        fn $name(self, value: $kind) -> Result<Value, Unserializable> {
            Ok(Value::Integer(value.into()))
        }
    )*};
}

impl ser::Serializer for ValueSerializer<'_> {
    type Error = Unserializable;
    type Ok = Value;
    type SerializeMap = Fields;
    type SerializeSeq = Elements;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Fields;
    type SerializeTuple = Elements;
    type SerializeTupleStruct = Elements;
    type SerializeTupleVariant = Elements;

    fn serialize_bool(self, value: bool) -> Result<Value, Unserializable> {
        Ok(Value::Bool(value))
    }

    integers! {
        serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64), serialize_i128(i128),
        serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64),
    }

    fn serialize_u128(self, value: u128) -> Result<Value, Unserializable> {
        Ok(i128::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Integer))
    }

    fn serialize_f32(self, value: f32) -> Result<Value, Unserializable> {
        // 0.1 stays 0.1, which as a plain conversion it would not.
        let shortest = value.to_string().parse();
        Ok(Value::Float(shortest.unwrap_or_else(|_| value.into())))
    }

    fn serialize_f64(self, value: f64) -> Result<Value, Unserializable> {
        Ok(Value::Float(value))
    }

    fn serialize_char(self, value: char) -> Result<Value, Unserializable> {
        Ok(Value::Text(value.into()))
    }

    fn serialize_str(self, text: &str) -> Result<Value, Unserializable> {
        Ok(Value::Text(text.to_owned()))
    }

    fn collect_str<T: Display + ?Sized>(self, text: &T) -> Result<Value, Unserializable> {
        Ok(Value::Text(text.to_string()))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Value, Unserializable> {
        Ok(Value::Bytes(bytes.to_owned()))
    }

    fn serialize_none(self) -> Result<Value, Unserializable> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Unserializable> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, Unserializable> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, Unserializable> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Value, Unserializable> {
        Ok(Value::Text(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Value, Unserializable> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Unserializable> {
        self.note(variant);
        Ok(wrapped(Some(variant), value.serialize(self.inner()?)?))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Elements, Unserializable> {
        let values = Vec::with_capacity(length.unwrap_or(0).min(MAX_EXPECTED));
        Ok(Elements { depth: self.depth, variant: None, values })
    }

    fn serialize_tuple(self, length: usize) -> Result<Elements, Unserializable> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Elements, Unserializable> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Elements, Unserializable> {
        self.note(variant);
        Ok(Elements { variant: Some(variant), ..self.serialize_seq(Some(length))? })
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Fields, Unserializable> {
        let content = Vec::with_capacity(length.unwrap_or(0).min(MAX_EXPECTED));
        Ok(Fields { depth: self.depth, variant: None, content, key: None, private: None })
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Fields, Unserializable> {
        let private = match name {
            RAW_JSON => Some(Private::Json),
            JSON_NUMBER => Some(Private::Number),
            _ => None,
        };
        Ok(Fields { private, ..self.serialize_map(Some(length))? })
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Fields, Unserializable> {
        self.note(variant);
        Ok(Fields { variant: Some(variant), ..self.serialize_map(Some(length))? })
    }
}

impl Elements {
    fn add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unserializable> {
        self.values.push(value.serialize(inner(self.depth)?)?);
        Ok(())
    }

    fn list(self) -> Value {
        wrapped(self.variant, Value::List(self.values))
    }
}

impl Fields {
    fn add<T: Serialize + ?Sized>(&mut self, name: Name, value: &T) -> Result<(), Unserializable> {
        let value = value.serialize(inner(self.depth)?)?;
        self.content.push((name, value));
        Ok(())
    }

    fn table(mut self) -> Result<Value, Unserializable> {
        if let Some(private) = self.private
            && let Some((_, Value::Text(text))) = self.content.pop()
        {
            return match private {
                Private::Json => {
                    let json: serde_json::Value =
                        serde_json::from_str(&text).map_err(|error| Unserializable(error.to_string()))?;
                    json.serialize(inner(self.depth)?)
                }
                Private::Number => Ok(number(text)),
            };
        }
        Ok(wrapped(self.variant, Value::Fields(self.content)))
    }
}

/// Makes a number of its digits. One that neither kind of number holds is text.
fn number(digits: String) -> Value {
    if let Ok(integer) = digits.parse() {
        return Value::Integer(integer);
    }
    match digits.parse::<f64>() {
        Ok(float) if float.is_finite() => Value::Float(float),
        _ => Value::Text(digits),
    }
}

/// Implements each of serde's traits for what has elements: they differ by their names alone.
macro_rules! elements {
    ($($kind:ident::$add:ident),*) => {$(
        impl ser::$kind for Elements {
            type Error = Unserializable;
            type Ok = Value;

            fn $add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unserializable> {
                self.add(value)
            }

            fn end(self) -> Result<Value, Unserializable> {
                Ok(self.list())
            }
        }
    )*};
}

elements! {
    SerializeSeq::serialize_element, SerializeTuple::serialize_element, SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
}

impl ser::SerializeMap for Fields {
    type Error = Unserializable;
    type Ok = Value;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unserializable> {
        self.key = Some(key::name_of(key)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unserializable> {
        let name = self.key.take().unwrap_or_default();
        self.add(name, value)
    }

    fn end(self) -> Result<Value, Unserializable> {
        self.table()
    }
}

/// The same for what has fields.
macro_rules! fields {
    ($($kind:ident),*) => {$(
        impl ser::$kind for Fields {
            type Error = Unserializable;
            type Ok = Value;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Unserializable> {
                self.add(Name::Borrowed(name), value)
            }

            fn end(self) -> Result<Value, Unserializable> {
                self.table()
            }
        }
    )*};
}

fields! { SerializeStruct, SerializeStructVariant }
