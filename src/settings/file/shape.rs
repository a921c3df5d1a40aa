//! Shape: which keys a type reads, and what each of them takes. It is found by asking the type's own `Deserialize`, so
//! it cannot differ from what is read. Knows no file.

use std::{cell::RefCell, fmt};

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// What a type reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A table with these keys.
    Table(Vec<(&'static str, Shape)>),
    /// A table whose keys its writer chooses.
    Map(Box<Shape>),
    /// A list.
    List(Box<Shape>),
    /// One of these words, or, with a shape, a table of that one key.
    OneOf(Vec<(&'static str, Option<Shape>)>),
    /// `true` or `false`.
    Bool,
    /// A whole number from 0.
    Integer,
    /// A whole number, also below 0.
    Signed,
    /// A number.
    Number,
    /// A text.
    Text,
    /// A text or a number, as a duration is.
    TextOrNumber,
}

impl Shape {
    /// Returns the shape of a type.
    pub fn of<T: DeserializeOwned>() -> Self {
        shape_at::<T>(&mut Vec::new())
    }

    /// Returns the shape of a key, if there is such a key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Table(keys) => keys.iter().find(|(known, _)| *known == key).map(|(_, shape)| shape),
            Self::Map(of_each) => Some(of_each),
            Self::OneOf(words) => words.iter().find(|(word, _)| *word == key).and_then(|(_, shape)| shape.as_ref()),
            _ => None,
        }
    }

    /// Visits each key of fixed tables with its path, also of those in lists and in maps; their own keys are `*`.
    pub fn each_key(&self, path: &mut Vec<&'static str>, visit: &mut dyn FnMut(&[&'static str], &Self)) {
        match self {
            Self::Table(keys) => {
                for (key, shape) in keys {
                    path.push(key);
                    visit(path, shape);
                    shape.each_key(path, visit);
                    path.pop();
                }
            }
            Self::Map(of_each) => {
                path.push("*");
                of_each.each_key(path, visit);
                path.pop();
            }
            Self::List(of_each) => of_each.each_key(path, visit),
            _ => {}
        }
    }
}

/// One step of the way from the type to a part of it.
#[derive(Clone, Copy)]
enum ShapeStep {
    Key(&'static str),
    /// The only element of a list, or value of a map.
    Element,
    Variant(&'static str),
}

/// What was asked for at the end of the way.
enum Asked {
    Table(&'static [&'static str]),
    Map,
    List,
    OneOf(&'static [&'static str]),
    /// Nothing more: a variant that is a word.
    Word,
    Leaf(Shape),
}

fn shape_at<T: DeserializeOwned>(path: &mut Vec<ShapeStep>) -> Shape {
    let asked = RefCell::new(None);
    // It fails always, since nothing is ever read.
    drop(T::deserialize(Tracer { path: &*path, asked: &asked }));
    let mut at = |step: ShapeStep| {
        path.push(step);
        let shape = shape_at::<T>(path);
        path.pop();
        shape
    };
    match asked.into_inner() {
        Some(Asked::Table(keys)) => Shape::Table(keys.iter().map(|key| (*key, at(ShapeStep::Key(key)))).collect()),
        Some(Asked::Map) => Shape::Map(at(ShapeStep::Element).into()),
        Some(Asked::List) => Shape::List(at(ShapeStep::Element).into()),
        Some(Asked::OneOf(words)) => {
            let of = |word: &&'static str| match at(ShapeStep::Variant(word)) {
                // A word has no shape of its own.
                Shape::OneOf(none) if none.is_empty() => (*word, None),
                shape => (*word, Some(shape)),
            };
            Shape::OneOf(words.iter().map(of).collect())
        }
        Some(Asked::Word) => Shape::OneOf(Vec::new()),
        Some(Asked::Leaf(leaf)) => leaf,
        None => Shape::TextOrNumber,
    }
}

/// Follows a path through a type, and notes what is asked for at its end.
#[derive(Clone, Copy)]
struct Tracer<'a> {
    path: &'a [ShapeStep],
    asked: &'a RefCell<Option<Asked>>,
}

/// Ends the tracing.
#[derive(Debug)]
struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("enough is known")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl Tracer<'_> {
    /// Notes what is asked for, at the end of the way.
    fn note(self, asked: Asked) -> Stop {
        if self.path.is_empty() {
            self.asked.borrow_mut().get_or_insert(asked);
        }
        Stop
    }

    fn next(self) -> Option<(ShapeStep, Self)> {
        let (step, path) = self.path.split_first()?;
        Some((*step, Self { path, ..self }))
    }
}

macro_rules! leaves {
    ($($method:ident => $shape:ident),+ $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
            Err(self.note(Asked::Leaf(Shape::$shape)))
        })+
    };
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Stop;

    leaves! {
        deserialize_any => TextOrNumber, deserialize_ignored_any => TextOrNumber, deserialize_bool => Bool,
        deserialize_i8 => Signed, deserialize_i16 => Signed, deserialize_i32 => Signed, deserialize_i64 => Signed,
        deserialize_u8 => Integer, deserialize_u16 => Integer, deserialize_u32 => Integer, deserialize_u64 => Integer,
        deserialize_f32 => Number, deserialize_f64 => Number, deserialize_char => Text, deserialize_str => Text,
        deserialize_string => Text, deserialize_bytes => Text, deserialize_byte_buf => Text, deserialize_unit => Text,
        deserialize_identifier => Text,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, _: V) -> Result<V::Value, Stop> {
        Err(self.note(Asked::Leaf(Shape::Text)))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.next() {
            Some((ShapeStep::Element, rest)) => visitor.visit_seq(rest),
            _ => Err(self.note(Asked::List)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.next() {
            Some((ShapeStep::Element, rest)) => visitor.visit_map(OneKey { key: Some("*"), value: rest }),
            _ => Err(self.note(Asked::Map)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match self.next() {
            Some((ShapeStep::Key(key), value)) => visitor.visit_map(OneKey { key: Some(key), value }),
            _ => Err(self.note(Asked::Table(keys))),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match self.next() {
            Some((ShapeStep::Variant(word), value)) => visitor.visit_enum(OneKey { key: Some(word), value }),
            _ => Err(self.note(Asked::OneOf(words))),
        }
    }
}

impl<'de> SeqAccess<'de> for Tracer<'_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        seed.deserialize(*self).map(Some)
    }
}

/// A table of one key, or a variant.
struct OneKey<'a> {
    key: Option<&'static str>,
    value: Tracer<'a>,
}

impl<'de> MapAccess<'de> for OneKey<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        self.key.take().map(|key| seed.deserialize(de::value::StrDeserializer::new(key))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        seed.deserialize(self.value)
    }
}

impl<'de, 'a> EnumAccess<'de> for OneKey<'a> {
    type Error = Stop;
    type Variant = Tracer<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), Stop> {
        let word = self.key.unwrap_or_default();
        Ok((seed.deserialize(de::value::StrDeserializer::<Stop>::new(word))?, self.value))
    }
}

impl<'de> VariantAccess<'de> for Tracer<'_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        Err(self.note(Asked::Word))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, keys: &'static [&'static str], visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_struct("", keys, visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn the_shape_of_the_settings_is_what_their_types_read() {
        let settings = Shape::of::<Settings>();
        let at = |path: &str| path.split('.').fold(settings.clone(), |shape, key| shape.get(key).expect(path).clone());
        assert_eq!(at("politeness.rate"), Shape::Text);
        assert_eq!(at("politeness.spacing"), Shape::TextOrNumber);
        assert_eq!(at("politeness.jitter"), Shape::Number);
        assert_eq!(at("politeness.per_domain"), Shape::Integer);
        assert_eq!(at("domains.example.proxies"), Shape::List(Shape::Text.into()));
        assert_eq!(at("headers.origins.example.x"), Shape::Text);
        let words = |words: &[&'static str]| Shape::OneOf(words.iter().map(|word| (*word, None)).collect());
        assert_eq!(at("politeness.robots"), words(&["obey", "ignore"]));
        assert_eq!(at("domains.example.robots"), words(&["obey", "ignore"]));
        let Shape::List(credentials) = at("transport.credentials") else { panic!("a list") };
        let credentials = credentials.get("credentials").unwrap();
        assert_eq!(credentials.get("bearer"), Some(&Shape::Text));
        assert_eq!(credentials.get("basic").and_then(|basic| basic.get("user")), Some(&Shape::Text));
        assert_eq!(at("transport.response_store.purpose"), words(&["cache", "record", "replay"]));
        assert_eq!(settings.get("politness"), None);
    }
}
