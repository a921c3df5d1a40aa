//! FieldCounts: in how many items each field is, for crawls that ask nothing of their items. Makes no values of them,
//! so it costs a small part of what writing them does.

use std::{
    borrow::Cow,
    fmt::{self, Error},
};

use serde::{
    Serialize,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
        SerializeTupleVariant, Serializer,
    },
};
use serde_json::Value;

use super::{Findings, Validate};

/// Counts fields as a [`Schema`](super::Schema) without rules does.
pub(crate) struct FieldCounts;

impl<I: Serialize> Validate<I> for FieldCounts {
    fn validate(&self, item: &I, findings: &mut Findings) {
        // Of an item that cannot be serialized, whoever writes it says so.
        let _ = item.serialize(Filled(Some(findings)));
    }

    fn has_rules(&self) -> bool {
        false
    }
}

/// Tells whether something is in a value; the fields of the item itself are noted.
struct Filled<'f>(Option<&'f mut Findings>);

/// Structs by which `serde_json` passes through what only its own serializer understands: a number, or JSON as text.
const OF_SERDE_JSON: &str = "$serde_json::private";

/// The methods of values that tell by themselves.
macro_rules! tell {
    ($($method:ident($value:ident: $type:ty) $is_filled:expr;)*) => {
        $(fn $method(self, $value: $type) -> Result<bool, Error> {
            Ok($is_filled)
        })*
    };
}

impl<'f> Serializer for Filled<'f> {
    type Ok = bool;
    type Error = Error;
    type SerializeSeq = FieldParts<'f>;
    type SerializeTuple = FieldParts<'f>;
    type SerializeTupleStruct = FieldParts<'f>;
    type SerializeTupleVariant = FieldParts<'f>;
    type SerializeMap = FieldParts<'f>;
    type SerializeStruct = FieldParts<'f>;
    type SerializeStructVariant = FieldParts<'f>;

    tell! {
        serialize_bool(_value: bool) true;
        serialize_i8(_value: i8) true;
        serialize_i16(_value: i16) true;
        serialize_i32(_value: i32) true;
        serialize_i64(_value: i64) true;
        serialize_i128(_value: i128) true;
        serialize_u8(_value: u8) true;
        serialize_u16(_value: u16) true;
        serialize_u32(_value: u32) true;
        serialize_u64(_value: u64) true;
        serialize_u128(_value: u128) true;
        // In JSON the others are `null`.
        serialize_f32(value: f32) value.is_finite();
        serialize_f64(value: f64) value.is_finite();
        serialize_char(value: char) !value.is_whitespace();
        serialize_str(value: &str) !value.trim().is_empty();
        serialize_bytes(value: &[u8]) !value.is_empty();
        serialize_unit_struct(_name: &'static str) false;
    }

    fn serialize_unit(self) -> Result<bool, Error> {
        Ok(false)
    }

    fn serialize_none(self) -> Result<bool, Error> {
        Ok(false)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<bool, Error> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<bool, Error> {
        Ok(true)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<bool, Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<bool, Error> {
        FieldParts::of(self.0).add(variant.into(), value).map(|()| true)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<FieldParts<'f>, Error> {
        Ok(FieldParts::of(None))
    }

    fn serialize_tuple(self, _: usize) -> Result<FieldParts<'f>, Error> {
        Ok(FieldParts::of(None))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<FieldParts<'f>, Error> {
        Ok(FieldParts::of(None))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<FieldParts<'f>, Error> {
        Ok(FieldParts { variant: Some(variant), ..FieldParts::of(self.0) })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<FieldParts<'f>, Error> {
        Ok(FieldParts::of(self.0))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<FieldParts<'f>, Error> {
        Ok(FieldParts::of(self.0.filter(|_| !name.starts_with(OF_SERDE_JSON))))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<FieldParts<'f>, Error> {
        Ok(FieldParts { variant: Some(variant), ..FieldParts::of(self.0) })
    }
}

/// What is in a list, or the fields of a map or a struct.
struct FieldParts<'f> {
    findings: Option<&'f mut Findings>,
    /// The variant whose content they are: it is the item's field, and they are not.
    variant: Option<&'static str>,
    /// The key whose value comes next.
    key: String,
    is_filled: bool,
}

impl<'f> FieldParts<'f> {
    fn of(findings: Option<&'f mut Findings>) -> Self {
        Self { findings, variant: None, key: String::new(), is_filled: false }
    }

    /// Adds an element of a list, which is filled if one of them is.
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.is_filled = self.is_filled || value.serialize(Filled(None))?;
        Ok(())
    }

    /// Adds a field of something, which is filled then, whatever is in the field.
    fn add<T: Serialize + ?Sized>(&mut self, name: Cow<'static, str>, value: &T) -> Result<(), Error> {
        self.is_filled = true;
        if let (Some(findings), None) = (&mut self.findings, self.variant) {
            findings.field_of(name, value.serialize(Filled(None))?);
        }
        Ok(())
    }

    fn ended(self) -> bool {
        if let (Some(variant), Some(findings)) = (self.variant, self.findings) {
            findings.field_of(variant.into(), self.is_filled);
        }
        self.is_filled || self.variant.is_some()
    }
}

macro_rules! elements {
    ($($serialize:ident::$method:ident)*) => {
        $(impl $serialize for FieldParts<'_> {
            type Ok = bool;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }

            fn end(self) -> Result<bool, Error> {
                Ok(self.ended())
            }
        })*
    };
}

macro_rules! fields {
    ($($serialize:ident)*) => {
        $(impl $serialize for FieldParts<'_> {
            type Ok = bool;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
                self.add(name.into(), value)
            }

            fn end(self) -> Result<bool, Error> {
                Ok(self.ended())
            }
        })*
    };
}

elements! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

fields! {
    SerializeStruct
    SerializeStructVariant
}

impl SerializeMap for FieldParts<'_> {
    type Ok = bool;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        if self.findings.is_some() {
            self.key = match serde_json::to_value(key).map_err(|_| fmt::Error)? {
                Value::String(text) => text,
                other => other.to_string(),
            };
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = std::mem::take(&mut self.key);
        self.add(key.into(), value)
    }

    fn end(self) -> Result<bool, Error> {
        Ok(self.ended())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::validation::Schema;

    #[derive(Serialize)]
    struct Item {
        name: &'static str,
        price: f64,
        empty: Option<u8>,
        filled: Option<(u8, u8)>,
        lists: Vec<Vec<&'static str>>,
        unit: (),
        kind: Kind,
        inner: Inner,
        #[serde(skip_serializing_if = "Option::is_none")]
        skipped: Option<u8>,
        #[serde(flatten)]
        others: BTreeMap<u8, Option<char>>,
    }

    #[derive(Clone, Serialize)]
    enum Kind {
        Unit,
        Newtype(Option<u8>),
        Tuple(u8, u8),
        Struct { a: u8 },
    }

    #[derive(Serialize)]
    struct Inner {}

    fn agree<I: Serialize>(item: &I) {
        let [mut by_schema, mut counted] = [Findings::default(), Findings::default()];
        Schema::new().validate(item, &mut by_schema);
        FieldCounts.validate(item, &mut counted);
        for findings in [&mut by_schema, &mut counted] {
            findings.fields.sort();
        }
        assert_eq!(counted.fields, by_schema.fields, "{}", json!(item));
    }

    #[test]
    fn fields_are_counted_as_a_schema_counts_them() {
        let kinds = [Kind::Unit, Kind::Newtype(None), Kind::Newtype(Some(1)), Kind::Tuple(1, 2), Kind::Struct { a: 1 }];
        for (kind, text) in kinds.into_iter().zip(["tea", " ", "", "x", "y"]) {
            agree(&kind);
            agree(&Item {
                name: text,
                price: if text.is_empty() { f64::NAN } else { 1.5 },
                empty: None,
                filled: Some((1, 2)),
                lists: vec![vec![""], vec![text]],
                unit: (),
                kind,
                inner: Inner {},
                skipped: None,
                others: [(1, Some(' ')), (2, None), (3, Some('c'))].into(),
            });
        }
        for item in
            [json!({"a": [], "b": [[], {}], "c": {"d": null}, "e": 1.5, "f": false}), json!(3), json!([{"a": 1}])]
        {
            agree(&item);
        }
    }
}
